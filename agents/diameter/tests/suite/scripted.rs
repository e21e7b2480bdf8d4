//! A server that does what a test wants: it keeps silent, hangs up, or asks itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use protocol_codecs::diameter::{
    AbortSessionRequest, Address, Answer, CapabilitiesExchangeAnswer, CcRequestType, Command, CreditControlAnswer,
    CreditControlRequest, DeviceWatchdogRequest, DiameterCodec, DisconnectPeerAnswer, Exchange, Frame,
    GrantedServiceUnit, Message, Mode, MultipleServicesCreditControl, ReAuthRequest, ReAuthRequestType, Request,
    ResultCode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::codec::Framed;

use crate::stage::{HOST, PGW, REALM};

/// What it does on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    Answer,
    /// To CCRs; the rest is answered.
    Silence,
    OnlyRetransmissions,
    /// At the first CCR.
    HangUp,
    /// After the first answer: RAR, RAR for a session that is not there, DWR; after the next: ASR.
    ReAuthThenAbort,
}

/// A CCR as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub kind: i32,
    pub number: u32,
    pub retransmitted: bool,
    pub end_to_end_id: u32,
    /// Everything behind the header.
    pub content: Vec<u8>,
}

#[derive(Default)]
struct Kept {
    heard: Vec<Heard>,
    obeyed: Vec<u32>,
}

/// See the module's documentation.
pub struct Scripted {
    pub address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

impl Scripted {
    /// One reaction a connection.
    pub async fn start(reactions: Vec<Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keeping = Arc::clone(&kept);
        tokio::spawn(async move {
            let mut reactions = reactions.into_iter().peekable();
            while let Ok((stream, _)) = listener.accept().await {
                let Some(reaction) = reactions.next() else { return };
                serve(stream, reaction, &keeping).await;
            }
        });
        Self { address, kept }
    }

    /// CCRs in the order they came.
    pub fn heard(&self) -> Vec<Heard> {
        lock(&self.kept).heard.clone()
    }

