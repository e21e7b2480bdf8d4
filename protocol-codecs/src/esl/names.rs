//! The wire's words that are values, one row each.

/// Makes an enum of wire words with its table, parser and wire form.
macro_rules! wire_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$row_meta:meta])* $row:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$row_meta])* $row,)+
        }

        impl $name {
            /// Every word of the table.
            pub const KNOWN: &'static [Self] = &[$(Self::$row),+];

            /// The wire's word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$row => $word,)+
                }
            }

            /// From the wire's word, case-sensitive; `None` for a word that is not in the table.
            pub fn parse(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$row),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

wire_words! {
    /// The events that matter to charging and liveness (`EVENT_NAMES` in `switch_event.c` has all 95). `ALL` is not
    /// among them on purpose: it is 25 events a call instead of 3, and is never to be subscribed to.
    EventName {
        /// Has a subclass in `Event-Subclass`.
        Custom = "CUSTOM",
        /// A channel came into being.
        ChannelCreate = "CHANNEL_CREATE",
        /// A channel is gone; after `ChannelHangupComplete`.
        ChannelDestroy = "CHANNEL_DESTROY",
        /// A channel's internal state changed.
        ChannelState = "CHANNEL_STATE",
        /// A channel's call state (`Channel-Call-State`) changed.
        ChannelCallstate = "CHANNEL_CALLSTATE",
        /// Answered. The B leg's comes about 20 ms before the A leg's.
        ChannelAnswer = "CHANNEL_ANSWER",
        /// Hung up; without duration and quality.
        ChannelHangup = "CHANNEL_HANGUP",
        /// Hung up, with every final number; may be late or missing.
        ChannelHangupComplete = "CHANNEL_HANGUP_COMPLETE",
        /// An application begins on a channel.
        ChannelExecute = "CHANNEL_EXECUTE",
        /// An application ended on a channel.
        ChannelExecuteComplete = "CHANNEL_EXECUTE_COMPLETE",
        /// Put on hold.
        ChannelHold = "CHANNEL_HOLD",
        /// Taken off hold.
        ChannelUnhold = "CHANNEL_UNHOLD",
        /// Two legs talk.
        ChannelBridge = "CHANNEL_BRIDGE",
        /// They no longer do.
        ChannelUnbridge = "CHANNEL_UNBRIDGE",
        /// 180.
        ChannelProgress = "CHANNEL_PROGRESS",
        /// 183 with media.
        ChannelProgressMedia = "CHANNEL_PROGRESS_MEDIA",
        /// An outbound leg was made.
        ChannelOutgoing = "CHANNEL_OUTGOING",
        /// Parked: the moment to authorise.
        ChannelPark = "CHANNEL_PARK",
        /// No longer parked.
        ChannelUnpark = "CHANNEL_UNPARK",
        /// An application told something.
        ChannelApplication = "CHANNEL_APPLICATION",
        /// An outbound leg is being called.
        ChannelOriginate = "CHANNEL_ORIGINATE",
        /// A channel's `Unique-ID` changed (`Old-Unique-ID`).
        ChannelUuid = "CHANNEL_UUID",
        /// The state of a channel: answer to `connect`, and `uuid_dump`.
        ChannelData = "CHANNEL_DATA",
        /// Codec or caller id changed.
        CallUpdate = "CALL_UPDATE",
        /// `uuid_session_heartbeat` ticks.
        SessionHeartbeat = "SESSION_HEARTBEAT",
        /// A channel's thread crashed.
        SessionCrash = "SESSION_CRASH",
        /// The answer to a `bgapi`.
        BackgroundJob = "BACKGROUND_JOB",
        /// Every 20 s by default.
        Heartbeat = "HEARTBEAT",
        /// The switch is ready after a start.
        Startup = "STARTUP",
        /// The switch ends.
        Shutdown = "SHUTDOWN",
        /// A shutdown was asked for.
        ShutdownRequested = "SHUTDOWN_REQUESTED",
        /// A task was scheduled.
        AddSchedule = "ADD_SCHEDULE",
        /// A scheduled task was deleted.
        DelSchedule = "DEL_SCHEDULE",
        /// A scheduled task was run.
        ExeSchedule = "EXE_SCHEDULE",
        /// A scheduled task was moved.
        ReSchedule = "RE_SCHEDULE",
        /// DTMF received.
        Dtmf = "DTMF",
        /// An api command was run.
        Api = "API",
        /// A log line as an event.
        Log = "LOG",
        /// The configuration was read again.
        Reloadxml = "RELOADXML",
        /// A module was loaded.
        ModuleLoad = "MODULE_LOAD",
        /// A module was unloaded.
        ModuleUnload = "MODULE_UNLOAD",
        /// Presence (in).
        PresenceIn = "PRESENCE_IN",
        /// Recording began.
        RecordStart = "RECORD_START",
        /// Recording ended.
        RecordStop = "RECORD_STOP",
        /// Playback began.
        PlaybackStart = "PLAYBACK_START",
        /// Playback ended.
        PlaybackStop = "PLAYBACK_STOP",
        /// An event client was lost.
        ClientDisconnected = "CLIENT_DISCONNECTED",
        /// The event socket module ends.
        ServerDisconnected = "SERVER_DISCONNECTED",
    }
}

wire_words! {
    /// `Content-Type` of a frame.
    ContentType {
        /// FreeSWITCH asks for `auth`.
        AuthRequest = "auth/request",
        /// The answer to every command but `api`.
        CommandReply = "command/reply",
        /// The answer to `api`.
        ApiResponse = "api/response",
        /// An event as header lines.
        EventPlain = "text/event-plain",
        /// An event as JSON.
        EventJson = "text/event-json",
        /// An event as XML.
        EventXml = "text/event-xml",
        /// The connection will end, or the channel did.
        DisconnectNotice = "text/disconnect-notice",
        /// The address is not permitted.
        RudeRejection = "text/rude-rejection",
        /// A log line.
        LogData = "log/data",
    }
}

wire_words! {
    /// `Call-Direction` of a channel.
    CallDirection {
        /// It called the switch: an A leg, or the A leg of a conference.
        Inbound = "inbound",
        /// The switch called it: a B leg, or a click-to-call A leg.
        Outbound = "outbound",
    }
}

wire_words! {
    /// How events are written. Per connection: the last `event` command decides for all of them.
    EventFormat {
        /// One JSON object: keeps empty values and arrays.
        Json = "json",
        /// Header lines.
        Plain = "plain",
        /// Kept raw.
        Xml = "xml",
    }
}

wire_words! {
    /// Which legs hear `uuid_broadcast`.
    BroadcastLegs {
        /// This one.
        A = "aleg",
        /// The other one.
        B = "bleg",
        /// Both.
        Both = "both",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::esl::HangupCause;

    macro_rules! every_word_comes_back {
        ($($name:ident),+) => {
            $(for word in $name::KNOWN {
                assert_eq!($name::parse(word.as_str()), Some(*word));
            }
            assert_eq!($name::parse("SOMETHING_NEW"), None);)+
        };
    }

    #[test]
    fn words_round_trip() {
        every_word_comes_back!(EventName, ContentType, CallDirection, EventFormat, BroadcastLegs, HangupCause);
        assert_eq!(EventName::parse("channel_answer"), None, "case matters");
    }
}
