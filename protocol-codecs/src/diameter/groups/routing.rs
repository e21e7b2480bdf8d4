//! What the base protocol puts into groups: applications, proxies' state, failed AVPs (RFC 6733 sections 6 and 7).

use std::borrow::Cow;
use std::fmt;

use crate::diameter::avp::{Avp, Avps};
use crate::diameter::dictionary::{self, Definition, Kind};
use crate::diameter::error::{EncodeError, MessageError};
use crate::diameter::reading::Reading;
use crate::diameter::result_code::ResultCode;
use crate::diameter::table::avp_table;
use crate::diameter::text::Identity;
use crate::diameter::value::Value;
use crate::diameter::writer::{SLACK_BYTES, Writer};

avp_table! {
    /// An application of a vendor (RFC 6733 section 6.11).
    #[derive(Copy)]
    optional group VendorSpecificApplicationId {
        /// 10415 for 3GPP's use of credit control.
        vendor_id: Option<u32> = VENDOR_ID,
        /// 4 for credit control.
        auth_application_id: Option<u32> = AUTH_APPLICATION_ID,
        /// Never ours.
        acct_application_id: Option<u32> = ACCT_APPLICATION_ID,
    }
}

avp_table! {
    /// A vendor's result code (RFC 6733 section 7.6).
    #[derive(Copy)]
    group ExperimentalResult {
        /// Whose.
        vendor_id: u32 = VENDOR_ID,
        /// Which.
        experimental_result_code: ResultCode = EXPERIMENTAL_RESULT_CODE,
    }
}

/// Makes a group that is kept as the bytes it came in.
macro_rules! kept_groups {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name<'a>(Cow<'a, [u8]>);

        impl $name<'_> {
            /// The AVPs in it.
            pub fn avps(&self) -> Avps<'_> {
                Avps::new(&self.0)
            }

            /// The same, borrowed from this one.
            pub fn borrowed(&self) -> $name<'_> {
                $name(Cow::Borrowed(self.0.as_ref()))
            }

            /// The same, independent of the message it came in.
            pub fn into_owned(self) -> $name<'static> {
                $name(Cow::Owned(self.0.into_owned()))
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({} bytes)"), self.0.len())
            }
        }

        impl<'a> Value<'a> for $name<'a> {
            const KINDS: &'static [Kind] = &[Kind::Grouped];
            type Owned = $name<'static>;

            fn decode(avp: &Avp<'a>, _: &mut Reading) -> Result<Self, MessageError> {
                let mut avps = avp.avps();
                let located = |broken| MessageError::broken(broken).inside(avp.code, avp.vendor, avp.flags);
                while avps.next_avp().map_err(located)?.is_some() {}
                Ok(Self(Cow::Borrowed(avp.value)))
            }

            fn encode(&self, definition: &'static Definition, out: &mut Writer<'_>) {
                out.bytes(definition, &self.0);
            }

            fn into_owned(self) -> Self::Owned {
                $name::into_owned(self)
            }
        }
    )+};
}

kept_groups! {
    /// Proxy-Info: a proxy's state, which goes back to it unchanged and in order.
    ProxyInfo;
    /// Failed-AVP: what was wrong with the request, or stands for it.
    FailedAvp;
}

impl<'a> ProxyInfo<'a> {
    /// As a proxy makes it.
    ///
    /// # Errors
    /// A host that is no DiameterIdentity, or a state that is too long.
    pub fn new(proxy_host: &Identity<'_>, proxy_state: &[u8]) -> Result<Self, EncodeError> {
        // Two headers of 8 bytes and a padding of 3 each.
        let values_bytes = proxy_host.len().saturating_add(proxy_state.len());
        let mut bytes = vec![0; values_bytes.saturating_add(22 + SLACK_BYTES)];
        let mut out = Writer::new(&mut bytes);
        proxy_host.encode(&dictionary::PROXY_HOST, &mut out);
        out.bytes(&dictionary::PROXY_STATE, proxy_state);
        let written = out.finish()?;
        bytes.truncate(written);
        Ok(Self(Cow::Owned(bytes)))
    }

    /// The proxy's name; `None` if it is not there or not UTF-8.
    pub fn proxy_host(&self) -> Option<&str> {
        std::str::from_utf8(first(self.avps(), &dictionary::PROXY_HOST)?).ok()
    }

    /// Its state; `None` if it is not there.
    pub fn proxy_state(&self) -> Option<&[u8]> {
        first(self.avps(), &dictionary::PROXY_STATE)
    }

    /// The value of a Proxy-Info AVP as it came, unchecked.
    pub(in crate::diameter) fn kept(value: &'a [u8]) -> Self {
        Self(Cow::Borrowed(value))
    }
}

impl<'a> FailedAvp<'a> {
    /// Holding these AVPs, which are encoded, padding included: see
    /// [`MessageError::failed_avp`](crate::diameter::MessageError::failed_avp).
    pub fn holding(avps: &'a [u8]) -> Self {
        Self(Cow::Borrowed(avps))
    }

    /// Code and vendor of the first AVP in it; `None` if there is none.
    pub fn first(&self) -> Option<(u32, u32)> {
        let avp = self.avps().next_avp().ok()??;
        Some((avp.code, avp.vendor))
    }
}

/// The value of the first AVP of this kind.
fn first<'a>(mut avps: Avps<'a>, definition: &Definition) -> Option<&'a [u8]> {
    while let Ok(Some(avp)) = avps.next_avp() {
        if (avp.code, avp.vendor) == (definition.code, definition.vendor) {
            return Some(avp.value);
        }
    }
    None
}
