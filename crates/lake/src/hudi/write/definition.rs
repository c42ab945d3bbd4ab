//! What a table is, as `hoodie.properties` says it and writers must follow it.
use std::collections::BTreeMap;

use firesteel_plan::{Result, SparkError};

/// The versions of tables that are written, and that of new ones.
const WRITTEN: [u32; 2] = [6, 8];
pub const NEW_VERSION: u32 = 8;

pub(in crate::hudi) const METADATA_PARTITIONS: &str = "hoodie.table.metadata.partitions";
pub(in crate::hudi) const CREATE_SCHEMA: &str = "hoodie.table.create.schema";
const MODEL: &str = "org.apache.hudi.common.model";
const ORDERINGS: [(bool, &str, &str, &str); 2] = [
    (true, "EVENT_TIME_ORDERING", "DefaultHoodieRecordPayload", "eeb8d96f-b1e4-49fd-bbf8-28ac514178e5"),
    (false, "COMMIT_TIME_ORDERING", "OverwriteWithLatestAvroPayload", "ce9acb64-bde0-424c-9b91-f6ebba25356d"),
];
/// Properties that a table may have, and the only value with which it is written.
const REFUSED: [(&str, &str); 4] = [
    ("hoodie.populate.meta.fields", "true"),
    ("hoodie.table.cdc.enabled", "false"),
    ("hoodie.table.multiple.base.file.formats.enable", "false"),
    ("hoodie.partition.metafile.use.base.format", "false"),
];

/// How keys and partitions of records are made of their columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyGenerator {
    /// One column each
    Simple,
    /// Several columns
    Complex,
    NonPartitioned,
}

/// Names that Hudi has for them: in the properties, and of the classes.
const GENERATORS: [(KeyGenerator, &str, &str); 3] = [
    (KeyGenerator::Simple, "SIMPLE", "SimpleKeyGenerator"),
    (KeyGenerator::Complex, "COMPLEX", "ComplexKeyGenerator"),
    (KeyGenerator::NonPartitioned, "NON_PARTITION", "NonpartitionedKeyGenerator"),
];

impl KeyGenerator {
    /// The generator that a name or class means; `None`: none that is known here.
    pub fn parse(name: &str) -> Option<Self> {
        let short = name.rsplit('.').next().unwrap_or_default().replace("AvroKeyGenerator", "KeyGenerator");
        let found = |(_, kind, class): &&(Self, &str, &str)| {
            short.eq_ignore_ascii_case(class) || name.trim_end_matches("_AVRO").eq_ignore_ascii_case(kind)
        };
        GENERATORS.iter().find(found).map(|(generator, ..)| *generator)
    }

    /// That for so many columns of keys and partitions.
    pub fn of(keys: usize, partitions: usize) -> Self {
        match (keys, partitions) {
            (_, 0) => Self::NonPartitioned,
            (0 | 1, 1) => Self::Simple,
            _ => Self::Complex,
        }
    }

    fn name(self) -> &'static str {
        GENERATORS.iter().find(|(generator, ..)| *generator == self).map_or("", |(_, name, _)| name)
    }
}

/// What a table is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HudiDefinition {
    pub name: String,
    pub database: Option<String>,
    pub version: u32,
    pub is_merge_on_read: bool,
    /// Columns of the record key; none: keys are made up
    pub record_keys: Vec<String>,
    pub partition_by: Vec<String>,
    pub key_generator: KeyGenerator,
    /// The column that says which of two records of a key is later
    pub ordering: Option<String>,
    /// Whether the record with the greater value in that column counts; otherwise the one that was written last
    pub by_order: bool,
    /// Whether directories have the names of columns
    pub hive_style: bool,
    pub url_encode: bool,
}

