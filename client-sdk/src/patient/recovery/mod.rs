//! Recovery: the way back into a vault when all devices are lost. See `protocol-spec/spec/recovery.md`.
//!
//! | module | does |
//! |---|---|
//! | `kit` | 24 words: made, proven in a rehearsal |
//! | `sheet` | the words as a page to print |
//! | `trustees` | a secret divided among people who are trusted together |
//! | `awake` | a recovery member at work on this machine for a moment |
//! | `machine` | a machine that has nothing yet |
//! | `reminder` | once a year |

pub(in crate::patient) mod awake;
pub(in crate::patient) mod kit;
pub(in crate::patient) mod machine;
pub(in crate::patient) mod reminder;
pub(in crate::patient) mod sheet;
pub(in crate::patient) mod trustees;

use crypto::{RecoveryKeys, RecoverySecret};
use protocol_spec::{devices::DeviceKind, field::Name, ids::DeviceId, problem::Problem};

use crate::{
    Error, Progress, Result,
    patient::{
        devices, given,
        listed::{self, ListProof, Newcomer},
        removing,
        vault::Vault,
    },
};

pub(crate) use self::kit::day;
pub use self::{
    kit::{Kit, Rehearsed},
    machine::{PassedOver, Recovered, RecoveringMachine},
    trustees::{Entrusted, EntrustedShare, NewTrustees, Trustee},
};
/// A recovery member that was added to the list of devices.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RecoveryMember {
    /// The recovery member's id on the list of devices.
    #[serde(rename = "device_id")]
    pub id: DeviceId,
    /// Those of the same name that were there before, and are of no use any more.
    pub replaced: Vec<DeviceId>,
    /// Those of the same name that stay for a while, because they are settled: their leaving is announced (DEV-23).
    pub leaving: Vec<DeviceId>,
    /// Why what those could open is not all under new keys yet: [`crate::Patient::finish_revocations`] goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unfinished: Option<String>,
}

/// Adds the member that follows from a secret, in the place of those with the same name. Those that are settled stay for a
/// while: their leaving is announced (DEV-23).
pub(super) async fn add_member(
    vault: &Vault,
    secret: &RecoverySecret,
    name: &str,
    progress: &dyn Progress,
) -> Result<RecoveryMember> {
    let devices = listed::devices(vault).await?;
    let same = devices
        .iter()
        .filter(|device| device.kind == DeviceKind::Recovery && device.name == name);
    let before: Vec<DeviceId> = same.map(|device| device.id).collect();
    check_left_alone(vault, &before)?;
    let RecoveryKeys { identity, recipient } = secret.keys()?;
    let newcomer = Newcomer {
        device_key: identity.public(),
        recipient_key: recipient.public(),
        kind: DeviceKind::Recovery,
        name: &Name::try_from(name.to_owned())?,
        proof: ListProof::Secret(secret),
    };
    let id = DeviceId::from(&identity.public());
    let mut member = RecoveryMember {
        id,
        replaced: before.clone(),
        leaving: Vec::new(),
        unfinished: None,
    };
    let mut done = removing::replace_devices(vault, &before, &newcomer, progress).await;
    if matches!(&done, Err(error) if error.is_problem(Problem::RecoveryKept)) {
        done = devices::add_beside(vault, &newcomer, &before).await;
        member.leaving = std::mem::take(&mut member.replaced);
    }
    match done {
        Ok(()) => {}
        // Once it is in the list it is in force, whatever has failed since.
        Err(error)
            if listed::refresh_devices(vault)
                .await?
                .newest()
                .device(id)
                .is_some() =>
        {
            member.unfinished = Some(error.to_string());
        }
        Err(error) => return Err(error),
    }
    Ok(member)
}

/// What a member has added, she is asked about before the member goes (DEV-22).
fn check_left_alone(vault: &Vault, members: &[DeviceId]) -> Result<()> {
    let known = vault.keys.known();
    for member in members {
        if let Some(added) = given::going_with(vault, &known, *member, |_| false).get(1) {
            return Err(Error::Usage(format!(
                "{member} has added {added}: say first what becomes of that, with `medvault device retire {member}`, or \
                 `medvault device remove {member} --lost`"
            )));
        }
    }
    Ok(())
}

/// What the list of devices calls a kit.
const KIT: &str = "recovery kit";
/// What it calls the member whose secret is divided.
const TRUSTEES: &str = "trustees";
