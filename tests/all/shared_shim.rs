//! Runs that share one shim, with real processes: for each of them all is as if it were alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::future::join_all;
use lazarus_gate::revival::{
    self, CommandSpec, End, Launcher, RevivalError, RunFile, Settled, Started, settle, wait_unlocked,
};
use rustix::process::{Signal, kill_process};

use crate::shim::{SHIM, World, ended, lives, pid_of, shim_again, until};

/// Starts all of `specs` at the same time. In a runtime of one thread all of them wait before the first is started.
async fn start_together(world: &World, specs: &[CommandSpec]) -> Vec<(RunFile, Started)> {
    let runs: Vec<_> = specs.iter().map(|spec| world.file(spec)).collect();
    let launcher = Launcher::new(SHIM);
    let started = join_all(runs.iter().zip(specs).map(|(run, spec)| launcher.start(run, spec))).await;
    runs.into_iter().zip(started).map(|(run, started)| (run, started.unwrap())).collect()
}

/// How many of `runs` each shim has, in the order of the first.
fn shared(runs: &[(RunFile, Started)]) -> Vec<usize> {
    let mut shims: Vec<(u32, usize)> = Vec::new();
    for pid in runs.iter().map(|(_, started)| started.shim_pid().unwrap()) {
        match shims.iter_mut().find(|(shim, _)| *shim == pid) {
            Some((_, count)) => *count += 1,
            None => shims.push((pid, 1)),
        }
    }
    shims.into_iter().map(|(_, count)| count).collect()
}

/// A command that says that it has begun, and ends when [`let_go`] lets it.
fn waits(world: &World, name: &str) -> CommandSpec {
    assert!(Command::new("mkfifo").arg(world.path(name)).status().unwrap().success());
    world.script(&format!("echo ran >> $W/{name}.ran; echo $$ > $W/{name}.pid; cat $W/{name}"))
}

/// Blocks until the command is there.
fn let_go(world: &World, name: &str) {
    fs::write(world.path(name), name).unwrap();
}

/// The shim of all of `runs`, started as the daemon would.
fn shim_of(world: &World, runs: &[RunFile]) -> Command {
    let mut shim = Command::new(SHIM);
    shim.arg("shim").args(runs.iter().map(RunFile::path)).env("W", world.home.path()).stderr(Stdio::null());
    shim
}

#[tokio::test]
async fn each_run_of_a_shim_has_its_own_outcome() {
    let world = World::new();
    let mut with_packet = world.script("cat; cat >&2; exit 7");
    with_packet.packet = Some(b"a packet".to_vec());
    let specs = [world.script("echo first; echo said >&2"), with_packet, world.script("echo third; kill -9 $$")];
    let runs = start_together(&world, &specs).await;
    assert_eq!(shared(&runs), [3]);
    let mut outcomes = Vec::new();
    for (run, started) in runs {
        started.ended().await.unwrap();
        outcomes.push(ended(&run));
    }
    let said: Vec<_> =
        outcomes.iter().map(|one| (&one.end, one.stdout.tail.as_str(), one.stderr.tail.as_str())).collect();
    assert_eq!(
        said,
        [
            (&End::Exited { code: 0 }, "first\n", "said\n"),
            (&End::Exited { code: 7 }, "a packet", ""),
            (&End::Signalled { signal: 9 }, "third\n", ""),
        ]
    );
}

#[tokio::test]
async fn a_run_that_cannot_be_carried_out_disturbs_no_other() {
    let world = World::new();
    let runs: Vec<_> = (0..6).map(|_| world.file(&world.script("echo ran >> $W/ran; echo done"))).collect();
    let [unreadable, held, marked, gone, good, last] = runs.as_slice() else { panic!("six") };
    fs::write(unreadable.path(), "{\"version\":1").unwrap();
    File::options().append(true).open(marked.path()).unwrap().write_all(b"started\n").unwrap();
    gone.remove().unwrap();
    let lock = File::open(held.path()).unwrap();
    lock.lock().unwrap();
    let code = shim_of(&world, &runs).stdout(Stdio::null()).status().unwrap().code();
    assert_eq!(code, Some(1), "not all outcomes were written");
    for run in [good, last] {
        assert_eq!((ended(run).end, ended(run).stdout.tail.as_str()), (End::Exited { code: 0 }, "done\n"));
    }
    assert!(matches!(ended(unreadable).end, End::CouldNotStart { .. }));
    assert_eq!(settle(held).unwrap(), Settled::StillRunning);
    assert_eq!(settle(marked).unwrap(), Settled::Vanished);
    assert_eq!(settle(gone).unwrap(), Settled::Missing);
    // Not by a drop: a process that another test is starting may hold a copy of the descriptor for a moment.
    lock.unlock().unwrap();
    assert_eq!(settle(held).unwrap(), Settled::NeverStarted);
    assert_eq!(world.lines("ran"), 2);
}

