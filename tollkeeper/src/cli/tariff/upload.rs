//! The tables of a folder as the messages of a load.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use charging_proto::v1::load_tariff_request::Part;
use charging_proto::v1::{LoadTariffRequest, LoadTariffStart, TariffFileChunk};
use indicatif::ProgressBar;
use rating::Table;

use crate::exit::UsageError;

/// Reads the folder. A missing table is an empty one; a folder without any is a mistake.
pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    if !folder.is_dir() {
        return Err(UsageError(format!("{} is not a folder", folder.display())).into());
    }
    let mut files = Vec::new();
    for name in Table::ALL.map(Table::file_name) {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
    }
    if files.is_empty() {
        let names = Table::ALL.map(Table::file_name).join(", ");
        return Err(UsageError(format!("{} has no table of a tariff; expected {names}", folder.display())).into());
    }
    Ok(files)
}

/// First the start, then the files in pieces; the bar follows what was taken.
pub(super) fn messages(
    start: LoadTariffStart,
    files: Vec<(&'static str, Vec<u8>)>,
    bar: ProgressBar,
) -> impl Iterator<Item = LoadTariffRequest> {
    let pieces = files.into_iter().flat_map(|(name, bytes)| {
        let pieces: Vec<Vec<u8>> = bytes.chunks(PIECE_BYTES).map(<[u8]>::to_vec).collect();
        pieces.into_iter().map(move |content| TariffFileChunk { file_name: name.to_owned(), content })
    });
    let pieces = pieces.map(move |piece| {
        bar.inc(u64::try_from(piece.content.len()).unwrap_or(0));
        Part::Chunk(piece)
    });
    std::iter::once(Part::Start(start)).chain(pieces).map(|part| LoadTariffRequest { part: Some(part) })
}

const PIECE_BYTES: usize = 256 * 1024;
