//! Whose command this is: the home, how it is unlocked, and in which form to answer.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read, stderr, stdin},
    path::{Path, PathBuf},
    time::Duration,
};

use client_sdk::{
    Error, Ground, InboxEvent, Institution, NewestEvents, Patient, Registrar, Trust, Unlock,
    patient::{News, NewsKind},
    trace::Tracer,
};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    output::{self, Report, note, plain},
    progress::Bar,
    values::Global,
};

/// Longest time that a command waits for what is to be told first.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The environment variable with the passphrase of the home. It stays in the memory of this process, and in that of the
/// one that started it, as long as they run: a file or a descriptor does not.
const PASSPHRASE: &str = "MEDVAULT_PASSPHRASE";

/// What the global options say.
pub(crate) struct Context {
    global: Global,
    /// Who is told of all that travels.
    tracer: Option<Tracer>,
}

impl Context {
    pub(crate) fn new(global: Global, tracer: Option<Tracer>) -> Self {
        Self { global, tracer }
    }

    /// The folder of the home that was named.
    pub(crate) fn home(&self) -> Result<&Path, Failure> {
        self.global
            .home
            .as_deref()
            .filter(|home| !home.as_os_str().is_empty())
            .ok_or_else(|| {
                Failure::usage(
                    "whose home is it? give --home DIR or set MEDVAULT_HOME to the folder with its keys",
                )
            })
    }

    /// What the home stands on: its folder, and the way to servers.
    pub(crate) fn ground(&self) -> Result<Ground, Failure> {
        Ok(self.reaching(Ground::folder(self.home()?)))
    }

    /// The way to servers alone, for commands that need no home.
    pub(crate) fn nowhere(&self) -> Ground {
        self.reaching(Ground::nowhere())
    }

    fn reaching(&self, ground: Ground) -> Ground {
        let ground = ground.through(self.global.proxy.clone().unwrap_or_default());
        match &self.tracer {
            Some(tracer) => ground.traced(tracer.clone()),
            None => ground,
        }
    }

    /// How a home is unlocked that is there, or that is about to be made; then a typed passphrase is typed twice.
    pub(crate) fn unlock_to_make(&self) -> Result<Unlock, Failure> {
        let home = self.home()?;
        let is_new = std::fs::read_dir(home).map_or(true, |mut entries| entries.next().is_none());
        self.unlock_with(|| if is_new { ask_twice() } else { ask("Passphrase: ") })
    }

    /// How a home that is there is unlocked.
    pub(crate) fn unlock(&self) -> Result<Unlock, Failure> {
        let home = self.home()?;
        if let Some(file) = &self.global.key_file
            && home.is_dir()
            && !file.exists()
        {
            let missing = io::ErrorKind::NotFound.into();
            return Err(Failure::file("cannot read the key file", file, &missing));
        }
        self.unlock_with(|| {
            // Before a person types a passphrase in vain.
            if home.is_dir() {
                ask("Passphrase: ")
            } else {
                Err(Error::HomeMissing {
                    home: home.to_owned(),
                }
                .into())
            }
        })
    }

    /// The registrar whose home this is.
    pub(crate) fn registrar(&self) -> Result<Registrar, Failure> {
        Ok(Registrar::open(self.ground()?, &self.unlock()?)?)
    }

    /// The patient whose home this is.
    pub(crate) async fn patient(&self) -> Result<Patient, Failure> {
        let patient = Patient::open(self.ground()?, &self.unlock()?).await?;
        self.remind(&patient);
        tell(&patient).await;
        Ok(patient)
    }

    /// Once a day on standard error, when a recovery kit has not been tried for a year. That it
    /// cannot be told keeps no command from running.
    fn remind(&self, patient: &Patient) {
        if self.json() {
            return;
        }
        if let Ok(Some(since)) = patient.recovery_reminder() {
            note(&format!(
                "Your recovery kit was last tried on {}: find out that it still works with `medvault recovery drill`.",
                output::moment(since)
            ));
        }
    }

