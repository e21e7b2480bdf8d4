//! Who gets in, as what, and how much of it: TLS, tokens with roles, limits, health, drain.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use charging_client::{ChargingTransport, Client, ClientConfig, CoreAccess, GrpcConfig, GrpcTransport};
use charging_proto::v1::account_service_client::AccountServiceClient;
use charging_proto::v1::charging_service_client::ChargingServiceClient;
use charging_proto::v1::session_service_client::SessionServiceClient;
use charging_proto::v1::{
    BalanceAmount, ChargingDataRequest, GetAccountRequest, GetSessionRequest, ListSessionsRequest, NotifyRequest,
    TopUpRequest, balance_amount, get_account_request,
};
use charging_proto::{Bearer, TokenChannel};
use charging_server::{CoreConfig, LimitsConfig, Role, TlsConfig, TokenConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::rig::{CLIENT, PATIENCE, Place, Server, TENANT, account, eventually, initial, is, money};

pub const AGENT: &str = "agent-agent-agent-1";
pub const BOUND: &str = "bound-bound-bound-1";
const OPERATOR: &str = "operator-operator-1";
const READER: &str = "reader-reader-reader";

/// Tokens of every role, in files.
pub fn tokens(folder: &Path) -> Vec<TokenConfig> {
    let token = |name: &str, role, text: &str, client_ids: &[&str]| {
        let file = folder.join(name);
        std::fs::write(&file, format!("{text}\n")).expect("written");
        TokenConfig { name: name.into(), role, file, client_ids: client_ids.iter().map(|id| (*id).into()).collect() }
    };
    vec![
        token("agent", Role::Agent, AGENT, &[]),
        token("bound", Role::Agent, BOUND, &["k2"]),
        token("operator", Role::Operator, OPERATOR, &[]),
        token("reader", Role::ReadOnly, READER, &[]),
    ]
}

pub async fn with(server: &Server, token: &str) -> TokenChannel {
    Bearer::new(token).expect("a token").over(server.channel().await)
}

fn top_up() -> TopUpRequest {
    let amount = Some(BalanceAmount { amount: Some(balance_amount::Amount::Money("100".into())) });
    let (tenant, account_id, request_id) = (TENANT.into(), "a".into(), "stolen".into());
    TopUpRequest { request_id, tenant, account_id, amount, ..TopUpRequest::default() }
}

pub fn get() -> GetAccountRequest {
    let name = Some(get_account_request::Name::AccountId("a".into()));
    GetAccountRequest { tenant: TENANT.into(), name }
}

pub fn charge(session: &str) -> ChargingDataRequest {
    initial("a", session, 1).into()
}

pub fn code<T>(outcome: Result<T, Status>) -> Code {
    outcome.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test]
async fn each_role_does_its_work_and_no_other() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let config = CoreConfig { token: tokens(place.folder.path()), ..config() };
    let server = Server::start_with(&core, config).await;
    let rows = [
        (AGENT, Code::PermissionDenied, Code::PermissionDenied, Code::Ok),
        (BOUND, Code::PermissionDenied, Code::PermissionDenied, Code::Ok),
        (READER, Code::PermissionDenied, Code::Ok, Code::PermissionDenied),
        ("unknown-unknown-unknown", Code::Unauthenticated, Code::Unauthenticated, Code::Unauthenticated),
    ];
    for (token, may_top_up, may_get, may_charge) in rows {
        let channel = with(&server, token).await;
        let mut accounts = AccountServiceClient::new(channel.clone());
        assert_eq!(code(accounts.top_up(top_up()).await), may_top_up, "{token}");
        assert_eq!(code(accounts.get(get()).await), may_get, "{token}");
        let session = format!("of {token}");
        let charged = ChargingServiceClient::new(channel).charge(charge(&session)).await;
        assert_eq!(code(charged), may_charge, "{token}");
    }
    let bare = AccountServiceClient::new(server.channel().await).get(get()).await.expect_err("no token");
    assert_eq!(bare.code(), Code::Unauthenticated);
    assert!(bare.message().contains("authorization: Bearer"), "{bare}");
    // A stolen token of an agent moved nothing: one reservation of its own, that is all.
    assert_eq!(money(&core, "a").await, is("10", "0.01"));
    let mut accounts = AccountServiceClient::new(with(&server, OPERATOR).await);
    accounts.top_up(top_up()).await.expect("an operator may");
    assert_eq!(money(&core, "a").await, is("110", "0.01"));
}

