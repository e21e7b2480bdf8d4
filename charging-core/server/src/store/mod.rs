//! The embedded store: one ledger thread, the books in memory, a log of decided changes on disk.
//!
//! The thread takes what is queued and decides each command on the books as the earlier ones left them. A second thread
//! ([`writer`]) writes a batch of decided changes, calls fdatasync once, and only then answers; meanwhile the next batch is
//! decided. Batches grow with the load by themselves. A failed fsync ends the process; a disk without room takes the batch back
//! and all that were decided on top of it, and the books are read again from what is durable.

mod ahead;
mod durable;
pub(crate) mod entry;
mod hub;
mod ledger_thread;
mod pace;
mod recovery;
mod reply;
mod schedule;
pub(crate) mod snapshot;
mod stream;
mod tariff_notices;
mod writer;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use ledger::{AccountKey, Books, Command, Fingerprint, LimitsView, Outcome, Settings};
use metrics::counter;
use segment_log::{DirStorage, Storage};
use tokio::sync::oneshot;
use types::{ClientId, ErrorClass};

use crate::config::CoreConfig;
use crate::metric::names;
use crate::pricing::TariffPricing;
use crate::tariffs::{TariffError, Tariffs};
pub use durable::DurableBooks;
pub use hub::Subscription;
pub(crate) use reply::{Reply, Told};
pub use stream::CommandStream;

/// Why the core cannot start, or cannot do a command now.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// The log or a snapshot.
    #[error("ledger store{}", advice(.0))]
    Store(#[from] segment_log::Error),
    /// The tariff.
    #[error(transparent)]
    Tariff(#[from] TariffError),
    /// The data directory.
    #[error("data directory {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What is on disk does not fit together.
    #[error(
        "ledger entry at position {position} cannot be applied: {reason}; restore the ledger directory from a backup"
    )]
    Entry {
        /// Position in the log.
        position: u64,
        /// Why.
        reason: String,
    },
    /// A snapshot that does not decode.
    #[error("ledger snapshot cannot be used: {reason}; restore a backup (tollkeeper ledger restore)")]
    Snapshot {
        /// Why.
        reason: String,
    },
    /// A snapshot of a later release.
    #[error(
        "{file} has format {found}, this release reads 1 to {supported}; run the release that wrote it, or restore a backup"
    )]
    NewerSnapshot {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u8,
        /// The newest known here.
        supported: u8,
    },
    /// Somebody restores a backup into the data directory, or began to.
    #[error("a restore was begun and not finished ({mark} is there); run `tollkeeper ledger restore` again")]
    RestoreUnfinished {
        /// The file that says so.
        mark: PathBuf,
    },
    /// A session on disk was rated with a tariff version that is not kept.
    #[error("tariff version {version:032x} of a running session is missing in {folder}; restore it from a backup")]
    MissingTariff {
        /// Which.
        version: u128,
        /// Where it should be.
        folder: PathBuf,
    },
    /// One command would change more than one log record holds.
    #[error("the command's changes take {bytes} octets, the ledger takes {limit} at once")]
    TooLarge {
        /// What they take.
        bytes: usize,
        /// The most there is room for.
        limit: usize,
    },
    /// Too many commands wait.
    #[error("{limit} commands wait already")]
    TooBusy {
        /// Length of the queue.
        limit: usize,
    },
    /// The disk has no room: nothing was changed.
    #[error("the disk of the ledger is full")]
    DiskFull,
    /// The core is stopping.
    #[error("the charging core is stopping")]
    Stopped,
}

impl CoreError {
    /// What the caller may do.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::TooBusy { .. } | Self::DiskFull | Self::Stopped => ErrorClass::Retry,
            Self::TooLarge { .. } => ErrorClass::Refused,
            _ => ErrorClass::Fatal,
        }
    }
}

/// The remedy, unless the error's own text says it.
fn advice(error: &segment_log::Error) -> String {
    let says_it = matches!(error, segment_log::Error::Corrupt { .. } | segment_log::Error::Poisoned { .. });
    let of_system = match error {
        segment_log::Error::Io { source, .. } => match source.kind() {
            ErrorKind::ReadOnlyFilesystem => Some("check the disk, then mount it for writing; nothing was changed"),
            ErrorKind::PermissionDenied => Some("run it as the user that owns the data directory"),
            _ => None,
        },
        _ => None,
    };
    let remedy = error.remedy().filter(|_| !says_it).or(of_system);
    remedy.map(|remedy| format!(" ({remedy})")).unwrap_or_default()
}

