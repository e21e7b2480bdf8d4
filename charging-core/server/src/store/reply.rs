//! Who is told what became of a command.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{CoreError, Decided};

/// Told once; a command that is dropped undecided is told as [`CoreError::Stopped`].
pub(crate) struct Reply(Option<Way>);

enum Way {
    /// Somebody who waits for this command.
    Alone(oneshot::Sender<Decided>),
    /// Somebody who waits for many, and tells them apart by their tickets.
    Among(mpsc::UnboundedSender<(u64, Decided)>, u64, Option<Arc<OwnedSemaphorePermit>>),
}

impl Reply {
    pub(super) fn alone(waits: oneshot::Sender<Decided>) -> Self {
        Self(Some(Way::Alone(waits)))
    }

    /// Outcomes of commands of one caller come in the order of the commands. `budget` is kept until then.
    pub(crate) fn among(
        waits: mpsc::UnboundedSender<(u64, Decided)>,
        ticket: u64,
        budget: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Self {
        Self(Some(Way::Among(waits, ticket, budget)))
    }

    pub(super) fn tell(mut self, decided: Decided) {
        self.say(decided);
    }

    /// Whoever asked may have gone; a copy of the request gets the stored answer.
    fn say(&mut self, decided: Decided) {
        match self.0.take() {
            Some(Way::Alone(waits)) => drop(waits.send(decided)),
            Some(Way::Among(waits, ticket, _budget)) => drop(waits.send((ticket, decided))),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.say(Err(CoreError::Stopped));
    }
}
