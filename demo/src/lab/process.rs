//! A child process in a group of its own, its output in a file.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process_group};

/// Ended with its whole group when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; its output goes to `log`, appended.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let output = File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let errors = output.try_clone()?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {name} ({:?})", command.get_program()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_path_buf(), ended: None })
    }

    /// What it has printed.
    pub fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, once it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Ok(status);
            }
            anyhow::ensure!(
                begun.elapsed() < limit,
                "{} has not ended within {limit:?}; log: {}",
                self.name,
                self.log.display()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGTERM to the process, and waits.
    pub fn terminate(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        if let (None, Some(pid)) = (self.ended(), self.pid()) {
            rustix::process::kill_process(pid, Signal::TERM)?;
        }
        self.wait(limit)
    }

    /// SIGKILL to the whole group.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.signal_group(Signal::KILL);
        self.wait(Duration::from_secs(10)).map(|_| ())
    }

    /// SIGSTOP or SIGCONT to the whole group: a program that hangs.
    pub fn freeze(&self, frozen: bool) {
        self.signal_group(if frozen { Signal::STOP } else { Signal::CONT });
    }

    fn signal_group(&self, signal: Signal) {
        // Once it was waited for, its number may be somebody else's.
        if let (None, Some(pid)) = (self.ended, self.pid()) {
            // Gone already is what we want.
            kill_process_group(pid, signal).unwrap_or_default();
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal_group(Signal::CONT);
            self.signal_group(Signal::TERM);
            if self.wait(Duration::from_secs(3)).is_err() {
                self.signal_group(Signal::KILL);
                drop(self.child.wait());
            }
        }
    }
}
