//! Logs on standard error, and panics in them.

mod json;

use std::io::IsTerminal as _;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Installs the log, and a hook that writes panics into it.
pub(super) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let level = std::env::var("RUST_LOG").ok().filter(|level| !level.is_empty());
    let filter = EnvFilter::builder().parse_lossy(level.as_deref().unwrap_or(&config.level));
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(terminal);
    let installed = if json {
        subscriber.fmt_fields(json::SpanFields).event_format(json::JsonLines).try_init()
    } else {
        subscriber.try_init()
    };
    installed.map_err(|error| anyhow!("starting the log: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("no message");
        let thread = std::thread::current().name().map(str::to_owned);
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(place, thread, what, %backtrace, "panic: a bug of tollkeeper");
    }));
    Ok(())
}
