//! Linking: a new device shows a code and offers its keys; a device that she has checks, asks her, and adds it. See
//! `protocol-spec/spec/devices.md` §4.

use std::{path::Path, time::Duration};

use bytes::Bytes;
use crypto::LinkCode;
use protocol_spec::{
    devices::{DeviceKind, DeviceList, MAX_LISTS},
    field::Name,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    link::ServerLink,
    messages as pb,
    problem::Problem,
    statement::Signed,
};
use zeroize::Zeroizing;

use super::{
    Patient,
    devices::{Newcomer, Proof, own_chain},
    keys::DeviceKeys,
    known::tampered,
};
use crate::{
    Error, Result, Unlock,
    connect::{Server, bootstrap},
    home::{ClosedHome, Pins},
    session::blocking,
};

/// A device that is nobody's yet.
pub struct NewDevice {
    home: ClosedHome,
    keys: DeviceKeys,
    code: LinkCode,
    pins: Pins,
    server: Server,
}

impl NewDevice {
    /// Makes a device's keys, and offers them to the server of the link. Its home is made when it is approved.
    ///
    /// # Errors
    /// [`Error::HomeExists`], [`Error::WrongServer`], [`Error::Unreachable`] and others.
    pub async fn offer(home: &Path, link: &ServerLink) -> Result<Self> {
        let home = ClosedHome::at(home);
        home.must_be_free()?;
        let pins = bootstrap(link).await?;
        let keys = DeviceKeys::generate()?;
        let code = LinkCode::generate(&keys.signing.public(), keys.recipient.public())?;
        let server = keys.connect(&pins)?;
        let message = pb::LinkOffer {
            device_key: Bytes::copy_from_slice(keys.signing.public().as_bytes()),
            recipient_key: Bytes::copy_from_slice(keys.recipient.public().as_bytes()),
        };
        let path = format!("/v1/links/{}", code.place());
        server.post::<pb::Accepted>(&path, &message).await?;
        Ok(Self {
            home,
            keys,
            code,
            pins,
            server,
        })
    }

    /// What is entered on a device that she has. Whoever has it before her could only have his own device's keys refused;
    /// it is of no use after ten minutes.
    pub fn code(&self) -> Zeroizing<String> {
        self.code.to_text()
    }

    /// What must be the same on both devices (DEV-10).
    ///
    /// # Errors
    /// On a machine without 64 MiB of memory.
    pub fn short_string(&self) -> Result<String> {
        Ok(self.code.short_string()?)
    }

    /// Waits until it is added, and makes its home.
    ///
    /// # Errors
    /// [`Error::Usage`] when nobody has added it in time; [`Error::Tampered`] when the server shows a vault or a state
    /// that nobody who has the code has approved (DEV-11).
    pub async fn wait(self, unlock: &Unlock, patience: Duration) -> Result<Patient> {
        let deadline = tokio::time::Instant::now() + patience;
        let answer = loop {
            match device_lists(&self.server, None).await {
                Err(error) if error.is_problem(Problem::Unauthenticated) || error.passes() => {}
                result => break result?,
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(Error::Usage(
                    "nobody has approved this device in time: run it again for a new code".into(),
                ));
            }
            tokio::time::sleep(PAUSE).await;
        };
        let patient = approved(&answer, self.keys.id(), |approval, patient, list, device| {
            self.code.check_approval(approval, patient, list, device)
        })?;
        let chain = own_chain(&answer.devices, self.keys.id(), patient)?;
        Patient::settle(self.home, unlock, self.pins, self.keys, chain, answer).await
    }
}

/// Whose vault it is, by a list that has the device and that whoever shares a secret with it has approved (DEV-11,
/// RCV-3). What leads to the list and what follows it is verified when the lists are read.
pub(super) fn approved(
    answer: &pb::DeviceLists,
    device: DeviceId,
    check: impl Fn(&[u8], &PatientId, &Sha256Digest, &DeviceId) -> Result<(), crypto::Error>,
) -> Result<PatientId> {
    for statement in &answer.lists {
        let list = Signed::<DeviceList>::try_from(statement.clone()).map_err(tampered)?;
        let patient = list.claimed().patient_id;
        let checked = check(&answer.approval, &patient, &list.hash(), &device);
        if checked.is_ok() && list.claimed().device(device).is_some() {
            return Ok(patient);
        }
    }
    Err(tampered("nobody who has its secret has approved it"))
}

