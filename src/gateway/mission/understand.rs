use serde_json::Value;

use crate::approval::{Code, Command, Misunderstood};
use crate::mission::{BusCommand, NotOfTheBus};
use crate::wording;

/// What a line comes to, in one of the two grammars.
#[derive(Clone, Debug, PartialEq)]
pub enum Understood {
    /// It is about requests, or the gateway.
    Gateway(Command),
    /// It is about missions.
    Bus(BusCommand),
    /// It is neither; for the person.
    Neither {
        /// The right form.
        text: String,
    },
}

/// Reads one line: what the one grammar has no verb for may be one of the other.
pub fn understand(line: &str, context: Option<Code>, document: Option<Value>) -> Understood {
    let wrong = match Command::parse(line, context) {
        Ok(command) => return Understood::Gateway(command),
        Err(wrong) => wrong,
    };
    if wrong == Misunderstood::NoSuchVerb {
        match BusCommand::parse(line, document) {
            Ok(command) => return Understood::Bus(command),
            Err(wrong @ NotOfTheBus::WrongForm { .. }) => {
                return Understood::Neither { text: wording::misunderstood_of_the_bus(&wrong) };
            }
            Err(NotOfTheBus::OtherVerb) => {}
        }
    }
    Understood::Neither { text: wording::misunderstood(&wrong) }
}
