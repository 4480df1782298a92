use insta::assert_snapshot;

use super::*;

pub(super) fn alarms(text: &str) -> Vec<Alarm> {
    let text = || text.to_owned();
    let all = vec![
        Alarm::InputSetAside { id: InputId("0199-ab".into()), why: text() },
        Alarm::UnknownTooLong { cause: text(), agents: 3 },
        Alarm::UnsettledRun { agent: agent("ezra"), execution: execution_id() },
        Alarm::ReloadFailed { problem: text(), problems: 2 },
        Alarm::MissionWithoutApprovers { mission: mission("archive") },
        Alarm::PersonRevoked { person: kim(), by: Some("lee".into()) },
        Alarm::PersonRevoked { person: kim(), by: None },
        Alarm::Held { by: "kim".into(), reason: Some(text()) },
        Alarm::Released { by: "kim".into() },
        Alarm::RestoredBackup { withdrawn: 2, called_off: 1 },
        Alarm::ClockJumped { by_ms: -3_600_000 },
        Alarm::SweepLate { by: Duration::from_secs(95) },
        Alarm::DescriptorsCapped { slots: 768 },
        Alarm::ChannelDown { channel: "terminal".into(), why: text() },
        Alarm::ChannelStopped { channel: "telegram".into(), why: text() },
        Alarm::ChatLost { chat: "ops-room".into(), why: text() },
        Alarm::ChatMoved { chat: "ops-room".into(), to: -1_001_234_567_890 },
        Alarm::OriginalReturned { agent: agent("ezra"), by: agent("timmy"), mission: mission("archive") },
        Alarm::ImportCut { mission: mission("forge") },
        Alarm::AgentsShut { at: "127.0.0.1:8750".into(), why: text() },
        Alarm::NewConfig { changes: vec![text(), "people: lee is new".into()] },
        Alarm::DaemonStarted { observing: false },
        Alarm::DaemonStarted { observing: true },
        Alarm::StorePressure { why: text() },
        Alarm::BrokenPromise { agent: agent("ezra"), what: text() },
    ];
    covers(&all, 23, |alarm| match alarm {
        Alarm::InputSetAside { .. } => 0,
        Alarm::UnknownTooLong { .. } => 1,
        Alarm::UnsettledRun { .. } => 2,
        Alarm::ReloadFailed { .. } => 3,
        Alarm::MissionWithoutApprovers { .. } => 4,
        Alarm::PersonRevoked { .. } => 5,
        Alarm::Held { .. } => 6,
        Alarm::Released { .. } => 7,
        Alarm::RestoredBackup { .. } => 8,
        Alarm::ClockJumped { .. } => 9,
        Alarm::SweepLate { .. } => 10,
        Alarm::DescriptorsCapped { .. } => 11,
        Alarm::ChannelDown { .. } => 12,
        Alarm::NewConfig { .. } => 13,
        Alarm::DaemonStarted { .. } => 14,
        Alarm::StorePressure { .. } => 15,
        Alarm::BrokenPromise { .. } => 16,
        Alarm::ChannelStopped { .. } => 17,
        Alarm::ChatLost { .. } => 18,
        Alarm::ChatMoved { .. } => 19,
        Alarm::AgentsShut { .. } => 20,
        Alarm::OriginalReturned { .. } => 21,
        Alarm::ImportCut { .. } => 22,
    });
    all
}

