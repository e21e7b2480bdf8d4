//! The answerer behind a real gRPC server, with a proxy before it.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use charging_client::{ChargingTransport, GrpcConfig, GrpcTransport};
use charging_proto::v1;
use charging_proto::v1::charging_service_server::{ChargingService, ChargingServiceServer};
use charging_proto::v1::session_service_server::{SessionService, SessionServiceServer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};
use types::charging::{ChargingAnswer, ChargingRequest};
use types::{ClientId, SessionId};

use crate::answerer::Answerer;
use crate::eventually;
use crate::proxy::Proxy;
use crate::suite::Core;

type Sent<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The services over the answerer.
#[derive(Clone)]
pub struct Services {
    pub answerer: Arc<Answerer>,
    pub refuses: Arc<AtomicBool>,
}

fn read(wire: v1::ChargingDataRequest) -> Result<ChargingRequest, Status> {
    wire.try_into().map_err(|error: charging_proto::ConvertError| Status::invalid_argument(error.to_string()))
}

#[tonic::async_trait]
impl ChargingService for Services {
    async fn charge(
        &self,
        request: Request<v1::ChargingDataRequest>,
    ) -> Result<Response<v1::ChargingDataResponse>, Status> {
        let answer = self.answerer.accept(&read(request.into_inner())?);
        self.answerer.released(&answer.session_id).await;
        Ok(Response::new(answer.into()))
    }

    type ChargeStreamStream = Sent<v1::ChargingDataResponse>;

    async fn charge_stream(
        &self,
        requests: Request<Streaming<v1::ChargingDataRequest>>,
    ) -> Result<Response<Self::ChargeStreamStream>, Status> {
        if self.refuses.load(Ordering::Acquire) {
            return Err(Status::permission_denied("not this client"));
        }
        let mut requests = requests.into_inner();
        let (sender, receiver) = mpsc::channel(1024);
        let answerer = self.answerer.clone();
        tokio::spawn(async move {
            while let Ok(Some(wire)) = requests.message().await {
                let answer: Result<ChargingAnswer, Status> = read(wire).map(|request| answerer.accept(&request));
                let (answerer, sender) = (answerer.clone(), sender.clone());
                tokio::spawn(async move {
                    if let Ok(answer) = &answer {
                        answerer.released(&answer.session_id).await;
                    }
                    // The stream may be gone: that is the case under test.
                    drop(sender.send(answer.map(Into::into)).await);
                });
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    type NotifyStream = Sent<v1::Notification>;

    async fn notify(&self, _request: Request<v1::NotifyRequest>) -> Result<Response<Self::NotifyStream>, Status> {
        let (sender, receiver) = mpsc::channel(1);
        let answerer = self.answerer.clone();
        tokio::spawn(async move {
            let mut last = 0;
            loop {
                let notification = tokio::select! {
                    notification = answerer.next_notification(last) => notification,
                    () = sender.closed() => return,
                };
                last = notification.sequence;
                if sender.send(Ok(notification.into())).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn confirm_notifications(
        &self,
        request: Request<v1::ConfirmNotificationsRequest>,
    ) -> Result<Response<v1::ConfirmNotificationsResponse>, Status> {
        self.answerer.confirm(request.into_inner().sequence);
        Ok(Response::new(v1::ConfirmNotificationsResponse {}))
    }
}

#[tonic::async_trait]
impl SessionService for Services {
    type ListStream = Sent<v1::SessionSummary>;

    async fn list(&self, request: Request<v1::ListSessionsRequest>) -> Result<Response<Self::ListStream>, Status> {
        let client_id = ClientId::from(request.into_inner().client_id.unwrap_or_default());
        let sessions = self.answerer.sessions_of(&client_id);
        Ok(Response::new(Box::pin(tokio_stream::iter(sessions).map(|session| Ok(session.into())))))
    }

    async fn get(&self, request: Request<v1::GetSessionRequest>) -> Result<Response<v1::GetSessionResponse>, Status> {
        let session = self.answerer.session(&SessionId::from(request.into_inner().session_id));
        Ok(Response::new(v1::GetSessionResponse { session: session.map(Into::into), ..Default::default() }))
    }

    async fn release(
        &self,
        _request: Request<v1::ReleaseSessionRequest>,
    ) -> Result<Response<v1::ReleaseSessionResponse>, Status> {
        Err(Status::unimplemented("no operator here"))
    }
}

/// A running server; connections already made outlive it, so cut them at the proxy.
pub struct Server {
    pub address: SocketAddr,
    serving: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub async fn serve(services: Services) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    let server = tonic::transport::Server::builder()
        .add_service(ChargingServiceServer::new(services.clone()))
        .add_service(SessionServiceServer::new(services))
        .serve_with_incoming(TcpListenerStream::new(listener));
    Server { address, serving: tokio::spawn(server).abort_handle() }
}

pub struct GrpcCore {
    pub services: Services,
    pub proxy: Proxy,
    server: Option<Server>,
    transports: Mutex<Vec<Arc<GrpcTransport>>>,
}

impl GrpcCore {
    /// What the transport is told, with pauses short enough for tests.
    pub fn config(&self) -> GrpcConfig {
        GrpcConfig {
            addresses: vec![format!("http://{}", self.proxy.address)],
            // Longer than any case waits: what is lost must be noticed by itself.
            attempt_timeout_ms: 60_000,
            reconnect_first_ms: 2,
            reconnect_max_ms: 20,
            ..GrpcConfig::default()
        }
    }
}

impl Core for GrpcCore {
    async fn start(answerer: Arc<Answerer>) -> Self {
        let services = Services { answerer, refuses: Arc::default() };
        let server = serve(services.clone()).await;
        Self { services, proxy: Proxy::start(server.address).await, server: Some(server), transports: Mutex::default() }
    }

    fn transport(&self) -> Arc<dyn ChargingTransport> {
        let transport = Arc::new(GrpcTransport::start(&self.config()).expect("a good configuration"));
        self.transports.lock().expect("no panic").push(transport.clone());
        transport
    }

    async fn cut(&mut self) {
        self.proxy.cut();
    }

    async fn stop(&mut self) {
        self.server = None;
        self.proxy.point(None);
        self.proxy.cut();
        let transports = self.transports.lock().expect("no panic").clone();
        eventually("the loss is noticed", || transports.iter().all(|of| of.metrics().connected.value() == 0)).await;
    }

    async fn restart(&mut self) {
        let server = serve(self.services.clone()).await;
        self.proxy.point(Some(server.address));
        self.server = Some(server);
    }
}
