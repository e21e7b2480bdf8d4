//! TariffService over loopback: loads, activations, history, comparisons, and what they mean for calls.

use charging_proto::v1::explain_request::Subject;
use charging_proto::v1::load_tariff_request::Part;
use charging_proto::v1::tariff_service_client::TariffServiceClient;
use charging_proto::v1::{
    ActivateTariffRequest, ActivateTariffResponse, CompareTariffsRequest, ExplainRequest, ListTariffsRequest,
    LoadTariffRequest, LoadTariffResponse, LoadTariffStart, QuoteRequest, Service, ShowTariffRequest, TariffEvent,
    TariffEventKind, TariffFileChunk, TariffHistoryRequest, TariffVersion, Units,
};
use charging_server::Core;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use types::SessionId;
use types::charging::{NotificationKind, Operation};

use crate::rig::{
    CLIENT, NUMBER, PATIENCE, Place, Server, TENANT, account, charge, initial, is, money, now, request, termination,
    write_tariff,
};

struct Desk {
    place: Place,
    core: Core,
    _server: Server,
    tariffs: TariffServiceClient<Channel>,
}

impl Desk {
    /// 0.01 a second, from the configured folder.
    async fn begin() -> Self {
        let place = Place::new();
        let core = place.start();
        let server = Server::start(&core).await;
        let tariffs = TariffServiceClient::new(server.channel().await);
        Self { place, core, _server: server, tariffs }
    }

    /// The data stays.
    async fn restart(self) -> Self {
        let Self { place, core, .. } = self;
        core.stop();
        drop(core);
        let core = place.start();
        let server = Server::start(&core).await;
        let tariffs = TariffServiceClient::new(server.channel().await);
        Self { place, core, _server: server, tariffs }
    }

    async fn load(&mut self, start: LoadTariffStart, rate: &str) -> Result<LoadTariffResponse, Status> {
        let folder = self.place.folder.path().join("upload");
        write_tariff(&folder, rate);
        let files = std::fs::read_dir(&folder).expect("readable").map(|entry| entry.expect("readable").path());
        let chunks = files.flat_map(|path| {
            let file_name = path.file_name().and_then(|name| name.to_str()).expect("text").to_owned();
            let bytes = std::fs::read(&path).expect("readable");
            // In pieces that break lines.
            bytes
                .chunks(5)
                .map(|content| TariffFileChunk { file_name: file_name.clone(), content: content.to_vec() })
                .collect::<Vec<_>>()
        });
        let parts = std::iter::once(Part::Start(start)).chain(chunks.map(Part::Chunk));
        let messages: Vec<_> = parts.map(|part| LoadTariffRequest { part: Some(part) }).collect();
        self.tariffs.load(tokio_stream::iter(messages)).await.map(tonic::Response::into_inner)
    }

    async fn loaded(&mut self, rate: &str) -> String {
        let loaded = self.load(by("tester"), rate).await.expect("answered");
        assert_eq!(loaded.faults, []);
        loaded.version.expect("kept").version
    }

    async fn activate(&mut self, version: &str, from: Option<i64>) -> Result<ActivateTariffResponse, Status> {
        let request = ActivateTariffRequest {
            version: version.into(),
            active_from_time: from,
            activated_by: Some("tester".into()),
            ..ActivateTariffRequest::default()
        };
        self.tariffs.activate(request).await.map(tonic::Response::into_inner)
    }

    async fn history(&mut self) -> Vec<TariffEvent> {
        all(self.tariffs.history(TariffHistoryRequest::default()).await.expect("answered").into_inner()).await
    }

    async fn versions(&mut self) -> Vec<TariffVersion> {
        all(self.tariffs.list(ListTariffsRequest::default()).await.expect("answered").into_inner()).await
    }

    /// The price of ten seconds, by the version in force.
    async fn price(&mut self) -> String {
        let quote = self.tariffs.quote(ten_seconds()).await.expect("answered").into_inner();
        quote.cost.expect("a price").amount
    }
}

fn by(who: &str) -> LoadTariffStart {
    LoadTariffStart { loaded_by: Some(who.into()), ..LoadTariffStart::default() }
}

