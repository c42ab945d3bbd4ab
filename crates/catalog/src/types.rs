//! What the catalog keeps. Field names follow Spark's `CatalogTable`, `CatalogDatabase` and `CatalogFunction`.
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use firesteel_plan::{StructField, StructType};
use serde::{Deserialize, Serialize};

/// A database (namespace).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub name: String,
    pub comment: Option<String>,
    /// URL of the directory of its managed tables.
    pub location: String,
    pub properties: BTreeMap<String, String>,
    pub owner: String,
    pub collation: Option<String>,
}

impl Database {
    pub fn new(name: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            comment: None,
            location: location.into(),
            properties: BTreeMap::new(),
            owner: String::new(),
            collation: None,
        }
    }
}

/// A table or view within a catalog: `database.name`, both lower case once stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableId {
    pub database: String,
    pub name: String,
}

impl TableId {
    pub fn new(database: impl Into<String>, name: impl Into<String>) -> Self {
        Self { database: database.into(), name: name.into() }
    }

    /// The id as it is stored and looked up.
    pub fn normalized(&self) -> Self {
        Self { database: self.database.to_lowercase(), name: self.name.to_lowercase() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TableKind {
    Managed,
    External,
    View,
}

impl TableKind {
    /// `MANAGED`, `EXTERNAL` or `VIEW`, as `DESCRIBE EXTENDED` shows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Managed => "MANAGED",
            Self::External => "EXTERNAL",
            Self::View => "VIEW",
        }
    }
}

/// A table or view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    pub id: TableId,
    pub kind: TableKind,
    /// All columns; the partition columns are the last ones. Defaults, generated expressions and comments are field
    /// metadata, as in Spark.
    #[serde(with = "crate::json::schema")]
    pub schema: StructType,
    /// `parquet`, `csv`, …; `None` for views.
    pub provider: Option<String>,
    /// The class of Hive's that reads its rows, where the table was made in one of Hive's formats (`STORED AS`).
    #[serde(default)]
    pub serde_library: Option<String>,
    /// URL of the data.
    pub location: Option<String>,
    /// OPTIONS of the data source.
    pub options: BTreeMap<String, String>,
    pub partition_columns: Vec<String>,
    pub bucket_spec: Option<BucketSpec>,
    pub clustering_columns: Vec<String>,
    pub properties: BTreeMap<String, String>,
    pub comment: Option<String>,
    pub collation: Option<String>,
    pub owner: String,
    /// milliseconds since the epoch
    pub created_ms: i64,
    /// The version of Spark that made it, as `DESCRIBE EXTENDED` shows it.
    pub created_by: String,
    pub statistics: Option<Statistics>,
    /// Whether partitions are kept in the catalog (else they are found by listing directories).
    pub tracks_partitions: bool,
    /// The definition, where this is a view.
    pub view: Option<View>,
}

impl Table {
    /// A table without data, properties or options.
    pub fn new(id: TableId, kind: TableKind, schema: StructType) -> Self {
        Self {
            id,
            kind,
            schema,
            provider: None,
            serde_library: None,
            location: None,
            options: BTreeMap::new(),
            partition_columns: vec![],
            bucket_spec: None,
            clustering_columns: vec![],
            properties: BTreeMap::new(),
            comment: None,
            collation: None,
            owner: String::new(),
            created_ms: now_ms(),
            created_by: "Spark 4.2.0".into(),
            statistics: None,
            tracks_partitions: false,
            view: None,
        }
    }

    pub fn is_view(&self) -> bool {
        self.kind == TableKind::View
    }

    fn is_partition_column(&self, field: &StructField) -> bool {
        self.partition_columns.iter().any(|column| column.eq_ignore_ascii_case(&field.name))
    }

    /// The columns that are not partition columns.
    pub fn data_schema(&self) -> StructType {
        StructType { fields: self.schema.fields.iter().filter(|f| !self.is_partition_column(f)).cloned().collect() }
    }

