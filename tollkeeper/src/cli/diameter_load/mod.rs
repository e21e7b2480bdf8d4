//! `tollkeeper diameter-load`: plays Diameter clients towards a charging server, and tells what came back.

mod view;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent_diameter::client::{Dial, DialError, TlsFiles};
use agent_diameter::load::{self, LoadError, LoadPlan, Profile, Progress, Stop};
use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use types::ConfigDuration;

use super::connection::CoreArgs;
use super::plan_folder::bar;
use super::show;
use crate::exit::{self, UsageError};

/// What is played, and where.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// The charging server, or a relay in front of it.
    #[arg(long, value_name = "HOST:PORT")]
    target: Box<str>,
    /// Whom to play: gy-data (packet gateway), ro-voice (call server), sms-event (message centre).
    #[arg(long, default_value = "gy-data")]
    profile: Profile,
    /// Sessions at once, over all connections.
    #[arg(long, default_value_t = 100, value_name = "N")]
    sessions: u32,
    /// Requests a second, over all connections.
    #[arg(long, default_value_t = 100, value_name = "R")]
    rate: u32,
    /// Updates of a session between its first and its last request.
    #[arg(long, default_value_t = 3, value_name = "U")]
    updates: u32,
    /// How long, such as 30s or 5m; then the sessions that stand are ended.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    duration: ConfigDuration,
    /// End after so many sessions, if the duration is not over before.
    #[arg(long, value_name = "N")]
    total: Option<u64>,
    /// Connections. With more than one each has an Origin-Host of its own: pgw-1.example.net, pgw-2.example.net, ...
    #[arg(long, default_value_t = 1, value_name = "C")]
    connections: u32,
    /// Rating groups of a session. Without: 100,200,300 for gy-data, 100 for ro-voice, none for sms-event.
    #[arg(long, value_delimiter = ',', value_name = "N,N,...")]
    rating_groups: Vec<u32>,
    /// Asked for and used with each request: octets, seconds or messages; 0: what the server grants. Without: 1000000, 60, 1.
    #[arg(long, value_name = "N")]
    units: Option<u64>,
    /// E.164 number of the first subscriber, digits only.
    #[arg(long, default_value_t = 491_700_000_000, value_name = "NUMBER")]
    first_subscriber: u64,
    /// Subscribers, with numbers one after the other; sessions go round among them.
    #[arg(long, default_value_t = 1, value_name = "N")]
    subscribers: u32,
    /// E.164 number that is called or sent to, digits only.
    #[arg(long, default_value = "49301234567", value_name = "NUMBER")]
    called: Box<str>,
    /// Our Origin-Host. The server must have it among its peers.
    #[arg(long, default_value = "pgw.example.net", value_name = "HOST")]
    origin_host: Box<str>,
    /// Our Origin-Realm. Without: what follows the first dot of the Origin-Host.
    #[arg(long, value_name = "REALM")]
    origin_realm: Option<Box<str>>,
    /// Realm of the server. Without: our own.
    #[arg(long, value_name = "REALM")]
    destination_realm: Option<Box<str>>,
    /// Host of the server. Without: any of its realm.
    #[arg(long, value_name = "HOST")]
    destination_host: Option<Box<str>>,
    /// Service-Context-Id. Without: 32251@3gpp.org, 32260@3gpp.org, 32274@3gpp.org.
    #[arg(long, value_name = "TEXT")]
    context: Option<Box<str>>,
    /// Tx: how long an answer may take before the request is sent again, with the T bit.
    #[arg(long, default_value = "10s", value_name = "TIME")]
    tx: ConfigDuration,
    /// How often a request is sent before it counts as lost.
    #[arg(long, default_value_t = 3, value_name = "N")]
    attempts: u32,
    /// Send every Nth request twice, the second time with the T bit; 0: none. The server must give both the same answer and charge once.
    #[arg(long, default_value_t = 0, value_name = "N")]
    copies: u32,
    /// TLS; the server's certificate is checked with --ca, ours is given with --cert and --key.
    #[arg(long)]
    tls: bool,
    /// The name in the server's certificate. Without: the host of --target.
    #[arg(long, value_name = "NAME")]
    tls_name: Option<Box<str>>,
    #[command(flatten)]
    format: show::Format,
}

