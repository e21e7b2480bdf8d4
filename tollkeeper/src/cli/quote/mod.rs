//! `quote`: what something costs, and why. From a folder without any server, or from a running core; one price, or a file
//! of requests.

mod bulk;
mod line;
mod view;

use std::path::PathBuf;

use charging_proto::v1::tariff_service_client::TariffServiceClient;
use charging_proto::v1::{ExplainRequest, ExplainResponse, QuoteRequest, Units, explain_request};
use clap::{Args, ValueEnum};
use rating::{Plan, PlanOptions, Query};
use types::UtcMs;
use types::charging::Service;

use super::connection::{CoreArgs, connect, refused, talk};
use super::plan_folder::{self, SettingsArgs};
use super::{parse, show};
use crate::exit::UsageError;

/// `quote`
#[derive(Debug, Args)]
pub struct QuoteArgs {
    /// The folder with the tariff. Without: the running core is asked.
    #[arg(long, value_name = "DIR")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
    /// The operator's customer domain.
    #[arg(long, default_value = "default")]
    tenant: String,
    /// The kind of traffic.
    #[arg(long, default_value = "call")]
    category: String,
    /// Whose tariff.
    #[arg(long, default_value = "*any")]
    subject: String,
    /// The number or name that is called.
    #[arg(long, required_unless_present_any = ["requests", "session"], value_name = "NUMBER", allow_hyphen_values = true)]
    destination: Option<String>,
    /// When it begins, in UTC. Without: now.
    #[arg(long, value_parser = parse::time, value_name = "TIME")]
    at: Option<UtcMs>,
    /// How much: 90s or 1m30s of voice, otherwise octets, messages or events.
    #[arg(long, required_unless_present_any = ["requests", "session"], value_name = "USAGE", allow_hyphen_values = true)]
    usage: Option<String>,
    /// What is sold.
    #[arg(long, value_enum, default_value = "voice")]
    tor: Tor,
    /// Price with this kept version of the core, instead of the one in force.
    #[arg(long, value_name = "VERSION", conflicts_with = "plan")]
    version: Option<String>,
    /// Explain what this session of the running core was charged, by the tariff it began with.
    #[arg(long, value_name = "ID", conflicts_with_all = ["plan", "destination", "usage", "at", "version", "requests"])]
    session: Option<String>,
    /// Every span, rate, increment and rounding, as one reads it to a customer.
    #[arg(long)]
    explain: bool,
    /// Prices a file of requests, one JSON object a line; - is standard input.
    #[arg(long, value_name = "FILE", requires_all = ["plan", "answers"], conflicts_with_all = ["destination", "usage", "at", "explain", "version"])]
    requests: Option<PathBuf>,
    /// Where the answers go, one JSON object a line in the order of the requests; - is standard output.
    #[arg(long, value_name = "FILE", requires = "requests")]
    answers: Option<PathBuf>,
    #[command(flatten)]
    format: show::Format,
}

/// What is sold.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tor {
    /// Calls; usage in time.
    #[value(alias = "*voice")]
    Voice,
    /// Data; usage in octets.
    #[value(alias = "*data")]
    Data,
    /// Text messages.
    #[value(alias = "*sms")]
    Sms,
    /// Multimedia messages.
    #[value(alias = "*mms")]
    Mms,
    /// Anything else that is counted.
    #[value(alias = "*generic")]
    Generic,
}

impl From<Tor> for Service {
    fn from(tor: Tor) -> Self {
        match tor {
            Tor::Voice => Self::Voice,
            Tor::Data => Self::Data,
            Tor::Sms => Self::Sms,
            Tor::Mms => Self::Mms,
            Tor::Generic => Self::Generic,
        }
    }
}

