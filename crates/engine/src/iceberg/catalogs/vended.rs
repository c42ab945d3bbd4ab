//! Iceberg's settings of a store, as a catalog or its tables have them, by Hadoop's names.
use std::collections::BTreeMap;

use firesteel_plan::{Result, SparkError};
use firesteel_storage::Location;

use super::Properties;

const S3_SCHEMES: &[&str] = &["s3", "s3a", "s3n"];
/// Iceberg's name, and that of Hadoop below `fs.s3a.`
const S3: &[(&str, &str)] = &[
    ("s3.access-key-id", "access.key"),
    ("s3.secret-access-key", "secret.key"),
    ("s3.session-token", "session.token"),
    ("s3.endpoint", "endpoint"),
    ("s3.path-style-access", "path.style.access"),
    ("s3.region", "endpoint.region"),
    ("client.region", "endpoint.region"),
];
const PROVIDER: &str = "aws.credentials.provider";
const TEMPORARY: &str = "org.apache.hadoop.fs.s3a.TemporaryAWSCredentialsProvider";
const SIMPLE: &str = "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider";

/// Settings for the files below a location. They stand above the session's own, also above those of the bucket.
pub(super) fn store_settings(location: &str, config: &Properties) -> Result<BTreeMap<String, String>> {
    let mut settings = BTreeMap::new();
    let place = Location::parse(location)?;
    if !S3_SCHEMES.contains(&place.scheme()) {
        return Ok(settings);
    }
    let get = |key: &str| config.get(key).filter(|value| !value.is_empty());
    let has_keys = get("s3.access-key-id").is_some() && get("s3.secret-access-key").is_some();
    let is_signed = get("s3.remote-signing-enabled").is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    if is_signed && !has_keys {
        return Err(SparkError::unsupported(format!(
            "tables whose catalog signs the requests for their files ({location})"
        )));
    }
    let prefix = format!("fs.s3a.bucket.{}.", place.authority());
    for (name, key) in S3 {
        if let Some(value) = get(name) {
            settings.insert(format!("{prefix}{key}"), value.clone());
        }
    }
    if has_keys {
        let provider = if get("s3.session-token").is_some() { TEMPORARY } else { SIMPLE };
        settings.insert(format!("{prefix}{PROVIDER}"), provider.into());
    }
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_a_catalog_are_those_of_the_bucket() {
        let config: Properties = [
            ("s3.access-key-id", "id"),
            ("s3.secret-access-key", "secret"),
            ("s3.session-token", ""),
            ("s3.endpoint", "http://127.0.0.1:9"),
            ("other", "x"),
        ]
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .into();
        let settings = store_settings("s3://b/db/t", &config).unwrap();
        assert_eq!(settings["fs.s3a.bucket.b.access.key"], "id");
        assert_eq!(settings["fs.s3a.bucket.b.aws.credentials.provider"], SIMPLE);
        assert_eq!(settings["fs.s3a.bucket.b.endpoint"], "http://127.0.0.1:9");
        assert_eq!(settings.len(), 4);
        assert!(store_settings("/tmp/t", &config).unwrap().is_empty());
        let signed = Properties::from([("s3.remote-signing-enabled".to_string(), "true".to_string())]);
        assert_eq!(store_settings("s3://b/t", &signed).unwrap_err().condition(), "UNSUPPORTED_FEATURE.FIRESTEEL");
    }
}