impl LoadArgs {
    fn plan(&self) -> anyhow::Result<LoadPlan> {
        let of_host = || self.origin_host.split_once('.').map_or(&*self.origin_host, |(_, realm)| realm);
        let origin_realm: Box<str> = self.origin_realm.as_deref().unwrap_or_else(of_host).into();
        let plan = LoadPlan {
            profile: self.profile,
            sessions: self.sessions,
            rate: self.rate,
            updates: self.updates,
            duration: self.duration.std(),
            total: self.total,
            connections: self.connections,
            rating_groups: self.rating_groups.clone(),
            units: self.units.unwrap_or(self.profile.units()),
            first_subscriber: self.first_subscriber,
            subscribers: self.subscribers,
            called: self.called.clone(),
            origin_host: self.origin_host.clone(),
            destination_realm: self.destination_realm.clone().unwrap_or_else(|| origin_realm.clone()),
            origin_realm,
            destination_host: self.destination_host.clone(),
            context: self.context.clone(),
            tx: self.tx.std(),
            attempts: self.attempts,
            copies: self.copies,
        };
        let faults: Vec<String> =
            plan.faults().into_iter().map(|(option, problem)| format!("--{option} {problem}")).collect();
        if faults.is_empty() { Ok(plan) } else { Err(UsageError(faults.join("\n")).into()) }
    }

    fn dial(&self, core: &CoreArgs) -> anyhow::Result<Dial> {
        if self.target.rsplit_once(':').is_none_or(|(host, port)| host.is_empty() || port.parse::<u16>().is_err()) {
            let text = format!("--target {} is no address; write host:port, such as ocs.example.net:3868", self.target);
            return Err(UsageError(text).into());
        }
        let (ca, certificate, key) = core.tls_files();
        let files = match (self.tls, ca) {
            (false, _) => None,
            (true, None) => {
                return Err(UsageError("--tls needs --ca: who signs the server's certificate".into()).into());
            }
            (true, Some(ca)) => {
                let own = match (certificate, key) {
                    (Some(certificate), Some(key)) => Some((certificate.to_owned(), key.to_owned())),
                    (None, None) => None,
                    _ => return Err(UsageError("--cert and --key go together".into()).into()),
                };
                Some(TlsFiles { authority: ca.to_owned(), own, peer_name: self.tls_name.clone() })
            }
        };
        Dial::new(&self.target, files.as_ref(), CONNECT_TIMEOUT).map_err(|error| match error {
            error @ (DialError::File { .. } | DialError::Unusable { .. } | DialError::Name { .. }) => {
                let error = anyhow::Error::new(error);
                UsageError(format!("{error:#}")).into()
            }
            error => error.into(),
        })
    }
}

/// Plays it. Exit code 1 when answers are missing or wrong; refusals for lack of credit are answers.
pub fn run(core: &CoreArgs, args: &LoadArgs) -> anyhow::Result<ExitCode> {
    let (plan, dial) = (args.plan()?, args.dial(core)?);
    let host = plan.host_of(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting")?;
    let played = runtime.block_on(play(plan, dial));
    let report = played.map_err(|error| {
        let remedy = match &error {
            LoadError::Link { .. } => {
                format!("; is it a Diameter server that has {host} among its peers? Its log says whom it refused")
            }
            _ => String::new(),
        };
        let error = anyhow::Error::new(error);
        anyhow::anyhow!("{error:#}{remedy}")
    })?;
    if args.format.json {
        show::json(&report)?;
    } else {
        view::show(&report)?;
    }
    let faults = report.faults();
    for fault in &faults {
        exit::complain(&format!("error: {fault}"));
    }
    Ok(ExitCode::from(if faults.is_empty() { exit::OK } else { exit::FAILED }))
}

async fn play(plan: LoadPlan, dial: Dial) -> Result<load::LoadReport, LoadError> {
    let (progress, stop) = (Arc::new(Progress::default()), Stop::default());
    let watching = tokio::spawn(watch(plan.duration, Arc::clone(&progress)));
    let stopping = tokio::spawn(listen(stop.clone()));
    let played = load::run(plan, dial, progress, stop).await;
    watching.abort();
    stopping.abort();
    played
}

/// The first signal ends the sessions that stand, the second one only says goodbye.
async fn listen(stop: Stop) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return exit::complain("signals cannot be caught; Ctrl-C ends this at once");
    };
    for token in [stop.finish, stop.abandon] {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        token.cancel();
    }
}

/// A line on a terminal.
async fn watch(duration: Duration, progress: Arc<Progress>) {
    let seconds = duration.as_secs().max(1);
    let bar = bar("{bar:30} {elapsed} {msg}");
    bar.set_length(seconds);
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    let begun = tokio::time::Instant::now();
    loop {
        tick.tick().await;
        let elapsed = begun.elapsed().as_secs();
        bar.set_position(elapsed.min(seconds));
        let (sent, answered, lost, open) = (progress.sent(), progress.answered(), progress.lost(), progress.open());
        let end = if elapsed >= seconds { ", ending them" } else { "" };
        bar.set_message(format!("{sent} sent, {answered} answered, {lost} lost, {open} sessions{end}"));
    }
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
