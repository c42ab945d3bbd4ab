//! Which data a request is about.
use std::collections::BTreeMap;

use firesteel_plan::relation::TimeTravel;
use firesteel_plan::{Expr, Literal, Relation, RelationKind, TableName, parse_multipart_identifier};
use firesteel_storage::Location;

use crate::credentials::refuse_settings;
use crate::document::document;
use crate::problem::{Problem, origin_of_field};

pub const DEFAULT_FORMAT: &str = "parquet";
const PATHS_MAX: usize = 10_000;

/// Formats of tables with a past, and the reader's options for a version and for a timestamp of it.
const TRAVEL: [(&str, Option<&str>, Option<&str>); 3] = [
    ("delta", Some("versionAsOf"), Some("timestampAsOf")),
    ("iceberg", Some("versionAsOf"), Some("timestampAsOf")),
    ("hudi", None, Some("as.of.instant")),
];

document! {
    /// The data: paths, or a table of the catalog
    pub struct DatasetFields {
        /// A file, a folder or a glob: /data/x, s3://bucket/key
        path: Option<String> => {"minLength": 1},
        paths: Option<Vec<String>> => {"minItems": 1, "maxItems": 10000},
        /// A name of the catalog: db.table
        table: Option<String> => {"minLength": 1},
        format: Option<String> => {"enum": ["parquet", "delta", "iceberg", "hudi", "orc", "csv", "json", "avro", "text", null]},
        /// Options of the reader; settings of a store are credentials
        options: Option<BTreeMap<String, String>>,
        /// DDL text, for formats without a schema
        schema: Option<String>,
        /// Of a Delta table; of an Iceberg table a snapshot
        version: Option<i64> => {"minimum": 0},
        /// Of a Delta, Iceberg or Hudi table
        timestamp: Option<String>,
    }
}

impl DatasetFields {
    /// All that is wrong with the fields by themselves.
    pub fn check(&self) -> Result<(), Problem> {
        let given = [self.path.is_some(), self.paths.is_some(), self.table.is_some()];
        if given.iter().filter(|is_given| **is_given).count() != 1 {
            return Err(Problem::invalid("path", "One of path, paths and table says which data is meant."));
        }
        for (field, path) in self.named_paths() {
            check_path(path, &field)?;
        }
        if self.named_paths().len() > PATHS_MAX {
            return Err(Problem::invalid("paths", format!("There are at most {PATHS_MAX} paths.")));
        }
        refuse_settings(self.options.iter().flat_map(BTreeMap::keys), "options")?;
        if self.version.is_some() && self.timestamp.is_some() {
            return Err(Problem::invalid("timestamp", "It is either a version or a timestamp."));
        }
        if self.table.is_none() {
            self.travel_options()?;
        }
        if self.table.is_some() {
            let unfit = [("format", self.format.is_some()), ("schema", self.schema.is_some())];
            if let Some((field, _)) = unfit.iter().find(|(_, is_given)| *is_given) {
                return Err(Problem::invalid(*field, format!("The catalog knows the {field} of a table.")));
            }
        }
        Ok(())
    }

    pub fn named_paths(&self) -> Vec<(String, &str)> {
        let many = self.paths.iter().flatten().enumerate().map(|(i, path)| (format!("paths[{i}]"), path.as_str()));
        self.path.iter().map(|path| ("path".to_string(), path.as_str())).chain(many).collect()
    }

    pub fn format(&self) -> &str {
        self.format.as_deref().unwrap_or(DEFAULT_FORMAT)
    }

    pub fn is_delta(&self) -> bool {
        self.format() == "delta" && self.table.is_none()
    }

    /// The options that name a version of the files of a path.
    fn travel_options(&self) -> Result<Vec<(String, String)>, Problem> {
        let keys = TRAVEL.iter().find(|(format, ..)| *format == self.format());
        let (by_version, by_timestamp) = keys.map_or((None, None), |(_, version, timestamp)| (*version, *timestamp));
        let version = self.version.map(|version| version.to_string());
        let asked = [("version", by_version, version), ("timestamp", by_timestamp, self.timestamp.clone())];
        let asked = asked.into_iter().filter_map(|(field, key, value)| Some((field, key, value?)));
        asked
            .map(|(field, key, value)| match key {
                Some(key) => Ok((key.to_string(), value)),
                None => {
                    Err(Problem::invalid(field, format!("The format {} has no {field}s to ask for.", self.format())))
                }
            })
            .collect()
    }

    /// The data as a relation, at the version that is asked for.
    pub fn relation(&self) -> Result<Relation, Problem> {
        self.check()?;
        if let Some(name) = &self.table {
            return self.table_relation(name);
        }
        let mut options = self.options.clone().unwrap_or_default();
        options.extend(self.travel_options()?);
        let relation = Relation::new(RelationKind::DataSource {
            format: Some(self.format().to_string()),
            schema: self.schema.clone(),
            options,
            paths: self.named_paths().into_iter().map(|(_, path)| path.to_string()).collect(),
            predicates: vec![],
            is_streaming: false,
        });
        Ok(relation.with_origin(Some(origin_of_field(if self.path.is_some() { "path" } else { "paths" }))))
    }

    fn table_relation(&self, name: &str) -> Result<Relation, Problem> {
        let parts = parse_multipart_identifier(name).map_err(|error| Problem::from(error).at("table"))?;
        let version = self.version.map(|version| TimeTravel::Version(Expr::literal(Literal::Long(version))));
        let timestamp = self.timestamp.as_ref().map(|text| TimeTravel::Timestamp(Expr::string(text)));
        let relation = Relation::new(RelationKind::NamedTable {
            name: TableName::Parts(parts),
            options: self.options.clone().unwrap_or_default(),
            time_travel: version.or(timestamp),
            is_streaming: false,
        });
        Ok(relation.with_origin(Some(origin_of_field("table"))))
    }
}

/// A path must say where it is whatever the server's directory.
pub fn check_path(path: &str, field: &str) -> Result<(), Problem> {
    if !Location::is_absolute(path) {
        return Err(Problem::invalid(field, "A path is absolute: /data/x, s3://bucket/key."));
    }
    if path.contains('\0') {
        return Err(Problem::invalid(field, "A path holds no NUL."));
    }
    Location::parse(path).map(drop).map_err(|error| Problem::from(error).at(field))
}
