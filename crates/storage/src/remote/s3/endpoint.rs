//! Where a bucket answers.
use std::net::IpAddr;

use firesteel_plan::Result;
use url::Url;

use crate::settings::{Keys, illegal};

const DEFAULT_REGION: &str = "us-east-1";
const AMAZON: &str = ".amazonaws.com";

/// The place of a bucket's service.
pub(super) struct Endpoint {
    /// Of the service; of the bucket where it is virtual hosted. No trailing slash.
    pub url: String,
    /// The bucket is in the host's name rather than in the path.
    pub is_virtual_hosted: bool,
    pub region: String,
}

impl Endpoint {
    pub(super) fn of(bucket: &str, keys: &Keys<'_>) -> Result<Self> {
        let given = keys.text("endpoint");
        let named = keys.text("endpoint.region").filter(|region| *region != "sdk");
        let region = named.or_else(|| given.and_then(region_of)).map_or_else(default_region, str::to_string);
        let text = match given {
            // The central endpoint knows only its own region's buckets.
            Some(text) if text.trim_end_matches('/').ends_with("s3.amazonaws.com") => amazon(&region),
            Some(text) => text.to_string(),
            None => amazon(&region),
        };
        let scheme = if keys.flag("connection.ssl.enabled", true)? { "https" } else { "http" };
        let text = if text.contains("://") { text } else { format!("{scheme}://{text}") };
        let mut url = Url::parse(&text).map_err(|_| illegal(format!("fs.s3a.endpoint is no address: {text}")))?;
        let Some(host) = url.host_str().map(str::to_string) else {
            return Err(illegal(format!("fs.s3a.endpoint is no address: {text}")));
        };
        let is_virtual_hosted = !keys.flag("path.style.access", false)? && !is_bare_host(&host) && is_host_name(bucket);
        if is_virtual_hosted {
            url.set_host(Some(&format!("{bucket}.{host}"))).map_err(|_| {
                illegal(format!("{bucket} cannot be part of a host name: set fs.s3a.path.style.access"))
            })?;
        }
        Ok(Self { url: url.as_str().trim_end_matches('/').to_string(), is_virtual_hosted, region })
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.url.starts_with("http://")
    }

    /// What object keys are appended to, without a trailing slash.
    pub(super) fn bucket_url(&self, bucket: &str) -> String {
        if self.is_virtual_hosted { self.url.clone() } else { format!("{}/{bucket}", self.url) }
    }
}

fn amazon(region: &str) -> String {
    let end = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://s3.{region}{AMAZON}{end}")
}

/// `s3.eu-west-1.amazonaws.com` → `eu-west-1`
fn region_of(endpoint: &str) -> Option<&str> {
    let host = endpoint.rsplit("://").next()?.split(['/', ':']).next()?;
    let name = host.strip_suffix(".cn").unwrap_or(host).strip_suffix(AMAZON)?;
    let region = name.strip_prefix("s3.").or_else(|| name.strip_prefix("s3-"))?;
    (!region.is_empty() && !region.contains('.')).then_some(region)
}

fn default_region() -> String {
    let of_process = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| std::env::var(name).ok());
    of_process.filter(|region| !region.is_empty()).unwrap_or_else(|| DEFAULT_REGION.into())
}

/// A host that has no names below it.
fn is_bare_host(host: &str) -> bool {
    host == "localhost" || !host.contains('.') || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Dots would not fit a certificate for all buckets.
fn is_host_name(bucket: &str) -> bool {
    bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn endpoint(bucket: &str, pairs: &[(&str, &str)]) -> Endpoint {
        let settings: BTreeMap<String, String> =
            pairs.iter().map(|(k, v)| (format!("fs.s3a.{k}"), (*v).to_string())).collect();
        Endpoint::of(bucket, &Keys::new(&settings, ["fs.s3a.".to_string()])).unwrap()
    }

    #[test]
    fn places_of_buckets() {
        let of = |bucket, pairs: &[_]| endpoint(bucket, pairs).bucket_url(bucket);
        assert_eq!(of("b", &[("endpoint.region", "eu-west-1")]), "https://b.s3.eu-west-1.amazonaws.com");
        assert_eq!(of("b.c", &[("endpoint.region", "eu-west-1")]), "https://s3.eu-west-1.amazonaws.com/b.c");
        assert_eq!(of("b", &[("endpoint", "http://127.0.0.1:9000")]), "http://127.0.0.1:9000/b");
        assert_eq!(of("b", &[("endpoint", "minio:9000"), ("connection.ssl.enabled", "false")]), "http://minio:9000/b");
        assert_eq!(of("b", &[("endpoint", "https://store.example")]), "https://b.store.example");
        let styled = [("endpoint", "store.example"), ("path.style.access", "true")];
        assert_eq!(of("b", &styled), "https://store.example/b");
        assert_eq!(endpoint("b", &[("endpoint", "s3.eu-north-1.amazonaws.com")]).region, "eu-north-1");
        assert_eq!(
            of("b", &[("endpoint", "s3.amazonaws.com"), ("endpoint.region", "cn-north-1")]),
            "https://b.s3.cn-north-1.amazonaws.com.cn"
        );
    }
}
