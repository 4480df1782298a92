//! The story as `--auto` plays it: over the local socket, like a person at another terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{anyhow, bail};
use serde_json::Value;

use super::fleet::Fleet;
use crate::approval::{AnswerKind, Code, Target};
use crate::channel::Terminal;
use crate::channel::nostr::nostr_sdk::Timestamp as Seconds;
use crate::channel::nostr::{Approver, Identity, NotDecided, Told, Verb};
use crate::cli::Ambient;
use crate::config::{self, Users};
use crate::web::{Client, Patience};

/// How long each step may take, on a busy machine too.
const STEP_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked whether it happened.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Kills ada, approves, and sees her live again.
pub async fn tell(fleet: &Fleet, output: &Terminal) -> anyhow::Result<()> {
    let client = Client::new(&fleet.socket(), Patience::default());
    until("the daemon answers", async || Ok(client.is_answered().await.then_some(()))).await?;
    until("ada is seen healthy", async || {
        let seen = client.read("/v1/explain/ada").await?;
        Ok((seen.value.get("health") == Some(&Value::from("healthy"))).then_some(()))
    })
    .await?;

    let pid = fleet.kill("ada")?;
    output.say(&format!("--- ada (process {pid}) has been killed\n")).await?;
    let code = until("people are asked about ada", async || {
        let pending = client.read("/v1/pending").await?;
        let asked = pending.value.get("requests").and_then(Value::as_array).into_iter().flatten();
        let of_ada = asked.map(|one| &one["request"]).find(|request| request["agent"] == "ada");
        Ok(of_ada.and_then(|request| request["code"].as_str()).map(str::to_owned))
    })
    .await?;

    let key = fleet.approver();
    output.say(&format!("\n--- somebody signs: approve {code} --nostr --key {}\n", key.display())).await?;
    let gate =
        config::load_gate_only(&fleet.config(), &Users::of_this_machine()).map_err(|problem| anyhow!("{problem}"))?;
    let approver = Approver {
        identity: Identity::read(key)?,
        gateway: Identity::find(&gate.channels.nostr, &BTreeMap::new())?.public(),
        relays: gate.channels.nostr.all_relays(),
    };
    let target = Target::Code(Code::parse(&code)?);
    let now = || Seconds::from(u64::try_from(Ambient::of_this_process().now.as_secs()).unwrap_or(0));
    let told = until("the request is at the relay", async || {
        match approver.decide(&target, Verb::Approve, "", now(), STEP_WITHIN).await {
            Ok(told) => Ok(Some(told)),
            // It was seen at the socket, and is on its way here.
            Err(NotDecided::NoRequest(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    match told {
        Told::Answer { outcome: AnswerKind::Taken, .. } => {}
        Told::Answer { text, .. } => bail!("the approval was not taken: {text}"),
        Told::Nothing => bail!("the gateway has not answered"),
    }
    for (kind, what) in [
        ("started", "the restart is started"),
        ("done", "the restart has ended"),
        ("verified", "ada is verified to live"),
        ("recovered", "the incident is closed"),
    ] {
        until(what, async || {
            let history = client.read("/v1/history?agent=ada&limit=100").await?;
            let entries = history.value.get("entries").and_then(Value::as_array).into_iter().flatten();
            Ok(entries.into_iter().any(|entry| entry["kind"] == kind).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Looks again and again until `what` is so.
async fn until<T>(what: &str, look: impl AsyncFn() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(STEP_WITHIN, looking).await {
        Ok(found) => found,
        Err(_) => bail!("it did not happen within {} s that {what}", STEP_WITHIN.as_secs()),
    }
}
