//! The answers to requests from before the start.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use types::charging::{ChargingAnswer, ChargingRequest, Operation};

/// A TERMINATION from before the start, and what the core says to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// As it was asked.
    pub request: ChargingRequest,
    /// The answer.
    pub answer: ChargingAnswer,
}

/// Shared by the driver, which fills it, and the client, which waits for it.
#[derive(Clone)]
pub(super) struct Recovery {
    terminations: Arc<Mutex<Vec<Recovered>>>,
    expected: HashSet<u64>,
    complete: watch::Sender<bool>,
}

impl Default for Recovery {
    fn default() -> Self {
        let (complete, _) = watch::channel(false);
        Self { terminations: Arc::default(), expected: HashSet::new(), complete }
    }
}

impl Recovery {
    pub(super) fn expect(&mut self, number: u64) {
        self.expected.insert(number);
    }

    pub(super) fn answered(&mut self, number: u64, request: ChargingRequest, answer: ChargingAnswer) {
        if request.operation == Operation::Termination {
            let mut terminations = self.terminations.lock().unwrap_or_else(PoisonError::into_inner);
            terminations.push(Recovered { request, answer });
        }
        self.gone(number);
    }

    pub(super) fn gone(&mut self, number: u64) {
        self.expected.remove(&number);
        self.look();
    }

    /// Is that all?
    pub(super) fn look(&self) {
        if self.expected.is_empty() {
            self.complete.send_replace(true);
        }
    }

    /// Waits until all are answered. The TERMINATIONs among them, once.
    pub(super) async fn complete(&self) -> Vec<Recovered> {
        let mut complete = self.complete.subscribe();
        // The sender is part of `self`.
        drop(complete.wait_for(|complete| *complete).await);
        std::mem::take(&mut *self.terminations.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