#[test]
fn each_alarm_says_what_happened_and_what_to_do() {
    let texts = alarms("disk full").into_iter().map(|alarm| (format!("{:?}", alarm.urgency()), alarm.text()));
    assert_snapshot!(table(texts), @r"
    -- Alarm
    [input_set_aside] the input 0199-ab could not be worked off three times: disk full.
    Its sender is told; nothing was done. Then: `inbox retry 0199-ab`.
    -- Alarm
    [unknown_too_long] no answer on 3 agents for longer than the timeout: disk full.
    Nothing is done for an agent without an answer. Look at this machine and its network first.
    -- Alarm
    [unsettled_run] the command for ezra should have ended long ago (execution x1).
    Ezra stays blocked until it ends. Find it with `ps -ef`, as the child of its `shim`, and end it, not the shim: others may share it.
    -- Alarm
    [reload_failed] the new configuration is not taken (2 problems); the first: disk full.
    The old one stays in force, but for people who were taken out. `check` prints all problems.
    -- Alarm
    [mission_without_approvers] nobody may decide for the mission 'archive'.
    Its requests stay pending. Name somebody who `approves` it in `people`.
    -- Decision
    [person_revoked] kim was revoked by lee.
    What kim approved and has not begun does not run. Take kim out of `people`, too.
    -- Decision
    [person_revoked] kim is out of `people`.
    What kim approved and has not begun does not run.
    -- Decision
    [held] executions are on hold, said kim: disk full.
    Nothing is begun until somebody says `release`; what had begun goes on.
    -- Decision
    [released] the hold is over, said kim.
    What waited is planned and checked anew.
    -- Alarm
    [restored_backup] the store is a restored backup: 2 requests withdrawn, 1 execution called off.
    What is still dead is asked about anew, under new keys. Answers given after the backup are lost.
    -- Alarm
    [clock_jumped] this machine's clock jumped back by 1 h.
    The watch over every agent begins anew, deadlines keep the time they had. Look at its time service.
    -- Alarm
    [sweep_late] the probes are 1 min 35 s behind their schedule.
    Deaths are noticed later. Is this machine overloaded, or `interval` too short for the fleet?
    -- Alarm
    [descriptors_capped] only 768 probes at once: too few file descriptors for more.
    Sweeps take longer. Raise the limit (`LimitNOFILE=` in the unit, `ulimit -n`).
    -- Alarm
    [channel_down] the channel terminal is down: disk full.
    People there are not reached. The other channels go on; `status` shows when it is back.
    -- Alarm
    [channel_stopped] the channel telegram is stopped: disk full.
    Nobody is asked or heard there until that is mended; then load the files anew (SIGHUP) or restart. The other channels go on.
    -- Alarm
    [chat_lost] the Telegram chat ops-room cannot be written to: disk full.
    People there are not asked. Add the bot again (and let it write), or name another chat.
    -- Decision
    [chat_moved] the Telegram group ops-room has become a supergroup with the id -1001234567890.
    It is written to there from now on; put the new id into the configuration, too.
    -- Decision
    [original_returned] ezra is back, and timmy has its work on the mission 'archive'.
    Hand it back? `handback ezra` offers it to ezra; else timmy keeps it.
    -- Alarm
    [import_cut] the import of the mission 'forge' was cut off, and what there was of it is taken away.
    There is no mission 'forge'. Import it once more.
    -- Alarm
    [agents_shut] the door for agents at 127.0.0.1:8750 cannot be opened: disk full.
    Agents cannot come in until it is; it is tried again and again. Everything else goes on.
    -- Progress
    [new_config] a new configuration is in force: disk full, people: lee is new.
    Open incidents are planned anew under it.
    -- Progress
    [daemon_started] the gateway has started.
    `status` shows what it watches.
    -- Progress
    [daemon_started] the gateway has started, OBSERVING ONLY.
    It asks and tells, and runs nothing. Start it without --observe to let it act.
    -- Alarm
    [store_pressure] the store is in trouble: disk full.
    Answers may wait, and nothing runs that was not recorded. Look at its disk; `doctor` tells more.
    -- Alarm
    [broken_promise] a step for ezra would have broken a promise, and was not taken: disk full.
    This is a defect of the gateway: report it, with `journal` and `explain`. Others go on.
    ");
}

#[test]
fn an_alarm_is_kept_under_its_word_and_reads_back() {
    for alarm in alarms("disk full") {
        let kept = serde_json::to_value(&alarm).unwrap();
        assert_eq!(kept["alarm"], alarm.word());
        assert_eq!(serde_json::from_value::<Alarm>(kept).unwrap(), alarm);
    }
}

#[test]
fn a_long_list_of_changes_is_cut() {
    let text = Alarm::NewConfig { changes: (0..25).map(|n| format!("c{n}")).collect() }.text();
    assert!(text.contains("c9 … (15 more)"), "{text}");
}