fn ten_seconds() -> QuoteRequest {
    QuoteRequest {
        tenant: TENANT.into(),
        service: Service::Voice as i32,
        called: Some(NUMBER.into()),
        units: Some(Units { time_ms: Some(10_000), ..Units::default() }),
        ..QuoteRequest::default()
    }
}

async fn all<T>(mut stream: Streaming<T>) -> Vec<T> {
    let mut items = Vec::new();
    while let Some(item) = stream.message().await.expect("answered") {
        items.push(item);
    }
    items
}

fn code<T>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.map(|_| ()).expect_err("refused");
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn a_load_changes_nothing_until_it_is_activated_and_running_calls_never() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "10").await;
    charge(&desk.core, initial("a", "old", 30)).await;
    let version = desk.loaded("0.05").await;
    assert_eq!(desk.price().await, "0.1");
    let activated = desk.activate(&version, None).await.expect("activated");
    assert!(activated.version.is_some_and(|version| version.active) && activated.before.is_some());
    assert_eq!(desk.price().await, "0.5");
    charge(&desk.core, initial("a", "new", 10)).await;
    assert_eq!(money(&desk.core, "a").await, is("10", "0.8"), "0.30 at the old price, 0.50 at the new");
    charge(&desk.core, termination("a", "old", 1, 100)).await;
    charge(&desk.core, termination("a", "new", 1, 100)).await;
    assert_eq!(money(&desk.core, "a").await, is("4", "0"), "1.00 at the old price, 5.00 at the new");
}

#[tokio::test]
async fn clients_of_running_calls_are_told_when_a_version_comes_in_force() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "10").await;
    charge(&desk.core, initial("a", "old", 30)).await;
    let mut told = desk.core.subscribe(CLIENT.into()).await.expect("a core");
    let version = desk.loaded("0.05").await;
    let activated = desk.activate(&version, None).await.expect("activated");
    assert_eq!(activated.notified_sessions, 1);
    let notice = next(&mut told).await;
    assert_eq!((notice.session_id.as_str(), notice.kind), ("old", NotificationKind::Reauthorize));
    // Its report settles that, at the price it began with; the new call is of the version in force.
    charge(&desk.core, request("a", "old", 1, Operation::Update, Some(10), Some(30))).await;
    charge(&desk.core, initial("a", "new", 10)).await;
    assert_eq!(money(&desk.core, "a").await, is("9.9", "0.8"), "0.30 at the old price, 0.50 at the new");
    let pending = |books: &ledger::Books| books.notifications(&CLIENT.into()).len();
    assert_eq!(desk.core.query(pending).await.expect("a core"), 0);
    // One for later says nothing now, and tells both calls then: one is of the first version, one of the second.
    let third = desk.loaded("0.06").await;
    let soon = now().0 + 3_000;
    assert_eq!(desk.activate(&third, Some(soon)).await.expect("scheduled").notified_sessions, 0);
    let mut sessions = [next(&mut told).await, next(&mut told).await].map(|notice| notice.session_id.to_string());
    sessions.sort();
    assert_eq!(sessions, ["new", "old"]);
}

#[tokio::test]
async fn all_of_many_calls_are_told_once() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "1000").await;
    let mut calls = tokio::task::JoinSet::new();
    for call in 0..600 {
        let core = desk.core.clone();
        calls.spawn(async move { charge(&core, initial("a", &format!("s{call}"), 30)).await });
    }
    calls.join_all().await;
    let mut told = desk.core.subscribe(CLIENT.into()).await.expect("a core");
    let version = desk.loaded("0.05").await;
    assert_eq!(desk.activate(&version, None).await.expect("activated").notified_sessions, 600);
    let mut sessions = std::collections::BTreeSet::new();
    for _ in 0..600 {
        assert!(sessions.insert(next(&mut told).await.session_id));
    }
}

async fn next(told: &mut charging_server::Subscription) -> types::charging::Notification {
    tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("a notification")
}

