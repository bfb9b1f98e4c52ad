//! A certificate while the server runs (OPR-4, OPR-5): its files are read again when they were replaced, and what cannot be
//! served is not taken; connections that are open keep what they began with. Weeks before its end the operator is told.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol_spec::hash::Sha256Digest;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::sync::Notify;

use super::{
    TlsError,
    ending::{DAY, Ending, ending},
    pair::{Pair, PemFiles},
    time,
};

/// What is served now, and where the next one comes from.
#[derive(Debug)]
pub(crate) struct Keeper {
    files: Option<PemFiles>,
    /// Hosts that the operator has given out.
    hosts: Vec<String>,
    state: Mutex<InUse>,
    wanted: Notify,
}

#[derive(Debug)]
struct InUse {
    pair: Pair,
    /// Of what the files held when they were looked at last.
    seen: Option<Sha256Digest>,
    /// Why what they held then is not served.
    unused: Option<String>,
    /// The day on which its end was told last, since 1970.
    told: u64,
}

/// What came of a look at the files.
#[derive(Debug, PartialEq, Eq)]
enum Looked {
    /// They are as they were.
    Unchanged,
    /// What they hold is served from now on.
    Replaced,
    /// What they hold is not served.
    Refused(String),
}

impl Keeper {
    pub(super) fn new(pair: Pair, files: Option<PemFiles>, hosts: Vec<String>) -> Self {
        for host in &hosts {
            if files.is_some() && !pair.is_for(host) {
                tracing::error!(
                    host,
                    "the certificate is not for this name of --public-authority: clients will refuse it"
                );
            }
        }
        Self {
            files,
            hosts,
            state: Mutex::new(InUse {
                pair,
                seen: None,
                unused: None,
                told: 0,
            }),
            wanted: Notify::new(),
        }
    }

    /// Has the files looked at now, and what came of it told.
    pub(crate) fn look_now(&self) {
        self.wanted.notify_one();
    }

    /// Looks at the files and at the clock from time to time, for ever.
    pub(crate) async fn run(self: Arc<Self>, every: Duration) {
        loop {
            self.tell_end(now());
            let asked = tokio::select! {
                () = tokio::time::sleep(every.max(SHORTEST)) => false,
                () = self.wanted.notified() => true,
            };
            let mut looked = self.clone().looked().await;
            if !asked && matches!(looked, Looked::Refused(_)) {
                // Whoever replaces two files does so one after the other.
                tokio::time::sleep(SETTLE).await;
                let again = self.clone().looked().await;
                looked = if again == Looked::Unchanged { looked } else { again };
            }
            self.tell(looked, asked);
        }
    }

    async fn looked(self: Arc<Self>) -> Looked {
        let looked = tokio::task::spawn_blocking(move || self.look(now())).await;
        looked.unwrap_or(Looked::Unchanged)
    }

    /// When it ends, in seconds since 1970.
    pub(crate) fn ends(&self) -> u64 {
        self.state().pair.ends
    }

    /// How near its end is, by this machine's clock.
    pub(crate) fn ending(&self) -> Ending {
        ending(self.ends(), now())
    }

    /// What is to be said of other certificates of the chain, by this machine's clock. Whether clients refuse it for that is theirs to know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings_at(now())
    }

    fn warnings_at(&self, now: u64) -> Vec<String> {
        self.state().pair.warnings(now)
    }

    /// Why what lies in the files is not what is served, if it is not.
    pub(crate) fn unused(&self) -> Option<String> {
        self.state().unused.clone()
    }

    /// Reads the files, and serves what they hold from now on if it can be served. Blocks.
    fn look(&self, now: u64) -> Looked {
        let Some(files) = &self.files else {
            return Looked::Unchanged;
        };
        let read = match files.read() {
            Ok(read) => read,
            Err(error) => return self.refuse(None, &error),
        };
        let digest = read.digest();
        if self.state().seen == Some(digest) {
            return Looked::Unchanged;
        }
        let pair = match read.pair().and_then(|pair| self.fit(pair, now)) {
            Ok(pair) => pair,
            Err(error) => return self.refuse(Some(digest), &error),
        };
        let mut state = self.state();
        state.seen = Some(digest);
        state.unused = None;
        if state.pair.certified().cert == pair.certified().cert {
            return Looked::Unchanged;
        }
        state.pair = pair;
        state.told = 0;
        Looked::Replaced
    }

    /// Whether it is no worse than the one that is served: it holds now, and for every name for which that one does.
    fn fit(&self, pair: Pair, now: u64) -> Result<Pair, TlsError> {
        let state = self.state();
        let (begins, ends) = (pair.begins, pair.ends);
        if !pair.holds_at(now) && state.pair.holds_at(now) {
            return Err(TlsError::NotNow { begins, ends });
        }
        let lost = self
            .hosts
            .iter()
            .find(|host| state.pair.is_for(host) && !pair.is_for(host));
        match lost {
            Some(host) => Err(TlsError::Name { host: host.clone() }),
            None => Ok(pair),
        }
    }

    fn refuse(&self, seen: Option<Sha256Digest>, error: &TlsError) -> Looked {
        let why = error.to_string();
        let mut state = self.state();
        let told = state.unused.as_ref() == Some(&why);
        state.seen = seen;
        state.unused = Some(why.clone());
        if told {
            Looked::Unchanged
        } else {
            Looked::Refused(why)
        }
    }

    fn tell(&self, looked: Looked, asked: bool) {
        let files = self.files.as_ref().map(ToString::to_string).unwrap_or_default();
        let ends = time(self.ends());
        match (looked, self.unused()) {
            (Looked::Replaced, _) => {
                tracing::info!(
                    files,
                    ends,
                    "the certificate was replaced: new connections get it"
                );
            }
            (Looked::Refused(why), _) => unused(&files, &why, &ends),
            // Whoever asks is answered, also when nothing is new.
            (Looked::Unchanged, Some(why)) if asked => unused(&files, &why, &ends),
            (Looked::Unchanged, None) if asked => {
                tracing::info!(files, ends, "the certificate is the one that is served already");
            }
            (Looked::Unchanged, _) => {}
        }
    }

    /// Once a day, from [`WARN_DAYS`] before the end, and the same of the rest of the chain.
    fn tell_end(&self, now: u64) {
        let ending = ending(self.ends(), now);
        let warnings = self.warnings_at(now);
        let today = now / DAY;
        {
            let mut state = self.state();
            if state.told == today || ending == Ending::Far && warnings.is_empty() {
                return;
            }
            state.told = today;
        }
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let ends = time(self.ends());
        match ending {
            Ending::Soon(days) => {
                tracing::warn!(
                    ends,
                    days,
                    "the certificate ends soon: renew it; its files are read by themselves"
                );
            }
            Ending::Over => tracing::error!(
                ends,
                "the certificate has ended, and clients refuse it: renew it now"
            ),
            Ending::Far => {}
        }
    }

    /// Each change is whole before it is let go.
    fn state(&self) -> MutexGuard<'_, InUse> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResolvesServerCert for Keeper {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.state().pair.certified())
    }
}

