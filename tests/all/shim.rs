//! The shim with real processes: each command runs at most once, and what is said of it is so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lazarus_gate::revival::{
    CommandSpec, Conclusion, End, Launcher, Outcome, RunFile, RunName, Settled, Started, WhyFailed, classify, settle,
    wait_unlocked,
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

pub const SHIM: &str = env!("CARGO_BIN_EXE_lazarus-gate");

/// A folder for runs, and one for what the commands leave behind.
pub struct World {
    pub home: tempfile::TempDir,
    attempts: std::cell::Cell<u32>,
}

impl World {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("runs")).unwrap();
        Self { home, attempts: std::cell::Cell::new(0) }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// `script` under sh, with `$W` naming the world's folder.
    pub fn script(&self, script: &str) -> CommandSpec {
        let world = self.home.path().to_str().unwrap();
        let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("W", world)];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let mut spec = CommandSpec::new(["sh", "-c", script].map(str::to_owned).to_vec(), env);
        spec.timeout = Duration::from_secs(120);
        spec
    }

    pub fn file(&self, spec: &CommandSpec) -> RunFile {
        self.attempts.set(self.attempts.get() + 1);
        let name = RunName::new("execution", self.attempts.get()).unwrap();
        RunFile::create(&self.path("runs"), &name, spec).unwrap()
    }

    async fn start(&self, spec: &CommandSpec) -> (RunFile, Started) {
        let run = self.file(spec);
        let started = launcher().start(&run, spec).await.unwrap();
        (run, started)
    }

    async fn run(&self, spec: &CommandSpec) -> Outcome {
        let (run, started) = self.start(spec).await;
        started.ended().await.unwrap();
        ended(&run)
    }

    pub fn lines(&self, name: &str) -> usize {
        fs::read_to_string(self.path(name)).unwrap_or_default().lines().count()
    }

    /// The process id that a command wrote to the file `name`.
    pub async fn pid_in(&self, name: &str) -> Pid {
        let read = || fs::read_to_string(self.path(name)).ok()?.strip_suffix('\n')?.parse::<i32>().ok();
        until("a process id", || read().is_some()).await;
        Pid::from_raw(read().unwrap()).unwrap()
    }
}

fn launcher() -> Launcher {
    Launcher::new(SHIM)
}

pub fn ended(run: &RunFile) -> Outcome {
    match settle(run).unwrap() {
        Settled::Ended(outcome) => outcome,
        other => panic!("no outcome but {other:?}; the file holds {:?}", fs::read_to_string(run.path())),
    }
}

pub fn pid_of(started: &Started) -> Pid {
    Pid::from_raw(started.shim_pid().unwrap().try_into().unwrap()).unwrap()
}

/// A late or a second shim, to its end; its exit code.
pub fn shim_again(run: &RunFile) -> Option<i32> {
    Command::new(SHIM).arg("shim").arg(run.path()).stderr(Stdio::null()).status().unwrap().code()
}

/// A shim that may write to no file beyond so many blocks of 512 bytes; its exit code.
fn shim_within(world: &World, run: &RunFile, blocks: u32) -> Option<i32> {
    let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut shim = Command::new("sh");
    shim.args(["-c", &limited, "sh", SHIM, "shim"]).arg(run.path()).env("W", world.home.path());
    shim.stderr(Stdio::null()).status().unwrap().code()
}