#[tokio::test]
async fn an_activation_survives_a_restart_and_a_changed_folder_goes_before_it() {
    let mut desk = Desk::begin().await;
    let version = desk.loaded("0.05").await;
    desk.activate(&version, None).await.expect("activated");
    let mut desk = desk.restart().await;
    assert_eq!(desk.price().await, "0.5", "the folder is what it was: it undoes nothing");
    let before: Vec<String> = desk.history().await.into_iter().map(|event| event.version).collect();
    assert_eq!(before.len(), 4, "folder loaded and activated, upload loaded and activated");
    write_tariff(desk.place.config.tariff.folder.as_deref().expect("configured"), "0.02");
    let mut desk = desk.restart().await;
    assert_eq!(desk.price().await, "0.2");
    // Back to the older one.
    desk.activate(&version, None).await.expect("activated");
    assert_eq!(desk.price().await, "0.5");
    let history = desk.history().await;
    let kinds: Vec<_> = history.iter().map(|event| (event.sequence, event.kind(), event.by.as_deref())).collect();
    let (loaded, activated) = (TariffEventKind::Loaded, TariffEventKind::Activated);
    let expected = [
        (7, activated, Some("tester")),
        (6, activated, Some("configuration")),
        (5, loaded, Some("configuration")),
        (4, activated, Some("tester")),
        (3, loaded, Some("tester")),
        (2, activated, Some("configuration")),
        (1, loaded, Some("configuration")),
    ];
    assert_eq!(kinds, expected);
    let rows: Vec<_> =
        history.iter().filter(|event| event.sequence == 3).flat_map(|event| &event.changed_rows).collect();
    assert!(
        matches!(rows[..], [rates] if (rates.file_name.as_str(), rates.changed, rates.added) == ("Rates.csv", 1, 0)),
        "{rows:?}"
    );
    assert_eq!(desk.versions().await.iter().filter(|version| version.active).count(), 1);
}

#[tokio::test]
async fn a_scheduled_version_waits_for_its_time() {
    let mut desk = Desk::begin().await;
    let version = desk.loaded("0.05").await;
    let tomorrow = now().0 + 86_400_000;
    desk.activate(&version, Some(tomorrow)).await.expect("scheduled");
    assert_eq!(desk.price().await, "0.1");
    let shown = desk.tariffs.show(ShowTariffRequest::default()).await.expect("answered").into_inner();
    let scheduled: Vec<_> = shown.scheduled.iter().map(|e| (e.version.as_str(), e.active_from_time)).collect();
    assert_eq!(scheduled, [(version.as_str(), Some(tomorrow))]);
    let plan = desk.core.tariffs().in_force(types::UtcMs(tomorrow), types::UtcMs(tomorrow)).expect("in force");
    assert_eq!(plan.version().to_string(), version);
    // Still so after a restart; and another activation for the same instant takes it back.
    let mut desk = desk.restart().await;
    let in_force = desk.core.tariffs().current().expect("in force").version();
    let plan = desk.core.tariffs().in_force(types::UtcMs(tomorrow), types::UtcMs(tomorrow)).expect("in force");
    assert_eq!(plan.version().to_string(), version);
    desk.activate(&in_force.to_string(), Some(tomorrow)).await.expect("taken back");
    let plan = desk.core.tariffs().in_force(types::UtcMs(tomorrow), types::UtcMs(tomorrow)).expect("in force");
    assert_eq!(plan.version(), in_force);
    let (refused, text) = code(desk.activate(&version, Some(now().0 - 1000)).await);
    assert!(refused == Code::InvalidArgument && text.contains("has passed"), "{text}");
}

#[tokio::test]
async fn what_came_late_is_rated_as_when_it_began() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "10").await;
    let mut late = initial("a", "late", 10);
    let version = desk.loaded("0.05").await;
    desk.activate(&version, None).await.expect("activated");
    // Answered before the activation, and comes after it: the core was away, the call went on.
    late.answer_time = Some(types::UtcMs(now().0 - 60_000));
    charge(&desk.core, late).await;
    assert_eq!(money(&desk.core, "a").await, is("10", "0.1"));
}

