//! Who gets how much of what is left, when one request asks for several rating groups.
//!
//! If all can have what they ask for, they do. If not, none may take all that is left because it was named first: every group gets
//! the same share of what it asked for, the largest one that is affordable for all, in 16ths and rounded up to whole increments.
//! Groups that ask for nothing keep their grants. Example 15 of the worked money stays as it is: there one group asks.

use types::charging::{ChargingRequest, Service, Units};

use super::Turn;
use super::paper::Line;
use super::sheet::Sheet;
use crate::few::Few;
use crate::outcome::Denial;
use crate::session::measure;

/// One group that asks: its entry in the request, its place in the sheet, and how much.
struct Asking {
    entry: usize,
    draft: usize,
    requested: u64,
}

impl Asking {
    /// So many parts of it, at least one unit.
    fn part(&self, parts: u64) -> u64 {
        let part = u128::from(self.requested) * u128::from(parts) / u128::from(PARTS);
        u64::try_from(part).unwrap_or(self.requested).max(1)
    }
}

/// Reserves for what each unit entry asks; groups that ask for nothing keep their grants.
pub(super) fn grant_all(turn: &Turn<'_>, request: &ChargingRequest, sheet: &mut Sheet<'_>, lines: &mut [Line]) {
    let mut asking = Few::default();
    for (entry, (unit, line)) in request.units.iter().zip(&*lines).enumerate() {
        if let (Some(draft), Some(requested)) = (line.draft, &unit.requested) {
            asking.push(Asking { entry, draft, requested: requested_amount(turn, sheet.service, requested) });
        }
    }
    for at in 0..sheet.drafts.len() {
        let asks = asking.iter().any(|one: &Asking| one.draft == at);
        if asks { sheet.release(at) } else { sheet.hold_again(at) }
    }
    let share = shared(sheet, asking.as_mut_slice(), request.request_number);
    for one in asking.iter() {
        let most = share.map_or(one.requested, |parts| one.part(parts));
        let grant = sheet.grant(one.draft, one.requested, most, request.request_number);
        let Some(line) = lines.get_mut(one.entry) else { continue };
        line.grant = Some(grant);
        if grant.amount == 0 && grant.last {
            line.denial = Some(grant.by.map_or(Denial::CreditLimitReached, Denial::Policy));
        }
    }
}

/// The largest share, in parts, that all can have who could have the smallest one alone; the others come last. `None`: all of it, or
/// not even the smallest one: then in their order, so that somebody has something. The sheet is left as it was.
fn shared(sheet: &mut Sheet<'_>, asking: &mut [Asking], request_number: u32) -> Option<u64> {
    if asking.len() < 2 {
        return None;
    }
    let free = sheet.mark();
    let mut all_get = |asking: &[Asking], parts: u64| {
        let got = asking.iter().all(|one| {
            let part = one.part(parts);
            !sheet.grant(one.draft, part, part, request_number).last
        });
        sheet.back_to(&free);
        got
    };
    if all_get(asking, PARTS) {
        return None;
    }
    asking.sort_by_cached_key(|one| !all_get(std::slice::from_ref(one), 1));
    let sharing = asking.iter().take_while(|one| all_get(std::slice::from_ref(*one), 1)).count();
    let sharing = asking.get(..sharing)?;
    (1..PARTS).rev().find(|parts| all_get(sharing, *parts))
}

/// What is asked for in the service's unit; our own slice where the client leaves it to us.
fn requested_amount(turn: &Turn<'_>, service: Service, requested: &Units) -> u64 {
    let slice = match service {
        Service::Voice => turn.settings.default_slice_ms,
        Service::Data => turn.settings.default_slice_octets,
        Service::Sms | Service::Mms | Service::Generic => turn.settings.default_slice_units,
    };
    let asked = measure(service, requested).filter(|amount| *amount > 0);
    asked.unwrap_or(slice)
}

/// A share is a multiple of a 16th.
const PARTS: u64 = 16;
