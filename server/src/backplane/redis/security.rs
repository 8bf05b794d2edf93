//! TLS to the store: whom a node trusts to be its Redis, and what it shows of itself. Where the address asks for TLS,
//! nothing is ever sent without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use redis::{Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, TlsCertificates};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::connection::describe;

/// Files for an address that begins with `rediss`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct SecurityFiles {
    /// Certificates (PEM) of the authorities that say who the Redis is, for rediss:// [default: those that browsers trust]
    #[arg(long = "redis-ca", env = "TICKCAST_REDIS_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,

    /// Certificate (PEM) to show to a Redis that asks for one [default: none]
    #[arg(long = "redis-cert", env = "TICKCAST_REDIS_CERT", value_name = "FILE")]
    pub cert: Option<PathBuf>,

    /// Private key (PEM) of that certificate [default: none]
    #[arg(long = "redis-key", env = "TICKCAST_REDIS_KEY", value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// What the files hold.
#[derive(Debug, Clone, Default)]
pub(super) struct Security {
    ca: Option<Vec<u8>>,
    own: Option<(Vec<u8>, Vec<u8>)>,
}

impl SecurityFiles {
    /// Whether any is named.
    pub(super) fn are_given(&self) -> bool {
        [&self.ca, &self.cert, &self.key].into_iter().any(|file| given(file).is_some())
    }

    /// Reads them; an error is for a person.
    pub(super) fn load(&self) -> Result<Security, String> {
        let ca = given(&self.ca).map(|file| read("--redis-ca", file)).transpose()?;
        let own = match (given(&self.cert), given(&self.key)) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((read("--redis-cert", cert)?, read("--redis-key", key)?)),
            (Some(_), None) => {
                return Err("--redis-cert needs its private key: add --redis-key FILE".to_owned());
            }
            (None, Some(_)) => {
                return Err("--redis-key needs its certificate: add --redis-cert FILE".to_owned());
            }
        };
        Ok(Security { ca, own })
    }
}

/// An empty variable names no file.
fn given(file: &Option<PathBuf>) -> Option<&Path> {
    file.as_deref().filter(|path| !path.as_os_str().is_empty())
}

fn read(flag: &str, file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{flag} {}: cannot be read: {error}", file.display()))
}

impl Security {
    /// The same connection with what the files say.
    pub(super) fn secure(&self, info: ConnectionInfo) -> Result<ConnectionInfo, String> {
        let own = self.own.clone();
        let client_tls = own.map(|(client_cert, client_key)| ClientTlsConfig { client_cert, client_key });
        let certificates = TlsCertificates { client_tls, root_cert: self.ca.clone() };
        let client = Client::build_with_tls(info, certificates).map_err(|error| describe(&error))?;
        Ok(client.get_connection_info().clone())
    }

    /// The same for connections that are not the crate's.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        let roots = match &self.ca {
            None => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
            Some(pem) => authorities(pem).map_err(|error| format!("--redis-ca: {error}"))?,
        };
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let builder = builder.with_root_certificates(roots);
        let Some((cert, key)) = &self.own else { return Ok(Arc::new(builder.with_no_client_auth())) };
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(cert).collect();
        let chain = chain.map_err(|error| format!("--redis-cert: {error}"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("--redis-key: {error}"))?;
        let config = builder.with_client_auth_cert(chain, key);
        config.map(Arc::new).map_err(|error| format!("--redis-cert and --redis-key: {error}"))
    }
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("no certificate of an authority in it".to_owned()) } else { Ok(roots) }
}

/// The same place as `like`, elsewhere: under TLS if that is.
pub(super) fn address_like(like: &ConnectionAddr, host: &str, port: u16) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls { tls_params, .. } => ConnectionAddr::TcpTls {
            host: host.to_owned(),
            port,
            insecure: false,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host.to_owned(), port),
    }
}
