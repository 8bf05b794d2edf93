//! Certificates of one test's own: an authority, and identities that it vouches for, as files in a folder that ends with
//! its value.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tickcast_client::Trust;

/// Names of this machine, as nodes and Redis are addressed in tests.
pub const HERE: &[&str] = &["127.0.0.1", "localhost"];

/// Somebody who says who others are.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Files {
    /// The certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Authority {
    /// One with this name.
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are fine");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("our own folder can be written");
        Authority { issuer, folder }
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What a client has that trusts it and nobody else.
    pub fn trust(&self) -> Trust {
        Trust::file(&self.file()).expect("the authority's certificate is one")
    }

    /// An identity of this name, for these addresses.
    pub fn identity(&self, name: &str, addresses: &[&str]) -> Files {
        self.write(name, &self.params(addresses))
    }

    /// One that was good until 2001.
    pub fn expired(&self, name: &str, addresses: &[&str]) -> Files {
        let mut params = self.params(addresses);
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
        self.write(name, &params)
    }

    fn params(&self, addresses: &[&str]) -> CertificateParams {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        CertificateParams::new(addresses).expect("names of machines")
    }

    /// A new key each time. Files of a name that there is already are replaced.
    fn write(&self, name: &str, params: &CertificateParams) -> Files {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let path = |end: &str| self.folder.path().join(format!("{name}.{end}.pem"));
        let files = Files { cert: path("cert"), key: path("key") };
        replace(&files.cert, &certificate.pem());
        replace(&files.key, &key.serialize_pem());
        files
    }
}

impl Files {
    /// The flags by which a node shows it.
    pub fn flags(&self) -> Vec<String> {
        let shown = |path: &Path| path.to_str().expect("a temporary path is text").to_owned();
        vec!["--tls-cert".to_owned(), shown(&self.cert), "--tls-key".to_owned(), shown(&self.key)]
    }

    /// Puts others in their place.
    pub fn become_those(&self, others: &Files) {
        for (own, other) in [(&self.cert, &others.cert), (&self.key, &others.key)] {
            replace(own, &fs::read_to_string(other).expect("our own file can be read"));
        }
    }
}

/// At once, as those do that renew certificates.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("our own folder can be written");
    fs::rename(&beside, path).expect("our own file can be replaced");
}
