//! Who may decide, what they can say, and what becomes of a request.
//!
//! * [`People`] holds who counts and for which missions (invariant 5);
//! * [`Command`] is the one grammar that a tap, a typed reply and a signed event all become;
//! * [`Drill`] is a question that decides nothing: would people be reached?
//! * [`Request`] is the packet that asks people about one incident, with its machine.
//!
//! Everything here is pure: `now`, codes and ids are arguments.

mod code;
mod command;
mod drill;
mod key;
mod people;
mod press;
mod question;
mod request;
mod said;
mod window;

pub use code::{Code, InvalidCode};
pub use command::{Command, FORMS, Form, Misunderstood, Target};
pub use drill::{DRILL_MAX, DRILL_MIN, DRILL_WAIT, Drill, DrillState, NotHere};
pub use key::{ApprovalKey, InvalidKey};
pub use people::{Approves, Channel, People, Person, PersonId, SameIdentity, Speaker};
pub use press::Press;
pub use question::{QUESTIONS, Question};
pub use request::{Action, Closed, Decision, InputId, Offers, Request, RequestId, RequestState, Withdrawal};
pub use said::{Answer, AnswerKind, Said};
pub use window::{WrongTime, answers_in_time, is_meant_now};
