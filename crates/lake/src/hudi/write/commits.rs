//! What a write says of itself in the timeline: JSON before table version 8, Avro from then on.
use std::collections::BTreeMap;

use firesteel_plan::Result;
use serde_json::{Map, Value as Json, json};

use crate::hudi::metadata::WRITER;
use crate::iceberg::avro::{Value, write_file};

const SPACE: &str = "org.apache.hudi.avro.model";

/// What is said of a log beside the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LogStat {
    pub number: u64,
    /// The logs of its slice before it
    pub earlier: Vec<String>,
}

/// A file that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FileStat {
    pub partition: String,
    pub group: String,
    pub name: String,
    /// The instant and the name of the base file that it takes the place of, or lies over
    pub before: Option<(String, String)>,
    /// `None`: a base file
    pub log: Option<LogStat>,
    pub rows: u64,
    pub inserts: u64,
    pub updates: u64,
    pub deletes: u64,
    pub bytes: u64,
}

/// What a write has done.
#[derive(Debug, Clone, Default)]
pub(super) struct CommitMetadata {
    pub operation: &'static str,
    /// The Avro schema of the records; none while the write is under way
    pub schema: Option<String>,
    /// Who writes, while the write is under way
    pub writer: Option<String>,
    pub files: Vec<FileStat>,
    /// Groups that the write has put others in place of, by partition
    pub replaced: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Long,
    Int,
}

/// Whether JSON has it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InJson {
    Yes,
    OfLogs,
    No,
}
use InJson::{No, OfLogs, Yes};

/// What is said of a file, in the order in which Hudi says it.
const STATS: [(&str, Kind, InJson); 27] = [
    ("fileId", Kind::Text, Yes),
    ("path", Kind::Text, Yes),
    ("prevCommit", Kind::Text, Yes),
    ("numWrites", Kind::Long, Yes),
    ("numDeletes", Kind::Long, Yes),
    ("numUpdateWrites", Kind::Long, Yes),
    ("totalWriteBytes", Kind::Long, Yes),
    ("totalWriteErrors", Kind::Long, Yes),
    ("partitionPath", Kind::Text, Yes),
    ("totalLogRecords", Kind::Long, Yes),
    ("totalLogFiles", Kind::Long, No),
    ("totalUpdatedRecordsCompacted", Kind::Long, Yes),
    ("numInserts", Kind::Long, Yes),
    ("totalLogBlocks", Kind::Long, Yes),
    ("totalCorruptLogBlock", Kind::Long, Yes),
    ("totalRollbackBlocks", Kind::Long, Yes),
    ("fileSizeInBytes", Kind::Long, Yes),
    ("logVersion", Kind::Int, OfLogs),
    ("logOffset", Kind::Long, OfLogs),
    ("baseFile", Kind::Text, OfLogs),
    ("logFiles", Kind::Texts, OfLogs),
    ("prevBaseFile", Kind::Text, Yes),
    ("minEventTime", Kind::Long, Yes),
    ("maxEventTime", Kind::Long, Yes),
    ("totalLogFilesCompacted", Kind::Long, Yes),
    ("totalLogReadTimeMs", Kind::Long, Yes),
    ("totalLogSizeCompacted", Kind::Long, Yes),
];
/// What is counted where logs are read.
const ZEROS: [&str; 10] = [
    "totalWriteErrors",
    "totalLogRecords",
    "totalUpdatedRecordsCompacted",
    "totalLogBlocks",
    "totalCorruptLogBlock",
    "totalRollbackBlocks",
    "totalLogFilesCompacted",
    "totalLogReadTimeMs",
    "totalLogSizeCompacted",
    "numUpdates",
];

impl FileStat {
    fn text(&self, name: &str) -> Option<String> {
        Some(match name {
            "fileId" => self.group.clone(),
            "path" if self.partition.is_empty() => self.name.clone(),
            "path" => format!("{}/{}", self.partition, self.name),
            "prevCommit" => self.before.as_ref().map_or("null", |(instant, _)| instant).into(),
            "partitionPath" => self.partition.clone(),
            "prevBaseFile" if self.log.is_none() => self.before.as_ref().map(|(_, name)| name.clone())?,
            "baseFile" if self.log.is_some() => self.before.as_ref().map(|(_, name)| name.clone())?,
            _ => return None,
        })
    }

    /// The logs of a slice, this one among them.
    fn logs(&self) -> Option<Vec<String>> {
        let log = self.log.as_ref()?;
        Some(log.earlier.iter().chain([&self.name]).cloned().collect())
    }

