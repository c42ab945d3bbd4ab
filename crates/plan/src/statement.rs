//! SQL statements, as the parser makes them and the engine runs them. One variant a statement; names as in Spark's grammar.
mod answers;
mod delta;
mod function;
mod script;
mod table;

pub use answers::{Describe, Show};
pub use delta::{DeltaStatement, DeltaTarget};
pub use function::{
    CreateFunction, FunctionBody, FunctionParameter, FunctionReturnBody, FunctionReturns, SqlFunctionDefinition,
};
pub use script::{CompoundBody, ConditionDeclaration, Handler, ScriptStatement};
pub use table::*;

use crate::command::{ColumnDefinition, ExplainMode, MergeIntoTable};
use crate::data_type::DataType;
use crate::expression::Expr;
use crate::relation::{Options, Relation, TableName};

/// Values of a partition clause: `PARTITION (a = 1, b)`; `None` is dynamic.
pub type PartitionValues = Vec<(String, Option<Expr>)>;

#[derive(Debug, Clone, PartialEq)]
pub enum SqlStatement {
    // Session
    Explain {
        mode: ExplainMode,
        plan: crate::Plan,
    },
    Set(SetConf),
    /// `RESET [key]`
    Reset {
        key: Option<String>,
    },
    SetTimeZone(TimeZoneSetting),
    /// `SET CATALOG name`
    SetCatalog {
        name: TableName,
    },
    /// `USE [NAMESPACE] name`
    UseNamespace {
        name: TableName,
    },
    /// `EXECUTE IMMEDIATE query [INTO variables] [USING arguments]`
    ExecuteImmediate {
        query: Expr,
        into: Vec<TableName>,
        arguments: Vec<(Expr, Option<String>)>,
    },
    /// `CALL procedure(arguments)`
    Call {
        name: TableName,
        arguments: Vec<Expr>,
    },
    /// `BEGIN … END`
    Script(CompoundBody),

    // Session variables
    /// `DECLARE [OR REPLACE] [VARIABLE] names [type] [DEFAULT expr]`
    DeclareVariable {
        names: Vec<TableName>,
        data_type: Option<DataType>,
        default: Option<SqlExpr>,
        replace: bool,
    },
    DropVariable {
        name: TableName,
        if_exists: bool,
    },
    /// `SET VAR a = expr, …` and `SET VAR (a, b) = (query)`
    SetVariable {
        targets: Vec<TableName>,
        source: SetVariableSource,
    },

    // Rows
    Insert(Box<Insert>),
    /// `FROM t INSERT … INSERT …`
    MultiInsert(Vec<Insert>),
    InsertDirectory(Box<InsertDirectory>),
    Update {
        table: Relation,
        assignments: Vec<(Vec<String>, Expr)>,
        condition: Option<Expr>,
    },
    Delete {
        table: Relation,
        condition: Option<Expr>,
    },
    Merge(Box<MergeIntoTable>),
    /// `LOAD DATA [LOCAL] INPATH path [OVERWRITE] INTO TABLE table [PARTITION …]`
    LoadData {
        path: String,
        is_local: bool,
        overwrite: bool,
        table: TableName,
        partition: Option<PartitionValues>,
    },

    // Databases
    CreateNamespace {
        name: TableName,
        if_not_exists: bool,
        comment: Option<String>,
        location: Option<String>,
        properties: Options,
        collation: Option<String>,
    },
    AlterNamespace {
        name: TableName,
        action: AlterNamespace,
    },
    DropNamespace {
        name: TableName,
        if_exists: bool,
        cascade: bool,
    },

    // Tables
    CreateTable(Box<CreateTable>),
    CreateTableLike(Box<CreateTableLike>),
    AlterTable {
        name: TableName,
        if_exists: bool,
        action: AlterTable,
    },
    DropTable {
        name: TableName,
        if_exists: bool,
        purge: bool,
    },
    TruncateTable {
        name: TableName,
        partition: Option<PartitionValues>,
    },
    /// `[MSCK] REPAIR TABLE name [ADD|DROP|SYNC PARTITIONS]`
    RepairTable {
        name: TableName,
        add: bool,
        drop: bool,
    },
    AnalyzeTable {
        name: TableName,
        partition: Option<PartitionValues>,
        no_scan: bool,
        columns: AnalyzeColumns,
    },
    AnalyzeTables {
        database: Option<TableName>,
        no_scan: bool,
    },
    CommentOn {
        kind: CommentTarget,
        name: TableName,
        comment: Option<String>,
    },
    RefreshTable {
        name: TableName,
    },
    RefreshPath {
        path: String,
    },
    RefreshFunction {
        name: TableName,
    },

