use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use rand::Rng as _;

use crate::approval::{Code, RequestId};
use crate::incident::{ExecutionId, Fresh};
use crate::pool::{IncidentId, Timestamp};

/// The one source of ids and randomness.
#[derive(Debug, Default)]
pub struct Ids {
    made: AtomicU32,
}

impl Ids {
    /// An id that sorts by time, then by the order of making within this process; unique by its
    /// random end. Letters, digits and hyphens only, since run files are named after it.
    pub fn id(&self, now: Timestamp) -> String {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{:012x}-{nth:08x}-{:08x}", now.as_millis().max(0), self.random())
    }

    /// Ids for one step.
    pub fn fresh(&self, now: Timestamp) -> Fresh {
        Fresh {
            incident: IncidentId(self.id(now)),
            request: RequestId(self.id(now)),
            code: Code::from_random(self.random()),
            last_key_second: None,
            execution: ExecutionId(self.id(now)),
        }
    }

    /// 128 random bits as text, 22 letters: what a button holds.
    pub fn token(&self) -> String {
        let bits: Vec<u8> = (0..4).flat_map(|_| self.random().to_be_bytes()).collect();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bits)
    }

    /// A number from 0 up to, but not including, 1; for jitter.
    #[expect(clippy::disallowed_methods, reason = "the one source of randomness")]
    pub fn share(&self) -> f64 {
        rand::rng().random_range(0.0..1.0)
    }

    #[expect(clippy::disallowed_methods, reason = "the one source of randomness")]
    fn random(&self) -> u32 {
        rand::rng().random()
    }
}