/// A device that offers itself, with the keys of its code.
pub struct PendingDevice {
    code: LinkCode,
    device_key: IdentityKey,
    recipient_key: RecipientKey,
    short_string: String,
}

impl PendingDevice {
    /// Its id.
    pub fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }

    /// What must be the same on both devices (DEV-10).
    pub fn short_string(&self) -> &str {
        &self.short_string
    }
}

impl Patient {
    /// Looks up the device whose code this is.
    ///
    /// # Errors
    /// [`Error::Usage`] for a code that is none, was used or is over; [`Error::Tampered`] when the server shows other
    /// keys than the code names (DEV-9).
    pub async fn pending_device(&self, code: &str) -> Result<PendingDevice> {
        let code: LinkCode = code.parse().map_err(|_| {
            Error::Usage("this is no code of a new device: enter it as the new device shows it".into())
        })?;
        let path = format!("/v1/links/{}", code.place());
        let offer: pb::LinkOffer = self.session.server.get(&path).await.map_err(|error| {
            if error.is_problem(Problem::NotPermitted) {
                Error::Usage(
                    "the code was used, is older than ten minutes, or is of another server: run `device link` on the new \
                     device again"
                        .into(),
                )
            } else {
                error
            }
        })?;
        let device_key = IdentityKey::try_from(offer.device_key.as_ref()).map_err(tampered)?;
        let recipient_key = RecipientKey::try_from(offer.recipient_key.as_ref()).map_err(tampered)?;
        code.check_offer(&device_key, &recipient_key)
            .map_err(|_| Error::tampered("the new device")("the server shows other keys than its code"))?;
        let (code, short_string) = blocking(move || {
            let short = code.short_string()?;
            Ok((code, short))
        })
        .await?;
        Ok(PendingDevice {
            code,
            device_key,
            recipient_key,
            short_string,
        })
    }

    /// Adds it, if `short_string` is what she has read on the new device.
    ///
    /// # Errors
    /// [`Error::Usage`] when the strings differ: nothing is then sent.
    pub async fn approve_device(
        &self,
        pending: &PendingDevice,
        short_string: &str,
        name: &str,
    ) -> Result<DeviceId> {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        if digits(short_string) != digits(&pending.short_string) {
            return Err(Error::Usage(
                "the short strings differ: this is not the code of the device in front of you; do not add it"
                    .into(),
            ));
        }
        let newcomer = Newcomer {
            device_key: pending.device_key,
            recipient_key: &pending.recipient_key,
            kind: DeviceKind::Device,
            name: &Name::try_from(name.to_owned())?,
            proof: Proof::Code(&pending.code),
        };
        self.add_device(&newcomer).await?;
        Ok(pending.id())
    }
}

/// All lists after this one, page by page, with what comes with the last page.
pub(super) async fn device_lists(server: &Server, after: Option<u64>) -> Result<pb::DeviceLists> {
    let (mut after, mut lists) = (after, Vec::new());
    loop {
        let query = after.map_or(String::new(), |after| format!("?after={after}"));
        let answer: pb::DeviceLists = server.get(&format!("/v1/vault/devices{query}")).await?;
        let count = u64::try_from(answer.lists.len()).unwrap_or(u64::MAX);
        let last = !answer.more || count == 0;
        after = Some(
            after
                .map_or(0, |after| after.saturating_add(1))
                .saturating_add(count)
                .saturating_sub(1),
        );
        lists.extend(answer.lists.iter().cloned());
        if last || u64::try_from(lists.len()).is_ok_and(|count| count > MAX_LISTS) {
            return Ok(pb::DeviceLists { lists, ..answer });
        }
    }
}

/// Between two looks whether the device is one.
const PAUSE: Duration = Duration::from_secs(1);
