//! How much room changes need in the log, told without writing them: a decision must know that its changes fit before they are
//! applied, and whoever writes them does so later, on another thread.

use types::charging::{ChargingAnswer, Notification, UnitAnswer};

use crate::change::{Change, GroupChange, SessionChanged, SessionOpened};
use crate::packed::pack;
use crate::pricing::RateKey;

/// In octets, no less than [`pack`] makes of them, and of what charging mostly changes not much more than some times that.
pub fn most_octets(changes: &[Change]) -> usize {
    FIXED + changes.iter().map(of_change).sum::<usize>()
}

fn of_change(change: &Change) -> usize {
    FIXED
        + match change {
            Change::SessionOpened(opened) => of_opened(opened),
            Change::SessionChanged(changed) => of_changed(changed),
            Change::Answered(answered) => of_answer(&answered.answer),
            Change::Counted(counted) => counted.session_id.as_str().len(),
            Change::Notified { client_id, notification } => client_id.as_str().len() + of_notification(notification),
            // Few are made.
            others => packed(others),
        }
}

fn of_opened(opened: &SessionOpened) -> usize {
    let account = opened.account.as_ref().map_or(0, |key| key.tenant.as_str().len() + key.id.as_str().len());
    opened.session_id.as_str().len() + opened.client_id.as_str().len() + account
}

fn of_changed(changed: &SessionChanged) -> usize {
    let group = |group: &GroupChange| FIXED + group.rate.as_ref().map_or(0, of_rate);
    let state = changed.client_state.as_ref().map_or(0, Vec::len);
    changed.session_id.as_str().len() + state + changed.groups.iter().map(group).sum::<usize>()
}

fn of_rate(rate: &RateKey) -> usize {
    let query = &rate.query;
    let destination = query.destination.as_ref().map_or(0, |number| number.expose().len());
    query.tenant.as_str().len() + query.category.len() + query.subject.len() + destination
}

fn of_answer(answer: &ChargingAnswer) -> usize {
    let notifications = answer.notifications.iter().map(|one| FIXED + of_notification(one));
    answer.session_id.as_str().len() + answer.units.iter().map(of_unit).sum::<usize>() + notifications.sum::<usize>()
}

fn of_unit(unit: &UnitAnswer) -> usize {
    FIXED + unit.final_unit.as_ref().map_or(0, packed)
}

fn of_notification(notification: &Notification) -> usize {
    notification.session_id.as_str().len()
}

/// What it really takes.
fn packed(value: &impl serde::Serialize) -> usize {
    let mut octets = Vec::new();
    // What cannot be written takes no room; whoever writes it hears why.
    pack(value, &mut octets).map_or(0, |()| octets.len())
}

/// More than the numbers, flags and lengths of any one of these take at their widest.
const FIXED: usize = 512;

#[cfg(test)]
mod tests {
    use types::charging::{
        ChargingMode, Cost, FailureHandling, FinalUnit, FinalUnitAction, NotificationKind, ResultCode, Service,
        SessionPhase, Units,
    };
    use types::{Currency, Money, ReleaseCause, SessionId, UtcMs};

    use super::*;
    use crate::account::AccountKey;
    use crate::change::{Answered, Counted};
    use crate::fingerprint::{Fingerprint, Hash as _};
    use crate::pricing::{RateQuery, Start};
    use crate::session::{Meter, Payer};

    const LONG: &str =
        "a text that is longer than what has a place of its own in any of these, and so must be counted by itself";
    const MOST: Money = Money::LIMIT;

