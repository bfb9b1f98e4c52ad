//! The flows as sequences of operations, checked after each step against a model of a hundred lines.
//!
//! The oracle in prose: a permission is live until it is revoked or its last use is spent. A
//! presentation opens a session that holds one use; a revoked permission refuses before a spent one does.
//! A session hands out leaves until its permission is revoked, its byte budget is gone or it is closed: the first time it
//! spends its use and the bytes, again nothing. One that is closed and has handed out nothing gives its use back.
//! The vault lists exactly what was committed, the permission list exactly what was permitted, with what
//! is left of it, and the history has one entry for each thing that happened, in order.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use protocol_spec::{
    bodies::ReleaseTicket,
    defence::Defence,
    ids::{PermissionId, ReleaseId, VersionId},
    lifecycle::TRIES,
    messages as pb,
    permission::RecordSelector,
    problem::Problem,
    statement::Signed,
};
use tests::raw::{RawInstitution, RawPatient, RawWorld};

/// Deterministic choices (SplitMix64), so that a failing seed can be run again.
struct Choices(u64);

impl Choices {
    #[allow(clippy::unwrap_used, reason = "smaller than a usize")]
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() {
            None
        } else {
            from.get(self.below(from.len()))
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct ModelPermission {
    revoked: bool,
    uses: u32,
    /// Of releases that have handed out nothing.
    held: u32,
    /// Presentations that may still be.
    tries: u32,
    bytes: u64,
}

impl ModelPermission {
    fn new(uses: u32, bytes: u64) -> Self {
        Self {
            revoked: false,
            uses,
            held: 0,
            tries: uses * TRIES,
            bytes,
        }
    }

    fn state(&self) -> pb::PermissionState {
        match self {
            Self { revoked: true, .. } => pb::PermissionState::Revoked,
            Self { uses: 0, held: 0, .. } | Self { bytes: 0, .. } => pb::PermissionState::Spent,
            Self { .. } => pb::PermissionState::Live,
        }
    }
}

struct ModelRelease {
    id: ReleaseId,
    permission: PermissionId,
    record: RecordSelector,
    closed: bool,
    /// It has handed out the record.
    brought: bool,
}

/// The server does not do what the model says.
#[derive(Debug)]
struct Disagreement(String);

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Disagreement {}

macro_rules! agree {
    ($holds:expr, $($text:tt)+) => {
        if !$holds {
            return Err(Disagreement(format!($($text)+)).into());
        }
    };
}

/// The real server, and what it should hold.
struct Run {
    world: RawWorld,
    patient: RawPatient,
    hospital: RawInstitution,
    choices: Choices,
    records: Vec<RecordSelector>,
    permissions: BTreeMap<PermissionId, ModelPermission>,
    messages: BTreeMap<PermissionId, (pb::Permission, Vec<RecordSelector>)>,
    releases: Vec<ModelRelease>,
    history: usize,
}

impl Run {
    async fn new(seed: u64, world: RawWorld) -> Result<Self> {
        let patient = RawPatient::enrol(&world.wire).await?;
        let hospital = world.institution("Hospital North").await?;
        Ok(Self {
            world,
            patient,
            hospital,
            choices: Choices(seed),
            records: Vec::new(),
            permissions: BTreeMap::new(),
            messages: BTreeMap::new(),
            releases: Vec::new(),
            history: 0,
        })
    }

    async fn step(&mut self) -> Result<&'static str> {
        match self.choices.below(20) {
            0..=3 => self.upload().await.map(|()| "upload"),
            4..=7 => self.permit().await.map(|()| "permit"),
            8..=11 => self.present().await.map(|()| "present"),
            12..=15 => self.read().await.map(|()| "read"),
            16 => self.revoke().await.map(|()| "revoke"),
            17 => self.close().await.map(|()| "close"),
            18 => self.deny().await.map(|()| "deny"),
            _ => self.crash().map(|()| "crash"),
        }
    }

    async fn upload(&mut self) -> Result<()> {
        let length = self.choices.below(400_000) as u64;
        let record = self
            .hospital
            .upload(&self.world.wire, &self.patient, length)
            .await?;
        self.records.push(record.clone());
        self.history += 4; // requested, permitted, presented, stored
        let list = self.permission_list().await?;
        let new = list
            .keys()
            .find(|id| !self.permissions.contains_key(id))
            .context("no upload permission")?;
        let left = (64 << 20) - record.stream_len;
        self.permissions.insert(
            *new,
            ModelPermission {
                tries: TRIES - 1,
                ..ModelPermission::new(0, left)
            },
        );
        Ok(())
    }

    async fn permit(&mut self) -> Result<()> {
        let Some(record) = self.choices.pick(&self.records).cloned() else {
            return Ok(());
        };
        let request = self.hospital.ask(&self.world.wire, &self.patient).await?;
        let uses = u32::try_from(self.choices.below(3) + 1)?;
        let bytes = record.stream_len * (self.choices.below(3) as u64 + 1);
        let (id, permission) = self.patient.permit(
            &self.world.wire,
            &self.hospital.entry,
            request,
            vec![record.clone()],
            |body| {
                body.uses = uses;
                body.bytes = bytes;
            },
        )?;
        self.patient.grant(&self.world.wire, permission.clone()).await?;
        self.permissions.insert(id, ModelPermission::new(uses, bytes));
        self.messages.insert(id, (permission, vec![record]));
        self.history += 2; // requested, permitted
        Ok(())
    }

    fn any_permission(&mut self) -> Option<PermissionId> {
        let ids: Vec<_> = self.messages.keys().copied().collect();
        self.choices.pick(&ids).copied()
    }

    async fn present(&mut self) -> Result<()> {
        let Some(id) = self.any_permission() else {
            return Ok(());
        };
        let answer = self.hospital.present(&self.world.wire, id).await?;
        let model = self.permissions.get_mut(&id).context("unknown permission")?;
        match model.state() {
            pb::PermissionState::Revoked => {
                agree!(answer.problem() == Some(Problem::PermissionRevoked), "{answer:?}")
            }
            _ if model.tries == 0 || model.uses + model.held == 0 => {
                agree!(answer.problem() == Some(Problem::PermissionSpent), "{answer:?}")
            }
            pb::PermissionState::Spent => {
                agree!(answer.problem() == Some(Problem::BytesSpent), "{answer:?}")
            }
            _ if model.uses == 0 => {
                agree!(answer.problem() == Some(Problem::PermissionInUse), "{answer:?}")
            }
            _ => {
                let message: pb::PresentationAnswer = answer.message()?;
                let Some(pb::presentation_answer::Answer::Release(release)) = message.answer else {
                    return Err(Disagreement("no release".into()).into());
                };
                let ticket = Signed::<ReleaseTicket>::try_from(release.ticket)?
                    .verify(&self.world.wire.operator_key)?;
                agree!(ticket.bytes == model.bytes, "the ticket says what is left");
                model.uses -= 1;
                model.held += 1;
                model.tries -= 1;
                self.history += 1;
                let record = self
                    .messages
                    .get(&id)
                    .and_then(|(_, records)| records.first())
                    .context("no record")?;
                let record = record.clone();
                self.releases.push(ModelRelease {
                    id: ticket.release_id,
                    permission: id,
                    record,
                    closed: false,
                    brought: false,
                });
            }
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<()> {
        let Some(at) = (!self.releases.is_empty()).then(|| self.choices.below(self.releases.len())) else {
            return Ok(());
        };
        let release = self.releases.get_mut(at).context("no release")?;
        let path = format!(
            "/v1/releases/{}/records/{}/leaves?first=0&count=1",
            release.id, release.record.version_id
        );
        let answer = self.hospital.get(&self.world.wire, &path).await?;
        let model = self
            .permissions
            .get_mut(&release.permission)
            .context("unknown permission")?;
        let expected = match (
            model.revoked,
            release.closed,
            !release.brought && model.bytes < release.record.stream_len,
        ) {
            (true, _, _) => Some(vec![Problem::PermissionRevoked, Problem::ReleaseClosed]),
            (_, true, _) => Some(vec![Problem::ReleaseClosed]),
            (_, _, true) => Some(vec![Problem::BytesSpent]),
            _ => None,
        };
        match (expected, answer.problem()) {
            (Some(expected), Some(problem)) => {
                agree!(expected.contains(&problem), "{problem:?}, not {expected:?}")
            }
            (None, None) => {
                // What comes again costs nothing (FLW-9), and what comes first spends the use (FLW-16).
                if !release.brought {
                    release.brought = true;
                    model.bytes -= release.record.stream_len;
                    model.held -= 1;
                }
                let root = protocol_spec::content::single_leaf_root(&answer.body);
                agree!(
                    answer.complete && root == release.record.content_root,
                    "other content"
                );
            }
            (expected, problem) => {
                return Err(Disagreement(format!("{problem:?}, not {expected:?}")).into());
            }
        }
        Ok(())
    }

    async fn revoke(&mut self) -> Result<()> {
        let Some(id) = self.any_permission() else {
            return Ok(());
        };
        let (permission, _) = self.messages.get(&id).context("no message")?;
        let message = self.patient.revocation(permission, id);
        self.patient
            .post(&self.world.wire, "/v1/revocations", &message)
            .await?
            .message::<pb::RevocationAnswer>()?;
        let model = self.permissions.get_mut(&id).context("unknown permission")?;
        self.history += usize::from(!model.revoked);
        model.revoked = true;
        // What is open under it is closed, each with its receipt (REV-1).
        let open = self
            .releases
            .iter_mut()
            .filter(|release| release.permission == id && !release.closed);
        for release in open {
            self.history += 1;
            release.closed = true;
            if !release.brought {
                (model.held, model.uses) = (model.held - 1, model.uses + 1);
            }
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let Some(at) = (!self.releases.is_empty()).then(|| self.choices.below(self.releases.len())) else {
            return Ok(());
        };
        let release = self.releases.get_mut(at).context("no release")?;
        let path = format!("/v1/releases/{}/close", release.id);
        let answer = self
            .hospital
            .post(&self.world.wire, &path, &pb::Accepted {})
            .await?;
        if release.closed {
            // Closing twice is either the first answer again or the refusal that says so.
            agree!(
                answer.status.is_success() || answer.problem() == Some(Problem::ReleaseClosed),
                "{answer:?}"
            );
            return Ok(());
        }
        answer.message::<pb::Receipt>()?;
        release.closed = true;
        self.history += 1;
        if !release.brought {
            let model = self.permissions.get_mut(&release.permission);
            let model = model.context("unknown permission")?;
            (model.held, model.uses) = (model.held - 1, model.uses + 1);
        }
        Ok(())
    }

    async fn deny(&mut self) -> Result<()> {
        // A request that nobody answers leaves its trace and opens nothing.
        self.hospital.ask(&self.world.wire, &self.patient).await?;
        self.history += 1;
        Ok(())
    }

    fn crash(&mut self) -> Result<()> {
        self.world.server.kill()?;
        self.world.server.restart()
    }

    async fn permission_list(
        &self,
    ) -> Result<BTreeMap<PermissionId, (ModelPermission, pb::PermissionState)>> {
        let list: pb::PermissionList = self
            .patient
            .get(&self.world.wire, "/v1/vault/permissions")
            .await?
            .message()?;
        list.permissions
            .into_iter()
            .map(|entry| {
                let state = entry.state();
                let permission =
                    protocol_spec::permission::SignedPermission::try_from(entry.permission)?.verify()?;
                let revoked = state == pb::PermissionState::Revoked;
                // How often it was presented, a server does not say.
                let model = ModelPermission {
                    revoked,
                    held: entry.uses_held,
                    tries: 0,
                    ..ModelPermission::new(entry.uses_left, entry.bytes_left)
                };
                Ok((permission.permission_id, (model, state)))
            })
            .collect()
    }

    /// Everything that can be asked for is as the model says.
    async fn check(&self) -> Result<()> {
        let listed = self.permission_list().await?;
        let wanted: BTreeMap<_, _> = self
            .permissions
            .iter()
            .map(|(id, model)| {
                let shown = ModelPermission {
                    tries: 0,
                    ..model.clone()
                };
                (*id, (shown, model.state()))
            })
            .collect();
        agree!(listed == wanted, "permissions: {listed:?}, not {wanted:?}");

        let mut stored: Vec<VersionId> = Vec::new();
        for list in ["/v1/vault/records?limit=1000", "/v1/vault/arrivals?limit=1000"] {
            let page: pb::VaultPage = self.patient.get(&self.world.wire, list).await?.message()?;
            for record in page.records {
                let version = record.record.context("empty")?.version_id;
                stored.push(VersionId::try_from(version.as_ref())?);
            }
        }
        let mut wanted: Vec<VersionId> = self.records.iter().map(|record| record.version_id).collect();
        stored.sort_unstable();
        wanted.sort_unstable();
        agree!(stored == wanted, "records: {stored:?}, not {wanted:?}");

        let page: pb::HistoryPage = self
            .patient
            .get(&self.world.wire, "/v1/vault/history?limit=1000")
            .await?
            .message()?;
        agree!(
            page.entries.len() == self.history,
            "{} entries of history, not {}",
            page.entries.len(),
            self.history
        );
        Ok(())
    }
}

/// Forty random steps, with everything compared after each.
async fn run(seed: u64, world: RawWorld) -> Result<()> {
    let mut run = Run::new(seed, world).await?;
    for number in 0..40 {
        let step = run
            .step()
            .await
            .with_context(|| format!("seed {seed}, step {number}"))?;
        run.check()
            .await
            .with_context(|| format!("seed {seed}, after step {number}: {step}"))?;
    }
    Ok(())
}

#[tokio::test]
async fn random_sequences_agree_with_the_model_after_every_step() -> Result<()> {
    for seed in 1..=4 {
        run(seed, RawWorld::start().await?).await?;
    }
    Ok(())
}

/// The model can fail: against servers that do without one of their rules, one of the same seeds shows it.
#[tokio::test]
async fn the_model_notices_a_server_without_one_of_its_rules() -> Result<()> {
    for off in [Defence::Revocation, Defence::Budgets] {
        let mut noticed = false;
        for seed in 1..=4 {
            let ended = run(seed, RawWorld::start_without(&[off]).await?).await;
            // The model itself, not a connection that failed.
            noticed |= ended.is_err_and(|error| error.downcast_ref::<Disagreement>().is_some());
        }
        assert!(noticed, "{off:?}");
    }
    Ok(())
}
