//! SQL statements, as the parser makes them and the engine runs them. One variant a statement; names as in Spark's grammar.
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

#[derive(Debug, Clone, PartialEq)]
pub struct CreateFunction {
    pub name: TableName,
    pub is_temporary: bool,
    pub replace: bool,
    pub if_not_exists: bool,
    pub body: FunctionBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionBody {
    /// `AS 'class' USING JAR '…'`
    Class {
        class_name: String,
        resources: Vec<(String, String)>,
    },
    Sql(SqlFunctionDefinition),
}

/// `CREATE FUNCTION f(a INT DEFAULT 1) RETURNS … RETURN …`
#[derive(Debug, Clone, PartialEq)]
pub struct SqlFunctionDefinition {
    pub parameters: Vec<FunctionParameter>,
    pub returns: FunctionReturns,
    pub language: String,
    pub deterministic: Option<bool>,
    pub data_access: Option<String>,
    pub comment: Option<String>,
    /// Expression or query after RETURN, as written.
    pub body_text: String,
    pub body: FunctionReturnBody,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FunctionParameter {
    pub name: String,
    pub data_type: DataType,
    /// The type as written.
    pub type_text: String,
    pub default: Option<SqlExpr>,
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionReturns {
    /// Not said: what the body has.
    Inferred,
    Type(DataType),
    Table(Vec<FunctionParameter>),
    /// RETURNS TABLE without columns
    InferredTable,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FunctionReturnBody {
    Expression(Expr),
    Query(Relation),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// SHOW DATABASES|NAMESPACES|SCHEMAS
    Namespaces {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    Tables {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    /// SHOW TABLE EXTENDED
    TableExtended {
        of: Option<TableName>,
        pattern: String,
        partition: Option<PartitionValues>,
    },
    Views {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    Columns {
        table: TableName,
        of: Option<TableName>,
    },
    TableProperties {
        table: TableName,
        key: Option<String>,
    },
    Partitions {
        table: TableName,
        partition: Option<PartitionValues>,
    },
    /// `kind`: ALL, SYSTEM or USER
    Functions {
        kind: String,
        of: Option<TableName>,
        pattern: Option<String>,
        name: Option<TableName>,
    },
    CreateTable {
        table: TableName,
        as_serde: bool,
    },
    Catalogs {
        pattern: Option<String>,
    },
    CurrentNamespace,
    Collations {
        pattern: Option<String>,
    },
    Procedures {
        of: Option<TableName>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Describe {
    Table {
        name: TableName,
        partition: Option<PartitionValues>,
        extended: bool,
        as_json: bool,
    },
    Column {
        table: TableName,
        column: Vec<String>,
        extended: bool,
    },
    Namespace {
        name: TableName,
        extended: bool,
    },
    Function {
        name: TableName,
        extended: bool,
    },
    /// DESCRIBE QUERY; `text` as written
    Query {
        query: Relation,
        text: String,
    },
    Procedure {
        name: TableName,
    },
}

/// `BEGIN … END` of SQL scripting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CompoundBody {
    pub label: Option<String>,
    pub statements: Vec<ScriptStatement>,
    pub conditions: Vec<ConditionDeclaration>,
    pub handlers: Vec<Handler>,
}

/// `DECLARE name CONDITION [FOR SQLSTATE 'xxxxx']`
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionDeclaration {
    pub name: String,
    pub sql_state: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Handler {
    /// EXIT, else CONTINUE
    pub is_exit: bool,
    /// Condition names, SQLSTATEs (five characters in `'…'` form are prefixed `SQLSTATE `), SQLEXCEPTION, NOT FOUND
    pub conditions: Vec<String>,
    pub body: CompoundBody,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ScriptStatement {
    /// Any statement or query.
    Plan(crate::Plan),
    Compound(CompoundBody),
    If {
        branches: Vec<(Expr, CompoundBody)>,
        otherwise: Option<CompoundBody>,
    },
    /// Simple (`operand` set) or searched CASE
    Case {
        operand: Option<Expr>,
        branches: Vec<(Expr, CompoundBody)>,
        otherwise: Option<CompoundBody>,
    },
    While {
        label: Option<String>,
        condition: Expr,
        body: CompoundBody,
    },
    Repeat {
        label: Option<String>,
        until: Expr,
        body: CompoundBody,
    },
    Loop {
        label: Option<String>,
        body: CompoundBody,
    },
    For {
        label: Option<String>,
        variable: Option<String>,
        query: Relation,
        body: CompoundBody,
    },
    Leave(String),
    Iterate(String),
}
