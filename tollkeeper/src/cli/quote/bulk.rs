//! A file of requests to a file of answers, on all cores, in bounded memory and in order.
//!
//! The reader cuts the file into pieces of whole lines and deals them out to the workers in turn; the writer collects the
//! answers in the same turn. So the order is kept without waiting for anybody but the next one, and what is in memory is
//! a few pieces for each worker, whatever the file's length.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rating::Plan;
use serde_json::json;

use super::line::{self, Outcome};
use crate::cli::plan_folder::bar;
use crate::cli::show;
use crate::exit;

/// How many lines of each kind.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    priced: u64,
    refused: u64,
    bad: u64,
}

/// Lines of the file, and the number of the first.
enum Piece {
    Lines {
        first: u64,
        bytes: Vec<u8>,
    },
    /// A line that is too long to be a request.
    TooLong {
        line: u64,
    },
}

/// The answers to a piece.
struct Answers {
    bytes: Vec<u8>,
    tally: Tally,
    /// Bytes of requests.
    read: u64,
}

/// Prices all of it and says how fast.
pub(super) fn run(plan: &Plan, requests: &Path, answers: &Path, format: show::Format) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (input, length): (Box<dyn Read + Send>, Option<u64>) = if is_dash(requests) {
        (Box::new(io::stdin()), None)
    } else {
        let file = File::open(requests).with_context(|| format!("requests {}", requests.display()))?;
        let length = file.metadata().ok().map(|metadata| metadata.len());
        (Box::new(file), length)
    };
    let name = || format!("answers {}", answers.display());
    let tally = if is_dash(answers) {
        price(plan, input, length, BufWriter::new(io::stdout()))?
    } else if answers.exists() && !answers.is_file() {
        // A pipe or a device has no other name to be written under.
        price(plan, input, length, BufWriter::new(File::create(answers).with_context(name)?)).with_context(name)?
    } else {
        // Under its name only when it is whole: a reader must not take half of it for all.
        let file = answers.file_name().with_context(|| format!("--answers {} names no file", answers.display()))?;
        let unfinished = answers.with_file_name(format!("{}.tmp", file.to_string_lossy()));
        let out = File::create(&unfinished).with_context(|| unfinished.display().to_string())?;
        let tally = price(plan, input, length, BufWriter::new(out)).and_then(|tally| {
            std::fs::rename(&unfinished, answers).with_context(name)?;
            Ok(tally)
        });
        if tally.is_err() {
            std::fs::remove_file(&unfinished).unwrap_or_default();
        }
        tally?
    };
    report(tally, begun.elapsed(), is_dash(answers), format)
}

fn report(tally: Tally, took: Duration, answers_on_stdout: bool, format: show::Format) -> anyhow::Result<()> {
    let Tally { priced, refused, bad } = tally;
    let lines = priced + refused + bad;
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let per_second = lines.saturating_mul(1000) / ms;
    let text = if format.json {
        json!({
            "requests": lines, "priced": priced, "refused": refused, "bad": bad, "ms": ms, "per_second": per_second,
        })
        .to_string()
    } else {
        let seconds = format!("{}.{:03}", ms / 1000, ms % 1000);
        format!(
            "{lines} requests in {seconds} s, {per_second} a second: {priced} priced, {refused} refused, {bad} bad lines"
        )
    };
    if answers_on_stdout {
        exit::complain(&text);
    } else {
        show::line(&text)?;
    }
    if bad > 0 {
        exit::complain(&format!(
            "warning: {bad} lines are no requests; their answers say BAD_REQUEST, the line and why"
        ));
    }
    Ok(())
}

