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
//!
//! Tokens can be read again while requests come. The streams of a token that is gone are ended; its owner comes back with the new
//! one, if he has it.

mod connections;
mod layer;
mod roles;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use metrics::counter;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;
use tonic::codegen::http::{self, HeaderMap};
use types::ClientId;

pub(crate) use connections::{Connection, Connections, Peer};
pub(crate) use layer::GuardLayer;

use crate::config::{LimitsConfig, Role, TokenConfig, TokenError};
use crate::metric::names;

/// Who calls; found in the extensions of every request.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    client_ids: Arc<[ClientId]>,
    budget: Arc<Budget>,
    /// Becomes true when its token is gone; absent without one.
    gone: Option<watch::Receiver<bool>>,
}

/// What one client may have in work.
#[derive(Debug)]
pub(crate) struct Budget {
    calls: Arc<Semaphore>,
    kibioctets: Arc<Semaphore>,
    most_kibioctets: u32,
}

/// A configured token.
#[derive(Debug)]
struct Known {
    name: Box<str>,
    role: Role,
    caller: Caller,
    gone: watch::Sender<bool>,
}

/// Tokens by their SHA-256, so that a look-up tells nothing about a token by the time it takes.
#[derive(Debug, Default)]
pub(crate) struct Tokens(HashMap<[u8; 32], Arc<Known>>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Guard {
    configured: Vec<TokenConfig>,
    tokens: RwLock<Tokens>,
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

    /// Waits until its token is gone.
    pub(crate) async fn turned_out(&mut self) {
        match &mut self.gone {
            // The sender goes with the server.
            Some(gone) => drop(gone.wait_for(|gone| *gone).await),
            None => std::future::pending().await,
        }
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
        let nobody = Self {
            configured: tokens.to_vec(),
            tokens: RwLock::default(),
            limits: limits.clone(),
            by_address: Mutex::default(),
        };
        let tokens = nobody.read_again()?;
        nobody.replace(tokens);
        Ok(nobody)
    }

    /// Reads the files of the tokens again, and changes nothing yet.
    pub(crate) fn read_again(&self) -> Result<Tokens, TokenError> {
        let current = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let mut read: HashMap<[u8; 32], Arc<Known>> = HashMap::new();
        for token in &self.configured {
            let digest: [u8; 32] = Sha256::digest(token.read()?.as_bytes()).into();
            let same = |known: &&Arc<Known>| known.name == token.name;
            let known = match current.0.get(&digest).filter(same) {
                Some(known) => Arc::clone(known),
                None => {
                    // What its owner has in work counts on.
                    let before = current.0.values().find(same).map(|known| Arc::clone(&known.caller.budget));
                    let budget = before.unwrap_or_else(|| Arc::new(Budget::new(&self.limits)));
                    let (gone, told) = watch::channel(false);
                    let caller = Caller { client_ids: token.client_ids.clone().into(), budget, gone: Some(told) };
                    Arc::new(Known { name: token.name.clone(), role: token.role, caller, gone })
                }
            };
            if let Some(same) = read.insert(digest, known) {
                return Err(TokenError::Twice { one: same.name.clone(), other: token.name.clone() });
            }
        }
        Ok(Tokens(read))
    }

    /// From now on these tokens let in, and no others; streams of others end.
    pub(crate) fn replace(&self, tokens: Tokens) {
        let mut current = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, tokens);
        for (digest, known) in before.0 {
            if !current.0.get(&digest).is_some_and(|same| Arc::ptr_eq(same, &known)) {
                known.gone.send_replace(true);
            }
        }
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
        if self.configured.is_empty() || roles::is_for_everybody(path) {
            let address = connections::address(&request.extensions);
            return Ok(Caller { client_ids: [].into(), budget: self.budget_of(address), gone: None });
        }
        let token = bearer(&request.headers).ok_or_else(|| {
            Status::unauthenticated(
                "a token is needed: send `authorization: Bearer TOKEN` (core.token of the server's configuration)",
            )
        })?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let known = tokens.0.get(&digest);
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
