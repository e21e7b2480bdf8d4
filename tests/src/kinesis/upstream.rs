//! The server behind the proxy.

use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::wire::Answer;

/// What goes on to it with each request; the signature is not verified by any of them, but has to be there.
const FORWARDED: [&str; 3] = ["authorization", "x-amz-date", "content-type"];

/// Asks it over a connection of its own; `None` when it is not there.
pub(super) async fn ask(address: SocketAddr, operation: &str, headers: &HeaderMap, body: Bytes) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    // Ends with the answer; what goes wrong shows there.
    tokio::spawn(async move { drop(connection.await) });
    let mut request = Request::post("/").header("host", address.to_string()).header("connection", "close");
    request = request.header("x-amz-target", format!("Kinesis_20131202.{operation}"));
    for name in FORWARDED {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let answer = sender.send_request(request.body(Full::new(body)).ok()?).await.ok()?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.ok()?.to_bytes().to_vec();
    Some(Answer { status, body })
}