#[tokio::test]
async fn the_end_of_a_quick_run_is_heard_while_a_slow_one_goes_on() {
    for slow_is_first in [true, false] {
        let world = World::new();
        let mut specs = [waits(&world, "slow"), world.script("echo quick")];
        if !slow_is_first {
            specs.reverse();
        }
        let mut runs = start_together(&world, &specs).await;
        assert_eq!(shared(&runs), [2]);
        let (quick, heard) = runs.remove(usize::from(slow_is_first));
        heard.ended().await.unwrap();
        assert_eq!(ended(&quick).stdout.tail, "quick\n");
        let (slow, started) = runs.remove(0);
        world.pid_in("slow.pid").await;
        assert_eq!(settle(&slow).unwrap(), Settled::StillRunning);
        let_go(&world, "slow");
        started.ended().await.unwrap();
        assert_eq!(ended(&slow).stdout.tail, "slow");
    }
}

#[tokio::test]
async fn what_one_run_leaves_behind_keeps_nobody_waiting() {
    let world = World::new();
    waits(&world, "never");
    let leaves = "cat $W/never & echo $! > $W/agent";
    let runs = [leaves, "echo two", "echo three"].map(|script| world.file(&world.script(script)));
    let mut shim = shim_of(&world, &runs).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = String::new();
    // To the end, although the agent lives and holds the output of its command.
    shim.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    let mut told: Vec<_> = told.lines().collect();
    told.sort();
    assert_eq!(told, ["0", "1", "2"]);
    for run in &runs {
        assert_eq!(ended(run).end, End::Exited { code: 0 });
    }
    let agent = world.pid_in("agent").await;
    assert!(lives(agent) && shim.try_wait().unwrap().is_none());
    kill_process(agent, Signal::KILL).unwrap();
    assert!(shim.wait().unwrap().success());
}

#[tokio::test]
async fn a_shared_shim_that_is_killed_leaves_what_had_started_unknown() {
    let world = World::new();
    let specs = [waits(&world, "one"), waits(&world, "two"), world.script("echo ran >> $W/third.ran")];
    let runs: Vec<_> = specs.iter().map(|spec| world.file(spec)).collect();
    // The third does not get as far as its mark.
    let lock = File::open(runs[2].path()).unwrap();
    lock.lock().unwrap();
    let launcher = Launcher::new(SHIM);
    let started = join_all(runs.iter().zip(&specs).map(|(run, spec)| launcher.start(run, spec))).await;
    let started: Vec<_> = started.into_iter().map(Result::unwrap).collect();
    let commands = [world.pid_in("one.pid").await, world.pid_in("two.pid").await];
    kill_process(pid_of(&started[0]), Signal::KILL).unwrap();
    lock.unlock().unwrap();
    for one in started {
        one.ended().await.unwrap();
    }
    for _ in 0..2 {
        let settled: Vec<_> = runs.iter().map(|run| settle(run).unwrap()).collect();
        assert_eq!(settled, [Settled::Vanished, Settled::Vanished, Settled::NeverStarted]);
        assert!(runs.iter().all(|run| shim_again(run) == Some(1)));
        assert_eq!(shim_of(&world, &runs).stdout(Stdio::null()).status().unwrap().code(), Some(1));
    }
    assert_eq!(["one.ran", "two.ran", "third.ran"].map(|name| world.lines(name)), [1, 1, 0]);
    for command in commands {
        assert!(lives(command));
        kill_process(command, Signal::KILL).unwrap();
    }
}

/// Whichever run it is whose thread comes to the point: what is said of the others is so as well.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn killed_anywhere_a_shared_shim_leaves_the_truth_of_each_run() {
    let points =
        ["before_mark", "in_mark", "after_mark", "before_exec", "after_exec", "before_outcome", "after_outcome"];
    for (point, hit) in points.into_iter().flat_map(|point| (1..=3).map(move |hit| (point, hit))) {
        let world = World::new();
        let runs = [1, 2, 3].map(|which| world.file(&world.script(&format!("echo ran >> $W/{which}"))));
        let point = format!("shim.{point}:{hit}");
        let mut shim = shim_of(&world, &runs);
        let status = shim.stdout(Stdio::null()).env("LAZARUS_FAIL_POINT", &point).status().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}");
        for (run, name) in runs.iter().zip(["1", "2", "3"]) {
            wait_unlocked(run, Duration::from_millis(1)).await.unwrap();
            let settled = settle(run).unwrap();
            let may_have_run = match &settled {
                Settled::NeverStarted => 0..=0,
                Settled::Vanished => 0..=1,
                Settled::Ended(outcome) if outcome.end == (End::Exited { code: 0 }) => 1..=1,
                other => panic!("{point}: {other:?}"),
            };
            assert_eq!(shim_again(run), Some(1), "{point}");
            assert_eq!(settle(run).unwrap(), settled, "{point}");
            assert!(may_have_run.contains(&world.lines(name)), "{point}: {settled:?}, {} times", world.lines(name));
        }
    }
}