/// Does it.
pub fn run(core: &CoreArgs, args: &QuoteArgs) -> anyhow::Result<()> {
    if let (Some(requests), Some(answers), Some(folder)) = (&args.requests, &args.answers, &args.plan) {
        // By the letter of the format: such files compare raters, and there `+` is a character like any other.
        let options = args.settings.options(|options| PlanOptions { plus_is_optional: false, ..options })?;
        let plan = plan_folder::load(folder, options)?;
        return bulk::run(&plan, requests, answers, args.format);
    }
    if let Some(session_id) = &args.session {
        let explained = explain(core, explain_request::Subject::SessionId(session_id.clone()))?;
        return view::print_session(session_id, &explained, args.format);
    }
    let asked = Asked::of(args)?;
    let explained = match &args.plan {
        Some(folder) => {
            let plan = plan_folder::load(folder, args.settings.options(|options| options)?)?;
            asked.priced_by(&plan)
        }
        None => asked.told_by(core, args)?,
    };
    view::print(&asked, &explained, args.explain, args.format)
}

/// One question.
struct Asked<'a> {
    service: Service,
    tenant: &'a str,
    category: &'a str,
    subject: &'a str,
    destination: &'a str,
    start: UtcMs,
    /// Milliseconds of voice, or units.
    usage: u64,
}

impl<'a> Asked<'a> {
    fn of(args: &'a QuoteArgs) -> anyhow::Result<Self> {
        let service = Service::from(args.tor);
        let text = args.usage.as_deref().unwrap_or_default();
        Ok(Self {
            service,
            tenant: &args.tenant,
            category: &args.category,
            subject: &args.subject,
            destination: args.destination.as_deref().unwrap_or_default(),
            start: args.at.unwrap_or_else(parse::now),
            usage: usage(text, service).map_err(UsageError)?,
        })
    }

    fn priced_by(&self, plan: &Plan) -> ExplainResponse {
        let query = Query {
            service: self.service,
            tenant: self.tenant,
            category: self.category,
            subject: self.subject,
            destination: self.destination,
            start: self.start,
        };
        charging_server::explained(plan, &query, self.usage)
    }

    fn told_by(&self, core: &CoreArgs, args: &QuoteArgs) -> anyhow::Result<ExplainResponse> {
        if args.settings.any() {
            let text = "-c, --currency and --time-zone belong to --plan DIR; a core prices with its own settings";
            return Err(UsageError(text.to_owned()).into());
        }
        let units = match self.service {
            Service::Voice => Units { time_ms: Some(self.usage), ..Units::default() },
            Service::Data => Units { total_octets: Some(self.usage), ..Units::default() },
            _ => Units { specific_units: Some(self.usage), ..Units::default() },
        };
        let quote = QuoteRequest {
            tenant: self.tenant.to_owned(),
            subject: Some(self.subject.to_owned()),
            service: charging_proto::v1::Service::from(self.service).into(),
            category: Some(self.category.to_owned()),
            called: Some(self.destination.to_owned()),
            start_time: Some(self.start.0),
            units: Some(units),
            version: args.version.clone(),
            ..QuoteRequest::default()
        };
        explain(core, explain_request::Subject::Quote(quote))
    }
}

fn explain(core: &CoreArgs, subject: explain_request::Subject) -> anyhow::Result<ExplainResponse> {
    talk(async {
        let mut tariffs = TariffServiceClient::new(connect(core).await?);
        let request = ExplainRequest { subject: Some(subject) };
        Ok(tariffs.explain(request).await.map_err(|status| refused(core, &status))?.into_inner())
    })
}

/// Usage as a person writes it: a bare number of voice would be nanoseconds, which nobody means.
fn usage(text: &str, service: Service) -> Result<u64, String> {
    let bare = !text.is_empty() && text != "0" && text.bytes().all(|byte| byte.is_ascii_digit());
    if service == Service::Voice && bare {
        return Err(format!("--usage {text} of voice needs a unit: write {text}s for seconds"));
    }
    rating::parse_usage(text, service).map_err(|_| {
        let what = if service == Service::Voice { "a time such as 90s or 1m30s" } else { "a number such as 1048576" };
        format!("--usage {text:?} must be {what}, not negative and below 2^63")
    })
}
