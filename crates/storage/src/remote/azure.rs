//! Azure Data Lake Storage and Blob Storage: `abfss://container@account.dfs.core.windows.net/…`, `abfs://`, `wasbs://`,
//! `wasb://`. Requests go to the account's blob service, which holds the same objects.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use url::Url;

use super::markers::AzureMarkers;
use super::{Backend, DEFAULT_PART_BYTES, unusable};
use crate::location::Location;
use crate::settings::{self, ClientKeys, Keys, illegal};

pub(super) const PREFIX: &str = "fs.azure.";
/// Those of `abfs` and `wasb` that always mean HTTPS
const SECURE_SCHEMES: &[&str] = &["abfss", "wasbs"];

const CLIENT: ClientKeys = ClientKeys {
    retries: &["io.retry.max.retries"],
    default_retries: 7,
    retry_interval: "io.retry.backoff.interval",
    connect_timeout: "http.connection.timeout",
    timeouts: &["http.read.timeout"],
    connections: None,
    proxy: None,
};

/// The container, the account and its host, of a path.
struct Account<'a> {
    container: &'a str,
    name: &'a str,
    host: &'a str,
}

impl<'a> Account<'a> {
    fn of(location: &'a Location) -> Result<Self> {
        let parts =
            location.authority().split_once('@').filter(|(container, host)| !container.is_empty() && !host.is_empty());
        let (container, host) = parts.ok_or_else(|| {
            illegal(format!("{location} must be {}://container@account.dfs.core.windows.net/…", location.scheme()))
        })?;
        Ok(Self { container, name: host.split('.').next().unwrap_or(host), host })
    }

    /// Of `fs.azure.<key>` and `fs.azure.<key>.<account's host>` the second, under either of the account's hosts.
    fn text<'k>(&self, keys: &Keys<'k>, key: &str) -> Option<&'k str> {
        let twin = match self.host.contains(".dfs.") {
            true => self.host.replacen(".dfs.", ".blob.", 1),
            false => self.host.replacen(".blob.", ".dfs.", 1),
        };
        [self.host, &twin].iter().find_map(|host| keys.text(&format!("{key}.{host}"))).or_else(|| keys.text(key))
    }
}

pub(super) fn open(location: &Location, settings: &BTreeMap<String, String>) -> Result<Backend> {
    let account = Account::of(location)?;
    let keys = Keys::new(settings, [PREFIX.to_string()]);
    let is_secure = SECURE_SCHEMES.contains(&location.scheme()) || keys.flag("always.use.https", true)?;
    let mut builder = MicrosoftAzureBuilder::new().with_container_name(account.container).with_account(account.name);
    let mut is_plain = !is_secure;
    if let Some(endpoint) = keys.text("abfs.endpoint") {
        // A stand-in for the service has no host of its own for each account.
        let url = if endpoint.contains("://") { endpoint.to_string() } else { format!("http://{endpoint}") };
        is_plain = url.starts_with("http://");
        builder = builder.with_endpoint(format!("{}/{}", url.trim_end_matches('/'), account.name));
    } else if let Some((_, suffix)) = account.host.split_once('.') {
        let scheme = if is_secure { "https" } else { "http" };
        let blob = suffix.replacen("dfs.", "blob.", 1);
        builder = builder.with_endpoint(format!("{scheme}://{}.{blob}", account.name));
    }
    let (options, retry) = settings::client(&keys, &CLIENT, is_plain)?;
    builder = builder.with_client_options(options).with_retry(retry).with_allow_http(is_plain);
    builder = authorized(builder, &account, &keys)?;
    let store = builder.build().map_err(|e| unusable(location, &e))?;
    let part_bytes = keys.bytes("write.request.size")?.unwrap_or(DEFAULT_PART_BYTES);
    let store = Arc::new(store);
    Ok(Backend::of(Arc::clone(&store), AzureMarkers { store }, part_bytes))
}

