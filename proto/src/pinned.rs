//! TLS between pinned keys: certificates that carry nothing but a party's own key, and verifiers that check nothing but
//! the pin. No authority is trusted, so none can be fooled. Pure configuration: sockets belong to the daemons.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};

use crate::identity::{BadKey, Identity, PublicKey};

/// The name in every certificate and handshake. It says nothing: keys are the names.
pub const SERVER_NAME: &str = "banyan";

/// Which keys the other end may have.
#[derive(Clone)]
pub enum Pins {
    /// Exactly this key.
    Only(PublicKey),
    /// Any key that the test accepts now; the caller looks at [`peer_key`] before it believes anything.
    Test(Arc<dyn Fn(&PublicKey) -> bool + Send + Sync>),
}

/// The client's side of a connection to a pinned server.
///
/// # Errors
/// [`BadKey`] where the key makes no certificate.
pub fn client_config(me: &Identity, server: Pins) -> Result<ClientConfig, BadKey> {
    let (certificate, key) = certificate(me)?;
    let provider = provider();
    let verifier = Verifier { pins: server, algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| UNUSABLE)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(vec![certificate], key)
        .map_err(|_| UNUSABLE)?;
    config.resumption = rustls::client::Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The server's side: every client shows a certificate.
///
/// # Errors
/// [`BadKey`] where the key makes no certificate.
pub fn server_config(me: &Identity, clients: Pins) -> Result<ServerConfig, BadKey> {
    let (certificate, key) = certificate(me)?;
    let provider = provider();
    let verifier = Verifier { pins: clients, algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|_| UNUSABLE)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(vec![certificate], key)
        .map_err(|_| UNUSABLE)?;
    // a resumed session would not be asked for its key again: a pin that was taken away must end with the connection
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The key in a certificate that was checked in a handshake.
///
/// # Errors
/// [`BadKey`] where the certificate holds no Ed25519 key.
pub fn peer_key(certificate: &CertificateDer<'_>) -> Result<PublicKey, BadKey> {
    // RFC 8410: the SubjectPublicKeyInfo of an Ed25519 key is this prefix and the 32 bytes of the key.
    const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
    let certificate = rustls::server::ParsedCertificate::try_from(certificate).map_err(|_| NO_KEY)?;
    let spki = certificate.subject_public_key_info();
    match spki.strip_prefix(&SPKI[..]) {
        Some(key) => PublicKey::from_bytes(key),
        None => Err(NO_KEY),
    }
}

const UNUSABLE: BadKey = BadKey("this key makes no TLS certificate");
const NO_KEY: BadKey = BadKey("the certificate holds no Ed25519 key");

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificate(me: &Identity) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), BadKey> {
    let key = PrivatePkcs8KeyDer::from(me.to_pkcs8());
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &rcgen::PKCS_ED25519).map_err(|_| UNUSABLE)?;
    let params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).map_err(|_| UNUSABLE)?;
    let certificate = params.self_signed(&pair).map_err(|_| UNUSABLE)?;
    Ok((certificate.der().clone(), key.into()))
}

struct Verifier {
    pins: Pins,
    algorithms: WebPkiSupportedAlgorithms,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("pinned keys")
    }
}

impl Verifier {
    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        let key = peer_key(certificate).map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let pinned = match &self.pins {
            Pins::Only(expected) => *expected == key,
            Pins::Test(test) => test(&key),
        };
        if pinned { Ok(()) } else { Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)) }
    }

    fn signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One handshake in memory; gives the key each end saw of the other.
    fn handshake(client: ClientConfig, server: ServerConfig) -> Result<(PublicKey, PublicKey), Error> {
        let name = ServerName::try_from(SERVER_NAME).unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(client), name).unwrap();
        let mut server = rustls::ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets()?;
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets()?;
        }
        let seen = |certificates: Option<&[CertificateDer<'static>]>| peer_key(&certificates.unwrap()[0]).unwrap();
        Ok((seen(client.peer_certificates()), seen(server.peer_certificates())))
    }

    #[test]
    fn pinned_ends_meet_and_see_each_other() {
        let (a, b) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let client = client_config(&a, Pins::Only(b.public())).unwrap();
        let server = server_config(&b, Pins::Only(a.public())).unwrap();
        assert_eq!(handshake(client, server).unwrap(), (b.public(), a.public()));
    }

    #[test]
    fn another_key_is_refused_on_either_side() {
        let (a, b, other) =
            (Identity::generate().unwrap(), Identity::generate().unwrap(), Identity::generate().unwrap());
        let client = client_config(&a, Pins::Only(other.public())).unwrap();
        assert!(handshake(client, server_config(&b, Pins::Only(a.public())).unwrap()).is_err());
        let client = client_config(&a, Pins::Only(b.public())).unwrap();
        assert!(handshake(client, server_config(&b, Pins::Only(other.public())).unwrap()).is_err());
    }
}
