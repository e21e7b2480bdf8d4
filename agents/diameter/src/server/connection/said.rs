//! What a connection says for itself, whatever its sessions do: CEA, DWR, DWA, DPR and DPA (RFC 6733 section 5).

use metrics::counter;
use protocol_codecs::diameter::{DisconnectCause, EncodeError, Exchange, Frame, ResultCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tracing::warn;

use super::Connection;
use crate::metric;
use crate::peer::State;
use crate::server::receive;

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn send_cea(&mut self, code: ResultCode) -> Result<(), EncodeError> {
        let Some((frame, verdict)) = &self.cer else { return Ok(()) };
        let bytes = receive::cea(frame, code, self.local, &self.peers.node, &self.peers.config)?;
        if !code.is_success() {
            let (host, realm, reason) = (&*verdict.host, &*verdict.realm, verdict.reason);
            counter!(metric::REFUSED, "switch" => self.peers.label.to_string(), "reason" => reason).increment(1);
            self.peers.board.refused(&self.caller(verdict), reason, Some(code));
            if self.peers.may_complain() {
                warn!(agent = %self.peers.label, peer = host, realm, address = %self.address, reason, result_code = code.0,
                    "peer refused; if it is yours, let it in with peers = [{{ host = \"{host}\" }}]");
            }
        }
        self.put(&bytes);
        if self.machine.state() == State::Open && self.remote.peer.is_some() {
            self.cer = None;
        }
        Ok(())
    }

    fn own_exchange(&mut self) -> Exchange {
        self.next_own_id = self.next_own_id.wrapping_add(1);
        // The upper half belongs to the desk's requests.
        let id = self.next_own_id & 0x7FFF_FFFF;
        Exchange::new(id, id)
    }

    pub(super) fn send_dwr(&mut self) -> Result<(), EncodeError> {
        let exchange = self.own_exchange();
        let bytes = self.peers.node.dwr(exchange)?;
        self.put(&bytes);
        Ok(())
    }

    pub(super) fn send_dwa(&mut self, request: Option<&Frame>) -> Result<(), EncodeError> {
        let Some(request) = request else { return Ok(()) };
        let bytes = self.peers.node.dwa(request)?;
        self.put(&bytes);
        Ok(())
    }

    pub(super) fn send_dpr(&mut self, disconnect_cause: DisconnectCause) -> Result<(), EncodeError> {
        let exchange = self.own_exchange();
        let bytes = self.peers.node.dpr(disconnect_cause, exchange)?;
        self.put(&bytes);
        Ok(())
    }

    pub(super) fn send_dpa(&mut self, request: Option<&Frame>) -> Result<(), EncodeError> {
        let Some(request) = request else { return Ok(()) };
        let bytes = self.peers.node.dpa(request)?;
        self.put(&bytes);
        Ok(())
    }
}
