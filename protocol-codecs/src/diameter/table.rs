//! The macro behind every group and message: a table whose rows are field, type and AVP gives the type, its decoder and
//! its encoder. `Option<T>` may stand once, `Vec<T>` and `Few<T>` any number of times, any other type must stand
//! once.

use super::avp::{Avp, Avps};
use super::dictionary::{Definition, Kind};
use super::error::MessageError;
use super::few::Few;
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

    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>);

    fn into_owned(self) -> Self::Owned;
}

#[inline]
fn once<'a, T: Value<'a>>(slot: &mut Option<T>, avp: &Avp<'a>, reading: &mut Reading) -> Result<(), MessageError> {
    if slot.is_some() {
        return reading.again(avp);
    }
    T::decode_into(slot, avp, reading)
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
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        self.encode(definition, out);
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
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        if let Some(value) = self {
            value.encode(definition, out);
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
        T::decode_behind(slot, avp, reading)
    }

    #[inline]
    fn finish(slot: Self, _: &'static Definition) -> Result<Self, MessageError> {
        Ok(slot)
    }

    #[inline]
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        self.iter().for_each(|value| value.encode(definition, out));
    }

    fn into_owned(self) -> Self::Owned {
        self.into_iter().map(Value::into_owned).collect()
    }
}

impl<'a, T: Value<'a>> Field<'a> for Few<T> {
    type Slot = Self;
    type Owned = Few<T::Owned>;
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
    fn write(&self, definition: &'static Definition, out: &mut Writer<'_>) {
        self.iter().for_each(|value| value.encode(definition, out));
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
    fn write_avps(&self, out: &mut Writer<'_>);
}

/// Makes a type with its table. `group` types are values, too; in an `optional group` nothing is required, and it has a
/// `Default`. After the name comes `<'a>` if a field borrows, and `in service information` where unknown AVPs are
/// forgiven.
macro_rules! avp_table {
    ($(#[$meta:meta])* message $name:ident<$lt:lifetime> { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make required $(#[$meta])* $name [$lt] [$lt] false $($rows)* }
    };
    ($(#[$meta:meta])* group $name:ident<$lt:lifetime> { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make required $(#[$meta])* $name [$lt] [$lt] false $($rows)* }
        $crate::diameter::table::avp_table! { @value required $name [$lt] [$lt] ['static] }
    };
    ($(#[$meta:meta])* group $name:ident { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make required $(#[$meta])* $name ['a] [] false $($rows)* }
        $crate::diameter::table::avp_table! { @value required $name ['a] [] [] }
    };
    ($(#[$meta:meta])* optional group $name:ident<$lt:lifetime> in service information { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make optional $(#[$meta])* #[derive(Default)] $name [$lt] [$lt] true $($rows)* }
        $crate::diameter::table::avp_table! { @fill $name [$lt] [$lt] true $($rows)* }
        $crate::diameter::table::avp_table! { @value optional $name [$lt] [$lt] ['static] }
    };
    ($(#[$meta:meta])* optional group $name:ident<$lt:lifetime> { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make optional $(#[$meta])* #[derive(Default)] $name [$lt] [$lt] false $($rows)* }
        $crate::diameter::table::avp_table! { @fill $name [$lt] [$lt] false $($rows)* }
        $crate::diameter::table::avp_table! { @value optional $name [$lt] [$lt] ['static] }
    };
    ($(#[$meta:meta])* optional group $name:ident { $($rows:tt)* }) => {
        $crate::diameter::table::avp_table! { @make optional $(#[$meta])* #[derive(Default)] $name ['a] [] false $($rows)* }
        $crate::diameter::table::avp_table! { @fill $name ['a] [] false $($rows)* }
        $crate::diameter::table::avp_table! { @value optional $name ['a] [] [] }
    };
    // Each AVP to its place.
    (@each $avps:ident $reading:ident $forgiving:literal $lt:lifetime $($place:expr, $type:ty = $avp:ident;)*) => {
        while let Some(avp) = $avps.next_avp().map_err($crate::diameter::MessageError::broken)? {
            let mut key = avp.key();
            loop {
                match key {
                    $($crate::diameter::dictionary::keys::$avp => {
                        <$type as $crate::diameter::table::Field<$lt>>::accept($place, &avp, $reading)?;
                    })*
                    _ if key == avp.key() => {
                        if let Some(other) = $reading.unexpected(&avp, $forgiving)? {
                            key = other;
                            continue;
                        }
                    }
                    _ => {}
                }
                break;
            }
        }
    };
    (
        @read required $avps:ident $reading:ident $forgiving:literal $lt:lifetime
        $($field:ident: $type:ty = $avp:ident,)*
    ) => {{
        let mut avps = $avps;
        $(let mut $field = <<$type as $crate::diameter::table::Field<$lt>>::Slot as Default>::default();)*
        $crate::diameter::table::avp_table! {
            @each avps $reading $forgiving $lt $(&mut $field, $type = $avp;)*
        }
        Ok(Self {
            $($field: $crate::diameter::table::Field::finish($field, &$crate::diameter::dictionary::$avp)?,)*
        })
    }};
    (
        @read optional $avps:ident $reading:ident $forgiving:literal $lt:lifetime
        $($field:ident: $type:ty = $avp:ident,)*
    ) => {{
        let mut read = Self::default();
        read.fill_from($avps, $reading)?;
        Ok(read)
    }};
    (
        @fill $name:ident [$lt:lifetime] [$($own:lifetime)?] $forgiving:literal
        $($(#[$field_meta:meta])* $field:ident: $type:ty = $avp:ident,)*
    ) => {
        impl<$lt> $name $(<$own>)? {
            #[inline]
            fn fill_from(
                &mut self,
                avps: $crate::diameter::Avps<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<(), $crate::diameter::MessageError> {
                let mut avps = avps;
                $crate::diameter::table::avp_table! {
                    @each avps reading $forgiving $lt $(&mut self.$field, $type = $avp;)*
                }
                Ok(())
            }
        }

        impl<$lt> $name $(<$own>)? {
            #[inline]
            fn fill(
                &mut self,
                avp: &$crate::diameter::Avp<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<(), $crate::diameter::MessageError> {
                self.fill_from(avp.avps(), reading).map_err(|error| error.inside(avp.code, avp.vendor, avp.flags))
            }
        }
    };
    (@in_place required $lt:lifetime) => {};
    (@in_place optional $lt:lifetime) => {
        #[inline]
        fn decode_into(
            place: &mut Option<Self>,
            avp: &$crate::diameter::Avp<$lt>,
            reading: &mut $crate::diameter::reading::Reading,
        ) -> Result<(), $crate::diameter::MessageError> {
            place.insert(Self::default()).fill(avp, reading)
        }

        #[inline]
        fn decode_boxed(
            avp: &$crate::diameter::Avp<$lt>,
            reading: &mut $crate::diameter::reading::Reading,
        ) -> Result<Box<Self>, $crate::diameter::MessageError> {
            let mut place = Box::<Self>::default();
            place.fill(avp, reading)?;
            Ok(place)
        }

        #[inline]
        fn decode_behind(
            places: &mut Vec<Self>,
            avp: &$crate::diameter::Avp<$lt>,
            reading: &mut $crate::diameter::reading::Reading,
        ) -> Result<(), $crate::diameter::MessageError> {
            if places.capacity() == 0 {
                // Three groups of a usual request in what an allocator has at hand.
                *places = Vec::with_capacity((1_024 / size_of::<Self>()).clamp(1, 4));
            }
            places.push(Self::default());
            match places.last_mut() {
                Some(place) => place.fill(avp, reading),
                None => Ok(()),
            }
        }
    };
    (
        @make $how:ident $(#[$meta:meta])* $name:ident [$lt:lifetime] [$($own:lifetime)?] $forgiving:literal
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

            #[inline]
            fn read(
                avps: $crate::diameter::Avps<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<Self, $crate::diameter::MessageError> {
                $crate::diameter::table::avp_table! { @read $how avps reading $forgiving $lt $($field: $type = $avp,)* }
            }

            #[inline]
            fn write_avps(&self, out: &mut $crate::diameter::writer::Writer<'_>) {
                $($crate::diameter::table::Field::write(&self.$field, &$crate::diameter::dictionary::$avp, out);)*
            }
        }
    };
    (@owned $name:ident $own:lifetime) => { $name<'static> };
    (@owned $name:ident) => { $name };
    (@value $how:ident $name:ident [$lt:lifetime] [$($own:lifetime)?] [$($owned:lifetime)?]) => {
        impl<$lt> $crate::diameter::value::Value<$lt> for $name $(<$own>)? {
            const KINDS: &'static [$crate::diameter::Kind] = &[$crate::diameter::Kind::Grouped];
            type Owned = $name $(<$owned>)?;

            #[inline]
            fn decode(
                avp: &$crate::diameter::Avp<$lt>,
                reading: &mut $crate::diameter::reading::Reading,
            ) -> Result<Self, $crate::diameter::MessageError> {
                $crate::diameter::table::Table::read(avp.avps(), reading)
                    .map_err(|error| error.inside(avp.code, avp.vendor, avp.flags))
            }

            $crate::diameter::table::avp_table! { @in_place $how $lt }

            #[inline]
            fn encode(
                &self,
                definition: &'static $crate::diameter::Definition,
                out: &mut $crate::diameter::writer::Writer<'_>,
            ) {
                let group = out.open(definition);
                $crate::diameter::table::Table::write_avps(self, out);
                out.close(group);
            }

            fn into_owned(self) -> Self::Owned {
                $name::into_owned(self)
            }
        }
    };
}
pub(super) use avp_table;
