//! `tollkeeper diameter`: what the Diameter agents of a running process know of their peers.

use std::net::SocketAddr;

use agent_diameter::{ConnectedPeer, PeersReport, RefusedPeer};
use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ConfigArgs, process, show};

/// `tollkeeper diameter ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Who is connected, in which state; who was refused, why, and how to let it in.
    #[command(after_help = "Examples:
  tollkeeper diameter peers -c /etc/tollkeeper/tollkeeper.toml
  tollkeeper diameter peers --http 127.0.0.1:9090 --json")]
    Peers(PeersArgs),
}

/// `diameter peers`
#[derive(Debug, Args)]
pub struct PeersArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The address of the process's /metrics; otherwise found in the data directory.
    #[arg(long, value_name = "ADDRESS")]
    http: Option<SocketAddr>,
    #[command(flatten)]
    format: show::Format,
}

/// Does it.
pub fn run(command: &Command) -> anyhow::Result<()> {
    let Command::Peers(args) = command;
    let address = match args.http {
        Some(address) => address,
        None => {
            let data_dir = args.config.load()?.top.data_dir;
            process::listening(&data_dir).with_context(|| {
                format!("no process has run in {}; name one with -c, --data-dir or --http", data_dir.display())
            })?
        }
    };
    let reports: Vec<PeersReport> = process::ask(address, "/diameter/peers")?;
    if args.format.json {
        return reports.iter().try_for_each(show::json);
    }
    if reports.is_empty() {
        return show::line("no agent of kind \"diameter\" runs there");
    }
    reports.iter().try_for_each(print)
}

fn print(report: &PeersReport) -> anyhow::Result<()> {
    show::line(&format!("agent {}, {}", report.agent, report.origin_host))?;
    let connected = report.connected.iter().map(connected_row).collect();
    show::rows(CONNECTED, connected, "nobody is connected")?;
    if report.refused.is_empty() {
        return Ok(());
    }
    show::line("refused:")?;
    show::rows(REFUSED, report.refused.iter().map(refused_row).collect(), "")
}

const CONNECTED: [&str; 8] = ["PEER", "REALM", "ADDRESS", "KIND", "SINCE", "WATCHDOG", "IN FLIGHT", "REQUESTS"];
const REFUSED: [&str; 7] = ["PEER", "REALM", "ADDRESS", "REASON", "TIMES", "LAST", "REMEDY"];

fn connected_row(peer: &ConnectedPeer) -> [String; 8] {
    let kind = match (peer.relay, peer.tls) {
        (false, false) => "client",
        (true, false) => "relay",
        (false, true) => "client, TLS",
        (true, true) => "relay, TLS",
    };
    [
        peer.host.clone(),
        peer.realm.clone(),
        peer.address.to_string(),
        kind.to_owned(),
        peer.since.clone(),
        peer.watchdog.clone(),
        peer.in_flight.to_string(),
        peer.requests.to_string(),
    ]
}

fn refused_row(peer: &RefusedPeer) -> [String; 7] {
    let code = peer.result_code.map_or_else(String::new, |code| format!(" ({code})"));
    [
        show::or_dash(Some(&peer.host).filter(|host| !host.is_empty())),
        show::or_dash(Some(&peer.realm).filter(|realm| !realm.is_empty())),
        peer.address.to_string(),
        format!("{}{code}", peer.reason),
        peer.count.to_string(),
        peer.last.clone(),
        remedy(peer),
    ]
}

fn remedy(peer: &RefusedPeer) -> String {
    match &*peer.reason {
        "unknown" => format!("if it is yours: peers = [{{ host = \"{}\" }}]", peer.host),
        "wrong_realm_or_address" => "its realm and addresses in peers say otherwise".to_owned(),
        "no_common_application" => "it must offer application 4, credit control".to_owned(),
        "our_own_name" => "it must have another Origin-Host than we".to_owned(),
        "another_name" => "one connection, one Origin-Host".to_owned(),
        "wants_tls" => "let it use the port with TLS".to_owned(),
        "certificate_of_another" => "its certificate needs its Origin-Host as a subjectAltName".to_owned(),
        "tls" => "it needs TLS 1.2 and a certificate that authority_file signed".to_owned(),
        _ => "its CER cannot be read; the log says why".to_owned(),
    }
}
