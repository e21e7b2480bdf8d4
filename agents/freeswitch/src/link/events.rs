//! The connection that brings events. Nothing here waits but for the next frame.

use protocol_codecs::esl::Frame;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::debug;

use super::{Connection, LinkEvent, LinkFault, LinkSettings, next_frame};

/// Reads until something ends it.
pub(super) async fn serve(
    settings: &LinkSettings,
    queue: &mpsc::Sender<LinkEvent>,
    mut connection: Connection,
) -> LinkFault {
    loop {
        let frame = match timeout(settings.heartbeat_timeout, next_frame(settings, &mut connection)).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(fault)) => return fault,
            Err(_) => return LinkFault::Silent(settings.heartbeat_timeout),
        };
        match frame {
            Frame::Event(event) => {
                debug!(switch = %settings.switch, ?event, "received");
                if queue.try_send(LinkEvent::Event(Box::new(event))).is_err() {
                    return LinkFault::Overflow;
                }
            }
            Frame::DisconnectNotice(notice) => return LinkFault::Notice(notice.text),
            Frame::RudeRejection => return LinkFault::Rejected,
            other => debug!(switch = %settings.switch, frame = ?other, "no event"),
        }
    }
}
