//! The macro behind every group and message: a table whose rows are field, type and AVP gives the type, its decoder and
//! its encoder. `Option<T>` may stand once, `Vec<T>` any number of times, any other type must stand once.

use super::avp::{Avp, Avps};
use super::dictionary::{Definition, Kind};
use super::error::{EncodeError, MessageError};
use super::reading::Reading;
use super::value::Value;
use super::writer::Writer;

/// How often an AVP stands, by the type of its field.
pub(super) trait Field<'a>: Sized {
    /// What is gathered while reading.
    type Slot: Default;
    /// The same, independent of the message it came in.
    type Owned: 'static;
    #[cfg_attr(not(test), allow(dead_code, reason = "read by the test of the tables"))]
    const KINDS: &'static [Kind];

    fn accept(slot: &mut Self::Slot, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError>;

    fn finish(slot: Self::Slot, definition: &'static Definition) -> Result<Self, MessageError>;

    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) -> Result<(), EncodeError>;

    fn into_owned(self) -> Self::Owned;
}

#[inline]
fn once<'a, T: Value<'a>>(slot: &mut Option<T>, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
    if slot.is_some() {
        return reading.again(avp);
    }
    *slot = Some(T::decode(avp, reading)?);
    Ok(())
}

impl<'a, T: Value<'a>> Field<'a> for T {
    type Slot = Option<T>;
    type Owned = T::Owned;
    const KINDS: &'static [Kind] = T::KINDS;

    #[inline]
    fn accept(slot: &mut Self::Slot, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
        once(slot, avp, reading)
    }

    #[inline]
    fn finish(slot: Self::Slot, definition: &'static Definition) -> Result<Self, MessageError> {
        slot.ok_or_else(|| MessageError::missing(definition))
    }

    #[inline]
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.encode(definition, out)
    }

    fn into_owned(self) -> Self::Owned {
        Value::into_owned(self)
    }
}

impl<'a, T: Value<'a>> Field<'a> for Option<T> {
    type Slot = Self;
    type Owned = Option<T::Owned>;
    const KINDS: &'static [Kind] = T::KINDS;

    #[inline]
    fn accept(slot: &mut Self, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
        once(slot, avp, reading)
    }

    #[inline]
    fn finish(slot: Self, _: &'static Definition) -> Result<Self, MessageError> {
        Ok(slot)
    }

    #[inline]
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.encode(definition, out),
            None => Ok(()),
        }
    }

    fn into_owned(self) -> Self::Owned {
        self.map(Value::into_owned)
    }
}

impl<'a, T: Value<'a>> Field<'a> for Vec<T> {
    type Slot = Self;
    type Owned = Vec<T::Owned>;
    const KINDS: &'static [Kind] = T::KINDS;

    #[inline]
    fn accept(slot: &mut Self, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
        slot.push(T::decode(avp, reading)?);
        Ok(())
    }

    #[inline]
    fn finish(slot: Self, _: &'static Definition) -> Result<Self, MessageError> {
        Ok(slot)
    }

    #[inline]
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.iter().try_for_each(|value| value.encode(definition, out))
    }

    fn into_owned(self) -> Self::Owned {
        self.into_iter().map(Value::into_owned).collect()
    }
}

