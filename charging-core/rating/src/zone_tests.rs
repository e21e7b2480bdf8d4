//! Clocks that go forward, back, or over midnight, and calendars far away.

use super::*;
use proptest::prelude::*;

fn zone(name: &str) -> TimeZone {
    name.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn utc(text: &str) -> UtcMs {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn names_are_those_of_the_database() {
    assert_eq!(zone("europe/berlin").name(), "Europe/Berlin");
    assert_eq!((TimeZone::default().name(), zone("UTC")), ("UTC", TimeZone::default()));
    for name in ["", "Berlin", "Europe/Berlinn", "+01:00", "../../etc/passwd"] {
        assert!(name.parse::<TimeZone>().is_err(), "{name}");
    }
    let error = "Mars/Base".parse::<TimeZone>().map_err(|error| error.to_string());
    assert!(error.is_err_and(|text| text.starts_with("`Mars/Base` is no time zone; expected a name")));
}

#[test]
fn wall_clocks_show_their_offset() {
    let rows = [
        ("Europe/Berlin", "2026-03-29T00:59:59.999Z", "2026-03-29T01:59:59.999+01:00"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00.000+02:00"),
        ("Europe/Berlin", "2026-10-25T00:59:59Z", "2026-10-25T02:59:59.000+02:00"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00.000+01:00"),
        ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00.000-04:00"),
        ("America/New_York", "2026-11-01T06:00:00Z", "2026-11-01T01:00:00.000-05:00"),
        ("America/St_Johns", "2026-01-01T00:00:00Z", "2025-12-31T20:30:00.000-03:30"),
        ("Asia/Kathmandu", "2026-01-01T00:00:00Z", "2026-01-01T05:45:00.000+05:45"),
        ("UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000+00:00"),
        // centuries away the last rule goes on: the last Sunday of March 2926 is the 31st
        ("Europe/Berlin", "2926-03-31T01:00:00Z", "2926-03-31T03:00:00.000+02:00"),
        ("Europe/Berlin", "2926-03-31T00:59:59Z", "2926-03-31T01:59:59.000+01:00"),
    ];
    for (name, at, expected) in rows {
        assert_eq!(zone(name).local(utc(at)), expected, "{name} {at}");
    }
}

/// Local midnight of a date, moved by a time of day: what the wall clock shows, read as if it were UTC.
fn shown(text: &str) -> i64 {
    utc(&format!("{text}Z")).0
}

#[test]
fn a_border_is_crossed_when_it_is_first_shown_or_skipped() {
    let rows = [
        // Berlin, 02:00 to 03:00 is not shown
        ("Europe/Berlin", "2026-03-29T01:59:59", "2026-03-29T00:59:59Z"),
        ("Europe/Berlin", "2026-03-29T02:00:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T02:30:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T03:00:00", "2026-03-29T01:00:00Z"),
        ("Europe/Berlin", "2026-03-29T03:00:01", "2026-03-29T01:00:01Z"),
        // Berlin, 02:00 to 03:00 is shown twice
        ("Europe/Berlin", "2026-10-25T02:00:00", "2026-10-25T00:00:00Z"),
        ("Europe/Berlin", "2026-10-25T02:30:00", "2026-10-25T00:30:00Z"),
        ("Europe/Berlin", "2026-10-25T03:00:00", "2026-10-25T02:00:00Z"),
        // New York, 02:00 to 03:00 is not shown; 01:00 to 02:00 is shown twice
        ("America/New_York", "2026-03-08T02:30:00", "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01T01:30:00", "2026-11-01T05:30:00Z"),
        ("America/New_York", "2026-11-01T02:00:00", "2026-11-01T07:00:00Z"),
        // Beirut skips midnight, Havana repeats the hour after it
        ("Asia/Beirut", "2026-03-29T00:00:00", "2026-03-28T22:00:00Z"),
        ("Asia/Beirut", "2026-03-29T00:30:00", "2026-03-28T22:00:00Z"),
        ("America/Havana", "2026-11-01T00:00:00", "2026-11-01T04:00:00Z"),
        ("America/Havana", "2026-11-01T01:00:00", "2026-11-01T06:00:00Z"),
        // Samoa left out a whole day
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z"),
    ];
    for (name, local, expected) in rows {
        let (zone, local_ms) = (zone(name), shown(local));
        let day_before = UtcMs(utc(expected).0 - 86_400_000);
        assert_eq!(zone.first_shown(day_before, local_ms), utc(expected), "{name} {local}");
        assert!(zone.latest_shown(utc(expected)) >= local_ms, "{name} {local}");
        assert!(zone.latest_shown(UtcMs(utc(expected).0 - 1)) < local_ms, "{name} {local}");
    }
}

#[test]
fn while_an_hour_is_shown_again_the_clock_of_the_tariff_waits() {
    let zone = zone("Europe/Berlin");
    for (at, expected) in [
        ("2026-10-25T00:59:59.999Z", "2026-10-25T02:59:59.999"),
        ("2026-10-25T01:00:00Z", "2026-10-25T02:59:59.999"),
        ("2026-10-25T01:59:59.999Z", "2026-10-25T02:59:59.999"),
        ("2026-10-25T02:00:00Z", "2026-10-25T03:00:00.000"),
    ] {
        assert_eq!(zone.latest_shown(utc(at)), shown(expected), "{at}");
    }
}

proptest! {
    #[test]
    fn the_clock_of_the_tariff_never_runs_back(
        name in prop_oneof![
            Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("America/Sao_Paulo"),
            Just("Africa/Casablanca"), Just("Pacific/Apia"), Just("UTC"),
        ],
        at in -3_000_000_000_000i64..60_000_000_000_000,
        later in 0i64..90_000_000,
    ) {
        let zone = zone(name);
        let (at, later) = (UtcMs(at), UtcMs(at + later));
        prop_assert!(zone.latest_shown(at) <= zone.latest_shown(later));
        let border = zone.latest_shown(later) + 1;
        let crossed = zone.first_shown(at, border);
        prop_assert!(crossed > later);
        prop_assert!(zone.latest_shown(crossed) >= border && zone.latest_shown(UtcMs(crossed.0 - 1)) < border);
    }
}

#[test]
fn days_begin_at_the_zones_midnight_and_never_run_back() {
    let rows = [
        // Winter and summer in Berlin: midnight is 23:00 or 22:00 UTC.
        ("Europe/Berlin", "2026-01-09T22:59:59Z", "2026-01-09T23:00:00Z"),
        ("Europe/Berlin", "2026-07-09T21:59:59Z", "2026-07-09T22:00:00Z"),
        ("UTC", "2026-01-09T23:59:59Z", "2026-01-10T00:00:00Z"),
        // Midnight is not shown at all: the day begins an hour later.
        ("America/Santiago", "2026-09-06T03:59:59Z", "2026-09-06T04:00:00Z"),
    ];
    for (zone, before, midnight) in rows {
        let day = |at: &str| self::zone(zone).day(utc(at));
        assert_eq!(day(before) + 1, day(midnight), "{zone} {midnight}");
    }
    // From 24:00 back to 23:00: the day that has begun goes on.
    let santiago = zone("America/Santiago");
    let days: Vec<i64> = ["02:59:59", "03:00:00", "03:59:59", "04:00:00"]
        .map(|time| santiago.day(utc(&format!("2026-04-05T{time}Z"))))
        .to_vec();
    assert!(days.is_sorted(), "{days:?}");
    assert_eq!(days[0] + 1, days[3]);
}