fn authorized(builder: MicrosoftAzureBuilder, account: &Account<'_>, keys: &Keys<'_>) -> Result<MicrosoftAzureBuilder> {
    let shared = account.text(keys, "account.key");
    let sas = account.text(keys, "sas.fixed.token").or_else(|| {
        // The older connector's key for one container.
        keys.text(&format!("sas.{}.{}.blob.core.windows.net", account.container, account.name))
    });
    let kind = account.text(keys, "account.auth.type").map(str::to_ascii_lowercase);
    let missing = |key: &str| illegal(format!("fs.azure.{key} is not set for {}", account.host));
    match kind.as_deref() {
        None if shared.is_some() => Ok(builder.with_access_key(shared.unwrap_or_default())),
        None if sas.is_some() => Ok(builder.with_config(AzureConfigKey::SasKey, sas.unwrap_or_default())),
        None if account.text(keys, "account.oauth2.client.id").is_some() => oauth(builder, account, keys),
        None | Some("sharedkey") => Ok(builder.with_access_key(shared.ok_or_else(|| missing("account.key"))?)),
        Some("sas") => {
            let token = sas.ok_or_else(|| missing("sas.fixed.token"))?;
            Ok(builder.with_config(AzureConfigKey::SasKey, token))
        }
        Some("oauth") => oauth(builder, account, keys),
        Some(other) => Err(SparkError::unsupported(format!("fs.azure.account.auth.type {other}"))),
    }
}

/// Client credentials, a managed identity, or a workload's token file.
fn oauth(builder: MicrosoftAzureBuilder, account: &Account<'_>, keys: &Keys<'_>) -> Result<MicrosoftAzureBuilder> {
    let text = |key: &str| account.text(keys, &format!("account.oauth2.{key}"));
    let needed = |key: &str| {
        text(key).ok_or_else(|| illegal(format!("fs.azure.account.oauth2.{key} is not set for {}", account.host)))
    };
    let provider = account.text(keys, "account.oauth.provider.type").unwrap_or("ClientCredsTokenProvider");
    match provider.rsplit('.').next().unwrap_or(provider) {
        "ClientCredsTokenProvider" => {
            let (host, tenant) = tenant_of(needed("client.endpoint")?)?;
            Ok(builder.with_authority_host(host).with_client_secret_authorization(
                needed("client.id")?,
                needed("client.secret")?,
                tenant,
            ))
        }
        "MsiTokenProvider" => {
            let builder = text("client.id").into_iter().fold(builder, MicrosoftAzureBuilder::with_client_id);
            Ok(text("msi.endpoint").into_iter().fold(builder, MicrosoftAzureBuilder::with_msi_endpoint))
        }
        "WorkloadIdentityTokenProvider" => {
            let builder = match text("msi.authority") {
                Some(host) => builder.with_authority_host(host),
                None => builder,
            };
            Ok(builder
                .with_client_id(needed("client.id")?)
                .with_tenant_id(needed("msi.tenant")?)
                .with_federated_token_file(needed("token.file")?))
        }
        other => Err(SparkError::unsupported(format!("the token provider {other}"))),
    }
}

/// `https://login.microsoftonline.com/TENANT/oauth2/token` → the host's URL and the tenant.
fn tenant_of(endpoint: &str) -> Result<(String, String)> {
    let wrong = || illegal("fs.azure.account.oauth2.client.endpoint must be https://host/tenant/oauth2/token");
    let url = Url::parse(endpoint).map_err(|_| wrong())?;
    let tenant = url.path_segments().and_then(|mut parts| parts.next()).filter(|tenant| !tenant.is_empty());
    let tenant = tenant.ok_or_else(wrong)?.to_string();
    Ok((url[..url::Position::BeforePath].to_string(), tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_and_their_keys() {
        let place = Location::parse("abfss://data@lake.dfs.core.windows.net/a/b").unwrap();
        let settings: BTreeMap<String, String> = [
            ("fs.azure.account.key.lake.dfs.core.windows.net", "a2V5"),
            ("fs.azure.account.key", "b3RoZXI="),
            ("fs.azure.sas.fixed.token.lake.blob.core.windows.net", "sig=x"),
        ]
        .map(|(k, v)| (k.to_string(), v.to_string()))
        .into();
        let keys = Keys::new(&settings, [PREFIX.to_string()]);
        let account = Account::of(&place).unwrap();
        assert_eq!((account.container, account.name), ("data", "lake"));
        assert_eq!(account.text(&keys, "account.key"), Some("a2V5"));
        assert_eq!(account.text(&keys, "sas.fixed.token"), Some("sig=x"));
        assert!(open(&place, &settings).is_ok());
        assert!(open(&place, &BTreeMap::new()).is_err());
        assert!(Account::of(&Location::parse("abfss://data/x").unwrap()).is_err());
        let tenant = tenant_of("https://login.microsoftonline.com/t-1/oauth2/token").unwrap();
        assert_eq!(tenant, ("https://login.microsoftonline.com".to_string(), "t-1".to_string()));
    }
}
