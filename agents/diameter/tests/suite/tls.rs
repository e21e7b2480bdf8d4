//! Peers over TLS 1.2 and 1.3, with certificates of both.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use CcRequestType::Initial;
use agent_diameter::config::TlsConfig;
use futures_util::{SinkExt, StreamExt};
use protocol_codecs::diameter::{CcRequestType, Command, DiameterCodec, Exchange};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;

use crate::stage::{MB, PATIENCE, PGW, Stage, Told};

pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn client(name: Option<&str>, version: &'static SupportedProtocolVersion) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("authority.pem")).expect("PEM")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).expect("a version");
    let builder = builder.with_root_certificates(roots);
    let config = match name {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let certificate = CertificateDer::from_pem_file(file(&format!("{name}.pem"))).expect("PEM");
            let key = PrivateKeyDer::from_pem_file(file(&format!("{name}.key"))).expect("PEM");
            builder.with_client_auth_cert(vec![certificate], key).expect("a pair")
        }
    };
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn both_versions_and_only_with_a_certificate_of_ours() {
    let stage = Stage::with("1.00", |config| {
        config.listen.clear();
        config.tls = Some(TlsConfig {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificate_file: file("ocs.pem"),
            key_file: file("ocs.key"),
            authority_file: file("authority.pem"),
            check_names: true,
        });
    })
    .await;
    let rows = [
        (Some("pgw"), &rustls::version::TLS13, true),
        (Some("pgw"), &rustls::version::TLS12, true),
        (Some("stranger"), &rustls::version::TLS13, false),
        (None, &rustls::version::TLS13, false),
        (None, &rustls::version::TLS12, false),
    ];
    let words = stage.stranger(PGW).await;
    for (name, version, admitted) in rows {
        let stream = TcpStream::connect(stage.address).await.expect("connects");
        let server = ServerName::try_from("ocs.example.net").expect("a name");
        let connected = client(name, version).connect(server, stream).await;
        let Ok(stream) = connected else {
            assert!(!admitted, "{name:?} {version:?}");
            continue;
        };
        let mut framed = Framed::new(stream, DiameterCodec::default());
        let cer = words.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone();
        // With TLS 1.3 the refusal comes behind the client's own part of the handshake.
        let sent = framed.send(cer).await.is_ok();
        let answer = tokio::time::timeout(PATIENCE, framed.next()).await.expect("an end");
        let Some(Ok(answer)) = answer else {
            assert!(!admitted, "{name:?} {version:?}");
            continue;
        };
        assert!(admitted && sent, "{name:?} {version:?}");
        assert_eq!(Told::of(answer).code(), 2001);
        let session = format!("{version:?}");
        let ccr = words.data(&session, Initial, 0, &[(10, 0, Some(MB))]).encoded(Exchange::new(2, 2)).expect("a CCR");
        framed.send(ccr.bytes().clone()).await.expect("sent");
        let answer =
            tokio::time::timeout(PATIENCE, framed.next()).await.expect("an answer").expect("one").expect("sound");
        assert_eq!(Told::of(answer).code(), 2001, "{version:?}");
    }
}

#[tokio::test]
async fn plain_diameter_on_the_port_for_tls_ends() {
    let stage = Stage::with("1.00", |config| {
        config.listen.clear();
        config.tls = Some(TlsConfig {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificate_file: file("ocs.pem"),
            key_file: file("ocs.key"),
            authority_file: file("authority.pem"),
            check_names: true,
        });
    })
    .await;
    let mut peer = stage.stranger(PGW).await;
    let cer = peer.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone();
    peer.send(cer).await;
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn a_certificate_is_good_for_its_own_name_alone() {
    for (check_names, code) in [(true, 3010), (false, 2001)] {
        let stage = Stage::with("1.00", |config| {
            config.listen.clear();
            config.tls = Some(TlsConfig {
                listen: vec![([127, 0, 0, 1], 0).into()],
                certificate_file: file("ocs.pem"),
                key_file: file("ocs.key"),
                authority_file: file("authority.pem"),
                check_names,
            });
        })
        .await;
        // The relay may speak for everybody: who has another certificate must not become it.
        let words = stage.stranger("dra.example.net").await;
        let stream = TcpStream::connect(stage.address).await.expect("connects");
        let server = ServerName::try_from("ocs.example.net").expect("a name");
        let stream = client(Some("pgw"), &rustls::version::TLS13).connect(server, stream).await.expect("a handshake");
        let mut framed = Framed::new(stream, DiameterCodec::default());
        framed.send(words.cer().encoded(Exchange::new(1, 1)).expect("a CER").bytes().clone()).await.expect("sent");
        let answer = tokio::time::timeout(PATIENCE, framed.next()).await.expect("an end");
        assert_eq!(Told::of(answer.expect("one").expect("sound")).code(), code);
        let refused: Vec<_> = stage.board.report().refused.into_iter().map(|peer| peer.reason).collect();
        assert_eq!(refused, if check_names { vec!["certificate_of_another"] } else { vec![] });
    }
}