    fn number(&self, name: &str) -> Option<u64> {
        Some(match name {
            "numWrites" => self.rows,
            "numDeletes" => self.deletes,
            "numUpdateWrites" => self.updates,
            "numInserts" => self.inserts,
            "totalWriteBytes" | "fileSizeInBytes" => self.bytes,
            "logVersion" => self.log.as_ref()?.number,
            "logOffset" => self.log.as_ref().map(|_| 0)?,
            name if ZEROS.contains(&name) => 0,
            _ => return None,
        })
    }

    fn json(&self) -> Json {
        let mut found = Map::new();
        let is_said = |of: InJson| of == Yes || of == OfLogs && self.log.is_some();
        for (name, kind, _) in STATS.into_iter().filter(|(.., of)| is_said(*of)) {
            let value = match kind {
                Kind::Text => self.text(name).map(Json::from),
                Kind::Texts => self.logs().map(Json::from),
                Kind::Long | Kind::Int => self.number(name).map(Json::from),
            };
            found.insert(name.into(), value.unwrap_or(Json::Null));
        }
        for name in ["cdcStats", "tempPath", "runtimeStats"] {
            found.insert(name.into(), Json::Null);
        }
        found.insert("numUpdates".into(), 0.into());
        Json::Object(found)
    }

    fn avro(&self) -> Value {
        let value = |(name, kind, _): (&str, Kind, InJson)| {
            let value = match kind {
                Kind::Text => self.text(name).map(Value::Text),
                Kind::Texts => self.logs().map(|logs| Value::Array(logs.into_iter().map(Value::Text).collect())),
                Kind::Long | Kind::Int => self.number(name).map(long),
            };
            (name.to_string(), value.unwrap_or(Value::Null))
        };
        Value::Record(STATS.into_iter().map(value).chain([("numUpdates".to_string(), Value::Long(0))]).collect())
    }
}

fn long(number: u64) -> Value {
    Value::Long(i64::try_from(number).unwrap_or(i64::MAX))
}

impl CommitMetadata {
    fn by_partition(&self) -> BTreeMap<&str, Vec<&FileStat>> {
        let mut found: BTreeMap<&str, Vec<&FileStat>> = BTreeMap::new();
        for file in &self.files {
            found.entry(&file.partition).or_default().push(file);
        }
        found
    }

    fn extra(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let pairs = [("schema", &self.schema), (WRITER, &self.writer)];
        pairs.into_iter().filter_map(|(key, text)| Some((key, text.as_deref()?)))
    }

    /// As the timeline of a table of this version has it.
    pub(super) fn bytes(&self, version: u32) -> Result<Vec<u8>> {
        match version >= 8 {
            true => write_file(&self.avro_schema(), &[], &[self.avro()]),
            false => Ok(self.json().to_string().into_bytes()),
        }
    }

    fn json(&self) -> Json {
        let partitions = self.by_partition().into_iter();
        let partitions = partitions
            .map(|(partition, files)| (partition.to_string(), files.into_iter().map(FileStat::json).collect()));
        let extra: Map<String, Json> = self.extra().map(|(key, text)| (key.into(), text.into())).collect();
        let mut json = json!({
            "partitionToWriteStats": partitions.collect::<Map<_, _>>(),
            "compacted": false,
            "extraMetadata": extra,
            "operationType": self.operation,
        });
        if let Some(replaced) = &self.replaced {
            json["partitionToReplaceFileIds"] = json!(replaced);
        }
        json
    }

    fn avro(&self) -> Value {
        let files = |files: Vec<&FileStat>| Value::Array(files.into_iter().map(FileStat::avro).collect());
        let partitions = self.by_partition().into_iter().map(|(partition, of)| (partition.to_string(), files(of)));
        let extra = self.extra().map(|(key, text)| (key.to_string(), Value::text(text)));
        let mut fields = vec![
            ("partitionToWriteStats".to_string(), Value::Record(partitions.collect())),
            ("compacted".into(), Value::Boolean(false)),
            ("extraMetadata".into(), Value::Record(extra.collect())),
            ("version".into(), Value::Long(1)),
            ("operationType".into(), Value::text(self.operation)),
        ];
        if let Some(replaced) = &self.replaced {
            let groups = |groups: &Vec<String>| Value::Array(groups.iter().map(|group| Value::text(group)).collect());
            let replaced = replaced.iter().map(|(partition, of)| (partition.clone(), groups(of)));
            fields.push(("partitionToReplaceFileIds".into(), Value::Record(replaced.collect())));
        }
        Value::Record(fields)
    }

