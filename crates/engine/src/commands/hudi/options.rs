//! What the options of a write say. The keys are Hudi's own; a session may set them too.
use firesteel_lake::hudi::write::{HudiDefinition, KeyGenerator, NEW_VERSION, Operation};
use firesteel_plan::relation::Options;
use firesteel_plan::{JavaException, Result, SparkError};

use crate::commands::Statement;

const NAME: &[&str] = &["hoodie.table.name", "hoodie.datasource.write.table.name"];
const RECORD_KEY: &[&str] = &["hoodie.datasource.write.recordkey.field", "hoodie.table.recordkey.fields", "primaryKey"];
const ORDERING: &[&str] = &[
    "hoodie.datasource.write.precombine.field",
    "hoodie.table.precombine.field",
    "hoodie.table.ordering.fields",
    "preCombineField",
    "orderingFields",
];
const PARTITION: &[&str] = &["hoodie.datasource.write.partitionpath.field", "hoodie.table.partition.fields"];
const TYPE: &[&str] = &["hoodie.datasource.write.table.type", "hoodie.table.type", "type"];
const GENERATOR: &[&str] = &[
    "hoodie.datasource.write.keygenerator.class",
    "hoodie.datasource.write.keygenerator.type",
    "hoodie.table.keygenerator.class",
    "hoodie.table.keygenerator.type",
];
const MODE: &[&str] = &["hoodie.record.merge.mode", "hoodie.write.record.merge.mode"];
const PAYLOAD: &[&str] = &["hoodie.datasource.write.payload.class", "hoodie.compaction.payload.class"];
const HIVE_STYLE: &[&str] = &["hoodie.datasource.write.hive_style_partitioning"];
const URL_ENCODE: &[&str] = &["hoodie.datasource.write.partitionpath.urlencode"];
const VERSION: &[&str] = &["hoodie.write.table.version"];
const OPERATION: &[&str] = &["hoodie.datasource.write.operation"];
const CODEC: &[&str] = &["hoodie.parquet.compression.codec"];
const FAILED_WRITES: &[&str] = &["hoodie.cleaner.policy.failed.writes", "hoodie.clean.failed.writes.policy"];
const COMBINE: &[&str] = &["hoodie.combine.before.insert"];

/// Options whose meaning is not here, with the values that ask for nothing.
const REFUSED: &[(&str, &[&str])] = &[
    ("hoodie.index.type", &["SIMPLE", "BLOOM"]),
    ("hoodie.datasource.write.insert.drop.duplicates", &["false"]),
    ("hoodie.datasource.insert.dup.policy", &["none"]),
    // Others would trust in a lock that is not taken here.
    ("hoodie.write.concurrency.mode", &["SINGLE_WRITER"]),
    ("hoodie.combine.before.upsert", &["true"]),
    ("hoodie.combine.before.delete", &["true"]),
    ("hoodie.schema.on.read.enable", &["false"]),
    ("hoodie.datasource.write.drop.partition.columns", &["false"]),
    ("hoodie.datasource.write.row.writer.enable", &["true", "false"]),
    ("hoodie.populate.meta.fields", &["true"]),
    ("hoodie.table.cdc.enabled", &["false"]),
    ("hoodie.clustering.inline", &["false"]),
    ("hoodie.clustering.async.enabled", &["false"]),
    ("hoodie.compact.inline", &["false"]),
    ("hoodie.datasource.hive_sync.enable", &["false"]),
    ("hoodie.datasource.meta.sync.enable", &["false"]),
    ("hoodie.bulkinsert.user.defined.partitioner.class", &[""]),
    ("hoodie.datasource.write.partitions.to.delete", &[""]),
    ("hoodie.payload.delete.field", &[""]),
];
/// Names of which of two records counts, and whether it is the one with the greater value.
const MERGES: &[(&str, bool)] = &[
    ("EVENT_TIME_ORDERING", true),
    ("COMMIT_TIME_ORDERING", false),
    ("DefaultHoodieRecordPayload", true),
    ("OverwriteWithLatestAvroPayload", false),
];

