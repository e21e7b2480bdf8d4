//! Events in the form in which FreeSWITCH writes them: one object of texts and arrays of texts. The body is kept as it is and the
//! fields point into it; only what was escaped is written anew. A third of the agent's instructions were the general parser's.
//!
//! Everything else that JSON has (numbers, `true`, `null`, objects within, `\u`), and everything that is not JSON, is left to
//! [`json`](super::json): nothing is refused here, and nothing is taken that is read otherwise there.

use super::fields::{Fields, FieldsBuilder, Span};

/// Its fields; `None`: not of this form, or too many.
pub fn fields(body: &str) -> Option<Fields> {
    let mut reader = Reader { body, at: 0, builder: FieldsBuilder::over(body) };
    reader.object()?;
    Some(reader.builder.finish())
}

struct Reader<'b> {
    body: &'b str,
    /// Bytes read.
    at: usize,
    builder: FieldsBuilder,
}

impl Reader<'_> {
    /// The object and the end of the body.
    fn object(&mut self) -> Option<()> {
        self.take(b'{')?;
        if self.peek()? == b'}' {
            return self.last();
        }
        loop {
            let name = self.text()?;
            self.builder.name_at(name).ok()?;
            self.take(b':')?;
            if self.peek()? == b'[' {
                self.array()?;
            } else {
                let value = self.text()?;
                self.builder.value_at(value);
            }
            match self.peek()? {
                b',' => self.step(),
                b'}' => return self.last(),
                _ => return None,
            }
        }
    }

    /// An array with an element at least; an empty one is as good as absent, which is for the general reader to say.
    fn array(&mut self) -> Option<()> {
        self.take(b'[')?;
        loop {
            let element = self.text()?;
            self.builder.element_at(element).ok()?;
            match self.peek()? {
                b',' => self.step(),
                b']' => {
                    self.step();
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A text with its quotes.
    fn text(&mut self) -> Option<Span> {
        self.take(b'"')?;
        let from = self.at;
        self.at = from.checked_add(plain_bytes(self.rest()))?;
        match self.rest().first()? {
            b'"' => {
                let span = Span::new(from, self.at);
                self.step();
                span
            }
            b'\\' => self.escaped(from),
            _ => None,
        }
    }

    /// A text in which something is escaped, read up to there.
    fn escaped(&mut self, mut from: usize) -> Option<Span> {
        let start = self.builder.written();
        loop {
            self.builder.push(self.body.get(from..self.at)?);
            let stop = *self.rest().first()?;
            self.step();
            match stop {
                b'"' => return Span::new(start, self.builder.written()),
                b'\\' => {
                    let meant = meant(*self.rest().first()?)?;
                    self.step();
                    self.builder.push(meant);
                }
                _ => return None,
            }
            from = self.at;
            self.at = from.checked_add(plain_bytes(self.rest()))?;
        }
    }

    /// Nothing but white space behind the last brace.
    fn last(&mut self) -> Option<()> {
        self.step();
        self.peek().is_none().then_some(())
    }

    /// The next byte that is not white space. `None`: the end.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let next = *self.rest().first()?;
            if !matches!(next, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(next);
            }
            self.step();
        }
    }

    /// This, behind any white space.
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.step())
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    fn rest(&self) -> &[u8] {
        self.body.as_bytes().get(self.at..).unwrap_or_default()
    }
}

/// What is meant by this letter behind a backslash; `\u` is rare enough for the general reader.
fn meant(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'"' => "\"",
        b'\\' => "\\",
        b'/' => "/",
        b'b' => "\u{8}",
        b'f' => "\u{c}",
        b'n' => "\n",
        b'r' => "\r",
        b't' => "\t",
        _ => return None,
    })
}

/// How many bytes stand before the first quote, backslash or control character: eight at a time, because texts are of some twenty.
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut plain = 0_usize;
    for word in words {
        let stops = stops(u64::from_le_bytes(*word));
        if stops != 0 {
            let before = usize::try_from(stops.trailing_zeros() / 8).unwrap_or(0);
            return plain.wrapping_add(before);
        }
        plain = plain.wrapping_add(8);
    }
    let stop = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    plain.wrapping_add(rest.iter().position(stop).unwrap_or(rest.len()))
}

/// The highest bit of a byte is set where reading stops, up to the first such byte; behind it, bits may be set that mean nothing
/// (the borrow of a subtraction).
fn stops(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHEST: u64 = ONES << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES.wrapping_mul(u64::from(limit))) & !word & HIGHEST;
    let is = |byte: u8| below(word ^ ONES.wrapping_mul(u64::from(byte)), 1);
    is(b'"') | is(b'\\') | below(word, 0x20)
}
