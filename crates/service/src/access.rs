//! Who asks, and what they may.
//!
//! A token is 32 random bytes; the store has its SHA-256. Tokens are read again after a moment, so that `firesteel token`
//! takes effect while a server runs.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use firesteel_storage::Location;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::problem::Problem;
use crate::store::{Result, Store, TokenRow, now_ms};

const TOKEN_PREFIX: &str = "fst_";
const READ_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a token allows; each has what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// No token needed
    Open,
    Read,
    Write,
    Admin,
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|scope| scope.name() == name.trim())
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub struct User {
    pub name: Arc<str>,
    pub scope: Scope,
    /// The only places that may be used, with what is below them; `None`: all.
    pub places: Option<Arc<[Location]>>,
}

impl User {
    pub fn require(&self, scope: Scope) -> std::result::Result<(), Problem> {
        match self.scope >= scope {
            true => Ok(()),
            false => Err(Problem::forbidden(format!("This needs a token of scope {}.", scope.name()))),
        }
    }
}

/// Decides on requests.
pub struct Access {
    store: Store,
    /// Of the configuration
    token_hash: Option<[u8; 32]>,
    known: Mutex<Option<(Instant, Arc<Known>)>>,
}

struct Known {
    /// Revoked ones count too: when the last token is revoked, the door does not open.
    any: bool,
    users: HashMap<Vec<u8>, User>,
}

impl Access {
    pub fn new(store: Store, token: Option<&str>) -> Self {
        Self { store, token_hash: token.map(hash), known: Mutex::default() }
    }

    /// The user of a request.
    pub async fn user(&self, headers: &HeaderMap) -> std::result::Result<User, Problem> {
        let known = self.known().await?;
        if !known.any && self.token_hash.is_none() {
            return Ok(User { name: "anonymous".into(), scope: Scope::Admin, places: None });
        }
        let refused = |detail: &str| Problem::new(401, "UNAUTHENTICATED", detail);
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return Err(refused("The header Authorization: Bearer TOKEN is missing."));
        };
        let token = given.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else { return Err(refused("The header Authorization holds no bearer token.")) };
        let hashed = hash(token);
        if self.token_hash == Some(hashed) {
            return Ok(User { name: "admin".into(), scope: Scope::Admin, places: None });
        }
        // Looked up by its hash: what the time tells is about the hash alone.
        known.users.get(hashed.as_slice()).cloned().ok_or_else(|| refused("The token is unknown or was revoked."))
    }

    async fn known(&self) -> Result<Arc<Known>> {
        if let Some((read_at, known)) = &*self.known.lock()
            && read_at.elapsed() < READ_AGAIN_AFTER
        {
            return Ok(Arc::clone(known));
        }
        let tokens = self.store.tokens().await?;
        let any = !tokens.is_empty();
        let live = tokens.into_iter().filter(|token| token.revoked_at.is_none());
        let known = Arc::new(Known { any, users: live.map(|token| (token.hash.clone(), user_of(token))).collect() });
        *self.known.lock() = Some((Instant::now(), Arc::clone(&known)));
        Ok(known)
    }
}

fn user_of(token: TokenRow) -> User {
    let scope = token.scopes.split(',').filter_map(Scope::of_name).max().unwrap_or(Scope::Read);
    // A place that cannot be read allows nothing, rather than all.
    let places: Vec<_> = token.paths.iter().filter_map(|path| Location::parse(path).ok()).collect();
    let places = (!token.paths.is_empty()).then(|| places.into());
    User { name: token.user.into(), scope, places }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A new token: what is shown once, and what is kept.
pub fn new_token(user: &str, scopes: &[Scope], paths: Vec<String>) -> (String, TokenRow) {
    let token = format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
    let row = TokenRow {
        id: uuid::Uuid::new_v4().simple().to_string()[..12].to_string(),
        user: user.to_string(),
        hash: hash(&token).to_vec(),
        scopes: scopes.join(","),
        paths,
        created_at: now_ms(),
        revoked_at: None,
    };
    (token, row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StorePlace;

    fn headers(token: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
    }

    #[tokio::test]
    async fn tokens_are_asked_for_once_there_is_one() {
        let store = Store::open(&StorePlace::Memory).await.unwrap();
        let open = Access::new(store.clone(), None).user(&HeaderMap::new()).await.unwrap();
        assert_eq!(open.scope, Scope::Admin);
        let (token, row) = new_token("etl", &[Scope::Read], vec!["/data".into()]);
        store.add_token(&row).await.unwrap();
        let access = Access::new(store.clone(), None);
        assert_eq!(access.user(&HeaderMap::new()).await.unwrap_err().status, 401);
        assert_eq!(access.user(&headers("fst_other")).await.unwrap_err().status, 401);
        let user = access.user(&headers(&token)).await.unwrap();
        assert!(user.require(Scope::Write).is_err() && user.places.is_some());
        assert!(store.revoke_token(&row.id).await.unwrap());
        assert_eq!(Access::new(store, None).user(&headers(&token)).await.unwrap_err().status, 401);
    }
}
