//! Linking: a new device shows a code and offers its keys; a device that she has answers, both show a short string, and she
//! compares it before the new one is added. See `protocol-spec/spec/devices.md` §4.

use std::time::Duration;

use crypto::{LinkCode, LinkNonce};
use protocol_spec::{
    api,
    devices::{DeviceKind, DeviceList},
    field::Name,
    hash::Sha256Digest,
    ids::{DeviceId, PatientId},
    keys::{IdentityKey, RecipientKey},
    link::ServerLink,
    messages as pb,
    problem::Problem,
    statement::Signed,
    submitted::{self, LinkOffer, Submitted},
};
use zeroize::Zeroizing;

use crate::{
    Error, Ground, Patient, Result, Unlock,
    connect::{Server, bootstrap},
    ground::System,
    home::{ClosedHome, Pins},
    patient::{
        device_keys::DeviceKeys,
        devices::{self, own_chain},
        known::tampered,
        listed::{self, ListProof, Newcomer},
        lists::device_lists,
        opening,
        vault::Vault,
    },
};

/// A device that is nobody's yet.
pub struct NewDevice {
    home: ClosedHome,
    keys: DeviceKeys,
    code: LinkCode,
    nonce: LinkNonce,
    /// The first answer: the nonce is opened to no other (DEV-20).
    answer: Option<LinkNonce>,
    pins: Pins,
    server: Server,
}

impl NewDevice {
    /// Makes a device's keys, and offers them to the server of the link. Its home is made when it is approved.
    /// Errors: [`Error::HomeExists`], [`Error::WrongServer`], [`Error::Unreachable`] and others.
    pub async fn offer(home: impl Into<Ground>, link: &ServerLink) -> Result<Self> {
        let home = ClosedHome::at(home);
        home.must_be_free()?;
        let pins = bootstrap(link, home.ground()).await?;
        let keys = DeviceKeys::generate(home.system())?;
        let nonce = LinkNonce::generate(home.system())?;
        let commitment = nonce.commitment();
        let code = LinkCode::generate(
            home.system(),
            &keys.signing.public(),
            keys.recipient.public(),
            &commitment,
        )?;
        let server = keys.connect(&pins, home.ground())?;
        let message = LinkOffer {
            device_key: keys.signing.public(),
            recipient_key: keys.recipient.public().clone(),
            commitment,
        };
        let path = api::OFFER_LINK.at([&code.place()]);
        server.post(path, &message).await?;
        Ok(Self {
            home,
            keys,
            code,
            nonce,
            answer: None,
            pins,
            server,
        })
    }

    /// What is entered on a device that she has. Whoever has it before her could only have his own device's keys refused;
    /// it is of no use after ten minutes.
    pub fn code(&self) -> Zeroizing<String> {
        self.code.to_text()
    }

    /// Waits until a device that she has answers the code, and gives what she is to type there (DEV-10).
    /// Errors: [`Error::Usage`] when nobody has entered the code in time.
    pub async fn short_string(&mut self, patience: Duration) -> Result<String> {
        let answer = match &self.answer {
            Some(answer) => answer.clone(),
            None => self.first_answer(patience).await?,
        };
        self.answer = Some(answer.clone());
        let message = submitted::LinkOpening {
            device_key: self.keys.signing.public(),
            nonce: (*self.nonce.as_bytes()).into(),
        };
        let path = api::OPEN_LINK.at([&self.code.place()]);
        self.server.post(path, &message).await?;
        Ok(self.code.short_string(&self.nonce, &answer))
    }

    async fn first_answer(&self, patience: Duration) -> Result<LinkNonce> {
        let path = api::LINK_ANSWER.at([&self.code.place()]);
        let late = "nobody has entered the code in time: run it again for a new code";
        let answer = wait_for(self.server.clock().system(), patience, late, async || match self
            .server
            .get(path.again())
            .await
        {
            Err(error) if error.is_problem(Problem::NotFound) => Ok(None),
            answer => answer.map(Some),
        })
        .await?;
        LinkNonce::try_from(answer.nonce.as_ref()).map_err(Error::tampered("the answer to the code"))
    }

