//! The answers to requests from before the start.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use types::charging::{ChargingAnswer, ChargingRequest, Operation};

/// A TERMINATION from before the start, or an INITIAL that is denied, and what the core says to it.
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
    ended: Arc<Mutex<Vec<Recovered>>>,
    expected: HashSet<u64>,
    complete: watch::Sender<bool>,
}

impl Default for Recovery {
    fn default() -> Self {
        let (complete, _) = watch::channel(false);
        Self { ended: Arc::default(), expected: HashSet::new(), complete }
    }
}

impl Recovery {
    pub(super) fn expect(&mut self, number: u64) {
        self.expected.insert(number);
    }

    pub(super) fn answered(&mut self, number: u64, request: ChargingRequest, answer: ChargingAnswer) {
        if ends_here(&request, &answer) {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.push(Recovered { request, answer });
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

    /// Waits until all are answered. Those after which the core has no session, once.
    pub(super) async fn complete(&self) -> Vec<Recovered> {
        let mut complete = self.complete.subscribe();
        // The sender is part of `self`.
        drop(complete.wait_for(|complete| *complete).await);
        std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// After this answer the core has no session, or none that goes on: whoever asked has the rest to do.
pub(super) fn ends_here(request: &ChargingRequest, answer: &ChargingAnswer) -> bool {
    match request.operation {
        Operation::Termination => true,
        Operation::Initial => !answer.result_code.is_success(),
        Operation::Update | Operation::Event => false,
    }
}
