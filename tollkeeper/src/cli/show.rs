//! Output: tables for people, one JSON object a line for programs.

use std::io::{self, Write as _};

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use types::UtcMs;

/// Whether programs read it.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Format {
    /// One JSON object a line: snake_case keys, money as decimal strings, times ISO 8601.
    #[arg(long)]
    pub json: bool,
}

/// Prints as it is.
pub fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints a line.
pub fn line(text: &str) -> anyhow::Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Prints one JSON object.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints rows under a header; `empty` when there are none.
pub fn rows<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, empty: &str) -> anyhow::Result<()> {
    if rows.is_empty() {
        return line(empty);
    }
    let mut table = plain_table();
    table.set_header(header);
    table.add_rows(rows);
    line(&table.trim_fmt())
}

/// Prints names and values.
pub fn fields(pairs: &[(&str, String)]) -> anyhow::Result<()> {
    let mut table = plain_table();
    table.add_rows(pairs.iter().map(|(name, value)| [(*name).to_owned(), value.clone()]));
    line(&table.trim_fmt())
}

/// ISO 8601 of milliseconds UTC.
pub fn time(ms: i64) -> String {
    UtcMs(ms).to_string()
}

/// A dash for what is absent.
pub fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

/// Wide: what an operator copies must not be broken over lines.
fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}
