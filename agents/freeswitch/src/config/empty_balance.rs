//! What happens to the caller when the credit is used up: faults of `empty_balance_file`, `empty_balance_context` and
//! `empty_balance_limit`.

use super::{FreeswitchConfig, is_name};

impl FreeswitchConfig {
    /// What is wrong with the values: key and remedy.
    pub(super) fn empty_balance_faults(&self) -> Vec<(&'static str, &'static str)> {
        let mut faults = Vec::new();
        let (file, context) = (&*self.empty_balance_file, &*self.empty_balance_context);
        // It stands in a list of applications, separated by commas.
        if file.contains([' ', '\'', '\\', ',']) || file.starts_with('-') {
            faults.push(("empty_balance_file", "must be a path without spaces, commas, quotes and backslashes"));
        }
        if !context.is_empty() && !is_name(context) {
            faults.push((
                "empty_balance_context",
                "must be a context's name: letters, digits, dots, dashes or underscores",
            ));
        }
        if !file.is_empty() && !context.is_empty() {
            faults.push((
                "empty_balance_file",
                "stands beside empty_balance_context; keep one of them, the context can play the file",
            ));
        }
        let forbidden =
            *self.admitted_context == *context || self.parked_contexts.iter().any(|parked| **parked == *context);
        if !context.is_empty() && forbidden {
            faults.push((
                "empty_balance_context",
                "must not be admitted_context nor one of parked_contexts: callers without credit would be connected",
            ));
        }
        if !(1_000..=3_600_000).contains(&self.empty_balance_limit.ms()) {
            faults.push(("empty_balance_limit", "must be between 1s and 1h"));
        }
        faults
    }
}
