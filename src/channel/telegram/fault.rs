//! What the Bot API answers when it does not do what was asked. Its texts change from release to
//! release, so they are told apart by their status first, and by the few words that have stayed.

use std::time::Duration;

use serde::Deserialize;

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too many calls (429).
    #[error("too many calls; Telegram wants a pause of {} s", after.as_secs())]
    Flood {
        /// Nothing before this time has passed.
        after: Duration,
    },
    /// The group has become a supergroup, with another id.
    #[error("the group has become a supergroup ({to})")]
    Migrated {
        /// Its id now.
        to: i64,
    },
    /// The token is no good (401, or 404 for a malformed one).
    #[error("Telegram does not know this bot token; was it revoked?")]
    Unauthorized,
    /// Somebody else polls with this token, or a webhook is set (409).
    #[error("{why}")]
    Conflict {
        /// In Telegram's words.
        why: String,
    },
    /// The chat cannot be written to: kicked, blocked, deleted, no rights.
    #[error("{why}")]
    ChatLost {
        /// In Telegram's words.
        why: String,
    },
    /// The topic is not there, or is closed.
    #[error("{why}")]
    TopicLost {
        /// In Telegram's words.
        why: String,
    },
    /// The message to be edited is not there any more.
    #[error("{why}")]
    MessageLost {
        /// In Telegram's words.
        why: String,
    },
    /// The message says that already.
    #[error("the message says that already")]
    NotModified,
    /// The markup was not understood.
    #[error("{why}")]
    BadMarkup {
        /// In Telegram's words.
        why: String,
    },
    /// The tap is too old to be answered, or was answered before.
    #[error("the tap is too old to be answered")]
    TapTooOld,
    /// Anything else that will not get better by trying again.
    #[error("{why}")]
    Refused {
        /// In Telegram's words.
        why: String,
    },
    /// Telegram is in trouble (5xx).
    #[error("Telegram is in trouble (status {status})")]
    Server {
        /// Its status.
        status: u16,
    },
    /// No answer came, or it was cut off: nobody knows whether the call was carried out.
    #[error("no answer: {why}")]
    Network {
        /// Without the address, which holds the token.
        why: String,
    },
    /// An answer came that cannot be read.
    #[error("an answer that cannot be read (status {status})")]
    Unreadable {
        /// Its status.
        status: u16,
    },
}

/// The frame of each answer.
#[derive(Debug, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    error_code: u16,
    #[serde(default)]
    description: String,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    migrate_to_chat_id: Option<i64>,
}

/// Telegram's longest pauses are minutes; whatever asks for more is looked at again in an hour.
const FLOOD_MAX: Duration = Duration::from_secs(3600);
/// A pause that does not say how long.
const FLOOD: Duration = Duration::from_secs(5);

impl Fault {
    /// Reads a refusal.
    pub(super) fn of(status: u16, refusal: Refusal) -> Self {
        let Refusal { error_code, description, parameters } = refusal;
        let code = if error_code == 0 { status } else { error_code };
        if let Some(to) = parameters.migrate_to_chat_id {
            return Self::Migrated { to };
        }
        if code == 429 || parameters.retry_after.is_some() {
            let after = parameters.retry_after.map_or(FLOOD, Duration::from_secs).min(FLOOD_MAX);
            return Self::Flood { after };
        }
        let why = crate::wording::harmless(&description, crate::wording::REASON_MAX);
        match code {
            401 => Self::Unauthorized,
            // An unknown method would be a defect of ours; a token of a wrong shape gets this, too.
            404 if description.eq_ignore_ascii_case("not found") => Self::Unauthorized,
            409 => Self::Conflict { why },
            403 => Self::ChatLost { why },
            500..=599 => Self::Server { status: code },
            _ => Self::bad_request(&description.to_lowercase(), why),
        }
    }

    fn bad_request(words: &str, why: String) -> Self {
        let has = |any: &[&str]| any.iter().any(|part| words.contains(part));
        if has(&["is not modified"]) {
            Self::NotModified
        } else if has(&["message to edit not found", "message can't be edited", "message_id_invalid"]) {
            Self::MessageLost { why }
        } else if has(&["thread not found", "topic_closed", "topic_deleted", "topic closed", "topic was deleted"]) {
            Self::TopicLost { why }
        } else if has(&["parse entities", "unsupported start tag", "can't find end"]) {
            Self::BadMarkup { why }
        } else if has(&["query is too old", "query id is invalid"]) {
            Self::TapTooOld
        } else if has(&[
            "chat not found",
            "group chat was deactivated",
            "not enough rights",
            "have no rights",
            "chat_write_forbidden",
            "peer_id_invalid",
            "user_deactivated",
            "chat_restricted",
        ]) {
            Self::ChatLost { why }
        } else {
            Self::Refused { why }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(status: u16, body: &str) -> Fault {
        Fault::of(status, serde_json::from_str(body).unwrap())
    }

    #[test]
    fn refusals_are_told_apart() {
        let why = |text: &str| text.to_owned();
        let said = |code: u16, text: &str| format!(r#"{{"ok":false,"error_code":{code},"description":"{text}"}}"#);
        for (code, text, expected) in [
            (401, "Unauthorized", Fault::Unauthorized),
            (404, "Not Found", Fault::Unauthorized),
            (
                403,
                "Forbidden: bot was kicked from the supergroup chat",
                Fault::ChatLost { why: why("Forbidden: bot was kicked from the supergroup chat") },
            ),
            (400, "Bad Request: chat not found", Fault::ChatLost { why: why("Bad Request: chat not found") }),
            (
                400,
                "Bad Request: message thread not found",
                Fault::TopicLost { why: why("Bad Request: message thread not found") },
            ),
            (400, "Bad Request: message is not modified: specified new message content", Fault::NotModified),
            (
                400,
                "Bad Request: message to edit not found",
                Fault::MessageLost { why: why("Bad Request: message to edit not found") },
            ),
            (
                400,
                "Bad Request: can't parse entities: x",
                Fault::BadMarkup { why: why("Bad Request: can't parse entities: x") },
            ),
            (
                400,
                "Bad Request: query is too old and response timeout expired or query ID is invalid",
                Fault::TapTooOld,
            ),
            (400, "Bad Request: BUTTON_DATA_INVALID", Fault::Refused { why: why("Bad Request: BUTTON_DATA_INVALID") }),
            (502, "Bad Gateway", Fault::Server { status: 502 }),
        ] {
            assert_eq!(fault(code, &said(code, text)), expected, "{text}");
        }
        let conflict = "Conflict: terminated by other getUpdates request";
        assert_eq!(fault(409, &said(409, conflict)), Fault::Conflict { why: why(conflict) });
        let flood = r#"{"error_code":429,"description":"Too Many Requests","parameters":{"retry_after":7}}"#;
        assert_eq!(fault(429, flood), Fault::Flood { after: Duration::from_secs(7) });
        let moved = r#"{"error_code":400,"description":"x","parameters":{"migrate_to_chat_id":-1005}}"#;
        assert_eq!(fault(400, moved), Fault::Migrated { to: -1005 });
        assert_eq!(fault(429, "{}"), Fault::Flood { after: FLOOD });
    }
}
