//! The call that a channel's variables describe: who pays, for what, in which mode.
//!
//! Who pays is only what the dialplan set (`tollkeeper_*`, or `cgr_*` of a dialplan written for CGRateS), what the switch
//! authenticated (`sip_auth_username`), what its directory set (`accountcode`), a trunk or a user of the directory known
//! by its address. Never
//! the From header, which anybody may write, nor what FreeSWITCH takes from it: with `accept-blind-auth` a From header is
//! enough to be a user of the directory, and a parameter of the To header becomes a variable (`;user=112` makes
//! `sip_to_user`). Seen on 1.11.2.

use agent_call::CallOffer;
use agent_call::numbers::NumberRules;
use cdr_model::{CallDirection, SipData};
use protocol_codecs::esl::{Event, EventName};
use types::charging::{ChargingMode, Service, SubscriberId};
use types::{CallId, LegId, Number, SessionId, UtcMs};

use super::{SESSION_VARIABLE, utc};
use crate::config::{Domain, FreeswitchConfig};

/// The call, from any event of its channel.
pub(crate) fn offer(config: &FreeswitchConfig, switch: &str, session_id: SessionId, event: &Event) -> CallOffer {
    let unique_id = event.unique_id().unwrap_or_default();
    let address = variable(event, &["sip_network_ip"]).or_else(|| filled(event.text("Caller-Network-Addr")));
    let trunk = config.trunk(variable(event, &["tollkeeper_trunk"]), address.and_then(|text| text.parse().ok()));
    let rules = trunk.map_or(&config.calls.numbers, |(_, trunk)| &trunk.numbers);
    let dialled = rated_destination(event);
    let never_refuse = never_refuse(event);
    let realm = variable(event, &["sip_auth_realm"]);
    let domain = config.domain(realm.or(user_by_address(event).map(|(_, domain)| domain)));
    CallOffer {
        call_id: CallId::new(variable(event, &["sip_call_id"]).unwrap_or(unique_id)),
        session_id,
        leg_id: LegId::new(unique_id),
        parent_leg_id: None,
        tenant: types::Tenant::new(
            variable(event, &["tollkeeper_tenant", "cgr_tenant"]).or(domain.tenant()).unwrap_or(&config.tenant),
        ),
        payer: payer(event, domain)
            .or(trunk.map(|(_, trunk)| &*trunk.account).filter(usable))
            .or(user_by_address(event).filter(|_| domain != Domain::Unknown).map(|(user, _)| user))
            .filter(usable)
            .map(SubscriberId::account),
        charging_mode: mode(event).flatten().unwrap_or(config.calls.mode),
        service: Service::Voice,
        category: variable(event, &["tollkeeper_category", "cgr_category"])
            .map_or(config.calls.category.as_ref().into(), Into::into),
        subject: variable(event, &["tollkeeper_subject", "cgr_subject"]).map(Into::into),
        calling: calling(event, rules),
        called: if never_refuse { Some(Number::from(dialled)) } else { rules.normalise(dialled) },
        dialled: Number::from(dialled),
        offered: offered(event),
        never_refuse,
        direction: CallDirection::MobileOriginated,
        sip: SipData {
            from_uri: variable(event, &["sip_from_uri"]).map(Number::from),
            to_uri: variable(event, &["sip_req_uri"]).map(Number::from),
            call_id_header: variable(event, &["sip_call_id"]).map(Into::into),
            user_agent: variable(event, &["sip_user_agent"]).map(Into::into),
            codec: codec(event),
            ip_address: address.map(Into::into),
        },
        node: switch.into(),
        trunk: trunk.map(|(name, _)| name.into()),
    }
}

/// The call of a leg that was transferred: it goes where the leg was sent, and for the rest it is the call that it comes
/// from. `parent`: the leg that sent it.
pub(crate) fn transferred_offer(
    config: &FreeswitchConfig,
    from: &CallOffer,
    parent: LegId,
    own: CallOffer,
) -> CallOffer {
    let trunk = config.trunk(from.trunk.as_deref(), None);
    let rules = trunk.map_or(&config.calls.numbers, |(_, trunk)| &trunk.numbers);
    let called = if own.never_refuse { own.called } else { rules.normalise(own.dialled.expose()) };
    CallOffer {
        session_id: own.session_id,
        leg_id: own.leg_id,
        parent_leg_id: Some(parent),
        called,
        dialled: own.dialled,
        offered: own.offered,
        never_refuse: own.never_refuse,
        sip: own.sip,
        ..from.clone()
    }
}

