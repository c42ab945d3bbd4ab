//! The protocol action: which readers and writers a table needs.
use std::collections::{BTreeMap, BTreeSet};

use deltalake_core::kernel::{Action, Protocol};
use firesteel_plan::{DataType, Result, SparkError};
use serde::{Deserialize, Serialize};

use super::features::{READER_FEATURES, supported};
use super::metadata::TableMetadata;

/// Versions and features. Features are listed from reader version 3 and writer version 7 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableProtocol {
    pub min_reader_version: i32,
    pub min_writer_version: i32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reader_features: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub writer_features: Option<BTreeSet<String>>,
}

/// The writer version that brings a feature of the time before features had names.
const LEGACY_WRITER_FEATURES: &[(&str, i32)] = &[
    ("appendOnly", 2),
    ("invariants", 2),
    ("checkConstraints", 3),
    ("changeDataFeed", 4),
    ("generatedColumns", 4),
    ("columnMapping", 5),
    ("identityColumns", 6),
];

/// The highest versions: from there on, features have names.
const NAMED: (i32, i32) = (3, 7);

/// Properties that ask for a protocol; they are not kept as properties.
const VERSION_KEYS: [&str; 2] = ["delta.minReaderVersion", "delta.minWriterVersion"];

/// The prefix of properties that ask for a feature by its name; they are not kept as properties either.
const FEATURE_PREFIX: &str = "delta.feature.";

/// What a table's protocol has to have at least.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AskedProtocol {
    pub reader: Option<i32>,
    pub writer: Option<i32>,
    pub features: BTreeSet<String>,
}

impl AskedProtocol {
    /// One feature, in any case of letters; an error where it is not supported.
    pub fn of_feature(name: &str) -> Result<Self> {
        Ok(Self { features: BTreeSet::from([supported(name)?.to_string()]), ..Self::default() })
    }

    /// Takes it out of a table's properties.
    pub fn take(configuration: &mut BTreeMap<String, String>) -> Result<Self> {
        let mut take = |key: &str, highest: i32| {
            let Some(text) = configuration.remove(key) else { return Ok(None) };
            match text.trim().parse() {
                Ok(version) if (1..=highest).contains(&version) => Ok(Some(version)),
                _ => Err(SparkError::of("DELTA_INVALID_PROTOCOL_VERSION")
                    .with_message(format!("{key} has to be a version from 1 to {highest}, and is {text:?}."))),
            }
        };
        let (reader, writer) = (take(VERSION_KEYS[0], NAMED.0)?, take(VERSION_KEYS[1], NAMED.1)?);
        let asks = |key: &String| key.to_lowercase().starts_with(FEATURE_PREFIX);
        let keys: Vec<String> = configuration.keys().filter(|key| asks(key)).cloned().collect();
        let mut features = BTreeSet::new();
        for key in keys {
            let value = configuration.remove(&key).unwrap_or_default();
            if !matches!(value.as_str(), "supported" | "enabled") {
                return Err(SparkError::of("DELTA_UNSUPPORTED_FEATURE_STATUS").with_message(format!(
                    "The property {key} is either \"supported\" or \"enabled\", and was {value:?}."
                )));
            }
            features.insert(supported(&key[FEATURE_PREFIX.len()..])?.to_string());
        }
        Ok(Self { reader, writer, features })
    }

    /// Whether there are such versions.
    pub fn is_known(&self) -> bool {
        self.reader.is_none_or(|version| (1..=NAMED.0).contains(&version))
            && self.writer.is_none_or(|version| (1..=NAMED.1).contains(&version))
    }

    pub fn is_met_by(&self, protocol: &TableProtocol) -> bool {
        let has = protocol.writer_feature_names();
        self.reader.is_none_or(|version| version <= protocol.min_reader_version)
            && self.writer.is_none_or(|version| version <= protocol.min_writer_version)
            && self.features.iter().all(|feature| has.contains(feature))
    }
}

impl TableProtocol {
    pub(super) fn of_action(protocol: &Protocol) -> Result<Self> {
        serde_json::to_value(protocol).and_then(serde_json::from_value).map_err(broken)
    }

    pub(super) fn to_action(&self) -> Result<Action> {
        let protocol: Protocol = serde_json::to_value(self).and_then(serde_json::from_value).map_err(broken)?;
        Ok(Action::Protocol(protocol))
    }

