//! CREATE TABLE, ALTER TABLE and what they are made of.
use super::{PartitionValues, SqlExpr};
use crate::command::ColumnDefinition;
use crate::data_type::DataType;
use crate::expression::Expr;
use crate::relation::{Options, Relation, TableName};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateMode {
    Create,
    CreateIfNotExists,
    Replace,
    CreateOrReplace,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    pub name: TableName,
    pub mode: CreateMode,
    pub is_external: bool,
    pub columns: Vec<ColumnDefinition>,
    pub constraints: Vec<TableConstraint>,
    /// `USING`; `None` where only Hive clauses or nothing is given.
    pub provider: Option<String>,
    pub options: Options,
    /// Names or transforms (`bucket(4, a)`, `years(ts)`); each an expression.
    pub partition_by: Vec<Expr>,
    /// `PARTITIONED BY (p INT)`: columns that come after `columns`.
    pub partition_columns: Vec<ColumnDefinition>,
    pub bucket_by: Option<Bucket>,
    pub cluster_by: Option<Vec<Vec<String>>>,
    pub location: Option<String>,
    pub comment: Option<String>,
    pub properties: Options,
    pub collation: Option<String>,
    /// `STORED AS`, `ROW FORMAT`, `SKEWED BY`: a Hive table in one of Hive's formats.
    pub hive: Option<HiveFormat>,
    pub query: Option<Relation>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    pub num_buckets: i64,
    pub columns: Vec<String>,
    pub sort_columns: Vec<(String, bool)>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct HiveFormat {
    /// `PARQUET`, `ORC`, `TEXTFILE` …
    pub stored_as: Option<String>,
    pub input_format: Option<String>,
    pub output_format: Option<String>,
    pub serde: Option<String>,
    pub serde_properties: Options,
    /// FIELDS TERMINATED BY and the like, by Hive's keys: `field.delim`, `escape.delim`, `collection.delim`,
    /// `mapkey.delim`, `line.delim`, `serialization.null.format`
    pub row_format: Options,
}

#[derive(Debug, Clone, PartialEq)]
pub struct TableConstraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
    /// `ENFORCED`/`NOT ENFORCED`, `RELY`/`NORELY` as given
    pub enforced: Option<bool>,
    pub rely: Option<bool>,
    /// The constraint as SQL text, without its name.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ConstraintKind {
    Check(SqlExpr),
    PrimaryKey(Vec<String>),
    Unique(Vec<String>),
    ForeignKey { columns: Vec<String>, table: Vec<String>, referenced: Vec<String> },
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateTableLike {
    pub name: TableName,
    pub source: TableName,
    pub if_not_exists: bool,
    pub provider: Option<String>,
    pub location: Option<String>,
    pub properties: Options,
    pub hive: Option<HiveFormat>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterTable {
    Rename(TableName),
    SetProperties(Options),
    UnsetProperties {
        keys: Vec<String>,
        if_exists: bool,
    },
    SetLocation {
        partition: Option<PartitionValues>,
        location: String,
    },
    SetSerde {
        partition: Option<PartitionValues>,
        serde: Option<String>,
        properties: Options,
    },
    SetCollation(String),
    ClusterBy(Option<Vec<Vec<String>>>),
    AddColumns(Vec<NewColumn>),
    ReplaceColumns(Vec<NewColumn>),
    DropColumns {
        columns: Vec<Vec<String>>,
        if_exists: bool,
    },
    RenameColumn {
        from: Vec<String>,
        to: String,
    },
    /// ALTER COLUMN, CHANGE COLUMN
    AlterColumns(Vec<ColumnChange>),
    /// `CHANGE COLUMN a b TYPE …`: Hive's form
    ChangeColumn {
        column: Vec<String>,
        definition: NewColumn,
    },
    AddPartitions {
        partitions: Vec<(PartitionValues, Option<String>)>,
        if_not_exists: bool,
    },
    DropPartitions {
        partitions: Vec<Vec<PartitionPredicate>>,
        if_exists: bool,
        purge: bool,
    },
    RenamePartition {
        from: PartitionValues,
        to: PartitionValues,
    },
    RecoverPartitions,
    AddConstraint(TableConstraint),
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
}

/// `p > 1` in DROP PARTITION; `operator` is `=`, `<`, … .
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionPredicate {
    pub column: String,
    pub operator: String,
    pub value: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewColumn {
    /// More than one part: a field of a struct.
    pub name: Vec<String>,
    pub definition: ColumnDefinition,
    pub default_text: Option<String>,
    pub position: Option<ColumnPosition>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ColumnPosition {
    First,
    After(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct ColumnChange {
    pub column: Vec<String>,
    pub data_type: Option<DataType>,
    /// `Some(true)`: DROP NOT NULL
    pub nullable: Option<bool>,
    pub comment: Option<String>,
    pub position: Option<ColumnPosition>,
    pub set_default: Option<SqlExpr>,
    pub drop_default: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AnalyzeColumns {
    None,
    All,
    Columns(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentTarget {
    Namespace,
    Table,
}
