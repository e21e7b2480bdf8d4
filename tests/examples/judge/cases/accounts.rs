//! Accounts as far as a maximum usage needs them: balances from actions, and from the set-up of a case.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use types::{Money, UtcMs};

use super::figures::{base_units, time};
use super::plans::OtherTables;
use super::price::text;

/// All accounts of a case by `tenant:account`, and what is known besides them.
pub struct Accounts {
    accounts: BTreeMap<String, Account>,
    tables: OtherTables,
}

/// One account.
#[derive(Debug, Clone, Default)]
pub struct Account {
    pub balances: Vec<Balance>,
    pub allow_negative: bool,
    pub disabled: bool,
}

/// One balance.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Balance {
    pub id: String,
    /// `*monetary`, `*voice`, `*data`, `*sms`, `*mms`, `*generic`.
    pub kind: String,
    /// Nano units of money, nanoseconds of voice, or units.
    pub value: i128,
    pub weight: Money,
    pub destinations: Vec<String>,
    pub categories: Vec<String>,
    pub rating_subject: String,
    pub shared_groups: Vec<String>,
    pub timings: Vec<String>,
    pub expires: Option<UtcMs>,
    pub blocker: bool,
    pub disabled: bool,
}

impl Accounts {
    /// The accounts that a case begins with.
    pub fn of(case: &Value, tables: &OtherTables, folder: &Path) -> Result<Self, String> {
        let mut accounts = Self { accounts: BTreeMap::new(), tables: tables.clone() };
        let setup = case["setup"].as_array().map_or(&[][..], Vec::as_slice);
        // Cases of the engine's own table of calls begin with the accounts that it fills in before all of them.
        let of_table = case["source"]["file"].as_str().is_some_and(|file| file.ends_with("calldesc_test.go"));
        let populates = |step: &Value| step["op"] == "PopulateAccounts";
        if of_table || setup.iter().any(populates) {
            accounts.populate(folder, "calldesc")?;
        }
        // A running engine carries out the plans of its accounts as it loads them; a case that names some has no other.
        if !setup.iter().any(|step| populates(step) || step["op"] == "ExecuteActionPlan") && !of_table {
            accounts.load();
        }
        for step in setup {
            match text(step, "op") {
                "PopulateAccounts" => {}
                "ExecuteActionPlan" => {
                    for account in step["accounts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                        accounts.execute_plan(account, text(step, "action_plan"), false)?;
                    }
                }
                "SetBalance" | "AddBalance" => accounts.set_balance(&step["request"])?,
                "SetSharedGroup" => accounts.set_shared_group(&step["request"]),
                other => return Err(format!("set-up {other} is not understood")),
            }
        }
        Ok(accounts)
    }

    pub fn account(&self, tenant: &str, account: &str) -> Option<&Account> {
        self.accounts.get(&format!("{tenant}:{account}"))
    }

    /// The rows of a table.
    pub fn table(&self, table: &str) -> &[Vec<String>] {
        self.tables.get(table).map_or(&[], Vec::as_slice)
    }

    /// The balances of an account, and those that others share with it.
    pub fn balances_for(&self, tenant: &str, account: &str) -> Vec<Balance> {
        let Some(own) = self.account(tenant, account) else { return Vec::new() };
        let groups: Vec<&String> = own.balances.iter().flat_map(|balance| &balance.shared_groups).collect();
        let shared = self.accounts.iter().filter(|(name, _)| **name != format!("{tenant}:{account}"));
        let shared = shared.flat_map(|(_, other)| &other.balances);
        let shared = shared.filter(|balance| balance.shared_groups.iter().any(|group| groups.contains(&group)));
        own.balances.iter().chain(shared).cloned().collect()
    }

