//! Kinesis away for half a minute while people talk (DESIGN section 8): calls, charging and the other sink do not notice,
//! the journal keeps the records, and all of them arrive afterwards, each call's in order.

mod e2e;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use demo::lab::{Kinesalite, LAB_REGION, eventually, repository};
use e2e::{Lab, Plan, all_passed, types_of};
use serde_json::Value;

const OUTAGE: Duration = Duration::from_secs(30);

#[test]
fn calls_go_on_while_kinesis_is_away() -> anyhow::Result<()> {
    let mut kinesalite = Kinesalite::start(&e2e::fresh_folder("kinesis-away")?, 2, "records")?;
    let sink = format!(
        "[[journal.sink]]\nkind = \"kinesis\"\nstream = \"records\"\nregion = \"{LAB_REGION}\"\nendpoint_url = \"{}\"\n",
        kinesalite.url()
    );
    let plan = Plan {
        accounts: vec![("anna", "50.00"), ("bert", "50.00")],
        calls: "slice = \"5s\"\nmargin = \"2s\"\nproof_interval = \"1s\"",
        tables: sink.leak(),
        ..Plan::default()
    };
    let lab = Lab::start("kinesis-outage", &plan)?;
    let mut runs = vec![lab.call("before", "anna", 300)?, lab.call("through-it", "bert", 20_000)?];
    lab.wait_answered(&[&runs[0], &runs[1]])?;
    let sent = || lab.metric_with("tollkeeper_sink_records_total", "sink=\"kinesis\"");
    eventually("a record in Kinesis", Duration::from_secs(10), || (sent() >= 1).then_some(()))?;

    kinesalite.process.kill()?;
    let begun = Instant::now();
    while begun.elapsed() < OUTAGE {
        let number = runs.len();
        runs.push(lab.call(&format!("meanwhile-{number}"), ["anna", "bert"][number % 2], 200 + 50 * number as u64)?);
        e2e::talk(1_500);
    }
    all_passed(runs.iter_mut())?;
    let ready: Value = serde_json::from_str(&lab.tollkeeper.get("/readyz")?)?;
    assert_eq!(ready["ready"], true, "a sink that is down costs no call: {ready}");
    // Both balances to the last unit, one START and one STOP for each call, while Kinesis is still away.
    let records = lab.settled()?;
    for run in &runs {
        assert_eq!(types_of(&records, &run.id), ["START", "STOP"], "{}", run.id);
    }
    let status = lab.tollkeeper.json_lines(&["cdr", "ship-status", "-c", "tollkeeper.toml"])?;
    let trouble = |sink: &str| status.iter().find(|status| status["sink"] == sink).map(|status| &status["trouble"]);
    assert!(trouble("kinesis").is_some_and(|trouble| trouble["error"].is_string()), "{status:?}");
    assert!(trouble("json-lines").is_some_and(Value::is_null), "{status:?}");
    let backlog = lab.metric_with("tollkeeper_sink_backlog_records", "sink=\"kinesis\"");
    assert!(backlog >= 2 * (runs.len() as u64 - 2), "{backlog} records wait in the journal");

    kinesalite.start_again()?;
    let back = Instant::now();
    let backlog = || lab.metric_with("tollkeeper_sink_backlog_records", "sink=\"kinesis\"");
    eventually("everything being shipped", Duration::from_secs(60), || (backlog() == 0).then_some(()))?;
    println!("{} records shipped {:?} after Kinesis was back", records.len(), back.elapsed());
    let file = lab.folder.join("from-kinesis.jsonl");
    kinesalite.read_back(&repository().join("demo/read_stream.py"), &file)?;
    let text = std::fs::read_to_string(&file)?;
    let (mut seen, mut arrived) = (BTreeSet::new(), Vec::new());
    for line in text.lines() {
        let record: Value = serde_json::from_str(line)?;
        if seen.insert(record["recordId"].to_string()) {
            arrived.push(record);
        }
    }
    assert_eq!(arrived.len(), records.len(), "each record once, after deduplication");
    for run in &runs {
        assert_eq!(types_of(&arrived, &run.id), ["START", "STOP"], "in the order of the stream: {}", run.id);
    }
    Ok(())
}
