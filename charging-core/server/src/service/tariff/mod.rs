//! TariffService: loads, activates, compares and shows versions; says what something costs and why.

mod load;
mod prices;
mod view;

use std::pin::Pin;
use std::sync::Arc;

use charging_proto::v1::tariff_service_server::TariffService;
use charging_proto::v1::{
    ActivateTariffRequest, ActivateTariffResponse, CompareTariffsRequest, CompareTariffsResponse, ExplainRequest,
    ExplainResponse, ListTariffsRequest, LoadTariffRequest, LoadTariffResponse, QuoteRequest, QuoteResponse,
    ShowTariffRequest, ShowTariffResponse, TariffEvent, TariffHistoryRequest, TariffVersion,
};
use metrics::counter;
use tokio::sync::Semaphore;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};
use types::UtcMs;

use super::status;
use crate::metric::names;
use crate::store::Core;
use crate::tariffs::{Author, TariffError, Tariffs, utc_now};

/// The service.
pub(super) struct TariffDesk {
    core: Core,
    /// Loads at once: each may hold a whole tariff in memory.
    loads: Arc<Semaphore>,
}

impl TariffDesk {
    pub(super) fn new(core: Core) -> Self {
        Self { core, loads: Arc::new(Semaphore::new(LOADS)) }
    }

    /// Work that reads files or looks through whole tables, away from the threads that serve calls.
    async fn off_the_hot_path<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tariffs) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let tariffs = Arc::clone(self.core.tariffs());
        let done = tokio::task::spawn_blocking(move || work(&tariffs)).await;
        done.unwrap_or_else(|error| Err(Status::internal(format!("tariff: {error}"))))
    }

    /// Sessions whose clients are told of the version in force by the ledger.
    async fn told(&self) -> u32 {
        let Some((version, since)) = self.core.tariffs().in_force_since(utc_now()) else { return 0 };
        let told = self.core.query(move |books| books.open_with_other_tariff(version.bits(), since).count()).await;
        told.ok().and_then(|told| u32::try_from(told).ok()).unwrap_or(0)
    }

    /// Lets go of versions that no session and no late request can need.
    async fn tidy(&self) {
        self.core.tariffs().narrow();
        let used = self.core.query(|books| books.plan_versions().collect::<Vec<u128>>()).await;
        if let Ok(used) = used {
            let forgotten = self.core.tariffs().forget_unused(&used);
            tracing::debug!(forgotten, "tariff versions that nothing uses any more are kept on disk only");
        }
    }
}

