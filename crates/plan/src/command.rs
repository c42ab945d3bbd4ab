//! Statements: everything that has an effect or answers about the session rather than about data.
use crate::data_type::DataType;
use crate::expression::Expr;
use crate::relation::{Options, Relation};
pub use crate::statement::SqlStatement;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// `df.createTempView` and CREATE TEMPORARY VIEW without column aliases
    CreateDataFrameView {
        input: Relation,
        name: Vec<String>,
        is_global: bool,
        replace: bool,
    },
    Write(Box<Write>),
    WriteV2(Box<WriteV2>),
    MergeIntoTable(Box<MergeIntoTable>),
    /// `df.checkpoint`, `df.localCheckpoint`
    Checkpoint {
        input: Relation,
        local: bool,
        eager: bool,
        storage_level: Option<String>,
    },
    RemoveCachedRemote {
        relation_id: String,
    },
    /// `df.persist`, by the plan
    RegisterFunction {
        name: String,
        language: String,
    },
    /// A statement of SQL text
    Sql(Box<SqlStatement>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainMode {
    Simple,
    Extended,
    Codegen,
    Cost,
    Formatted,
}

/// `df.write`
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub input: Relation,
    pub source: Option<String>,
    pub target: WriteTarget,
    pub mode: SaveMode,
    pub sort_columns: Vec<String>,
    pub partition_columns: Vec<String>,
    pub bucket_by: Option<(Vec<String>, i32)>,
    pub clustering_columns: Vec<String>,
    pub options: Options,
    pub with_schema_evolution: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WriteTarget {
    Path(String),
    SaveAsTable(String),
    InsertInto(String),
    /// `noop` and other sources without a place
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveMode {
    Append,
    Overwrite,
    ErrorIfExists,
    Ignore,
}

/// `df.writeTo`
#[derive(Debug, Clone, PartialEq)]
pub struct WriteV2 {
    pub input: Relation,
    pub table: String,
    pub provider: Option<String>,
    pub partition_by: Vec<Expr>,
    pub clustering_columns: Vec<String>,
    pub options: Options,
    pub table_properties: Options,
    pub mode: WriteV2Mode,
    pub with_schema_evolution: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum WriteV2Mode {
    Create,
    Overwrite(Expr),
    OverwritePartitions,
    Append,
    Replace,
    CreateOrReplace,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeIntoTable {
    pub target: Relation,
    pub source: Relation,
    pub condition: Expr,
    pub matched: Vec<MergeAction>,
    pub not_matched: Vec<MergeAction>,
    pub not_matched_by_source: Vec<MergeAction>,
    pub with_schema_evolution: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MergeAction {
    pub condition: Option<Expr>,
    pub kind: MergeActionKind,
}

#[derive(Debug, Clone, PartialEq)]
pub enum MergeActionKind {
    Delete,
    UpdateAll,
    Update(Vec<(Expr, Expr)>),
    InsertAll,
    /// column, value
    Insert(Vec<(Expr, Expr)>),
}

/// A column in DDL.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnDefinition {
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    /// Its text is the fragment of its origin.
    pub default: Option<Expr>,
    /// GENERATED ALWAYS AS (expression); its text likewise
    pub generated: Option<Expr>,
    pub identity: Option<Identity>,
    pub comment: Option<String>,
}

/// GENERATED … AS IDENTITY
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// BY DEFAULT rather than ALWAYS
    pub allows_insert: bool,
    pub start: i64,
    pub step: i64,
}
