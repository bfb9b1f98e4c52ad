//! A hospital's gateway in one page: wait for permission keys, send or fetch with each.
//!
//! ```text
//! cargo run -p client-sdk --example hospital -- HOME OUTGOING-FOLDER INCOMING-FOLDER
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::{path::Path, time::Duration};

use client_sdk::{Error, InboxEvent, InboxWhat, Institution, Result, Unlock, transfer::FileSource};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [home, outgoing, incoming] = args.as_slice() else {
        return Err(Error::Usage(
            "usage: hospital HOME OUTGOING-FOLDER INCOMING-FOLDER".into(),
        ));
    };
    let unlock = Unlock::KeyFile(format!("{home}.key").into());
    let hospital = Institution::open(Path::new(home), &unlock).await?;
    println!("{} ({})", hospital.name(), hospital.id());

    let mut seen = 0;
    loop {
        for event in hospital.inbox(seen, Some(Duration::from_secs(300))).await? {
            seen = event.number;
            // One that fails must not keep the others waiting.
            if let Err(error) = serve(&hospital, &event, Path::new(outgoing), Path::new(incoming)).await {
                println!("event {}: {error}", event.number);
            }
        }
    }
}

async fn serve(hospital: &Institution, event: &InboxEvent, outgoing: &Path, incoming: &Path) -> Result<()> {
    match event.what {
        InboxWhat::UploadRequest { permission_id, .. } => {
            let source = FileSource::list(&[outgoing.to_owned()])?;
            for remark in source.remarks() {
                println!("{}: {:?}", remark.path.display(), remark.what);
            }
            let sent = hospital.send_from(permission_id, source, &()).await?;
            println!(
                "sent {} ({} bytes, {} resumed)",
                sent.record_id, sent.bytes, sent.resumed_bytes
            );
        }
        InboxWhat::Permission { permission_id, .. } => {
            for record in hospital.fetch(permission_id, None, incoming, &()).await?.records {
                println!(
                    "{}: {} files, made by {}",
                    record.record_id,
                    record.parts.len(),
                    record.provenance.name
                );
            }
        }
        _ => {}
    }
    Ok(())
}
