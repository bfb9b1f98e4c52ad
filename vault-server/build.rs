//! Compiles the rows of the ledger (`src/vault/tables/rows/`); the messages of the protocol in them are those of `protocol-spec`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = "src/vault/tables/rows";
    let sources = ["who.proto", "permissions.proto", "records.proto", "server.proto"];
    let descriptors = protox::compile(sources, [rows, "../protocol-spec/proto"])?;
    prost_build::Config::new()
        .extern_path(".medvault.v1", "::protocol_spec::messages")
        .bytes(["."])
        .compile_fds(descriptors)?;
    println!("cargo:rerun-if-changed={rows}");
    println!("cargo:rerun-if-changed=../protocol-spec/proto");
    Ok(())
}