fn unused(files: &str, why: &str, ends: &str) {
    tracing::error!(
        files,
        why,
        ends,
        "what lies in the certificate's files cannot be served: the one before stays"
    );
}

/// The system's clock, in seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Between the two files of a replacement.
const SETTLE: Duration = Duration::from_secs(2);
/// Reading two files more often than this helps nobody.
const SHORTEST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{
        super::pair::tests::{chained, made, put},
        *,
    };

    /// 2026-11-30.
    const NOW: u64 = 1_795_996_800;

    fn keeper(folder: &std::path::Path) -> Keeper {
        let files = put(folder, &made("vault.example", (2026, 2027)));
        let pair = files.read().unwrap().pair().unwrap();
        Keeper::new(pair, Some(files), vec!["vault.example".to_owned()])
    }

    /// OPR-4: what is whole is taken, what is not leaves the one before, and says why; when it is mended it is taken.
    #[test]
    fn files_that_are_replaced_are_read_again_and_broken_ones_are_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper(folder.path());
        assert_eq!(keeper.look(NOW), Looked::Unchanged);
        let first = keeper.ends();
        let next = made("vault.example", (2026, 2028));
        let (other_chain, _) = made("vault.example", (2026, 2029));
        for (pair, why) in [
            ((String::new(), next.1.clone()), "holds no usable PEM certificate"),
            ((other_chain, next.1.clone()), "the pair that belongs together"),
            (made("vault.example", (2020, 2021)), "and not now"),
            (made("vault.example", (2030, 2031)), "and not now"),
            (made("other.example", (2026, 2028)), "is not for vault.example"),
        ] {
            put(folder.path(), &pair);
            let looked = keeper.look(NOW);
            let Looked::Refused(text) = &looked else {
                panic!("{looked:?}");
            };
            assert!(text.contains(why), "{text}");
            assert_eq!(keeper.unused().as_ref(), Some(text));
            assert_eq!(keeper.ends(), first);
            // The same again is told once.
            assert_eq!(keeper.look(NOW), Looked::Unchanged);
        }
        fs::remove_file(folder.path().join("chain.pem")).unwrap();
        assert!(matches!(keeper.look(NOW), Looked::Refused(_)));
        put(folder.path(), &next);
        assert_eq!(keeper.look(NOW), Looked::Replaced);
        assert_eq!(keeper.unused(), None);
        assert!(keeper.ends() > first);
    }

    /// OPR-4: whoever comes from a certificate that has ended takes what there is.
    #[test]
    fn what_has_ended_is_replaced_by_whatever_is_no_worse() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper(folder.path());
        let later = NOW + 40 * DAY;
        put(folder.path(), &made("vault.example", (2028, 2029)));
        assert_eq!(keeper.look(later), Looked::Replaced);
    }

    /// OPR-4, OPR-5: a chain with an older root that is over takes the place of one without, and the end that is told is the server's own
    /// certificate's; the same root says nothing for a certificate of the server's own that is over.
    #[test]
    fn another_certificate_of_the_chain_is_told_of_and_refuses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = keeper(folder.path());
        let root = ("An Old Root", 2000, 2021);
        put(folder.path(), &chained((2026, 2029), root));
        assert_eq!(keeper.look(NOW), Looked::Replaced);
        // 2029-01-01.
        assert_eq!(keeper.ends(), 1_861_920_000);
        assert_eq!(ending(keeper.ends(), NOW), Ending::Far);
        let told = keeper.warnings_at(NOW);
        assert!(
            told.len() == 1 && told[0].contains("(An Old Root) ended"),
            "{told:?}"
        );
        put(folder.path(), &chained((2020, 2021), root));
        assert!(matches!(keeper.look(NOW), Looked::Refused(_)));
    }

    /// OPR-5
    #[test]
    fn an_end_is_near_from_three_weeks_before() {
        let ends = NOW + 21 * DAY;
        assert_eq!(ending(ends, NOW), Ending::Far);
        assert_eq!(ending(ends, NOW + 1), Ending::Soon(20));
        assert_eq!(ending(ends, ends), Ending::Soon(0));
        assert_eq!(ending(ends, ends + 1), Ending::Over);
    }
}