    /// The institution whose home this is.
    pub(crate) async fn institution(&self) -> Result<Institution, Failure> {
        Ok(Institution::open(self.ground()?, &self.unlock()?).await?)
    }

    /// The patient or institution whose home this is.
    pub(crate) async fn member(&self) -> Result<Member, Failure> {
        let (home, unlock) = (self.ground()?, self.unlock()?);
        match Patient::open(home.clone(), &unlock).await {
            Ok(patient) => Ok(Member::Patient(Box::new(patient))),
            Err(Error::HomeKind { .. }) => {
                let institution = Institution::open(home, &unlock).await?;
                Ok(Member::Institution(Box::new(institution)))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn print(&self, report: &impl Report) -> Result<(), Failure> {
        output::print(report, self.json())
    }

    /// Prints what a command has done: a text for people, or fields for programs.
    pub(crate) fn say(&self, text: &str, fields: &impl Serialize) -> Result<(), Failure> {
        output::say(text, fields, self.json())
    }

    /// A bar for a transfer.
    pub(crate) fn progress(&self, verb: &'static str) -> Bar {
        Bar::new(verb, self.json())
    }

    /// Whether a program reads the answer.
    pub(crate) fn json(&self) -> bool {
        self.global.json
    }

    fn unlock_with(
        &self,
        prompt: impl Fn() -> Result<Zeroizing<String>, Failure>,
    ) -> Result<Unlock, Failure> {
        if let Some(file) = &self.global.key_file {
            return Ok(Unlock::KeyFile(file.clone()));
        }
        let passphrase = match (&self.global.passphrase_file, self.global.passphrase_fd) {
            (_, Some(number)) => first_line(&PathBuf::from(format!("/dev/fd/{number}")))?,
            (Some(file), None) => {
                if file.exists() {
                    guard::secret(file).map_err(Error::from)?;
                }
                first_line(file)?
            }
            (None, None) => match std::env::var(PASSPHRASE) {
                Ok(passphrase) => Zeroizing::new(passphrase),
                Err(std::env::VarError::NotUnicode(_)) => {
                    return Err(Failure::usage(format!(
                        "{PASSPHRASE} is not UTF-8: choose another passphrase"
                    )));
                }
                Err(std::env::VarError::NotPresent) => prompt()?,
            },
        };
        if passphrase.trim_end_matches(['\r', '\n']).is_empty() {
            return Err(Failure::usage(
                "the passphrase is empty: give --passphrase-file FILE with one, or --key-file FILE",
            ));
        }
        Ok(Unlock::Passphrase(passphrase))
    }

    /// The options that every command understands.
    pub(crate) fn global(&self) -> &Global {
        &self.global
    }
}

/// What patients and institutions can do alike.
pub(crate) enum Member {
    Patient(Box<Patient>),
    Institution(Box<Institution>),
}

impl Member {
    /// The directory and the log of the server, as the home believes them.
    pub(crate) fn trust(&self) -> Trust<'_> {
        match self {
            Self::Patient(patient) => patient.trust(),
            Self::Institution(institution) => institution.trust(),
        }
    }

    pub(crate) async fn inbox(
        &self,
        after: u64,
        wait: Option<Duration>,
    ) -> client_sdk::Result<Vec<InboxEvent>> {
        match self {
            Self::Patient(patient) => patient.inbox(after, wait).await,
            Self::Institution(institution) => institution.inbox(after, wait).await,
        }
    }

    pub(crate) async fn newest_events(&self, most: u64, since: u64) -> client_sdk::Result<NewestEvents> {
        match self {
            Self::Patient(patient) => patient.newest_events(most, since).await,
            Self::Institution(institution) => institution.newest_events(most, since).await,
        }
    }
}

/// A passphrase, without the line break behind it.
fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failure = |source: &io::Error| Failure::file("cannot read the passphrase from", path, source);
    let file = File::open(path).map_err(|source| failure(&source))?;
    // Never moved while it grows; no passphrase is longer.
    let mut line = Zeroizing::new(String::with_capacity(LONGEST));
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    // A buffer of one byte keeps no copy.
    BufReader::with_capacity(1, file.take(limit))
        .read_line(&mut line)
        .map_err(|source| failure(&source))?;
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

const LONGEST: usize = 4096;

/// What other devices of hers have added, on standard error, before anything else (DEV-24). That it cannot be told keeps no command
/// from running; that there may be something, and why it is not told, is said.
/// So is, each time, that the newest root key does not open (DEV-30).
pub(crate) async fn tell(patient: &Patient) {
    tell_news(patient).await;
    if let Some(error) = patient.unusable_root_key() {
        note(&plain(&error.to_string()));
    }
}

async fn tell_news(patient: &Patient) {
    let news = match tokio::time::timeout(PATIENCE, patient.news()).await {
        Ok(Ok(news)) => news,
        Ok(Err(error)) if error.has_no_way() => return,
        Ok(Err(error)) => {
            note(&format!(
                "what your other devices have done could not be looked at: {error}"
            ));
            return;
        }
        Err(_) => {
            note("what your other devices have done could not be looked at in time");
            return;
        }
    };
    let any = !news.is_empty();
    for News {
        what, name, id, by, ..
    } in news
    {
        let (name, by) = (plain(&name), plain(&by));
        note(&match what {
            NewsKind::Device => format!("{by} has added the device {name} ({id})."),
            NewsKind::Recovery => format!("{by} has added a way to recover your vault: {name} ({id})."),
            NewsKind::Leaving => {
                format!("{by} has announced that {name} leaves: to keep it, medvault device keep {id}")
            }
            NewsKind::Removed => format!("{by} has removed {name} ({id})."),
            NewsKind::Delegate => format!("{by} has made {name} your delegate ({id})."),
            NewsKind::Card => format!("{by} has made an emergency card ({id})."),
            NewsKind::Guardian => format!("{by} has named a guardian, {name} ({id})."),
        });
    }
    if any {
        note("If that was not you, remove the device that did it: medvault device remove NAME --lost");
    }
}

/// What is to open a home from now on: a key file, the first line of a file, or what is typed twice.
pub(crate) fn next_unlock(
    passphrase_file: Option<&Path>,
    key_file: Option<PathBuf>,
) -> Result<Unlock, Failure> {
    if let Some(file) = key_file {
        return Ok(Unlock::KeyFile(file));
    }
    let passphrase = match passphrase_file {
        Some(file) => {
            if file.exists() {
                guard::secret(file).map_err(Error::from)?;
            }
            first_line(file)?
        }
        None if stdin().is_terminal() && stderr().is_terminal() => ask_twice()?,
        None => {
            return Err(Failure::usage(
                "there is no new passphrase and no terminal to ask on: give --new-passphrase-file FILE or --new-key-file FILE",
            ));
        }
    };
    if passphrase.is_empty() {
        return Err(Failure::usage(
            "the new passphrase is empty: choose four words or more",
        ));
    }
    Ok(Unlock::Passphrase(passphrase))
}

fn ask_twice() -> Result<Zeroizing<String>, Failure> {
    let passphrase = ask("New passphrase: ")?;
    if *ask("The same again: ")? == *passphrase {
        Ok(passphrase)
    } else {
        Err(Failure::usage("the two passphrases differ: start again"))
    }
}

/// Asks for a passphrase without showing it.
fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "no passphrase and no terminal to ask on: give --passphrase-file FILE, --passphrase-fd N or --key-file FILE, or set \
             {PASSPHRASE}"
        )));
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|source| {
            Failure::usage(format!(
                "no passphrase could be read ({source}): give --passphrase-file FILE"
            ))
        })
}