    /// Everything as wide and as long as it can be.
    fn widest() -> Vec<Change> {
        let id = || SessionId::from(LONG);
        let notification = Notification {
            sequence: u64::MAX,
            session_id: id(),
            kind: NotificationKind::Abort(ReleaseCause::AccountBlocked),
        };
        let meter = Meter {
            used: u64::MAX,
            billable: u64::MAX,
            reach: u64::MAX,
            granted_by: u32::MAX,
            final_grant: true,
            cost: MOST,
            charged: MOST,
            held: MOST,
            per_minute_rate: Some(MOST),
        };
        let query = RateQuery {
            tenant: LONG.into(),
            service: Service::Generic,
            category: LONG.into(),
            subject: LONG.into(),
            destination: Some(LONG.into()),
            rating_group: u32::MAX,
            start: Start::Within { earliest: UtcMs(i64::MIN), latest: UtcMs(i64::MIN) },
        };
        let group = GroupChange {
            rating_group: u32::MAX,
            service_identifier: Some(u32::MAX),
            rate: Some(RateKey { plan_version: u128::MAX, query }),
            meter,
        };
        let units = Units {
            time_ms: Some(u64::MAX),
            total_octets: Some(u64::MAX),
            input_octets: Some(u64::MAX),
            output_octets: Some(u64::MAX),
            specific_units: Some(u64::MAX),
            money: Some(MOST),
        };
        let unit = UnitAnswer {
            rating_group: u32::MAX,
            service_identifier: Some(u32::MAX),
            result_code: ResultCode::CREDIT_LIMIT_REACHED,
            granted: Some(units),
            validity_time_ms: Some(u64::MAX),
            quota_threshold: Some(u64::MAX),
            quota_holding_time_ms: Some(u64::MAX),
            tariff_time_change: Some(UtcMs(i64::MIN)),
            final_unit: Some(FinalUnit {
                action: FinalUnitAction::Restrict,
                redirect: Some(LONG.into()),
                filters: vec![LONG.into(); 3],
            }),
            billable: u64::MAX,
        };
        let currency = "EUR".parse::<Currency>().expect("valid");
        let answer = ChargingAnswer {
            units: vec![unit; 40],
            cost: Some(Cost { currency, amount: MOST, per_minute_rate: Some(MOST), overrun: MOST }),
            remaining_balance: Some(MOST),
            low_balance: true,
            failure_handling: FailureHandling::RetryAndTerminate,
            session_failover: true,
            notifications: vec![notification.clone(); 40],
            ..ChargingAnswer::refusal(id(), u32::MAX, ResultCode::SUCCESS)
        };
        vec![
            Change::SessionOpened(Box::new(SessionOpened {
                session_id: id(),
                client_id: LONG.into(),
                account: Some(AccountKey { tenant: LONG.into(), id: LONG.into() }),
                currency: Some(currency),
                mode: ChargingMode::Rated,
                service: Service::Generic,
                payer: Payer::default(),
            })),
            Change::SessionChanged(Box::new(SessionChanged {
                session_id: id(),
                phase: SessionPhase::Closed,
                updated: UtcMs(i64::MIN),
                deadline: Some(UtcMs(i64::MIN)),
                ended: Some(UtcMs(i64::MIN)),
                answer_time: Some(UtcMs(i64::MIN)),
                last_request_number: u32::MAX,
                terminated_by: Some(u32::MAX),
                cut: true,
                overrun: MOST,
                reauthorized: true,
                client_state: Some(vec![0xFF; 100_000]),
                groups: vec![group; 40],
            })),
            Change::Answered(Answered { fingerprint: Fingerprint::of(|hash| hash.number(1)), answer: answer.into() }),
            Change::Notified { client_id: LONG.into(), notification },
            Change::Counted(Box::new(Counted {
                session_id: id(),
                at: UtcMs(i64::MIN),
                day: i64::MIN,
                cost: MOST,
                pledged: MOST,
                started: true,
            })),
            Change::NotificationsConfirmed { client_id: LONG.into(), through: u64::MAX },
            Change::KeysDropped { sessions_before: UtcMs(i64::MIN), operations_before: UtcMs(i64::MIN) },
        ]
    }

    #[test]
    fn nothing_takes_more_than_was_told() {
        let changes = widest();
        for change in &changes {
            let (told, taken) = (of_change(change), packed(change));
            assert!(taken <= told, "{taken} octets, {told} told: {change:?}");
            assert!(taken * 4 + 4 * FIXED >= told, "{taken} octets, {told} told: {change:?}");
        }
        assert!(packed(&changes) <= most_octets(&changes));
        let many: Vec<Change> = std::iter::repeat_n(changes, 300).flatten().collect();
        assert!(packed(&many) <= most_octets(&many));
    }
}
