//! SMS-Information and MMS-Information (TS 32.299 section 7.2).

use crate::diameter::address::Address;
use crate::diameter::names::{AddressType, AddresseeType, Enumerated, SmMessageType};
use crate::diameter::table::avp_table;
use crate::diameter::text::{MaskedText, Octets, Text};
use crate::diameter::time::Time;

avp_table! {
    /// A short message.
    optional group SmsInformation<'a> in service information {
        /// Which node tells: 0 router, 1 IP-SM-GW, 2 both, 3 SMSC.
        sms_node: Option<Enumerated> = SMS_NODE,
        /// Address of the client.
        client_address: Option<Address<'a>> = CLIENT_ADDRESS,
        /// Where it came from.
        originator_sccp_address: Option<Address<'a>> = ORIGINATOR_SCCP_ADDRESS,
        /// The message centre.
        smsc_address: Option<Address<'a>> = SMSC_ADDRESS,
        /// Alphabet of the text.
        data_coding_scheme: Option<i32> = DATA_CODING_SCHEME,
        /// When it was delivered.
        sm_discharge_time: Option<Time> = SM_DISCHARGE_TIME,
        /// What kind.
        sm_message_type: Option<SmMessageType> = SM_MESSAGE_TYPE,
        /// Over which interface it came.
        originator_interface: Option<Interface<'a>> = ORIGINATOR_INTERFACE,
        /// TP-PID.
        sm_protocol_id: Option<Octets<'a>> = SM_PROTOCOL_ID,
        /// 1 = yes.
        reply_path_requested: Option<Enumerated> = REPLY_PATH_REQUESTED,
        /// What became of it.
        sm_status: Option<Octets<'a>> = SM_STATUS,
        /// Of a part of a long message.
        sm_user_data_header: Option<Octets<'a>> = SM_USER_DATA_HEADER,
        /// To one recipient, or to several.
        number_of_messages_sent: Option<u32> = NUMBER_OF_MESSAGES_SENT,
        /// Which part of a long message.
        sm_sequence_number: Option<u32> = SM_SEQUENCE_NUMBER,
        /// To whom.
        recipient_info: Vec<RecipientInfo<'a>> = RECIPIENT_INFO,
        /// From whom, as it was handed in.
        originator_received_address: Option<PartyAddress<'a>> = ORIGINATOR_RECEIVED_ADDRESS,
        /// 0 content processing, 1 forwarding, ...
        sm_service_type: Option<Enumerated> = SM_SERVICE_TYPE,
    }
}

avp_table! {
    /// One recipient of a short message.
    optional group RecipientInfo<'a> in service information {
        /// Over which interface it goes.
        destination_interface: Option<Interface<'a>> = DESTINATION_INTERFACE,
        /// To whom.
        recipient_addresses: Vec<PartyAddress<'a>> = RECIPIENT_ADDRESS,
        /// To whom, as it was handed in.
        recipient_received_addresses: Vec<PartyAddress<'a>> = RECIPIENT_RECEIVED_ADDRESS,
        /// Where it goes.
        recipient_sccp_address: Option<Address<'a>> = RECIPIENT_SCCP_ADDRESS,
        /// TP-PID.
        sm_protocol_id: Option<Octets<'a>> = SM_PROTOCOL_ID,
    }
}

avp_table! {
    /// Sender or recipient of a message.
    optional group PartyAddress<'a> in service information {
        /// What kind of address.
        address_type: Option<AddressType> = ADDRESS_TYPE,
        /// The address.
        address_data: Option<MaskedText<'a>> = ADDRESS_DATA,
        /// Domain or network of it.
        address_domain: Option<AddressDomain<'a>> = ADDRESS_DOMAIN,
        /// Recipient, copy or blind copy.
        addressee_type: Option<AddresseeType> = ADDRESSEE_TYPE,
    }
}

avp_table! {
    /// Domain or network of an address.
    optional group AddressDomain<'a> in service information {
        /// Domain.
        domain_name: Option<Text<'a>> = DOMAIN_NAME,
        /// Network.
        tgpp_imsi_mcc_mnc: Option<Text<'a>> = TGPP_IMSI_MCC_MNC,
    }
}

avp_table! {
    /// Where a short message came or goes.
    optional group Interface<'a> in service information {
        /// Its name.
        interface_id: Option<Text<'a>> = INTERFACE_ID,
        /// About it.
        interface_text: Option<Text<'a>> = INTERFACE_TEXT,
        /// Its port.
        interface_port: Option<Text<'a>> = INTERFACE_PORT,
        /// 1 mobile originating, 2 mobile terminating, ...
        interface_type: Option<Enumerated> = INTERFACE_TYPE,
    }
}

avp_table! {
    /// A multimedia message.
    optional group MmsInformation<'a> in service information {
        /// From whom.
        originator_address: Option<PartyAddress<'a>> = ORIGINATOR_ADDRESS,
        /// To whom.
        recipient_addresses: Vec<PartyAddress<'a>> = RECIPIENT_ADDRESS,
        /// When it was handed in.
        submission_time: Option<Time> = SUBMISSION_TIME,
        /// 0 low, 1 normal, 2 high.
        priority: Option<Enumerated> = PRIORITY,
        /// Which message.
        message_id: Option<Text<'a>> = MESSAGE_ID,
        /// Which step of its way.
        message_type: Option<Enumerated> = MESSAGE_TYPE,
        /// Octets.
        message_size: Option<u32> = MESSAGE_SIZE,
        /// Text, picture, video.
        content_class: Option<Enumerated> = CONTENT_CLASS,
    }
}
