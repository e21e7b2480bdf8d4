//! Exact money: accounts, charging sessions, reservations, and the one pure function that decides about them.
//!
//! [`decide`] reads the [`Books`] and says what to answer and which [`Change`]s follow; [`Books::apply`] is the only
//! writer and never rates, so recovery is applying the logged changes again. No I/O, no clock, no randomness: the time
//! comes as an argument, prices come through the trait [`Pricing`], and the server stores what was decided before it
//! answers.
//!
//! Every debit is price(total usage so far) - charged so far. A grant reserves price(usage at the end of the grant) -
//! charged. Slicing, copies, lost answers and reordering therefore never change what a session costs.

mod account;
mod balance;
mod books;
mod change;
mod command;
mod decide;
mod few;
mod fingerprint;
mod index;
mod names;
mod octets;
mod outcome;
mod packed;
mod policy;
mod pricing;
mod room;
mod session;
mod settings;
mod stored_answer;

pub use account::{AccountKey, AccountView, HISTORY_LENGTH, Movement, MovementKind};
pub use balance::{
    BalanceMovement, BalanceReceipt, BalanceTerms, BalanceView, MAIN_BALANCE, MAX_BALANCE_UNITS, MAX_BALANCES,
    Portions, Stretch,
};
pub use books::{AHEAD, About, ApplyError, Books, BooksOfFormat1, BooksOfFormat2, Imbalance, Replica};
pub use change::{
    AccountCreated, AnswerDetailed, Answered, BalanceChanged, Change, Counted, Drawn, GroupChange, SessionChanged,
    SessionOpened, Transferred,
};
pub use command::{ChangeBalance, Command, CreateAccount, OpenAccount, Transfer};
pub use decide::{decide, decide_known, limits};
pub use fingerprint::Fingerprint;
pub use outcome::{Charged, Decision, Denial, InvalidField, Outcome, Receipt, Refusal};
pub use packed::{PackError, pack};
pub use policy::{AccountLimits, DestinationClass, DestinationRule, Limit, LimitsView, Policy, PolicyDenial};
pub use pricing::{Pricing, RateKey, RateQuery, RateRefusal, Rounding, Start};
pub use room::most_octets;
pub use session::{Group, MAX_USAGE, Meter, Payer};
pub use settings::Settings;
