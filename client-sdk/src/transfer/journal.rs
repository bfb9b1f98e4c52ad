//! What makes transfers resumable, in the institution's home.
//!
//! ```text
//! uploads/<permission>/session.json   ids, idempotency key, header of the stream, what the files were
//!                      leaves         hashes of the leaves sealed so far, synced before they are sent
//!                      commit         the commit as it is sent, once all leaves are there
//! fetches/<permission>/idempotency-key
//! ```
//! A stream is sealed again under the same header only to compare it: a leaf whose hash differs from the
//! journal is never sent, because two plaintexts under one key and nonce would give each other away. A source
//! that has changed starts a new record under a fresh key stream.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use crypto::content::Header;
use data_encoding::HEXLOWER;
use protocol_spec::{
    hash::LeafHash,
    ids::{PermissionId, RecordId, UploadId, VersionId},
    messages as pb,
};
use serde::{Deserialize, Serialize};

use super::SourcePart;
use crate::{
    Error, Result,
    home::{At, Home, Lock, sync_folder},
    mint,
};

/// One upload under one permission, locked against a second process.
pub(crate) struct Journal {
    home: Home,
    folder: PathBuf,
    session: Session,
    _lock: Lock,
}

#[derive(Clone, Serialize, Deserialize)]
struct Session {
    format: u32,
    idempotency_key: String,
    record_id: String,
    version_id: String,
    /// Empty when the source cannot tell whether it has changed.
    parts: Vec<(String, String)>,
    #[serde(default)]
    upload_id: Option<String>,
    /// Hex of the stream's header.
    #[serde(default)]
    header: Option<String>,
}

impl Session {
    fn new(parts: &[SourcePart]) -> Result<Self> {
        Ok(Self {
            format: 1,
            idempotency_key: mint::token()?,
            record_id: mint::id(RecordId::mint)?.to_string(),
            version_id: mint::id(VersionId::mint)?.to_string(),
            parts: identities(parts),
            upload_id: None,
            header: None,
        })
    }
}

fn identities(parts: &[SourcePart]) -> Vec<(String, String)> {
    let each = |part: &SourcePart| Some((part.name.as_str().to_owned(), part.identity.clone()?));
    parts.iter().map(each).collect::<Option<_>>().unwrap_or_default()
}

impl Journal {
    /// Takes up what an earlier run of the same source began, or begins anew.
    pub(crate) fn open(home: &Home, permission: &PermissionId, parts: &[SourcePart]) -> Result<Self> {
        let at = home.below(&format!("uploads/{permission}"));
        let folder = at.path("");
        let lock = Home::lock_folder(&folder)?;
        let left: Option<Session> = at.read_json(SESSION).unwrap_or_default();
        let same =
            |left: &Session| left.format == 1 && !left.parts.is_empty() && left.parts == identities(parts);
        let session = match left.filter(same) {
            Some(session) => session,
            None => Session::new(parts)?,
        };
        let mut journal = Self {
            home: at,
            folder,
            session,
            _lock: lock,
        };
        if journal.session.upload_id.is_none() {
            journal.restart(parts)?;
        }
        Ok(journal)
    }

    /// Forgets the earlier session: new ids, new key stream. First the header: as long as that may come back, so
    /// must the hashes of what was sealed under it.
    pub(crate) fn restart(&mut self, parts: &[SourcePart]) -> Result<()> {
        self.session = Session::new(parts)?;
        self.save()?;
        for name in [LEAVES, COMMIT] {
            drop(fs::remove_file(self.folder.join(name)));
        }
        Ok(())
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
        LeafLog::open(&self.home, &self.header_bytes())
    }

    /// Whether the list has every leaf that the server has. One that lacks some was cut, and could not tell whether they are sealed
    /// as they were.
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
    pub(crate) fn commit(&self) -> Result<Option<Bytes>> {
        Ok(self.home.read(COMMIT)?.map(Bytes::from))
    }

    /// Keeps the commit: repeated, it must be the same bytes.
    pub(crate) fn keep_commit(&self, message: &[u8]) -> Result<()> {
        self.home.write(COMMIT, message)
    }

    /// The upload is over, one way or the other. The header goes first, as in [`Self::restart`].
    pub(crate) fn remove(self) {
        drop(fs::remove_file(self.folder.join(SESSION)));
        drop(fs::remove_dir_all(&self.folder));
        // Fails while other uploads are under way.
        drop(self.folder.parent().map(fs::remove_dir));
    }

    fn save(&self) -> Result<()> {
        self.home.write_json(SESSION, &self.session)
    }
}

/// The hashes of the leaves sealed so far. What an earlier run wrote must come again. Of what a power cut has torn off the end, no leaf
/// has left the machine.
pub(crate) struct LeafLog {
    known: Vec<LeafHash>,
    home: Home,
    at: At,
}

impl LeafLog {
    fn open(home: &Home, header: &[u8]) -> Result<Self> {
        let mut at = At::default();
        let known = match kept(home, header, &mut at)? {
            Some(known) => known,
            None => {
                drop(fs::remove_file(home.path(LEAVES)));
                at = At::default();
                home.extend_chain(LEAVES, &mut at, &[header])?;
                Vec::new()
            }
        };
        // No power cut may take the list away and leave the header.
        sync_folder(&home.path(""))?;
        Ok(Self {
            known,
            home: home.clone(),
            at,
        })
    }

