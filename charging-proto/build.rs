//! Compiles the .proto files with a compiler written in Rust, so that no `protoc` need be installed, and writes the
//! descriptor set next to the generated code for the tests and for clients that want to look around.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

const FILES: [&str; 5] = ["units", "charging", "session", "account", "tariff"];

/// Messages that carry subscriber numbers: the derived `Debug` would show them, so `src/masked.rs` writes it by hand.
const MASKED: [&str; 11] = [
    "ChargingDataRequest",
    "SubscriberId",
    "MultipleUnitUsage",
    "ServiceInformation",
    "Account",
    "CreateAccountRequest",
    "QuoteRequest",
    "LoadTariffStart",
    "CompareTariffsRequest",
    "ShowTariffRequest",
    "TariffPriceChange",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = FILES.map(|name| format!("proto/tollkeeper/charging/v1/{name}.proto"));
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(&files)?;
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .skip_debug(MASKED.map(|message| format!(".tollkeeper.charging.v1.{message}")))
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