impl HudiDefinition {
    /// Errors with what the table has that is not written here.
    pub(in crate::hudi) fn of(properties: &BTreeMap<String, String>, by_order: bool) -> Result<Self> {
        let get = |key: &str| properties.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let is_set = |key: &str| get(key).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let refused = |what: String| Err(SparkError::unsupported(format!("writing a Hudi table {what}")));
        let version = get("hoodie.table.version").and_then(|version| version.parse().ok()).unwrap_or(0);
        if !WRITTEN.contains(&version) {
            return refused(format!("of version {version}"));
        }
        for (key, value) in REFUSED {
            if get(key).is_some_and(|found| !found.eq_ignore_ascii_case(value)) {
                return refused(format!("with {key}={}", get(key).unwrap_or_default()));
            }
        }
        let list = |key: &str| -> Vec<String> {
            get(key).into_iter().flat_map(|names| names.split(',')).map(|name| name.trim().to_string()).collect()
        };
        let (record_keys, partition_by) =
            (list("hoodie.table.recordkey.fields"), list("hoodie.table.partition.fields"));
        let named = get("hoodie.table.keygenerator.type").or(get("hoodie.table.keygenerator.class"));
        let key_generator = match named {
            Some(name) if name.ends_with("SqlKeyGenerator") || name.eq_ignore_ascii_case("SPARK_SQL") => {
                KeyGenerator::of(record_keys.len(), partition_by.len())
            }
            Some(name) => match KeyGenerator::parse(name) {
                Some(known) => known,
                None => return refused(format!("whose keys are made by {name}")),
            },
            None => KeyGenerator::of(record_keys.len(), partition_by.len()),
        };
        Ok(Self {
            name: get("hoodie.table.name").unwrap_or_default().into(),
            database: get("hoodie.database.name").map(str::to_string),
            version,
            is_merge_on_read: get("hoodie.table.type").is_some_and(|kind| kind.eq_ignore_ascii_case("MERGE_ON_READ")),
            record_keys,
            partition_by,
            key_generator,
            ordering: get("hoodie.table.precombine.field").map(str::to_string),
            by_order,
            hive_style: is_set("hoodie.datasource.write.hive_style_partitioning"),
            url_encode: is_set("hoodie.datasource.write.partitionpath.urlencode"),
        })
    }

    /// The properties of a new table whose records have the Avro schema `schema`.
    pub(super) fn properties(&self, schema: &str) -> Result<BTreeMap<String, String>> {
        if !WRITTEN.contains(&self.version) {
            return Err(SparkError::unsupported(format!("writing a Hudi table of version {}", self.version)));
        }
        let is_new = self.version >= 8;
        let (_, mode, payload, strategy) =
            ORDERINGS.into_iter().find(|(by_order, ..)| *by_order == self.by_order).unwrap_or(ORDERINGS[0]);
        let kind = if self.is_merge_on_read { "MERGE_ON_READ" } else { "COPY_ON_WRITE" };
        let sum_of = format!("{}.{}", self.database.as_deref().unwrap_or_default(), self.name);
        let mut sum = flate2::Crc::new();
        sum.update(sum_of.as_bytes());
        let payload = format!("{MODEL}.{payload}");
        let mut pairs = vec![
            ("hoodie.table.name", self.name.clone()),
            ("hoodie.table.type", kind.into()),
            ("hoodie.table.version", self.version.to_string()),
            ("hoodie.timeline.layout.version", if is_new { "2" } else { "1" }.into()),
            ("hoodie.timeline.path", "timeline".into()),
            ("hoodie.timeline.history.path", "history".into()),
            ("hoodie.archivelog.folder", if is_new { "history" } else { "archived" }.into()),
            ("hoodie.table.timeline.timezone", "UTC".into()),
            ("hoodie.table.base.file.format", "PARQUET".into()),
            ("hoodie.table.checksum", sum.sum().to_string()),
            ("hoodie.table.cdc.enabled", "false".into()),
            ("hoodie.table.keygenerator.type", self.key_generator.name().into()),
            ("hoodie.compaction.payload.class", payload),
            ("hoodie.record.merge.strategy.id", strategy.into()),
            ("hoodie.populate.meta.fields", "true".into()),
            ("hoodie.partition.metafile.use.base.format", "false".into()),
            ("hoodie.datasource.write.drop.partition.columns", "false".into()),
            ("hoodie.datasource.write.hive_style_partitioning", self.hive_style.to_string()),
            ("hoodie.datasource.write.partitionpath.urlencode", self.url_encode.to_string()),
            (CREATE_SCHEMA, schema.into()),
        ];
        if is_new {
            pairs.extend([
                ("hoodie.record.merge.mode", mode.to_string()),
                ("hoodie.table.initial.version", self.version.to_string()),
                ("hoodie.table.multiple.base.file.formats.enable", "false".into()),
            ]);
        }
        pairs.extend(self.database.clone().map(|name| ("hoodie.database.name", name)));
        pairs.extend(self.ordering.clone().map(|name| ("hoodie.table.precombine.field", name)));
        let lists = [
            ("hoodie.table.recordkey.fields", &self.record_keys),
            ("hoodie.table.partition.fields", &self.partition_by),
        ];
        pairs.extend(
            lists.into_iter().filter(|(_, names)| !names.is_empty()).map(|(key, names)| (key, names.join(","))),
        );
        Ok(pairs.into_iter().map(|(key, value)| (key.to_string(), value)).collect())
    }
}

