//! Compiles the wire without protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const FILES: [&str; 7] = [
        "wire/banyan/v1/peer.proto",
        "wire/banyan/v1/coordinator.proto",
        "wire/interconnection/link.proto",
        "wire/interconnection/runtime.proto",
        "wire/interconnection/handshake.proto",
        "wire/interconnection/ecc.proto",
        "wire/interconnection/psi.proto",
    ];
    println!("cargo::rerun-if-changed=wire");
    let descriptors = protox::compile(FILES, ["wire"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
