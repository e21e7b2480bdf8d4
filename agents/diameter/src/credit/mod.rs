//! One credit session, without sockets and clocks: what a CCR asks ([`Ask`]), what the core is asked for it ([`plan()`]), and what
//! the client is answered ([`Answering`]).

mod answer;
mod ask;
mod facts;
mod failed;
mod memory;
mod money;
mod numbering;
mod plan;
mod record;
mod rendered;

pub use answer::Answering;
pub use ask::{Ask, Asked};
pub use facts::{Facts, context_number};
pub use failed::{avp as plain_avp, failed_avp};
pub use memory::{Memory, Terms};
pub(crate) use money::amount as money_of;
pub use numbering::{Numbering, OURS};
pub use plan::{LONGEST_CALL_MS, Plan, Verdict, amount, express, plan};
pub use record::{Draft, Facts as RecordFacts, Outcome, Recorded, imsi, records};
pub use rendered::{Rendered, Reply};
