//! Legs that wait for us, whose talk is not known to be over.
//!
//! Who has sent a leg here, the end of the leg that it talked to will tell, which FreeSWITCH reports a moment before or
//! after: so the verdict waits for that end, though not for long.

use protocol_codecs::esl::Event;
use tokio::time::{Duration, Instant};
use types::{SessionId, UtcMs};

use crate::agent::Agent;
use crate::native::NativeCall;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) due: Instant,
    pub(super) channel: String,
    named: SessionId,
    other: Option<&'static str>,
    at: UtcMs,
    event: Event,
}

impl Agent {
    /// True: the leg that this one talked to has not ended as far as we were told, so why it waits is not known yet.
    pub(in crate::agent) fn waits_too_early(
        &mut self,
        carried: &[SessionId],
        named: &SessionId,
        other: Option<&'static str>,
        at: UtcMs,
        event: &Event,
    ) -> bool {
        let Some(channel) = event.unique_id().filter(|channel| self.talks_on(channel, carried)) else { return false };
        let (due, channel, event) = (Instant::now() + END_EXPECTED, channel.to_owned(), event.clone());
        self.legs.waiting.push_back(Waiting { due, channel, named: named.clone(), other, at, event });
        true
    }

    pub(super) fn talks_on(&self, channel: &str, carried: &[SessionId]) -> bool {
        let talks = |session: &SessionId| {
            let call = self.calls.get(session);
            let in_talk = |call: &NativeCall| call.answered.is_some() && call.other_leg.is_some();
            self.driver.knows(session) && call.is_some_and(|call| in_talk(call) && call.other_ended.is_none())
        };
        carried.last().or(self.legs.partners.get(channel)).is_some_and(talks)
    }

    /// Legs whose former talk is over by now, and those that have waited for it long enough.
    pub(in crate::agent) fn look_at_waiting(&mut self, now: Option<Instant>) {
        for waiting in std::mem::take(&mut self.legs.waiting) {
            let carried = self.carried(&waiting.named, &waiting.channel);
            let told = self.legs.is_sent(&waiting.channel) || !self.talks_on(&waiting.channel, &carried);
            if told || now.is_some_and(|now| waiting.due <= now) {
                self.waits_for_us(waiting.named, waiting.other, waiting.at, &waiting.event);
            } else {
                self.legs.waiting.push_back(waiting);
            }
        }
    }
}

/// Seen: both ends of one transfer within 20 ms, in either order.
const END_EXPECTED: Duration = Duration::from_millis(500);
