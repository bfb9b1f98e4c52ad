//! A certificate authority of a test: servers get certificates from it as they do from a public one, and clients trust it by
//! `SSL_CERT_FILE`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

/// The authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// What it has issued, as files that a server reads.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The chain, PEM.
    pub chain: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

impl Authority {
    /// A new one.
    pub fn new() -> Result<Self> {
        Self::of_years("an authority of a test", 2000, 2200)
    }

    /// One whose own certificate is over, as old roots are.
    pub fn over() -> Result<Self> {
        Self::of_years("an old root", 2000, 2021)
    }

    fn of_years(name: &str, from: i32, to: i32) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Writes its own certificate, for `SSL_CERT_FILE`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let certificate: &rcgen::Certificate = self.0.as_ref();
        Ok(fs::write(path, certificate.pem())?)
    }

    /// Issues a certificate for a name, from one day to another, counted from today, and puts it where the one before lies, in the
    /// order in which tools do it: the key first.
    pub fn issue(&self, folder: &Path, name: &str, (from, to): (i64, i64)) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        let now = UNIX_EPOCH.elapsed()?.as_secs();
        let day = |days: i64| {
            let seconds = now.saturating_add_signed(days * 24 * 3600);
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (day(from), day(to));
        let certificate = params.signed_by(&key, &self.0)?;
        let issued = Issued {
            chain: folder.join("chain.pem"),
            key: folder.join("key.pem"),
        };
        put(&issued.key, &key.serialize_pem())?;
        put(&issued.chain, &certificate.pem())?;
        Ok(issued)
    }
}

impl Issued {
    /// The flags of a server that serves with it.
    pub fn flags(&self) -> [String; 4] {
        [
            "--tls-cert".into(),
            self.chain.display().to_string(),
            "--tls-key".into(),
            self.key.display().to_string(),
        ]
    }
}

/// Whole under its name, for its owner alone.
fn put(path: &Path, text: &str) -> Result<()> {
    let draft = path.with_extension("new");
    fs::write(&draft, text)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o600))?;
    Ok(fs::rename(draft, path)?)
}
