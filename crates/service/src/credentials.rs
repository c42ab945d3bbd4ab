//! Credentials of a request: they become settings of its session's storage, and are kept nowhere else.
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::body::{Fields, read};
use crate::document::{Documented, document};
use crate::options::ServiceOptions;
use crate::problem::Problem;

const FIELD: &str = "credentials";
/// How the keys of stores begin; they belong here and nowhere else in a request.
const STORE_PREFIXES: &[&str] = &["fs.", "google.cloud.", SPARK_PREFIX];
/// What Spark puts before Hadoop's keys
const SPARK_PREFIX: &str = "spark.hadoop.";

document! {
    /// What a store is shown: keys of S3, or a profile of the configuration, or settings by their Hadoop keys. They hold
    /// for the request; they are not logged, kept or shown.
    pub struct CredentialFields {
        aws_access_key_id: Option<String>,
        aws_secret_access_key: Option<String>,
        aws_session_token: Option<String>,
        aws_region: Option<String>,
        /// Another service than Amazon's
        endpoint_url: Option<String>,
        /// A profile of the configuration: firesteel.service.profile.NAME.*
        profile: Option<String>,
        /// Keys of Hadoop's connectors
        options: Option<BTreeMap<String, String>>,
    }
}

/// Settings of stores, which nobody prints.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, String>);

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Takes the field out of a request, so that what is left can be kept.
    pub fn take(fields: &mut Fields, options: &ServiceOptions) -> Result<Self, Problem> {
        #[derive(serde::Deserialize, Default)]
        struct Group {
            #[serde(default)]
            credentials: Option<Value>,
        }
        impl Documented for Group {
            const FIELDS: &'static [&'static str] = &[FIELD];
            fn schema() -> Value {
                Value::Null
            }
        }
        match fields.take::<Group>()?.credentials {
            None => Ok(Self::default()),
            Some(value) => {
                // What was given is not repeated in the message: it may be the secret.
                let given: CredentialFields = read(value, FIELD).map_err(|problem| {
                    let detail = "The credentials are not understood.";
                    Problem { detail: detail.into(), ..problem }
                })?;
                Self::of(given, options)
            }
        }
    }

    fn of(given: CredentialFields, options: &ServiceOptions) -> Result<Self, Problem> {
        let mut settings = BTreeMap::new();
        if let Some(name) = &given.profile {
            let field = format!("{FIELD}.profile");
            let unknown = || Problem::invalid(field, format!("There is no profile {name:?}."));
            settings.extend(options.profiles.get(name).ok_or_else(unknown)?.clone());
        }
        let named = given.options.unwrap_or_default();
        if let Some(key) = named.keys().find(|key| !is_store_setting(key)) {
            return Err(Problem::invalid(format!("{FIELD}.options"), format!("{key} is no setting of a store.")));
        }
        for (key, value) in &named {
            let own = key.strip_prefix(SPARK_PREFIX);
            // Of both forms of a key Hadoop's own counts, as in a session.
            if !own.is_some_and(|own| named.contains_key(own)) {
                settings.insert(own.unwrap_or(key).to_string(), value.clone());
            }
        }
        let s3 = [
            ("fs.s3a.access.key", given.aws_access_key_id),
            ("fs.s3a.secret.key", given.aws_secret_access_key),
            ("fs.s3a.session.token", given.aws_session_token),
            ("fs.s3a.endpoint.region", given.aws_region),
            ("fs.s3a.endpoint", given.endpoint_url),
        ];
        settings.extend(s3.into_iter().filter_map(|(key, value)| Some((key.to_string(), value?))));
        Ok(Self(settings))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Tells sessions with different credentials apart.
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (key, value) in &self.0 {
            for part in [key, value] {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().into()
    }
}

fn is_store_setting(key: &str) -> bool {
    STORE_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Refuses settings of stores among other options: those are kept with jobs, and shown.
pub fn refuse_settings<'a>(keys: impl IntoIterator<Item = &'a String>, field: &str) -> Result<(), Problem> {
    match keys.into_iter().find(|key| is_store_setting(key)) {
        Some(key) => {
            Err(Problem::invalid(format!("{field}.{key}"), format!("{key} belongs into credentials.options.")))
        }
        None => Ok(()),
    }
}
