//! The plan of a case: a folder, rows in the case itself, or one rate for whatever is asked.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rating::{Plan, PlanOptions, Table, Tables};
use serde_json::Value;
use types::Currency;

/// Plans that were loaded, by what they were loaded from.
pub struct Plans {
    folder: PathBuf,
    loaded: HashMap<String, Result<Arc<Plan>, String>>,
}

/// Texts of the tables that are no business of a price: actions, accounts, groups.
pub type OtherTables = HashMap<&'static str, Vec<Vec<String>>>;

impl Plans {
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), loaded: HashMap::new() }
    }

    /// The plan of a case, for the question of one of its steps.
    pub fn of(&mut self, case: &Value, step: &Value) -> Result<Arc<Plan>, String> {
        let inline = !case["plan"]["rate_inline"].is_null();
        let asked = if inline { step["request"].to_string() } else { String::new() };
        let key = format!("{} {} {asked}", case["plan"], case["config"]);
        if let Some(plan) = self.loaded.get(&key) {
            return plan.clone();
        }
        let plan = self.load(case, step).map(Arc::new);
        self.loaded.insert(key, plan.clone());
        plan
    }

    fn load(&self, case: &Value, step: &Value) -> Result<Plan, String> {
        let (plan, options) = (&case["plan"], options(&case["config"])?);
        let loaded = if let Some(path) = plan["folder"].as_str() {
            Plan::load(&folder_of(&self.folder, path), options)
        } else if plan["rate_inline"].is_null() {
            Plan::from_tables(&tables_of_rows(&plan["rows"]), options)
        } else {
            Plan::from_tables(&tables_of_rate(plan, &step["request"]), options)
        };
        loaded.map_err(|errors| errors.to_string())
    }

    /// The rows of the tables that accounts are made of.
    pub fn tables(&self, case: &Value) -> OtherTables {
        let mut tables = OtherTables::new();
        for table in ["Actions", "ActionPlans", "AccountActions", "SharedGroups", "Timings", "Destinations"] {
            let text = match case["plan"]["folder"].as_str() {
                Some(path) => {
                    let file = folder_of(&self.folder, path).join(format!("{table}.csv"));
                    std::fs::read_to_string(file).unwrap_or_default()
                }
                None => joined(&case["plan"]["rows"][table]),
            };
            let mut rows: Vec<Vec<String>> = csv_rows(&text);
            for (id, prefixes) in case["plan"]["destinations"].as_object().into_iter().flatten() {
                let prefixes = prefixes.as_array().into_iter().flatten().filter_map(Value::as_str);
                rows.extend(prefixes.filter(|_| table == "Destinations").map(|prefix| vec![id.clone(), prefix.into()]));
            }
            tables.insert(table, rows);
        }
        tables
    }
}

/// Cases name a folder below the one they stand in; `--plans` may be that one, or its `plans`.
pub fn folder_of(folder: &Path, path: &str) -> PathBuf {
    let below = folder.join(path);
    let short = path.split_once('/').map_or(path, |(_, rest)| rest);
    if below.is_dir() { below } else { folder.join(short) }
}

fn options(config: &Value) -> Result<PlanOptions, String> {
    let currency: Currency = "EUR".parse().map_err(|_| "no currency")?;
    // In the cases `+` is a character like any other.
    let mut options = PlanOptions { plus_is_optional: false, ..currency.into() };
    if let Some(depth) = config["fallback_depth"].as_u64() {
        options.fallback_depth = u8::try_from(depth).map_err(|_| format!("fallback_depth {depth} is above 255"))?;
    }
    options.subject_prefix_matching = config["rp_subject_prefix_matching"].as_bool().unwrap_or(false);
    if let Some(zone) = config["default_timezone"].as_str().filter(|zone| *zone != "Local") {
        options.default_tenant.time_zone = zone.parse().map_err(|error| format!("{error}"))?;
    }
    Ok(options)
}

fn tables_of_rows(rows: &Value) -> Tables {
    let mut tables = Tables::default();
    for table in Table::ALL {
        *tables.text_mut(table) = joined(&rows[table.file_name().trim_end_matches(".csv")]);
    }
    tables
}

fn joined(rows: &Value) -> String {
    let mut text = String::new();
    for row in rows.as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str(row);
        text.push('\n');
    }
    text
}

/// A rate without tables prices whoever asks, wherever they call.
fn tables_of_rate(plan: &Value, request: &Value) -> Tables {
    let (rate, mut tables) = (&plan["rate_inline"], Tables::default());
    let cell = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace("null", "");
    for group in rate["rates"].as_array().into_iter().flatten() {
        let cells = [&rate["connect_fee"], &group["value"], &group["unit"], &group["increment"], &group["group_start"]];
        tables.rates += &format!("R,{}\n", cells.map(cell).join(","));
    }
    let method = rate["rounding_method"].as_str().unwrap_or("*middle");
    let decimals = rate["rounding_decimals"].as_u64().unwrap_or(9);
    let strategy = if rate["max_cost"].is_null() { "" } else { rate["max_cost_strategy"].as_str().unwrap_or("*free") };
    tables.destination_rates = format!("D,*any,R,{method},{decimals},{},{strategy}\n", cell(&rate["max_cost"]));
    tables.rating_plans = "P,D,*any,10\n".to_owned();
    for (id, prefixes) in plan["destinations"].as_object().into_iter().flatten() {
        for prefix in prefixes.as_array().into_iter().flatten().filter_map(Value::as_str) {
            tables.destinations += &format!("{id},{prefix}\n");
        }
    }
    // An empty tenant cannot stand in a plan: whoever asks without one is given this name by `price::text_or`.
    let quoted = |key: &str, otherwise: &str| {
        let text = request[key].as_str().filter(|text| !text.is_empty()).unwrap_or(otherwise);
        format!("\"{}\"", text.replace('"', "\"\""))
    };
    let (tenant, category) = (quoted("tenant", NO_TENANT), quoted("category", NO_TENANT));
    let written = writeln!(tables.rating_profiles, "{tenant},{category},*any,,P,");
    assert!(written.is_ok(), "a text takes what is written to it");
    tables
}

/// Rows of a table: comments and blank lines dropped, quotes taken off.
fn csv_rows(text: &str) -> Vec<Vec<String>> {
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    lines.filter(|line| !line.trim().is_empty() && !line.starts_with('#')).map(cells).collect()
}

fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => cell.extend(characters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell).trim().to_owned()),
            other => cell.push(other),
        }
    }
    cells.push(cell.trim().to_owned());
    cells
}

/// The tenant of those who name none.
pub const NO_TENANT: &str = "*none";