/// A question about the books, answered in the ledger's turn.
type Query = Box<dyn FnOnce(&Books) + Send>;

/// What becomes of a command.
pub(crate) type Decided = Result<Outcome, CoreError>;

/// What the ledger thread is asked.
enum Request {
    Decide {
        command: Command,
        /// Of the request in it, made by whoever asks: many do at once, and one decides.
        fingerprint: Option<Fingerprint>,
        reply: Reply,
    },
    Query(Query),
    Subscribe {
        client_id: ClientId,
        subscription: hub::Sender,
    },
    Truncate {
        position: segment_log::Position,
    },
    /// A batch was answered.
    Committed,
    Stop,
}

/// The charging core's handle; clones share one.
#[derive(Clone)]
pub struct Core(Arc<Shared>);

struct Shared {
    requests: SyncSender<Request>,
    queue: usize,
    waiting: Arc<AtomicUsize>,
    tariffs: Arc<Tariffs>,
    settings: Settings,
    stopped: Arc<AtomicBool>,
    thread: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("waiting", &self.0.waiting).finish_non_exhaustive()
    }
}

impl Core {
    /// Opens the store in `data_dir`, recovers, and starts the ledger thread.
    pub fn start(data_dir: &Path, config: &CoreConfig) -> Result<Self, CoreError> {
        let directory = |source| CoreError::Directory { path: data_dir.into(), source };
        std::fs::create_dir_all(data_dir).map_err(directory)?;
        crate::upkeep::refuse_unfinished(data_dir)?;
        let storage = DirStorage::create_dir(data_dir.join("ledger"))?;
        Self::start_on(Arc::new(storage), SEGMENT_BYTES, data_dir, config)
    }

    /// [`Core::start`] with the ledger on any storage, such as one that fails on purpose, in segments of `segment_bytes`
    /// octets (4 KiB to 1 GiB); tariff versions stay in `data_dir`.
    pub fn start_on(
        storage: Arc<dyn Storage>,
        segment_bytes: u64,
        data_dir: &Path,
        config: &CoreConfig,
    ) -> Result<Self, CoreError> {
        let directory = |path: &Path, source| CoreError::Directory { path: path.into(), source };
        // First, because it takes the lock: what follows writes, too.
        let opened = recovery::open(storage, segment_bytes)?;
        let kept_in = data_dir.join("tariffs");
        let tariffs = Arc::new(Tariffs::open(&kept_in, &config.tariff, config.idempotency_window.ms())?);
        recovery::hold_tariffs(&opened.books, &tariffs, &kept_in)?;
        // What the threads tell each other takes no room from commands.
        let (requests, received) = sync_channel(config.queue.saturating_add(OWN_REQUESTS));
        let writer = writer::Writer::start(opened.log, requests.clone()).map_err(|error| directory(data_dir, error))?;
        let waiting = Arc::new(AtomicUsize::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let ledger = ledger_thread::LedgerThread {
            books: opened.books,
            writer,
            pricing: TariffPricing::new(Arc::clone(&tariffs)),
            settings: config.settings(),
            tariff_notices: Default::default(),
            waiting: Arc::clone(&waiting),
            schedule: schedule::Schedule {
                records: config.snapshot_records,
                percent: config.snapshot_log_percent,
                at: opened.snapshot_at,
                log_octets: opened.log_octets,
            },
            snapshot_octets: Arc::new(AtomicU64::new(opened.snapshot_octets)),
            snapshot: None,
            stopping: Arc::default(),
            full_since: None,
            keys_swept: None,
            requests: requests.clone(),
            figures: ledger_thread::Figures::default(),
        };
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || ledger.run(&received))
            .map_err(|error| directory(data_dir, error))?;
        let thread = std::sync::Mutex::new(Some(thread));
        let (queue, settings) = (config.queue, config.settings());
        Ok(Self(Arc::new(Shared { requests, queue, waiting, tariffs, settings, stopped, thread })))
    }

