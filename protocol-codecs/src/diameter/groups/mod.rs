//! The groups, one table each: what is in them, in the order in which we write it.

mod ims;
mod messaging;
mod routing;
mod service;
mod services;
mod units;

pub use ims::*;
pub use messaging::*;
pub use routing::*;
pub use service::*;
pub use services::*;
pub use units::*;
