//! Messages a second of one core through our Diameter codec and through the crate diameter, side by side in one run: the
//! recorded 704-byte CCR-I with three rating groups, from bytes to message, from message to bytes, and both.
//!
//! Ours is read into the typed request, checked; theirs into its tree of AVPs. The thread's processor time counts (the machine may be
//! busy with other things), the best of some rounds, and allocations. What both wrote must be what was recorded, but for flags. Fails when a goal is missed.

use std::hint::black_box;
use std::io::Cursor;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bench_diameter::{hundredths, recorded_ccr, tgpp_rows};
use bytes::BytesMut;
use diameter::DiameterMessage;
use diameter::dictionary::{DEFAULT_DICT_XML, Dictionary};
use protocol_codecs::diameter::{Command, CreditControlRequest, DiameterCodec, Frame, Mode};
use rustix::time::{ClockId, clock_gettime};
use tokio_util::codec::Decoder;

const MESSAGES: u64 = 40_000;
const ROUNDS: usize = 9;
/// Messages that come with one read.
const AT_ONCE: u64 = 64;

fn main() -> anyhow::Result<ExitCode> {
    let recorded = recorded_ccr()?;
    let met = codec(&recorded)?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("diameter: load {}", load.trim());
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The codecs side by side.
fn codec(recorded: &[u8]) -> anyhow::Result<bool> {
    let dictionary = Arc::new(Dictionary::new(&[&DEFAULT_DICT_XML, &tgpp_rows()]));
    let (ours, theirs) = (Ours::new(recorded)?, Theirs::new(recorded, dictionary)?);
    println!("diameter: the recorded CCR-I, {} bytes, {MESSAGES} times, best of {ROUNDS} rounds", recorded.len());
    let goals: [(&str, u64, &dyn Fn() -> anyhow::Result<()>, &dyn Fn() -> anyhow::Result<()>); 3] = [
        ("decode", 500, &|| ours.decode(|_, _| Ok(())), &|| theirs.decode(|_| Ok(()))),
        ("encode", 100, &|| ours.encode(), &|| theirs.encode()),
        ("decode and encode", 400, &|| ours.both(), &|| theirs.both()),
    ];
    let mut met = true;
    for (what, goal, ours, theirs) in goals {
        met &= compare(what, goal, ours, theirs)?;
    }
    let cut = (0..ROUNDS).map(|_| measure(&|| ours.cut())).collect::<anyhow::Result<Vec<_>>>()?;
    cut.iter()
        .min_by_key(|round| round.cpu_ns)
        .context("no round was run")?
        .print("decode out of a stream", "tollkeeper");
    Ok(met)
}

/// Both in turn, each round; tells the best of each, and whether ours is `goal` hundredths as fast.
fn compare(
    what: &str,
    goal: u64,
    ours: &dyn Fn() -> anyhow::Result<()>,
    theirs: &dyn Fn() -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut best: [Option<Measured>; 2] = [None; 2];
    for _ in 0..ROUNDS {
        for (best, work) in best.iter_mut().zip([ours, theirs]) {
            let now = measure(work)?;
            *best = Some(best.filter(|best| best.cpu_ns <= now.cpu_ns).unwrap_or(now));
        }
    }
    let [Some(ours), Some(theirs)] = best else { bail!("no round was run") };
    ours.print(what, "tollkeeper");
    theirs.print(what, "crate diameter");
    let times = hundredths(theirs.cpu_ns, ours.cpu_ns);
    println!("diameter: {what}: {}.{:02} times, goal {}.{:02}", times / 100, times % 100, goal / 100, goal % 100);
    Ok(times >= goal)
}

/// Processor time and allocations of this thread for all messages.
#[derive(Debug, Clone, Copy)]
struct Measured {
    cpu_ns: u64,
    allocations: u64,
}

impl Measured {
    fn print(&self, what: &str, name: &str) {
        let rate = u128::from(MESSAGES) * 1_000_000_000 / u128::from(self.cpu_ns.max(1));
        let (each, allocations) = (self.cpu_ns / MESSAGES, hundredths(self.allocations, MESSAGES));
        println!(
            "diameter: {what}: {name}: {rate}/s, {each} ns, {}.{:02} allocations each",
            allocations / 100,
            allocations % 100
        );
    }
}

fn measure(work: &dyn Fn() -> anyhow::Result<()>) -> anyhow::Result<Measured> {
    let (mut outcome, started) = (Ok(()), thread_cpu_ns());
    let counted = allocation_counter::measure(|| outcome = work());
    let cpu_ns = thread_cpu_ns().saturating_sub(started);
    outcome?;
    Ok(Measured { cpu_ns, allocations: counted.count_total })
}

/// Our codec.
struct Ours {
    read: BytesMut,
    frame: Frame,
}

impl Ours {
    fn new(recorded: &[u8]) -> anyhow::Result<Self> {
        let frame = Frame::new(recorded.to_vec().into()).context("one message")?;
        let read = BytesMut::from(&recorded.repeat(usize::try_from(AT_ONCE)?)[..]);
        let ours = Self { read, frame };
        let written = ours.request()?.encoded(ours.frame.header().exchange())?;
        // Flags of AVPs apart: python-diameter sends Origin-Host without M.
        ensure!(written.bytes().len() == recorded.len(), "ours are {} bytes", written.bytes().len());
        Ok(ours)
    }

    fn request(&self) -> anyhow::Result<CreditControlRequest<'_>> {
        Ok(CreditControlRequest::decode(&self.frame, Mode::Tolerant)?.message)
    }

    fn decode(
        &self,
        mut then: impl FnMut(&Frame, &CreditControlRequest<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        for _ in 0..MESSAGES {
            let frame = Frame::new(black_box(self.frame.bytes()).clone()).context("one message")?;
            let request = CreditControlRequest::decode(&frame, Mode::Tolerant)?;
            then(&frame, black_box(&request.message))?;
        }
        Ok(())
    }

    /// The same out of a stream, as a connection has it.
    fn cut(&self) -> anyhow::Result<()> {
        let (mut codec, mut buffer) = (DiameterCodec::before_capabilities(), BytesMut::new());
        for _ in 0..MESSAGES / AT_ONCE {
            buffer.extend_from_slice(&self.read);
            while let Some(frame) = codec.decode(&mut buffer)? {
                let request = CreditControlRequest::decode(&frame, Mode::Tolerant)?;
                black_box(&request.message);
            }
        }
        Ok(())
    }

    fn encode(&self) -> anyhow::Result<()> {
        let (request, mut out) = (self.request()?, BytesMut::new());
        for _ in 0..MESSAGES {
            out.clear();
            black_box(&request).encode(self.frame.header().exchange(), &mut out)?;
            black_box(&out);
        }
        Ok(())
    }

    fn both(&self) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        self.decode(|frame, request| {
            out.clear();
            request.encode(frame.header().exchange(), &mut out)?;
            black_box(&out);
            Ok(())
        })
    }
}