    fn populate(&mut self, folder: &Path, key: &str) -> Result<(), String> {
        let beside = [folder.join("accounts.json"), folder.join("../accounts.json")];
        let file = beside.iter().find(|file| file.is_file()).ok_or("accounts.json is not beside the plans")?;
        let content = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
        let content: Value = serde_json::from_str(&content).map_err(|error| error.to_string())?;
        for account in content[key].as_array().into_iter().flatten() {
            let filled = self.accounts.entry(text(account, "account").to_owned()).or_default();
            for (kind, balances) in account["balances"].as_object().into_iter().flatten() {
                for balance in balances.as_array().into_iter().flatten() {
                    filled.balances.push(Balance::of_json(kind, balance)?);
                }
            }
        }
        Ok(())
    }

    /// Makes the accounts of AccountActions, with what their plans do at once.
    fn load(&mut self) {
        for row in self.table("AccountActions").to_vec() {
            let cell = |at: usize| row.get(at).map_or("", String::as_str);
            let name = format!("{}:{}", cell(0), cell(1));
            let account = self.accounts.entry(name.clone()).or_default();
            account.allow_negative |= cell(4) == "true";
            account.disabled |= cell(5) == "true";
            // A plan that is not there leaves the account as it is.
            let executed = self.execute_plan(&name, cell(2), true);
            executed.unwrap_or_default();
        }
    }

    fn execute_plan(&mut self, account: &str, plan: &str, at_once_only: bool) -> Result<(), String> {
        let rows: Vec<Vec<String>> =
            self.table("ActionPlans").iter().filter(|row| row.first().is_some_and(|id| id == plan)).cloned().collect();
        if rows.is_empty() {
            return Err(format!("no action plan {plan}"));
        }
        let mut sets: Vec<(Money, String)> = Vec::new();
        for row in &rows {
            if let [_, actions, timing, weight, ..] = row.as_slice()
                && (!at_once_only || self.is_at_once(timing))
            {
                sets.push((weight.parse().unwrap_or_default(), actions.clone()));
            }
        }
        sets.sort_by_key(|(weight, _)| std::cmp::Reverse(*weight));
        for (_, set) in sets {
            self.execute(account, &set)?;
        }
        Ok(())
    }

    fn is_at_once(&self, timing: &str) -> bool {
        let row = self.table("Timings").iter().find(|row| row.first().is_some_and(|tag| tag == timing));
        timing == "*asap" || row.is_some_and(|row| row.get(5).is_some_and(|time| time == "*asap"))
    }

    /// Carries out a set of actions, those of highest weight first.
    fn execute(&mut self, account: &str, set: &str) -> Result<(), String> {
        let mut actions: Vec<Vec<String>> =
            self.table("Actions").iter().filter(|row| row.first().is_some_and(|id| id == set)).cloned().collect();
        for action in &mut actions {
            // The old layout has the directions in front of the destinations, and voice in bare seconds.
            if action.len() > 17 {
                action.remove(6);
                let is_voice = action.get(5).is_some_and(|kind| kind == "*voice");
                if let Some(units) = action.get_mut(12).filter(|units| is_voice && units.parse::<u64>().is_ok()) {
                    units.push('s');
                }
            }
        }
        let weight =
            |row: &Vec<String>| row.get(16).and_then(|weight| weight.parse::<Money>().ok()).unwrap_or_default();
        actions.sort_by_key(|row| std::cmp::Reverse(weight(row)));
        let account = self.accounts.entry(account.to_owned()).or_default();
        for action in &actions {
            account.act(action)?;
        }
        Ok(())
    }

    fn set_balance(&mut self, request: &Value) -> Result<(), String> {
        let name = format!("{}:{}", text(request, "tenant"), text(request, "account"));
        let balance = Balance::of_json(text(request, "balance_type"), request)?;
        let account = self.accounts.entry(name).or_default();
        let same =
            |other: &&mut Balance| other.kind == balance.kind && other.id == balance.id && !balance.id.is_empty();
        match account.balances.iter_mut().find(same) {
            Some(known) => *known = balance,
            None => account.balances.push(balance),
        }
        Ok(())
    }

