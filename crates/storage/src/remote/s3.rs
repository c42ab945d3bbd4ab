//! Amazon S3 and what speaks its protocol: `s3a://`, `s3://`, `s3n://`.
mod credentials;
mod endpoint;

use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::{Result, SparkError};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::markers::{Signer, SlashMarkers};
use super::{Backend, DEFAULT_PART_BYTES, MIN_PART_BYTES, unusable};
use crate::location::Location;
use crate::settings::{self, ClientKeys, Keys, illegal};
use credentials::Credentials;
use endpoint::Endpoint;

pub(super) const PREFIX: &str = "fs.s3a.";

const CLIENT: ClientKeys = ClientKeys {
    retries: &["attempts.maximum", "retry.limit"],
    default_retries: 7,
    retry_interval: "retry.interval",
    connect_timeout: "connection.establish.timeout",
    timeouts: &["connection.request.timeout", "connection.timeout"],
    connections: Some("connection.maximum"),
    proxy: Some(settings::ProxyKeys {
        host: "proxy.host",
        port: "proxy.port",
        user: "proxy.username",
        password: "proxy.password",
    }),
};

/// `fs.s3a.encryption.algorithm` → the client's name for it.
const ENCRYPTION: &[(&str, &str)] = &[
    ("SSE-S3", "AES256"),
    ("AES256", "AES256"),
    ("SSE-KMS", "aws:kms"),
    ("DSSE-KMS", "aws:kms:dsse"),
    ("SSE-C", "sse-c"),
];

pub(super) fn open(location: &Location, settings: &BTreeMap<String, String>) -> Result<Backend> {
    let bucket = location.authority();
    if bucket.is_empty() {
        return Err(illegal(format!("{location} names no bucket")));
    }
    if bucket.contains(['@', ':']) {
        return Err(illegal("a path of S3 takes no credentials and no port: set fs.s3a.access.key, fs.s3a.endpoint"));
    }
    let keys = Keys::new(settings, [format!("{PREFIX}bucket.{bucket}."), PREFIX.to_string()]);
    let endpoint = Endpoint::of(bucket, &keys)?;
    let (options, retry) = settings::client(&keys, &CLIENT, endpoint.is_plain_http())?;
    let credentials = Credentials::find(location, &keys)?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&endpoint.region)
        .with_endpoint(&endpoint.url)
        .with_virtual_hosted_style_request(endpoint.is_virtual_hosted)
        .with_allow_http(endpoint.is_plain_http())
        .with_request_payer(keys.flag("requester.pays.enabled", false)?)
        .with_client_options(options.clone())
        .with_retry(retry);
    builder = credentials.apply(builder);
    builder = encrypted(builder, &keys)?;
    let store = builder.build().map_err(|e| unusable(location, &e))?;
    let part_bytes = keys.bytes("multipart.size")?.unwrap_or(DEFAULT_PART_BYTES).max(MIN_PART_BYTES);
    let bucket_url = endpoint.bucket_url(bucket);
    let signer = (!credentials.is_anonymous())
        .then(|| Signer::S3 { region: endpoint.region, credentials: Arc::clone(store.credentials()) });
    let markers = SlashMarkers::new(bucket_url, signer, &options).map_err(|e| unusable(location, &e))?;
    Ok(Backend::new(store, markers, part_bytes))
}

fn encrypted(builder: AmazonS3Builder, keys: &Keys<'_>) -> Result<AmazonS3Builder> {
    let Some(wanted) = keys.first(&["encryption.algorithm", "server-side-encryption-algorithm"]) else {
        return Ok(builder);
    };
    let known = ENCRYPTION.iter().find(|(name, _)| wanted.eq_ignore_ascii_case(name));
    let Some((name, algorithm)) = known else {
        return Err(SparkError::unsupported(format!("fs.s3a.encryption.algorithm {wanted}")));
    };
    let key = keys.first(&["encryption.key", "server-side-encryption.key"]);
    if *name == "SSE-C" {
        let key = key.ok_or_else(|| illegal("SSE-C needs fs.s3a.encryption.key"))?;
        return Ok(builder.with_ssec_encryption(key));
    }
    let set = |builder: AmazonS3Builder, name: &str, value: &str| match name.parse::<AmazonS3ConfigKey>() {
        Ok(config) => builder.with_config(config, value),
        Err(_) => builder,
    };
    let builder = set(builder, "aws_server_side_encryption", algorithm);
    Ok(match key.filter(|_| name.ends_with("KMS")) {
        Some(key) => set(builder, "aws_sse_kms_key_id", key),
        None => builder,
    })
}
