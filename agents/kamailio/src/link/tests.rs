use protocol_codecs::evapi::SwitchCodec;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::*;

fn settings(address: String) -> LinkSettings {
    LinkSettings {
        switch: Arc::from("k1"),
        address: address.into(),
        tag: "tollkeeper".into(),
        client_id: "agent/k1".into(),
        // Silence is not what these tests are about.
        ping_interval: Duration::from_secs(60),
        reconnect_longest: Duration::from_millis(100),
        queued_messages: 4,
    }
}

type Kamailio = Framed<TcpStream, SwitchCodec>;

async fn accepted(listener: &TcpListener) -> Kamailio {
    let (stream, _) = listener.accept().await.expect("a connection");
    let mut kamailio = Framed::new(stream, SwitchCodec::default());
    let hello = kamailio.next().await.expect("HELLO").expect("frames").expect("a message");
    assert!(matches!(hello.message, ToKamailio::Hello { .. }));
    let (run, server, reason) = ("run".to_owned(), None, None);
    let reply = FromKamailio::HelloReply { status: HelloStatus::Ok, run, server, protocol: PROTOCOL, reason };
    kamailio.send(reply).await.expect("sent");
    kamailio
}

/// Nothing is dropped silently: what does not fit closes the connection, and the next one asks for everything again.
#[tokio::test]
async fn a_full_queue_closes_the_connection_and_makes_a_new_one() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (mut link, task) = Link::start(settings(address), CancellationToken::new());
    let mut kamailio = accepted(&listener).await;
    for count in 0..10 {
        kamailio.send(FromKamailio::ResendDone { count }).await.expect("sent");
    }
    // The agent hangs: nobody takes from the queue. The socket is closed all the same.
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(10), kamailio.get_mut().read_to_end(&mut rest)).await;
    assert!(closed.is_ok(), "the connection stays open with a full queue");
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    for expected in 0..3 {
        match link.next().await {
            Some(LinkEvent::Message(message)) => assert_eq!(*message, FromKamailio::ResendDone { count: expected }),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(link.next().await, Some(LinkEvent::Down)), "the break is told before the next connection");
    let again = accepted(&listener).await;
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    drop((again, link));
    task.await.expect("the task ends with its link");
}

/// What waits to be sent belongs to the old connection.
#[tokio::test]
async fn nothing_of_an_old_connection_is_sent_on_a_new_one() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (mut link, task) = Link::start(settings(address), CancellationToken::new());
    drop(accepted(&listener).await);
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    link.send(ToKamailio::CallEndAck { end_id: "old".into() });
    assert!(matches!(link.next().await, Some(LinkEvent::Down)));
    link.send(ToKamailio::CallEndAck { end_id: "between".into() });
    let mut kamailio = accepted(&listener).await;
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    link.send(ToKamailio::CallEndAck { end_id: "new".into() });
    loop {
        match kamailio.next().await.expect("open").expect("frames").expect("a message").message {
            ToKamailio::Ping { .. } => {}
            other => break assert_eq!(other, ToKamailio::CallEndAck { end_id: "new".into() }),
        }
    }
    drop((kamailio, link));
    task.await.expect("the task ends with its link");
}

/// An agent whose task died must not look alive at Kamailio for ever.
#[tokio::test]
async fn the_connection_ends_with_its_agent() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (mut link, task) = Link::start(settings(address), CancellationToken::new());
    let mut kamailio = accepted(&listener).await;
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    drop(link);
    let mut rest = Vec::new();
    let closed = timeout(Duration::from_secs(10), kamailio.get_mut().read_to_end(&mut rest)).await;
    assert!(closed.is_ok());
    task.await.expect("the task ends with its link");
}
