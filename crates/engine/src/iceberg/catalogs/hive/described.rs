//! What a table's entry in a metastore says of it, in the words of Iceberg's own writers: which metadata file is the newest,
//! and for engines of Hive columns, properties and counts.
use std::collections::BTreeMap;

use chrono::Utc;
use firesteel_catalog::hive::{HiveFields, HiveValue, storage, table};
use firesteel_lake::iceberg::{Snapshot, Swap, TableMetadata};
use firesteel_plan::{Result, SparkError};
use serde_json::Value as Json;

use super::settings::HiveSettings;

const TYPE: &str = "table_type";
const ICEBERG: &str = "ICEBERG";
const LOCATION: &str = "metadata_location";
const PREVIOUS: &str = "previous_metadata_location";
const HANDLER: &str = "storage_handler";
const ICEBERG_HANDLER: &str = "org.apache.iceberg.mr.hive.HiveIcebergStorageHandler";
const OWNER: &str = "hive.metastore.table.owner";
const HIVE_ENGINE: &str = "engine.hive.enabled";
const LOCKS: &str = "engine.hive.lock-enabled";
const ACCURATE: &str = "COLUMN_STATS_ACCURATE";
pub const NO_STATISTICS: &str = "DO_NOT_UPDATE_STATS";
/// Properties that have another name as parameters
const RENAMED: &[(&str, &str)] = &[("gc.enabled", "external.table.purge")];
/// Parameters that say what the newest snapshot has counted
const COUNTS: &[(&str, &str)] =
    &[("numFiles", "total-data-files"), ("numRows", "total-records"), ("totalSize", "total-files-size")];
/// Parameters that repeat the metadata
const REPEATED: [&str; 6] = [
    "current-snapshot-id",
    "current-snapshot-timestamp-ms",
    "current-snapshot-summary",
    "current-schema",
    "default-partition-spec",
    "default-sort-order",
];
/// Input format, output format and serde of tables that Hive itself reads, and of others
const HIVE_FORMATS: [&str; 3] = [
    "org.apache.iceberg.mr.hive.HiveIcebergInputFormat",
    "org.apache.iceberg.mr.hive.HiveIcebergOutputFormat",
    "org.apache.iceberg.mr.hive.HiveIcebergSerDe",
];
const OTHER_FORMATS: [&str; 3] = [
    "org.apache.hadoop.mapred.FileInputFormat",
    "org.apache.hadoop.mapred.FileOutputFormat",
    "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
];

type Parameters = BTreeMap<String, String>;

pub fn is_iceberg(found: &HiveFields) -> bool {
    found.map(table::PARAMETERS).get(TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG))
}

pub fn metadata_location(found: &HiveFields) -> Option<String> {
    found.map(table::PARAMETERS).remove(LOCATION)
}

/// A table's own word stands above the catalog's.
fn flag(metadata: Option<&TableMetadata>, key: &str, default: bool) -> bool {
    let said = metadata.and_then(|metadata| metadata.properties().remove(key));
    said.map_or(default, |value| value.eq_ignore_ascii_case("true"))
}

/// Whether a table is changed under the metastore's lock: what it says before the change counts.
pub fn is_locked(settings: &HiveSettings, before: Option<&TableMetadata>) -> bool {
    flag(before, LOCKS, settings.locks)
}

