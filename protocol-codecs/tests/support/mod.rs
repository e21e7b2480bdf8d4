//! Reads recorded connections.

use std::path::{Path, PathBuf};

/// One read or write of the socket.
pub struct Piece {
    pub from_kamailio: bool,
    pub raw: Vec<u8>,
}

/// Every recording in a folder below `tests/captures`, sorted by name.
pub fn recordings(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no recordings in {}", folder.display());
    paths
}

/// The reads and writes of a recording, without its notes.
pub fn pieces(path: &Path) -> Vec<Piece> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| line["dir"] == "rx" || line["dir"] == "tx")
        .map(|line| Piece { from_kamailio: line["dir"] == "rx", raw: line["raw"].as_str().unwrap().into() })
        .collect()
}

/// The bytes of one direction as they were read.
pub fn direction(path: &Path, from_kamailio: bool) -> Vec<Vec<u8>> {
    pieces(path).into_iter().filter(|piece| piece.from_kamailio == from_kamailio).map(|piece| piece.raw).collect()
}