    /// The lowest protocol for a table with that metadata, never below the one it has.
    pub fn for_metadata(metadata: &TableMetadata, current: Option<&Self>) -> Self {
        let mut protocol = current.cloned().unwrap_or(Self {
            min_reader_version: 1,
            min_writer_version: 2,
            reader_features: None,
            writer_features: None,
        });
        if metadata.constraints().next().is_some() {
            protocol.require("checkConstraints");
        }
        if metadata.flag("delta.enableChangeDataFeed") {
            protocol.require("changeDataFeed");
        }
        if metadata.is_mapped() {
            protocol.require("columnMapping");
            match &mut protocol.reader_features {
                Some(features) => {
                    features.insert("columnMapping".to_string());
                }
                None => protocol.min_reader_version = protocol.min_reader_version.max(2),
            }
        }
        if metadata.flag("delta.appendOnly") {
            protocol.require("appendOnly");
        }
        if metadata.schema.fields.iter().any(|f| f.metadata.contains_key(super::features::GENERATION_KEY)) {
            protocol.require("generatedColumns");
        }
        if metadata.flag("delta.enableDeletionVectors") {
            protocol.require_named("deletionVectors", true);
        }
        if metadata.schema.fields.iter().any(|f| contains(&f.data_type, &|t| matches!(t, DataType::TimestampNtz))) {
            protocol.require_named("timestampNtz", true);
        }
        if metadata.schema.fields.iter().any(|f| contains(&f.data_type, &|t| matches!(t, DataType::Variant))) {
            protocol.require_named("variantType", true);
        }
        protocol
    }

    /// A feature that a writer version brings.
    fn require(&mut self, feature: &str) {
        let Some((_, version)) = LEGACY_WRITER_FEATURES.iter().find(|(name, _)| *name == feature) else { return };
        match &mut self.writer_features {
            Some(features) => {
                features.insert(feature.to_string());
            }
            None => self.min_writer_version = self.min_writer_version.max(*version),
        }
    }

    /// A feature that only a name brings.
    fn require_named(&mut self, feature: &str, also_reader: bool) {
        self.name_writer_features().insert(feature.to_string());
        if also_reader {
            self.name_reader_features().insert(feature.to_string());
        }
    }

    /// The features of writers by name; those that the version brought are named first.
    fn name_writer_features(&mut self) -> &mut BTreeSet<String> {
        let named = self.writer_features.take().unwrap_or_else(|| self.writer_feature_names().into_iter().collect());
        self.min_writer_version = NAMED.1;
        self.writer_features.insert(named)
    }

    fn name_reader_features(&mut self) -> &mut BTreeSet<String> {
        let brought = (self.min_reader_version == 2).then(|| "columnMapping".to_string());
        let named = self.reader_features.take().unwrap_or_else(|| brought.into_iter().collect());
        self.min_reader_version = NAMED.0;
        self.reader_features.insert(named)
    }

    /// Raises the versions, which never sink, and adds features.
    pub fn raise(&mut self, asked: &AskedProtocol) {
        for feature in &asked.features {
            self.require_named(feature, READER_FEATURES.contains(&feature.as_str()));
        }
        if asked.writer == Some(NAMED.1) || asked.reader == Some(NAMED.0) {
            self.name_writer_features();
        }
        if asked.reader == Some(NAMED.0) {
            self.name_reader_features();
        }
        self.min_reader_version = self.min_reader_version.max(asked.reader.unwrap_or_default());
        self.min_writer_version = self.min_writer_version.max(asked.writer.unwrap_or_default());
        // Mapped columns are the reader's business in version 2, and writers of version 5 know of them.
        if self.min_reader_version == 2 && self.writer_features.is_none() {
            self.min_writer_version = self.min_writer_version.max(5);
        }
    }

    /// What a writer has to know: named features, or those that the version brings.
    pub fn writer_feature_names(&self) -> Vec<String> {
        match &self.writer_features {
            Some(features) => features.iter().cloned().collect(),
            None => {
                let brought = LEGACY_WRITER_FEATURES.iter().filter(|(_, version)| *version <= self.min_writer_version);
                brought.map(|(name, _)| (*name).to_string()).collect()
            }
        }
    }
}

fn contains(data_type: &DataType, test: &dyn Fn(&DataType) -> bool) -> bool {
    test(data_type)
        || match data_type {
            DataType::Array(element, _) => contains(element, test),
            DataType::Map(key, value, _) => contains(key, test) || contains(value, test),
            DataType::Struct(fields) => fields.fields.iter().any(|field| contains(&field.data_type, test)),
            _ => false,
        }
}

fn broken(error: serde_json::Error) -> SparkError {
    SparkError::internal(format!("protocol of a Delta table: {error}"))
}
