//! What every sink has, whatever its kind: which records it gets, what is masked in them, and when somebody must look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cdr_journal::{Filters, View};
use cdr_model::RecordType;
use cdr_model::masking::{Action, Field, Masking, MaskingConfig, MaskingKey, Profile};
use serde::{Deserialize, Serialize};
use types::{ConfigDuration, Number, Tenant};

use crate::config::{Comment, Faults, Section};

/// The keys that are read here, for suggestions.
pub(super) const KEYS: &[&str] =
    &["kind", "name", "filter", "masking", "alarm_lag", "alarm_backlog_records", "unready_on_alarm"];

/// See the module.
#[derive(Debug, Clone, Serialize)]
pub struct Shared {
    /// A record that waits longer than this raises an alarm.
    pub alarm_lag: ConfigDuration,
    /// More waiting records than this raise an alarm.
    pub alarm_backlog_records: u64,
    /// Whether an alarm makes the process unready.
    pub unready_on_alarm: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<FilterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    masking: Option<MaskingTable>,
    #[serde(skip)]
    mask: Option<Masking>,
}

/// All that are given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FilterConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    types: Vec<RecordType>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<Box<str>>,
}

/// A profile and where its key is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MaskingTable {
    profile: Profile,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_env: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<Field, Action>,
}

impl Shared {
    /// Takes the keys out of a sink's table; what is wrong is reported.
    pub(super) fn take(section: &mut Section<'_>, faults: &mut Faults) -> Option<Self> {
        let before = faults.count();
        let mut shared = Self {
            alarm_lag: ConfigDuration::from_s(600),
            alarm_backlog_records: 1_000_000,
            unready_on_alarm: false,
            filter: None,
            masking: None,
            mask: None,
        };
        if section.has("alarm_lag") {
            shared.alarm_lag = section.take("alarm_lag", faults).unwrap_or_default();
        }
        if section.has("alarm_backlog_records") {
            shared.alarm_backlog_records = section.take("alarm_backlog_records", faults).unwrap_or_default();
        }
        if section.has("unready_on_alarm") {
            shared.unready_on_alarm = section.take("unready_on_alarm", faults).unwrap_or_default();
        }
        if section.has("filter") {
            let filter = section.take_table("filter", faults);
            shared.filter = filter.and_then(|filter| filter.read(&[], faults));
        }
        if section.has("masking") {
            (shared.masking, shared.mask) = take_masking(section, faults).unzip();
        }
        (faults.count() == before).then_some(shared)
    }

    /// What the sink sees of the journal.
    pub fn view(&self) -> View {
        let filter = self.filter.clone().unwrap_or_default();
        let view = View::of(Filters {
            account: filter.account.map(|account| Number::new(account.into_string())),
            tenant: filter.tenant.map(|tenant| Tenant::from(&*tenant)),
            record_types: filter.types,
            ..Filters::default()
        });
        match self.mask.clone() {
            Some(masking) => view.masked(move |record| masking.mask(record)),
            None => view,
        }
    }

    /// The keys as they would be written.
    pub(super) fn to_table(&self) -> Result<toml::Table, toml::ser::Error> {
        toml::Table::try_from(self)
    }
}

/// `masking = "personal"`, or a table. The key is read at once: a sink must not begin to ship what it cannot mask.
fn take_masking(section: &mut Section<'_>, faults: &mut Faults) -> Option<(MaskingTable, Masking)> {
    let place = section.place_of("masking");
    let key_path = section.key_path("masking");
    let table = if section.is_table("masking") {
        section.take_table("masking", faults)?.read(&[], faults)?
    } else {
        MaskingTable { profile: section.take("masking", faults)?, ..MaskingTable::default() }
    };
    let config = MaskingConfig { profile: table.profile, fields: table.fields.clone() };
    let hashed = Field::ALL.iter().any(|field| config.action(*field).needs_key());
    let masking = match table.key(hashed) {
        Ok(key) => Masking::new(&config, key.as_ref()).map_err(|error| error.to_string()),
        Err(text) => Err(text),
    };
    match masking {
        Ok(masking) => Some((table, masking)),
        Err(text) => {
            faults.push(Some(place), key_path, text);
            None
        }
    }
}

impl MaskingTable {
    /// The key, from where it was said to be; nobody asks for one that nothing needs.
    fn key(&self, needed: bool) -> Result<Option<MaskingKey>, String> {
        let text = match (&self.key_file, &self.key_env) {
            (Some(_), Some(_)) => return Err("has key_file and key_env; keep one of them".to_owned()),
            (Some(path), None) => of_file(path)?,
            (None, Some(name)) => {
                std::env::var(name).map_err(|_| format!("the variable {name} of key_env is not set"))?
            }
            (None, None) if !needed => return Ok(None),
            (None, None) => std::env::var(KEY_VARIABLE).map_err(|_| {
                format!(
                    "needs a key: write key_file or key_env into a [journal.sink.masking] table, or set {KEY_VARIABLE}"
                )
            })?,
        };
        MaskingKey::new(text.trim_end_matches(['\r', '\n']).as_bytes()).map(Some).map_err(|error| error.to_string())
    }
}

fn of_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("key_file {} cannot be read: {error}", path.display()))
}

/// Where the key is when nothing is said about it.
const KEY_VARIABLE: &str = "TOLLKEEPER_MASKING_KEY";

/// What the shared keys mean.
pub const COMMENTS: &[Comment] = &[
    Comment::new(
        "alarm_lag",
        "A record that waits for delivery longer than this raises an alarm in /readyz and metrics.",
    ),
    Comment::new("alarm_backlog_records", "More records waiting for delivery than this raise an alarm."),
    Comment::new("unready_on_alarm", "true: an alarm of this sink makes /readyz answer 503, too."),
    Comment::optional(
        "filter",
        "Only these records are shipped: types (START, INTERIM, STOP, EVENT), tenant, account; all given must match.",
        "{ types = [\"STOP\", \"EVENT\"] }",
    ),
    Comment::new("filter.types", "Types of records: START, INTERIM, STOP, EVENT."),
    Comment::new("filter.tenant", "Whose customers."),
    Comment::new("filter.account", "The paying account."),
    Comment::optional(
        "masking",
        "What is masked: \"personal\", or a table with profile, fields, key_file or key_env. The key has at least 32 bytes; by default it is in TOLLKEEPER_MASKING_KEY.",
        "\"personal\"",
    ),
    Comment::new("masking.profile", "personal (everything that identifies a person), or none."),
    Comment::new("masking.key_file", "File with the key of the hashes, at least 32 bytes."),
    Comment::new("masking.key_env", "Variable of the environment with the key of the hashes."),
    Comment::new("masking.fields", "Fields that differ from the profile: keep, remove, hmac, prefix:N."),
    Comment::new("masking.fields.*", "keep, remove, hmac, or prefix:N (N digits stay)."),
];
