//! The answerer without a network, as the binary wires agent and core in one process.

use std::sync::Arc;

use charging_client::{ChargingFailure, ChargingTransport, FailureCause, NotificationStream, Ready, TransportFuture};
use tokio::sync::watch;
use types::charging::{ChargingAnswer, ChargingRequest, SessionSummary};
use types::{ClientId, SessionId};

use crate::answerer::Answerer;
use crate::suite::Core;

/// Which run of the core there is, if any; every cut begins another one.
type Run = Option<u64>;

pub struct InProcessCore {
    answerer: Arc<Answerer>,
    run: watch::Sender<Run>,
}

pub struct InProcessTransport {
    answerer: Arc<Answerer>,
    run: watch::Receiver<Run>,
}

impl Core for InProcessCore {
    async fn start(answerer: Arc<Answerer>) -> Self {
        Self { answerer, run: watch::Sender::new(Some(0)) }
    }

    fn transport(&self) -> Arc<dyn ChargingTransport> {
        Arc::new(InProcessTransport { answerer: self.answerer.clone(), run: self.run.subscribe() })
    }

    async fn cut(&mut self) {
        self.run.send_modify(|run| *run = run.map(|number| number + 1));
    }

    async fn stop(&mut self) {
        self.run.send_replace(None);
    }

    async fn restart(&mut self) {
        self.run.send_replace(Some(1_000));
    }
}

impl InProcessTransport {
    /// The operation's outcome, unless the core is away or goes away meanwhile.
    async fn unless_cut<T>(&self, operation: impl Future<Output = T>) -> Result<T, ChargingFailure> {
        let mut run = self.run.clone();
        let begun = *run.borrow_and_update();
        if begun.is_none() {
            return Err(ChargingFailure::NotSent { cause: FailureCause::Disconnected });
        }
        tokio::select! {
            outcome = operation => Ok(outcome),
            _ = run.wait_for(|now| *now != begun) => {
                Err(ChargingFailure::UnknownFate { cause: FailureCause::Disconnected })
            }
        }
    }
}

impl ChargingTransport for InProcessTransport {
    fn ready(&self) -> Ready<'_> {
        let mut run = self.run.clone();
        Box::pin(async move {
            run.wait_for(Option::is_some).await.expect("the core outlives its transports");
        })
    }

    fn charge(&self, request: Arc<ChargingRequest>) -> TransportFuture<'_, ChargingAnswer> {
        Box::pin(self.unless_cut(async move {
            let answer = self.answerer.accept(&request);
            self.answerer.released(&answer.session_id).await;
            answer
        }))
    }

    fn list_sessions<'a>(&'a self, client_id: &'a ClientId) -> TransportFuture<'a, Vec<SessionSummary>> {
        Box::pin(self.unless_cut(async move { self.answerer.sessions_of(client_id) }))
    }

    fn session<'a>(&'a self, session_id: &'a SessionId) -> TransportFuture<'a, Option<SessionSummary>> {
        Box::pin(self.unless_cut(async move { self.answerer.session(session_id) }))
    }

    fn notifications<'a>(&'a self, _client_id: &'a ClientId) -> TransportFuture<'a, NotificationStream> {
        Box::pin(self.unless_cut(async move {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            let (answerer, mut run) = (self.answerer.clone(), self.run.clone());
            let begun = *run.borrow_and_update();
            tokio::spawn(async move {
                let mut last = 0;
                loop {
                    let notification = tokio::select! {
                        // A run that is over delivers nothing more, even if both are ready at once.
                        biased;
                        _ = run.wait_for(|now| *now != begun) => return,
                        notification = answerer.next_notification(last) => notification,
                    };
                    last = notification.sequence;
                    if sender.send(notification).await.is_err() {
                        return;
                    }
                }
            });
            Box::pin(tokio_stream::wrappers::ReceiverStream::new(receiver)) as NotificationStream
        }))
    }

    fn confirm<'a>(&'a self, _client_id: &'a ClientId, sequence: u64) -> TransportFuture<'a, ()> {
        Box::pin(self.unless_cut(async move { self.answerer.confirm(sequence) }))
    }
}