    /// Compares leaves that are known, writes and syncs those that are new.
    pub(super) fn extend(&mut self, first: u64, hashes: &[LeafHash]) -> Result<()> {
        let mut new = Vec::new();
        for (index, hash) in (first..).zip(hashes) {
            match usize::try_from(index)
                .ok()
                .and_then(|index| self.known.get(index))
            {
                Some(known) if known != hash => {
                    return Err(Error::SourceChanged {
                        path: self.home.path(LEAVES),
                    });
                }
                Some(_) => {}
                None => new.extend_from_slice(hash.as_bytes()),
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        if self.home.extend_chain(LEAVES, &mut self.at, &[&new])?.is_some() {
            // Its lock is held: nobody else writes here.
            return Err(self.home.damaged(LEAVES));
        }
        self.known
            .extend(new.as_chunks::<32>().0.iter().copied().map(LeafHash::from_bytes));
        Ok(())
    }
}

/// The list of leaves, whose first entry is the header under which they were sealed; none if there is none, or it is of another one.
fn kept(home: &Home, header: &[u8], at: &mut At) -> Result<Option<Vec<LeafHash>>> {
    let more = home.read_chain(LEAVES, at)?;
    let entries = more.map(|more| more.entries).unwrap_or_default();
    let Some((first, hashes)) = entries.split_first() else {
        return Ok(None);
    };
    let hashes = hashes.concat();
    let (hashes, _) = hashes.as_chunks::<32>();
    let known = hashes.iter().copied().map(LeafHash::from_bytes).collect();
    Ok((first == header).then_some(known))
}

/// One fetch under one permission: repeated, it spends no second use. One file, which is its own lock.
pub(crate) struct FetchJournal {
    home: Home,
    path: PathBuf,
    key: String,
    _lock: Lock,
}

impl FetchJournal {
    pub(crate) fn open(home: &Home, permission: &PermissionId) -> Result<Self> {
        let home = home.below(FETCHES);
        let (path, lock) = home.lock_in("", &permission.to_string())?;
        let kept = fs::read(&path).map_err(Error::io("cannot read", &path))?;
        let kept = home.opened(&permission.to_string(), kept)?.unwrap_or_default();
        let key = String::from_utf8(kept).unwrap_or_default();
        let mut journal = Self {
            home,
            path,
            key,
            _lock: lock,
        };
        if journal.key.len() != mint::token()?.len() {
            journal.renew()?;
        }
        Ok(journal)
    }

    /// A new presentation, after the earlier session has ended.
    pub(crate) fn renew(&mut self) -> Result<()> {
        self.key = mint::token()?;
        // Not synced: what is kept from a process that dies is enough, a power cut may cost a use.
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let sealed = self.home.sealed(&name, self.key.as_bytes());
        fs::write(&self.path, sealed).map_err(Error::io("cannot write", &self.path))
    }

    pub(crate) fn idempotency_key(&self) -> &str {
        &self.key
    }

    pub(crate) fn remove(self) {
        drop(fs::remove_file(&self.path));
    }
}

const FETCHES: &str = "fetches";
const SESSION: &str = "session.json";
const LEAVES: &str = "leaves";
const COMMIT: &str = "commit";

#[cfg(test)]
mod tests {
    use crypto::content::HEADER_LEN;
    use protocol_spec::manifest::{Clinical, PartName};

    use super::*;

    const PERMISSION: PermissionId = PermissionId::from_bytes([1; 16]);

    fn parts(identity: Option<&str>) -> Vec<SourcePart> {
        vec![SourcePart {
            name: PartName::try_from("a".to_owned()).unwrap(),
            media_type: String::new(),
            length: 3,
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
        assert!(again.upload_id().is_some());
        drop(again);
        let other = Journal::open(&home, &PERMISSION, &parts(Some("2"))).unwrap();
        assert_ne!(other.idempotency_key(), key);
        assert!(other.header().is_none() && other.upload_id().is_none());
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
        fs::remove_file(journal.folder.join(SESSION)).unwrap();
        fs::create_dir(journal.folder.join(SESSION)).unwrap();
        assert!(journal.restart(&parts(Some("1"))).is_err());
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
            let path = journal.folder.join(LEAVES);
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
        let path = journal.folder.join(LEAVES);
        let before = fs::read(&path).unwrap();
        log.extend(1, &[LeafHash::from_bytes([6; 32])]).unwrap();
        assert!(journal.knows(&there).unwrap());
        fs::write(&path, &before).unwrap();
        assert!(!journal.knows(&there).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!journal.knows(&there).unwrap());
        drop(journal);
        let mut other = Journal::open(&home, &PERMISSION, &parts(Some("2"))).unwrap();
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
        let key = open().idempotency_key().to_owned();
        let path = open().path.clone();
        let whole = fs::read(&path).unwrap();
        for torn in [
            vec![0; whole.len()],
            whole[..9].to_vec(),
            Vec::new(),
            [&b"f"[..], &whole[1..]].concat(),
        ] {
            fs::write(&path, torn).unwrap();
            let fresh = open().idempotency_key().to_owned();
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
        let key = FetchJournal::open(&home, &PERMISSION)
            .unwrap()
            .idempotency_key()
            .to_owned();
        let again = FetchJournal::open(&home, &PERMISSION).unwrap();
        assert_eq!(again.idempotency_key(), key);
        again.remove();
        assert_ne!(
            FetchJournal::open(&home, &PERMISSION).unwrap().idempotency_key(),
            key
        );
    }
}
