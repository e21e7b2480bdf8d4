//! Did a leg leave its call for good, or did it hand the talk over to others? FreeSWITCH ends a leg that transferred its
//! call like any other, with `NORMAL_CLEARING`; variables of the leg tell the difference. Recorded from 1.11.2; the names
//! are those of `sofia_handle_sip_i_refer` and of `mod_loopback`.

use protocol_codecs::esl::{CallDirection, Event};

/// What the end of a leg means for those it talked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moved<'a> {
    /// Nothing: it is over.
    No,
    /// It sent the leg of that name elsewhere (REFER, blind).
    Sent(&'a str),
    /// It answered the leg of that name with another number (302).
    Redirected(&'a str),
    /// It brought the leg that it talked to together with another one (REFER with Replaces), or gave way to a shorter
    /// path (loopback).
    Joined,
    /// It talked to another leg while the one of that name waited for it, and has left the two together (`att_xfer`).
    HandedOver(&'a str),
    /// Somebody took it or the leg of that name out of their talk before, by `uuid_transfer` as a rule: that leg may be
    /// anywhere.
    Parted(&'a str),
}

/// Read from the `CHANNEL_HANGUP` or `CHANNEL_HANGUP_COMPLETE` of the leg.
pub(crate) fn moved(event: &Event) -> Moved<'_> {
    let to = event.variable("transfer_to");
    let disposition = event.variable("endpoint_disposition");
    match to.and_then(|to| to.strip_prefix("blind:")) {
        Some(leg) if disposition == Some("BLIND_TRANSFER") => return Moved::Sent(leg),
        _ => {}
    }
    // The cause is one of several, by who is faster.
    let unanswered = matches!(event.answered_us(), Ok(None)) && event.call_direction() == Some(CallDirection::Outbound);
    if unanswered
        && redirected_to(event).is_some()
        && let Some(calling) = event.other_leg_unique_id()
    {
        return Moved::Redirected(calling);
    }
    if event.variable("current_application") == Some("att_xfer")
        && let Some(waiting) = event.variable("soft_holding_uuid").filter(|leg| !leg.is_empty())
    {
        return Moved::HandedOver(waiting);
    }
    let attended = to.is_some_and(|to| to.starts_with("att:")) || disposition == Some("ATTENDED_TRANSFER");
    let gave_way = event.variable("loopback_bowout_other_uuid").is_some();
    if attended || gave_way {
        return Moved::Joined;
    }
    // Of those who still talk when one hangs up each has the other in both.
    let filled = |name: &str| event.variable(name).filter(|leg| !leg.is_empty());
    match (filled("signal_bond"), filled("bridge_uuid")) {
        (None, Some(leg)) => Moved::Parted(leg),
        _ => Moved::No,
    }
}

/// The switch keeps a transferor until the transfer has come about (`confirm_blind_transfer`): it waits for that, not for
/// us.
pub(crate) fn transferor_waits(event: &Event) -> bool {
    matches!(event.variable("endpoint_disposition"), Some("BLIND_TRANSFER" | "ATTENDED_TRANSFER"))
}

/// It hung up for a transfer to the leg that it was calling, which rings on: that leg's answer is the answer of its call.
/// Its own last event comes when that leg was answered, or will not be.
pub(crate) fn left_ringing(event: &Event) -> bool {
    matches!(event.answered_us(), Ok(None)) && event.variable("transfer_to").is_some_and(|to| to.starts_with("satt:"))
}

/// The switch itself keeps an answered leg for a moment, as between the two halves of `att_xfer`: no dialplan told it to
/// wait.
pub(crate) fn is_kept_by_the_switch(event: &Event) -> bool {
    event.text("Channel-State") == Some("CS_PARK") && !super::is_parked(event)
}

/// The leg that waits while this one consults another (`att_xfer`).
pub(crate) fn kept_waiting(event: &Event) -> Option<&str> {
    let waiting = event.variable("soft_holding_uuid").filter(|waiting| !waiting.is_empty())?;
    let consults = event.variable("current_application") == Some("att_xfer");
    (consults && Some(waiting) != event.other_leg_unique_id()).then_some(waiting)
}

/// A leg that the switch called, and not the end of a loopback channel.
pub(crate) fn is_called_leg(event: &Event) -> bool {
    super::other_leg(event) == Some("b_leg") && event.call_direction() == Some(CallDirection::Outbound)
}

/// It talks to another leg.
pub(crate) fn is_bridged(event: &Event) -> bool {
    ["signal_bond", "bridge_uuid"].iter().any(|name| event.variable(name).is_some_and(|leg| !leg.is_empty()))
}

/// A user of the switch's directory was called (endpoint `user/`), nobody outside.
pub(crate) fn is_user_of_the_switch(event: &Event) -> bool {
    event.variable("dialed_user").is_some_and(|user| !user.is_empty())
}

/// The channel that called this one.
pub(crate) fn called_by(event: &Event) -> Option<&str> {
    event.variable("originating_leg_uuid").filter(|caller| !caller.is_empty())
}

/// The channel from which the loopback channel was called whose far end this is.
pub(crate) fn loopback_source(event: &Event) -> Option<&str> {
    event.variable("other_loopback_from_uuid").filter(|source| !source.is_empty())
}

/// This leg was sent on by its callee (302) to another number than the one that was admitted. A route server that
/// answers 302 keeps the number, perhaps behind a prefix.
pub(crate) fn diverted_past_us(event: &Event, admitted: &str) -> bool {
    let Some(user) = redirected_to(event) else { return false };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let (to, admitted) = (digits(user), digits(admitted));
    let admitted = admitted.trim_start_matches('0');
    admitted.is_empty() || !to.ends_with(admitted)
}

/// The callee of an unanswered leg sent it to where it waits now (302).
pub(crate) fn redirected_here(event: &Event, destination: &str) -> bool {
    redirected_to(event).is_some_and(|user| user == destination)
}

/// The number in the Contact of a 302.
fn redirected_to(event: &Event) -> Option<&str> {
    let contact = event.variable("sip_redirected_to")?;
    let uri = contact.split(['<', '>']).find(|part| part.contains("sip")).unwrap_or(contact);
    uri.split_once(':').map_or(uri, |(_, rest)| rest).split(['@', ';', '?']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &[(&str, &str)]) -> Event {
        let fields = fields.iter().map(|(name, value)| (format!("variable_{name}"), (*value).into()));
        let json: serde_json::Map<String, serde_json::Value> =
            fields.chain([("Event-Name".to_owned(), "CHANNEL_HANGUP".into())]).collect();
        Event::from_json(serde_json::Value::Object(json).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_end_of_a_leg_tells_whether_it_left_the_talk_to_others() {
        type Row = (&'static [(&'static str, &'static str)], Moved<'static>);
        let rows: &[Row] = &[
            (&[("endpoint_disposition", "ANSWER")], Moved::No),
            (&[("endpoint_disposition", "BLIND_TRANSFER"), ("transfer_to", "blind:b")], Moved::Sent("b")),
            // A transfer that failed long ago.
            (&[("endpoint_disposition", "ANSWER"), ("transfer_to", "blind:b")], Moved::No),
            (&[("endpoint_disposition", "ANSWER"), ("transfer_to", "att:d")], Moved::Joined),
            (&[("endpoint_disposition", "ATTENDED_TRANSFER")], Moved::Joined),
            (&[("endpoint_disposition", "ANSWER"), ("signal_bond", "b"), ("bridge_uuid", "b")], Moved::No),
            (&[("endpoint_disposition", "ANSWER"), ("bridge_uuid", "b")], Moved::Parted("b")),
            (
                &[("current_application", "att_xfer"), ("soft_holding_uuid", "b"), ("bridge_uuid", "e")],
                Moved::HandedOver("b"),
            ),
            // Long over: the variable is taken away, or another application runs.
            (&[("current_application", "att_xfer"), ("soft_holding_uuid", "")], Moved::No),
            (&[("current_application", "bridge"), ("soft_holding_uuid", "b")], Moved::No),
            (&[("loopback_hangup_cause", "bridge"), ("loopback_bowout_other_uuid", "d")], Moved::Joined),
        ];
        for (fields, expected) in rows {
            assert_eq!(moved(&event(fields)), *expected, "{fields:?}");
        }
    }

    #[test]
    fn who_consults_another_keeps_somebody_waiting() {
        for (application, waiting, other, kept) in [
            ("att_xfer", "b", "c", Some("b")),
            // Not yet, or no longer.
            ("att_xfer", "b", "b", None),
            ("att_xfer", "", "c", None),
            ("bridge", "b", "c", None),
        ] {
            let fields = serde_json::json!({
                "Event-Name": "CHANNEL_DATA", "variable_current_application": application,
                "variable_soft_holding_uuid": waiting, "Other-Leg-Unique-ID": other,
            });
            let event = Event::from_json(fields.to_string().as_bytes()).unwrap();
            assert_eq!(kept_waiting(&event), kept, "{application} {waiting} {other}");
        }
    }

    #[test]
    fn a_route_server_keeps_the_number_and_a_diversion_does_not() {
        for (contact, admitted, diverted) in [
            (None, "004930123456", false),
            (Some("<sip:4930123456@198.51.100.7:5060>"), "004930123456", false),
            (Some("\"x\" <sip:00123*4930123456@198.51.100.7;user=phone>;q=1"), "+4930123456", false),
            (Some("sip:+4930123456@198.51.100.7"), "4930123456", false),
            (Some("<sip:442071234567@198.51.100.7>"), "004930123456", true),
            (Some("<sip:198.51.100.7>"), "004930123456", true),
            (Some("nonsense"), "004930123456", true),
        ] {
            let fields: Vec<_> = contact.map(|contact| ("sip_redirected_to", contact)).into_iter().collect();
            assert_eq!(diverted_past_us(&event(&fields), admitted), diverted, "{contact:?}");
        }
    }
}
