//! A TCP proxy on loopback that cuts, stalls and moves connections on demand.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// What connections do; each keeps to the order it was begun under until the order changes.
#[derive(Clone, Copy, PartialEq)]
struct Orders {
    /// Where new connections go; `None`: they are closed at once.
    upstream: Option<SocketAddr>,
    /// Connections of an earlier number are cut.
    cut: u64,
    /// Connections of an earlier number stay open and pass nothing.
    stall: u64,
}

pub struct Proxy {
    pub address: SocketAddr,
    orders: Arc<watch::Sender<Orders>>,
    listening: AbortHandle,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Proxy {
    pub async fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
        let address = listener.local_addr().expect("bound");
        let orders = Arc::new(watch::Sender::new(Orders { upstream: Some(upstream), cut: 0, stall: 0 }));
        let subscribed = orders.clone();
        let listening = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("accept");
                tokio::spawn(pass(client, subscribed.subscribe()));
            }
        });
        Self { address, orders, listening: listening.abort_handle() }
    }

    /// Ends every connection there is.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cut += 1);
    }

    /// Lets every connection there is stay open and pass nothing more.
    pub fn stall(&self) {
        self.orders.send_modify(|orders| orders.stall += 1);
    }

    /// Sends new connections elsewhere, or nowhere.
    pub fn point(&self, upstream: Option<SocketAddr>) {
        self.orders.send_modify(|orders| orders.upstream = upstream);
    }
}

async fn pass(mut client: TcpStream, mut orders: watch::Receiver<Orders>) {
    let begun = *orders.borrow_and_update();
    let Some(upstream) = begun.upstream else { return };
    let Ok(mut server) = TcpStream::connect(upstream).await else { return };
    let mut cut = orders.clone();
    let passing = async {
        let stalled = tokio::select! {
            // However it ends, both sockets are closed.
            ended = copy_bidirectional(&mut client, &mut server) => { drop(ended); false }
            _ = orders.wait_for(|now| now.stall != begun.stall) => true,
        };
        if stalled {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = passing => {}
        _ = cut.wait_for(|now| now.cut != begun.cut) => {}
    }
}
