//! The way of a packet by HTTP, and what an answer to a packet does, whichever way it came.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::begin::packet_of;
use super::ledger::{self, Entry};
use super::mission::takeover;
use super::revive::{Further, PAUSE, said};
use super::{Gateway, mission};
use crate::config::gate::DeliveryWay;
use crate::incident::{self, Case, Conclusion, Execution, Facts, OfferStands};
use crate::revival::{NotDelivered, Post, Reply, post};
use crate::store::missions;

/// How often a packet is sent before it counts as not delivered.
const TRIES: u32 = 3;
/// Most bytes of a file with a token.
const TOKEN_MAX: u64 = 8 * 1024;

/// Sends the packet of a running execution that no command delivers. Done again after a crash, under the same key;
/// `is_first`: it was not sent before, for the execution has only just begun.
pub async fn deliver(
    gateway: &Arc<Gateway>,
    case: &Case,
    execution: &Execution,
    is_first: bool,
) -> Result<Further, String> {
    let who = execution.substitute().map(ToString::to_string).unwrap_or_default();
    // Whoever may have got it may be at work: the offer waits for its answer.
    let not_delivered = |unclear: bool, why: String| match unclear {
        true => Conclusion::Unknown(format!("nobody can say whether {who} got the packet: {why}")),
        false => Conclusion::Failed(why),
    };
    let in_force = gateway.in_force();
    let delivery = execution.substitute().and_then(|who| in_force.delivery_of(who));
    let (Some(DeliveryWay::Post { url, token_file, timeout }), Some(made)) =
        (delivery.map(|delivery| &delivery.way), &execution.takeover)
    else {
        let why = "its `delivery` is another one by now".to_owned();
        return conclude(gateway, execution, not_delivered(!is_first, why), None).await;
    };
    let resume = {
        let mut db = gateway.store.read().await.map_err(said)?;
        missions::packet(&mut db, &execution.mission, &made.handoff).await.map_err(said)?
    };
    let resume = match resume {
        Ok(resume) => serde_json::json!(resume),
        Err(refused) => {
            return conclude(gateway, execution, not_delivered(!is_first, refused.to_string()), None).await;
        }
    };
    let body = packet_of(case, execution, Some((&made.handoff, resume)));
    let token = match token_file.clone() {
        None => None,
        Some(path) => match tokio::task::spawn_blocking(move || read_token(&path)).await {
            Ok(Ok(token)) => Some(token),
            Ok(Err(_)) | Err(_) => {
                let why = "the file with the token for its delivery cannot be read".to_owned();
                return conclude(gateway, execution, not_delivered(!is_first, why), None).await;
            }
        },
    };
    let (mut left, mut unclear) = (TRIES, !is_first);
    let outcome = loop {
        left -= 1;
        fail_point!("takeover.before_post");
        let sent = post(Post {
            url: url.reveal(),
            token: token.as_deref(),
            key: &made.handoff,
            body: body.clone().into_bytes(),
            timeout: *timeout,
        });
        let outcome = sent.await;
        unclear |= matches!(outcome, Err(NotDelivered::Unclear(_)));
        match outcome {
            Err(why) if left > 0 => tracing::warn!(execution = execution.id.0, %why, "a packet is sent again"),
            outcome => break outcome,
        }
        tokio::time::sleep(PAUSE).await;
    };
    fail_point!("takeover.after_post");
    match outcome {
        Ok(reply) => conclude(gateway, execution, Conclusion::Done, reply).await,
        Err(why) => {
            let why = match unclear {
                true => why.to_string(),
                false => format!("the packet could not be delivered to {who}: {why}"),
            };
            conclude(gateway, execution, not_delivered(unclear, why), None).await
        }
    }
}

fn read_token(path: &Path) -> std::io::Result<String> {
    // A pipe would keep its reader waiting.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    let mut token = String::new();
    File::open(path)?.take(TOKEN_MAX + 1).read_to_string(&mut token)?;
    match token.len() as u64 <= TOKEN_MAX {
        true => Ok(token.trim().to_owned()),
        false => Err(std::io::ErrorKind::InvalidData.into()),
    }
}

/// What became of the delivery, with the substitute's answer if it came along, in one transaction.
pub async fn conclude(
    gateway: &Arc<Gateway>,
    execution: &Execution,
    conclusion: Conclusion,
    reply: Option<Reply>,
) -> Result<Further, String> {
    let (job, incident, id) = (Arc::clone(gateway), execution.incident.clone(), execution.id.clone());
    fail_point!("takeover.before_concluded");
    let concluded = gateway.store.write(move |tx| {
        Box::pin(async move {
            let entry = Entry::open(tx, &job).await?;
            let Some(case) = ledger::case_of(tx, &incident).await? else { return Ok(()) };
            let Some(execution) = case.execution.clone().filter(|one| one.id == id) else { return Ok(()) };
            if let (Some(reply), Conclusion::Done) = (&reply, &conclusion) {
                takeover::answered(tx, &entry, &execution, reply.declined().as_deref()).await?;
            }
            // Whoever has accepted was told, however its delivery ended.
            let stands = takeover::stands(tx, &execution).await?;
            let accepted = stands == Some(OfferStands::Accepted);
            let conclusion = if accepted { Conclusion::Done } else { conclusion };
            let moved = |mut case: Case, facts: &Facts<'_>| {
                let of_case = case.execution.as_mut().and_then(|one| one.takeover.as_mut());
                if let (Some(takeover), Some(stands)) = (of_case, &stands) {
                    takeover.stands = stands.clone();
                }
                Ok::<_, std::convert::Infallible>(incident::returned(case, conclusion.clone(), facts))
            };
            let Ok(_) = entry.apply(tx, case, None, &moved).await?;
            Ok(())
        })
    });
    concluded.await.map_err(said)?;
    fail_point!("takeover.after_concluded");
    mission::committed(gateway);
    Ok(Further::Goes(None))
}
