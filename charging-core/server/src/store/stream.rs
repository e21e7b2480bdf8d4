//! Many commands of one caller on their way at once. Whoever waits for each of them alone is woken for each; here a whole batch
//! comes at once, as soon as it is durable.

use ledger::{Command, Outcome};
use tokio::sync::mpsc;

use super::{Core, CoreError, Reply, Told};

/// Commands of one caller, told apart by their tickets. Dropping it leaves what is on its way to be done all the same.
#[derive(Debug)]
pub struct CommandStream {
    core: Core,
    tells: mpsc::UnboundedSender<Told>,
    told: mpsc::UnboundedReceiver<Told>,
}

impl CommandStream {
    pub(super) fn new(core: Core) -> Self {
        let (tells, told) = mpsc::unbounded_channel();
        Self { core, tells, told }
    }

    /// Queues a command. [`Self::next`] has its outcome under `ticket`, which nothing else on its way should have; also when it
    /// was not taken, with [`CoreError::TooBusy`] or [`CoreError::Stopped`].
    pub fn submit(&self, ticket: u64, command: Command) {
        self.core.submit(command, Reply::among(self.tells.clone(), ticket, None));
    }

    /// What became of some commands, in their order; what was done is durable. Waits for as long as there is nothing to tell, and
    /// loses nothing when it is dropped meanwhile.
    pub async fn next(&mut self) -> Vec<(u64, Result<Outcome, CoreError>)> {
        // Never absent: the sender is here.
        self.told.recv().await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use ledger::{AccountKey, CreateAccount};

    use super::*;
    use crate::CoreConfig;

    fn create(id: &str) -> Command {
        Command::CreateAccount(Box::new(CreateAccount {
            key: AccountKey { tenant: "t".into(), id: id.into() },
            currency: "EUR".parse().expect("valid"),
            identities: Vec::new(),
            low_balance_limit: None,
            credit_limit: None,
        }))
    }

    #[tokio::test]
    async fn every_command_is_told_of_in_its_order_and_also_when_it_is_not_taken() {
        let place = tempfile::tempdir().expect("folder");
        let core = Core::start(place.path(), &CoreConfig::default()).expect("started");
        let mut stream = core.stream();
        for ticket in 0..100 {
            stream.submit(ticket, create(&format!("customer-{}", ticket / 2)));
        }
        let mut told = Vec::new();
        while told.len() < 100 {
            told.extend(stream.next().await);
        }
        for (wanted, (ticket, outcome)) in (0..).zip(&told) {
            let created = matches!(outcome, Ok(Outcome::Account(_)));
            let refused = matches!(outcome, Ok(Outcome::Refused(ledger::Refusal::AccountExists)));
            assert!(*ticket == wanted && if ticket % 2 == 0 { created } else { refused }, "{ticket}: {outcome:?}");
        }
        core.stop();
        stream.submit(7, create("late"));
        assert!(matches!(stream.next().await.as_slice(), [(7, Err(CoreError::Stopped))]));
    }
}
