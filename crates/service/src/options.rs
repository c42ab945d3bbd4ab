//! Limits and manners of the service: the keys `firesteel.service.*`.
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use firesteel_conf::parse;

pub const PROFILE_PREFIX: &str = "firesteel.service.profile.";
/// The URL of a PostgreSQL database, which may hold a password
pub const JOB_STORE_KEY: &str = "firesteel.service.jobStore";

/// Whether a key's value is the service's alone: no session may see it.
pub fn is_secret(key: &str) -> bool {
    key == JOB_STORE_KEY || key.starts_with(PROFILE_PREFIX)
}

/// How the service behaves. [`ServiceOptions::from_conf`] reads the keys; docs/rest.md lists them.
#[derive(Clone)]
pub struct ServiceOptions {
    /// Where jobs and tokens are kept, unless a database is named; without one they go with the process.
    pub data_dir: Option<PathBuf>,
    /// `postgresql://…`
    pub job_store: Option<String>,
    /// `spark.connect.authenticate.token`: it may do everything here too.
    pub token: Option<String>,
    pub body_bytes_max: usize,
    pub body_timeout: Duration,
    pub request_timeout: Duration,
    /// Of one user; 0: no limit.
    pub requests_per_second_max: f64,
    pub running_max: usize,
    pub running_per_user_max: usize,
    pub queued_per_user_max: usize,
    pub job_timeout: Duration,
    pub result_memory_bytes: usize,
    pub result_retention: Duration,
    pub job_retention: Duration,
    pub cors_origins: Vec<String>,
    /// Settings of stores by the name of their profile.
    pub profiles: BTreeMap<String, BTreeMap<String, String>>,
}

impl ServiceOptions {
    pub fn from_conf(conf: &BTreeMap<String, String>, data_dir: Option<PathBuf>) -> Self {
        let get = |name: &str| conf.get(&format!("firesteel.service.{name}")).map(|text| text.trim());
        let duration =
            |name: &str, seconds: u64| get(name).and_then(parse::duration).unwrap_or(Duration::from_secs(seconds));
        let bytes = |name: &str, default: usize| {
            get(name).and_then(parse::bytes).and_then(|n| usize::try_from(n).ok()).unwrap_or(default)
        };
        let count = |name: &str, default: usize| get(name).and_then(|n| n.parse().ok()).unwrap_or(default);
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        Self {
            data_dir,
            job_store: conf.get(JOB_STORE_KEY).cloned(),
            token: conf.get("spark.connect.authenticate.token").filter(|token| !token.is_empty()).cloned(),
            body_bytes_max: bytes("maxBodyBytes", 32 << 20),
            body_timeout: duration("bodyTimeout", 30),
            request_timeout: duration("requestTimeout", 300),
            requests_per_second_max: get("rateLimit").and_then(|n| n.parse().ok()).unwrap_or(0.0),
            running_max: count("maxRunning", cores * 2).max(1),
            running_per_user_max: count("maxRunningPerUser", cores).max(1),
            queued_per_user_max: count("maxQueuedPerUser", 200),
            job_timeout: duration("jobTimeout", 3600),
            result_memory_bytes: bytes("resultMemory", 64 << 20),
            result_retention: duration("resultRetention", 3600),
            job_retention: duration("jobRetention", 24 * 3600),
            cors_origins: get("corsOrigins").map(words).unwrap_or_default(),
            profiles: profiles(conf),
        }
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_string()).filter(|word| !word.is_empty()).collect()
}

/// `firesteel.service.profile.NAME.fs.…`
fn profiles(conf: &BTreeMap<String, String>) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut profiles: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (key, value) in conf {
        let Some((name, setting)) = key.strip_prefix(PROFILE_PREFIX).and_then(|rest| rest.split_once('.')) else {
            continue;
        };
        profiles.entry(name.to_string()).or_default().insert(setting.to_string(), value.clone());
    }
    profiles
}
