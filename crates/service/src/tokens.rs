//! Tokens as `firesteel token` makes, lists and revokes them.
use crate::access::{Scope, new_token};
use crate::store::{Store, StorePlace};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// A token as it is listed: the token itself is known to nobody.
#[derive(Debug, Clone)]
pub struct Token {
    pub id: String,
    pub user: String,
    pub scopes: String,
    pub paths: Vec<String>,
    /// Milliseconds since 1970
    pub created_at: i64,
    pub is_revoked: bool,
}

/// Makes a token and answers it with its id. `scopes`: read, write, admin; `paths`: the only places it may use.
pub async fn create(place: &StorePlace, user: &str, scopes: &[String], paths: Vec<String>) -> Result<(String, String)> {
    let user = user.trim();
    if user.is_empty() || user.len() > 100 {
        return Err("the name of a user has 1 to 100 characters".into());
    }
    let mut known = vec![];
    for name in scopes {
        known.push(Scope::of_name(name).ok_or_else(|| format!("{name:?} is no scope: read, write or admin"))?);
    }
    for path in &paths {
        firesteel_storage::Location::parse(path)?;
        if !firesteel_storage::Location::is_absolute(path) {
            return Err(format!("{path:?} is no absolute path").into());
        }
    }
    let (token, row) = new_token(user, &known, paths);
    Store::open(place).await?.add_token(&row).await?;
    Ok((token, row.id))
}

/// Whether there was such a token.
pub async fn revoke(place: &StorePlace, id: &str) -> Result<bool> {
    Ok(Store::open(place).await?.revoke_token(id).await?)
}

pub async fn list(place: &StorePlace) -> Result<Vec<Token>> {
    let rows = Store::open(place).await?.tokens().await?;
    let token = |row: crate::store::TokenRow| Token {
        id: row.id,
        user: row.user,
        scopes: row.scopes,
        paths: row.paths,
        created_at: row.created_at,
        is_revoked: row.revoked_at.is_some(),
    };
    Ok(rows.into_iter().map(token).collect())
}
