//! What a function's result depends on besides its arguments: the session's values, frozen for one query.
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::timezone::Tz;

/// Frozen when a statement is analyzed, shared by all its expressions.
#[derive(Debug, Clone)]
pub struct EvalContext {
    /// `spark.sql.ansi.enabled`
    pub ansi: bool,
    /// `spark.sql.session.timeZone` as the user wrote it
    pub time_zone_id: String,
    pub time_zone: Tz,
    /// Start of the statement, microseconds since the epoch: `current_timestamp()`.
    pub now_micros: i64,
    pub current_user: String,
    pub current_catalog: String,
    pub current_database: String,
    /// Every `spark.*` key that is set or has a default, for the rare function that reads one.
    pub conf: Arc<BTreeMap<String, String>>,
}

impl EvalContext {
    /// The value of a configuration key, if set.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.conf.get(key).map(String::as_str)
    }

    /// Whether a boolean key is `true`; `default` where it is not set.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |value| value.eq_ignore_ascii_case("true"))
    }
}

impl Default for EvalContext {
    fn default() -> Self {
        Self {
            ansi: true,
            time_zone_id: "UTC".into(),
            time_zone: time_zone_or_utc("+00:00"),
            now_micros: 0,
            current_user: "firesteel".into(),
            current_catalog: "spark_catalog".into(),
            current_database: "default".into(),
            conf: Arc::default(),
        }
    }
}

/// The zone of that id, or UTC where the id is not one (session values are validated when they are set).
pub fn time_zone_or_utc(id: &str) -> Tz {
    #[expect(clippy::expect_used, reason = "a constant that arrow parses")]
    id.parse().unwrap_or_else(|_| "+00:00".parse().expect("a fixed offset"))
}

impl PartialEq for EvalContext {
    fn eq(&self, other: &Self) -> bool {
        self.ansi == other.ansi
            && self.time_zone_id == other.time_zone_id
            && self.now_micros == other.now_micros
            && self.current_user == other.current_user
            && self.current_database == other.current_database
    }
}
impl Eq for EvalContext {}
impl Hash for EvalContext {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.ansi, &self.time_zone_id, self.now_micros).hash(state);
    }
}
