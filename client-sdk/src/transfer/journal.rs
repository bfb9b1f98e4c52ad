//! What makes transfers resumable, in the institution's home.
//!
//! ```text
//! uploads/<permission>/session.json   ids, idempotency key, header of the stream, what the files were; from before the first
//!                                     presentation until the answer of the last run is known
//!                      leaves         hashes of the leaves sealed so far, synced before they are sent
//!                      commit         the commit as it is sent, once all leaves are there
//! fetches/<permission>                idempotency key; what was fetched, until that is known
//! ```
//! A stream is sealed again under the same header only to compare it: a leaf whose hash differs from the
//! journal is never sent, because two plaintexts under one key and nonce would give each other away. A source
//! that has changed starts a new record under a fresh key stream. What has changed, contents decide (FLW-19).

mod commit;
mod fetch;
mod leaf_log;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crypto::content::Header;
use data_encoding::HEXLOWER;
use protocol_spec::{
    ids::{PermissionId, RecordId, UploadId, VersionId},
    messages as pb,
};
use serde::{Deserialize, Serialize};

use self::leaf_log::{LEAVES, kept};
pub(crate) use self::{commit::KeptCommit, fetch::FetchJournal, leaf_log::LeafLog};
use super::SourcePart;
use crate::{
    Result,
    ground::System,
    home::{At, Home, Lock},
};

/// One upload under one permission, locked against a second process.
pub(crate) struct Journal {
    home: Home,
    session: Session,
    /// A leaf came out otherwise than in an earlier run.
    differs: Arc<AtomicBool>,
    _lock: Lock,
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    format: u32,
    idempotency_key: String,
    record_id: String,
    version_id: String,
    /// Name and length of each part. Empty when the source cannot tell whether it has changed.
    parts: Vec<(String, u64)>,
    /// How each of them looked.
    identities: Vec<String>,
    /// The open session whose place the presentation takes (FLW-17): part of what is presented, and repeated.
    #[serde(default)]
    takes: Option<String>,
    #[serde(default)]
    upload_id: Option<String>,
    /// Hex of the stream's header.
    #[serde(default)]
    header: Option<String>,
}

impl Session {
    fn new(parts: &[SourcePart], system: &dyn System) -> Result<Self> {
        let identities = identities(parts);
        Ok(Self {
            format: FORMAT,
            idempotency_key: system.token()?,
            record_id: system.id(RecordId::mint)?.to_string(),
            version_id: system.id(VersionId::mint)?.to_string(),
            parts: if identities.is_empty() {
                Vec::new()
            } else {
                shapes(parts)
            },
            identities,
            takes: None,
            upload_id: None,
            header: None,
        })
    }
}

fn shapes(parts: &[SourcePart]) -> Vec<(String, u64)> {
    let each = |part: &SourcePart| (part.name.as_str().to_owned(), part.length);
    parts.iter().map(each).collect()
}

fn identities(parts: &[SourcePart]) -> Vec<String> {
    let each = |part: &SourcePart| part.identity.clone();
    parts.iter().map(each).collect::<Option<_>>().unwrap_or_default()
}

impl Journal {
    /// Takes up what an earlier run began with parts of the same names and lengths, with the same key and ids whatever became
    /// of it, or begins anew.
    pub(crate) fn open(home: &Home, permission: &PermissionId, parts: &[SourcePart]) -> Result<Self> {
        let at = home.below(&format!("uploads/{permission}"));
        let lock = at.lock_folder()?;
        let left: Option<Session> = at.read_json(SESSION).unwrap_or_default();
        let same =
            |left: &Session| left.format == FORMAT && !left.parts.is_empty() && left.parts == shapes(parts);
        let left = left.filter(same);
        let begins = left.is_none();
        let session = left.map_or_else(|| Session::new(parts, home.system()), Ok)?;
        let mut journal = Self {
            home: at,
            session,
            differs: Arc::default(),
            _lock: lock,
        };
        if begins {
            journal.restart(parts, None)?;
        }
        Ok(journal)
    }

    /// Forgets the earlier session: new ids, new key stream. First the header: as long as that may come back, so
    /// must the hashes of what was sealed under it. The new one may take the place of an open session.
    pub(crate) fn restart(&mut self, parts: &[SourcePart], takes: Option<UploadId>) -> Result<()> {
        self.session = Session::new(parts, self.home.system())?;
        self.session.takes = takes.map(|takes| takes.to_string());
        self.differs.store(false, Ordering::Relaxed);
        self.save()?;
        for name in [LEAVES, COMMIT] {
            self.home.remove(name);
        }
        Ok(())
    }

