//! /metrics, /healthz, /readyz, /sinks for `cdr ship-status`, and /diameter/peers for `diameter peers`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Api;
use super::readiness::Readiness;
use crate::sinks::SinksAnswer;

/// Listens (port 0: any free one) and serves.
pub(super) async fn serve(listen: SocketAddr, readiness: Arc<Readiness>) -> anyhow::Result<(SocketAddr, Api)> {
    let what = || format!("http.listen: cannot listen on {listen}; is another tollkeeper running?");
    let listener = TcpListener::bind(listen).await.with_context(what)?;
    let address = listener.local_addr().with_context(what)?;
    let shutdown = CancellationToken::new();
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "up\n"))
        .route("/readyz", get(ready))
        .route("/sinks", get(sinks))
        .route("/diameter/peers", get(diameter_peers))
        .with_state(readiness);
    let server = axum::serve(listener, router).with_graceful_shutdown(shutdown.clone().cancelled_owned());
    let task = tokio::spawn(async move { server.await.context("HTTP server") });
    Ok((address, Api { task, shutdown }))
}

async fn metrics(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], readiness.exports().render())
}

async fn ready(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let report = readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = serde_json::to_string(&report).unwrap_or_default();
    (status, [(header::CONTENT_TYPE, "application/json")], text)
}

/// The journal's directory and its sinks.
async fn sinks(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let answer = SinksAnswer { journal: readiness.journal_dir().map(Path::to_path_buf), sinks: readiness.sinks() };
    ([(header::CONTENT_TYPE, "application/json")], serde_json::to_string(&answer).unwrap_or_default())
}

/// The peers of all Diameter agents.
async fn diameter_peers(State(readiness): State<Arc<Readiness>>) -> impl IntoResponse {
    let reports = readiness.diameter_peers();
    ([(header::CONTENT_TYPE, "application/json")], serde_json::to_string(&reports).unwrap_or_default())
}
