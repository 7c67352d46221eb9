//! An https seat that proves itself by an authority of its own.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::*;

/// A server for 127.0.0.1, and the certificate of the authority that vouches for it.
fn seat_with_its_own_authority() -> (Upstream, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let upstream = Upstream::start_with(
        |_| json("200 OK", "{\"over\":\"tls\"}"),
        move |stream| StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), stream),
    );
    (upstream, authority.pem())
}

fn started(port: u16, authority: &str, extra: &str) -> Proxyd {
    let seats = seat("lan", port)
        .replace("http://", "https://")
        .replace("models", &format!("{extra}models"));
    let home = home(&format!(
        "listen = \"127.0.0.1:0\"\n[[caller]]\nname = \"guest\"\nsecret = \"caller\"\n{seats}"
    ));
    fs::write(home.path().join("lan.pem"), authority).unwrap();
    Proxyd::start_in(home)
}

#[test]
fn a_seat_is_reached_over_tls_with_an_authority_named_in_the_configuration() {
    let (upstream, authority) = seat_with_its_own_authority();
    let proxyd = started(upstream.port, &authority, "extra_ca = \"lan.pem\"\n");
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!((reply.status, reply.body.as_str()), (200, "{\"over\":\"tls\"}"));
    assert!(header(&upstream.seen()[0].head, "authorization").is_some());
}

#[test]
fn a_seat_that_cannot_prove_itself_gets_no_request() {
    let (_, other) = seat_with_its_own_authority();
    let (upstream, _) = seat_with_its_own_authority();
    let proxyd = started(upstream.port, &other, "extra_ca = \"lan.pem\"\n");
    let reply = proxyd.exchange(&proxyd.chat(ASK));
    assert_eq!(reply.status, 502, "{}", reply.body);
    assert!(upstream.seen().is_empty());
    proxyd.wait_for_log("certificate");
}

#[test]
fn a_file_without_a_certificate_is_refused_at_the_start() {
    let seats = seat("lan", 1)
        .replace("http://", "https://")
        .replace("models", "extra_ca = \"lan.pem\"\nmodels");
    let home = home(&format!(
        "listen = \"127.0.0.1:0\"\n[[caller]]\nname = \"guest\"\nsecret = \"caller\"\n{seats}"
    ));
    fs::write(home.path().join("lan.pem"), "nothing").unwrap();
    let output = command(home.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("holds no usable certificate"), "{log}");
}
