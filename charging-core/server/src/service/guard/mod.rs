//! Who may do what, and how much of it: in front of every service.
//!
//! | request | answer |
//! |---|---|
//! | no token where tokens are configured, or an unknown one | UNAUTHENTICATED |
//! | a method that the token's role may not call | PERMISSION_DENIED |
//! | more calls and streams at once than one client may have | RESOURCE_EXHAUSTED |
//! | otherwise | the service's, which finds a [`Caller`] in the request's extensions |
//!
//! A client is a token, wherever it is used; without tokens, an address. Streams count until they end. What streams carry is
//! bounded by the client's [`Budget`] of octets in work: who sends more than it reads answers of is not read from.

mod connections;
mod layer;
mod roles;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::counter;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::codegen::http::{self, HeaderMap};
use types::ClientId;

pub(crate) use connections::Connections;
pub(crate) use layer::GuardLayer;

use crate::config::{LimitsConfig, Role, TokenConfig, TokenError};
use crate::metric::names;

/// Who calls; found in the extensions of every request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client_ids: Arc<[ClientId]>,
    budget: Arc<Budget>,
}

/// What one client may have in work.
#[derive(Debug)]
pub(crate) struct Budget {
    calls: Arc<Semaphore>,
    kibioctets: Arc<Semaphore>,
    most_kibioctets: u32,
}

/// A configured token.
#[derive(Debug, Clone)]
struct Known {
    name: Box<str>,
    role: Role,
    caller: Caller,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard {
    /// By the token's SHA-256, so that a look-up tells nothing about a token by the time it takes.
    tokens: HashMap<[u8; 32], Known>,
    limits: LimitsConfig,
    by_address: Mutex<HashMap<IpAddr, Arc<Budget>>>,
}

impl Caller {
    /// Whether it may act for a client: any, unless its token names some.
    pub(crate) fn may_act_for(&self, client_id: &ClientId) -> bool {
        self.client_ids.is_empty() || self.client_ids.contains(client_id)
    }

    /// Whether it is bound to some clients.
    pub(crate) fn is_bound(&self) -> bool {
        !self.client_ids.is_empty()
    }

    /// A place for so many octets in work, if there is one now.
    pub(crate) fn work_now(&self, octets: usize) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.budget.kibioctets).try_acquire_many_owned(self.weight(octets)).ok()
    }

    /// Waits until so many octets more may be in work. `None` when the server is gone.
    pub(crate) fn work(&self, octets: usize) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let place = Arc::clone(&self.budget.kibioctets).acquire_many_owned(self.weight(octets));
        async { place.await.ok() }
    }

    fn weight(&self, octets: usize) -> u32 {
        u32::try_from(octets / 1024).unwrap_or(u32::MAX).saturating_add(1).min(self.budget.most_kibioctets)
    }
}

impl Budget {
    fn new(limits: &LimitsConfig) -> Self {
        let most_kibioctets = limits.kibioctets_per_client.max(1);
        Self {
            calls: Arc::new(Semaphore::new(limits.calls_per_client)),
            kibioctets: Arc::new(Semaphore::new(usize::try_from(most_kibioctets).unwrap_or(usize::MAX))),
            most_kibioctets,
        }
    }
}

impl Guard {
    /// Reads the tokens.
    pub(crate) fn new(tokens: &[TokenConfig], limits: &LimitsConfig) -> Result<Self, TokenError> {
        let mut known = HashMap::new();
        for token in tokens {
            let digest: [u8; 32] = Sha256::digest(token.read()?.as_bytes()).into();
            let budget = Arc::new(Budget::new(limits));
            let caller = Caller { client_ids: token.client_ids.clone().into(), budget };
            let same = known.insert(digest, Known { name: token.name.clone(), role: token.role, caller });
            if let Some(same) = same {
                return Err(TokenError::Twice { one: same.name, other: token.name.clone() });
            }
        }
        Ok(Self { tokens: known, limits: limits.clone(), by_address: Mutex::default() })
    }

    /// Lets a request in, or says why not. The permit is the call's place: held until its last octet is answered.
    fn admit(&self, request: &http::request::Parts) -> Result<(Caller, OwnedSemaphorePermit), Status> {
        let path = request.uri.path();
        let caller = self.caller(request, path).inspect_err(|_| turned_away("token"))?;
        let place = Arc::clone(&caller.budget.calls).try_acquire_owned().map_err(|_| {
            turned_away("calls");
            let most = self.limits.calls_per_client;
            Status::resource_exhausted(format!(
                "this client has {most} calls and streams open already; end some of them"
            ))
        })?;
        Ok((caller, place))
    }

    fn caller(&self, request: &http::request::Parts, path: &str) -> Result<Caller, Status> {
        if self.tokens.is_empty() || roles::is_for_everybody(path) {
            let address = connections::address(&request.extensions);
            return Ok(Caller { client_ids: [].into(), budget: self.budget_of(address) });
        }
        let token = bearer(&request.headers).ok_or_else(|| {
            Status::unauthenticated(
                "a token is needed: send `authorization: Bearer TOKEN` (core.token of the server's configuration)",
            )
        })?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let known = self.tokens.get(&digest);
        let known = known.ok_or_else(|| Status::unauthenticated("this token is not known here"))?;
        if !roles::may_call(known.role, path) {
            let (name, role) = (&known.name, known.role.as_str());
            return Err(Status::permission_denied(format!(
                "token {name} has the role {role}, which may not call {path}"
            )));
        }
        Ok(known.caller.clone())
    }

    fn budget_of(&self, address: Option<IpAddr>) -> Arc<Budget> {
        let Some(address) = address else { return Arc::new(Budget::new(&self.limits)) };
        let mut by_address = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if by_address.len() >= FORGET_ABOVE {
            by_address.retain(|_, budget| Arc::strong_count(budget) > 1);
        }
        Arc::clone(by_address.entry(address).or_insert_with(|| Arc::new(Budget::new(&self.limits))))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(http::header::AUTHORIZATION)?.as_bytes();
    let (scheme, token) = value.split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
}

fn turned_away(reason: &'static str) {
    counter!(names::TURNED_AWAY, "reason" => reason).increment(1);
}

const SCHEME: &[u8] = b"Bearer ";
/// Addresses that nobody calls from any more are forgotten above so many.
const FORGET_ABOVE: usize = 1024;
