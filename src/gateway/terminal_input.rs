//! Lines of the daemon's own standard input: said by the user the daemon runs as.

use std::io::BufReader;
use std::sync::Arc;

use super::{Gateway, inbox};
use crate::approval::InputId;
use crate::channel::{Terminal, listen};
use crate::web::Submitted;

/// Takes in every line until the input ends, and answers it there.
pub async fn run(gateway: Arc<Gateway>, output: Terminal) {
    let input = Box::new(BufReader::new(std::io::stdin()));
    let submit = |said| {
        let gateway = Arc::clone(&gateway);
        async move {
            let id = InputId(gateway.ids.id(gateway.clock.now()));
            match inbox::submit(&gateway, id, said).await {
                Ok(Submitted::Answered(answer)) => answer.text,
                Ok(Submitted::Pending | Submitted::IdTaken) => "it is being worked off".to_owned(),
                Err(error) => format!("it could not be taken in: {}", inbox::chain(&error)),
            }
        }
    };
    let listening = listen(&output, input, gateway.own_uid, submit);
    tokio::select! {
        outcome = listening => {
            if let Err(error) = outcome {
                tracing::error!(%error, "standard input cannot be read");
            }
        }
        () = gateway.bells.stopped() => {}
    }
}