#[tokio::test]
async fn a_dry_run_tells_everything_and_keeps_nothing() {
    let mut desk = Desk::begin().await;
    let start = LoadTariffStart { dry_run: true, sample_numbers: vec![NUMBER.into(), "+33".into()], ..by("tester") };
    let told = desk.load(start, "0.03").await.expect("answered");
    assert_eq!((told.version, told.difference_count), (None, 1));
    let row = told.differences.first().expect("a row");
    assert_eq!((row.before.as_deref(), row.after.as_deref()), (Some("R1,0,0.01,1s,1s,0s"), Some("R1,0,0.03,1s,1s,0s")));
    let prices: Vec<_> = told
        .price_changes
        .iter()
        .map(|change| {
            (change.number.as_str(), change.before.as_deref(), change.after.as_deref(), change.change.as_deref())
        })
        .collect();
    assert_eq!(prices, [(NUMBER, Some("0.6"), Some("1.8"), Some("1.2"))]);
    assert_eq!(told.prices_compared, 2);
    assert_eq!(desk.versions().await.len(), 1);
    let faulty = desk.load(by("tester"), "cheap").await.expect("an answer");
    let fault = faulty.faults.first().expect("a fault");
    assert_eq!((fault.file_name.as_str(), fault.line, fault.column.as_deref()), ("Rates.csv", Some(1), Some("Rate")));
    assert!(fault.message.contains("cheap") && faulty.version.is_none() && faulty.content_version.is_none());
    assert_eq!(desk.history().await.len(), 2);
}

#[tokio::test]
async fn versions_have_names_and_first_digits() {
    let mut desk = Desk::begin().await;
    let named = |name: &str| LoadTariffStart { version: Some(name.into()), ..by("tester") };
    let spring = desk.load(named("spring-27"), "0.05").await.expect("answered").version.expect("kept").version;
    let (refused, text) = code(desk.load(named("spring-27"), "0.06").await);
    assert!(refused == Code::AlreadyExists && text.contains(&spring), "{text}");
    for bad in ["cafe", "a b", "../x", &"n".repeat(65)] {
        assert_eq!(code(desk.load(named(bad), "0.06").await).0, Code::InvalidArgument, "{bad}");
    }
    for asked in ["spring-27", &spring, &spring[..8]] {
        let shown =
            desk.tariffs.show(ShowTariffRequest { version: Some(asked.into()), ..ShowTariffRequest::default() });
        let version = shown.await.expect("answered").into_inner().version.expect("a version");
        assert_eq!((version.version.as_str(), version.name.as_deref()), (spring.as_str(), Some("spring-27")));
    }
    for asked in ["summer", &spring[..3], "ffffffffffffffffffffffffffffffff", ""] {
        assert_eq!(code(desk.activate(asked, None).await).0, Code::NotFound, "{asked}");
    }
    let before = desk.core.tariffs().current().expect("in force").version().to_string();
    let compare = CompareTariffsRequest { before, after: "spring-27".into(), sample_numbers: vec![] };
    let compared = desk.tariffs.compare(compare).await.expect("answered").into_inner();
    assert_eq!((compared.difference_count, compared.price_change_count), (1, 1));
    assert!(
        compared.settings.is_empty()
            && compared.after.is_some_and(|after| after.loaded_by.as_deref() == Some("tester"))
    );
    let quote = QuoteRequest { version: Some("spring-27".into()), ..ten_seconds() };
    let quote = desk.tariffs.quote(quote).await.expect("answered").into_inner();
    assert_eq!((quote.cost.expect("a price").amount.as_str(), quote.version), ("0.5", spring));
}