#[tokio::test]
async fn a_token_for_one_client_is_of_no_use_for_another() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let server = Server::start_with(&core, CoreConfig { token: tokens(place.folder.path()), ..config() }).await;
    let channel = with(&server, BOUND).await;
    let mut charging = ChargingServiceClient::new(channel.clone());
    // The rig's requests are of k1.
    let refused = charging.charge(charge("s")).await.expect("an answer").into_inner();
    assert_eq!(refused.result_code, 5003);
    let (requests, receiver) = mpsc::channel(4);
    requests.send(charge("s")).await.expect("room");
    let mut answers = charging.charge_stream(ReceiverStream::new(receiver)).await.expect("a stream").into_inner();
    let refused = answers.message().await.expect("an answer").expect("one");
    assert_eq!(refused.result_code, 5003);
    let own = ChargingDataRequest { client_id: "k2".into(), ..charge("own") };
    requests.send(own).await.expect("room");
    assert_eq!(answers.message().await.expect("an answer").expect("one").result_code, 2001);
    ChargingServiceClient::new(with(&server, AGENT).await).charge(charge("theirs")).await.expect("an answer");
    let mut sessions = SessionServiceClient::new(channel);
    let of = |client: Option<&str>| ListSessionsRequest { client_id: client.map(Into::into), ..Default::default() };
    assert_eq!(code(sessions.list(of(None)).await), Code::PermissionDenied);
    assert_eq!(code(sessions.list(of(Some(CLIENT))).await), Code::PermissionDenied);
    let mut own = sessions.list(of(Some("k2"))).await.expect("listed").into_inner();
    assert_eq!(own.message().await.expect("a session").expect("one").session_id, "own");
    assert_eq!(code(sessions.get(GetSessionRequest { session_id: "theirs".into() }).await), Code::PermissionDenied);
    assert_eq!(code(charging.notify(NotifyRequest { client_id: CLIENT.into() }).await), Code::PermissionDenied);
}

/// A CA, and certificates of it.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// Certificate and key.
    pub fn sign(&self) -> (String, String) {
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &self.issuer).expect("signed").pem(), key.serialize_pem())
    }
}

pub fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

pub async fn connect(server: &Server, tls: ClientTlsConfig) -> Result<Channel, tonic::transport::Error> {
    let address = server.address.replace("127.0.0.1", "localhost");
    Endpoint::from_shared(address)?.tls_config(tls.domain_name("localhost"))?.connect().await
}

#[tokio::test]
async fn a_certificate_of_another_authority_gets_nothing() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let (ours, theirs, servers) = (Authority::new(), Authority::new(), Authority::new());
    let folder = place.folder.path();
    let (certificate, key) = servers.sign();
    let tls = TlsConfig {
        certificate: write(folder, "server.pem", &certificate),
        key: write(folder, "server.key", &key),
        client_ca: Some(write(folder, "ca.pem", &ours.certificate)),
    };
    let server = Server::start_with(&core, CoreConfig { tls: Some(tls), ..config() }).await;
    let trusting = || ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&servers.certificate));
    let of = |authority: &Authority| {
        let (certificate, key) = authority.sign();
        trusting().identity(Identity::from_pem(certificate, key))
    };
    let channel = connect(&server, of(&ours)).await.expect("connected");
    AccountServiceClient::new(channel).get(get()).await.expect("served");
    an_agent_charges(&server, folder, &ours, &servers).await;
    assert_eq!(money(&core, "a").await, is("10", "0.3"));
    for (who, tls) in [("another authority's", of(&theirs)), ("without a certificate", trusting())] {
        // With TLS 1.3 the refusal may come after the handshake, with the first request.
        let refused = match connect(&server, tls).await {
            Err(_) => true,
            Ok(channel) => AccountServiceClient::new(channel).get(get()).await.is_err(),
        };
        assert!(refused, "{who}");
    }
    // Nor does a client talk to a server that it does not know, or without TLS.
    let misled = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&theirs.certificate));
    assert!(connect(&server, misled).await.is_err());
    let plain = Endpoint::from_shared(server.address.replace("https", "http")).expect("an address");
    let refused = match plain.connect().await {
        Err(_) => true,
        Ok(channel) => AccountServiceClient::new(channel).get(get()).await.is_err(),
    };
    assert!(refused);
}