type Streamed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl TariffService for TariffDesk {
    async fn load(
        &self,
        request: Request<Streaming<LoadTariffRequest>>,
    ) -> Result<Response<LoadTariffResponse>, Status> {
        let permit = self.loads.try_acquire().map_err(|_| Status::resource_exhausted("other tariffs are being loaded"));
        let _permit = permit?;
        let upload = load::receive(request.into_inner()).await?;
        let dry_run = upload.is_dry_run();
        let loaded = self.off_the_hot_path(move |tariffs| load::load(tariffs, &upload)).await;
        let result = match &loaded {
            Err(_) => "refused",
            Ok(loaded) if !loaded.faults.is_empty() => "faulty",
            Ok(_) if dry_run => "dry_run",
            Ok(_) => "kept",
        };
        counter!(names::TARIFF_LOADS, "result" => result).increment(1);
        loaded.map(Response::new)
    }

    async fn activate(
        &self,
        request: Request<ActivateTariffRequest>,
    ) -> Result<Response<ActivateTariffResponse>, Status> {
        let request = request.into_inner();
        let author = author(request.activated_by, request.comment)?;
        let from = request.active_from_time.map(UtcMs);
        let mut response = self
            .off_the_hot_path(move |tariffs| {
                let version = tariffs.find(&request.version).map_err(refused)?;
                let entry = tariffs.activate(version, from, author).map_err(refused)?;
                tracing::info!(
                    %version,
                    from = entry.from.map(tracing::field::display),
                    by = entry.by,
                    "tariff version activated"
                );
                Ok(ActivateTariffResponse {
                    version: Some(view::version(tariffs, version)?),
                    notified_sessions: 0,
                    before: entry.before.map(|before| before.to_string()),
                })
            })
            .await
            .inspect_err(|_| counter!(names::TARIFF_ACTIVATIONS, "result" => "refused").increment(1))?;
        counter!(names::TARIFF_ACTIVATIONS, "result" => "ok").increment(1);
        response.notified_sessions = self.told().await;
        self.tidy().await;
        Ok(Response::new(response))
    }

    type ListStream = Streamed<TariffVersion>;

    async fn list(&self, _: Request<ListTariffsRequest>) -> Result<Response<Self::ListStream>, Status> {
        let versions = self.off_the_hot_path(view::versions).await?;
        Ok(Response::new(Box::pin(tokio_stream::iter(versions.into_iter().map(Ok)))))
    }

    async fn quote(&self, request: Request<QuoteRequest>) -> Result<Response<QuoteResponse>, Status> {
        let request = request.into_inner();
        let response = self.off_the_hot_path(move |tariffs| prices::quote(tariffs, &request)).await?;
        Ok(Response::new(response))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Result<Response<ExplainResponse>, Status> {
        use charging_proto::v1::explain_request::Subject;
        let response = match request.into_inner().subject {
            Some(Subject::Quote(quote)) => {
                self.off_the_hot_path(move |tariffs| prices::explain(tariffs, &quote)).await?
            }
            Some(Subject::SessionId(session_id)) => prices::explain_session(&self.core, session_id.into()).await?,
            None => return Err(Status::invalid_argument("neither a quote nor a session is named")),
        };
        Ok(Response::new(response))
    }

    type HistoryStream = Streamed<TariffEvent>;

    async fn history(&self, request: Request<TariffHistoryRequest>) -> Result<Response<Self::HistoryStream>, Status> {
        let limit = request.into_inner().limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        // It may wait for a load that is being written.
        let entries = self.off_the_hot_path(|tariffs| Ok(tariffs.history())).await?;
        let events = entries.into_iter().rev().take(limit).map(|entry| Ok(view::event(entry)));
        Ok(Response::new(Box::pin(tokio_stream::iter(events.collect::<Vec<_>>()))))
    }

    async fn compare(
        &self,
        request: Request<CompareTariffsRequest>,
    ) -> Result<Response<CompareTariffsResponse>, Status> {
        let request = request.into_inner();
        let response = self.off_the_hot_path(move |tariffs| load::compare(tariffs, &request)).await?;
        Ok(Response::new(response))
    }

    async fn show(&self, request: Request<ShowTariffRequest>) -> Result<Response<ShowTariffResponse>, Status> {
        let request = request.into_inner();
        let response = self.off_the_hot_path(move |tariffs| view::show(tariffs, &request)).await?;
        Ok(Response::new(response))
    }
}

/// Who and why, if they are short enough.
fn author(by: Option<String>, comment: Option<String>) -> Result<Author, Status> {
    let short = |what: &str, text: Option<String>, limit: usize| match text {
        Some(text) if text.len() > limit => {
            Err(Status::invalid_argument(format!("{what} is longer than {limit} octets")))
        }
        text => Ok(text.filter(|text| !text.is_empty()).map(Box::from)),
    };
    Ok(Author { by: short("the name", by, 256)?, comment: short("the comment", comment, 1024)? })
}

/// An error of the tariffs as a status.
fn refused(error: TariffError) -> Status {
    let text = status::chain(&error);
    match error {
        TariffError::Unknown { .. } => Status::not_found(text),
        TariffError::NameTaken { .. } => Status::already_exists(text),
        TariffError::Kept { .. } | TariffError::Damaged { .. } | TariffError::NotKept { .. } => {
            tracing::error!(error = &error as &dyn std::error::Error, "tariff");
            Status::data_loss(text)
        }
        _ => Status::invalid_argument(text),
    }
}

/// The version asked for, or the one in force at a time.
fn wanted(tariffs: &Tariffs, version: Option<&str>, at: Option<UtcMs>) -> Result<Arc<rating::Plan>, Status> {
    let now = utc_now();
    let at = at.unwrap_or(now);
    match version.filter(|version| !version.is_empty()) {
        None => tariffs.in_force(at, at.max(now)).ok_or_else(|| {
            Status::failed_precondition("no tariff is in force; load one with tollkeeper tariff load DIR")
        }),
        Some(version) => tariffs.find(version).and_then(|version| tariffs.read(version)).map_err(refused),
    }
}

/// Two, so that a slow one does not keep everybody out.
const LOADS: usize = 2;
