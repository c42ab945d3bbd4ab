//! The protocol action: which readers and writers a table needs.
use std::collections::BTreeSet;

use deltalake_core::kernel::{Action, Protocol};
use firesteel_plan::{DataType, Result, SparkError};
use serde::{Deserialize, Serialize};

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
        if self.writer_features.is_none() {
            let brought = LEGACY_WRITER_FEATURES.iter().filter(|(_, version)| *version <= self.min_writer_version);
            self.writer_features = Some(brought.map(|(name, _)| (*name).to_string()).collect());
            self.min_writer_version = 7;
        }
        self.writer_features.get_or_insert_default().insert(feature.to_string());
        if also_reader {
            if self.reader_features.is_none() && self.min_reader_version == 2 {
                self.reader_features = Some(BTreeSet::from(["columnMapping".to_string()]));
            }
            self.min_reader_version = 3;
            self.reader_features.get_or_insert_default().insert(feature.to_string());
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