    fn set_shared_group(&mut self, request: &Value) {
        let row = ["id", "account", "strategy", "rating_subject"].map(|key| text(request, key).to_owned());
        self.tables.entry("SharedGroups").or_default().push(row.to_vec());
    }
}

impl Account {
    fn act(&mut self, row: &[String]) -> Result<(), String> {
        let cell = |at: usize| row.get(at).map_or("", String::as_str);
        match cell(1) {
            "*allow_negative" => self.allow_negative = true,
            "*deny_negative" => self.allow_negative = false,
            "*enable_account" => self.disabled = false,
            "*disable_account" => self.disabled = true,
            "*reset_account" => self.balances.iter_mut().for_each(|balance| balance.value = 0),
            action @ ("*topup" | "*topup_reset" | "*debit" | "*debit_reset" | "*set_balance") => {
                let balance = Balance::of_action(row)?;
                let at = self.balances.iter().position(|known| known.is_meant_by(&balance));
                let at = at.unwrap_or_else(|| {
                    self.balances.push(Balance { value: 0, ..balance.clone() });
                    self.balances.len() - 1
                });
                let Some(known) = self.balances.get_mut(at) else { return Ok(()) };
                match action {
                    "*topup" => known.value += balance.value,
                    "*debit" => known.value -= balance.value,
                    "*debit_reset" => known.value = -balance.value,
                    _ => known.value = balance.value,
                }
            }
            // What logs, mails and calls does nothing to an account.
            _ => {}
        }
        Ok(())
    }
}

impl Balance {
    /// By its id if the action gives one, otherwise by all that it says but the value.
    fn is_meant_by(&self, other: &Self) -> bool {
        if other.id.is_empty() {
            Self { value: other.value, id: String::new(), ..self.clone() } == *other
        } else {
            self.kind == other.kind && self.id == other.id
        }
    }

    fn of_action(row: &[String]) -> Result<Self, String> {
        let cell = |at: usize| row.get(at).map_or("", String::as_str);
        let kind = cell(5).to_owned();
        Ok(Self {
            id: cell(4).to_owned(),
            value: value_of(&kind, cell(12))?,
            weight: cell(13).parse().unwrap_or_default(),
            categories: list(cell(6)),
            destinations: list(cell(7)),
            rating_subject: cell(8).to_owned(),
            shared_groups: list(cell(9)),
            expires: time(&Value::from(cell(10))).ok(),
            timings: list(cell(11)),
            blocker: cell(14) == "true",
            disabled: cell(15) == "true",
            kind,
        })
    }

    fn of_json(kind: &str, json: &Value) -> Result<Self, String> {
        let number = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let many = |key: &str| list(text(json, key));
        let flag = |key: &str| json[key].as_bool().unwrap_or(false);
        Ok(Self {
            id: text(json, "id").to_owned(),
            kind: kind.to_owned(),
            value: value_of(kind, &number(&json["value"]))?,
            weight: number(&json["weight"]).parse().unwrap_or_default(),
            destinations: many("destinations"),
            categories: many("categories"),
            rating_subject: text(json, "rating_subject").to_owned(),
            shared_groups: many("shared_group"),
            timings: many("timings"),
            expires: time(&json["expiry"]).ok(),
            blocker: flag("blocker"),
            disabled: flag("disabled"),
        })
    }
}

/// Nano units of money; nanoseconds of voice; units of anything else.
fn value_of(kind: &str, text: &str) -> Result<i128, String> {
    if kind == "*monetary" {
        // Formulas are worked out when a balance is made; what a month's share is then does not matter here.
        let amount = if text.is_empty() || text.starts_with('{') { Ok(Money::ZERO) } else { text.parse() };
        return amount.map(Money::nanos).map_err(|error| format!("balance {text}: {error}"));
    }
    let whole = text.strip_suffix(".0").unwrap_or(text);
    if whole.is_empty() { Ok(0) } else { base_units(&Value::from(whole)).ok_or(format!("balance {text}")) }
}

fn list(cell: &str) -> Vec<String> {
    cell.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
