//! The Diameter codec over what real peers sent (`tests/captures/diameter`), over malformed and hostile bytes, and over
//! generated messages.

mod answers;
mod framing;
mod hostile;
mod properties;
mod recordings;
mod requests;
mod support;
mod tshark;
