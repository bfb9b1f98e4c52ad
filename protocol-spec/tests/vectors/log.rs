//! What the cases of `log` do.

use bytes::Bytes;
use protocol_spec::{
    Error,
    hash::sha256,
    log::{
        self, Entry, Note, NoteKey, Policy, SignedCheckpoint, TlogProof, VaultSalt, VerifiedCheckpoint,
        tile::{self, TileKind, TilePath},
    },
    messages as pb,
    mirror::Directory,
};

use crate::case::{Check, digest, hex, identity};

fn checkpoint(note: &str, vkey: &str) -> Result<VerifiedCheckpoint, Error> {
    SignedCheckpoint::parse(note.as_bytes())?.verify(&vkey.parse()?)
}

pub(crate) fn run(check: &Check) -> Result<String, Error> {
    match check {
        Check::LogMark {
            vault_salt,
            body_hash,
        } => {
            let salt = VaultSalt::from_bytes(vault_salt.0.as_slice().try_into().unwrap());
            let mark = salt.mark(&digest(body_hash)?);
            let entry = mark.entry(&digest(body_hash)?);
            assert!(salt.recognises(&entry));
            Ok(hex(&[mark.salt.as_slice(), &mark.tag, &entry.bytes()?].concat()))
        }
        Check::LogEntry { entry } => {
            let entry_bytes = Bytes::from(entry.0.clone());
            let entry = Entry::parse(&entry_bytes)?;
            assert_eq!(entry.bytes()?, entry_bytes);
            Ok(match entry {
                Entry::Salted { .. } => "salted",
                Entry::Keys { .. } => "keys",
                Entry::Retirement(_) => "retirement",
                Entry::Withdrawal(_) => "withdrawal",
                Entry::Program(_) => "program",
                Entry::Restoration { .. } => "restoration",
            }
            .to_owned())
        }
        Check::LogInclusion {
            body_hash,
            proof,
            operator_key,
        } => {
            let proof = pb::decode(&proof.0)?;
            let checkpoint =
                log::verify_inclusion(Some(proof), &digest(body_hash)?, &identity(operator_key)?)?;
            Ok(checkpoint.size.to_string())
        }
        Check::LogConsistency {
            old,
            new,
            path,
            operator_key,
        } => {
            let key = log::log_key(&identity(operator_key)?)?;
            let read = |note: &str| SignedCheckpoint::parse(note.as_bytes())?.verify(&key);
            let (old, new) = (read(old)?, read(new)?);
            let path: Vec<_> = path
                .iter()
                .map(|hash| hash.0.as_slice().try_into().unwrap())
                .collect();
            log::verify_consistency(&old, &new, &path)?;
            Ok(format!("{} {}", old.size, new.size))
        }
        Check::Mirror {
            events,
            note,
            registrar_key,
            operator_key,
        } => {
            let operator = identity(operator_key)?;
            let mut directory = Directory::new(identity(registrar_key)?, operator);
            for event in events {
                directory.take(event.index, &event.entry.0.clone().into())?;
            }
            let checkpoint = SignedCheckpoint::parse(note.as_bytes())?.verify_by(&operator)?;
            directory.check(&checkpoint)?;
            Ok(format!("{} {}", directory.names().count(), directory.covered()))
        }
        _ => formats(check),
    }
}

/// Those that are C2SP's alone.
fn formats(check: &Check) -> Result<String, Error> {
    match check {
        Check::NoteKey { vkey } => {
            let key: NoteKey = vkey.parse()?;
            assert_eq!(&key.to_string(), vkey);
            Ok(hex(&key.id()))
        }
        Check::SignedNote { note, vkey } => {
            let parsed = Note::parse(note.as_bytes())?;
            assert_eq!(&parsed.to_string(), note);
            let text = parsed.signed_by(&vkey.parse()?)?;
            Ok(hex(&sha256(&[text.as_bytes()])))
        }
        Check::Checkpoint { note, vkey } => {
            let checkpoint = checkpoint(note, vkey)?;
            Ok(format!("{} {}", checkpoint.size, checkpoint.root))
        }
        Check::Cosignature { note, vkey, witness } => {
            let time = log::cosigned_at(&checkpoint(note, vkey)?, &witness.parse()?)?;
            Ok(time.map_or_else(|| "none".to_owned(), |time| time.to_string()))
        }
        Check::WitnessPolicy {
            policy,
            note,
            vkey,
            since,
        } => {
            let policy = Policy::parse(policy.as_bytes())?;
            let witnessed = policy.witnessed(checkpoint(note, vkey)?, *since)?;
            Ok(witnessed.checkpoint().size.to_string())
        }
        Check::TilePath { text } => {
            let TilePath { kind, index, width } = text.parse()?;
            Ok(match kind {
                TileKind::Hashes(level) => format!("hashes {level} {index} {width}"),
                TileKind::Entries => format!("entries {index} {width}"),
            })
        }
        Check::EntryBundle { bundle, width } => {
            let entries = tile::entries(bundle.0.clone().into(), *width)?;
            assert_eq!(tile::bundle(entries.iter().map(|entry| &entry[..]))?, bundle.0);
            let lengths: Vec<_> = entries.iter().map(|entry| entry.len().to_string()).collect();
            Ok(lengths.join(" "))
        }
        Check::TlogProof { proof, leaf, vkey } => {
            let parsed: TlogProof = proof.parse()?;
            assert_eq!(&parsed.to_string(), proof);
            Ok(parsed.verify(&leaf.0, &vkey.parse()?)?.size.to_string())
        }
        _ => unreachable!(),
    }
}