/// What an entry is to say.
#[derive(Debug)]
pub struct Description {
    set: Parameters,
    removed: Vec<String>,
    columns: HiveValue,
    location: String,
    formats: [&'static str; 3],
    owner: String,
}

fn parameter(property: &str) -> &str {
    RENAMED.iter().find(|(name, _)| *name == property).map_or(property, |(_, renamed)| *renamed)
}

impl Description {
    pub fn of(settings: &HiveSettings, change: &Swap<'_>) -> Result<Self> {
        let after = change.after;
        let mut properties = after.properties();
        let obsolete = change.before.map(TableMetadata::properties).unwrap_or_default();
        let obsolete = obsolete.into_keys().filter(|key| !properties.contains_key(key));
        let mut removed: Vec<String> = obsolete.map(|key| parameter(&key).to_string()).collect();
        removed.extend(REPEATED.map(str::to_string));
        let has_engine = flag(Some(after), HIVE_ENGINE, settings.hive_engine);
        let owner = properties.remove(OWNER).unwrap_or_else(|| settings.user.clone());
        let mut set: Parameters =
            properties.into_iter().map(|(key, value)| (parameter(&key).to_string(), value)).collect();
        set.insert("uuid".into(), after.uuid().into());
        set.insert(TYPE.into(), ICEBERG.into());
        set.insert(LOCATION.into(), change.new.into());
        set.extend(change.old.map(|old| (PREVIOUS.to_string(), old.to_string())));
        match has_engine {
            true => drop(set.insert(HANDLER.into(), ICEBERG_HANDLER.into())),
            false => removed.push(HANDLER.into()),
        }
        if !settings.keeps_statistics {
            removed.push(ACCURATE.into());
            set.insert(NO_STATISTICS.into(), "true".into());
        }
        let snapshot = after.current()?;
        if let Some(snapshot) = &snapshot {
            let count = |(name, key): &(&str, &str)| Some(((*name).to_string(), snapshot.summary.get(*key)?.clone()));
            set.extend(COUNTS.iter().filter_map(count));
        }
        set.insert("snapshot-count".into(), after.snapshots().len().to_string());
        set.extend(repeated(after, snapshot.as_ref(), settings.max_property));
        Ok(Self {
            set,
            removed,
            columns: columns(after)?,
            location: after.location().into(),
            formats: if has_engine { HIVE_FORMATS } else { OTHER_FORMATS },
            owner,
        })
    }

    /// A table of which the metastore has not heard yet.
    pub fn new_table(&self, database: &str, name: &str) -> HiveFields {
        let now = i32::try_from(Utc::now().timestamp()).unwrap_or(i32::MAX);
        let external = Parameters::from([("EXTERNAL".to_string(), "TRUE".to_string())]);
        let mut made = HiveFields::new()
            .with(table::NAME, name)
            .with(table::DATABASE, database)
            .with(table::OWNER, self.owner.as_str())
            .with(table::CREATED, now)
            .with(table::LAST_ACCESS, now)
            .with(table::RETENTION, i32::MAX)
            .with(table::PARTITION_KEYS, HiveValue::structs([]))
            .with(table::PARAMETERS, &external)
            .with(table::KIND, "EXTERNAL_TABLE");
        self.apply(&mut made);
        made
    }

