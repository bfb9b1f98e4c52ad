//! A patient, an institution and a registrar on memory alone: files, transport, clocks and chance are those of
//! `client-sdk/src/ground/memory`, and the server is asked in this process (`vault-server/src/in_process.rs`).

use std::{
    io::{Cursor, Read},
    slice,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use client_sdk::{
    Accrediting, Clinical, Institution, Part, Patient, PermitTerms, RecordId, Registrar, Selection,
    Sha256Digest, Unlock, UploadTerms,
    ground::{
        Ground, HomeFiles,
        memory::{MemoryFiles, MemoryServer, StillSystem},
    },
    transfer::{Sink, Source, SourcePart},
};
use tempfile::TempDir;
use tests::raw::now_ms;
use vault_server::{config::Config, in_process::InProcess};

/// What is sent and read again: several leaves, the last of them cut.
fn picture() -> Vec<u8> {
    (0..300_001_u32).flat_map(u32::to_be_bytes).collect()
}

/// The bytes that the patient permits to send and to read come back as they were, and the homes have been kept where they were put.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_goes_to_a_vault_and_back_in_memory() -> Result<()> {
    let machine = Machine::start()?;
    let vault = Vault::open(&machine).await?;
    let homes = Homes::default();
    let received = live(&machine, &homes, &vault, &vault.way()?).await?;
    ensure!(received == picture(), "{} bytes", received.len());
    for (home, files) in homes.all() {
        let names = files.list("")?;
        for name in ["principal.json", "secrets.sealed", "home.seal"] {
            ensure!(names.iter().any(|found| found == name), "{home}: {names:?}");
        }
    }
    vault.close().await
}

/// The control: the same lives, but all that is sent to this vault goes to another, which shows the certificate of the true one and
/// has the key of another operator. Nobody is enrolled there, and no home is left.
#[tokio::test(flavor = "multi_thread")]
async fn another_servers_key_is_refused_in_memory() -> Result<()> {
    let machine = Machine::start()?;
    let (vault, other) = (Vault::open(&machine).await?, Vault::open(&machine).await?);
    ensure!(vault.server.link().authority() == other.server.link().authority());
    let homes = Homes::default();
    let way = other.way_showing(vault.certificate()?);
    let refused = live(&machine, &homes, &vault, &way)
        .await
        .err()
        .context("it was taken")?;
    let refused: client_sdk::Error = refused.downcast()?;
    ensure!(refused.code() == "wrong-server", "{refused}");
    let names = homes.patient.list("")?;
    ensure!(names.is_empty(), "{names:?}");
    vault.close().await?;
    other.close().await
}

/// Enrols both on this way, has the clinic send the picture and fetch it again, and returns what it has fetched.
async fn live(machine: &Machine, homes: &Homes, vault: &Vault, way: &MemoryServer) -> Result<Vec<u8>> {
    let (link, unlock) = (vault.server.link(), unlock());
    let alice = Patient::enrol(machine.ground(&homes.patient, way), &unlock, link).await?;
    let home = machine.ground(&homes.clinic, way);
    let (_, request) = Institution::request(home.clone(), &unlock, "City Clinic")?;
    let (_, accreditation) = machine.registrar.accredit(&request, Accrediting::default())?;
    let clinic = Institution::enrol(home, &unlock, link, &accreditation).await?;

    let entry = alice.institution("City Clinic").await?;
    let (_, upload) = alice
        .request_upload(&entry, "the knee MRI, please", &UploadTerms::default())
        .await?;
    let sent = clinic.send_from(upload, Picture::new()?, &()).await?;
    let asked = clinic
        .request_download(alice.id(), "the MRI again, for the operation", None)
        .await?;
    let selection = Selection::Records(vec![sent.record_id]);
    let download = alice.permit(asked, &selection, &PermitTerms::default()).await?;
    let kept = Kept::default();
    clinic.fetch_into(download, None, kept.clone(), &()).await?;
    Ok(kept.committed())
}

/// What all homes share: clocks that go as fast as the server's, chance, and the registrar.
struct Machine {
    system: StillSystem,
    registrar: Registrar,
    registrar_key: String,
}