#[tokio::test]
async fn prices_are_explained_line_by_line_for_quotes_and_sessions() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "10").await;
    charge(&desk.core, initial("a", "s", 30)).await;
    charge(&desk.core, termination("a", "s", 1, 70)).await;
    let version = desk.loaded("0.05").await;
    desk.activate(&version, None).await.expect("activated");
    let explain = |subject| ExplainRequest { subject: Some(subject) };
    let session = desk.tariffs.explain(explain(Subject::SessionId("s".into()))).await.expect("answered").into_inner();
    let quote = session.quote.expect("a quote");
    assert_eq!(quote.cost.map(|cost| cost.amount).as_deref(), Some("0.7"), "by the version it began with");
    let sum: types::Money = session.lines.iter().map(|line| line.amount.parse::<types::Money>().expect("money")).sum();
    assert_eq!(sum.to_string(), "0.7");
    let span = session.lines.iter().find(|line| line.rate.is_some()).expect("a span");
    assert_eq!((span.billable, span.rate_value.as_deref(), span.rate_unit), (70_000, Some("0.01"), Some(1000)));
    assert!(session.lines.iter().any(|line| line.reason.contains("rounded up to 4 decimals")), "{:?}", session.lines);
    let quoted = desk.tariffs.explain(explain(Subject::Quote(ten_seconds()))).await.expect("answered").into_inner();
    let quote = quoted.quote.expect("a quote");
    assert_eq!(quote.matched_prefix.as_deref(), Some("49"), "of +4930123456, whose + is optional");
    assert_eq!(quote.cost.map(|cost| cost.amount).as_deref(), Some("0.5"));
    assert_eq!(code(desk.tariffs.explain(explain(Subject::SessionId("none".into()))).await).0, Code::NotFound);
    assert_eq!(code(desk.tariffs.explain(ExplainRequest { subject: None }).await).0, Code::InvalidArgument);
    let elsewhere = QuoteRequest { called: Some("+33".into()), ..ten_seconds() };
    let refused = desk.tariffs.quote(elsewhere).await.expect("answered").into_inner();
    assert_eq!((refused.result_code, refused.refusal.as_deref()), (5031, Some("UNAUTHORIZED_DESTINATION")));
}

#[tokio::test]
async fn rows_of_a_number_are_found() {
    let mut desk = Desk::begin().await;
    let show = |number: Option<&str>, destination: Option<&str>| ShowTariffRequest {
        number: number.map(str::to_owned),
        destination: destination.map(str::to_owned),
        ..ShowTariffRequest::default()
    };
    let expected = ["Destinations.csv", "DestinationRates.csv", "Rates.csv", "RatingPlans.csv"];
    for request in [show(Some(NUMBER), None), show(None, Some("DE"))] {
        let shown = desk.tariffs.show(request).await.expect("answered").into_inner();
        let files: Vec<&str> = shown.rows.iter().map(|row| row.file_name.as_str()).collect();
        assert_eq!((files.as_slice(), shown.row_count), (expected.as_slice(), 4));
    }
    let shown = desk.tariffs.show(show(Some("+33"), None)).await.expect("answered").into_inner();
    assert_eq!(shown.row_count, 0);
    let version = shown.version.expect("a version");
    assert_eq!((version.destination_count, version.rate_count, version.currency.as_str()), (1, 1, "EUR"));
    assert_eq!(version.settings.get("time zone").map(String::as_str), Some("UTC"));
}

#[tokio::test]
async fn plans_that_nothing_needs_leave_the_memory_but_not_the_disk() {
    let mut desk = Desk::begin().await;
    account(&desk.core, "a", "10").await;
    charge(&desk.core, initial("a", "s", 30)).await;
    let first = desk.core.tariffs().current().expect("in force").version();
    let unused = desk.loaded("0.04").await;
    let next = desk.loaded("0.05").await;
    desk.activate(&next, None).await.expect("activated");
    let tariffs = desk.core.tariffs();
    assert!(tariffs.version(first.bits()).is_some(), "a session was rated with it");
    let unused = tariffs.find(&unused).expect("kept");
    assert!(tariffs.version(unused.bits()).is_none());
    assert_eq!(tariffs.read(unused).expect("on disk").version(), unused);
    assert_eq!(tariffs.forget_unused(&[]), 0, "late requests may still be rated with the first");
    let asked = SessionId::from("s");
    assert_eq!(desk.core.query(move |books| books.groups_of(&asked).len()).await.expect("a core"), 1);
}

