//! What the switch's answers to our commands mean for a call.

use protocol_codecs::esl::{ApiResponse, FailureKind, HangupCause, Outcome};
use tracing::{debug, error, warn};
use types::SessionId;

use super::{Agent, remaining_ms};
use crate::command::{self, Purpose};

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Done.
    Done,
    /// There is no such channel: the caller gave up, or it is over.
    Gone,
    /// Not done; the reason is a bounded word.
    Failed(&'static str),
    /// Not even sent: a caller chose what no command can carry.
    Unsendable,
}

impl Agent {
    pub(super) fn replied(&mut self, purpose: Purpose, reply: Option<&ApiResponse>) {
        let verdict = verdict(reply);
        let is_next = matches!(purpose, Purpose::NextBackstop(_));
        match purpose {
            Purpose::Arm(session) => self.armed(&session, verdict),
            Purpose::Route(session) => self.routed(&session, verdict),
            Purpose::Refuse(session, cause) => match verdict {
                Verdict::Done => {}
                Verdict::Gone => self.ask_exists(&session),
                Verdict::Failed(reason) => {
                    warn!(switch = %self.switch, session_id = %session, reason, "the extension that refuses was not reached");
                    let kill = command::kill(&session, self.calls.get(&session), command::refusal_cause(cause));
                    self.send(kill);
                }
                Verdict::Unsendable => {}
            },
            Purpose::Kill(session) => match verdict {
                Verdict::Done => {}
                // Nothing to end means that it has ended: the news is on the way or was lost.
                Verdict::Gone => self.ask_exists(&session),
                Verdict::Failed(reason) => {
                    error!(switch = %self.switch, session_id = %session, reason, "a call was not ended");
                }
                Verdict::Unsendable => {}
            },
            Purpose::NextBackstop(session) | Purpose::Backstop(session) if verdict == Verdict::Done => {
                self.backstop_armed(&session, is_next);
            }
            Purpose::NextBackstop(session) | Purpose::Backstop(session) => match verdict {
                Verdict::Done => {}
                Verdict::Gone => self.ask_exists(&session),
                Verdict::Failed(_) | Verdict::Unsendable => {
                    error!(switch = %self.switch, session_id = %session, ?verdict, "a call has no backstop in the switch");
                }
            },
            Purpose::Leave(session) => self.leaving(&session, verdict),
            Purpose::Left(session) => self.left(&session, reply),
            Purpose::Limit(session) => self.limited(&session, verdict),
            Purpose::Transferor(session) => self.transferor_told(&session, reply),
            Purpose::Outbound(session) => self.waiting_explained(&session, reply),
            Purpose::Through(channel) => {
                if !channel.is_empty() {
                    self.let_through(channel, matches!(verdict, Verdict::Done | Verdict::Gone));
                }
            }
            Purpose::Disarm(session)
            | Purpose::Announce(session)
            | Purpose::Unset(session)
            | Purpose::Mark(session) => {
                debug!(switch = %self.switch, session_id = %session, ?verdict, "answered");
            }
            Purpose::Channels => self.listed(reply),
            Purpose::Dump(session) => self.dumped(Some(&session), reply),
            Purpose::DumpUnknown => self.dumped(None, reply),
            Purpose::Exists(session) => self.existence_told(&session, reply),
            Purpose::Ping => {}
        }
    }

    /// There are two now: away with the one that is not needed any more.
    fn backstop_armed(&mut self, session: &SessionId, is_next: bool) {
        let due = self.calls.get(session).and_then(|call| Some((call, call.backstop_due?)));
        match due {
            Some((call, due)) if is_next => {
                for (purpose, call) in command::replaced_backstop(session, call, remaining_ms(due)) {
                    self.link.send(purpose, call);
                }
            }
            _ => self.send(command::settled_backstop(session)),
        }
    }

    /// The backstop will be armed at the answer: now the call may go on.
    fn armed(&mut self, session: &SessionId, verdict: Verdict) {
        let Some(call) = self.calls.get_mut(session) else { return };
        match verdict {
            Verdict::Done => {
                call.admitted = true;
                if call.on_socket {
                    return self.let_go_on(session);
                }
                let route = command::route(&self.config, session, call);
                self.send(route);
            }
            Verdict::Gone => self.ask_exists(session),
            Verdict::Failed(_) | Verdict::Unsendable => {
                error!(switch = %self.switch, session_id = %session, ?verdict, "no backstop for an admitted call: refused");
                let kill = command::kill(session, self.calls.get(session), HangupCause::NormalTemporaryFailure);
                self.send(kill);
            }
        }
    }

    fn routed(&mut self, session: &SessionId, verdict: Verdict) {
        match verdict {
            Verdict::Done => {}
            Verdict::Gone => self.ask_exists(session),
            Verdict::Unsendable => {
                let kill = command::kill(session, self.calls.get(session), HangupCause::InvalidNumberFormat);
                self.send(kill);
            }
            Verdict::Failed(reason) => {
                error!(switch = %self.switch, session_id = %session, reason, "an admitted call was not transferred: ended");
                let kill = command::kill(session, self.calls.get(session), HangupCause::NormalTemporaryFailure);
                self.send(kill);
            }
        }
    }
}

fn verdict(reply: Option<&ApiResponse>) -> Verdict {
    match reply.map(ApiResponse::outcome) {
        None => Verdict::Unsendable,
        Some(Outcome::Done(_) | Outcome::Text(_)) => Verdict::Done,
        Some(Outcome::Failed(failure)) if failure.kind == FailureKind::NoSuchChannel => Verdict::Gone,
        Some(Outcome::Failed(failure)) => Verdict::Failed(failure.kind.as_str()),
    }
}
