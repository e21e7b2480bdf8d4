//! What the codec's and the server's comparison share: the recorded message, and the crate's dictionary.

use std::path::Path;

use anyhow::{Context, ensure};
use protocol_codecs::diameter::{Definition, Kind, dictionary, vendor};

/// The 3GPP rows of our dictionary as the crate reads them: its own file of them is not in its library.
pub fn tgpp_rows() -> String {
    let row = |row: &Definition| {
        let kind = match row.kind {
            Kind::Utf8String | Kind::IpFilterRule => "UTF8String".to_owned(),
            Kind::DiameterUri => "DiameterURI".to_owned(),
            other => format!("{other:?}"),
        };
        let (name, code, vendor) = (row.name, row.code, row.vendor);
        format!(r#"<avp name="{name}" code="{code}" must="V" vendor-id="{vendor}"><data type="{kind}"/></avp>"#)
    };
    let rows: String = dictionary::all().filter(|row| row.vendor == vendor::TGPP).map(row).collect();
    format!(r#"<diameter><application id="4" name="3GPP">{rows}</application></diameter>"#)
}

/// The first CCR of the recording of python-diameter as a packet gateway.
pub fn recorded_ccr() -> anyhow::Result<Vec<u8>> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol-codecs/tests/captures/diameter/python_diameter.hex");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let hex = text.lines().find_map(|line| line.strip_prefix("c2s CCR-I ")).context("a CCR-I")?;
    let byte = |index: usize| Ok(u8::from_str_radix(hex.get(index..index + 2).context("whole bytes")?, 16)?);
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect::<anyhow::Result<_>>()?;
    ensure!(bytes.len() == 704, "{} bytes", bytes.len());
    Ok(bytes)
}

/// Hundredths of a ratio.
pub fn hundredths(amount: u64, of: u64) -> u64 {
    amount.saturating_mul(100) / of.max(1)
}