impl Machine {
    fn start() -> Result<Self> {
        let system = StillSystem::new(now_ms(), 1);
        tokio::spawn(pass(system.clone()));
        // The registrar asks nobody.
        let nobody = MemoryServer::new(Sha256Digest::of(b""), |_| http::Response::new(Vec::new()));
        let files = Arc::new(MemoryFiles::default());
        let ground = Ground::new(files, Arc::new(nobody), Arc::new(system.clone()));
        let registrar = Registrar::init(ground, &unlock())?;
        Ok(Self {
            registrar_key: registrar.key_text(),
            registrar,
            system,
        })
    }

    fn ground(&self, files: &MemoryFiles, way: &MemoryServer) -> Ground {
        let (files, way) = (Arc::new(files.clone()), Arc::new(way.clone()));
        Ground::new(files, way, Arc::new(self.system.clone()))
    }
}

/// Lets time pass in memory as it passes for the server, never ahead of it.
async fn pass(system: StillSystem) {
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(5)).await;
        let now = Instant::now();
        system.advance(now.duration_since(last));
        last = now;
    }
}

fn unlock() -> Unlock {
    Unlock::passphrase("seven otters carry a violin")
}

#[derive(Default)]
struct Homes {
    patient: MemoryFiles,
    clinic: MemoryFiles,
}

impl Homes {
    fn all(&self) -> [(&str, &MemoryFiles); 2] {
        [("patient", &self.patient), ("clinic", &self.clinic)]
    }
}

/// A server without a socket. Its data alone lie on a disk, in a folder that goes with it.
struct Vault {
    server: InProcess,
    _folder: TempDir,
}

impl Vault {
    async fn open(machine: &Machine) -> Result<Self> {
        let folder = TempDir::new()?;
        let data = folder.path().join("data").display().to_string();
        let args = [
            "vault-server",
            "--data",
            &data,
            "--registrar",
            &machine.registrar_key,
            "--dev",
        ];
        let server = InProcess::open(Config::from_args(args)?).await?;
        Ok(Self {
            server,
            _folder: folder,
        })
    }

    fn certificate(&self) -> Result<Sha256Digest> {
        self.server
            .certificate()
            .context("a server with --dev pins its certificate")
    }

    fn way(&self) -> Result<MemoryServer> {
        Ok(self.way_showing(self.certificate()?))
    }

    fn way_showing(&self, certificate: Sha256Digest) -> MemoryServer {
        let server = self.server.clone();
        MemoryServer::answering(certificate, move |request| {
            let server = server.clone();
            async move { server.answer(request).await }
        })
    }

    async fn close(self) -> Result<()> {
        Ok(self.server.close().await?)
    }
}

/// A source of one part, in memory.
struct Picture(SourcePart);

impl Picture {
    fn new() -> Result<Self> {
        Ok(Self(SourcePart {
            name: "knee.dcm".to_owned().try_into()?,
            media_type: "application/dicom".to_owned(),
            length: u64::try_from(picture().len())?,
            clinical: Clinical::default(),
            modified: None,
            identity: None,
        }))
    }
}

impl Source for Picture {
    fn parts(&self) -> &[SourcePart] {
        slice::from_ref(&self.0)
    }

    fn open(&mut self, _: usize) -> client_sdk::Result<Box<dyn Read + Send>> {
        Ok(Box::new(Cursor::new(picture())))
    }
}

/// A sink in memory: what was written, and from [`Sink::commit`] on what may be used.
#[derive(Clone, Default)]
struct Kept {
    written: Vec<u8>,
    committed: Arc<Mutex<Vec<u8>>>,
}

impl Kept {
    fn committed(&self) -> Vec<u8> {
        let committed = self.committed.lock();
        committed.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Sink for Kept {
    fn begin(&mut self, _: &RecordId, _: &Part) -> client_sdk::Result<()> {
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> client_sdk::Result<()> {
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    fn commit(&mut self) -> client_sdk::Result<()> {
        let mut committed = self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        *committed = std::mem::take(&mut self.written);
        Ok(())
    }
}
