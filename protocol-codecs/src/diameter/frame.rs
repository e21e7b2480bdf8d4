//! One whole message as it came, header and AVPs still bytes; and what it says.

use std::fmt;

use bytes::Bytes;

use super::avp::Avps;
use super::error::{Fault, MessageError};
use super::header::{Header, VERSION, application, command};
use super::limits::HEADER_BYTES;
use super::message::{
    AbortSessionAnswer, AbortSessionRequest, Answer, CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, Command,
    CreditControlAnswer, CreditControlRequest, DeviceWatchdogAnswer, DeviceWatchdogRequest, DisconnectPeerAnswer,
    DisconnectPeerRequest, ErrorAnswer, Message, ReAuthAnswer, ReAuthRequest, Request,
};
use super::reading::{Decoded, Mode};

/// A message. Holds a share of the buffer it was read into: keep what it says, not the frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    header: Header,
    bytes: Bytes,
}

impl Frame {
    /// From the bytes of exactly one message; `None` if they are not as long as their header says. A stream is cut
    /// into messages by [`DiameterCodec`](super::DiameterCodec).
    pub fn new(bytes: Bytes) -> Option<Self> {
        let header = Header::parse(&bytes)?;
        let claimed = usize::try_from(header.message_bytes).ok()?;
        (claimed == bytes.len() && claimed.is_multiple_of(4)).then_some(Self { header, bytes })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The AVPs.
    pub fn avps(&self) -> Avps<'_> {
        Avps::new(self.bytes.get(HEADER_BYTES..).unwrap_or_default())
    }

    /// The whole message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What it says. An answer with the E bit, or one that tells a failure and lacks what its command demands, is an
    /// [`Answer::Error`].
    ///
    /// # Errors
    /// See [`Fault`]. If it was a request, [`ErrorAnswer::to`] makes the answer.
    pub fn message(&self, mode: Mode) -> Result<Decoded<Message<'_>>, MessageError> {
        self.check_header(mode)?;
        if self.header.flags.is_request() { self.request(mode) } else { self.answer(mode) }
    }

    fn request(&self, mode: Mode) -> Result<Decoded<Message<'_>>, MessageError> {
        fn of<'a, C: Command<'a>>(
            frame: &'a Frame,
            mode: Mode,
            wrap: impl FnOnce(C) -> Request<'a>,
        ) -> Result<Decoded<Message<'a>>, MessageError> {
            let Decoded { message, notes } = C::decode_avps(frame, mode)?;
            Ok(Decoded { message: Message::Request(wrap(message)), notes })
        }
        match self.header.command {
            command::CREDIT_CONTROL => {
                of(self, mode, |it: CreditControlRequest<'_>| Request::CreditControl(Box::new(it)))
            }
            command::DEVICE_WATCHDOG => of(self, mode, |it: DeviceWatchdogRequest<'_>| Request::DeviceWatchdog(it)),
            command::CAPABILITIES_EXCHANGE => {
                of(self, mode, |it: CapabilitiesExchangeRequest<'_>| Request::CapabilitiesExchange(Box::new(it)))
            }
            command::DISCONNECT_PEER => of(self, mode, |it: DisconnectPeerRequest<'_>| Request::DisconnectPeer(it)),
            command::RE_AUTH => of(self, mode, |it: ReAuthRequest<'_>| Request::ReAuth(Box::new(it))),
            command::ABORT_SESSION => of(self, mode, |it: AbortSessionRequest<'_>| Request::AbortSession(Box::new(it))),
            command => Err(MessageError::whole(Fault::UnsupportedCommand { command })),
        }
    }

    fn answer(&self, mode: Mode) -> Result<Decoded<Message<'_>>, MessageError> {
        fn of<'a, C: Command<'a>>(
            frame: &'a Frame,
            mode: Mode,
            wrap: impl FnOnce(C) -> Answer<'a>,
        ) -> Result<Decoded<Message<'a>>, MessageError> {
            match C::decode_avps(frame, mode) {
                Ok(Decoded { message, notes }) => Ok(Decoded { message: Message::Answer(wrap(message)), notes }),
                // A refusal need not have what a success must.
                Err(error) if error.fault() == Fault::MissingAvp => match ErrorAnswer::decode_avps(frame, mode) {
                    Ok(Decoded { message, notes }) if !message.result_code.is_success() => {
                        Ok(Decoded { message: Message::Answer(Answer::Error(Box::new(message))), notes })
                    }
                    _ => Err(error),
                },
                Err(error) => Err(error),
            }
        }
        if self.header.flags.is_error() {
            let Decoded { message, notes } = ErrorAnswer::decode_avps(self, mode)?;
            return Ok(Decoded { message: Message::Answer(Answer::Error(Box::new(message))), notes });
        }
        match self.header.command {
            command::CREDIT_CONTROL => {
                of(self, mode, |it: CreditControlAnswer<'_>| Answer::CreditControl(Box::new(it)))
            }
            command::DEVICE_WATCHDOG => {
                of(self, mode, |it: DeviceWatchdogAnswer<'_>| Answer::DeviceWatchdog(Box::new(it)))
            }
            command::CAPABILITIES_EXCHANGE => {
                of(self, mode, |it: CapabilitiesExchangeAnswer<'_>| Answer::CapabilitiesExchange(Box::new(it)))
            }
            command::DISCONNECT_PEER => {
                of(self, mode, |it: DisconnectPeerAnswer<'_>| Answer::DisconnectPeer(Box::new(it)))
            }
            command::RE_AUTH => of(self, mode, |it: ReAuthAnswer<'_>| Answer::ReAuth(Box::new(it))),
            command::ABORT_SESSION => of(self, mode, |it: AbortSessionAnswer<'_>| Answer::AbortSession(Box::new(it))),
            command => Err(MessageError::whole(Fault::UnsupportedCommand { command })),
        }
    }

    /// Version, application, command, flags: in this order, so that what we know least about is told first.
    pub(super) fn check_header(&self, mode: Mode) -> Result<(), MessageError> {
        let Header { version, flags, command, application, .. } = self.header;
        let fault = |fault| Err(MessageError::whole(fault));
        if version != VERSION {
            return fault(Fault::UnsupportedVersion { version });
        }
        let is_base =
            matches!(command, command::CAPABILITIES_EXCHANGE | command::DEVICE_WATCHDOG | command::DISCONNECT_PEER);
        let is_known = command::KNOWN.contains(&command);
        let is_served = application == application::CREDIT_CONTROL || application == application::BASE;
        // The base protocol's commands concern the connection, whatever application they claim.
        if !is_served && (!is_base || mode == Mode::Strict) {
            return fault(Fault::UnsupportedApplication { application });
        }
        if !is_known || (!is_base && application != application::CREDIT_CONTROL) {
            return fault(Fault::UnsupportedCommand { command });
        }
        let is_proxiable_request = flags.is_request() && flags.is_proxiable();
        let contradicts = flags.is_request() && flags.is_error();
        let forbids = mode == Mode::Strict && flags.is_request() && is_proxiable_request == is_base;
        if contradicts || forbids {
            return fault(Fault::HeaderBits { flags: flags.0 });
        }
        if mode == Mode::Strict && flags.reserved() != 0 {
            return fault(Fault::ReservedHeaderBits { flags: flags.0 });
        }
        Ok(())
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the AVPs: they may name a subscriber.
        fmt::Debug::fmt(&self.header, f)
    }
}
