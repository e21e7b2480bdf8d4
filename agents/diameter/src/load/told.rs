//! What an answer tells a session, whatever its profile.

use protocol_codecs::diameter::{
    Answer, CreditControlAnswer, Frame, GrantedServiceUnit, Message, Mode, MultipleServicesCreditControl, ResultCode,
};
use types::Money;

use crate::credit::money_of;

/// An answer to a CCR.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Of the message; 0: it cannot be read.
    pub code: u32,
    pub groups: Vec<ToldGroup>,
    /// What the session or event cost: ISO 4217 numeric, amount.
    pub cost: Option<(u32, Money)>,
}

/// One group of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ToldGroup {
    pub rating_group: Option<u32>,
    pub code: u32,
    /// Octets, seconds or messages.
    pub granted: Option<u64>,
    /// It is the last.
    pub last: bool,
}

impl Told {
    pub fn of(frame: &Frame) -> Self {
        let Ok(decoded) = frame.message(Mode::Tolerant) else { return Self::default() };
        match decoded.message {
            Message::Answer(Answer::CreditControl(cca)) => Self::of_cca(&cca),
            Message::Answer(Answer::Error(error)) => Self { code: error.result_code.0, ..Self::default() },
            _ => Self::default(),
        }
    }

    fn of_cca(cca: &CreditControlAnswer<'_>) -> Self {
        let cost = cca.cost_information.as_ref();
        Self {
            code: cca.result_code.0,
            groups: cca.multiple_services_credit_control.iter().map(ToldGroup::of).collect(),
            cost: cost.and_then(|cost| Some((cost.currency_code, money_of(&cost.unit_value)?))),
        }
    }

    pub fn is_success(&self) -> bool {
        ResultCode(self.code).is_success()
    }
}

impl ToldGroup {
    fn of(group: &MultipleServicesCreditControl<'_>) -> Self {
        Self {
            rating_group: group.rating_group,
            // Some servers leave it out where all is well.
            code: group.result_code.unwrap_or(ResultCode::SUCCESS).0,
            granted: group.granted_service_unit.as_deref().and_then(granted),
            last: group.final_unit_indication.is_some(),
        }
    }
}

fn granted(unit: &GrantedServiceUnit) -> Option<u64> {
    let directions = match (unit.cc_input_octets, unit.cc_output_octets) {
        (None, None) => None,
        (input, output) => Some(input.unwrap_or(0).saturating_add(output.unwrap_or(0))),
    };
    let time = unit.cc_time.map(u64::from);
    unit.cc_total_octets.or(directions).or(time).or(unit.cc_service_specific_units)
}