/// Without what the dialplan said of the conversation before: `former` is how that one was rated, and where it went.
pub(crate) fn rated_anew(
    config: &FreeswitchConfig,
    own: CallOffer,
    former: &CallOffer,
    same_route: bool,
    event: &Event,
) -> CallOffer {
    if same_route || own.dialled != former.dialled {
        return own;
    }
    let (dialled, trunk) = (Number::from(route(event)), config.trunk(own.trunk.as_deref(), None));
    let rules = trunk.map_or(&config.calls.numbers, |(_, trunk)| &trunk.numbers);
    let called = if own.never_refuse { Some(dialled.clone()) } else { rules.normalise(dialled.expose()) };
    CallOffer { called, dialled, ..own }
}

/// Who pays, as the dialplan or whoever made the channel said in so many words.
pub(crate) fn explicit_account(event: &Event) -> Option<&str> {
    variable(event, &["tollkeeper_account", "cgr_account"])
}

/// The account of the party at a leg that the switch called. A variable with the account of `caller` was handed down by
/// the leg that called it, and says nothing about this one.
pub(crate) fn account_of_party(event: &Event, caller: Option<&SubscriberId>) -> Option<SubscriberId> {
    let code = || own_value(event, "accountcode", caller).filter(usable).map(SubscriberId::account);
    let user = || variable(event, &["dialed_user"]).filter(usable).map(SubscriberId::account);
    account_on_leg(event, caller).or_else(user).or_else(code)
}

/// The account that whoever had this leg called has put on it, for whoever is at the other end of it.
pub(crate) fn account_on_leg(event: &Event, caller: Option<&SubscriberId>) -> Option<SubscriberId> {
    let named = ["tollkeeper_account", "cgr_account"].into_iter().find_map(|name| own_value(event, name, caller));
    named.filter(usable).map(SubscriberId::account)
}

/// The session beside which this leg was called, as the agent has marked it.
pub(crate) fn part_of(event: &Event) -> Option<SessionId> {
    variable(event, &[super::PART_OF_VARIABLE]).map(SessionId::from)
}

/// The account that pays for that session.
pub(crate) fn paid_by(event: &Event) -> Option<SubscriberId> {
    variable(event, &[super::PAID_BY_VARIABLE]).filter(usable).map(SubscriberId::account)
}

fn own_value<'a>(event: &'a Event, name: &str, caller: Option<&SubscriberId>) -> Option<&'a str> {
    filled(event.variable(name)).filter(|account| caller.is_none_or(|caller| caller.value.expose() != *account))
}

/// Is this channel one that the dialplan wants charged? Others answer and end without us: voice mail, internal calls.
pub(crate) fn is_chargeable(event: &Event) -> bool {
    // mod_sofia carries out a Replaces header before any dialplan runs: whoever takes over a call pays for it, or it ends.
    let takes_over = "sip_replaces_call_id";
    let marked = [SESSION_VARIABLE, "tollkeeper_account", "tollkeeper_mode", "cgr_account", "cgr_reqtype", takes_over];
    !is_free_of_charge(event) && (never_refuse(event) || variable(event, &marked).is_some())
}

/// The dialplan says that nobody pays for it.
pub(crate) fn is_free_of_charge(event: &Event) -> bool {
    mode(event) == Some(None)
}

/// The dialplan knew the number as one that is never refused, before it asked anybody.
pub(crate) fn never_refuse(event: &Event) -> bool {
    variable(event, &["tollkeeper_never_refuse"]) == Some("true")
}

/// Where the dialplan goes on when the call is admitted: what was dialled, however it is rated.
pub(crate) fn route(event: &Event) -> &str {
    event.text("Caller-Destination-Number").unwrap_or_default()
}

/// What was dialled, as an earlier agent wrote it down; empty when none did.
pub(crate) fn dialled(event: &Event) -> &str {
    variable(event, &[super::DIALLED_VARIABLE]).unwrap_or_default()
}

/// The agreed codec.
pub(crate) fn codec(event: &Event) -> Option<Box<str>> {
    let known = variable(event, &["rtp_use_codec_name"]).or_else(|| filled(event.text("Channel-Read-Codec-Name")));
    known.map(Into::into)
}

