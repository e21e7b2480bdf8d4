use std::collections::HashSet;

use bytes::BytesMut;
use protocol_codecs::esl::{SwitchCodec, SwitchFrame};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::codec::{Encoder, FramedRead};

use super::*;

fn settings(address: String, queued_messages: usize) -> LinkSettings {
    LinkSettings {
        switch: Arc::from("fs1"),
        address: address.into(),
        password: Masked::new("ClueCon"),
        heartbeat_timeout: Duration::from_secs(60),
        reply_timeout: Duration::from_secs(5),
        reconnect_longest: Duration::from_millis(200),
        queued_messages,
        frames: Frames::of(&Arc::from("fs1")),
    }
}

fn bytes(frame: SwitchFrame) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    SwitchCodec.encode(frame, &mut bytes).unwrap();
    bytes.to_vec()
}

fn event(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    bytes(SwitchFrame::JsonEvent(fields.collect(), None))
}

/// Answers what every client says at first; `after` goes behind the answer to the subscription.
async fn greet(stream: TcpStream, after: Vec<u8>) {
    let (reading, mut writing) = stream.into_split();
    let mut commands = FramedRead::new(reading, SwitchCodec);
    writing.write_all(&bytes(SwitchFrame::AuthRequest)).await.unwrap();
    while let Some(Ok(command)) = commands.next().await {
        let mut answer = match command.split(' ').next().unwrap() {
            "bgapi" => bytes(SwitchFrame::JobReply("j".into())),
            "api" => bytes(SwitchFrame::Api("+OK\n".into())),
            _ => bytes(SwitchFrame::Reply("+OK".into())),
        };
        if command.starts_with("event") {
            answer.extend(event(&[("Event-Name", "CHANNEL_PARK"), ("Unique-ID", "early")]));
        }
        if command.starts_with("bgapi") {
            answer.extend(event(&[("Event-Name", "BACKGROUND_JOB"), ("Core-UUID", "other"), ("Job-UUID", "x")]));
            answer.extend(event(&[("Event-Name", "BACKGROUND_JOB"), ("Core-UUID", "run"), ("Job-UUID", "j")]));
        }
        if command.starts_with("nixevent") {
            answer.extend(&after);
        }
        if writing.write_all(&answer).await.is_err() {
            return;
        }
    }
}

async fn switch(after: Vec<u8>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(greet(stream, after.clone()));
        }
    });
    address
}

#[tokio::test]
async fn events_that_come_before_all_stands_are_not_lost() {
    let address = switch(vec![]).await;
    let (mut link, _task) = Link::start(settings(address, 16), CancellationToken::new());
    let Some(LinkEvent::Up { core_uuid, .. }) = link.next().await else { panic!("up") };
    assert_eq!(core_uuid, "run", "of our own job");
    let mut names = HashSet::new();
    for _ in 0..2 {
        let Some(LinkEvent::Event(event)) = link.next().await else { panic!("an event") };
        names.insert(event.name_text().to_owned());
    }
    assert_eq!(names, ["CHANNEL_PARK".to_owned(), "BACKGROUND_JOB".to_owned()].into());
}

#[tokio::test]
async fn answers_belong_to_their_calls_in_order() {
    let address = switch(vec![]).await;
    let (mut link, _task) = Link::start(settings(address, 512), CancellationToken::new());
    assert!(matches!(link.next().await, Some(LinkEvent::Up { .. })));
    let session = |number: u32| types::SessionId::from(format!("s{number}"));
    for number in 0..300 {
        // Every tenth cannot be sent: no name of a channel.
        let unique_id = if number % 10 == 0 { String::new() } else { "a".to_owned() };
        link.send(Purpose::Kill(session(number)), ApiCall::UuidExists { unique_id });
    }
    let mut answered = Vec::new();
    while answered.len() < 300 {
        if let Some(LinkEvent::Reply(Purpose::Kill(session), reply)) = link.next().await {
            answered.push((session, reply.is_some()));
        }
    }
    let sent: Vec<_> = answered.iter().filter(|(_, sent)| *sent).map(|(session, _)| session.clone()).collect();
    let expected: Vec<_> = (0..300).filter(|number| number % 10 != 0).map(session).collect();
    assert_eq!(sent, expected);
    assert_eq!(answered.len() - sent.len(), 30);
}

/// Nothing is dropped silently: what finds no room costs the connection, and the next one starts over.
#[tokio::test]
async fn a_full_queue_closes_the_connections() {
    let many = event(&[("Event-Name", "HEARTBEAT")]).repeat(100);
    let address = switch(many).await;
    let (mut link, _task) = Link::start(settings(address, 8), CancellationToken::new());
    let mut connected = 0;
    let three = async {
        while connected < 3 {
            match link.next().await.expect("the task lives") {
                LinkEvent::Up { .. } => connected += 1,
                LinkEvent::Event(_) | LinkEvent::Reply(..) | LinkEvent::Down => {}
            }
        }
    };
    timeout(Duration::from_secs(20), three).await.expect("a new connection after each overflow");
}
