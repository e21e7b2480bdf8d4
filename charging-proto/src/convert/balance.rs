//! Amounts that balances count, and what was drawn from them.

use types::charging::{BalanceAmount, BalanceDraw};

use super::words::WireWord;
use super::{ConvertError, money, required};
use crate::v1;
use crate::v1::balance_amount::Amount;

impl From<BalanceAmount> for v1::BalanceAmount {
    fn from(amount: BalanceAmount) -> Self {
        Self {
            amount: Some(match amount {
                BalanceAmount::Money(money) => Amount::Money(money.to_string()),
                BalanceAmount::Units(units) => Amount::Units(units),
            }),
        }
    }
}

/// An amount that must be there; `field` is named in the error.
pub fn balance_amount(field: &'static str, amount: Option<v1::BalanceAmount>) -> Result<BalanceAmount, ConvertError> {
    match amount.and_then(|amount| amount.amount) {
        Some(Amount::Money(text)) => money(field, &text).map(BalanceAmount::Money),
        Some(Amount::Units(units)) => Ok(BalanceAmount::Units(units)),
        None => Err(ConvertError::Missing { field }),
    }
}

impl From<BalanceDraw> for v1::BalanceDraw {
    fn from(draw: BalanceDraw) -> Self {
        Self { balance_id: draw.balance_id.into(), kind: draw.kind.to_wire(), amount: Some(draw.amount.into()) }
    }
}

impl TryFrom<v1::BalanceDraw> for BalanceDraw {
    type Error = ConvertError;

    fn try_from(wire: v1::BalanceDraw) -> Result<Self, ConvertError> {
        Ok(Self {
            balance_id: required::<String>("drawn.balance_id", wire.balance_id)?.into(),
            kind: WireWord::from_wire("drawn.kind", wire.kind)?,
            amount: balance_amount("drawn.amount", wire.amount)?,
        })
    }
}
