//! Subscriptions to notifications. They only accelerate: what does not reach a subscriber is stored in the books,
//! repeated in answers, and sent again at the next subscription.

use std::collections::HashMap;

use tokio::sync::mpsc;
use types::ClientId;
use types::charging::Notification;

pub(super) type Sender = mpsc::Sender<Notification>;

/// One subscription; it ends when the subscriber is too slow or the core stops.
pub type Subscription = mpsc::Receiver<Notification>;

pub(super) fn channel() -> (Sender, Subscription) {
    mpsc::channel(BUFFERED)
}

/// Who listens.
#[derive(Debug, Default)]
pub(super) struct Hub {
    subscribers: HashMap<ClientId, Vec<Sender>>,
}

impl Hub {
    pub(super) fn subscribe(&mut self, client_id: ClientId, sender: Sender, pending: Vec<Notification>) {
        for notification in pending {
            if sender.try_send(notification).is_err() {
                return;
            }
        }
        let senders = self.subscribers.entry(client_id).or_default();
        senders.retain(|sender| !sender.is_closed());
        senders.push(sender);
    }

    pub(super) fn publish(&mut self, client_id: &ClientId, notification: &Notification) {
        let Some(senders) = self.subscribers.get_mut(client_id) else { return };
        // A subscriber that does not keep up is cut off, subscribes again, and gets everything unconfirmed.
        senders.retain(|sender| sender.try_send(notification.clone()).is_ok());
        if senders.is_empty() {
            self.subscribers.remove(client_id);
        }
    }
}

const BUFFERED: usize = 1024;