/// A row of AVPs with a table: a message, or what is in a group.
pub(super) trait Table<'a>: Sized {
    /// Name of the type, rows of the dictionary and the formats their fields take.
    #[cfg(test)]
    const ROWS: (&'static str, &'static [(&'static Definition, &'static [Kind])]);

    /// Reads the AVPs in any order.
    fn read(avps: Avps<'a>, reading: &mut Reading) -> Result<Self, MessageError>;

    /// Writes the AVPs in the order of the table.
    fn write_avps(&self, out: &mut Writer<'_>) -> Result<(), EncodeError>;
}

/// Makes a type with its table. `group` types are values, too. After the name comes `<'a>` if a field borrows, and
/// `in service information` where unknown AVPs are forgiven.
macro_rules! avp_table {
    ($(#[$meta:meta])* message $name:ident<$lt:lifetime> { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make $(#[$meta])* $name [$lt] [$lt] false $($rows)* }
    };
    ($(#[$meta:meta])* group $name:ident<$lt:lifetime> in service information { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make $(#[$meta])* $name [$lt] [$lt] true $($rows)* }
        $crate::diameter::table::avp_table! { @value $name [$lt] [$lt] ['static] }
    };
    ($(#[$meta:meta])* group $name:ident<$lt:lifetime> { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make $(#[$meta])* $name [$lt] [$lt] false $($rows)* }
        $crate::diameter::table::avp_table! { @value $name [$lt] [$lt] ['static] }
    };
    ($(#[$meta:meta])* group $name:ident { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make $(#[$meta])* $name ['a] [] false $($rows)* }
        $crate::diameter::table::avp_table! { @value $name ['a] [] [] }
    };
    (
        @make $(#[$meta:meta])* $name:ident [$lt:lifetime] [$($own:lifetime)?] $forgiving:literal
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $avp:ident,)*
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name $(<$own>)? {
            $(
                #[doc = concat!("[`", stringify!($avp), "`](crate::diameter::dictionary::", stringify!($avp), ").")]
                $(#[$field_meta])*
                pub $field: $type,
            )*
        }

        impl $(<$own>)? $name $(<$own>)? {
            /// The same, independent of the message it came in.
            pub fn into_owned(self) -> $crate::diameter::table::avp_table!(@owned $name $($own)?) {
                $name { $($field: $crate::diameter::table::Field::into_owned(self.$field),)* }
            }
        }

        impl<$lt> $crate::diameter::table::Table<$lt> for $name $(<$own>)? {
            #[cfg(test)]
            const ROWS: (
                &'static str,
                &'static [(&'static $crate::diameter::Definition, &'static [$crate::diameter::Kind])],
            ) = (stringify!($name), &[
                $((
                    &$crate::diameter::dictionary::$avp,
                    <$type as $crate::diameter::table::Field<$lt>>::KINDS,
                ),)*
            ]);

            fn read(
                mut avps: $crate::diameter::Avps<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<Self, $crate::diameter::MessageError> {
                $(let mut $field = <<$type as $crate::diameter::table::Field<$lt>>::Slot as Default>::default();)*
                while let Some(avp) = avps.next_avp().map_err($crate::diameter::MessageError::broken)? {
                    let mut key = avp.key();
                    loop {
                        match key {
                            $($crate::diameter::dictionary::keys::$avp => {
                                <$type as $crate::diameter::table::Field<$lt>>::accept(&mut $field, &avp, reading)?;
                            })*
                            _ if key == avp.key() => {
                                if let Some(other) = reading.unexpected(&avp, $forgiving)? {
                                    key = other;
                                    continue;
                                }
                            }
                            _ => {}
                        }
                        break;
                    }
                }
                Ok(Self {
                    $($field: $crate::diameter::table::Field::finish(
                        $field,
                        &$crate::diameter::dictionary::$avp,
                    )?,)*
                })
            }

            fn write_avps(
                &self,
                out: &mut $crate::diameter::writer::Writer<'_>,
            ) -> Result<(), $crate::diameter::EncodeError> {
                $($crate::diameter::table::Field::write(&self.$field, &$crate::diameter::dictionary::$avp, out)?;)*
                Ok(())
            }
        }
    };
    (@owned $name:ident $own:lifetime) => { $name<'static> };
    (@owned $name:ident) => { $name };
    (@value $name:ident [$lt:lifetime] [$($own:lifetime)?] [$($owned:lifetime)?]) => {
        impl<$lt> $crate::diameter::value::Value<$lt> for $name $(<$own>)? {
            const KINDS: &'static [$crate::diameter::Kind] = &[$crate::diameter::Kind::Grouped];
            type Owned = $name $(<$owned>)?;

            fn decode(
                avp: &$crate::diameter::Avp<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<Self, $crate::diameter::MessageError> {
                $crate::diameter::table::Table::read(avp.avps(), reading)
                    .map_err(|error| error.inside(avp.code, avp.vendor, avp.flags))
            }

            fn encode(
                &self,
                definition: &'static $crate::diameter::Definition,
                out: &mut $crate::diameter::writer::Writer<'_>,
            ) -> Result<(), $crate::diameter::EncodeError> {
                let group = out.open(definition)?;
                $crate::diameter::table::Table::write_avps(self, out)?;
                out.close(group)
            }

            fn into_owned(self) -> Self::Owned {
                $name::into_owned(self)
            }
        }
    };
}
pub(super) use avp_table;