/// Whether a process runs; a zombie does not, and orphans may stay one for seconds.
pub fn lives(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Polls for an event, and fails when it does not come.
pub async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_gets_back_the_descriptor_limit_of_before() {
    let world = World::new();
    let mut spec = world.script("ulimit -Sn > $W/soft; ulimit -Hn > $W/hard");
    spec.descriptors = Some(77);
    world.run(&spec).await;
    let limit = |name: &str| fs::read_to_string(world.path(name)).unwrap().trim().to_owned();
    assert_eq!(limit("soft"), "77");
    assert_ne!(limit("hard"), "77", "only the soft limit was raised, and only it is given back");
}

#[tokio::test]
async fn a_command_that_succeeds_leaves_its_outcome() {
    let world = World::new();
    let outcome = world.run(&world.script("echo out; echo err >&2")).await;
    assert_eq!(outcome.end, End::Exited { code: 0 });
    assert_eq!((outcome.stdout.tail.as_str(), outcome.stderr.tail.as_str()), ("out\n", "err\n"));
    assert!(outcome.started <= outcome.ended);
}

#[tokio::test]
async fn a_status_that_is_not_zero_and_a_signal_are_told_apart() {
    let world = World::new();
    for (script, end) in [
        ("exit 7", End::Exited { code: 7 }),
        ("kill -9 $$", End::Signalled { signal: 9 }),
        ("kill -15 $$", End::Signalled { signal: 15 }),
        ("kill -1 $$", End::Signalled { signal: 1 }),
    ] {
        assert_eq!(world.run(&world.script(script)).await.end, end, "{script}");
    }
}

#[tokio::test]
async fn what_cannot_be_started_says_why() {
    let world = World::new();
    fs::write(world.path("not-executable"), "x").unwrap();
    let not_executable = world.path("not-executable").to_str().unwrap().to_owned();
    for (program, why) in [
        ("/nowhere/prog", "No such file"),
        ("no-such-program", "No such file"),
        (&*not_executable, "Permission denied"),
    ] {
        let mut spec = world.script("");
        spec.argv = vec![program.to_owned()];
        let outcome = world.run(&spec).await;
        let conclusion = classify(&spec.argv, &outcome);
        let Conclusion::Failed { why: WhyFailed::CouldNotStart { error } } = conclusion else { panic!("{conclusion}") };
        assert!(error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn a_spec_that_cannot_be_read_starts_nothing() {
    let world = World::new();
    for text in ["", "{\"version\":1", "{\"version\":2,\"argv\":[\"true\"]}"] {
        let spec = world.script("echo ran >> $W/ran");
        let run = world.file(&spec);
        fs::write(run.path(), text).unwrap();
        launcher().start(&run, &spec).await.unwrap().ended().await.unwrap();
        assert!(matches!(ended(&run).end, End::CouldNotStart { .. }), "{text}");
    }
    assert_eq!(world.lines("ran"), 0);
}

#[tokio::test]
async fn the_command_gets_its_environment_its_packet_and_default_signals_and_nothing_else() {
    let world = World::new();
    let mut spec = world.script("");
    spec.argv = vec!["env".into()];
    spec.env.push(("ODD".into(), " =\n'\"$x\u{202e}".into()));
    let expected: String = spec.env.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let mut lines: Vec<_> = expected.lines().collect();
    let printed = world.run(&spec).await.stdout.tail;
    let mut printed: Vec<_> = printed.lines().collect();
    lines.sort();
    printed.sort();
    assert_eq!(printed, lines);

    assert_eq!(world.run(&world.script("cat")).await.stdout.tail, "");
    let mut spec = world.script("cat");
    spec.packet = Some("{\"agent\":\"ada\"}".repeat(10_000).into_bytes());
    spec.output_limit_bytes = 1 << 20;
    assert_eq!(world.run(&spec).await.stdout.tail.into_bytes(), spec.packet.unwrap());

    // A packet that nobody reads hurts nobody.
    let mut spec = world.script("exec true");
    spec.packet = Some(vec![b'x'; 1 << 20]);
    assert_eq!(world.run(&spec).await.end, End::Exited { code: 0 });

    let status = world.run(&world.script("exec grep -E '^Sig(Blk|Ign):' /proc/self/status")).await.stdout.tail;
    let ours = [1, 13, 15, 17].map(|signal| 1u64 << (signal - 1)).iter().sum::<u64>();
    for line in status.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(mask & ours, 0, "{line}");
    }
    assert_eq!(status.lines().count(), 2);

    // No descriptor of ours: the same as a bare spawn gives, whatever this test itself inherited.
    let bare = Command::new("ls").arg("/proc/self/fd").output().unwrap().stdout;
    assert_eq!(world.run(&world.script("exec ls /proc/self/fd")).await.stdout.tail.into_bytes(), bare);
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_its_group() {
    let world = World::new();
    let mut spec = world.script("trap '' TERM; sleep 1000 & echo $! > $W/sleeper; echo begun; wait; wait; sleep 1000");
    (spec.timeout, spec.grace) = (Duration::from_millis(300), Duration::from_millis(100));
    let outcome = world.run(&spec).await;
    assert_eq!((outcome.end, outcome.stdout.tail.as_str()), (End::TimedOut, "begun\n"));
    let sleeper = world.pid_in("sleeper").await;
    until("the end of the group", || !lives(sleeper)).await;

    // One that ends when asked is not waited for any longer.
    let mut spec = world.script("exec sleep 1000");
    (spec.timeout, spec.grace) = (Duration::from_millis(100), Duration::from_secs(1000));
    assert_eq!(world.run(&spec).await.end, End::TimedOut);

    // One that says "done" only after its time is as unknown.
    let mut spec = world.script("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done");
    (spec.timeout, spec.grace) = (Duration::from_millis(300), Duration::from_secs(1000));
    assert_eq!(world.run(&spec).await.end, End::TimedOut);
}

#[tokio::test]
async fn a_command_that_has_left_its_group_is_ended_all_the_same() {
    if Command::new("perl").arg("-v").stdout(Stdio::null()).status().is_err() {
        println!("not looked at: the shell cannot leave its group, and there is no perl");
        return;
    }
    let world = World::new();
    let leaves = "$SIG{TERM} = 'IGNORE'; setpgrp(0, getppid) or die; $| = 1; print getpgrp != $$; sleep 1 while 1";
    let mut spec = world.script("");
    spec.argv = ["perl", "-e", leaves].map(str::to_owned).to_vec();
    (spec.timeout, spec.grace) = (Duration::from_millis(500), Duration::from_millis(50));
    let outcome = tokio::time::timeout(Duration::from_secs(60), world.run(&spec)).await.expect("an end");
    assert_eq!((outcome.end, outcome.stdout.tail.as_str()), (End::TimedOut, "1"));
}

#[tokio::test]
async fn what_a_command_leaves_in_the_background_lives_on_and_may_go_on_printing() {
    let world = World::new();
    let script = "while echo agent; do echo tick >> $W/ticks; sleep 0.01; done & echo $! > $W/agent; echo started";
    let (run, started) = world.start(&world.script(script)).await;
    let shim = pid_of(&started);
    started.ended().await.unwrap();
    let outcome = ended(&run);
    assert_eq!(outcome.end, End::Exited { code: 0 });
    assert!(outcome.stdout.tail.contains("started\n"));
    let agent = world.pid_in("agent").await;
    let before = world.lines("ticks");
    until("more of the agent", || world.lines("ticks") > before + 5).await;
    assert!(lives(agent) && lives(shim));
    run.remove().unwrap();
    kill_process(agent, Signal::KILL).unwrap();
    until("the end of the shim", || !Path::new(&format!("/proc/{}", shim.as_raw_nonzero())).exists()).await;
}

#[tokio::test]
async fn a_gigabyte_of_output_needs_no_memory() {
    let world = World::new();
    let script = "head -c 1000000000 /dev/zero; printf end; touch $W/printed; until [ -e $W/go ]; do sleep 0.01; done";
    let mut spec = world.script(script);
    spec.output_limit_bytes = 1000;
    let (run, started) = world.start(&spec).await;
    until("a gigabyte", || world.path("printed").exists()).await;
    let status = fs::read_to_string(format!("/proc/{}/status", started.shim_pid().unwrap())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 32 << 10, "{peak_kib} KiB");
    fs::write(world.path("go"), "").unwrap();
    started.ended().await.unwrap();
    let stdout = ended(&run).stdout;
    assert_eq!(stdout.dropped_bytes, 1_000_000_003 - 1000);
    assert_eq!(stdout.tail, "\0".repeat(997) + "end");
}

#[tokio::test]
async fn binary_output_is_kept_as_text() {
    let world = World::new();
    let outcome = world.run(&world.script(r"printf 'a\377\200\000b'; head -c 4096 /dev/urandom >&2")).await;
    assert_eq!(outcome.stdout.tail, "a\u{fffd}\u{fffd}\0b");
    assert_eq!(outcome.stderr.dropped_bytes, 0);
}

#[tokio::test]
async fn an_outcome_of_which_only_a_part_could_be_written_leaves_the_unknown() {
    let world = World::new();
    let run = world.file(&world.script("echo ran >> $W/ran; head -c 9000 /dev/zero"));
    assert_eq!(shim_within(&world, &run, 8), Some(1));
    let text = fs::read(run.path()).unwrap();
    assert!(text.len() == 8 * 512 && !text.ends_with(b"\n"), "{} bytes", text.len());
    assert_eq!(settle(&run).unwrap(), Settled::Vanished);
    assert_eq!(shim_again(&run), Some(1));
    assert_eq!(world.lines("ran"), 1);
}

#[tokio::test]
async fn a_mark_of_which_only_a_part_could_be_written_is_taken_back() {
    let world = World::new();
    let sized = |filling: usize| world.file(&world.script(&format!("echo ran >> $W/ran{}", " ".repeat(filling))));
    let length = |run: &RunFile| fs::metadata(run.path()).unwrap().len() as usize;
    // Four bytes are left of the second block.
    let run = sized(1020 - length(&sized(0)));
    assert_eq!(length(&run), 1020);
    assert_eq!(shim_within(&world, &run, 2), Some(1));
    assert_eq!(length(&run), 1020);
    assert_eq!(settle(&run).unwrap(), Settled::NeverStarted);
    assert_eq!(world.lines("ran"), 0);
}

#[tokio::test]
async fn the_end_of_the_daemon_ends_no_command() {
    let world = World::new();
    let (run, started) = world.start(&world.script("touch $W/begun; until [ -e $W/go ]; do sleep 0.01; done")).await;
    let shim = pid_of(&started);
    until("the command", || world.path("begun").exists()).await;
    drop(started);
    for signal in [Signal::TERM, Signal::HUP, Signal::TERM, Signal::HUP] {
        kill_process_group(shim, signal).unwrap();
    }
    assert_eq!(settle(&run).unwrap(), Settled::StillRunning);
    assert!(lives(shim));
    fs::write(world.path("go"), "").unwrap();
    wait_unlocked(&run, Duration::from_millis(2)).await.unwrap();
    assert_eq!(ended(&run).end, End::Exited { code: 0 });
    until("the shim to be reaped", || !Path::new(&format!("/proc/{}", shim.as_raw_nonzero())).exists()).await;
}

#[tokio::test]
async fn a_shim_that_is_killed_leaves_the_unknown_and_its_lock() {
    let world = World::new();
    let (run, started) = world.start(&world.script("echo ran >> $W/ran; echo $$ > $W/pid; exec sleep 1000")).await;
    let command = world.pid_in("pid").await;
    kill_process(pid_of(&started), Signal::KILL).unwrap();
    started.ended().await.unwrap();
    assert_eq!(settle(&run).unwrap(), Settled::Vanished);
    assert!(lives(command), "the command holds no lock, and goes on");
    assert_eq!(shim_again(&run), Some(1));
    assert_eq!(settle(&run).unwrap(), Settled::Vanished);
    assert_eq!(world.lines("ran"), 1);
    kill_process(command, Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_shim_that_comes_late_finds_the_mark_or_nothing() {
    let world = World::new();
    let spec = world.script("echo ran >> $W/ran");
    let run = world.file(&spec);
    assert_eq!(settle(&run).unwrap(), Settled::NeverStarted);
    launcher().start(&run, &spec).await.unwrap().ended().await.unwrap();
    assert_eq!(settle(&run).unwrap(), Settled::NeverStarted);
    run.remove().unwrap();
    launcher().start(&run, &spec).await.unwrap().ended().await.unwrap();
    assert_eq!(settle(&run).unwrap(), Settled::Missing);
    assert!(!run.path().exists());
    assert_eq!(world.lines("ran"), 0);

    // A file that is left over from a run that ended is no reason to run again.
    let (run, started) = world.start(&spec).await;
    started.ended().await.unwrap();
    assert_eq!(shim_again(&run), Some(1));
    assert_eq!(ended(&run).end, End::Exited { code: 0 });
    assert_eq!(world.lines("ran"), 1);
}

#[tokio::test]
async fn a_shim_that_cannot_be_started_is_proven_never_to_have_been() {
    let world = World::new();
    let spec = world.script("true");
    let run = world.file(&spec);
    assert!(Launcher::new("/nowhere/lazarus-gate").start(&run, &spec).await.is_err());
    assert_eq!(settle(&run).unwrap(), Settled::NeverStarted);
    assert_eq!(Command::new(SHIM).arg("shim").stderr(Stdio::null()).status().unwrap().code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_settling_and_several_shims_at_once_agree() {
    let (mut never, mut once) = (0, 0);
    for round in 0..60 {
        let world = World::new();
        let spec = world.script("echo ran >> $W/ran");
        let run = world.file(&spec);
        let from = Instant::now();
        let settling = tokio::task::spawn_blocking({
            let run = run.clone();
            move || {
                while from.elapsed() < Duration::from_micros(50 * round) {
                    std::hint::spin_loop();
                }
                settle(&run).unwrap()
            }
        });
        let shims = [launcher().start(&run, &spec).await.unwrap(), launcher().start(&run, &spec).await.unwrap()];
        let early = settling.await.unwrap();
        for shim in shims {
            shim.ended().await.unwrap();
        }
        let last = settle(&run).unwrap();
        let times = match &last {
            Settled::NeverStarted => 0,
            Settled::Ended(_) => 1,
            other => panic!("{other:?}"),
        };
        assert_eq!(world.lines("ran"), times, "{early:?}, then {last:?}");
        assert!(early == last || early == Settled::StillRunning, "{early:?}, then {last:?}");
        if times == 0 { never += 1 } else { once += 1 }
    }
    println!("never started: {never}, ran once: {once}");
}

/// What a crash at each point of the shim leaves: how the run settles, and how often the command ran.
#[cfg(feature = "failpoints")]
#[tokio::test]
async fn killed_anywhere_the_shim_leaves_the_truth() {
    type Check = fn(&Settled) -> bool;
    let never: Check = |settled| *settled == Settled::NeverStarted;
    let vanished: Check = |settled| *settled == Settled::Vanished;
    let done: Check = |settled| matches!(settled, Settled::Ended(Outcome { end: End::Exited { code: 0 }, .. }));
    for (point, runs, check) in [
        ("shim.before_mark", 0, never),
        ("shim.in_mark", 0, vanished),
        ("shim.after_mark", 0, vanished),
        ("shim.before_exec", 0, vanished),
        ("shim.after_exec", 1, vanished),
        ("shim.before_outcome", 1, vanished),
        ("outcome.written", 1, done),
        ("shim.after_outcome", 1, done),
    ] {
        let world = World::new();
        let run = world.file(&world.script("echo ran >> $W/ran"));
        let status = Command::new(SHIM)
            .arg("shim")
            .arg(run.path())
            .env("LAZARUS_FAIL_POINT", point)
            .env("W", world.home.path())
            .status()
            .unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{point}");
        until("the command", || world.lines("ran") >= runs).await;
        for _ in 0..2 {
            let settled = settle(&run).unwrap();
            assert!(check(&settled), "{point}: {settled:?}");
            assert_eq!(shim_again(&run), Some(1), "{point}");
        }
        assert_eq!(world.lines("ran"), runs, "{point}");
    }
}

/// The second hit is meant, and there is none: nobody dies.
#[cfg(feature = "failpoints")]
#[test]
fn a_point_counts_its_hits() {
    let world = World::new();
    let run = world.file(&world.script("true"));
    let mut shim = Command::new(SHIM);
    shim.arg("shim").arg(run.path()).env("LAZARUS_FAIL_POINT", "shim.before_mark:2");
    assert!(shim.status().unwrap().success());
    assert_eq!(ended(&run).end, End::Exited { code: 0 });
}