/// Through the agents' own client.
async fn an_agent_charges(server: &Server, folder: &Path, ours: &Authority, servers: &Authority) {
    let (certificate, key) = ours.sign();
    let access = CoreAccess {
        ca: Some(write(folder, "servers-ca.pem", &servers.certificate)),
        certificate: Some(write(folder, "agent.pem", &certificate)),
        key: Some(write(folder, "agent.key", &key)),
        token_file: None,
    };
    let addresses = vec![server.address.replace("127.0.0.1", "localhost")];
    let transport = GrpcTransport::start(&GrpcConfig { addresses, access, ..GrpcConfig::default() });
    let transport: Arc<dyn ChargingTransport> = Arc::new(transport.expect("a configuration"));
    let client = Client::start(CLIENT.into(), transport, &ClientConfig::default());
    let answer = client.charge(initial("a", "over TLS", 30), PATIENCE).await.expect("an answer");
    assert_eq!(answer.result_code, types::charging::ResultCode::SUCCESS);
}

#[tokio::test]
async fn wrong_files_are_named() {
    let place = Place::new();
    let core = place.start();
    let folder = place.folder.path();
    let (certificate, key) = Authority::new().sign();
    let (other, _) = Authority::new().sign();
    let (good, good_key) = (write(folder, "c", &certificate), write(folder, "k", &key));
    let empty = write(folder, "empty", "");
    let other = write(folder, "other", &other);
    let tls = |certificate: &PathBuf, key: &PathBuf| {
        let tls = TlsConfig { certificate: certificate.clone(), key: key.clone(), client_ca: None };
        CoreConfig { tls: Some(tls), ..config() }
    };
    let token = |file: PathBuf| CoreConfig {
        token: vec![TokenConfig { name: "t".into(), role: Role::Agent, file, client_ids: vec![] }],
        ..config()
    };
    let mut twice = tokens(folder);
    twice.push(TokenConfig { name: "again".into(), ..twice[0].clone() });
    let rows = [
        (tls(&folder.join("none"), &good_key), "core.tls.certificate: file "),
        (tls(&good, &empty), "core.tls.key: file "),
        (tls(&other, &good_key), "core.tls: certificate "),
        (token(folder.join("none")), "token file "),
        (token(empty), "no token of at least 16 printable characters"),
        (CoreConfig { token: twice, ..config() }, "tokens agent and again are the same"),
    ];
    for (config, expected) in rows {
        let error = charging_server::serve(core.clone(), &config, std::future::pending()).await.map(|_| ());
        let text = crate::rig::chain(&error.expect_err(expected));
        assert!(text.contains(expected), "{text}");
    }
}

pub fn config() -> CoreConfig {
    CoreConfig { listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)), ..CoreConfig::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_are_sixteen() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "10").await;
    let limits = LimitsConfig { calls_per_client: 16, ..LimitsConfig::default() };
    let config = CoreConfig { token: tokens(place.folder.path()), limits, ..config() };
    let server = Server::start_with(&core, config).await;
    let mut held = Vec::new();
    let channel = with(&server, AGENT).await;
    for _ in 0..16 {
        let (requests, receiver) = mpsc::channel(1);
        let mut charging = ChargingServiceClient::new(channel.clone());
        let answers = charging.charge_stream(ReceiverStream::new(receiver)).await.expect("within the limit");
        held.push((requests, answers));
    }
    // From another connection, with the same token.
    let channel = with(&server, AGENT).await;
    // With an answer came how many streams the connection may have open; who does not know that yet is told REFUSED_STREAM.
    let first = ChargingServiceClient::new(channel.clone()).charge(charge("first")).await;
    assert_eq!(code(first), Code::ResourceExhausted);
    let mut more = JoinSet::new();
    for _ in 0..10_000 {
        let mut charging = ChargingServiceClient::new(channel.clone());
        more.spawn(async move { charging.charge_stream(tokio_stream::pending()).await.map(|_| ()) });
    }
    while let Some(answered) = more.join_next().await {
        let refusal = answered.expect("no panic").expect_err("more than sixteen");
        assert_eq!(refusal.code(), Code::ResourceExhausted, "{refusal:?}");
    }
    // Others do not notice.
    AccountServiceClient::new(with(&server, READER).await).get(get()).await.expect("served");
    drop(held);
    let mut charging = ChargingServiceClient::new(channel);
    let asked = tokio::sync::Mutex::new(&mut charging);
    eventually("room again", || async { asked.lock().await.charge(charge("after")).await.is_ok() }).await;
}