    fn avro_schema(&self) -> String {
        let stat = |(name, kind, _): (&str, Kind, InJson)| match kind {
            Kind::Text => optional(name, text()),
            Kind::Texts => optional(name, json!({"type": "array", "items": text()})),
            Kind::Long => optional(name, json!("long")),
            Kind::Int => optional(name, json!("int")),
        };
        let stats: Vec<Json> = STATS.into_iter().map(stat).chain([optional("numUpdates", json!("long"))]).collect();
        let file = json!({"type": "record", "name": "HoodieWriteStat", "fields": stats});
        let mut fields = vec![
            optional("partitionToWriteStats", map(json!({"type": "array", "items": file}))),
            optional("compacted", json!("boolean")),
            optional("extraMetadata", map(text())),
            json!({"name": "version", "type": ["int", "null"], "default": 1}),
            optional("operationType", text()),
        ];
        if self.replaced.is_some() {
            fields.push(optional("partitionToReplaceFileIds", map(json!({"type": "array", "items": text()}))));
        }
        let name = if self.replaced.is_some() { "HoodieReplaceCommitMetadata" } else { "HoodieCommitMetadata" };
        json!({"type": "record", "name": name, "namespace": SPACE, "fields": fields}).to_string()
    }
}

/// The request of a write that puts groups in place of others.
pub(super) fn replace_request(operation: &str) -> Result<Vec<u8>> {
    let fields = [optional("operationType", text())];
    let schema =
        json!({"type": "record", "name": "HoodieRequestedReplaceMetadata", "namespace": SPACE, "fields": fields});
    write_file(&schema.to_string(), &[], &[Value::record([("operationType", Value::text(operation))])])
}

fn text() -> Json {
    json!({"type": "string", "avro.java.string": "String"})
}

fn map(values: Json) -> Json {
    json!({"type": "map", "values": values, "avro.java.string": "String"})
}

fn optional(name: &str, kind: Json) -> Json {
    json!({"name": name, "type": ["null", kind], "default": null})
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::hudi::metadata;

    #[test]
    fn is_read_as_it_was_written() {
        let file = FileStat {
            partition: "p".into(),
            group: "a-0".into(),
            name: "a-0_0-0-0_7.parquet".into(),
            before: Some(("6".into(), "a-0_0-0-0_6.parquet".into())),
            rows: 3,
            ..FileStat::default()
        };
        for version in [6, 8] {
            let mut commit = CommitMetadata {
                operation: "UPSERT",
                schema: Some("{}".into()),
                files: vec![
                    file.clone(),
                    FileStat { partition: String::new(), name: "b.parquet".into(), ..file.clone() },
                ],
                ..CommitMetadata::default()
            };
            let bytes = Bytes::from(commit.bytes(version).unwrap());
            let mut names = metadata::written(&bytes).unwrap();
            names.sort();
            assert_eq!(names, ["a-0_0-0-0_7.parquet", "b.parquet"]);
            assert_eq!(metadata::schema(&bytes).unwrap().unwrap(), "{}");
            let log = LogStat { number: 3, earlier: vec![".a-0_6.log.2_0-0-0".into()] };
            let log = FileStat { name: ".a-0_6.log.3_0-0-0".into(), log: Some(log), ..file.clone() };
            let logs = CommitMetadata { files: vec![log], ..commit.clone() };
            let bytes = Bytes::from(logs.bytes(version).unwrap());
            assert_eq!(metadata::written(&bytes).unwrap(), [".a-0_6.log.3_0-0-0"]);
            commit.replaced = Some([("p".to_string(), vec!["c-0".to_string()])].into());
            let bytes = Bytes::from(commit.bytes(version).unwrap());
            assert_eq!(metadata::replaced(&bytes).unwrap(), [("p".to_string(), "c-0".to_string())]);
            // Under way: nothing is said yet.
            let none = CommitMetadata { operation: "UPSERT", writer: Some("w".into()), ..CommitMetadata::default() };
            let bytes = Bytes::from(none.bytes(version).unwrap());
            assert!(metadata::written(&bytes).unwrap().is_empty());
            assert_eq!(metadata::writer(&bytes).unwrap().unwrap(), "w");
        }
        assert!(replace_request("INSERT_OVERWRITE").unwrap().starts_with(b"Obj\x01"));
    }
}