/// Whichever run it is whose thread panics: the others end as if nothing were, all are told of, and of that one it is said
/// whether it may have run.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_panic_in_one_run_is_that_of_no_other() {
    let ended_well = |settled: &Settled| matches!(settled, Settled::Ended(one) if one.end == End::Exited { code: 0 });
    for (point, left, times) in [
        ("before_mark", Some(Settled::NeverStarted), 0..=0),
        ("in_mark", Some(Settled::Vanished), 0..=0),
        ("after_mark", Some(Settled::Vanished), 0..=0),
        ("before_exec", Some(Settled::Vanished), 0..=0),
        ("after_exec", Some(Settled::Vanished), 0..=1),
        ("before_outcome", Some(Settled::Vanished), 1..=1),
        ("after_outcome", None, 1..=1),
    ] {
        for hit in 1..=3 {
            let world = World::new();
            let runs = [1, 2, 3].map(|which| world.file(&world.script(&format!("echo ran >> $W/{which}"))));
            let point = format!("shim.{point}:{hit}!");
            let mut shim = shim_of(&world, &runs);
            let output = shim.env("LAZARUS_FAIL_POINT", &point).output().unwrap();
            assert!(output.status.code().is_some_and(|code| code != 0), "{point}: {:?}", output.status);
            let told = String::from_utf8(output.stdout).unwrap();
            let mut told: Vec<_> = told.lines().collect();
            told.sort();
            assert_eq!(told, ["0", "1", "2"], "{point}");
            // All at once: no lock may be left behind.
            let settled: Vec<_> = runs.iter().map(|run| settle(run).unwrap()).collect();
            let others = settled.iter().filter(|one| ended_well(one)).count();
            assert_eq!(others, if left.is_some() { 2 } else { 3 }, "{point}: {settled:?}");
            for ((run, settled), name) in runs.iter().zip(&settled).zip(["1", "2", "3"]) {
                assert_eq!(shim_again(run), Some(1), "{point}");
                let ran = world.lines(name);
                if ended_well(settled) {
                    assert_eq!(ran, 1, "{point}");
                } else {
                    assert_eq!(Some(settled), left.as_ref(), "{point}");
                    assert!(times.contains(&ran), "{point}: {settled:?}, {ran} times");
                }
            }
        }
    }
}

/// What is granted to a command steers programs like ours as well.
#[tokio::test]
async fn what_the_environment_says_of_threads_is_the_commands_business() {
    for stack in [(1_u64 << 60).to_string(), u64::MAX.to_string()] {
        let world = World::new();
        let mut spec = world.script("echo $RUST_MIN_STACK");
        spec.env.push(("RUST_MIN_STACK".into(), stack.clone()));
        let runs = start_together(&world, &[spec.clone(), spec.clone(), spec]).await;
        assert_eq!(shared(&runs), [3]);
        for (run, started) in runs {
            started.ended().await.unwrap();
            assert_eq!(ended(&run).stdout.tail, format!("{stack}\n"));
        }
    }
}

#[tokio::test]
async fn many_runs_have_several_shims_and_each_runs_once() {
    let world = World::new();
    let specs: Vec<_> = (0..20).map(|which| world.script(&format!("echo ran >> $W/{which}; echo {which}"))).collect();
    let runs = start_together(&world, &specs).await;
    assert_eq!(shared(&runs), [8, 8, 4]);
    for (which, (run, started)) in runs.into_iter().enumerate() {
        started.ended().await.unwrap();
        assert_eq!(ended(&run).stdout.tail, format!("{which}\n"));
        assert_eq!(world.lines(&which.to_string()), 1);
    }
}

