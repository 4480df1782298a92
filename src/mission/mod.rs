//! The mission bus: who takes part in a mission and in which role, one stream of messages,
//! checkpoints and handoffs, and the packet with which somebody resumes what another began.
//!
//! Two layers, both pure. The first is the reference's bus as it stands: [`MissionBus`], its
//! participants, events, profiles and packets, with the reference's JSON, numbering and errors, so
//! that files in use today load and export unchanged. The second is what a gateway needs that runs
//! for years beside agents that die; the store asks it before each append:
//!
//! * [`Permissions::require`]: the one check of a role, for reading as well as for writing;
//! * [`Incarnations`]: which incarnation of an agent may write, by epoch and nonce;
//! * [`Part`]: a handoff is offered, then accepted, declined or expired, and exactly one
//!   participant owns each part at any moment;
//! * [`chain`]: each event holds the hash of the one before, so that a stream can be verified;
//! * [`limit`]: how large an event may be, and how larger state is referred to.
//!
//! [`BusCommand`] is the grammar in which people speak of missions, whatever channel they use.
//!
//! The second layer changes nothing that the first exports: a handoff's state, epochs and hashes
//! stand beside the events, not in them.

pub mod chain;
pub mod limit;

mod bus;
mod command;
mod config;
mod draft;
mod error;
mod event;
mod incarnation;
mod keep;
mod packet;
mod part;
mod participant;
mod permission;
mod profile;
mod shape;
mod stamp;

pub use bus::MissionBus;
pub use command::{BUS_FORMS, BusCommand, BusForm, HandFrom, HandoffRef, NotOfTheBus};
pub use config::{DEFAULT_CONFIG, MissionConfig, load_profiles};
pub use draft::Draft;
pub use error::MissionError;
pub use event::{EventKind, MissionCheckpoint, MissionEvent, MissionHandoff, MissionMessage};
pub use incarnation::{Attach, Attachment, Claim, Incarnations, Nonce, Raise, RaisedBy};
pub use packet::ResumePacket;
pub use part::{Offer, OfferEnd, Part};
pub use participant::{MissionParticipant, Participants};
pub use permission::{Capability, MissionRole, Permissions};
pub use profile::IsolationProfile;
pub use stamp::{Stamp, event_moment, event_time};

#[cfg(test)]
mod tests;