    /// Decides one command. The outcome is durable when this returns.
    pub async fn decide(&self, command: Command) -> Result<Outcome, CoreError> {
        let (reply, outcome) = oneshot::channel();
        let fingerprint = Fingerprint::of_command(&command);
        self.ask(Request::Decide { command, fingerprint, reply: Reply::alone(reply) })?;
        outcome.await.unwrap_or(Err(CoreError::Stopped))
    }

    /// The same for those who do not wait for each command: `reply` is always told, at once when the command is not taken.
    pub(crate) fn submit(&self, command: Command, reply: Reply) {
        let fingerprint = Fingerprint::of_command(&command);
        if let Err(back) = self.offer(Request::Decide { command, fingerprint, reply })
            && let (Request::Decide { reply, .. }, error) = *back
        {
            reply.tell(Err(error));
        }
    }

    /// For whoever has many commands on their way at once: much cheaper for each than [`Self::decide`].
    pub fn stream(&self) -> CommandStream {
        CommandStream::new(self.clone())
    }

    /// Reads the books, in the ledger's turn; `question` must be quick.
    pub async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Books) -> T + Send + 'static,
    ) -> Result<T, CoreError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Request::Query(Box::new(move |books| {
            // Nobody waits any more: nothing to do.
            drop(reply.send(question(books)));
        })))?;
        answer.await.map_err(|_| CoreError::Stopped)
    }

    /// The limits that apply to an account, and where it stands; absent for an unknown account.
    pub async fn limits(&self, key: AccountKey) -> Result<Option<LimitsView>, CoreError> {
        let (pricing, settings) = (TariffPricing::new(Arc::clone(&self.0.tariffs)), self.0.settings.clone());
        let now = ledger_thread::utc_now();
        self.query(move |books| ledger::limits(books, &pricing, &settings, &key, now)).await
    }

    /// Notifications of a client: everything unconfirmed, then everything new.
    pub async fn subscribe(&self, client_id: ClientId) -> Result<Subscription, CoreError> {
        let (sender, subscription) = hub::channel();
        let pending = client_id.clone();
        self.ask(Request::Subscribe { client_id, subscription: sender })?;
        // The subscription is in place when a query after it is answered.
        self.query(move |books| books.notifications(&pending).len()).await?;
        Ok(subscription)
    }

    /// The tariffs.
    pub fn tariffs(&self) -> &Arc<Tariffs> {
        &self.0.tariffs
    }

    /// Commands waiting now.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Finishes what is queued, and stops. Later commands are answered with [`CoreError::Stopped`].
    pub fn stop(&self) {
        self.0.stop();
    }

    fn ask(&self, request: Request) -> Result<(), CoreError> {
        self.offer(request).map_err(|back| back.1)
    }

    /// Gives the request back with what is against it.
    fn offer(&self, request: Request) -> Result<(), Box<(Request, CoreError)>> {
        if self.0.stopped.load(Ordering::Acquire) {
            return Err(Box::new((request, CoreError::Stopped)));
        }
        let too_busy = |request| {
            self.0.waiting.fetch_sub(1, Ordering::Relaxed);
            counter!(names::TOO_BUSY).increment(1);
            Err(Box::new((request, CoreError::TooBusy { limit: self.0.queue })))
        };
        if self.0.waiting.fetch_add(1, Ordering::Relaxed) >= self.0.queue {
            return too_busy(request);
        }
        match self.0.requests.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(request)) => too_busy(request),
            Err(TrySendError::Disconnected(request)) => {
                self.0.waiting.fetch_sub(1, Ordering::Relaxed);
                Err(Box::new((request, CoreError::Stopped)))
            }
        }
    }
}

impl Shared {
    fn stop(&self) {
        if self.stopped.swap(true, Ordering::AcqRel) {
            return;
        }
        // Behind everything that is queued; a ledger that is gone already is as stopped as can be.
        let asked = self.requests.send(Request::Stop).is_ok();
        let thread = self.thread.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        // A question may have held the last handle: the ledger cannot wait for itself.
        let thread = thread.filter(|thread| thread.thread().id() != std::thread::current().id());
        if let (true, Some(thread)) = (asked, thread) {
            drop(thread.join());
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What a segment of the ledger's log takes, in octets: reserved as a whole, and removed as a whole behind snapshots.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// Requests of the log's thread and of the one that makes snapshots, at once.
const OWN_REQUESTS: usize = 4;