    // Views
    CreateView(Box<CreateView>),
    /// `CREATE TEMPORARY VIEW v [schema] USING format OPTIONS (…)`
    CreateTempViewUsing {
        name: Vec<String>,
        is_global: bool,
        replace: bool,
        schema: Option<Vec<ColumnDefinition>>,
        provider: String,
        options: Options,
    },
    /// `ALTER VIEW name AS query`
    AlterViewAs {
        name: TableName,
        query: Relation,
        text: String,
    },
    /// `ALTER VIEW name WITH SCHEMA …`
    AlterViewSchemaBinding {
        name: TableName,
        binding: String,
    },
    /// The other kinds of ALTER VIEW (rename, properties).
    AlterView {
        name: TableName,
        action: AlterTable,
    },
    DropView {
        name: TableName,
        if_exists: bool,
    },

    // Functions
    CreateFunction(Box<CreateFunction>),
    DropFunction {
        name: TableName,
        if_exists: bool,
        is_temporary: bool,
    },

    // Cache
    CacheTable {
        name: TableName,
        lazy: bool,
        options: Options,
        query: Option<(Relation, String)>,
    },
    UncacheTable {
        name: TableName,
        if_exists: bool,
    },
    ClearCache,

    /// What Delta Lake adds
    Delta(DeltaStatement),

    // Answers
    Show(Show),
    Describe(Describe),
    /// ADD/LIST JAR, FILE, ARCHIVE
    Resource {
        action: String,
        kind: String,
        values: Vec<String>,
    },
    /// What Spark itself refuses or what needs Hive or Java: the feature's name.
    Unsupported {
        feature: String,
    },
}

/// An expression with its text, which definitions keep.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlExpr {
    pub expr: Expr,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetConf {
    /// `SET`
    All,
    /// `SET -v`
    AllVerbose,
    Get(String),
    Value(String, String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum TimeZoneSetting {
    Local,
    Id(String),
    Interval(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub enum SetVariableSource {
    Values(Vec<Expr>),
    Query(Relation),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Insert {
    pub table: TableName,
    /// `INSERT INTO t WITH (options)`
    pub options: Options,
    pub partition: PartitionValues,
    pub columns: Vec<Vec<String>>,
    pub by_name: bool,
    pub overwrite: bool,
    pub if_partition_not_exists: bool,
    /// `REPLACE WHERE condition`
    pub replace_where: Option<Expr>,
    pub with_schema_evolution: bool,
    pub query: Relation,
}

/// `INSERT OVERWRITE [LOCAL] DIRECTORY …`
#[derive(Debug, Clone, PartialEq)]
pub struct InsertDirectory {
    pub path: Option<String>,
    pub is_local: bool,
    /// `None`: Hive's default text format.
    pub provider: Option<String>,
    pub options: Options,
    /// ROW FORMAT, STORED AS
    pub hive: Option<HiveFormat>,
    pub query: Relation,
}

#[derive(Debug, Clone, PartialEq)]
pub enum AlterNamespace {
    SetProperties(Options),
    UnsetProperties(Vec<String>),
    SetLocation(String),
    SetCollation(String),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    pub name: TableName,
    pub is_temporary: bool,
    pub is_global: bool,
    pub replace: bool,
    pub if_not_exists: bool,
    /// name, comment
    pub columns: Vec<(String, Option<String>)>,
    pub comment: Option<String>,
    pub properties: Options,
    pub collation: Option<String>,
    /// `WITH SCHEMA`: BINDING, COMPENSATION, TYPE EVOLUTION, EVOLUTION
    pub schema_binding: Option<String>,
    pub query: Relation,
    /// The query as written.
    pub text: String,
}