#[tokio::test]
async fn other_environments_and_other_limits_have_other_shims() {
    let world = World::new();
    let mut specs = Vec::new();
    for (secret, descriptors) in [("a", 300), ("b", 300), ("a", 301), ("a", 300), ("b", 300), ("a", 301)] {
        let mut spec = world.script("echo \"$SECRET $(ulimit -Sn)\"");
        spec.env.push(("SECRET".into(), secret.into()));
        spec.descriptors = Some(descriptors);
        specs.push((spec, format!("{secret} {descriptors}\n")));
    }
    let (specs, expected): (Vec<_>, Vec<_>) = specs.into_iter().unzip();
    let runs = start_together(&world, &specs).await;
    assert_eq!(shared(&runs), [2, 2, 2]);
    let mut shims = BTreeMap::new();
    for ((run, started), expected) in runs.into_iter().zip(expected) {
        assert_eq!(shims.entry(started.shim_pid()).or_insert(expected.clone()), &expected);
        started.ended().await.unwrap();
        assert_eq!(ended(&run).stdout.tail, expected);
    }
}

#[tokio::test]
async fn a_timeout_ends_the_group_of_its_own_run_only() {
    let world = World::new();
    let mut hangs = waits(&world, "hangs");
    (hangs.timeout, hangs.grace) = (Duration::from_millis(300), Duration::from_millis(100));
    hangs.argv[2].insert_str(0, "trap '' TERM; ");
    let runs = start_together(&world, &[hangs, waits(&world, "other")]).await;
    assert_eq!(shared(&runs), [2]);
    let [(hung, first), (other, second)] = <[_; 2]>::try_from(runs).unwrap();
    first.ended().await.unwrap();
    assert_eq!(ended(&hung).end, End::TimedOut);
    assert!(lives(world.pid_in("other.pid").await));
    assert_eq!(settle(&other).unwrap(), Settled::StillRunning);
    let_go(&world, "other");
    second.ended().await.unwrap();
    assert_eq!(ended(&other).end, End::Exited { code: 0 });
}

#[tokio::test]
async fn whoever_may_leave_nothing_running_ends_all_runs_of_a_shim() {
    let world = World::new();
    let runs = start_together(&world, &[waits(&world, "one"), waits(&world, "two")]).await;
    for name in ["one.pid", "two.pid"] {
        world.pid_in(name).await;
    }
    revival::end(std::slice::from_ref(&runs[1].0), Signal::TERM, false);
    for (run, started) in runs {
        started.ended().await.unwrap();
        assert_eq!(ended(&run).end, End::Signalled { signal: 15 });
    }
}

#[tokio::test]
async fn whoever_does_not_wait_ends_nothing() {
    let world = World::new();
    let launcher = Launcher::new(SHIM);
    let spec = waits(&world, "one");
    let (not_awaited, dropped) = (world.file(&spec), world.file(&world.script("echo dropped")));
    {
        // Dropped while it waits for its turn.
        let mut start = std::pin::pin!(launcher.start(&not_awaited, &spec));
        assert!(start.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    drop(launcher.start(&dropped, &world.script("")).await.unwrap());
    drop(launcher);
    until("the second", || matches!(settle_if_marked(&dropped), Some(Settled::Ended(_)))).await;
    let_go(&world, "one");
    wait_unlocked(&not_awaited, Duration::from_millis(2)).await.unwrap();
    assert_eq!(ended(&not_awaited).stdout.tail, "one");
}

/// What became of a run, without making that *never started*.
fn settle_if_marked(run: &RunFile) -> Option<Settled> {
    let is_marked = fs::read_to_string(run.path()).unwrap().contains("\nstarted\n");
    is_marked.then(|| settle(run).unwrap())
}

#[tokio::test]
async fn a_shim_that_cannot_be_started_is_told_to_all_who_wait_for_it() {
    let world = World::new();
    let spec = world.script("echo ran >> $W/ran");
    let runs = [world.file(&spec), world.file(&spec), world.file(&spec)];
    let launcher = Launcher::new("/nowhere/lazarus-gate");
    for failed in join_all(runs.iter().map(|run| launcher.start(run, &spec))).await {
        let error = failed.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(error.to_string().contains("/nowhere") && why.contains("No such file"), "{error}: {why}");
    }
    assert!(runs.iter().all(|run| settle(run).unwrap() == Settled::NeverStarted));
    assert_eq!(world.lines("ran"), 0);
}

#[test]
fn a_launcher_whose_runtime_has_ended_starts_nothing_and_says_so() {
    let world = World::new();
    let spec = world.script("echo ran >> $W/ran");
    let (first, second) = (world.file(&spec), world.file(&spec));
    let launcher = Launcher::new(SHIM);
    let within = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    within().block_on(async { launcher.start(&first, &spec).await.unwrap().ended().await.unwrap() });
    let refused = within().block_on(launcher.start(&second, &spec)).unwrap_err();
    assert!(matches!(refused, RevivalError::Stopping(_)), "{refused}");
    assert_eq!(settle(&second).unwrap(), Settled::NeverStarted);
    assert_eq!(world.lines("ran"), 1);
}