/// The text of a properties file.
pub(super) fn text_of(properties: &BTreeMap<String, String>) -> String {
    let now = chrono::Utc::now();
    let mut text =
        format!("#Updated at {}\n#{}\n", now.format("%Y-%m-%dT%H:%M:%S%.6fZ"), now.format("%a %b %d %T UTC %Y"));
    for (key, value) in properties {
        text.push_str(&escaped(key));
        text.push('=');
        text.push_str(&escaped(value));
        text.push('\n');
    }
    text
}

/// A text as Java's properties have it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (place, c) in text.chars().enumerate() {
        match c {
            ' ' if place == 0 => out.push_str("\\ "),
            '\\' | ':' | '=' | '#' | '!' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii() && !c.is_ascii_control() => out.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04X}"));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(version: u32) -> HudiDefinition {
        HudiDefinition {
            name: "t".into(),
            database: None,
            version,
            is_merge_on_read: false,
            record_keys: vec!["id".into()],
            partition_by: vec!["part".into()],
            key_generator: KeyGenerator::Simple,
            ordering: Some("ts".into()),
            by_order: true,
            hive_style: true,
            url_encode: false,
        }
    }

    #[test]
    fn properties_say_what_a_table_is() {
        for version in [6, 8] {
            let properties = definition(version).properties("{\"a\": \"b\"}").unwrap();
            assert_eq!(properties["hoodie.table.checksum"], "498511606");
            assert_eq!(HudiDefinition::of(&properties, true).unwrap(), definition(version));
            let text = text_of(&properties);
            assert!(text.contains("\nhoodie.table.create.schema={\"a\"\\: \"b\"}\n"), "{text}");
            let read = crate::hudi::properties::lines(&text);
            assert_eq!(read, properties);
        }
        assert!(definition(7).properties("").is_err());
    }

    #[test]
    fn generators() {
        assert_eq!(KeyGenerator::parse("org.apache.hudi.keygen.ComplexAvroKeyGenerator"), Some(KeyGenerator::Complex));
        assert_eq!(KeyGenerator::parse("NON_PARTITION"), Some(KeyGenerator::NonPartitioned));
        assert_eq!(KeyGenerator::parse("TIMESTAMP"), None);
        assert_eq!(KeyGenerator::of(2, 1), KeyGenerator::Complex);
        let mut properties = definition(8).properties("").unwrap();
        properties.insert("hoodie.table.cdc.enabled".into(), "true".into());
        assert!(HudiDefinition::of(&properties, true).unwrap_err().to_string().contains("cdc"));
    }
}