/// The crate diameter.
struct Theirs {
    recorded: Vec<u8>,
    dictionary: Arc<Dictionary>,
    message: DiameterMessage,
}

impl Theirs {
    fn new(recorded: &[u8], dictionary: Arc<Dictionary>) -> anyhow::Result<Self> {
        let message = DiameterMessage::decode_from(&mut Cursor::new(recorded), Arc::clone(&dictionary))
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut written = Vec::new();
        message.encode_to(&mut written).map_err(|error| anyhow::anyhow!("{error}"))?;
        ensure!(written == recorded, "theirs are {} bytes", written.len());
        Ok(Self { recorded: recorded.to_vec(), dictionary, message })
    }

    fn decode(&self, mut then: impl FnMut(&DiameterMessage) -> anyhow::Result<()>) -> anyhow::Result<()> {
        for _ in 0..MESSAGES {
            let message = DiameterMessage::decode_from(&mut Cursor::new(&self.recorded), Arc::clone(&self.dictionary))
                .map_err(|error| anyhow::anyhow!("{error}"))?;
            then(black_box(&message))?;
        }
        Ok(())
    }

    fn encode(&self) -> anyhow::Result<()> {
        let mut out = Vec::new();
        for _ in 0..MESSAGES {
            out.clear();
            black_box(&self.message).encode_to(&mut out).map_err(|error| anyhow::anyhow!("{error}"))?;
            black_box(&out);
        }
        Ok(())
    }

    fn both(&self) -> anyhow::Result<()> {
        let mut out = Vec::new();
        self.decode(|message| {
            out.clear();
            message.encode_to(&mut out).map_err(|error| anyhow::anyhow!("{error}"))?;
            black_box(&out);
            Ok(())
        })
    }
}

fn thread_cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(nanos.unwrap_or(0))
}