    /// What else an entry says of its table stays.
    pub fn apply(&self, found: &mut HiveFields) {
        let mut parameters = found.map(table::PARAMETERS);
        parameters.retain(|key, _| !self.removed.contains(key));
        parameters.extend(self.set.clone());
        found.set(table::PARAMETERS, &parameters);
        let mut stored = found.fields(table::STORAGE);
        let mut serde = stored.fields(storage::SERDE);
        let [input, output, library] = self.formats;
        serde.set(storage::SERDE_LIBRARY, library);
        if serde.get(storage::SERDE_PARAMETERS).is_none() {
            serde.set(storage::SERDE_PARAMETERS, &Parameters::new());
        }
        stored.set(storage::COLUMNS, self.columns.clone());
        stored.set(storage::LOCATION, self.location.as_str());
        stored.set(storage::INPUT_FORMAT, input);
        stored.set(storage::OUTPUT_FORMAT, output);
        stored.set(storage::SERDE, serde);
        found.set(table::STORAGE, stored);
    }
}

/// Parts of the metadata that are no longer than a parameter may be.
fn repeated(metadata: &TableMetadata, snapshot: Option<&Snapshot>, longest: usize) -> Vec<(String, String)> {
    if longest == 0 {
        return vec![];
    }
    let summary = snapshot.map(|snapshot| {
        let pairs = snapshot.summary.iter().filter(|(key, _)| *key != "operation");
        let pairs: serde_json::Map<_, _> = pairs.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
        Json::Object(pairs).to_string()
    });
    let has_fields = |json: &&Json| json.get("fields").and_then(Json::as_array).is_some_and(|all| !all.is_empty());
    let values = [
        snapshot.map(|snapshot| snapshot.id.to_string()),
        snapshot.map(|snapshot| snapshot.timestamp_ms.to_string()),
        summary,
        metadata.schema_json().map(Json::to_string),
        metadata.spec_json().filter(has_fields).map(Json::to_string),
        metadata.sort_order_json().filter(has_fields).map(Json::to_string),
    ];
    let short = |(key, value): (&str, Option<String>)| Some((key.to_string(), value?));
    REPEATED.into_iter().zip(values).filter_map(short).filter(|(_, value)| value.len() <= longest).collect()
}

/// The columns in Hive's words.
fn columns(metadata: &TableMetadata) -> Result<HiveValue> {
    let fields = metadata.schema_json().and_then(|schema| schema.get("fields")).and_then(Json::as_array);
    let column = |field: &Json| {
        let text = |key: &str| field.get(key).and_then(Json::as_str);
        let kind = hive_type(field.get("type").unwrap_or(&Json::Null))?;
        let mut column = HiveFields::new().with(1, text("name").unwrap_or_default()).with(2, kind);
        if let Some(comment) = text("doc") {
            column.set(3, comment);
        }
        Ok::<_, SparkError>(column)
    };
    Ok(HiveValue::structs(fields.into_iter().flatten().map(column).collect::<Result<Vec<_>>>()?))
}

/// Hive's name of a type, as it was before Hive 3, which is what Spark writes.
fn hive_type(json: &Json) -> Result<String> {
    let unknown = || SparkError::unsupported(format!("columns of type {json} in a Hive metastore"));
    if let Some(name) = json.as_str() {
        return Ok(match name {
            "int" | "boolean" | "float" | "double" | "date" | "binary" | "string" => name.to_string(),
            "long" => "bigint".into(),
            "time" | "uuid" => "string".into(),
            "timestamp" | "timestamptz" => "timestamp".into(),
            decimal if decimal.starts_with("decimal(") => decimal.replace(' ', ""),
            fixed if fixed.starts_with("fixed[") => "binary".into(),
            _ => return Err(unknown()),
        });
    }
    let part = |key: &str| hive_type(json.get(key).unwrap_or(&Json::Null));
    match json.get("type").and_then(Json::as_str) {
        Some("list") => Ok(format!("array<{}>", part("element")?)),
        Some("map") => Ok(format!("map<{},{}>", part("key")?, part("value")?)),
        Some("struct") => {
            let fields = json.get("fields").and_then(Json::as_array).into_iter().flatten();
            let field = |field: &Json| {
                let name = field.get("name").and_then(Json::as_str).unwrap_or_default();
                Ok(format!("{name}:{}", hive_type(field.get("type").unwrap_or(&Json::Null))?))
            };
            Ok(format!("struct<{}>", fields.map(field).collect::<Result<Vec<_>>>()?.join(",")))
        }
        _ => Err(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Properties, Settings};
    use super::*;

    fn settings(more: &[(&str, &str)]) -> HiveSettings {
        let own = [("uri", "thrift://a")].iter().chain(more);
        let own = own.map(|(key, value)| (key.to_string(), value.to_string())).collect();
        HiveSettings::of(&Settings { name: "h".into(), properties: own }, &Properties::new(), "us").unwrap()
    }

    fn metadata(properties: Json) -> TableMetadata {
        TableMetadata::of_json(json!({
            "format-version": 2, "table-uuid": "u", "location": "/t", "current-schema-id": 1, "default-spec-id": 0,
            "schemas": [{"schema-id": 0, "fields": []}, {"schema-id": 1, "type": "struct", "fields": [
                {"id": 1, "name": "id", "required": true, "type": "long", "doc": "which"},
                {"id": 2, "name": "s", "required": false, "type": {"type": "struct", "fields": [
                    {"id": 3, "name": "l", "type": {"type": "list", "element": "timestamptz"}},
                    {"id": 4, "name": "m", "type": {"type": "map", "key": "string", "value": "decimal(5, 2)"}}]}},
            ]}],
            "partition-specs": [{"spec-id": 0, "fields": []}], "properties": properties, "current-snapshot-id": 7,
            "snapshots": [{"snapshot-id": 7, "timestamp-ms": 9, "summary": {"operation": "append", "total-records": "3"}}],
        }))
        .unwrap()
    }

    fn swap<'a>(before: Option<&'a TableMetadata>, after: &'a TableMetadata) -> Swap<'a> {
        Swap { old: before.map(|_| "m0"), new: "m1", before, after }
    }

    #[test]
    fn a_new_table() {
        let after = metadata(json!({"k": "v", "gc.enabled": "false", OWNER: "them"}));
        let made = Description::of(&settings(&[]), &swap(None, &after)).unwrap().new_table("db", "t");
        assert!(is_iceberg(&made) && metadata_location(&made).as_deref() == Some("m1"));
        let parameters = made.map(table::PARAMETERS);
        let wanted = [
            ("EXTERNAL", "TRUE"),
            ("k", "v"),
            ("external.table.purge", "false"),
            ("uuid", "u"),
            ("numRows", "3"),
            ("current-snapshot-id", "7"),
            ("current-snapshot-summary", r#"{"total-records":"3"}"#),
            ("snapshot-count", "1"),
        ];
        assert!(wanted.iter().all(|(key, value)| parameters.get(*key).map(String::as_str) == Some(*value)));
        assert!(!parameters.contains_key(OWNER) && !parameters.contains_key(PREVIOUS));
        assert!(!parameters.contains_key("default-partition-spec") && !parameters.contains_key(HANDLER));
        assert_eq!((made.text(table::OWNER), made.text(table::KIND)), (Some("them"), Some("EXTERNAL_TABLE")));
        let columns = made.fields(table::STORAGE).remove(storage::COLUMNS).unwrap().into_list();
        let columns: Vec<HiveFields> = columns.into_iter().filter_map(HiveValue::into_fields).collect();
        assert_eq!((columns[0].text(2), columns[0].text(3)), (Some("bigint"), Some("which")));
        assert_eq!(columns[1].text(2), Some("struct<l:array<timestamp>,m:map<string,decimal(5,2)>>"));
    }

    #[test]
    fn what_others_have_put_there_stays() {
        let (before, after) = (metadata(json!({"a": "1", "gc.enabled": "true"})), metadata(json!({"b": "2"})));
        let mut found = Description::of(&settings(&[]), &swap(None, &before)).unwrap().new_table("db", "t");
        let mut parameters = found.map(table::PARAMETERS);
        parameters.extend([("theirs", "x"), (ACCURATE, "{}"), (HANDLER, "h")].map(|(k, v)| (k.into(), v.into())));
        found.set(table::PARAMETERS, &parameters);
        found.set(77, "new");
        found.set(table::OWNER, "somebody");
        let stored = found.fields(table::STORAGE).with(88, 5);
        found.set(table::STORAGE, stored);
        let has_engine = settings(&[("hadoop.iceberg.engine.hive.enabled", "true")]);
        Description::of(&has_engine, &swap(Some(&before), &after)).unwrap().apply(&mut found);
        let parameters = found.map(table::PARAMETERS);
        let get = |key: &str| parameters.get(key).map(String::as_str);
        assert_eq!((get("theirs"), get("a"), get("b"), get(PREVIOUS)), (Some("x"), None, Some("2"), Some("m0")));
        assert_eq!((get(ACCURATE), get(HANDLER), get("external.table.purge")), (None, Some(ICEBERG_HANDLER), None));
        assert_eq!((found.text(77), found.text(table::OWNER)), (Some("new"), Some("somebody")));
        let stored = found.fields(table::STORAGE);
        assert_eq!((stored.long(88), stored.text(storage::INPUT_FORMAT)), (Some(5), Some(HIVE_FORMATS[0])));
    }

    #[test]
    fn long_parameters_are_left_out() {
        let after = metadata(json!({}));
        let of = |size: &str| {
            let settings = settings(&[("hadoop.iceberg.hive.table-property-max-size", size)]);
            let made = Description::of(&settings, &swap(None, &after)).unwrap().new_table("db", "t");
            made.map(table::PARAMETERS).into_keys().filter(|key| REPEATED.contains(&key.as_str())).count()
        };
        assert_eq!((of("0"), of("10"), of("32672")), (0, 2, 4));
    }

    #[test]
    fn locks_are_the_tables_own_matter() {
        let table = metadata(json!({LOCKS: "false"}));
        assert!(is_locked(&settings(&[]), None) && !is_locked(&settings(&[]), Some(&table)));
        assert!(!is_locked(&settings(&[("hadoop.iceberg.engine.hive.lock-enabled", "false")]), None));
    }
}