    /// Whether the parts look as they did when this session was begun; if not, their contents may be the same.
    pub(crate) fn looks_same(&self, parts: &[SourcePart]) -> bool {
        !self.session.identities.is_empty() && self.session.identities == identities(parts)
    }

    /// Whether a leaf came out otherwise than in an earlier run: what it sealed was of another source.
    pub(crate) fn differs(&self) -> bool {
        self.differs.load(Ordering::Relaxed)
    }

    /// The open session whose place the presentation takes.
    pub(crate) fn takes(&self) -> Option<UploadId> {
        self.session.takes.as_ref()?.parse().ok()
    }

    /// Whether an earlier run has presented already: its session at the server.
    pub(crate) fn upload_id(&self) -> Option<UploadId> {
        self.session.upload_id.as_ref()?.parse().ok()
    }

    pub(crate) fn idempotency_key(&self) -> &str {
        &self.session.idempotency_key
    }

    pub(crate) fn record_id(&self) -> Result<RecordId> {
        Ok(self.session.record_id.parse()?)
    }

    pub(crate) fn version_id(&self) -> Result<VersionId> {
        Ok(self.session.version_id.parse()?)
    }

    /// The header under which an earlier run has sealed.
    pub(crate) fn header(&self) -> Option<Header> {
        HEXLOWER
            .decode(self.session.header.as_ref()?.as_bytes())
            .ok()?
            .try_into()
            .ok()
    }

    /// Keeps the session and the header before anything is sealed under it that leaves the machine.
    pub(crate) fn begin(&mut self, upload: &UploadId, header: &Header) -> Result<()> {
        self.session.upload_id = Some(upload.to_string());
        self.session.header = Some(HEXLOWER.encode(header));
        self.save()
    }

    /// Opens the list of leaves.
    pub(crate) fn leaf_log(&self) -> Result<LeafLog> {
        LeafLog::open(&self.home, &self.header_bytes(), self.differs.clone())
    }

    /// Whether the list has every leaf that the server has. One that lacks some was cut, and does not tell how they were sealed.
    pub(crate) fn knows(&self, present: &[pb::LeafRange]) -> Result<bool> {
        let known = kept(&self.home, &self.header_bytes(), &mut At::default())?;
        let known = known.unwrap_or_default().len() as u64;
        let end = |range: &pb::LeafRange| u64::from(range.first) + u64::from(range.count);
        Ok(present.iter().map(end).max().unwrap_or_default() <= known)
    }

    fn header_bytes(&self) -> Vec<u8> {
        self.header().map_or_else(Vec::new, |header| header.to_vec())
    }

    /// The commit that an earlier run was about to send, or sent.
    pub(crate) fn commit(&self) -> Result<Option<KeptCommit>> {
        Ok(self.home.read(COMMIT)?.and_then(|bytes| KeptCommit::read(&bytes)))
    }

    /// Keeps the commit: repeated, it must be the same bytes.
    pub(crate) fn keep_commit(&self, commit: &KeptCommit) -> Result<()> {
        self.home.write(COMMIT, &commit.bytes())
    }

    /// Forgets an upload whose outcome is known, unless it is going on.
    pub(crate) fn forget(home: &Home, permission: &PermissionId) -> Result<()> {
        let at = home.below(&format!("uploads/{permission}"));
        if at.list("")?.is_empty() {
            return Ok(());
        }
        let lock = at.lock_folder()?;
        at.remove(SESSION);
        at.remove_folder();
        drop(lock);
        Ok(())
    }

    /// The upload is over, one way or the other. The header goes first, as in [`Self::restart`].
    pub(crate) fn remove(self) {
        self.home.remove(SESSION);
        // That above it stays while other uploads are under way.
        self.home.remove_folder();
    }

    fn save(&self) -> Result<()> {
        self.home.write_json(SESSION, &self.session)
    }
}

