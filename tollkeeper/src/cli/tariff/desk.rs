//! The commands that a running core answers; and the comparison of two folders, which needs none.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use charging_proto::TokenChannel;
use charging_proto::v1::tariff_service_client::TariffServiceClient;
use charging_proto::v1::{
    ActivateTariffRequest, CompareTariffsRequest, ListTariffsRequest, LoadTariffResponse, LoadTariffStart,
    ShowTariffRequest, TariffHistoryRequest, TariffVersion,
};
use tonic::{Status, Streaming};

use super::view::{ActivatedView, ComparisonView, EventView, LoadedView, ShownView, VersionView};
use super::{ActivateArgs, DiffArgs, HistoryArgs, ListArgs, LoadArgs, ShowArgs, upload};
use crate::cli::connection::{CoreArgs, connect_for, refused, talk};
use crate::cli::{parse, plan_folder};
use crate::exit::{self, UsageError};

/// `tariff load`
pub(super) fn load(core: &CoreArgs, args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let files = upload::read(&args.folder)?;
    let bar = plan_folder::bar("{bar:40} {bytes}/{total_bytes} {msg}");
    bar.set_length(files.iter().map(|(_, bytes)| u64::try_from(bytes.len()).unwrap_or(0)).sum());
    let start = LoadTariffStart {
        tenant: String::new(),
        dry_run: args.dry_run,
        version: args.name.clone(),
        loaded_by: args.author.by(),
        comment: args.author.comment.clone(),
        sample_numbers: args.numbers.clone(),
    };
    let (loaded, activated) = talk(async {
        let mut tariffs = desk(core).await?;
        let messages = tokio_stream::iter(upload::messages(start, files, bar.clone()));
        bar.set_message("the core checks and compares");
        let loaded = tariffs.load(messages).await.map_err(|status| refused(core, &status));
        bar.finish_and_clear();
        let loaded = loaded?.into_inner();
        let version = loaded.version.clone().filter(|_| !args.no_activate);
        let Some(TariffVersion { version, .. }) = version else { return Ok((loaded, None)) };
        let request = ActivateTariffRequest {
            tenant: String::new(),
            version: version.clone(),
            active_from_time: args.at.map(|at| at.0),
            activated_by: args.author.by(),
            comment: args.author.comment.clone(),
        };
        let activated = tariffs.activate(request).await.map_err(|status| {
            refused(core, &status).context(format!("version {version} is loaded, but not put in force"))
        })?;
        Ok((loaded, Some(activated.into_inner())))
    })?;
    if !loaded.faults.is_empty() && !args.format.json {
        let LoadTariffResponse { faults, .. } = &loaded;
        let lines: Vec<String> = faults.iter().map(super::view::fault_line).collect();
        let folder = args.folder.display();
        exit::complain(&format!("error: tariff folder {folder}: {} faults\n{}", lines.len(), lines.join("\n")));
        return Ok(ExitCode::from(exit::FAILED));
    }
    let faulty = !loaded.faults.is_empty();
    LoadedView::new(loaded, activated, args.at).print(args.diff, args.format)?;
    Ok(if faulty { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

/// `tariff diff`
pub(super) fn diff(core: &CoreArgs, args: &DiffArgs) -> anyhow::Result<()> {
    let is_folder = |text: &str| Path::new(text).is_dir();
    if let Some(after) = args.after.as_deref().filter(|after| is_folder(after) && is_folder(&args.before)) {
        return diff_folders(args, after);
    }
    if is_folder(&args.before) || args.after.as_deref().is_some_and(is_folder) {
        let text = "a folder is compared with the version in force by `tariff load DIR --dry-run --diff`; \
                    diff takes two versions or two folders";
        return Err(UsageError(text.to_owned()).into());
    }
    if args.settings.any() {
        let text = "-c, --currency and --time-zone belong to two folders; versions have their own settings";
        return Err(UsageError(text.to_owned()).into());
    }
    let compared = talk(async {
        let mut tariffs = desk(core).await?;
        let after = match &args.after {
            Some(after) => after.clone(),
            None => {
                let shown = tariffs.show(ShowTariffRequest::default()).await;
                let shown = shown.map_err(|status| refused(core, &status))?.into_inner();
                shown.version.unwrap_or_default().version
            }
        };
        let request =
            CompareTariffsRequest { before: args.before.clone(), after, sample_numbers: args.numbers.clone() };
        Ok(tariffs.compare(request).await.map_err(|status| refused(core, &status))?.into_inner())
    })?;
    ComparisonView::from(compared).print(args.format)
}

fn diff_folders(args: &DiffArgs, after: &str) -> anyhow::Result<()> {
    let options = args.settings.options(|options| options)?;
    let before = plan_folder::load(Path::new(&args.before), options.clone())?;
    let after = plan_folder::load(Path::new(after), options)?;
    let changes = charging_server::changes(&before, &after, &args.numbers, parse::now());
    ComparisonView::of_folders(before.version(), after.version(), changes).print(args.format)
}

/// `tariff show`
pub(super) fn show(core: &CoreArgs, args: &ShowArgs) -> anyhow::Result<()> {
    let request = ShowTariffRequest {
        version: args.version.clone(),
        number: args.number.clone(),
        destination: args.destination.clone(),
    };
    let shown = talk(async {
        let mut tariffs = desk(core).await?;
        Ok(tariffs.show(request).await.map_err(|status| refused(core, &status))?.into_inner())
    })?;
    ShownView::from(shown).print(args.number.is_some() || args.destination.is_some(), args.format)
}

/// `tariff list`
pub(super) fn list(core: &CoreArgs, args: &ListArgs) -> anyhow::Result<()> {
    let versions = talk(async {
        let mut tariffs = desk(core).await?;
        all(core, tariffs.list(ListTariffsRequest::default()).await).await
    })?;
    VersionView::print_all(versions.into_iter().map(VersionView::from).collect(), args.format)
}

/// `tariff history`
pub(super) fn history(core: &CoreArgs, args: &HistoryArgs) -> anyhow::Result<()> {
    let events = talk(async {
        let mut tariffs = desk(core).await?;
        all(core, tariffs.history(TariffHistoryRequest { limit: args.limit }).await).await
    })?;
    EventView::print_all(events.into_iter().map(EventView::from).collect(), args.format)
}

/// `tariff activate`
pub(super) fn activate(core: &CoreArgs, args: &ActivateArgs) -> anyhow::Result<()> {
    let request = ActivateTariffRequest {
        tenant: String::new(),
        version: args.version.clone(),
        active_from_time: args.at.map(|at| at.0),
        activated_by: args.author.by(),
        comment: args.author.comment.clone(),
    };
    let activated = talk(async {
        let mut tariffs = desk(core).await?;
        Ok(tariffs.activate(request).await.map_err(|status| refused(core, &status))?.into_inner())
    })?;
    ActivatedView::new(activated, args.at).print(args.format)
}

async fn desk(core: &CoreArgs) -> anyhow::Result<TariffServiceClient<TokenChannel>> {
    // A response of a thousand rows and prices is larger than a message is by default.
    Ok(TariffServiceClient::new(connect_for(core, PATIENCE).await?).max_decoding_message_size(MOST_BYTES))
}

async fn all<T>(core: &CoreArgs, answer: Result<tonic::Response<Streaming<T>>, Status>) -> anyhow::Result<Vec<T>> {
    let mut stream = answer.map_err(|status| refused(core, &status))?.into_inner();
    let mut items = Vec::new();
    while let Some(item) = stream.message().await.map_err(|status| refused(core, &status))? {
        items.push(item);
    }
    Ok(items)
}

/// A tariff of a million prefixes is read, compared and written in seconds; a slow disk may take longer.
const PATIENCE: Duration = Duration::from_secs(600);
const MOST_BYTES: usize = 64 * 1024 * 1024;
