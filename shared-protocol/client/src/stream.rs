//! What a WebSocket or a request goes over: TCP, or TLS over it, and whom a client trusts to be a node.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::target::Target;

/// Whom a client trusts to say who a node is: by default the authorities that browsers trust. Only nodes whose address
/// begins with `wss://` are asked, and those never do without.
#[derive(Debug, Clone, Default)]
pub struct Trust(Option<Arc<ClientConfig>>);

/// Why nobody can be trusted.
#[derive(Debug, Error)]
pub enum BadTrust {
    /// The file is not there, or may not be read.
    #[error("{}: cannot be read: {error}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// No certificate in it.
    #[error("{}: no certificate of an authority in it ({reason}); it begins with -----BEGIN CERTIFICATE-----", file.display())]
    NoAuthority {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Trust {
    /// Trusts the authorities whose certificates (PEM) are in this file, and no others.
    ///
    /// # Errors
    /// When there are none.
    pub fn file(file: &Path) -> Result<Trust, BadTrust> {
        let pem = fs::read(file).map_err(|error| BadTrust::Unreadable { file: file.to_owned(), error })?;
        let bad = |reason: String| BadTrust::NoAuthority { file: file.to_owned(), reason };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| bad(error.to_string()))?;
            roots.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(bad("nothing is marked as one".to_owned()));
        }
        Ok(Trust(Some(configure(roots))))
    }

    fn config(&self) -> Arc<ClientConfig> {
        static PUBLIC: OnceLock<Arc<ClientConfig>> = OnceLock::new();
        let public = || configure(webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect());
        self.0.clone().unwrap_or_else(|| Arc::clone(PUBLIC.get_or_init(public)))
    }
}

fn configure(roots: RootCertStore) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring has what TLS 1.2 and 1.3 need");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A connection to a node.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over it.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Puts TLS over a connection where the address says so. The node has to prove its name.
    ///
    /// # Errors
    /// When it does not, with what is wrong with its certificate.
    pub async fn over(stream: TcpStream, target: &Target, trust: &Trust) -> io::Result<Stream> {
        if !target.is_tls() {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::try_from(target.host().to_owned());
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = TlsConnector::from(trust.config()).connect(name, stream).await?;
        Ok(Stream::Tls(Box::new(stream)))
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
