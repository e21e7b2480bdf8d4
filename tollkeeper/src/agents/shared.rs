//! What the keys mean that agents of every kind have.

use crate::config::Comment;

/// Added to the comments of each kind.
pub const COMMENTS: &[Comment] = &[
    Comment::new("kind", "The switch's kind."),
    Comment::new(
        "name",
        "Name of the agent; with the switch's name it is the client id at the charging core. Never change it while calls are up.",
    ),
    Comment::new("reconnect_longest", "Longest wait between attempts to connect."),
    Comment::new("switches.name", "Its name in records, metrics and session ids."),
    Comment::new("calls", "How calls are charged."),
    Comment::new("calls.slice", "Time asked for at once."),
    Comment::new("calls.margin", "More is asked for when this much is left; shorter than slice."),
    Comment::new("calls.maximum_ring", "Longest ringing; the switch's own limit should be shorter."),
    Comment::new("calls.maximum_call", "Longest conversation."),
    Comment::new("calls.interim", "Distance of INTERIM records; 0s: none."),
    Comment::new("calls.final_record_wait", "How long a STOP waits for its price."),
    Comment::new(
        "calls.authorise_timeout",
        "How long a new call waits for the charging core; shorter than the switch waits for us.",
    ),
    Comment::new("calls.proof_interval", "How often the switch is asked for its live calls, 1s to 10m."),
    Comment::new("calls.hold", "Are held calls charged? charged or free."),
    Comment::new(
        "calls.on_core_failure",
        "While the core is away: terminate or retry_and_terminate (new calls refused, running ones end with their grant), or continue.",
    ),
    Comment::new(
        "calls.continue",
        "With on_core_failure = \"continue\": which calls go on without the core; they are debited later.",
    ),
    Comment::new("calls.continue.max_call", "Longest talk without the core."),
    Comment::new("calls.continue.calls_per_account", "Calls of one account at once."),
    Comment::new("calls.continue.recent", "How old the core's last good word for the account may be."),
    Comment::new("calls.continue.never", "Beginnings of E.164 numbers, such as \"+882\", to which no call goes on."),
    Comment::new("calls.unknown_calls", "Answered calls that appear without an offer: adopt (charge) or release."),
    Comment::new("calls.mode", "How money is treated: prepaid, pseudoprepaid, postpaid, rated."),
    Comment::new("calls.category", "The rating category."),
    Comment::new("calls.maximum_calls", "Calls held at once at most; more are refused with 503."),
    Comment::new("calls.numbers", "How numbers are written."),
    Comment::new(
        "calls.numbers.country_code",
        "Country code for national numbers, digits only; empty: national numbers are refused.",
    ),
    Comment::new("calls.numbers.area_code", "Area code put before local numbers; empty: local numbers are refused."),
    Comment::new("calls.numbers.international_prefixes", "What is dialled before a country code."),
    Comment::new("calls.numbers.national_prefix", "What is dialled before an area code."),
    Comment::new("calls.numbers.technical_prefixes", "Prefixes that choose a route and are not part of the number."),
    Comment::new("calls.numbers.short_codes", "Numbers that are taken as they are: short codes, service numbers."),
    Comment::new(
        "calls.numbers.bare_is_international",
        "true: digits without any prefix are a country code and number.",
    ),
    Comment::new("trunks.*", "One trunk."),
    Comment::new("trunks.*.numbers", "The keys of calls.numbers."),
];
