//! The charging API: the `.proto` files of `tollkeeper.charging.v1`, the types, clients and servers generated from
//! them, and the conversion to and from the domain words of `types::charging`.
//!
//! `charging-client` uses the client side, `charging-core/server` the server side. `AVP_MAPPING.md` beside the
//! `.proto` files says where each Diameter AVP goes.

mod bearer;
pub mod convert;
mod masked;

pub use bearer::{Bearer, TokenChannel};
pub use convert::ConvertError;

/// Generated from `proto/tollkeeper/charging/v1`; every item is described there and here by the same comments.
#[allow(missing_docs, clippy::all)]
pub mod v1 {
    tonic::include_proto!("tollkeeper.charging.v1");
}

/// The encoded `FileDescriptorSet` of the package, comments included: for server reflection and for tests.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