const FORMAT: u32 = 2;
const SESSION: &str = "session.json";
const COMMIT: &str = "commit";

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use crypto::content::HEADER_LEN;
    use protocol_spec::{
        hash::{LeafHash, Sha256Digest},
        manifest::{Clinical, PartName},
    };

    use super::{fetch::FETCHES, *};
    use crate::Error;

    const PERMISSION: PermissionId = PermissionId::from_bytes([1; 16]);

    fn parts(identity: Option<&str>) -> Vec<SourcePart> {
        long_parts(identity, 3)
    }

    fn long_parts(identity: Option<&str>, length: u64) -> Vec<SourcePart> {
        vec![SourcePart {
            name: PartName::try_from("a".to_owned()).unwrap(),
            media_type: String::new(),
            length,
            clinical: Clinical::default(),
            modified: None,
            identity: identity.map(str::to_owned),
        }]
    }

    fn begun(home: &Home, parts: &[SourcePart]) -> String {
        let mut journal = Journal::open(home, &PERMISSION, parts).unwrap();
        journal
            .begin(&UploadId::from_bytes([2; 16]), &[7; HEADER_LEN])
            .unwrap();
        journal.idempotency_key().to_owned()
    }

    #[test]
    fn the_same_source_goes_on_and_another_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let key = begun(&home, &parts(Some("1")));
        let again = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        assert_eq!(
            (again.idempotency_key(), again.header()),
            (key.as_str(), Some([7; HEADER_LEN]))
        );
        assert!(again.upload_id().is_some() && again.looks_same(&parts(Some("1"))));
        drop(again);
        // Only its contents could tell whether it has changed.
        let touched = Journal::open(&home, &PERMISSION, &parts(Some("2"))).unwrap();
        assert_eq!(touched.idempotency_key(), key);
        assert!(!touched.looks_same(&parts(Some("2"))));
        drop(touched);
        let other = Journal::open(&home, &PERMISSION, &long_parts(Some("1"), 4)).unwrap();
        assert_ne!(other.idempotency_key(), key);
        assert!(other.header().is_none() && other.upload_id().is_none());
    }

    /// API-10, FLW-17: killed before the answer has come, and before anything was sealed.
    #[test]
    fn a_presentation_is_repeated_by_the_same_key_whatever_came_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let takes = UploadId::from_bytes([6; 16]);
        let asked = |journal: &Journal| {
            let key = journal.idempotency_key().to_owned();
            (key, journal.version_id().unwrap(), journal.takes())
        };
        let mut journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        let first = asked(&journal);
        drop(journal);
        journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        assert_eq!(asked(&journal), first);
        journal.restart(&parts(Some("1")), Some(takes)).unwrap();
        let second = asked(&journal);
        assert!(second.0 != first.0 && second.1 != first.1 && second.2 == Some(takes));
        drop(journal);
        journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        assert_eq!(asked(&journal), second);
    }

    #[test]
    fn a_commit_is_kept_with_its_contents() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&Home::at(dir.path()), &PERMISSION, &parts(Some("1"))).unwrap();
        for count in [0, 1, 3] {
            let kept = KeptCommit {
                contents: vec![Sha256Digest::of(b"a part"); count],
                message: Bytes::from_static(b"message"),
            };
            journal.keep_commit(&kept).unwrap();
            assert_eq!(journal.commit().unwrap(), Some(kept));
        }
        for torn in [&[][..], &[0, 0], &[0, 0, 0, 1, 7], &[255; 8]] {
            assert_eq!(KeptCommit::read(torn), None);
        }
    }

    #[test]
    fn a_source_that_cannot_tell_starts_anew() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let key = begun(&home, &parts(None));
        assert_ne!(
            Journal::open(&home, &PERMISSION, &parts(None))
                .unwrap()
                .idempotency_key(),
            key
        );
    }

    #[test]
    fn leaves_must_come_again_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&Home::at(dir.path()), &PERMISSION, &parts(Some("1"))).unwrap();
        let hash = |byte| LeafHash::from_bytes([byte; 32]);
        journal
            .leaf_log()
            .unwrap()
            .extend(0, &[hash(1), hash(2)])
            .unwrap();
        let mut log = journal.leaf_log().unwrap();
        log.extend(0, &[hash(1)]).unwrap();
        assert!(matches!(
            log.extend(1, &[hash(9)]),
            Err(Error::SourceChanged { .. })
        ));
        log.extend(1, &[hash(2), hash(3)]).unwrap();
        assert_eq!(journal.leaf_log().unwrap().known, [hash(1), hash(2), hash(3)]);
    }

    #[test]
    fn hashes_are_kept_as_long_as_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        begun(&home, &parts(Some("1")));
        let mut journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        let mut log = journal.leaf_log().unwrap();
        log.extend(0, &[LeafHash::from_bytes([5; 32])]).unwrap();
        // A folder in its place keeps the new session from being written.
        fs::remove_file(journal.home.path(SESSION)).unwrap();
        fs::create_dir(journal.home.path(SESSION)).unwrap();
        assert!(journal.restart(&parts(Some("1")), None).is_err());
        drop(journal);
        let left = kept(&log.home, &[7; HEADER_LEN], &mut At::default()).unwrap();
        assert_eq!(left.unwrap(), [LeafHash::from_bytes([5; 32])]);
    }

    /// KEY-19
    #[test]
    fn a_torn_hash_is_forgotten() {
        let (five, six) = (LeafHash::from_bytes([5; 32]), LeafHash::from_bytes([6; 32]));
        for torn in [&[][..], &[0; 20], &[0; 400], &[9; 7]] {
            let dir = tempfile::tempdir().unwrap();
            let home = Home::at(dir.path());
            begun(&home, &parts(Some("1")));
            let journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
            journal.leaf_log().unwrap().extend(0, &[five]).unwrap();
            let path = journal.home.path(LEAVES);
            let bytes = [&fs::read(&path).unwrap(), torn].concat();
            fs::write(&path, bytes).unwrap();
            let mut log = journal.leaf_log().unwrap();
            assert_eq!(log.known, [five]);
            log.extend(0, &[five, six]).unwrap();
            assert_eq!(journal.leaf_log().unwrap().known, [five, six]);
        }
    }

    /// KEY-19, ATK-20, ATK-69: a list that was cut, or is an earlier header's, does not vouch for what the server has.
    #[test]
    fn a_list_that_was_cut_is_not_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        begun(&home, &parts(Some("1")));
        let journal = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        let mut log = journal.leaf_log().unwrap();
        let there = [pb::LeafRange { first: 0, count: 2 }];
        log.extend(0, &[LeafHash::from_bytes([5; 32])]).unwrap();
        assert!(!journal.knows(&there).unwrap());
        let path = journal.home.path(LEAVES);
        let before = fs::read(&path).unwrap();
        log.extend(1, &[LeafHash::from_bytes([6; 32])]).unwrap();
        assert!(journal.knows(&there).unwrap());
        fs::write(&path, &before).unwrap();
        assert!(!journal.knows(&there).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!journal.knows(&there).unwrap());
        drop(journal);
        let mut other = Journal::open(&home, &PERMISSION, &long_parts(Some("2"), 9)).unwrap();
        other
            .begin(&UploadId::from_bytes([2; 16]), &[8; HEADER_LEN])
            .unwrap();
        fs::write(&path, &before).unwrap();
        assert!(other.leaf_log().unwrap().known.is_empty());
    }

    #[test]
    fn a_fetch_whose_key_was_torn_or_changed_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let open = || FetchJournal::open(&home, &PERMISSION).unwrap();
        let presented = || {
            let mut journal = open();
            journal.renew().unwrap();
            journal.idempotency_key().to_owned()
        };
        let key = presented();
        let path = home.path(&format!("{FETCHES}/{PERMISSION}"));
        let whole = fs::read(&path).unwrap();
        for torn in [
            vec![0; whole.len()],
            whole[..9].to_vec(),
            Vec::new(),
            [&b"f"[..], &whole[1..]].concat(),
        ] {
            fs::write(&path, torn).unwrap();
            assert!(open().idempotency_key().is_empty());
            let fresh = presented();
            assert!(fresh != key && fresh.len() == key.len());
        }
    }

    #[test]
    fn one_process_sends_under_one_permission() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let first = Journal::open(&home, &PERMISSION, &parts(Some("1"))).unwrap();
        let second = Journal::open(&home, &PERMISSION, &parts(Some("1")));
        assert!(matches!(second, Err(Error::HomeLocked { .. })));
        first.remove();
        assert!(!home.path("uploads").exists());
    }

    #[test]
    fn a_fetch_keeps_its_key_until_it_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let mut journal = FetchJournal::open(&home, &PERMISSION).unwrap();
        journal.renew().unwrap();
        let key = journal.idempotency_key().to_owned();
        drop(journal);
        let again = FetchJournal::open(&home, &PERMISSION).unwrap();
        assert_eq!(again.idempotency_key(), key);
        again.remove();
        assert_ne!(
            FetchJournal::open(&home, &PERMISSION).unwrap().idempotency_key(),
            key
        );
    }
}