/// More than any buffer takes.
const MANY: usize = 40_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_reads_is_not_read_from() {
    let place = Place::new();
    let core = place.start();
    account(&core, "a", "1000000").await;
    let limits = LimitsConfig { kibioctets_per_client: 512, ..LimitsConfig::default() };
    let config = CoreConfig { token: tokens(place.folder.path()), limits, ..config() };
    let server = Server::start_with(&core, config).await;
    let (requests, receiver) = mpsc::channel(16);
    // With room for some hundred answers on its way.
    let endpoint =
        Endpoint::from_shared(server.address.clone()).expect("an address").initial_stream_window_size(65_535);
    let channel = endpoint.connect().await.expect("connected");
    let mut charging = ChargingServiceClient::new(Bearer::new(AGENT).expect("a token").over(channel));
    let unread = charging.charge_stream(ReceiverStream::new(receiver)).await.expect("a stream");
    let mut sent = 0;
    while sent < MANY {
        let request = ChargingDataRequest { client_state: vec![7; 1000], ..charge(&format!("s{sent}")) };
        if tokio::time::timeout(Duration::from_secs(2), requests.send(request)).await.is_err() {
            break;
        }
        sent += 1;
    }
    assert!(sent < MANY, "it was never held back");
    let decided = core.query(|books| books.kept_session_count()).await.expect("a core");
    // In work, in the answers' queue, in the buffer of HTTP/2 and on the way.
    assert!(decided < 15_000, "{decided} of {sent}");
    AccountServiceClient::new(with(&server, READER).await).get(get()).await.expect("others are served");
    // It does not hold up the end either.
    server.shut_down().await;
    drop((requests, unread));
}

#[tokio::test]
async fn one_connection_too_many_is_closed() {
    use tokio::io::AsyncReadExt as _;
    let place = Place::new();
    let core = place.start();
    let limits = LimitsConfig { connections_per_address: 3, ..LimitsConfig::default() };
    let server = Server::start_with(&core, CoreConfig { limits, ..config() }).await;
    let address = server.address.trim_start_matches("http://").to_owned();
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("connected");
        // The server speaks first: its settings.
        assert!(stream.read(&mut [0; 64]).await.expect("settings") > 0);
        open.push(stream);
    }
    let mut fourth = tokio::net::TcpStream::connect(&address).await.expect("connected");
    let read = tokio::time::timeout(PATIENCE, fourth.read(&mut [0; 64])).await.expect("in time");
    assert!(!read.is_ok_and(|octets| octets > 0), "closed without a word");
    open.clear();
    eventually("room again", || async {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("connected");
        stream.read(&mut [0; 64]).await.is_ok_and(|octets| octets > 0)
    })
    .await;
}

#[tokio::test]
async fn health_is_told_to_everybody_and_ends_first() {
    let place = Place::new();
    let core = place.start();
    let config = CoreConfig { token: tokens(place.folder.path()), ..config() };
    let server = Server::start_with(&core, config).await;
    let mut health = HealthClient::new(server.channel().await);
    let of = |service: &str| HealthCheckRequest { service: service.into() };
    for service in ["", "tollkeeper.charging.v1.ChargingService", "tollkeeper.charging.v1.AccountService"] {
        let status = health.check(of(service)).await.expect("told").into_inner().status;
        assert_eq!(status, 1, "{service} is serving");
    }
    assert_eq!(code(health.check(of("unknown")).await), Code::NotFound);
    let mut watched = health.watch(of("")).await.expect("a stream").into_inner();
    assert_eq!(watched.message().await.expect("told").expect("one").status, 1);
    let ended = tokio::spawn(server.shut_down());
    assert_eq!(watched.message().await.expect("told").expect("one").status, 2, "not serving");
    drop((watched, health));
    ended.await.expect("in good order");
}
