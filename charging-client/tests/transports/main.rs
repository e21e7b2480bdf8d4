//! One suite of cases over every transport, then what only the network can do wrong.

mod answerer;
mod grpc_core;
mod in_process;
mod network;
mod outbox;
mod proxy;
mod suite;

use std::time::Duration;

/// Longer than anything here takes on a loaded machine; a case that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition that other tasks bring about.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never happened: {what}");
}

/// Runs every case of the suite over a kind of core.
macro_rules! over {
    ($name:ident, $core:ty: $($case:ident),+ $(,)?) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $case() {
                    crate::suite::$case::<$core>().await;
                }
            )+
        }
    };
}

macro_rules! over_every_transport {
    ($($case:ident),+ $(,)?) => {
        over!(in_process_transport, crate::in_process::InProcessCore: $($case),+);
        over!(grpc_transport, crate::grpc_core::GrpcCore: $($case),+);
    };
}

over_every_transport!(
    an_answer_comes_back,
    a_cut_in_mid_request_is_resent_under_the_same_key,
    a_session_is_served_in_order_and_alone,
    a_deadline_ends_the_waiting_not_the_request,
    a_core_that_is_away_is_not_sent_to,
    nothing_is_lost_over_restarts,
    a_full_queue_takes_no_new_sessions,
    notifications_are_resumed,
    too_busy_is_repeated,
    stopping_gives_back_what_is_undelivered,
    sessions_are_listed,
    drained_means_answered,
);
