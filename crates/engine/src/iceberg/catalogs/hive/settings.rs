//! What a session says of a catalog in a Hive metastore: the catalog's own keys, then Hadoop's.
use std::collections::BTreeMap;
use std::time::Duration;

use firesteel_plan::{Result, SparkError};

use super::{Settings, illegal};

/// What Hadoop's keys begin with, in a catalog's settings and in the session's
const OWN: &str = "hadoop.";
const SESSIONS: &str = "spark.hadoop.";
const URI: &str = "hive.metastore.uris";
const WAREHOUSE: &str = "hive.metastore.warehouse.dir";
const TIMEOUT: &str = "hive.metastore.client.socket.timeout";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
const LOCKS: &str = "iceberg.engine.hive.lock-enabled";
const HIVE_ENGINE: &str = "iceberg.engine.hive.enabled";
const KEEPS_STATISTICS: &str = "iceberg.hive.keep.stats";
const CATALOG: &str = "metastore.catalog.default";
const DEFAULT_CATALOG: &str = "hive";
const MAX_PROPERTY: &str = "iceberg.hive.table-property-max-size";
const DEFAULT_MAX_PROPERTY: usize = 32_672;
/// Ways to speak to a metastore that are not spoken here, and what asks for them
const REFUSED: &[(&str, &str, &str)] = &[
    ("hive.metastore.sasl.enabled", "true", "SASL and Kerberos"),
    ("hive.metastore.use.SSL", "true", "TLS"),
    ("hive.metastore.thrift.framed.transport.enabled", "true", "framed transport"),
    ("hive.metastore.thrift.compact.protocol.enabled", "true", "the compact protocol"),
    ("hive.metastore.client.thrift.transport.mode", "http", "Thrift over HTTP"),
    ("hive.metastore.client.auth.mode", "PLAIN", "users with passwords"),
];

#[derive(Debug)]
pub struct HiveSettings {
    pub uri: String,
    /// Who asks
    pub user: String,
    /// Where databases are that do not say it, without a slash at its end. `None`: the metastore knows.
    pub warehouse: Option<String>,
    pub timeout: Duration,
    pub lists_all_tables: bool,
    pub locks: bool,
    pub hive_engine: bool,
    pub keeps_statistics: bool,
    /// The longest value of a parameter, in bytes
    pub max_property: usize,
}

impl HiveSettings {
    pub(in super::super) fn of(settings: &Settings, conf: &BTreeMap<String, String>, user: &str) -> Result<Self> {
        let own = |key: &str| settings.properties.get(key).map(String::as_str);
        let hadoop = |key: &str| {
            let given = own(&format!("{OWN}{key}")).or(conf.get(&format!("{SESSIONS}{key}")).map(String::as_str));
            given.map(str::trim).filter(|value| !value.is_empty())
        };
        for (key, wanted, what) in REFUSED {
            if hadoop(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted)) {
                return Err(SparkError::unsupported(format!("Hive metastores with {what} ({key})")));
            }
        }
        if let Some(other) = hadoop(CATALOG).filter(|name| *name != DEFAULT_CATALOG) {
            return Err(SparkError::unsupported(format!(
                "the catalog {other} of a Hive metastore: the default one is"
            )));
        }
        let flag = |key: &str, value: Option<&str>, default: bool| match value.map(str::to_ascii_lowercase).as_deref() {
            None => Ok(default),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(illegal(format!("{key} must be true or false, not {other}"))),
        };
        if flag("unique-table-location", own("unique-table-location"), false)? {
            return Err(SparkError::unsupported("unique-table-location of Iceberg catalogs in a Hive metastore"));
        }
        let uri = own("uri").or(hadoop(URI)).map_or_else(|| settings.required("uri"), Ok)?;
        let warehouse = own("warehouse").or(hadoop(WAREHOUSE)).map(|place| place.trim_end_matches('/').to_string());
        let number = |key: &str, default: usize| match hadoop(key) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| illegal(format!("{key} must be a number, not {text}"))),
        };
        Ok(Self {
            uri: uri.to_string(),
            user: user.to_string(),
            warehouse,
            timeout: hadoop(TIMEOUT).map_or(Ok(DEFAULT_TIMEOUT), |text| duration(TIMEOUT, text))?,
            lists_all_tables: flag("list-all-tables", own("list-all-tables"), false)?,
            locks: flag(LOCKS, hadoop(LOCKS), true)?,
            hive_engine: flag(HIVE_ENGINE, hadoop(HIVE_ENGINE), false)?,
            keeps_statistics: flag(KEEPS_STATISTICS, hadoop(KEEPS_STATISTICS), false)?,
            max_property: number(MAX_PROPERTY, DEFAULT_MAX_PROPERTY)?,
        })
    }
}

/// `600`, `600s`, `500ms`, `2m`
fn duration(key: &str, text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let millis = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "ms" | "msec" => Some(1),
        "" | "s" | "sec" => Some(1000),
        "m" | "min" => Some(60_000),
        "h" | "hour" => Some(3_600_000),
        _ => None,
    };
    let found = digits.trim().parse::<u64>().ok().zip(millis).and_then(|(count, unit)| count.checked_mul(unit));
    let found = found.filter(|millis| *millis > 0).map(Duration::from_millis);
    found.ok_or_else(|| illegal(format!("{key} must be a time such as 600s, not {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(own: &[(&str, &str)], conf: &[(&str, &str)]) -> Result<HiveSettings> {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        HiveSettings::of(&Settings { name: "h".into(), properties: map(own) }, &map(conf), "us")
    }

    #[test]
    fn the_catalogs_own_keys_stand_above_the_sessions() {
        let session = [
            ("spark.hadoop.hive.metastore.uris", "thrift://b:1"),
            ("spark.hadoop.iceberg.engine.hive.lock-enabled", "false"),
            ("spark.hadoop.hive.metastore.client.socket.timeout", "5s"),
        ];
        let found = settings(&[("hadoop.iceberg.engine.hive.lock-enabled", "TRUE"), ("warehouse", "/w/")], &session);
        let found = found.unwrap();
        assert_eq!((found.uri.as_str(), found.warehouse.as_deref()), ("thrift://b:1", Some("/w")));
        assert_eq!((found.locks, found.timeout), (true, Duration::from_secs(5)));
        assert_eq!(settings(&[("uri", "thrift://a:1")], &session).unwrap().uri, "thrift://a:1");
        assert!(!settings(&[], &session).unwrap().locks && settings(&[], &[]).is_err());
    }

    #[test]
    fn what_is_not_spoken_is_refused() {
        for (key, value) in [("hadoop.hive.metastore.sasl.enabled", "true"), ("unique-table-location", "true")] {
            let error = settings(&[("uri", "thrift://a"), (key, value)], &[]).unwrap_err();
            assert_eq!(error.condition(), "UNSUPPORTED_FEATURE.FIRESTEEL");
        }
        for (key, value) in [("list-all-tables", "yes"), ("hadoop.hive.metastore.client.socket.timeout", "soon")] {
            assert!(settings(&[("uri", "thrift://a"), (key, value)], &[]).is_err());
        }
        assert_eq!(duration("k", "200ms").unwrap(), Duration::from_millis(200));
        assert!(duration("k", "0").is_err() && duration("k", "5 years").is_err());
    }
}
