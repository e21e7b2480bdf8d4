//! Certificates and tokens that are replaced while calls go on, and connections of which nothing comes.

use std::sync::Arc;
use std::time::Duration;

use charging_client::{ChargingTransport, Client, ClientConfig, CoreAccess, GrpcConfig, GrpcTransport};
use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_server::{CoreConfig, TlsConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Certificate, ClientTlsConfig};
use types::charging::ResultCode;

use crate::access::{AGENT, Authority, code, config, connect, get, tokens, with, write};
use crate::rig::{CLIENT, PATIENCE, Place, Server, account, eventually, initial, termination};

const READER: &str = "reader-reader-reader";
const NEW: &str = "agent-agent-agent-2";

/// Two calls: the first is done when the second is taken.
async fn reloaded(server: &Server) {
    server.reload().await;
    server.reload().await;
    server.reload().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_replaced_under_a_running_call() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let folder = place.folder.path();
    let server = Server::start_with(&core, CoreConfig { token: tokens(folder), ..config() }).await;
    let own = write(folder, "of the agent", AGENT);
    let access = CoreAccess { token_file: Some(own.clone()), ..CoreAccess::default() };
    let (addresses, reconnect_first_ms) = (vec![server.address.clone()], 5);
    let transport =
        GrpcTransport::start(&GrpcConfig { addresses, access, reconnect_first_ms, ..GrpcConfig::default() });
    let transport = Arc::new(transport.expect("a configuration"));
    let client =
        Client::start(CLIENT.into(), Arc::clone(&transport) as Arc<dyn ChargingTransport>, &ClientConfig::default());
    client.charge(initial("a", "s", 30), PATIENCE).await.expect("an answer");
    // A file without a token: all stays as it was, for everybody.
    write(folder, "agent", "");
    reloaded(&server).await;
    client.charge(initial("a", "t", 30), PATIENCE).await.expect("the stream stands");
    assert_eq!(transport.metrics().connections.value(), 1);
    AccountServiceClient::new(with(&server, READER).await).get(get()).await.expect("nor did the others change");
    // Both sides get the new one; the stream of the old one ends, and the call does not.
    write(folder, "of the agent", NEW);
    write(folder, "agent", NEW);
    reloaded(&server).await;
    eventually("a connection with the new token", || async { transport.metrics().connections.value() == 2 }).await;
    let answer = client.charge(termination("a", "s", 1, 10), PATIENCE).await.expect("an answer");
    assert_eq!(answer.result_code, ResultCode::SUCCESS);
    let old = AccountServiceClient::new(with(&server, AGENT).await).get(get()).await;
    assert_eq!(code(old), Code::Unauthenticated, "the old one lets nobody in any more");
    AccountServiceClient::new(with(&server, READER).await).get(get()).await.expect("served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_while_it_is_served() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let (old, new) = (Authority::new(), Authority::new());
    let folder = place.folder.path();
    let lay = |authority: &Authority| {
        let (certificate, key) = authority.sign();
        (write(folder, "server.pem", &certificate), write(folder, "server.key", &key))
    };
    let (certificate, key) = lay(&old);
    let tls = TlsConfig { certificate, key, client_ca: None };
    let server = Server::start_with(&core, CoreConfig { tls: Some(tls), ..config() }).await;
    let trusting =
        |authority: &Authority| ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.certificate));
    let before = connect(&server, trusting(&old)).await.expect("connected");
    AccountServiceClient::new(before.clone()).get(get()).await.expect("served");
    // Half of the new pair: refused, and the old one stays.
    let (certificate, new_key) = new.sign();
    write(folder, "server.pem", &certificate);
    reloaded(&server).await;
    connect(&server, trusting(&old)).await.expect("the certificate from before");
    write(folder, "server.key", &new_key);
    reloaded(&server).await;
    connect(&server, trusting(&new)).await.expect("the new certificate");
    assert!(connect(&server, trusting(&old)).await.is_err());
    AccountServiceClient::new(before).get(get()).await.expect("an open connection goes on");
}

/// Whether it is closed within so many seconds of simulated time.
async fn is_closed(stream: &mut TcpStream, within_s: u64) -> bool {
    let to_the_end = async {
        let mut octets = [0_u8; 256];
        while stream.read(&mut octets).await.is_ok_and(|length| length > 0) {}
    };
    tokio::time::timeout(Duration::from_secs(within_s), to_the_end).await.is_ok()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn who_says_nothing_does_not_keep_a_connection() {
    let place = Place::new();
    let core = place.start();
    let server = Server::start_with(&core, config()).await;
    let address = server.address.trim_start_matches("http://").to_owned();
    for (said, closed) in [(&b""[..], true), (&PREFACE[..23], true), (PREFACE, false)] {
        let mut stream = TcpStream::connect(&address).await.expect("connected");
        stream.write_all(said).await.expect("sent");
        assert_eq!(is_closed(&mut stream, 15).await, closed, "{} octets", said.len());
    }
}

#[tokio::test(start_paused = true)]
async fn nor_behind_tls() {
    let place = Place::new();
    let core = place.start();
    let folder = place.folder.path();
    let (certificate, key) = Authority::new().sign();
    let (certificate, key) = (write(folder, "server.pem", &certificate), write(folder, "server.key", &key));
    let tls = Some(TlsConfig { certificate, key, client_ca: None });
    let server = Server::start_with(&core, CoreConfig { tls, ..config() }).await;
    let address = server.address.trim_start_matches("https://").to_owned();
    let mut stream = TcpStream::connect(&address).await.expect("connected");
    assert!(!is_closed(&mut stream, 5).await);
    assert!(is_closed(&mut stream, 10).await);
}
