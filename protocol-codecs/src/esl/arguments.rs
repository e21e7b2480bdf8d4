//! Writes a command while checking each argument: everything that would make FreeSWITCH read another command than the
//! one meant is refused. The rules are those of `mod_event_socket.c`, `mod_commands.c` and `switch_separate_string`.

use bytes::BytesMut;

use super::error::EncodeError;
use super::limits::{COMMAND_BYTES_MAX, SCHED_SECONDS_MAX};

/// The command being written. The first fault is kept and told at the end.
pub struct CommandWriter<'b> {
    command: &'static str,
    out: &'b mut BytesMut,
    start: usize,
    fault: Option<EncodeError>,
}

impl<'b> CommandWriter<'b> {
    pub fn new(command: &'static str, out: &'b mut BytesMut) -> Self {
        let start = out.len();
        Self { command, out, start, fault: None }
    }

    /// Our own words.
    pub fn word(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    /// A space and an argument that FreeSWITCH finds by splitting at spaces: not empty, nothing it would split, quote
    /// or escape at, no leading minus (`uuid_transfer` takes that for a flag).
    pub fn token(&mut self, argument: &'static str, text: &str) -> &mut Self {
        self.check(argument, text, &[' ', '\'', '\\']);
        if text.is_empty() || text.starts_with('-') {
            self.fail(EncodeError::Unusable { command: self.command, argument });
        }
        self.word(" ").word(text)
    }

    /// The name of a variable: as [`Self::token`] without the space in front, and without what would name an element
    /// or end the name.
    pub fn variable_name(&mut self, text: &str) -> &mut Self {
        self.check("name", text, &[' ', '\'', '\\', '=', ';', '[', '$']);
        if text.is_empty() {
            self.fail(EncodeError::Unusable { command: self.command, argument: "name" });
        }
        self.word(text)
    }

    /// The value of a variable up to the end of the command or the next `;`: may hold spaces, but not at its ends
    /// (FreeSWITCH strips them), no quote, no backslash, and no `${`, which would be expanded later, or make FreeSWITCH
    /// drop the value (`switch_string_var_check`).
    pub fn variable_value(&mut self, text: &str, also: &[char]) -> &mut Self {
        self.check("value", text, &['\'', '\\']);
        self.check("value", text, also);
        if expands(text) {
            self.fail(EncodeError::Reserved { command: self.command, argument: "value", character: '$' });
        }
        self.check_ends("value", text);
        self.word(text)
    }

    /// Text to the end of the line that FreeSWITCH takes as it is, spaces in the middle included.
    pub fn line(&mut self, argument: &'static str, text: &str) -> &mut Self {
        self.check(argument, text, &[]);
        self.check_ends(argument, text);
        if text.is_empty() {
            self.fail(EncodeError::Unusable { command: self.command, argument });
        }
        self.word(text)
    }

    /// Text without any of these characters.
    pub fn without(&mut self, argument: &'static str, text: &str, refused: &[char]) -> &mut Self {
        self.check(argument, text, refused);
        self.line(argument, text)
    }

    /// ` +seconds`: always with the sign, because without it FreeSWITCH hangs up at once, as it does for 0.
    pub fn seconds_from_now(&mut self, seconds: u32) -> &mut Self {
        self.range("seconds", u64::from(seconds), 1, u64::from(SCHED_SECONDS_MAX));
        let text = seconds.to_string();
        self.word(" +").word(&text)
    }

    /// A number in its range.
    pub fn range(&mut self, argument: &'static str, value: u64, least: u64, most: u64) -> &mut Self {
        if !(least..=most).contains(&value) {
            self.fail(EncodeError::OutOfRange { command: self.command, argument, value, least, most });
        }
        self
    }

    /// An argument that must not be one of FreeSWITCH's own words, or be one of another kind.
    pub fn unusable_if(&mut self, argument: &'static str, is: bool) -> &mut Self {
        if is {
            self.fail(EncodeError::Unusable { command: self.command, argument });
        }
        self
    }

    /// Ends the command with its blank line; on error nothing was written.
    pub fn finish(mut self) -> Result<(), EncodeError> {
        self.out.extend_from_slice(b"\n\n");
        let written = self.out.get(self.start..).unwrap_or_default();
        let command_bytes = written.len();
        if command_bytes > COMMAND_BYTES_MAX {
            let limit_bytes = COMMAND_BYTES_MAX;
            self.fail(EncodeError::CommandTooLong { command: self.command, command_bytes, limit_bytes });
        } else if names_module(written) {
            self.fail(EncodeError::NamesModule { command: self.command });
        }
        match self.fault {
            None => Ok(()),
            Some(fault) => {
                self.out.truncate(self.start);
                Err(fault)
            }
        }
    }

    fn check(&mut self, argument: &'static str, text: &str, refused: &[char]) {
        // All bytes of it: looking for the first would be one comparison after the other.
        if text.bytes().fold(false, |found, byte| found | byte.is_ascii_control()) {
            self.fail(EncodeError::ControlCharacter { command: self.command, argument });
        }
        if let Some(character) = refused.iter().copied().find(|character| text.contains(*character)) {
            self.fail(EncodeError::Reserved { command: self.command, argument, character });
        }
    }

    fn check_ends(&mut self, argument: &'static str, text: &str) {
        if text.starts_with(' ') || text.ends_with(' ') {
            self.fail(EncodeError::Reserved { command: self.command, argument, character: ' ' });
        }
    }

    fn fail(&mut self, fault: EncodeError) {
        self.fault.get_or_insert(fault);
    }
}

/// A brace behind a dollar sign. FreeSWITCH's own check lets backslashes stand between; those are refused anyway.
fn expands(text: &str) -> bool {
    text.contains("${")
}

fn names_module(text: &[u8]) -> bool {
    const MODULE: &[u8] = b"mod_event_socket";
    text.windows(MODULE.len())
        .any(|at| at.first().is_some_and(|first| first | 0x20 == b'm') && at.eq_ignore_ascii_case(MODULE))
}
