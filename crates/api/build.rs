//! Generates the gRPC types from proto/ with protox: no protoc on anyone's machine.

use std::path::Path;

use prost::Message;

const PROTOS: [&str; 3] = ["ross/v1/ross.proto", "ross/v1/image.proto", "ross/v1/container.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let include = Path::new("../../proto");
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={}", include.join(proto).display());
    }
    let descriptors = protox::compile(PROTOS, [include])?;
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("ross.v1.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
