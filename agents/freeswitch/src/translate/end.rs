//! How a channel ended. `CHANNEL_HANGUP` says that it did, and little more; `CHANNEL_HANGUP_COMPLETE` has the final times,
//! the SIP status and the media's quality. Never the switch's own `billsec`, which is off by up to a second.

use agent_call::CallEnd;
use cdr_model::{Decimal, Qos};
use protocol_codecs::esl::{Event, HangupCause};
use types::{Cause, EndedBy, ReleaseCause, UtcMs};

use super::{TranslateError, utc};

/// The end that a `CHANNEL_HANGUP` tells, for the case that nothing more comes; `released`: we asked for it.
pub(crate) fn hung_up(event: &Event, at: UtcMs, released: bool) -> Result<CallEnd, TranslateError> {
    let answered = event.answered_us()?.map(utc);
    let cause = event.hangup_cause();
    let disposition = event.variable("sip_hangup_disposition");
    let q850 = event.variable("hangup_cause_q850").and_then(|text| text.parse::<u8>().ok());
    let number = q850.filter(|number| *number < 128).or(cause.map(HangupCause::q850));
    let cancelled =
        answered.is_none() && (cause == Some(HangupCause::OriginatorCancel) || disposition == Some("recv_cancel"));
    // Of a leg that was refused, by the switch or behind it.
    let status = event.variable("sip_invite_failure_status").and_then(|text| text.parse::<u16>().ok());
    let status = status.filter(|status| answered.is_none() && (300..700).contains(status));
    Ok(CallEnd {
        answered,
        cause: number.map_or(Cause::NORMAL_UNSPECIFIED, Cause),
        sip_status: status,
        cancelled,
        release_cause: release_cause(event, cause, released),
        ..CallEnd::normal(at, ended_by(cause, disposition, released))
    })
}

/// The end that a `CHANNEL_HANGUP_COMPLETE` tells.
pub(crate) fn completed(event: &Event, told: UtcMs, late_ms: u64, released: bool) -> Result<CallEnd, TranslateError> {
    let at = event.hangup_us()?.map_or(told, utc);
    let end = hung_up(event, at, released)?;
    // Reporting may be held up inside the switch, too.
    let late = late_ms > 0 || told.since(at) >= LATE_MS;
    Ok(CallEnd { replayed: late, qos: quality(event), codec: super::offer::codec(event), ..end })
}

/// Why, when it was the switch that ended it for us. Q.850 does not tell, only the cause's name does.
fn release_cause(event: &Event, cause: Option<HangupCause>, released: bool) -> Option<ReleaseCause> {
    let parked = event.variable("current_application").or_else(|| event.variable("last_app")) == Some("park");
    match cause {
        _ if released => None,
        Some(HangupCause::AllottedTimeout) => Some(ReleaseCause::Backstop),
        // The dialplan's park_timeout: nobody told the switch what to do.
        Some(HangupCause::NormalTemporaryFailure) if parked => Some(ReleaseCause::ChargingUnavailable),
        _ => None,
    }
}

fn ended_by(cause: Option<HangupCause>, disposition: Option<&str>, released: bool) -> EndedBy {
    let by_itself = [
        HangupCause::AllottedTimeout,
        HangupCause::ManagerRequest,
        HangupCause::MediaTimeout,
        HangupCause::RecoveryOnTimerExpire,
        HangupCause::SystemShutdown,
        HangupCause::NormalTemporaryFailure,
    ];
    match disposition {
        _ if released => EndedBy::Tollkeeper,
        Some("recv_bye" | "recv_cancel") => EndedBy::Caller,
        _ if cause.is_some_and(|cause| by_itself.contains(&cause)) => EndedBy::Switch,
        Some("send_bye" | "send_refuse") => EndedBy::Callee,
        _ => EndedBy::Unknown,
    }
}

/// What the caller sent, as the switch received it; absent when no media came.
///
/// Units by `switch_rtp.c` (`check_jitter`, `burstr_calculate`): the variances are of the distance between packets, in
/// milliseconds squared, running over the call, so the root of the largest is the worst standard deviation in
/// milliseconds; the loss rate is lost over received, a fraction with two digits, not a percentage.
fn quality(event: &Event) -> Option<Qos> {
    event.count("variable_rtp_audio_in_media_packet_count").ok().flatten().filter(|packets| *packets > 0)?;
    // A field that is no number costs only itself.
    let thousandths = |name| event.thousandths(name).ok().flatten().and_then(|value| u64::try_from(value).ok());
    let quality = Qos {
        jitter: thousandths("variable_rtp_audio_in_jitter_max_variance")
            .and_then(|variance| variance.checked_mul(1000))
            .map(|millionths| Decimal { scaled: millionths.isqrt() }),
        packet_loss: thousandths("variable_rtp_audio_in_jitter_loss_rate")
            .filter(|fraction| *fraction <= 1_000)
            .map(|fraction| Decimal { scaled: fraction.saturating_mul(10) }),
        latency: None,
        mos: thousandths("variable_rtp_audio_in_mos")
            .filter(|mos| (1_000..=5_000).contains(mos))
            .map(|mos| Decimal { scaled: mos / 10 }),
    };
    (quality != Qos::default()).then_some(quality)
}

/// As late as the machine's own tolerance for clocks that disagree permits, and less.
const LATE_MS: u64 = 1_000;
