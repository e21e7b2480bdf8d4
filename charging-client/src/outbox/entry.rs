//! One entry on disk: a version octet, a kind octet, the number in eight octets little endian, and for a taken request its
//! protobuf message, the same as on the wire.

use charging_proto::v1;
use prost::Message;
use types::charging::ChargingRequest;

/// What an entry says.
#[derive(Debug, PartialEq)]
pub(super) enum Entry {
    /// Asked until it is done.
    Taken { number: u64, request: Box<ChargingRequest> },
    /// Not asked again.
    Done { number: u64 },
}

impl Entry {
    /// `None`: not of this version, or damaged.
    pub(super) fn decode(payload: &[u8]) -> Option<Self> {
        let (&[version, kind], rest) = payload.split_first_chunk()?;
        let (number, message) = rest.split_first_chunk()?;
        let number = u64::from_le_bytes(*number);
        match (version, kind) {
            (VERSION, DONE) => Some(Self::Done { number }),
            (VERSION, TAKEN) => {
                let request = v1::ChargingDataRequest::decode(message).ok()?.try_into().ok()?;
                Some(Self::Taken { number, request: Box::new(request) })
            }
            _ => None,
        }
    }
}

pub(super) fn taken(number: u64, request: &ChargingRequest) -> Vec<u8> {
    let message = v1::ChargingDataRequest::from(request.clone());
    let mut payload = head(TAKEN, number);
    payload.extend(message.encode_to_vec());
    payload
}

pub(super) fn done(number: u64) -> Vec<u8> {
    head(DONE, number)
}

fn head(kind: u8, number: u64) -> Vec<u8> {
    let mut payload = vec![VERSION, kind];
    payload.extend_from_slice(&number.to_le_bytes());
    payload
}

const VERSION: u8 = 1;
const TAKEN: u8 = 1;
const DONE: u8 = 2;
