//! Mutual TLS as parties of the standard have it: certificates of an authority, in PEM files that both exchanged.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use zeroize::Zeroizing;

/// The largest PEM file: a chain of a few certificates.
const PEM_MAX: u64 = 64 << 10;

/// Where the files are.
#[derive(Clone, Debug)]
pub(crate) struct TlsFiles {
    /// Our certificate, and what leads from it to its authority.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
    /// The authority that the peer's certificates must come from: the peer's alone, if it can be.
    pub(crate) peer_ca: PathBuf,
    /// The name that the peer's certificates must have.
    pub(crate) peer_name: String,
}

/// What a connection to or from the peer is checked against.
#[derive(Clone)]
pub(super) struct Tls {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
    pub(super) peer_name: ServerName<'static>,
}

/// A file that makes no TLS.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", .file.display())]
pub(crate) struct BadTls {
    /// Which.
    pub(crate) file: PathBuf,
    /// Why, and the remedy.
    pub(crate) why: String,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`BadTls`] names the file and what is wrong with it, and quotes nothing of it.
    pub(super) fn load(files: &TlsFiles) -> Result<Self, BadTls> {
        let chain = certificates(&files.certificate)?;
        let key = private_key(&files.key)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(&files.peer_ca)? {
            roots.add(root).map_err(|error| bad(&files.peer_ca, format!("no authority's certificate: {error}")))?;
        }
        let roots = Arc::new(roots);
        let peer_name = ServerName::try_from(files.peer_name.clone()).map_err(|_| {
            bad(&files.peer_ca, format!("{:?} is no name of a host: give another --peer-name", files.peer_name))
        })?;
        let ours = |error: rustls::Error| bad(&files.certificate, format!("not usable with its key: {error}"));
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build();
        let clients = clients.map_err(|error| bad(&files.peer_ca, error.to_string()))?;
        // brpc says no protocol in its handshake (ALPN), so none is asked for: what follows is HTTP/2
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(ours)?
            .with_client_cert_verifier(clients)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(ours)?;
        let client = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(ours)?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(ours)?;
        Ok(Self { client: Arc::new(client), server: Arc::new(server), peer_name })
    }

    /// Whether a client's certificate, of the right authority already, is the peer's.
    pub(super) fn is_peer(&self, certificate: &CertificateDer<'_>) -> bool {
        let certificate = ParsedCertificate::try_from(certificate);
        certificate.is_ok_and(|certificate| verify_server_name(&certificate, &self.peer_name).is_ok())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BadTls> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        _ => Err(bad(file, "no certificate in PEM: give another file".into())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, BadTls> {
    let metadata = fs::metadata(file).map_err(|error| bad(file, error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(bad(
            file,
            format!("can be read by other users of this machine; run `chmod 600 {}`", file.display()),
        ));
    }
    PrivateKeyDer::from_pem_slice(&read(file)?)
        .map_err(|_| bad(file, "no private key in PEM: give another file".into()))
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, BadTls> {
    let mut text = Zeroizing::new(Vec::with_capacity(PEM_MAX as usize));
    let opened = File::open(file).and_then(|opened| opened.take(PEM_MAX).read_to_end(&mut text));
    opened.map_err(|error| bad(file, error.to_string()))?;
    Ok(text)
}

fn bad(file: &Path, why: String) -> BadTls {
    BadTls { file: file.into(), why }
}
