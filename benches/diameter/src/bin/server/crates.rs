//! The crate's server: it decodes, and answers with three groups.

use std::sync::Arc;

use diameter::avp::flags::M;
use diameter::avp::{Enumerated, Grouped, Identity, UTF8String, Unsigned32, Unsigned64};
use diameter::dictionary::{DEFAULT_DICT_XML, Dictionary};
use diameter::transport::{DiameterServer, DiameterServerConfig};
use diameter::{DiameterMessage, flags};

pub async fn serve(recorded: &[u8]) -> anyhow::Result<()> {
    ensure_decodes(recorded)?;
    let dictionary = dictionary();
    // Its server does not tell which port it has: one is taken and given back.
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let config = DiameterServerConfig { native_tls: None };
    let server = DiameterServer::new(&format!("127.0.0.1:{port}"), config).await;
    let mut server = server.map_err(|error| anyhow::anyhow!("{error}"))?;
    println!("{port}");
    let answering = Arc::clone(&dictionary);
    let handler = move |request: DiameterMessage| {
        let dictionary = Arc::clone(&answering);
        async move { Ok(answer(&request, dictionary)) }
    };
    server.listen(handler, dictionary).await.map_err(|error| anyhow::anyhow!("{error}"))
}

fn dictionary() -> Arc<Dictionary> {
    Arc::new(Dictionary::new(&[&DEFAULT_DICT_XML, &bench_diameter::tgpp_rows()]))
}

fn ensure_decodes(recorded: &[u8]) -> anyhow::Result<()> {
    let decoded = DiameterMessage::decode_from(&mut std::io::Cursor::new(recorded), dictionary());
    decoded.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
}

/// The answer that ours gives: session, result, three groups with units.
fn answer(request: &DiameterMessage, dictionary: Arc<Dictionary>) -> DiameterMessage {
    let mut answer = DiameterMessage::new(
        request.get_command_code(),
        request.get_application_id(),
        request.get_flags() ^ flags::REQUEST,
        request.get_hop_by_hop_id(),
        request.get_end_to_end_id(),
        Arc::clone(&dictionary),
    );
    let session = request.get_avp(263).and_then(|avp| avp.get_utf8string()).map(|text| text.value().to_owned());
    answer.add_avp(263, None, M, UTF8String::new(&session.unwrap_or_default()).into());
    answer.add_avp(268, None, M, Unsigned32::new(2001).into());
    answer.add_avp(264, None, M, Identity::new("ocs.test.realm").into());
    answer.add_avp(296, None, M, Identity::new("test.realm").into());
    answer.add_avp(258, None, M, Unsigned32::new(4).into());
    answer.add_avp(416, None, M, Enumerated::new(2).into());
    answer.add_avp(415, None, M, Unsigned32::new(1).into());
    for group in [100, 200, 300] {
        let mut granted = Grouped::new(vec![], Arc::clone(&dictionary));
        granted.add_avp(421, None, M, Unsigned64::new(1_000_000).into());
        let mut mscc = Grouped::new(vec![], Arc::clone(&dictionary));
        mscc.add_avp(431, None, M, granted.into());
        mscc.add_avp(432, None, M, Unsigned32::new(group).into());
        mscc.add_avp(448, None, M, Unsigned32::new(1_800).into());
        mscc.add_avp(268, None, M, Unsigned32::new(2001).into());
        answer.add_avp(456, None, M, mscc.into());
    }
    answer
}
