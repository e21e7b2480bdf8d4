//! TariffService: what is in force, and what something would cost. Loading is by the configured folder.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use charging_proto::convert;
use charging_proto::v1::tariff_service_server::TariffService;
use charging_proto::v1::{
    ActivateTariffRequest, ActivateTariffResponse, Cost, ExplainRequest, ExplainResponse, ListTariffsRequest,
    LoadTariffRequest, LoadTariffResponse, QuoteRequest, QuoteResponse, TariffVersion,
};
use rating::{Plan, Query, Rounding};
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use types::UtcMs;
use types::charging::{ResultCode, Service};

use super::status;
use crate::store::Core;

/// The service.
pub(super) struct TariffQueries {
    pub(super) core: Core,
}

type Versions = Pin<Box<dyn Stream<Item = Result<TariffVersion, Status>> + Send>>;

#[tonic::async_trait]
impl TariffService for TariffQueries {
    async fn load(&self, _: Request<Streaming<LoadTariffRequest>>) -> Result<Response<LoadTariffResponse>, Status> {
        Err(status::unsupported("loading over the API; set core.tariff.folder and restart"))
    }

    async fn activate(&self, _: Request<ActivateTariffRequest>) -> Result<Response<ActivateTariffResponse>, Status> {
        Err(status::unsupported("activating over the API; set core.tariff.folder and restart"))
    }

    type ListStream = Versions;

    async fn list(&self, _: Request<ListTariffsRequest>) -> Result<Response<Versions>, Status> {
        let current = self.core.tariffs().current();
        let versions = current.map(|plan| {
            Ok(TariffVersion { version: plan.version().to_string(), active: true, ..TariffVersion::default() })
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(versions))))
    }

    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteResponse>, Status> {
        let request = request.into_inner();
        if request.version.is_some() {
            return Err(status::unsupported("quotes of other versions than the active one"));
        }
        let service = convert::service("service", request.service).map_err(status::unreadable)?;
        let units = request.units.ok_or_else(|| Status::invalid_argument("field units is missing"))?;
        let usage = match service {
            Service::Voice => units.time_ms,
            Service::Data => units.total_octets,
            _ => units.specific_units,
        };
        let usage =
            usage.ok_or_else(|| Status::invalid_argument("units has nothing that the service is charged by"))?;
        let plan = self.core.tariffs().current().ok_or_else(|| Status::failed_precondition("no tariff is in force"))?;
        let subject = request.subject.or(request.account_id).unwrap_or_else(|| "*any".to_owned());
        let query = Query {
            service,
            tenant: &request.tenant,
            category: request.category.as_deref().unwrap_or("call"),
            subject: &subject,
            destination: request.called.as_deref().unwrap_or(""),
            start: request.start_time.map_or_else(utc_now, UtcMs),
        };
        Ok(Response::new(priced(&plan, &query, usage)))
    }

    async fn explain(&self, _: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        Err(status::unsupported("explaining prices"))
    }
}

fn priced(plan: &Arc<Plan>, query: &Query<'_>, usage: u64) -> QuoteResponse {
    let version = plan.version().to_string();
    let Ok(rated) = plan.resolve(query) else {
        return QuoteResponse { result_code: ResultCode::RATING_FAILED.0, version, ..QuoteResponse::default() };
    };
    let cost = types::charging::Cost {
        currency: plan.currency(),
        amount: rated.price(usage, Rounding::Final),
        per_minute_rate: (query.service == Service::Voice).then(|| rated.per_minute_rate(usage)),
        overrun: types::Money::ZERO,
    };
    QuoteResponse {
        result_code: ResultCode::SUCCESS.0,
        cost: Some(Cost::from(cost)),
        billable: rated.billable(usage),
        destination: Some(rated.destination_id().to_owned()),
        matched_prefix: None,
        version,
    }
}

fn utc_now() -> UtcMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UtcMs(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
