//! What is due in a vault, done before what a command came for: revocations that a server has lost, permissions of institutions that
//! have other keys now (INS-6), delegations that are over, removals that were announced (DEV-28).

use client_sdk::{
    Error, Patient,
    patient::{DelegationInfo, Rewrapped},
};

use crate::{
    context::PATIENCE,
    output::{note, plain},
};

/// Does it, and says on standard error what was done. What goes wrong with that must not keep her from what she came for.
pub(crate) async fn tend(patient: &Patient) {
    resend(patient).await;
    follow(patient).await;
    end_delegations(patient).await;
    finish(patient).await;
    // What cannot be asked now is asked the next time.
    for (device, count) in patient.left_behind().await.unwrap_or_default() {
        note(&format!(
            "{count} of what a removed device gave still holds, without new keys: end it with medvault device remove {device} \
             --lost, or see it with medvault device given {device}, and keep it with medvault device retire {device}"
        ));
    }
}

async fn resend(patient: &Patient) {
    match patient.resend_revocations().await {
        Ok(sent) => {
            for permission in sent {
                note(&format!(
                    "{permission} was revoked again: the server had lost the revocation"
                ));
            }
        }
        Err(error) => failed("a revocation was not sent again", &error),
    }
}

async fn follow(patient: &Patient) {
    match patient.follow_rotations().await {
        Ok(done) => {
            for Rewrapped {
                institution,
                old,
                new,
            } in done
            {
                let name = plain(&institution.name);
                note(&format!(
                    "{name} has another key: {old} was wrapped anew as {new}"
                ));
            }
        }
        Err(error) => failed("permissions were not wrapped anew", &error),
    }
}

async fn end_delegations(patient: &Patient) {
    match patient.tend_delegations(&()).await {
        Ok(ended) => {
            for DelegationInfo { delegate, .. } in ended {
                let name = plain(&delegate.name);
                note(&format!(
                    "{name} may not act for you any more: her time is over, and the collections have new keys"
                ));
            }
        }
        Err(error) => failed("delegations were not looked after", &error),
    }
}

/// Does what revocations and removals have left to do, for a while: the rest is done with the next command.
async fn finish(patient: &Patient) {
    let finish = async {
        patient.finish_revocations(&()).await?;
        patient.finish_leaving(&()).await
    };
    match tokio::time::timeout(PATIENCE, finish).await {
        Ok(Ok(stay)) => {
            for (member, name) in stay {
                note(&format!(
                    "{} could leave now, and something rests on it: say what becomes of that, with medvault device retire {member}, \
                     or medvault device remove {member} --lost",
                    plain(name.as_str())
                ));
            }
        }
        Ok(Err(error)) => failed(
            "what a revocation or a removal has left to do was not done",
            &error,
        ),
        Err(_) => note("what a revocation or a removal has left to do goes on with the next command"),
    }
}

/// Where there is no way to the server, what the command came for says it.
fn failed(what: &str, error: &Error) {
    if !error.has_no_way() {
        note(&format!("{what}: {error}"));
    }
}
