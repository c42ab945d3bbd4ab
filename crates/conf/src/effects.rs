//! Which keys change something here, and why the others do not.

use std::sync::LazyLock;

/// What setting a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Read,
    /// Accepted without effect, for this reason.
    None(&'static str),
    /// Not a key of Spark's or ours.
    Unknown,
}

/// Keys that something here or a client reads, sorted. Prefixes end with a dot.
static READ: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut keys: Vec<_> = include_str!("read_keys.txt").lines().filter(|line| !line.starts_with('#')).collect();
    keys.sort_unstable();
    keys
});

const NO_JVM: &str = "there is no JVM";
const ONE_PROCESS: &str = "queries run inside the server's process";
const NO_CODEGEN: &str = "operators are compiled already, there is no code generation";
const OPTIMIZER: &str = "DataFusion's optimizer has its own rules";
const EXCHANGE: &str = "data is exchanged in memory, not through shuffle files";
const STREAMING: &str = "Structured Streaming is not in this version";
const PYTHON: &str = "Python functions are not in this version";
const HIVE: &str = "Hive's classes are not used";
const LEGACY: &str = "only the current behaviour is offered";
const UI: &str = "the web page is not in this version";
const FORMAT: &str = "the file readers and writers decide it themselves";
const LOG: &str = "logs are configured by RUST_LOG";
const BUILT_IN: &str = "what it names is built in";
const OTHER: &str = "nothing here depends on it";

/// Reasons by prefix; the longest that fits is taken.
static REASONS: &[(&str, &str)] = &[
    ("spark.", OTHER),
    ("spark.broadcast.", EXCHANGE),
    ("spark.cleaner.", NO_JVM),
    ("spark.connect.extensions.", NO_JVM),
    ("spark.connect.scalaUdf.", NO_JVM),
    ("spark.connect.session.connectML.", "machine learning is not in this version"),
    ("spark.deploy.", ONE_PROCESS),
    ("spark.driver.extra", NO_JVM),
    ("spark.driver.defaultJavaOptions", NO_JVM),
    ("spark.driver.userClassPathFirst", NO_JVM),
    ("spark.dynamicAllocation.", ONE_PROCESS),
    ("spark.eventLog.", UI),
    ("spark.excludeOnFailure.", ONE_PROCESS),
    ("spark.executor.", ONE_PROCESS),
    ("spark.executor.extra", NO_JVM),
    ("spark.history.", UI),
    ("spark.io.", EXCHANGE),
    ("spark.jars", NO_JVM),
    ("spark.kryo", NO_JVM),
    ("spark.kubernetes.", ONE_PROCESS),
    ("spark.locality.", ONE_PROCESS),
    ("spark.log.", LOG),
    ("spark.master.", ONE_PROCESS),
    ("spark.metrics.", UI),
    ("spark.network.", ONE_PROCESS),
    ("spark.plugins", NO_JVM),
    ("spark.pyspark.", PYTHON),
    ("spark.python.", PYTHON),
    ("spark.r.", "R is not in this version"),
    ("spark.rdd.", "there are no RDDs"),
    ("spark.reducer.", EXCHANGE),
    ("spark.rpc.", ONE_PROCESS),
    ("spark.scheduler.", ONE_PROCESS),
    ("spark.serializer", NO_JVM),
    ("spark.shuffle.", EXCHANGE),
    ("spark.speculation", ONE_PROCESS),
    ("spark.sql.avro.", FORMAT),
    ("spark.sql.adaptive.", OPTIMIZER),
    ("spark.sql.cbo.", OPTIMIZER),
    ("spark.sql.codegen.", NO_CODEGEN),
    ("spark.sql.execution.arrow.pyspark.", PYTHON),
    ("spark.sql.execution.pyspark.", PYTHON),
    ("spark.sql.execution.python.", PYTHON),
    ("spark.sql.extensions", BUILT_IN),
    ("spark.sql.hive.", HIVE),
    ("spark.sql.inMemoryColumnarStorage.", "cached rows are kept as Arrow batches"),
    ("spark.sql.legacy.", LEGACY),
    ("spark.sql.optimizer.", OPTIMIZER),
    ("spark.sql.orc.", FORMAT),
    ("spark.sql.parquet.", FORMAT),
    ("spark.sql.planChangeLog.", LOG),
    ("spark.sql.pyspark.", PYTHON),
    ("spark.sql.runtime.", OPTIMIZER),
    ("spark.sql.sortMergeJoinExec.", OPTIMIZER),
    ("spark.sql.statistics.", OPTIMIZER),
    ("spark.sql.streaming.", STREAMING),
    ("spark.sql.ui.", UI),
    ("spark.stage.", ONE_PROCESS),
    ("spark.standalone.", ONE_PROCESS),
    ("spark.storage.", "cached rows are kept by the server's memory pool"),
    ("spark.streaming.", STREAMING),
    ("spark.submit.", ONE_PROCESS),
    ("spark.task.", ONE_PROCESS),
    ("spark.ui.", UI),
    ("spark.worker.", ONE_PROCESS),
    ("spark.yarn.", ONE_PROCESS),
];

pub fn effect(name: &str) -> Effect {
    let is_read = READ.iter().any(|key| *key == name || (key.ends_with('.') && name.starts_with(key)));
    if is_read {
        return Effect::Read;
    }
    if super::lookup(name).is_none() {
        return Effect::Unknown;
    }
    let reasons = REASONS.iter().filter(|(prefix, _)| name.starts_with(prefix));
    reasons.max_by_key(|(prefix, _)| prefix.len()).map_or(Effect::Unknown, |(_, reason)| Effect::None(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read_or_has_a_reason() {
        for key in crate::all() {
            assert_ne!(effect(key.name), Effect::Unknown, "{}", key.name);
        }
        assert_eq!(effect("spark.sql.ansi.enabled"), Effect::Read);
        assert_eq!(effect("spark.executor.extraJavaOptions"), Effect::None(NO_JVM));
        assert_eq!(effect("my.key"), Effect::Unknown);
    }

    #[test]
    fn what_is_read_is_a_key() {
        for name in READ.iter().filter(|name| !name.ends_with('.')) {
            assert!(crate::lookup(name).is_some(), "{name}");
        }
    }
}