    /// The partition columns, in partitioning order.
    pub fn partition_schema(&self) -> StructType {
        let find = |column: &String| self.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(column)).cloned();
        StructType { fields: self.partition_columns.iter().filter_map(find).collect() }
    }
}

pub(crate) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}

/// `CLUSTERED BY (columns) SORTED BY (sort_columns) INTO n BUCKETS`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketSpec {
    pub num_buckets: u32,
    pub columns: Vec<String>,
    pub sort_columns: Vec<String>,
}

/// The definition of a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// The SQL text.
    pub text: String,
    /// The text as the user typed it, where it differs.
    pub original_text: Option<String>,
    /// Output column names of the query when the view was made, in order.
    pub query_columns: Vec<String>,
    /// Where names in the text are looked up.
    pub current_catalog: String,
    pub current_namespace: Vec<String>,
    /// Settings captured at creation, under which the text is analyzed.
    pub conf: BTreeMap<String, String>,
    pub schema_binding: SchemaBinding,
    /// Temporary views, functions and variables that the text refers to.
    pub referred_temp_views: Vec<Vec<String>>,
    pub referred_temp_functions: Vec<String>,
    pub referred_temp_variables: Vec<Vec<String>>,
}

/// `WITH SCHEMA …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SchemaBinding {
    Binding,
    #[default]
    Compensation,
    #[serde(rename = "TYPE EVOLUTION")]
    TypeEvolution,
    Evolution,
}

impl SchemaBinding {
    /// The words after `WITH SCHEMA`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binding => "BINDING",
            Self::Compensation => "COMPENSATION",
            Self::TypeEvolution => "TYPE EVOLUTION",
            Self::Evolution => "EVOLUTION",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub size_in_bytes: u64,
    pub row_count: Option<u64>,
    pub columns: BTreeMap<String, ColumnStatistics>,
}

/// Values are in Spark's external string form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ColumnStatistics {
    pub distinct_count: Option<u64>,
    pub min: Option<String>,
    pub max: Option<String>,
    pub null_count: Option<u64>,
    pub avg_len: Option<u64>,
    pub max_len: Option<u64>,
    pub histogram: Option<String>,
}

/// Partition column → value, in the table's partitioning order when stored. `None` is the null partition.
pub type PartitionSpec = Vec<(String, Option<String>)>;

/// A partition kept by the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Partition {
    pub spec: PartitionSpec,
    /// URL of its directory; `None` is the usual place under the table.
    pub location: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub statistics: Option<Statistics>,
    pub created_ms: i64,
}

impl Partition {
    pub fn new(spec: PartitionSpec, location: Option<String>) -> Self {
        Self { spec, location, parameters: BTreeMap::new(), statistics: None, created_ms: now_ms() }
    }
}

/// A persistent function: a SQL body, or a class with resources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Function {
    pub database: String,
    pub name: String,
    /// The class of a Hive function; empty for a SQL function.
    pub class_name: String,
    /// `(kind, URI)`: `jar`, `file` or `archive`.
    pub resources: Vec<(String, String)>,
    /// `None`: declared without parameters list (a class).
    pub parameters: Option<Vec<FunctionParameter>>,
    /// SQL type, or `TABLE<…>` columns as DDL where `is_table`.
    pub returns: Option<String>,
    pub is_table: bool,
    /// The expression or query after RETURN.
    pub body: Option<String>,
    pub language: String,
    pub deterministic: Option<bool>,
    /// `CONTAINS SQL` or `READS SQL DATA`
    pub data_access: Option<String>,
    pub comment: Option<String>,
    pub conf: BTreeMap<String, String>,
    pub current_catalog: String,
    pub current_namespace: Vec<String>,
    pub owner: String,
    pub created_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FunctionParameter {
    pub name: String,
    /// SQL type text
    pub data_type: String,
    /// SQL text of the default
    pub default: Option<String>,
    pub comment: Option<String>,
}
