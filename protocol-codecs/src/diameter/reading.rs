//! How a message is read: tolerantly or strictly, and what was passed over.

use super::avp::{Avp, Avps};
use super::dictionary::{self, Definition, Kind};
use super::error::{Fault, MessageError};
use super::header::vendor;
use super::walk::Walk;

/// How much of the specifications a peer is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// What Kamailio, Open5GS, python-diameter and Huawei's gateways send is taken; see `docs/reference/diameter.md`.
    #[default]
    Tolerant,
    /// The RFCs to the letter: flags of known AVPs, reserved bits, Auth-Application-Id, no AVP twice, unknown mandatory
    /// AVPs refused everywhere. For conformance tests; no Kamailio passes it.
    Strict,
}

/// What was passed over in a message, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Notes {
    /// AVPs that are not in the dictionary.
    pub unknown: u16,
    /// AVPs that are, but have no effect where they stood.
    pub misplaced: u16,
    /// AVPs that may stand only once and came again; the first one counts.
    pub repeated: u16,
    /// 3GPP AVPs without the vendor, taken for what they are.
    pub vendorless: u16,
}

/// A message, and what was passed over in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<M> {
    /// What it says.
    pub message: M,
    /// What it also said.
    pub notes: Notes,
}

/// Codes from here on are vendors'; IETF has assigned none of them.
const VENDOR_CODES_BEGIN: u32 = 800;

/// What may come twice because peers are known to do it: Kamailio with the first two, python-diameter with the third.
const REPEATABLE: &[Definition] =
    &[dictionary::ORIGIN_HOST, dictionary::ORIGIN_REALM, dictionary::CREDIT_CONTROL_FAILURE_HANDLING];

/// The state of reading one message.
#[derive(Debug)]
pub(super) struct Reading {
    pub mode: Mode,
    /// Unknown mandatory AVPs are refused: in requests, and when strict.
    pub refuses_unknown: bool,
    pub notes: Notes,
}

impl Reading {
    pub fn new(mode: Mode, is_request: bool) -> Self {
        Self { mode, refuses_unknown: is_request || mode == Mode::Strict, notes: Notes::default() }
    }

    pub fn is_strict(&self) -> bool {
        self.mode == Mode::Strict
    }

    /// An AVP that has no row in the table at hand: the number under which to look again, or `None` to pass it over.
    #[cold]
    pub fn unexpected(&mut self, avp: &Avp<'_>, in_service_information: bool) -> Result<Option<u64>, MessageError> {
        let Some(definition) = avp.definition() else {
            return self.unknown(avp, in_service_information);
        };
        // Nothing in it counts, but it must be what it claims to be.
        if !definition.kind.takes(avp.value.len()) {
            return Err(MessageError::length(avp));
        }
        if definition.kind == Kind::Grouped {
            let mut walk = Walk::new(avp.raw);
            while walk.next_avp()?.is_some() {}
        }
        count(&mut self.notes.misplaced);
        Ok(None)
    }

    fn unknown(&mut self, avp: &Avp<'_>, in_service_information: bool) -> Result<Option<u64>, MessageError> {
        if !self.is_strict() && avp.vendor == vendor::BASE && avp.code >= VENDOR_CODES_BEGIN {
            let meant = avp.of_vendor(vendor::TGPP);
            if meant.definition().is_some() {
                count(&mut self.notes.vendorless);
                return Ok(Some(meant.key()));
            }
        }
        let forgiven = in_service_information && !self.is_strict();
        if avp.flags.is_mandatory() && self.refuses_unknown && !forgiven {
            return Err(MessageError::about(Fault::UnknownAvp, avp));
        }
        count(&mut self.notes.unknown);
        Ok(None)
    }

    /// A second one of what may stand once.
    #[cold]
    pub fn again(&mut self, avp: &Avp<'_>) -> Result<(), MessageError> {
        let known = |row: &Definition| row.code == avp.code && row.vendor == avp.vendor;
        if self.is_strict() || !REPEATABLE.iter().any(known) {
            return Err(MessageError::about(Fault::TooManyTimes, avp));
        }
        count(&mut self.notes.repeated);
        Ok(())
    }

    /// Strict only: every known AVP of the message has the flags of its definition, no unknown one is mandatory.
    pub fn check_all(&self, avps: Avps<'_>) -> Result<(), MessageError> {
        let mut walk = Walk::new(avps.rest());
        while let Some((depth, avp)) = walk.next_avp()? {
            let fault = match avp.definition() {
                Some(definition) if !definition.permits(avp.flags) => Fault::AvpBits { flags: avp.flags.0 },
                None if avp.flags.is_mandatory() => Fault::UnknownAvp,
                Some(_) | None => continue,
            };
            return Err(walk.located(depth, MessageError::about(fault, &avp)));
        }
        Ok(())
    }
}

fn count(counter: &mut u16) {
    *counter = counter.saturating_add(1);
}