fn payer<'a>(event: &'a Event, domain: Domain<'_>) -> Option<&'a str> {
    let said = || variable(event, &["tollkeeper_account", "cgr_account"]);
    let digest_user = || variable(event, &["sip_auth_username"]).filter(|_| is_authorised(event));
    let of_directory = || variable(event, &["accountcode"]).filter(|_| !is_taken_on_trust(event));
    // A user of a domain that is nobody's is a stranger, whose name may be that of a customer.
    let authenticated = || if domain == Domain::Unknown { None } else { digest_user().or_else(of_directory) };
    said().or_else(authenticated)
}

/// The switch let the call in itself. A dialplan sets `sip_auth_username` too, to the name with which a leg to a carrier
/// introduces itself.
fn is_authorised(event: &Event) -> bool {
    variable(event, &["sip_authorized"]) == Some("true")
}

/// The user of the switch's directory, and his domain, whom an access list knows by his address (`cidr` of the user): the
/// list gives the user, never the caller.
fn user_by_address(event: &Event) -> Option<(&str, &str)> {
    let trusted = variable(event, &["acl_token"]).is_some() && !is_taken_on_trust(event);
    variable(event, &["user_name"]).zip(variable(event, &["domain_name"])).filter(|_| trusted)
}

/// Let in, but neither by digest nor by an access list: by the word of the caller (`accept-blind-auth`), or because the
/// switch called itself.
fn is_taken_on_trust(event: &Event) -> bool {
    is_authorised(event) && variable(event, &["sip_auth_username", "sip_acl_authed_by"]).is_none()
}

/// Bytes that were no UTF-8 name nobody.
fn usable(payer: &&str) -> bool {
    !payer.is_empty() && !payer.contains(char::REPLACEMENT_CHARACTER)
}

/// A transfer changes `Caller-Destination-Number`, so it is good while the call waits, and only then.
fn rated_destination(event: &Event) -> &str {
    let named = variable(event, &["tollkeeper_destination", "cgr_destination"]);
    let waiting =
        event.name() == Some(EventName::ChannelPark) || super::is_parked(event) || super::waits_on_socket(event);
    let dialled = || filled(event.text("Caller-Destination-Number")).filter(|_| waiting);
    let requested = || variable(event, &[super::DIALLED_VARIABLE, "sip_req_user"]);
    let called = || filled(event.text("Caller-Destination-Number")).filter(|_| super::is_called_leg(event));
    named.or_else(dialled).or_else(requested).or_else(called).unwrap_or_default()
}

fn calling(event: &Event, rules: &NumberRules) -> Option<Number> {
    let number = filled(event.text("Caller-Caller-ID-Number"))?;
    Some(rules.normalise(number).unwrap_or_else(|| Number::from(number)))
}

/// `Some(None)`: not charged at all; `None`: nothing is said, or nothing that we know.
fn mode(event: &Event) -> Option<Option<ChargingMode>> {
    let word = variable(event, &["tollkeeper_mode", "cgr_reqtype"])?;
    match word.trim_start_matches('*').to_ascii_lowercase().as_str() {
        "none" => Some(None),
        "prepaid" => Some(Some(ChargingMode::Prepaid)),
        "pseudoprepaid" => Some(Some(ChargingMode::Pseudoprepaid)),
        "postpaid" => Some(Some(ChargingMode::Postpaid)),
        "rated" => Some(Some(ChargingMode::Rated)),
        _ => None,
    }
}

/// Where a leg that parked here goes when it is told a number only, and what it exports to the legs it calls. The context
/// is absent where the operator has named one himself, or has a name for his own that no command can carry.
pub(crate) fn transfers_of(event: &Event) -> (Option<String>, Option<String>) {
    let plain = |text: &&str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-:,@".contains(letter));
    let operators = variable(event, &[super::TRANSFER_CONTEXT_VARIABLE]);
    let exports = filled(event.variable(super::EXPORTS_VARIABLE));
    if exports.is_some_and(|exports| !plain(&exports)) {
        return (None, None);
    }
    let context = filled(event.text("Caller-Context")).filter(plain).filter(|_| operators.is_none());
    (context.map(str::to_owned), Some(exports.unwrap_or_default().to_owned()))
}

/// When the channel came into being.
pub(crate) fn offered(event: &Event) -> UtcMs {
    let created = event.created_us().ok().flatten().or_else(|| event.date_timestamp_us().ok().flatten());
    utc(created.unwrap_or(0))
}

/// The first of these variables that is set to anything.
fn variable<'a>(event: &'a Event, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| filled(event.variable(name)))
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty() && *text != "_undef_")
}
