//! Mutual TLS by files: who has the right certificates is there, and nobody else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use data_encoding::BASE64;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// An authority in a directory, with certificates of its own making.
pub(super) struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write(&directory.path().join("ca.pem"), "CERTIFICATE", params.self_signed(&key).unwrap().der());
        Self { directory, issuer: Issuer::new(params, key) }
    }

    /// The files of a party of that name, which expects `peer` of this authority.
    pub(super) fn files(&self, name: &str, peer: &str) -> TlsFiles {
        let path = |ending: &str| self.directory.path().join(format!("{name}.{ending}"));
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        write(&path("crt"), "CERTIFICATE", params.signed_by(&key, &self.issuer).unwrap().der());
        write(&path("key"), "PRIVATE KEY", &key.serialize_der());
        let peer_ca = self.directory.path().join("ca.pem");
        TlsFiles { certificate: path("crt"), key: path("key"), peer_ca, peer_name: peer.to_owned() }
    }
}

fn write(file: &Path, what: &str, der: &[u8]) {
    fs::write(file, format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", BASE64.encode(der))).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Whether a line with these files comes about, within a moment.
async fn meet(zero: TlsFiles, one: TlsFiles) -> [Result<Line, Error>; 2] {
    let ((here, at_zero), (there, at_one)) = (listener().await, listener().await);
    let patience = Duration::from_secs(2);
    let zero = Line::open(here, Options { tls: Some(zero), patience, ..options(0, at_one) });
    let one = Line::open(there, Options { tls: Some(one), patience, ..options(1, at_zero) });
    let (zero, one) = tokio::join!(zero, one);
    [zero, one]
}

#[tokio::test]
async fn the_right_certificates_meet_and_others_do_not() {
    let (ours, other) = (Authority::new(), Authority::new());
    let good = || (ours.files("zero.example", "one.example"), ours.files("one.example", "zero.example"));
    let (zero, one) = good();
    let [zero, one] = meet(zero, one).await;
    let (zero, one) = tokio::join!(zero.unwrap().finish(), one.unwrap().finish());
    assert_eq!((zero, one), (Ok(()), Ok(())));

    let refused = async |zero: TlsFiles, one: TlsFiles| {
        let [zero, one] = meet(zero, one).await;
        assert!(zero.is_err() && one.is_err(), "neither side has a line");
        let why = zero.err().unwrap().to_string();
        assert!(why.contains("did not answer") || why.contains("did not greet"), "{why}");
    };
    // another authority's certificate with the right name; this one's with another name, at the client and at the server
    refused(good().0, other.files("one.example", "zero.example")).await;
    refused(good().0, ours.files("mallory.example", "zero.example")).await;
    refused(ours.files("zero.example", "two.example"), good().1).await;
}

#[test]
fn files_that_make_no_tls_are_named_with_the_remedy_and_never_quoted() {
    let authority = Authority::new();
    let good = authority.files("zero.example", "one.example");
    assert!(Tls::load(&good).is_ok());
    let why = |files: TlsFiles| Tls::load(&files).err().unwrap().to_string();
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(why(good.clone()).ends_with(&format!("run `chmod 600 {}`", good.key.display())));
    fs::set_permissions(&good.key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(why(TlsFiles { peer_name: "a b".into(), ..good.clone() }).ends_with("give another --peer-name"));
    let other = authority.files("other.example", "one.example");
    assert!(why(TlsFiles { key: other.key, ..good.clone() }).contains("not usable with its key"));
    let missing = TlsFiles { certificate: "/nowhere/cert.pem".into(), ..good.clone() };
    assert!(why(missing).starts_with("/nowhere/cert.pem: "));
    for content in ["", "canary-5417", "-----BEGIN PRIVATE KEY-----\ncanary-5417\n-----END PRIVATE KEY-----\n"] {
        for file in [&good.certificate, &good.peer_ca, &good.key] {
            let before = fs::read(file).unwrap();
            fs::write(file, content).unwrap();
            let why = why(good.clone());
            assert!(why.starts_with(&file.display().to_string()) && !why.contains("canary"), "{why}");
            fs::write(file, before).unwrap();
        }
    }
}
