//! Who is told what became of a command. Those who wait for many commands are told of a whole batch at once: each message more
//! would wake them once more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::{CoreError, Decided};

/// Told once; a command that is dropped undecided is told as [`CoreError::Stopped`].
pub(crate) struct Reply(Option<Way>);

/// What became of commands, by their tickets.
pub(crate) type Told = Vec<(u64, Decided)>;

enum Way {
    /// Somebody who waits for this command.
    Alone(oneshot::Sender<Decided>),
    /// Somebody who waits for many, and tells them apart by their tickets.
    Among(mpsc::UnboundedSender<Told>, u64, Option<Arc<OwnedSemaphorePermit>>),
}

impl Reply {
    pub(super) fn alone(waits: oneshot::Sender<Decided>) -> Self {
        Self(Some(Way::Alone(waits)))
    }

    /// Outcomes of commands of one caller come in the order of the commands. `budget` is kept until then.
    pub(crate) fn among(
        waits: mpsc::UnboundedSender<Told>,
        ticket: u64,
        budget: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Self {
        Self(Some(Way::Among(waits, ticket, budget)))
    }

    pub(super) fn tell(mut self, decided: Decided) {
        self.say(decided);
    }

    /// Tells everybody, in the order of the commands for each.
    pub(super) fn tell_all(all: impl Iterator<Item = (Self, Decided)>) {
        let mut told: Vec<(mpsc::UnboundedSender<Told>, Told)> = Vec::new();
        for (mut reply, decided) in all {
            let Some(Way::Among(waits, ticket, _budget)) = reply.0.take_if(|way| matches!(way, Way::Among(..))) else {
                reply.tell(decided);
                continue;
            };
            let known = told.iter().position(|(known, _)| known.same_channel(&waits));
            if let Some((_, of_one)) = known.and_then(|at| told.get_mut(at)) {
                of_one.push((ticket, decided));
            } else if told.len() < TOGETHER {
                told.push((waits, vec![(ticket, decided)]));
            } else {
                // Very many streams: looking for each would take longer than it saves.
                drop(waits.send(vec![(ticket, decided)]));
            }
        }
        for (waits, of_one) in told {
            // Whoever asked may have gone.
            drop(waits.send(of_one));
        }
    }

    /// Whoever asked may have gone; a copy of the request gets the stored answer.
    fn say(&mut self, decided: Decided) {
        match self.0.take() {
            Some(Way::Alone(waits)) => drop(waits.send(decided)),
            Some(Way::Among(waits, ticket, _budget)) => drop(waits.send(vec![(ticket, decided)])),
            None => {}
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.say(Err(CoreError::Stopped));
    }
}

/// Streams that are told of a batch at once; others are told of each command.
const TOGETHER: usize = 32;

#[cfg(test)]
mod tests {
    use ledger::Outcome;

    use super::*;

    /// Of many streams, more than are told at once: everybody hears everything, in its order.
    #[test]
    fn a_batch_is_told_in_order_and_at_once() {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..TOGETHER + 3).map(|_| mpsc::unbounded_channel()).unzip();
        let replies = (0..1000_u64).map(|ticket| {
            let sender = &senders[usize::try_from(ticket).expect("small") % senders.len()];
            (Reply::among(sender.clone(), ticket, None), Ok(Outcome::Done))
        });
        let (alone, mut outcome) = oneshot::channel();
        Reply::tell_all(replies.chain([(Reply::alone(alone), Ok(Outcome::Done))]));
        assert!(matches!(outcome.try_recv(), Ok(Ok(Outcome::Done))));
        for (place, receiver) in receivers.iter_mut().enumerate() {
            let mut messages = 0;
            let mut tickets = Vec::new();
            while let Ok(told) = receiver.try_recv() {
                messages += 1;
                tickets.extend(told.into_iter().map(|(ticket, _)| ticket));
            }
            let wanted = (0..1000).filter(|ticket| usize::try_from(ticket % 35).expect("small") == place);
            assert_eq!(tickets, wanted.collect::<Vec<u64>>());
            assert_eq!(messages == 1, place < TOGETHER, "{place}");
        }
    }
}
