//! How far a sink is: the first position it has not got, and what it wants to know when it goes on. Replaced atomically, with a
//! checksum, by the log's snapshots; the content is one JSON object.

use segment_log::{Position, Storage, read_snapshot, write_snapshot};
use serde::{Deserialize, Serialize};

use crate::error::ShipError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Everything below has arrived.
    pub position: Position,
    /// The sink's own.
    pub state: String,
}

/// Later releases may add fields, and raise the version when one of them may not be ignored.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u8,
    position: u64,
    state: String,
}

const VERSION: u8 = 1;

pub(crate) fn file_name(sink: &str) -> Result<String, ShipError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if sink.is_empty() || sink.len() > 64 || !sink.bytes().all(good) {
        return Err(ShipError::Name { name: sink.to_owned() });
    }
    Ok(format!("{sink}.checkpoint"))
}

impl Checkpoint {
    pub fn load(storage: &dyn Storage, name: &str) -> Result<Option<Self>, ShipError> {
        let content =
            read_snapshot(storage, name).map_err(|source| ShipError::Checkpoint { name: name.to_owned(), source })?;
        let Some(content) = content else { return Ok(None) };
        match serde_json::from_slice::<Stored>(&content) {
            Ok(Stored { version: VERSION, position, state }) => {
                Ok(Some(Self { position: Position::new(position), state }))
            }
            _ => Err(ShipError::CheckpointForm { name: name.to_owned(), bytes: content.len() }),
        }
    }

    pub fn save(&self, storage: &dyn Storage, name: &str) -> Result<(), ShipError> {
        let stored = Stored { version: VERSION, position: self.position.index(), state: self.state.clone() };
        let content = serde_json::to_vec(&stored).expect("invariant: two numbers and a text have a JSON form");
        write_snapshot(storage, name, &content)
            .map_err(|source| ShipError::Checkpoint { name: name.to_owned(), source })
    }
}
