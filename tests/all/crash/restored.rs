//! A backup that was put back, and deaths while it is recognised.

use std::fs;

use super::play::calm;
use super::play_all;
use crate::world::World;

/// The store as it was while people were asked, put back after another start.
fn put_back() -> (World, String) {
    let mut world = World::with_agents(&["ada"]).but(calm).start();
    world.silence("ada");
    let code = world.asked_about("ada");
    world.stop();
    let (store, old) = (world.store(), world.path("old.db"));
    fs::copy(&store, &old).expect("a copy of the store");
    world.start_daemon();
    world.stop();
    fs::copy(&old, &store).expect("the copy is put back");
    (world, code)
}

#[test]
fn a_death_while_a_backup_is_recognised_revives_no_request_and_tells_it_once() {
    let points = [
        "store.before_commit:1",
        "store.after_commit:1",
        "start.before_generation_file",
        "generation.before_rename",
        "generation.after_rename",
        "store.before_commit:2",
    ];
    play_all(&points, |point| {
        let (mut world, old) = put_back();
        world.spawn_daemon(&[], Some(point));
        world.until_daemon_died();
        world.start_daemon();
        let new = world.asked_about("ada");
        assert_ne!(new, old, "people are asked anew, under a new code");
        assert_eq!(world.journaled("", "restored_backup").len(), 1);
        assert_eq!(world.journaled("ada", "withdrawn").len(), 1);
        world.says(&["approve", &old]).refused("");
        world.says(&["approve", &new]).taken();
        world.until_journal("ada", "recovered");
        assert_eq!(world.runs_of("ada"), 1);
    });
}
