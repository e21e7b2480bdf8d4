//! A load: its files from the stream, the plan of them, and what would change.

use std::sync::Arc;
use std::time::Duration;

use charging_proto::v1::load_tariff_request::Part;
use charging_proto::v1::{
    CompareTariffsRequest, CompareTariffsResponse, LoadTariffRequest, LoadTariffResponse, LoadTariffStart,
};
use rating::{LoadFault, Problem, Table, Tables};
use tonic::{Status, Streaming};

use super::{author, refused, view};
use crate::changes::changes;
use crate::tariffs::{Tariffs, utc_now};

/// What came.
pub(super) struct Upload {
    start: LoadTariffStart,
    tables: Vec<(Table, Vec<u8>)>,
}

impl Upload {
    /// Whether nothing is to be kept.
    pub(super) const fn is_dry_run(&self) -> bool {
        self.start.dry_run
    }
}

/// Takes the whole stream.
pub(super) async fn receive(mut stream: Streaming<LoadTariffRequest>) -> Result<Upload, Status> {
    let late = || Status::deadline_exceeded("the next piece of the tariff did not come in a minute");
    let mut next = async || tokio::time::timeout(PIECE_TIMEOUT, stream.message()).await.map_err(|_| late())?;
    let Some(Part::Start(start)) = next().await?.and_then(|message| message.part) else {
        return Err(Status::invalid_argument("a load begins with a start"));
    };
    enough_samples(&start.sample_numbers)?;
    let mut upload = Upload { start, tables: Vec::new() };
    let mut bytes = 0usize;
    while let Some(message) = next().await? {
        let Some(Part::Chunk(chunk)) = message.part else {
            return Err(Status::invalid_argument("behind the start of a load there are only pieces of files"));
        };
        bytes = bytes.saturating_add(chunk.content.len());
        if bytes > MOST_BYTES {
            return Err(Status::invalid_argument(format!("the tariff has more than {MOST_BYTES} octets")));
        }
        // What else lies in an operator's folder is none of ours, as when the folder itself is loaded.
        let Some(table) = Table::ALL.into_iter().find(|table| table.file_name() == chunk.file_name) else { continue };
        match upload.tables.iter_mut().find(|(of, _)| *of == table) {
            Some((_, content)) => content.extend_from_slice(&chunk.content),
            None => upload.tables.push((table, chunk.content)),
        }
    }
    Ok(upload)
}

/// Checks, compares, and unless it is a dry run keeps.
pub(super) fn load(tariffs: &Tariffs, upload: &Upload) -> Result<LoadTariffResponse, Status> {
    let start = &upload.start;
    let author = author(start.loaded_by.clone(), start.comment.clone())?;
    let plan = tables(upload).and_then(|tables| tariffs.build(&tables).map_err(|errors| errors.faults().to_vec()));
    let plan = match plan {
        Ok(plan) => Arc::new(plan),
        Err(faults) => {
            let faults = faults.iter().map(view::fault).collect();
            return Ok(LoadTariffResponse { faults, ..LoadTariffResponse::default() });
        }
    };
    let before = tariffs.current();
    let told = before.as_ref().map(|before| changes(before, &plan, &start.sample_numbers, utc_now()));
    let told = told.unwrap_or_default();
    let mut response = LoadTariffResponse {
        version: None,
        faults: Vec::new(),
        warnings: plan.warnings().iter().take(MOST_WARNINGS).map(view::fault).collect(),
        difference_count: told.difference_count,
        differences: told.differences,
        price_change_count: told.price_change_count,
        price_changes: told.price_changes,
        prices_compared: told.prices_compared,
        content_version: Some(plan.version().to_string()),
        compared_with: before.map(|plan| plan.version().to_string()),
    };
    if start.dry_run {
        return Ok(response);
    }
    let name = start.version.as_deref().filter(|name| !name.is_empty());
    let entry = tariffs.keep(&plan, name, author).map_err(refused)?;
    tracing::info!(version = %entry.version, name = entry.name, by = entry.by, "tariff version loaded");
    response.version = Some(view::version(tariffs, entry.version)?);
    Ok(response)
}

/// What differs between two kept versions.
pub(super) fn compare(tariffs: &Tariffs, request: &CompareTariffsRequest) -> Result<CompareTariffsResponse, Status> {
    enough_samples(&request.sample_numbers)?;
    let of = |asked: &str| tariffs.find(asked).and_then(|version| tariffs.read(version)).map_err(refused);
    let (before, after) = (of(&request.before)?, of(&request.after)?);
    let told = changes(&before, &after, &request.sample_numbers, utc_now());
    Ok(CompareTariffsResponse {
        before: Some(view::version(tariffs, before.version())?),
        after: Some(view::version(tariffs, after.version())?),
        differences: told.differences,
        difference_count: told.difference_count,
        price_changes: told.price_changes,
        price_change_count: told.price_change_count,
        prices_compared: told.prices_compared,
        settings: told.settings.into_iter().collect(),
    })
}

fn enough_samples(numbers: &[String]) -> Result<(), Status> {
    if numbers.len() > MOST_SAMPLES {
        return Err(Status::invalid_argument(format!("at most {MOST_SAMPLES} sample numbers are compared")));
    }
    Ok(())
}

/// The texts of the tables, or those that are none.
fn tables(upload: &Upload) -> Result<Tables, Vec<LoadFault>> {
    let mut tables = Tables::default();
    let mut faults = Vec::new();
    for (table, content) in &upload.tables {
        match std::str::from_utf8(content) {
            Ok(text) => *tables.text_mut(*table) = text.to_owned(),
            Err(error) => faults.push(not_utf8(*table, content, error.valid_up_to())),
        }
    }
    if faults.is_empty() { Ok(tables) } else { Err(faults) }
}

fn not_utf8(table: Table, content: &[u8], byte: usize) -> LoadFault {
    let lines = content.iter().take(byte).filter(|byte| **byte == b'\n').count();
    let line = u64::try_from(lines).map_or(0, |lines| lines + 1);
    LoadFault { table, line, column: None, found: "".into(), problem: Problem::NotUtf8 { byte } }
}

/// A tariff of a million prefixes takes some 30 MiB.
const MOST_BYTES: usize = 512 * 1024 * 1024;
const MOST_SAMPLES: usize = 1000;
const MOST_WARNINGS: usize = 1000;
const PIECE_TIMEOUT: Duration = Duration::from_secs(60);