fn price(plan: &Plan, input: impl Read + Send, length: Option<u64>, mut out: impl Write) -> anyhow::Result<Tally> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = match length {
        Some(length) => {
            let bar = bar("{bar:40} {bytes}/{total_bytes} {msg} {eta}");
            bar.set_length(length);
            bar
        }
        None => bar("{spinner} {bytes} {msg}"),
    };
    let begun = Instant::now();
    let mut tally = Tally::default();
    let done = std::thread::scope(|scope| -> anyhow::Result<()> {
        let (mut to_workers, mut from_workers) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (piece_sender, pieces) = sync_channel::<Piece>(PIECES_WAITING);
            let (sender, answers) = sync_channel::<Answers>(PIECES_WAITING);
            scope.spawn(move || work(plan, &pieces, &sender));
            to_workers.push(piece_sender);
            from_workers.push(answers);
        }
        let reader = scope.spawn(move || deal(input, &to_workers));
        for turn in from_workers.iter().cycle() {
            // The first without an answer is the first that got no more pieces.
            let Ok(answers) = turn.recv() else { break };
            out.write_all(&answers.bytes).context("writing the answers")?;
            tally.add(answers.tally);
            progress.inc(answers.read);
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
            progress.set_message(format!("{} a second", tally.lines().saturating_mul(1000) / ms));
        }
        // Workers that still wait for a place find nobody there, and end.
        drop(from_workers);
        match reader.join() {
            Ok(read) => read.context("reading the requests"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    });
    progress.finish_and_clear();
    done?;
    out.flush().context("writing the answers")?;
    Ok(tally)
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.priced += other.priced;
        self.refused += other.refused;
        self.bad += other.bad;
    }

    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Priced => self.priced += 1,
            Outcome::Refused => self.refused += 1,
            Outcome::Bad => self.bad += 1,
        }
    }

    fn lines(&self) -> u64 {
        self.priced + self.refused + self.bad
    }
}

fn work(plan: &Plan, pieces: &Receiver<Piece>, answers: &SyncSender<Answers>) {
    for piece in pieces {
        let mut done = Answers { bytes: Vec::new(), tally: Tally::default(), read: 0 };
        match piece {
            Piece::Lines { first, bytes } => {
                done.read = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                for (number, text) in (first..).zip(bytes.split(|byte| *byte == b'\n')) {
                    let text = text.trim_ascii();
                    if !text.is_empty() {
                        done.tally.count(line::answer(plan, text, number, &mut done.bytes));
                    }
                }
            }
            Piece::TooLong { line } => {
                let message = format!("longer than {LONGEST_LINE} octets");
                done.tally.count(line::bad(None, line, &message, &mut done.bytes));
            }
        }
        if answers.send(done).is_err() {
            // The writer has ended.
            return;
        }
    }
}

/// Reads whole lines and deals them out in turn, until there are no more or nobody takes them.
fn deal(mut input: impl Read, workers: &[SyncSender<Piece>]) -> io::Result<()> {
    let mut turn = workers.iter().cycle();
    let mut give = |piece: Piece| turn.next().is_some_and(|worker| worker.send(piece).is_ok());
    let mut rest: Vec<u8> = Vec::new();
    let mut line = 1u64;
    let mut skipping = false;
    loop {
        let mut buffer = std::mem::take(&mut rest);
        let had = buffer.len();
        let read = input.by_ref().take(PIECE_BYTES).read_to_end(&mut buffer)?;
        if read == 0 {
            let last = if skipping { Vec::new() } else { buffer };
            if !last.is_empty() {
                give(Piece::Lines { first: line, bytes: last });
            }
            return Ok(());
        }
        if skipping {
            // The rest of a line that was too long.
            let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else { continue };
            buffer.drain(..=end);
            skipping = false;
            line += 1;
        }
        match buffer.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => {
                rest = buffer.split_off(end + 1);
                let lines = buffer.iter().filter(|byte| **byte == b'\n').count();
                if !give(Piece::Lines { first: line, bytes: buffer }) {
                    return Ok(());
                }
                line += u64::try_from(lines).unwrap_or(0);
            }
            None if had + read > LONGEST_LINE => {
                if !give(Piece::TooLong { line }) {
                    return Ok(());
                }
                skipping = true;
            }
            None => rest = buffer,
        }
    }
}

fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What is read at once.
const PIECE_BYTES: u64 = 256 * 1024;
/// For each worker, on either side.
const PIECES_WAITING: usize = 2;
/// A request has some hundred octets.
const LONGEST_LINE: usize = 1024 * 1024;