    /// Waits until it is added, and makes its home.
    /// Errors: [`Error::Usage`] when nobody has added it in time; [`Error::Tampered`] when the server shows a vault
    /// or a state that nobody who has the code has approved (DEV-11).
    pub async fn wait(self, unlock: &Unlock, patience: Duration) -> Result<Patient> {
        let late = "nobody has approved this device in time: run it again for a new code";
        let answer = wait_for(
            self.server.clock().system(),
            patience,
            late,
            async || match device_lists(&self.server, None).await {
                Err(error) if error.is_problem(Problem::Unauthenticated) => Ok(None),
                answer => answer.map(Some),
            },
        )
        .await?;
        let patient = approved(&answer, self.keys.id(), |approval, patient, list, device| {
            self.code.check_approval(approval, patient, list, device)
        })?;
        let chain = own_chain(&answer.devices, self.keys.id(), patient)?;
        let vault = opening::settle(self.home, unlock, self.pins, self.keys, chain, answer).await?;
        Ok(Patient { vault })
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

/// A device that offers itself, with the keys of its code, and has opened its nonce.
pub struct PendingDevice {
    code: LinkCode,
    device_key: IdentityKey,
    recipient_key: RecipientKey,
    /// What she must have read on the new device. Nobody is shown it here: who could copy it would not look there (DEV-10).
    short_string: String,
}

impl PendingDevice {
    /// The id of the device that offers itself.
    pub fn id(&self) -> DeviceId {
        DeviceId::from(&self.device_key)
    }
}

/// Checks that a new device's offer is what its code names (DEV-9).
fn check_offer(offer: &LinkOffer, code: &LinkCode) -> Result<()> {
    code.check_offer(&offer.device_key, &offer.recipient_key, &offer.commitment)
        .map_err(|_| Error::tampered("the new device")("the server shows other keys than its code"))
}

/// The nonce that a new device was bound to by its offer (DEV-20).
fn opened(offer: &LinkOffer, opening: &[u8]) -> Result<LinkNonce> {
    let nonce = LinkNonce::try_from(opening).map_err(tampered)?;
    if nonce.commitment() == offer.commitment {
        Ok(nonce)
    } else {
        Err(Error::tampered("the new device")(
            "the server shows another nonce than it is bound to",
        ))
    }
}

pub(super) async fn pending_device(vault: &Vault, code: &str) -> Result<PendingDevice> {
    let code: LinkCode = code.parse().map_err(|_| {
        Error::Usage("this is no code of a new device: enter it as the new device shows it".into())
    })?;
    let path = api::LINK_STATE.at([&code.place()]);
    let state = vault.get(path.again()).await.map_err(used_up)?;
    let offer = state
        .offer
        .ok_or_else(|| tampered("the server shows an empty offer"))?;
    let offer = LinkOffer::read(offer).map_err(tampered)?;
    check_offer(&offer, &code)?;
    let known = listed::refresh_devices(vault).await?;
    let answer = known.root()?.link_answer(&vault.id(), &code);
    let message = submitted::LinkAnswer {
        nonce: (*answer.as_bytes()).into(),
    };
    let answers = api::ANSWER_LINK.at([&code.place()]);
    vault.post(answers, &message).await.map_err(used_up)?;
    let late =
        "the new device does not answer: see that it still shows the code and has a network, and try again";
    let opening = wait_for(vault.session.system(), ANSWER_PATIENCE, late, async || {
        let state = vault.get(path.again()).await?;
        Ok((!state.opening.is_empty()).then_some(state.opening))
    })
    .await?;
    let short_string = code.short_string(&opened(&offer, &opening)?, &answer);
    Ok(PendingDevice {
        code,
        device_key: offer.device_key,
        recipient_key: offer.recipient_key,
        short_string,
    })
}

pub(super) async fn approve_device(
    vault: &Vault,
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
        proof: ListProof::Code(&pending.code),
    };
    devices::add_device(vault, &newcomer).await?;
    Ok(pending.id())
}

/// What a code's place answers when the code is of no use any more.
fn used_up(error: Error) -> Error {
    if error.is_problem(Problem::NotPermitted) || error.is_problem(Problem::AlreadyExists) {
        Error::Usage(
            "the code was used, is older than ten minutes, or is of another server: run `device link` on the new device again"
                .into(),
        )
    } else {
        error
    }
}

/// Looks again and again until there is something.
async fn wait_for<T>(
    system: &dyn System,
    patience: Duration,
    late: &'static str,
    look: impl AsyncFn() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = system.uptime().saturating_add(patience);
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Err(error) if !error.passes() => return Err(error),
            _ => {}
        }
        if system.uptime() >= deadline {
            return Err(Error::Usage(late.into()));
        }
        system.sleep(PAUSE).await;
    }
}

/// The pause between two looks at the server.
const PAUSE: Duration = Duration::from_millis(500);
/// The new device is in front of her, and looks for an answer all the time.
const ANSWER_PATIENCE: Duration = Duration::from_secs(60);
