//! What both directions have in common: JSON text to typed message and back, and the table that makes the enums.

use serde_json::{Map, Value as Json};

use super::error::{EncodeError, MessageError};
use super::limits::JSON_DEPTH_MAX;

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<M> {
    /// What it says.
    pub message: M,
    /// The text was not UTF-8: every broken byte became U+FFFD. Identifiers in it (`callid`, tags) may differ from the
    /// switch's own, so they must not be sent back; `h_entry` and `h_id` still name the dialog.
    pub lossy_utf8: bool,
}

/// One direction of the connection: [`FromKamailio`](super::FromKamailio) or [`ToKamailio`](super::ToKamailio).
pub trait Message: Sized {
    /// Longest JSON text of this direction, in bytes.
    const FRAME_BYTES_MAX: usize;

    /// Wire name of the message.
    fn event(&self) -> &str;

    /// Reads the text of one frame.
    ///
    /// # Errors
    /// Every [`MessageError`] is about this message only.
    fn decode(json: &[u8]) -> Result<Decoded<Self>, MessageError>;

    /// The text of one frame, without framing.
    ///
    /// # Errors
    /// A value that the other side would misread; see [`EncodeError`].
    fn encode(&self) -> Result<String, EncodeError>;
}

/// Text to object, bounded in depth before the parser sees it.
pub fn object(json: &[u8]) -> Result<(Map<String, Json>, bool), MessageError> {
    check_depth(json)?;
    let text = String::from_utf8_lossy(json);
    let lossy_utf8 = matches!(text, std::borrow::Cow::Owned(_));
    match serde_json::from_str(&text) {
        Ok(Json::Object(object)) => Ok((object, lossy_utf8)),
        Ok(_) => Err(MessageError::NotAnObject),
        Err(error) => Err(MessageError::BadJson { line: error.line(), column: error.column() }),
    }
}

/// The message's name.
pub fn event_name(object: &Map<String, Json>) -> Result<&str, MessageError> {
    object.get("event").and_then(Json::as_str).filter(|name| !name.is_empty()).ok_or(MessageError::NoEvent)
}

fn check_depth(json: &[u8]) -> Result<(), MessageError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for (offset, byte) in json.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return Err(MessageError::TooDeep { offset, limit: JSON_DEPTH_MAX });
        }
    }
    Ok(())
}

/// Makes one direction's enum, decoder and encoder from its table: a row is a variant, its wire name and its fields.
macro_rules! messages {
    (
        $(#[$meta:meta])* $name:ident, limit $limit:expr, forbidden $forbidden:expr;
        $($(#[$row_meta:meta])* $row:ident = $event:literal { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$row_meta])* $row { $($(#[$field_meta])* $field: $type,)* },)+
            /// A message this version does not know: to be counted and ignored.
            Other {
                /// Its name.
                event: String,
            },
        }

        impl $name {
            /// Wire names of all messages of this direction.
            pub const EVENTS: &'static [&'static str] = &[$($event),+];
        }

        impl crate::evapi::message::Message for $name {
            const FRAME_BYTES_MAX: usize = $limit;

            fn event(&self) -> &str {
                match self {
                    $(Self::$row { .. } => $event,)+
                    Self::Other { event } => event,
                }
            }

            fn decode(
                json: &[u8],
            ) -> Result<crate::evapi::message::Decoded<Self>, crate::evapi::error::MessageError> {
                let (object, lossy_utf8) = crate::evapi::message::object(json)?;
                let message = match crate::evapi::message::event_name(&object)? {
                    $($event => {
                        #[allow(unused_variables, reason = "some messages have no fields")]
                        let fields = crate::evapi::fields::Fields { event: $event, object: &object };
                        Self::$row {
                            $($field: crate::evapi::fields::Field::read(&fields, stringify!($field))?,)*
                        }
                    })+
                    other => Self::Other { event: other.to_owned() },
                };
                Ok(crate::evapi::message::Decoded { message, lossy_utf8 })
            }

            fn encode(&self) -> Result<String, crate::evapi::error::EncodeError> {
                let name = match self {
                    $(Self::$row { .. } => $event,)+
                    Self::Other { .. } => "other",
                };
                let mut out = crate::evapi::fields::FieldWriter::new(name, $forbidden);
                out.text("event", crate::evapi::message::Message::event(self));
                match self {
                    $(Self::$row { $($field,)* } => {
                        $(crate::evapi::fields::Field::write($field, stringify!($field), &mut out);)*
                    })+
                    Self::Other { .. } => {}
                }
                out.finish()
            }
        }
    };
}
pub(super) use messages;
