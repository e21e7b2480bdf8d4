//! The answer to a request that could not be served or not even be read (RFC 6733 section 7.2). It has the command of
//! the request, so it comes for any of them.

use bytes::BytesMut;

use crate::diameter::dictionary::RESULT_CODE;
use crate::diameter::envelope::Envelope;
use crate::diameter::error::{EncodeError, MessageError};
use crate::diameter::frame::Frame;
use crate::diameter::groups::{ExperimentalResult, FailedAvp, ProxyInfo};
use crate::diameter::header::{CommandFlags, Header, application, command};
use crate::diameter::names::CcRequestType;
use crate::diameter::reading::{Decoded, Mode, Reading};
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::{Table, avp_table};
use crate::diameter::text::{Identity, Text};

use super::command::{EncodedMessage, encode_message};

avp_table! {
    /// An answer that tells a failure, to any command.
    message ErrorAnswer<'a> {
        /// Of the request, if it had one.
        session_id: Option<Text<'a>> = SESSION_ID,
        /// 3xxx with the E bit, 4xxx and 5xxx without.
        result_code: ResultCode = RESULT_CODE,
        /// Who refuses.
        origin_host: Identity<'a> = ORIGIN_HOST,
        /// Of which realm.
        origin_realm: Identity<'a> = ORIGIN_REALM,
        /// 4 in the answer to a CCR.
        auth_application_id: Option<u32> = AUTH_APPLICATION_ID,
        /// Of the request, if it could be read.
        cc_request_type: Option<CcRequestType> = CC_REQUEST_TYPE,
        /// Of the request, if it could be read.
        cc_request_number: Option<u32> = CC_REQUEST_NUMBER,
        /// As in the CEA.
        origin_state_id: Option<u32> = ORIGIN_STATE_ID,
        /// For people.
        error_message: Option<Text<'a>> = ERROR_MESSAGE,
        /// Who says so, if not the origin.
        error_reporting_host: Option<Identity<'a>> = ERROR_REPORTING_HOST,
        /// What was wrong with the request.
        failed_avps: Vec<FailedAvp<'a>> = FAILED_AVP,
        /// A vendor's result.
        experimental_result: Option<ExperimentalResult> = EXPERIMENTAL_RESULT,
        /// Ask them instead (3006).
        redirect_hosts: Vec<Text<'a>> = REDIRECT_HOST,
        /// Proxies' state, as it came.
        proxy_infos: Vec<ProxyInfo<'a>> = PROXY_INFO,
    }
}

impl<'a> ErrorAnswer<'a> {
    /// Refuses the request in this frame with this code: with its session, number and proxies' state as far as they can
    /// be read.
    pub fn to(
        request: &'a Frame,
        (origin_host, origin_realm): (Identity<'a>, Identity<'a>),
        result_code: ResultCode,
    ) -> Self {
        let envelope = Envelope::of(request);
        let is_ccr = request.header().command == command::CREDIT_CONTROL;
        Self {
            session_id: envelope.session_id.map(Text::from),
            result_code,
            origin_host,
            origin_realm,
            auth_application_id: is_ccr.then_some(application::CREDIT_CONTROL),
            cc_request_type: envelope.cc_request_type.filter(|_| is_ccr).and_then(CcRequestType::from_number),
            cc_request_number: envelope.cc_request_number.filter(|_| is_ccr),
            origin_state_id: None,
            error_message: None,
            error_reporting_host: None,
            failed_avps: Vec::new(),
            experimental_result: None,
            redirect_hosts: Vec::new(),
            proxy_infos: envelope.proxy_infos,
        }
    }

    /// Refuses a request that could not be read, and names the AVP at fault.
    pub fn about(request: &'a Frame, origin: (Identity<'a>, Identity<'a>), error: &'a MessageError) -> Self {
        let mut answer = Self::to(request, origin, error.result_code());
        answer.failed_avps.extend(error.failed_avp().map(FailedAvp::holding));
        answer.error_message = Some(error.to_string().into());
        answer
    }

    /// Reads any answer as one, after the header was checked.
    pub(in crate::diameter) fn decode_avps(frame: &'a Frame, mode: Mode) -> Result<Decoded<Self>, MessageError> {
        let mut reading = Reading::new(mode, false);
        if mode == Mode::Strict {
            reading.check_all(frame.avps())?;
        }
        let message = Self::read(frame.avps(), &mut reading)?;
        Ok(Decoded { message, notes: reading.notes })
    }

    /// Appends the answer to the request with this header: its command, application, identifiers and P bit.
    ///
    /// # Errors
    /// A value that may not be sent (a success, too: that is no refusal); then nothing is appended.
    pub fn encode_for(&self, request: &Header, out: &mut BytesMut) -> Result<(), EncodeError> {
        if self.result_code.is_success() {
            return Err(EncodeError::BadValue { avp: RESULT_CODE.name });
        }
        let proxiable = request.flags.0 & CommandFlags::PROXIABLE;
        let error = if self.result_code.is_protocol_error() { CommandFlags::ERROR } else { 0 };
        encode_message(self, (proxiable | error, request.command, request.application), request.exchange(), out)
    }

    /// The same by itself, to be kept for copies of the request.
    ///
    /// # Errors
    /// A value that may not be sent.
    pub fn encoded_for(&self, request: &Header) -> Result<EncodedMessage, EncodeError> {
        let mut out = BytesMut::new();
        self.encode_for(request, &mut out)?;
        Ok(EncodedMessage::made(out.freeze()))
    }
}
