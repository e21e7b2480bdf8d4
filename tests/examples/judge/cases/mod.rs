//! Cases of rating and charging, one JSON object a line, and their replay: plans, accounts, prices, maximum usage.
//!
//! Prices must be exact. Where the program that the figures come from rounds each increment, a case says what exact
//! arithmetic gives (`exact`, or a figure in its note), and only that passes.

mod accounts;
mod figures;
mod max_usage;
mod plans;
mod price;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use accounts::Accounts;
use plans::Plans;

/// What came out so far.
pub struct Judge {
    /// Steps that came out right.
    pub passed: usize,
    /// Steps that did not: which, our figure and theirs.
    pub failed: Vec<String>,
    /// Steps that were not judged, by reason.
    pub skipped: BTreeMap<String, Vec<String>>,
    plans: Plans,
    folder: PathBuf,
}

/// What became of a step.
enum Verdict {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Judge {
    /// For cases whose plans are in `folder`, or in its `plans`.
    pub fn new(folder: &Path) -> Self {
        let plans = Plans::new(folder);
        Self { passed: 0, failed: Vec::new(), skipped: BTreeMap::new(), plans, folder: folder.to_path_buf() }
    }

    /// Replays one case.
    ///
    /// # Errors
    /// What is no case at all.
    pub fn replay(&mut self, text: &str) -> Result<(), String> {
        let case: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let id = case["id"].as_str().ok_or("a case without id")?.to_owned();
        // A case without steps is one itself: a price that was asked for.
        let whole = [case.clone()];
        let steps = case["steps"].as_array().map_or(&whole[..], Vec::as_slice);
        let mut state = State { accounts: None, untouched: true, max_usages: Vec::new() };
        for (at, step) in steps.iter().enumerate() {
            let name = format!("{id} step {at} {}", step["request"]);
            let verdict = self.judge(&case, step, &mut state);
            self.count(&name, verdict);
        }
        if let Some(relation) = case["expected_relation"].as_str() {
            let verdict = match figures::holds(relation, &state.max_usages) {
                Some(true) => Verdict::Passed,
                Some(false) => Verdict::Failed(format!("max_usage {:?}, expected {relation}", state.max_usages)),
                None => Verdict::Skipped("a relation that is not understood".to_owned()),
            };
            self.count(&id, verdict);
        }
        Ok(())
    }

    fn judge(&mut self, case: &Value, step: &Value, state: &mut State) -> Verdict {
        let operation = step["op"].as_str().unwrap_or("GetCost");
        let max_usage = match operation {
            "GetCost" => false,
            "GetMaxUsage" => true,
            "GetAccount" => return Verdict::Skipped(format!("operation {operation}")),
            _ => {
                state.untouched = false;
                return Verdict::Skipped(format!("operation {operation}"));
            }
        };
        let plan = match self.plans.of(case, step) {
            Ok(plan) => plan,
            Err(error) => return Verdict::Failed(format!("the plan does not load: {error}")),
        };
        if !max_usage {
            return price::judge(case, step, &plan);
        }
        if !state.untouched {
            return Verdict::Skipped("GetMaxUsage behind an operation that was skipped".to_owned());
        }
        if state.accounts.is_none() {
            match Accounts::of(case, &self.plans.tables(case), &self.folder) {
                Ok(accounts) => state.accounts = Some(accounts),
                Err(reason) => return Verdict::Failed(format!("the accounts: {reason}")),
            }
        }
        match &state.accounts {
            Some(accounts) => max_usage::judge(case, step, &plan, accounts, &mut state.max_usages),
            None => Verdict::Failed("no accounts".to_owned()),
        }
    }

    fn count(&mut self, name: &str, verdict: Verdict) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(difference) => self.failed.push(format!("{name}: {difference}")),
            Verdict::Skipped(reason) => self.skipped.entry(reason).or_default().push(name.to_owned()),
        }
    }
}

/// What steps of one case leave to the next.
struct State {
    accounts: Option<Accounts>,
    /// False once an operation was skipped that may have changed an account.
    untouched: bool,
    max_usages: Vec<Option<i128>>,
}
