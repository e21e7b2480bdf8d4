//! The last close of removed files, on a thread of their own.
//!
//! A file's blocks are free when its name is gone and nobody has it open any more; whoever closes it last pays for that, and for
//! telling the device on a mount with `discard`: for a segment some 10 ms, in which a log writes nothing. So the log holds a removed
//! segment open until its removal is durable and lets this thread close it. After a crash the kernel frees such files by itself.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::storage::StorageFile;

/// Starts its thread, named `segment-freeing`, with the first file. Dropping it waits until all are closed.
#[derive(Debug, Default)]
pub(crate) struct Freeing {
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    /// Absent once no more files come.
    files: Option<SyncSender<Box<dyn StorageFile>>>,
    thread: Option<JoinHandle<()>>,
}

impl Freeing {
    /// Closes the file of a name that is gone. Without a thread, or with many files before it, that is done here and now.
    pub fn close(&mut self, file: Box<dyn StorageFile>) {
        if self.worker.is_none() {
            self.worker = Worker::start();
        }
        let files = self.worker.as_ref().and_then(|worker| worker.files.as_ref());
        // What is not taken comes back in the error and is closed with it.
        drop(files.map(|files| files.try_send(file)));
    }
}

impl Worker {
    fn start() -> Option<Self> {
        let (sender, receiver) = sync_channel(WAITING);
        let thread = thread::Builder::new().name("segment-freeing".to_owned()).spawn(move || run(&receiver));
        Some(Self { files: Some(sender), thread: Some(thread.ok()?) })
    }
}

fn run(files: &Receiver<Box<dyn StorageFile>>) {
    files.iter().for_each(drop);
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.files = None;
        // It can only have panicked in a file's own drop, and then there is nothing left to close.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// Files that may wait: few, because each takes one of the process's open files.
const WAITING: usize = 16;
