//! TLS of the players' port: who this node says it is, the handshake, and new certificates while connections go on.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::signal::unix::Signal;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::backplane::Backplane;
use crate::io::node::Node;

/// How long a client may take for its handshake.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);
/// How often the files are looked at. New ones count once they were the same at two looks: nothing half written does.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes of a certificate chain or a key.
const FILE_BYTES_MAX: u64 = 256 * 1024;
/// Content type of a handshake: the first byte of whoever speaks TLS.
const HANDSHAKE: u8 = 22;
/// For whoever speaks HTTP here.
const SPEAK_TLS: &str = "this port speaks TLS: use https:// or wss://\n";

/// Where the certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate and those that lead to its authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
}

/// Why a certificate cannot be used, and what would do.
#[derive(Debug, Error)]
pub enum BadIdentity {
    /// A file is not there, or may not be read.
    #[error("{flag} {}: cannot be read: {error}", file.display())]
    Unreadable {
        /// The setting.
        flag: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No certificate in it.
    #[error(
        "--tls-cert {}: no certificate in it ({reason}); it begins with -----BEGIN CERTIFICATE-----, the node's own \
         comes first and the authority's need not be there",
        file.display()
    )]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No private key in it.
    #[error(
        "--tls-key {}: no private key in it ({reason}); it begins with -----BEGIN PRIVATE KEY----- and is not encrypted",
        file.display()
    )]
    NoKey {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The two do not make an identity.
    #[error(
        "--tls-cert {} and --tls-key {} do not fit each other: {error}; the key has to be the one that the first \
         certificate was made for",
        files.cert.display(),
        files.key.display()
    )]
    Unfit {
        /// Both files.
        files: IdentityFiles,
        /// What is wrong with them.
        error: rustls::Error,
    },
}

/// What the files hold.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

/// Who this node says it is to its clients.
pub struct Identity {
    files: IdentityFiles,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// What the configuration was made of, or what was refused last.
    judged: Pair,
}

impl Identity {
    /// Reads the files.
    pub fn load(files: IdentityFiles) -> Result<Identity, BadIdentity> {
        let judged = Pair::read(&files)?;
        let config = configure(&files, &judged)?;
        Ok(Identity { files, loaded: Mutex::new(Loaded { config, judged }) })
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.loaded.lock().unwrap_or_else(PoisonError::into_inner).config)
    }

    /// Takes what was read, if that is news; connections that come from now on see it. `None` if it is none.
    fn take(&self, pair: &Pair) -> Option<Result<(), BadIdentity>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.judged == *pair {
            return None;
        }
        loaded.judged = pair.clone();
        Some(configure(&self.files, pair).map(|config| loaded.config = config))
    }
}

impl Pair {
    fn read(files: &IdentityFiles) -> Result<Pair, BadIdentity> {
        Ok(Pair { cert: read_file("--tls-cert", &files.cert)?, key: read_file("--tls-key", &files.key)? })
    }
}

fn read_file(flag: &'static str, file: &Path) -> Result<Vec<u8>, BadIdentity> {
    let unreadable = |error| BadIdentity::Unreadable { flag, file: file.to_owned(), error };
    let size = fs::metadata(file).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(unreadable(io::Error::other(format!("{size} bytes are more than {FILE_BYTES_MAX}"))));
    }
    fs::read(file).map_err(unreadable)
}

/// TLS 1.2 and 1.3, HTTP/1.1 inside.
fn configure(files: &IdentityFiles, pair: &Pair) -> Result<Arc<ServerConfig>, BadIdentity> {
    let no_certificate = |reason| BadIdentity::NoCertificate { file: files.cert.clone(), reason };
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&pair.cert).collect();
    let chain = chain.map_err(|error| no_certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(no_certificate("nothing is marked as one".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&pair.key)
        .map_err(|error| BadIdentity::NoKey { file: files.key.clone(), reason: error.to_string() })?;
    let unfit = |error| BadIdentity::Unfit { files: files.clone(), error };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Shakes hands with a client, within [`HANDSHAKE_DEADLINE`]. One that speaks HTTP is told to speak TLS.
pub async fn shake_hands(identity: &Identity, mut stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let shaking = async {
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 && first[0] != HANDSHAKE {
            if first[0].is_ascii_uppercase() {
                refuse_http(&mut stream).await?;
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the client does not speak TLS"));
        }
        TlsAcceptor::from(identity.config()).accept(stream).await
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time");
    timeout(HANDSHAKE_DEADLINE, shaking).await.map_err(late)?
}

/// Answers and reads on until the client has heard it: unread bytes would have the system throw the answer away.
async fn refuse_http(stream: &mut TcpStream) -> io::Result<()> {
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close";
    let answer = format!("{head}\r\nContent-Length: {}\r\n\r\n{SPEAK_TLS}", SPEAK_TLS.len());
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut buffer = [0; 1024];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Takes new certificates when the files have changed, or at once when asked, until the node stops.
pub async fn watch<B: Backplane>(node: Arc<Node<B>>, identity: Arc<Identity>, mut asked: Signal) {
    let mut stopping = node.stopping();
    let mut looks = interval(LOOK_INTERVAL);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = None;
    loop {
        let is_asked = tokio::select! {
            _ = looks.tick() => false,
            _ = asked.recv() => true,
            _ = stopping.changed() => return,
        };
        // Two small files: to read them takes microseconds.
        match Pair::read(&identity.files) {
            Ok(pair) if is_asked || seen.as_ref() == Some(&pair) => match identity.take(&pair) {
                Some(Ok(())) => tracing::info!(file = %identity.files.cert.display(), "new certificate"),
                Some(Err(error)) => refuse(&node, &error),
                None if is_asked => tracing::info!("the certificate is the same as before"),
                None => {}
            },
            Ok(pair) => seen = Some(pair),
            Err(error) if is_asked || seen.take().is_some() => refuse(&node, &error),
            Err(_) => {}
        }
    }
}

fn refuse<B: Backplane>(node: &Node<B>, error: &BadIdentity) {
    node.metrics.certificates_refused.add(1);
    tracing::error!(%error, "the new certificate is not used, the old one still is");
}
