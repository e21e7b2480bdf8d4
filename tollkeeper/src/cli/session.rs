//! `session ...`: everything over gRPC.

use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::v1::{
    BalanceDraw, GetSessionRequest, ListSessionsRequest, ReleaseCause, ReleaseSessionRequest, SessionPhase,
    SessionSummary, balance_amount,
};
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::connection::{CoreArgs, connect, refused, talk};
use super::show;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List sessions; without conditions the open and expired ones of all clients.
    #[command(after_help = "Examples:
  tollkeeper session list
  tollkeeper session list --tenant default --account alice --phase closed --json")]
    List(ListArgs),
    /// Show one session: times used and granted, cost, phase.
    #[command(after_help = "Examples:
  tollkeeper session show SESSION_ID
  tollkeeper session show SESSION_ID --json")]
    Show(OneArgs),
    /// Ask the owner of a session to end its call.
    #[command(after_help = "Examples:
  tollkeeper session release SESSION_ID
  tollkeeper session release SESSION_ID --cause fraud")]
    Release(ReleaseArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this owner's: the agent's name, a slash, the switch's name.
    #[arg(long)]
    client: Option<String>,
    /// Only this tenant's.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this account's; needs --tenant.
    #[arg(long, requires = "tenant")]
    account: Option<String>,
    /// Only in this phase; may be repeated.
    #[arg(long, value_enum)]
    phase: Vec<Phase>,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct OneArgs {
    /// The session's id.
    id: String,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The session's id.
    id: String,
    /// Why; written to the record.
    #[arg(long, value_enum, default_value = "operator")]
    cause: Cause,
    #[command(flatten)]
    format: show::Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Phase {
    /// Holding a reservation.
    Open,
    /// Not heard of in time, settled provisionally.
    Expired,
    /// Settled for good.
    Closed,
    /// Denied at the start.
    Denied,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Cause {
    /// An operator ends the call.
    Operator,
    /// Fraud was seen.
    Fraud,
    /// A policy says no.
    Policy,
}

/// Does it.
pub fn run(core: &CoreArgs, command: Command) -> anyhow::Result<()> {
    talk(async {
        let mut sessions = SessionServiceClient::new(connect(core).await?);
        match command {
            Command::List(args) => {
                let request = ListSessionsRequest {
                    client_id: args.client,
                    tenant: args.tenant,
                    account_id: args.account,
                    phases: args.phase.into_iter().map(|phase| SessionPhase::from(phase).into()).collect(),
                };
                let mut listed = sessions.list(request).await.map_err(|status| refused(core, &status))?.into_inner();
                let mut found = Vec::new();
                while let Some(session) = listed.message().await.map_err(|status| refused(core, &status))? {
                    found.push(SessionView::from(session));
                }
                SessionView::print_all(&found, args.format)
            }
            Command::Show(args) => {
                let request = GetSessionRequest { session_id: args.id.clone() };
                let found = sessions.get(request).await.map_err(|status| refused(core, &status))?.into_inner();
                let session = found.session.ok_or_else(|| {
                    anyhow::anyhow!(
                        "the charging core at {core} knows no session {}; see: tollkeeper session list",
                        args.id
                    )
                })?;
                let view =
                    SessionView { drawn: found.drawn.into_iter().map(DrawView::from).collect(), ..session.into() };
                view.print(args.format)
            }
            Command::Release(args) => {
                let cause = Some(ReleaseCause::from(args.cause).into());
                let request = ReleaseSessionRequest { session_id: args.id, release_cause: cause };
                let told = sessions.release(request).await.map_err(|status| refused(core, &status))?.into_inner();
                SessionView::from(told.session.unwrap_or_default()).print_released(args.format)
            }
        }
    })
}

#[derive(Debug, Serialize)]
struct SessionView {
    session_id: String,
    client_id: String,
    phase: String,
    last_request_number: u32,
    used_time_ms: u64,
    granted_time_ms: u64,
    final_grant: bool,
    billable_ms: u64,
    currency: Option<String>,
    cost: Option<String>,
    per_minute_rate: Option<String>,
    overrun: Option<String>,
    answer_time: Option<String>,
    updated_time: String,
    /// What it took from which balance; empty when the account's own money alone pays, and in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    drawn: Vec<DrawView>,
}

#[derive(Debug, Serialize)]
struct DrawView {
    balance_id: String,
    amount: String,
}

impl From<BalanceDraw> for DrawView {
    fn from(draw: BalanceDraw) -> Self {
        let amount = match draw.amount.and_then(|amount| amount.amount) {
            Some(balance_amount::Amount::Money(money)) => money,
            Some(balance_amount::Amount::Units(units)) => units.to_string(),
            None => "0".to_owned(),
        };
        Self { balance_id: draw.balance_id, amount }
    }
}

impl From<SessionSummary> for SessionView {
    fn from(session: SessionSummary) -> Self {
        let phase = session.phase().as_str_name().trim_start_matches("SESSION_PHASE_").to_lowercase();
        let (currency, cost, per_minute_rate, overrun) = match session.cost {
            Some(cost) => (Some(cost.currency), Some(cost.amount), cost.per_minute_rate, Some(cost.overrun)),
            None => (None, None, None, None),
        };
        Self {
            session_id: session.session_id,
            client_id: session.client_id,
            phase,
            last_request_number: session.last_request_number,
            used_time_ms: session.used_time_ms,
            granted_time_ms: session.granted_time_ms,
            final_grant: session.final_grant,
            billable_ms: session.billable_ms,
            currency,
            cost,
            per_minute_rate,
            overrun,
            answer_time: session.answer_time.map(show::time),
            updated_time: show::time(session.updated_time),
            drawn: Vec::new(),
        }
    }
}

impl SessionView {
    fn price(&self) -> String {
        match (&self.cost, &self.currency) {
            (Some(cost), Some(currency)) => format!("{cost} {currency}"),
            _ => "-".to_owned(),
        }
    }

    fn print(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        let last = if self.final_grant { " (the last grant)" } else { "" };
        let drawn: Vec<String> =
            self.drawn.iter().map(|draw| format!("{} of {}", draw.amount, draw.balance_id)).collect();
        show::fields(&[
            ("session", self.session_id.clone()),
            ("client", self.client_id.clone()),
            ("phase", self.phase.clone()),
            ("answered", show::or_dash(self.answer_time.as_ref())),
            ("used", format!("{} ms", self.used_time_ms)),
            ("granted until", format!("{} ms{last}", self.granted_time_ms)),
            ("billable", format!("{} ms", self.billable_ms)),
            ("cost", self.price()),
            ("taken", if drawn.is_empty() { "-".to_owned() } else { drawn.join(", ") }),
            ("rate per minute", show::or_dash(self.per_minute_rate.as_ref())),
            ("overrun", show::or_dash(self.overrun.as_ref())),
            ("last request", self.last_request_number.to_string()),
            ("updated", self.updated_time.clone()),
        ])
    }

    fn print_released(&self, format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return show::json(self);
        }
        show::line(&format!("asked {} to end session {}", self.client_id, self.session_id))
    }

    fn print_all(sessions: &[Self], format: show::Format) -> anyhow::Result<()> {
        if format.json {
            return sessions.iter().try_for_each(show::json);
        }
        let rows = sessions.iter().map(|session| {
            [
                session.session_id.clone(),
                session.client_id.clone(),
                session.phase.clone(),
                show::or_dash(session.answer_time.as_ref()),
                session.used_time_ms.to_string(),
                session.granted_time_ms.to_string(),
                session.price(),
            ]
        });
        let header = ["SESSION", "CLIENT", "PHASE", "ANSWERED", "USED MS", "GRANTED MS", "COST"];
        show::rows(header, rows.collect(), "no sessions")
    }
}

impl From<Phase> for SessionPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Open => Self::Open,
            Phase::Expired => Self::Expired,
            Phase::Closed => Self::Closed,
            Phase::Denied => Self::Denied,
        }
    }
}

impl From<Cause> for ReleaseCause {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Operator => Self::Operator,
            Cause::Fraud => Self::Fraud,
            Cause::Policy => Self::Policy,
        }
    }
}
