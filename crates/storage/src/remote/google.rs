//! Google Cloud Storage: `gs://bucket/…`
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};
use object_store::StaticCredentialProvider;
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};

use super::markers::{Signer, SlashMarkers};
use super::{Backend, DEFAULT_PART_BYTES, MIN_PART_BYTES, unusable};
use crate::location::Location;
use crate::settings::{self, ClientKeys, Keys, illegal};

/// The connector's keys, newer and older.
pub(super) const PREFIXES: &[&str] = &["fs.gs.", "google.cloud."];
const ROOT_URL: &str = "https://storage.googleapis.com";
/// Names the file of the application default credentials, for all of Google's libraries
const DEFAULT_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

const CLIENT: ClientKeys = ClientKeys {
    retries: &["http.max.retry"],
    default_retries: 7,
    retry_interval: "http.retry.interval",
    connect_timeout: "http.connect-timeout",
    timeouts: &["http.read-timeout"],
    connections: None,
    proxy: None,
};

/// Where the tokens of requests come from.
enum Credentials {
    Anonymous,
    /// A token that the settings hold
    Token(String),
    KeyFile(String),
    /// A service account's key as JSON
    Key(String),
    /// The application default credentials: the file that the environment names, that of the user, else the machine's account
    Default,
    /// The account of the machine
    Machine,
}

pub(super) fn open(location: &Location, settings: &BTreeMap<String, String>) -> Result<Backend> {
    let bucket = location.authority();
    if bucket.is_empty() {
        return Err(illegal(format!("{location} names no bucket")));
    }
    let keys = Keys::new(settings, PREFIXES.iter().map(|prefix| (*prefix).to_string()));
    let root = keys.text("storage.root.url").unwrap_or(ROOT_URL).trim_end_matches('/');
    let is_plain = root.starts_with("http://");
    let (options, retry) = settings::client(&keys, &CLIENT, is_plain)?;
    let credentials = credentials(&keys)?;
    let is_anonymous = matches!(credentials, Credentials::Anonymous);
    let builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_base_url(root)
        .with_client_options(options.clone())
        .with_retry(retry);
    let bearer = |bearer: String| Arc::new(StaticCredentialProvider::new(GcpCredential { bearer }));
    let builder = match credentials {
        Credentials::Anonymous => builder.with_skip_signature(true).with_credentials(bearer(String::new())),
        Credentials::Token(token) => builder.with_credentials(bearer(token)),
        Credentials::KeyFile(path) => builder.with_service_account_path(path),
        Credentials::Key(json) => builder.with_service_account_key(json),
        Credentials::Default => match std::env::var(DEFAULT_FILE) {
            Ok(file) if !file.is_empty() => builder.with_application_credentials(file),
            _ => builder,
        },
        Credentials::Machine => builder,
    };
    let store = builder.build().map_err(|e| unusable(location, &e))?;
    let signer = (!is_anonymous).then(|| Signer::Google(Arc::clone(store.credentials())));
    let markers =
        SlashMarkers::new(format!("{root}/{bucket}"), signer, &options).map_err(|e| unusable(location, &e))?;
    let part_bytes = keys.bytes("outputstream.upload.chunk.size")?.unwrap_or(DEFAULT_PART_BYTES).max(MIN_PART_BYTES);
    Ok(Backend::new(store, markers, part_bytes))
}

fn credentials(keys: &Keys<'_>) -> Result<Credentials> {
    let file = keys.first(&["auth.service.account.json.keyfile", "auth.service.account.keyfile"]).map(str::to_string);
    let kind = keys.text("auth.type").map(str::to_ascii_uppercase);
    let without = "fs.gs.auth.service.account.json.keyfile is not set";
    match kind.as_deref() {
        Some("UNAUTHENTICATED") => Ok(Credentials::Anonymous),
        Some("SERVICE_ACCOUNT_JSON_KEYFILE") => Ok(Credentials::KeyFile(file.ok_or_else(|| illegal(without))?)),
        Some("APPLICATION_DEFAULT") => Ok(Credentials::Default),
        Some("COMPUTE_ENGINE") => Ok(Credentials::Machine),
        Some(other) => Err(SparkError::unsupported(format!("fs.gs.auth.type {other}"))),
        None if keys.flag("auth.null.enable", false)? => Ok(Credentials::Anonymous),
        None => Ok(match (file, keys.text("auth.access.token"), inline_key(keys)) {
            (Some(file), ..) => Credentials::KeyFile(file),
            (None, Some(token), _) => Credentials::Token(token.to_string()),
            (None, None, Some(key)) => Credentials::Key(key),
            (None, None, None) => Credentials::Default,
        }),
    }
}

/// A service account whose parts are settings of their own.
fn inline_key(keys: &Keys<'_>) -> Option<String> {
    let text = |key: &str| keys.text(&format!("auth.service.account.{key}"));
    let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"));
    // The settings spell line ends of the key as `\n`.
    let private_key = text("private.key")?.replace("\\n", "\n");
    Some(format!(
        "{{\"type\":\"service_account\",\"client_email\":{},\"private_key_id\":{},\"private_key\":{}}}",
        quoted(text("email")?),
        quoted(text("private.key.id").unwrap_or_default()),
        quoted(&private_key)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_settings() {
        let of = |pairs: &[(&str, &str)]| {
            let settings: BTreeMap<String, String> = pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
            credentials(&Keys::new(&settings, PREFIXES.iter().map(|p| (*p).to_string())))
        };
        let file = ("google.cloud.auth.service.account.json.keyfile", "/keys/a.json");
        assert!(matches!(of(&[file]), Ok(Credentials::KeyFile(path)) if path == "/keys/a.json"));
        assert!(matches!(of(&[("fs.gs.auth.type", "UNAUTHENTICATED")]), Ok(Credentials::Anonymous)));
        let parts = [("fs.gs.auth.service.account.email", "a@b"), ("fs.gs.auth.service.account.private.key", "x\\ny")];
        assert!(matches!(of(&parts), Ok(Credentials::Key(json)) if json.contains("\"x\\ny\"")));
        assert!(of(&[("fs.gs.auth.type", "USER_CREDENTIALS")]).is_err());
    }
}
