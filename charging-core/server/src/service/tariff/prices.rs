//! What something would cost, and why something costs what it does.

use charging_proto::convert;
use charging_proto::v1::{Cost, ExplainResponse, QuoteRequest, QuoteResponse};
use ledger::{Group, Start};
use rating::{Plan, Query};
use tonic::Status;
use types::charging::{ResultCode, Service};
use types::{Money, SessionId, UtcMs};

use super::{status, wanted};
use crate::quotes::{explained, price_lines, quoted};
use crate::store::Core;
use crate::tariffs::{Tariffs, utc_now};

pub(super) fn quote(tariffs: &Tariffs, request: &QuoteRequest) -> Result<QuoteResponse, Status> {
    let asked = Asked::of(request)?;
    let plan = wanted(tariffs, request.version.as_deref(), Some(asked.query.start))?;
    Ok(quoted(&plan, &asked.query, asked.usage))
}

pub(super) fn explain(tariffs: &Tariffs, request: &QuoteRequest) -> Result<ExplainResponse, Status> {
    let asked = Asked::of(request)?;
    let plan = wanted(tariffs, request.version.as_deref(), Some(asked.query.start))?;
    Ok(explained(&plan, &asked.query, asked.usage))
}

/// What a session was charged, by the version it began with; its groups one after the other.
pub(super) async fn explain_session(core: &Core, session_id: SessionId) -> Result<ExplainResponse, Status> {
    let asked = session_id.clone();
    let groups = core.query(move |books| books.groups_of(&asked)).await.map_err(|error| status::not_done(&error))?;
    if groups.is_empty() {
        return Err(Status::not_found(format!("no session {session_id}, or nothing was rated for it")));
    }
    let mut response = ExplainResponse::default();
    let mut sum = Money::ZERO;
    for group in &groups {
        let missing = || Status::data_loss("the tariff version of the session is not kept any more");
        let plan = core.tariffs().version(group.rate.plan_version).ok_or_else(missing)?;
        sum += group.meter.cost;
        let mut part = of_group(&plan, group);
        response.lines.append(&mut part.lines);
        response.quote = response.quote.or(part.quote);
    }
    if let Some(cost) = response.quote.as_mut().and_then(|quote| quote.cost.as_mut()) {
        // What was charged, so that a session with several groups, or one that is open, shows its own sum.
        cost.amount = sum.to_string();
    }
    Ok(response)
}

fn of_group(plan: &Plan, group: &Group) -> ExplainResponse {
    let query = &group.rate.query;
    let (Start::At(start) | Start::Within { earliest: start, .. }) = query.start;
    let query = Query {
        service: query.service,
        tenant: query.tenant.as_str(),
        category: &query.category,
        subject: &query.subject,
        destination: query.destination.as_ref().map_or("", |number| number.expose()),
        start,
    };
    let mut quote = quoted(plan, &query, group.meter.used);
    if quote.refusal.is_none() {
        quote.cost = quote.cost.map(|cost| Cost { amount: group.meter.cost.to_string(), ..cost });
        quote.result_code = ResultCode::SUCCESS.0;
    }
    let lines = plan.resolve(&query).map(|rated| price_lines(&rated, query.service, group.meter.used));
    ExplainResponse { quote: Some(quote), lines: lines.unwrap_or_default() }
}

/// A request, read.
struct Asked<'r> {
    query: Query<'r>,
    usage: u64,
}

impl<'r> Asked<'r> {
    fn of(request: &'r QuoteRequest) -> Result<Self, Status> {
        let service = convert::service("service", request.service).map_err(status::unreadable)?;
        let units = request.units.as_ref().ok_or_else(|| Status::invalid_argument("field units is missing"))?;
        let usage = match service {
            Service::Voice => units.time_ms,
            Service::Data => units.total_octets,
            _ => units.specific_units,
        };
        let usage =
            usage.ok_or_else(|| Status::invalid_argument("units has nothing that the service is charged by"))?;
        let subject = request.subject.as_deref().or(request.account_id.as_deref()).unwrap_or(ANY);
        let query = Query {
            service,
            tenant: &request.tenant,
            category: request.category.as_deref().unwrap_or("call"),
            subject,
            destination: request.called.as_deref().unwrap_or(""),
            start: request.start_time.map_or_else(utc_now, UtcMs),
        };
        Ok(Self { query, usage })
    }
}

const ANY: &str = "*any";
