//! What a shipper tells whoever looks after it: when records last arrived, and what is wrong since when.

use std::error::Error;
use std::sync::Mutex;
use std::time::SystemTime;

use crate::error::ShipError;
use crate::journal::lock;
use crate::shipping::Step;

/// How it stands with a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When records last arrived; absent: not since the start.
    pub delivered: Option<SystemTime>,
    /// Absent: nothing has failed since records last arrived, or everything has arrived.
    pub trouble: Option<Trouble>,
}

/// A series of failures without a success in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When the first of them was.
    pub since: SystemTime,
    /// The last one, with all its causes.
    pub text: String,
}

#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<Standing>);

impl Troubles {
    pub fn standing(&self) -> Standing {
        lock(&self.0).clone()
    }

    /// Records that are on their way prove nothing yet.
    pub fn stepped(&self, step: Step) {
        let mut standing = lock(&self.0);
        match step {
            Step::Shipped(_) => *standing = Standing { delivered: Some(SystemTime::now()), trouble: None },
            // What failed was reading, or writing the checkpoint; it works again, and nothing waits.
            Step::Idle => standing.trouble = None,
            Step::Pending => {}
        }
    }

    pub fn failed(&self, reason: &ShipError) {
        self.told(&whole(reason));
    }

    /// A sink that is still trying says what is wrong.
    pub fn told(&self, text: &str) {
        let mut standing = lock(&self.0);
        match &mut standing.trouble {
            Some(trouble) if trouble.text == text => {}
            Some(trouble) => text.clone_into(&mut trouble.text),
            trouble => *trouble = Some(Trouble { since: SystemTime::now(), text: text.to_owned() }),
        }
    }
}

/// The error and its causes, each told once.
fn whole(error: &dyn Error) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(deeper) = cause {
        let told = deeper.to_string();
        if !text.contains(&told) {
            text.push_str(": ");
            text.push_str(&told);
        }
        cause = deeper.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_ends_with_an_arrival_or_when_nothing_waits() {
        for (step, ends, arrived) in
            [(Step::Pending, false, false), (Step::Idle, true, false), (Step::Shipped(1), true, true)]
        {
            let troubles = Troubles::default();
            troubles.failed(&ShipError::Panicked);
            let first = troubles.standing().trouble.map(|trouble| trouble.since);
            troubles.failed(&ShipError::InUse { name: "lines".to_owned() });
            let trouble = troubles.standing().trouble.unwrap();
            assert_eq!(
                (Some(trouble.since), trouble.text.contains("lines")),
                (first, true),
                "the first time, the last text"
            );
            troubles.stepped(step);
            let standing = troubles.standing();
            assert_eq!((standing.trouble.is_none(), standing.delivered.is_some()), (ends, arrived), "{step:?}");
        }
    }
}
