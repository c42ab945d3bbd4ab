//! Whose requests they are: the providers that `fs.s3a.aws.credentials.provider` names, in their order.
use std::env;

use firesteel_plan::{JavaException, Result, SparkError};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use crate::location::Location;
use crate::settings::{Keys, illegal};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Provider {
    Anonymous,
    /// Keys and a session token of the settings
    Temporary,
    /// Keys of the settings
    Simple,
    Environment,
    WebIdentity,
    /// The container's role where there is one, else the machine's
    Role,
    Default,
}

/// The last part of a class name → what it does here. Hadoop's classes, and those of both versions of Amazon's library.
const PROVIDERS: &[(&str, Provider)] = &[
    ("AnonymousAWSCredentialsProvider", Provider::Anonymous),
    ("AnonymousCredentialsProvider", Provider::Anonymous),
    ("TemporaryAWSCredentialsProvider", Provider::Temporary),
    ("SimpleAWSCredentialsProvider", Provider::Simple),
    ("EnvironmentVariableCredentialsProvider", Provider::Environment),
    ("WebIdentityTokenCredentialsProvider", Provider::WebIdentity),
    ("WebIdentityTokenFileCredentialsProvider", Provider::WebIdentity),
    ("IAMInstanceCredentialsProvider", Provider::Role),
    ("InstanceProfileCredentialsProvider", Provider::Role),
    ("ContainerCredentialsProvider", Provider::Role),
    ("EC2ContainerCredentialsProviderWrapper", Provider::Role),
    ("DefaultAWSCredentialsProviderChain", Provider::Default),
    ("DefaultCredentialsProvider", Provider::Default),
];

/// Hadoop's order where no provider is named.
const UNNAMED: &[Provider] =
    &[Provider::Temporary, Provider::Simple, Provider::Environment, Provider::WebIdentity, Provider::Role];
/// The order of Amazon's default chain.
const CHAIN: &[Provider] = &[Provider::Environment, Provider::WebIdentity, Provider::Role];

/// Variables that say where a container's role is, and the client's names for them.
const CONTAINER: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI", AmazonS3ConfigKey::ContainerCredentialsFullUri),
    ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", AmazonS3ConfigKey::ContainerAuthorizationTokenFile),
];
const WEB_IDENTITY: &[(&str, AmazonS3ConfigKey)] = &[
    ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
];

/// No `Debug`: it holds secrets.
pub(super) enum Credentials {
    Anonymous,
    Keys {
        id: String,
        secret: String,
        token: Option<String>,
    },
    /// Settings for the client, which asks a service for keys.
    Service(Vec<(AmazonS3ConfigKey, String)>),
}

impl Credentials {
    pub(super) fn find(location: &Location, keys: &Keys<'_>) -> Result<Self> {
        if keys.text("security.credential.provider.path").is_some() {
            return Err(SparkError::unsupported("fs.s3a.security.credential.provider.path (Hadoop key stores)"));
        }
        let named = keys.text("aws.credentials.provider");
        let providers = match named {
            Some(names) => providers(names)?,
            None => UNNAMED.to_vec(),
        };
        for provider in &providers {
            if let Some(found) = provider.credentials(keys) {
                return Ok(found);
            }
        }
        let asked = named.unwrap_or("the default providers");
        Err(SparkError::java(
            JavaException::AccessDenied,
            format!("{location}: no credentials from {asked}: set fs.s3a.access.key and fs.s3a.secret.key"),
        ))
    }

    pub(super) fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }

    pub(super) fn apply(&self, builder: AmazonS3Builder) -> AmazonS3Builder {
        match self {
            Self::Anonymous => builder.with_skip_signature(true),
            Self::Keys { id, secret, token } => {
                let builder = builder.with_access_key_id(id).with_secret_access_key(secret);
                token.iter().fold(builder, AmazonS3Builder::with_token)
            }
            Self::Service(pairs) => pairs.iter().fold(builder, |b, (key, value)| b.with_config(*key, value)),
        }
    }
}

fn providers(names: &str) -> Result<Vec<Provider>> {
    let mut found = vec![];
    for name in names.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()) {
        let class = name.rsplit(['.', '$']).next().unwrap_or(name);
        let known = PROVIDERS.iter().find(|(known, _)| *known == class);
        let known = known.ok_or_else(|| SparkError::unsupported(format!("the credentials provider {name}")))?;
        found.push(known.1);
    }
    if found.is_empty() { Err(illegal("fs.s3a.aws.credentials.provider names no class")) } else { Ok(found) }
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn variables(table: &[(&str, AmazonS3ConfigKey)]) -> Vec<(AmazonS3ConfigKey, String)> {
    table.iter().filter_map(|(name, key)| Some((*key, variable(name)?))).collect()
}

impl Provider {
    /// `None`: it has none to give.
    fn credentials(self, keys: &Keys<'_>) -> Option<Credentials> {
        let given = |token: Option<&str>| {
            let (id, secret) = (keys.text("access.key")?.to_string(), keys.text("secret.key")?.to_string());
            Some(Credentials::Keys { id, secret, token: token.map(str::to_string) })
        };
        match self {
            Self::Anonymous => Some(Credentials::Anonymous),
            Self::Temporary => given(Some(keys.text("session.token")?)),
            Self::Simple => given(None),
            Self::Environment => {
                let id = variable("AWS_ACCESS_KEY_ID").or_else(|| variable("AWS_ACCESS_KEY"))?;
                let secret = variable("AWS_SECRET_ACCESS_KEY").or_else(|| variable("AWS_SECRET_KEY"))?;
                Some(Credentials::Keys { id, secret, token: variable("AWS_SESSION_TOKEN") })
            }
            Self::WebIdentity => {
                let found = variables(WEB_IDENTITY);
                let has = |wanted| found.iter().any(|(key, _)| *key == wanted);
                let complete = has(AmazonS3ConfigKey::WebIdentityTokenFile) && has(AmazonS3ConfigKey::RoleArn);
                complete.then_some(Credentials::Service(found))
            }
            Self::Role => Some(Credentials::Service(variables(CONTAINER))),
            Self::Default => CHAIN.iter().find_map(|provider| provider.credentials(keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_first_provider_with_keys_counts() {
        let of = |pairs: &[(&str, &str)]| {
            let settings: BTreeMap<String, String> =
                pairs.iter().map(|(k, v)| (format!("fs.s3a.{k}"), (*v).to_string())).collect();
            let place = Location::parse("s3a://b/x").unwrap();
            Credentials::find(&place, &Keys::new(&settings, ["fs.s3a.".to_string()]))
        };
        let keys = [("access.key", "id"), ("secret.key", "s"), ("session.token", "t")];
        assert!(matches!(of(&keys).unwrap_or(Credentials::Anonymous), Credentials::Keys { token: Some(_), .. }));
        let simple = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider";
        let named = [keys[0], keys[1], ("aws.credentials.provider", simple)];
        assert!(matches!(of(&named).unwrap_or(Credentials::Anonymous), Credentials::Keys { token: None, .. }));
        assert!(of(&[("aws.credentials.provider", simple)]).is_err());
        let anonymous = [("aws.credentials.provider", "org.apache.hadoop.fs.s3a.AnonymousAWSCredentialsProvider")];
        assert!(of(&anonymous).is_ok_and(|found| found.is_anonymous()));
        assert!(of(&[("aws.credentials.provider", "com.example.Own")]).is_err());
    }
}
