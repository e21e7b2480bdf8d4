//! Over gRPC on the loopback, as an agent: [`GrpcTransport`]'s stream, or one call after the other.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use charging_client::{ChargingTransport as _, GrpcConfig, GrpcTransport};
use charging_proto::v1;
use charging_proto::v1::charging_service_client::ChargingServiceClient;
use types::charging::{ChargingAnswer, ChargingRequest};

use crate::run::{Meter, Run};
use crate::traffic;

/// How requests go.
#[derive(Clone)]
enum Way {
    Stream(Arc<GrpcTransport>),
    Unary(ChargingServiceClient<tonic::transport::Channel>),
}

impl Way {
    async fn charge(&mut self, request: ChargingRequest) -> anyhow::Result<ChargingAnswer> {
        match self {
            Self::Stream(transport) => {
                transport.charge(Arc::new(request)).await.map_err(|failure| anyhow::anyhow!("{failure}"))
            }
            Self::Unary(client) => {
                let answer = client.charge(v1::ChargingDataRequest::from(request)).await?;
                Ok(answer.into_inner().try_into()?)
            }
        }
    }
}

pub struct Load {
    pub address: String,
    pub accounts: u64,
    pub in_flight: usize,
    /// Streams, or connections.
    pub connections: usize,
    pub seconds: u64,
    pub unary: bool,
    pub number: u64,
}

pub async fn run(load: &Load) -> anyhow::Result<Run> {
    let mut ways = Vec::new();
    for _ in 0..load.connections.max(1) {
        ways.push(if load.unary {
            let endpoint = tonic::transport::Endpoint::from_shared(load.address.clone())?.tcp_nodelay(true);
            Way::Unary(ChargingServiceClient::new(endpoint.connect().await?))
        } else {
            let window = load.in_flight.div_ceil(load.connections);
            let config = GrpcConfig { addresses: vec![load.address.clone()], window, ..GrpcConfig::default() };
            let transport = GrpcTransport::start(&config)?;
            transport.ready().await;
            Way::Stream(Arc::new(transport))
        });
    }
    let meter = Arc::new(Mutex::new(Meter::start()?));
    let end = Instant::now() + Duration::from_secs(load.seconds);
    let mut slots = tokio::task::JoinSet::new();
    for (slot, way) in (0..load.in_flight).zip(ways.iter().cycle()) {
        let (mut way, meter) = (way.clone(), Arc::clone(&meter));
        let mut callers = traffic::Callers::new(load.number, u64::try_from(slot)?, load.accounts);
        slots.spawn(async move {
            while Instant::now() < end {
                let (step, request) = callers.next();
                let begun = Instant::now();
                traffic::check(step, &way.charge(request).await?)?;
                meter.lock().unwrap_or_else(std::sync::PoisonError::into_inner).answered(begun.elapsed());
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = slots.join_next().await {
        ended??;
    }
    let meter = Arc::into_inner(meter).and_then(|meter| meter.into_inner().ok());
    meter.ok_or_else(|| anyhow::anyhow!("a slot is left"))?.finish(load.in_flight)
}
