//! Reading ahead for requests that wait: what deciding them will read, of the books and of the tariff, is touched for all of them
//! together, so that the misses of the processor's cache overlap. Nothing depends on it.

use ledger::{About, Books, Command};
use types::charging::ChargingRequest;

use super::Request;
use super::ledger_thread::utc_now;
use crate::pricing::{TariffPricing, question};

/// Touches it; of more than [`ledger::AHEAD`] requests only for the first.
pub(super) fn look_ahead(books: &Books, pricing: &TariffPricing, requests: &[Request]) {
    let rates = books.look_ahead(charges(requests).map(About::request));
    let (tariffs, now) = (pricing.tariffs.resident(), utc_now());
    // Sessions that another version rates do without: they are few, and soon over.
    let Some(plan) = tariffs.in_force(now, now) else { return };
    let queries = charges(requests).zip(rates).filter_map(|(request, rate)| match rate {
        Some(rate) => (rate.plan_version == plan.version().bits()).then(|| question(&rate.query)),
        None => Some(rating::Query {
            service: request.service,
            tenant: request.tenant.as_str(),
            category: &request.category,
            // Where it is the account's own id, it mostly has no profile of its own.
            subject: request.subject.as_deref().unwrap_or_default(),
            destination: request.called.as_ref().map_or("", |number| number.expose()),
            start: now,
        }),
    });
    plan.look_ahead(queries);
}

fn charges(requests: &[Request]) -> impl Iterator<Item = &ChargingRequest> {
    requests.iter().filter_map(|request| match request {
        Request::Decide { command: Command::Charge(charge), .. } => Some(&**charge),
        _ => None,
    })
}
