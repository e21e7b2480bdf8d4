//! Asks a Kinesis-compatible server on loopback: AWS JSON 1.1 over a connection of its own. For setting up streams;
//! what was shipped is read back with boto3.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

/// The credentials that tests and demo use; no server in the lab verifies them, but each wants some.
pub const LAB_CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "lab"), ("AWS_SECRET_ACCESS_KEY", "lab")];

/// The region that tests and demo use.
pub const LAB_REGION: &str = "eu-central-1";

/// Asks for `operation`; the body of the answer, or an error with what the server said.
pub fn kinesis(port: u16, operation: &str, request: &Value) -> anyhow::Result<Value> {
    let body = request.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: Kinesis_20131202.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=lab/20260101/{LAB_REGION}/kinesis/aws4_request, \
         SignedHeaders=host;x-amz-date;x-amz-target, Signature=00\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a head")?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(status == "200", "{operation}: {status} {body}");
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).with_context(|| format!("{operation}: {body}"))
}
