//! Generates the wire types with a compiler written in Rust, so that a build needs no protoc.

use std::error::Error;

const PROTOS: [&str; 3] = [
    "proto/flagd/evaluation/v1/evaluation.proto",
    "proto/flagd/evaluation/v2/evaluation.proto",
    "proto/flagd/sync/v1/sync.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for proto in PROTOS {
        println!("cargo:rerun-if-changed={proto}");
    }
    let descriptors = protox::compile(PROTOS, ["proto"])?;
    // Without the transport helpers a client is built over any channel and the crate needs none.
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    Ok(())
}
