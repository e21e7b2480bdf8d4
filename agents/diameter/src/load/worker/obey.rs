//! What the server asks of us: RAR and ASR are answered and obeyed, all else is refused.

use protocol_codecs::diameter::{
    AbortSessionAnswer, Command, EncodeError, Frame, Message, Mode, ReAuthAnswer, Request, ResultCode,
};
use tokio::time::Instant;

use super::Worker;
use crate::load::session::Session;

impl Worker {
    /// A request of the server; gives the answer.
    pub(super) fn asked(&mut self, frame: &Frame) -> Result<Vec<u8>, EncodeError> {
        let exchange = frame.header().exchange();
        let Ok(decoded) = frame.message(Mode::Tolerant) else {
            self.tally.other_requests += 1;
            return self.node.refusal(frame, ResultCode::INVALID_AVP_VALUE).map(Into::into);
        };
        match decoded.message {
            Message::Request(Request::ReAuth(rar)) => {
                self.tally.re_auth_requests += 1;
                let result_code = self.told_to(&rar.session_id, Session::reauthorize);
                let (origin_host, origin_realm) = self.node.origin();
                let answer = ReAuthAnswer {
                    session_id: rar.session_id.borrowed(),
                    result_code,
                    origin_host,
                    origin_realm,
                    user_name: None,
                    origin_state_id: Some(self.node.origin_state_id),
                    error_message: None,
                    error_reporting_host: None,
                    failed_avps: Vec::new(),
                    proxy_infos: rar.proxy_infos.clone(),
                };
                Ok(answer.encoded(exchange)?.bytes().to_vec())
            }
            Message::Request(Request::AbortSession(asr)) => {
                self.tally.abort_requests += 1;
                let result_code = self.told_to(&asr.session_id, Session::end);
                let (origin_host, origin_realm) = self.node.origin();
                let answer = AbortSessionAnswer {
                    session_id: asr.session_id.borrowed(),
                    result_code,
                    origin_host,
                    origin_realm,
                    user_name: None,
                    origin_state_id: Some(self.node.origin_state_id),
                    termination_cause: None,
                    error_message: None,
                    error_reporting_host: None,
                    failed_avps: Vec::new(),
                    proxy_infos: asr.proxy_infos.clone(),
                };
                Ok(answer.encoded(exchange)?.bytes().to_vec())
            }
            _ => {
                self.tally.other_requests += 1;
                self.node.refusal(frame, ResultCode::COMMAND_UNSUPPORTED).map(Into::into)
            }
        }
    }

    /// The server wants something of a session: it is done, and its next request goes at once.
    fn told_to(&mut self, session_id: &str, what: fn(&mut Session)) -> ResultCode {
        let Some(slot) = self.by_id.get(session_id).copied() else { return ResultCode::UNKNOWN_SESSION_ID };
        let Some(Some(held)) = self.slots.get_mut(slot) else { return ResultCode::UNKNOWN_SESSION_ID };
        what(&mut held.session);
        if held.on_the_way {
            held.urgent = true;
        } else {
            self.wait(slot, Some(Instant::now()));
        }
        ResultCode::SUCCESS
    }
}