    /// Result codes of the answers to what it asked.
    pub fn obeyed(&self) -> Vec<u32> {
        lock(&self.kept).obeyed.clone()
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, reaction: Reaction, kept: &Mutex<Kept>) {
    let mut codec = DiameterCodec::default();
    codec.capabilities_exchanged();
    let (mut framed, mut answered) = (Framed::new(stream, codec), 0);
    while let Some(Ok(frame)) = framed.next().await {
        let exchange = frame.header().exchange();
        let mut out = Vec::new();
        match frame.message(Mode::Strict).expect("a strict message").message {
            Message::Request(Request::CapabilitiesExchange(_)) => out.push(cea(exchange)),
            Message::Request(Request::DisconnectPeer(_)) => out.push(dpa(exchange)),
            Message::Request(Request::CreditControl(ccr)) => {
                lock(kept).heard.push(Heard {
                    kind: ccr.cc_request_type.number(),
                    number: ccr.cc_request_number,
                    retransmitted: frame.header().flags.is_retransmitted(),
                    end_to_end_id: exchange.end_to_end_id,
                    content: frame.bytes()[20..].to_vec(),
                });
                match reaction {
                    Reaction::HangUp => return,
                    Reaction::Silence => {}
                    Reaction::OnlyRetransmissions if !frame.header().flags.is_retransmitted() => {}
                    _ => out.push(cca(&ccr, exchange)),
                }
                answered += out.len();
                if reaction == Reaction::ReAuthThenAbort {
                    out.extend(ask(&ccr, answered));
                }
            }
            Message::Answer(answer) => told(&answer, &frame, kept),
            other => panic!("{other:?}"),
        }
        for bytes in out {
            framed.send(bytes).await.expect("the client reads");
        }
    }
}

fn told(answer: &Answer<'_>, frame: &Frame, kept: &Mutex<Kept>) {
    let code = match answer {
        Answer::ReAuth(raa) => raa.result_code,
        Answer::AbortSession(asa) => asa.result_code,
        Answer::Error(error) => error.result_code,
        Answer::DeviceWatchdog(_) => return,
        other => panic!("{other:?}"),
    };
    assert!(frame.header().hop_by_hop_id >= 0x8000_0000, "an answer to what was asked");
    lock(kept).obeyed.push(code.0);
}

fn cea(exchange: Exchange) -> Bytes {
    let answer = CapabilitiesExchangeAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: HOST.into(),
        origin_realm: REALM.into(),
        host_ip_addresses: vec![Address::from(std::net::IpAddr::from([127, 0, 0, 1]))],
        vendor_id: 0,
        product_name: "scripted".into(),
        origin_state_id: None,
        error_message: None,
        failed_avps: vec![],
        supported_vendor_ids: vec![],
        auth_application_ids: vec![4],
        inband_security_ids: vec![],
        acct_application_ids: vec![],
        vendor_specific_application_ids: vec![],
        firmware_revision: None,
    };
    answer.encoded(exchange).expect("a CEA").bytes().clone()
}

fn dpa(exchange: Exchange) -> Bytes {
    let answer = DisconnectPeerAnswer {
        result_code: ResultCode::SUCCESS,
        origin_host: HOST.into(),
        origin_realm: REALM.into(),
        error_message: None,
        failed_avps: vec![],
    };
    answer.encoded(exchange).expect("a DPA").bytes().clone()
}

/// What is asked for, is granted.
fn cca(ccr: &CreditControlRequest<'_>, exchange: Exchange) -> Bytes {
    let mut answer = CreditControlAnswer::to(ccr, (HOST.into(), REALM.into()), ResultCode::SUCCESS);
    let group = |group: &MultipleServicesCreditControl<'_>| MultipleServicesCreditControl {
        granted_service_unit: group.requested_service_unit.as_ref().map(|asked| {
            Box::new(GrantedServiceUnit { cc_total_octets: asked.cc_total_octets, ..GrantedServiceUnit::default() })
        }),
        rating_group: group.rating_group,
        result_code: Some(ResultCode::SUCCESS),
        ..MultipleServicesCreditControl::default()
    };
    if ccr.cc_request_type != CcRequestType::Termination {
        answer.multiple_services_credit_control = ccr.multiple_services_credit_control.iter().map(group).collect();
    }
    answer.encoded(exchange).expect("a CCA").bytes().clone()
}

fn ask(ccr: &CreditControlRequest<'_>, answered: usize) -> Vec<Bytes> {
    let rar = |session: &str, id: u32| {
        let request = ReAuthRequest {
            session_id: session.into(),
            origin_host: HOST.into(),
            origin_realm: REALM.into(),
            destination_realm: REALM.into(),
            destination_host: PGW.into(),
            auth_application_id: 4,
            re_auth_request_type: ReAuthRequestType::AuthorizeOnly,
            user_name: None,
            origin_state_id: None,
            cc_sub_session_id: None,
            gsu_pool_identifier: None,
            service_identifier: None,
            rating_group: None,
            proxy_infos: vec![],
            route_records: vec![],
        };
        request.encoded(Exchange::new(id, id)).expect("a RAR").bytes().clone()
    };
    match answered {
        1 => {
            let dwr =
                DeviceWatchdogRequest { origin_host: HOST.into(), origin_realm: REALM.into(), origin_state_id: None };
            let dwr = dwr.encoded(Exchange::new(0x8000_0003, 3)).expect("a DWR").bytes().clone();
            vec![rar(&ccr.session_id, 0x8000_0001), rar("nobody's", 0x8000_0002), dwr]
        }
        2 => {
            let request = AbortSessionRequest {
                session_id: (*ccr.session_id).into(),
                origin_host: HOST.into(),
                origin_realm: REALM.into(),
                destination_realm: REALM.into(),
                destination_host: PGW.into(),
                auth_application_id: 4,
                user_name: None,
                origin_state_id: None,
                proxy_infos: vec![],
                route_records: vec![],
            };
            vec![request.encoded(Exchange::new(0x8000_0004, 4)).expect("an ASR").bytes().clone()]
        }
        _ => vec![],
    }
}