/// The options of one write.
pub struct WriteOptions<'a> {
    st: &'a Statement,
    given: &'a Options,
}

impl<'a> WriteOptions<'a> {
    /// Errors with an option that is not kept.
    pub fn new(st: &'a Statement, given: &'a Options) -> Result<Self> {
        let options = Self { st, given };
        for (key, harmless) in REFUSED {
            if let Some(value) = options.get(&[key])
                && !harmless.iter().any(|known| known.eq_ignore_ascii_case(value))
            {
                return Err(SparkError::unsupported(format!("writing a Hudi table with {key}={value}")));
            }
        }
        Ok(options)
    }

    /// What the first of the keys that is given says.
    fn get(&self, keys: &[&str]) -> Option<&str> {
        let given = |key: &&str| self.given.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str());
        let of_session = |key: &&str| self.st.context.eval.get(key).filter(|_| key.starts_with("hoodie."));
        keys.iter().find_map(given).or_else(|| keys.iter().find_map(of_session))
    }

    /// An option that only this write may have, not the session: what a table is.
    fn own(&self, keys: &[&str]) -> Option<&str> {
        let given = |key: &&str| self.given.iter().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, v)| v.as_str());
        keys.iter().find_map(given)
    }

    fn list(&self, keys: &[&str]) -> Option<Vec<String>> {
        let names = self.own(keys)?.split(',').map(|name| name.trim().to_string());
        Some(names.filter(|name| !name.is_empty()).collect())
    }

    fn flag(&self, keys: &[&str]) -> Option<bool> {
        self.get(keys).map(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn operation(&self) -> Result<Option<Operation>> {
        let parse = |name: &str| {
            let known = Operation::parse(name);
            known.ok_or_else(|| SparkError::unsupported(format!("the operation {name} on a Hudi table")))
        };
        self.get(OPERATION).map(parse).transpose()
    }

    pub fn codec(&self) -> String {
        self.get(CODEC).unwrap_or("snappy").to_string()
    }

    /// Whether rows to insert are first made one for each key.
    pub fn combines_inserts(&self) -> bool {
        self.flag(COMBINE).unwrap_or(false)
    }

    /// Whether writes that are not complete are removed, whoever has begun them.
    pub fn removes_failed(&self) -> bool {
        self.own(FAILED_WRITES).is_some_and(|policy| policy.eq_ignore_ascii_case("EAGER"))
    }

    fn generator(&self) -> Result<Option<KeyGenerator>> {
        let parse = |name: &str| {
            let known = KeyGenerator::parse(name);
            known.ok_or_else(|| SparkError::unsupported(format!("keys of a Hudi table made by {name}")))
        };
        self.own(GENERATOR).map(parse).transpose()
    }

    fn by_order(&self) -> Result<Option<bool>> {
        let Some(name) = self.own(MODE).or_else(|| self.own(PAYLOAD)) else { return Ok(None) };
        let short = name.rsplit('.').next().unwrap_or_default();
        match MERGES.iter().find(|(known, _)| known.eq_ignore_ascii_case(short)) {
            Some((_, by_order)) => Ok(Some(*by_order)),
            None => Err(SparkError::unsupported(format!("merging the records of a Hudi table by {name}"))),
        }
    }

    /// A new table. `partition_by`: what the statement says of it beside the options.
    pub fn definition(&self, default_name: Option<&str>, partition_by: &[String]) -> Result<HudiDefinition> {
        let name = self.own(NAME).or(default_name);
        let name = name.ok_or_else(|| illegal("'hoodie.table.name' must be set."))?.to_string();
        let record_keys = self.list(RECORD_KEY).unwrap_or_default();
        let partition_by = match self.list(PARTITION) {
            Some(names) if !names.is_empty() => names,
            _ => partition_by.to_vec(),
        };
        let usual = KeyGenerator::of(record_keys.len(), partition_by.len());
        let key_generator = self.generator()?.unwrap_or(usual);
        let fits = match key_generator {
            KeyGenerator::Simple => record_keys.len() <= 1 && partition_by.len() == 1,
            KeyGenerator::NonPartitioned => partition_by.is_empty(),
            KeyGenerator::Complex => !record_keys.is_empty() || usual == KeyGenerator::Complex,
        };
        if !fits {
            return Err(illegal(&format!("{key_generator:?} keys do not fit the record key and partition fields")));
        }
        if self.flag(URL_ENCODE) == Some(true) {
            return Err(SparkError::unsupported("encoding the partition paths of a Hudi table"));
        }
        let ordering = self.list(ORDERING).unwrap_or_default();
        if ordering.len() > 1 {
            return Err(SparkError::unsupported("several precombine fields of a Hudi table"));
        }
        let kind = self.own(TYPE).unwrap_or("COPY_ON_WRITE");
        let is_merge_on_read = match kind.to_ascii_uppercase().as_str() {
            "COPY_ON_WRITE" | "COW" => false,
            "MERGE_ON_READ" | "MOR" => true,
            _ => return Err(illegal(&format!("the table type {kind} is not known"))),
        };
        let version = match self.get(VERSION) {
            Some(text) => text.parse().map_err(|_| illegal(&format!("the table version {text} is no number")))?,
            None => NEW_VERSION,
        };
        Ok(HudiDefinition {
            name,
            database: None,
            version,
            is_merge_on_read,
            by_order: self.by_order()?.unwrap_or(!ordering.is_empty()),
            ordering: ordering.into_iter().next(),
            record_keys,
            partition_by,
            key_generator,
            hive_style: self.flag(HIVE_STYLE).unwrap_or(false),
            url_encode: false,
        })
    }

    /// Errors where the options say something else than the table that is there.
    pub fn check(&self, table: &HudiDefinition, partition_by: &[String]) -> Result<()> {
        let listed = |names: &[String]| names.join(",");
        let mut wanted = vec![
            ("RecordKey", self.list(RECORD_KEY).map(|names| listed(&names)), listed(&table.record_keys)),
            ("PreCombineKey", self.list(ORDERING).map(|n| listed(&n)), table.ordering.clone().unwrap_or_default()),
            ("PartitionPath", self.list(PARTITION).map(|names| listed(&names)), listed(&table.partition_by)),
            ("TableName", self.own(NAME).map(str::to_string), table.name.clone()),
            ("hivestylepartitioning", self.own(HIVE_STYLE).map(str::to_lowercase), table.hive_style.to_string()),
        ];
        let by_clause = (!partition_by.is_empty()).then(|| listed(partition_by));
        wanted.push(("PartitionPath", by_clause, listed(&table.partition_by)));
        let generator = self.generator()?.map(|generator| format!("{generator:?}"));
        wanted.push(("KeyGenerator", generator, format!("{:?}", table.key_generator)));
        let order = |by_order: bool| if by_order { "EVENT_TIME_ORDERING" } else { "COMMIT_TIME_ORDERING" }.to_string();
        wanted.push(("RecordMergeMode", self.by_order()?.map(order), order(table.by_order)));
        let differs = wanted.into_iter().filter_map(|(what, new, old)| Some((what, new?, old)));
        let differs: Vec<_> = differs.filter(|(_, new, old)| new != old).collect();
        if differs.is_empty() {
            return Ok(());
        }
        let lines: String = differs.iter().map(|(what, new, old)| format!("\n{what}:\t{new}\t{old}")).collect();
        Err(illegal(&format!("Config conflict(key\tcurrent value\texisting value):{lines}")))
    }
}

pub fn illegal(message: &str) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}
