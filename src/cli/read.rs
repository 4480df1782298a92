//! Commands that only read: from the daemon, or where none answers from the store itself, as far as
//! the caller may.

use std::time::Duration;

use super::World;
use super::exit::{Exit, Neither};
use super::out;
use super::place::{Place, Reach};
use super::say::refuse;
use crate::pool::Timestamp;
use crate::store::{Reader, Store, StoreError, meta};
use crate::web::{ClientError, Shown};
use crate::wording::{HoldInfo, Setting};

/// The store without a daemon.
pub struct Alone {
    /// The store.
    pub reader: Reader,
    /// How texts are written.
    pub setting: Setting,
    /// How long a request can be answered.
    pub approval_ttl: Duration,
    /// When the command was started.
    pub now: Timestamp,
}

/// Prints what the daemon has at `address`; where none answers, what `alone` makes of the store. None is
/// "there is no such thing".
///
/// # Errors
/// As [`Exit::of`] tells them apart.
pub fn read(
    world: &World,
    place: &Place,
    address: &str,
    json: bool,
    alone: impl AsyncFnOnce(&Alone) -> Result<Option<Shown>, StoreError>,
) -> anyhow::Result<Exit> {
    match fetch(world, place, address, alone)? {
        Ok(shown) => {
            out::print(&shown.text, &shown, json)?;
            Ok(Exit::Done)
        }
        Err((exit, error, text)) => refuse(exit, &error, &text, json),
    }
}

/// What was not done: how that ends, in a word, and for people.
pub type NotDone = (Exit, String, String);

/// As [`read`], without printing.
///
/// # Errors
/// As of [`read`].
pub fn fetch(
    world: &World,
    place: &Place,
    address: &str,
    alone: impl AsyncFnOnce(&Alone) -> Result<Option<Shown>, StoreError>,
) -> anyhow::Result<Result<Shown, NotDone>> {
    fetch_or(world, place, address, async |store| {
        let none = || (Exit::NotFound, "unknown".to_owned(), "there is no such request or agent".to_owned());
        Ok(alone(store).await?.ok_or_else(none))
    })
}

/// As [`fetch`], for what says itself why it is not shown.
///
/// # Errors
/// As of [`read`].
pub fn fetch_or(
    world: &World,
    place: &Place,
    address: &str,
    alone: impl AsyncFnOnce(&Alone) -> Result<Result<Shown, NotDone>, StoreError>,
) -> anyhow::Result<Result<Shown, NotDone>> {
    let reach = place.reach(&world.ambient)?;
    super::block_on(async {
        match reach.client().read(address).await {
            Ok(shown) => Ok(Ok(shown)),
            Err(ClientError::Refused { status, problem }) => {
                let exit = Exit::from(&ClientError::Refused { status, problem: problem.clone() });
                Ok(Err((exit, problem.error, problem.text)))
            }
            Err(error @ ClientError::NoDaemon { .. }) => {
                let store = match open(&reach, world.ambient.now).await {
                    Ok(store) => store,
                    Err(why) => return Err(Neither(error, format!("{why:#}")).into()),
                };
                out::aside(&format!("{error}\nWhat follows is what the store last knew."));
                let shown = alone(&store).await;
                store.reader.close().await;
                Ok(shown?)
            }
            Err(error) => Err(error.into()),
        }
    })?
}

/// Opens the store for reading; the caller owns it or is root.
///
/// # Errors
/// No file says where it is, or it cannot be opened.
pub async fn open(reach: &Reach, now: Timestamp) -> anyhow::Result<Alone> {
    let path = reach.store()?;
    let reader = Store::open_read_only(path).await?;
    let hold = meta::hold(&mut reader.read().await?).await?;
    let hold = hold.map(|hold| HoldInfo { by: hold.by, since: hold.since, reason: hold.reason });
    let gate = reach.gate.as_ref();
    let setting = Setting {
        zone: gate.map_or(jiff::tz::TimeZone::UTC, |gate| gate.timezone.clone()),
        issue: gate.map_or(crate::pool::DEFAULT_ISSUE, |gate| gate.issue),
        observing: gate.is_some_and(|gate| gate.observe),
        hold,
    };
    let approval_ttl = gate.map_or(Duration::from_secs(3600), |gate| gate.timing.approval_ttl);
    Ok(Alone { reader, setting, approval_ttl, now })
}