#[tokio::test]
async fn what_a_crash_left_half_done_is_no_version() {
    let mut desk = Desk::begin().await;
    let version = desk.loaded("0.05").await;
    let folder = desk.place.data().join("tariffs");
    let Desk { place, core, .. } = desk;
    core.stop();
    drop(core);
    // In the middle of the folder, of the history, and between the two.
    std::fs::create_dir_all(folder.join("00ff.unfinished")).expect("a folder");
    std::fs::write(folder.join("history.unfinished"), "half a li").expect("written");
    let kept = folder.join(&version);
    let history = std::fs::read_to_string(folder.join("history.jsonl")).expect("readable");
    let without: Vec<&str> = history.lines().filter(|line| !line.contains(&version)).collect();
    assert_eq!(without.len(), 2);
    std::fs::write(folder.join("history.jsonl"), format!("{}\n", without.join("\n"))).expect("written");
    let core = place.start();
    let server = Server::start(&core).await;
    let tariffs = TariffServiceClient::new(server.channel().await);
    let mut desk = Desk { place, core, _server: server, tariffs };
    assert_eq!((desk.history().await.len(), desk.price().await.as_str()), (2, "0.1"));
    assert_eq!(desk.loaded("0.05").await, version, "the same files, the same version");
    assert!(kept.is_dir());
    desk.activate(&version, None).await.expect("activated");
    let mut desk = desk.restart().await;
    assert_eq!(desk.price().await, "0.5");
}

#[tokio::test]
async fn hostile_loads_end_as_errors() {
    let mut desk = Desk::begin().await;
    let chunk =
        |name: &str, content: &[u8]| Part::Chunk(TariffFileChunk { file_name: name.into(), content: content.into() });
    let rows: [(Vec<Part>, &str); 4] = [
        (vec![], "begins with a start"),
        (vec![chunk("Rates.csv", b"")], "begins with a start"),
        (vec![Part::Start(by("x")), Part::Start(by("x"))], "only pieces of files"),
        (vec![Part::Start(LoadTariffStart { sample_numbers: vec!["1".into(); 1001], ..by("x") })], "at most 1000"),
    ];
    for (parts, expected) in rows {
        let messages: Vec<_> = parts.into_iter().map(|part| LoadTariffRequest { part: Some(part) }).collect();
        let (refused, text) = code(desk.tariffs.load(tokio_stream::iter(messages)).await);
        assert!(refused == Code::InvalidArgument && text.contains(expected), "{text}");
    }
    let parts = [Part::Start(by("x")), chunk("Rates.csv", b"R,0,1,1s,1s,0s\nS,\xff"), chunk("../passwd", b"\xff")];
    let messages: Vec<_> = parts.into_iter().map(|part| LoadTariffRequest { part: Some(part) }).collect();
    let told = desk.tariffs.load(tokio_stream::iter(messages)).await.expect("answered").into_inner();
    assert!(
        matches!(&told.faults[..], [fault] if fault.line == Some(2) && fault.message.contains("UTF-8")),
        "{told:?}"
    );
    let long = LoadTariffStart { comment: Some("x".repeat(1025)), ..by("x") };
    assert_eq!(code(desk.load(long, "0.05").await).0, Code::InvalidArgument);
}

#[tokio::test]
async fn damage_is_told_by_file_and_line() {
    let mut desk = Desk::begin().await;
    let version = desk.loaded("0.05").await;
    // Not the last one any more, which is still in memory.
    desk.loaded("0.06").await;
    let folder = desk.place.data().join("tariffs");
    std::fs::write(folder.join(&version).join("Rates.csv"), "R1,0,0.04,1s,1s,0s\n").expect("written");
    let (refused, text) = code(desk.activate(&version, None).await);
    assert!(refused == Code::DataLoss && text.contains("damaged") && text.contains(&version), "{text}");
    assert_eq!(desk.price().await, "0.1", "nothing has changed");
    let Desk { place, core, .. } = desk;
    core.stop();
    let history = folder.join("history.jsonl");
    let good = std::fs::read_to_string(&history).expect("readable");
    std::fs::write(&history, good.replacen("tester", "hacker", 1)).expect("written");
    let text = place.refusal();
    assert!(text.contains("history.jsonl is damaged in line 3") && text.contains("backup"), "{text}");
    std::fs::write(&history, good).expect("written");
    drop(place.start());
}
