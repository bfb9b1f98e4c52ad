//! A patient's app in one page: enrol, answer what institutions ask, read what they have sent.
//!
//! ```text
//! cargo run -p client-sdk --example patient -- HOME LINK
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to people")]

use std::{path::Path, time::Duration};

use client_sdk::{Error, Patient, PermitTerms, Result, Selection, Unlock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(home), Some(link)) = (args.next(), args.next()) else {
        return Err(Error::Usage("usage: patient HOME LINK".into()));
    };
    let (home, unlock) = (Path::new(&home), Unlock::KeyFile(format!("{home}.key").into()));
    let patient = match Patient::open(home, &unlock).await {
        Err(Error::HomeMissing { .. }) => Patient::enrol(home, &unlock, &link.parse()?).await?,
        opened => opened?,
    };
    println!("hand this out: {}", patient.id());

    // Permit whatever is asked for an hour; a real app asks the person.
    for event in patient.inbox(0, Some(Duration::from_secs(60))).await? {
        println!("{:?} {:?} {:?}", event.what, event.from, event.text);
        if let Some(request) = event.what.asked() {
            match patient
                .permit(request, &Selection::All, &PermitTerms::default())
                .await
            {
                Ok(permission) => println!("permitted: {permission}"),
                Err(error) => println!("not permitted: {error}"),
            }
        }
    }

    let found = patient.records().await?;
    for record in &found.records {
        println!(
            "{} from {}: {} files",
            record.record_id,
            record.from.name,
            record.parts.len()
        );
    }
    for (record, error) in &found.refused {
        println!("{record} is not shown: {error}");
    }
    Ok(())
}
