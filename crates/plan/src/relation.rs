//! Table-valued operators, named as in Catalyst and Spark Connect.
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::data_type::{DataType, StructField};
use crate::expression::{Expr, FunctionCall, Origin, SortOrder, WindowSpec};
use crate::literal::Literal;
use crate::statement::HiveFormat;

/// An operator. `plan_id` identifies a DataFrame, so that `df["c"]` finds its column.
#[derive(Debug, Clone)]
pub struct Relation {
    pub kind: Box<RelationKind>,
    pub plan_id: Option<i64>,
    pub origin: Option<Arc<Origin>>,
}

/// Origins and plan ids do not take part in comparison.
impl PartialEq for Relation {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// The name of a table, view or function: fixed, or `IDENTIFIER(expr)`.
#[derive(Debug, Clone, PartialEq)]
pub enum TableName {
    Parts(Vec<String>),
    Identifier(Expr),
}

pub type Options = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq)]
pub enum RelationKind {
    // Leaves
    NamedTable {
        name: TableName,
        options: Options,
        time_travel: Option<TimeTravel>,
        is_streaming: bool,
    },
    /// `spark.read`: `schema` is DDL or JSON text.
    DataSource {
        format: Option<String>,
        schema: Option<String>,
        options: Options,
        paths: Vec<String>,
        predicates: Vec<String>,
        is_streaming: bool,
    },
    /// One row, no column: a SELECT without FROM.
    OneRow,
    Range {
        start: i64,
        end: i64,
        step: i64,
        num_partitions: Option<i32>,
    },
    /// Rows from the client: Arrow IPC streams, all of one schema, their rows in order (none: no rows), and a schema
    /// (DDL or JSON text) that refines theirs.
    LocalRelation {
        data: Vec<Arc<[u8]>>,
        schema: Option<String>,
    },
    /// `VALUES (…), (…)`
    Values {
        rows: Vec<Vec<Expr>>,
    },
    TableFunction {
        call: FunctionCall,
    },
    /// `df.checkpoint()` and friends: a relation kept by the server.
    CachedRemote {
        relation_id: String,
    },
    /// SQL text with parameters, parsed when it is analyzed.
    Sql {
        query: String,
        named_arguments: Vec<(String, Expr)>,
        positional_arguments: Vec<Expr>,
    },
    /// `spark.catalog.*`
    Catalog(CatalogCall),

    // One input
    Project {
        input: Box<Relation>,
        expressions: Vec<Expr>,
    },
    Filter {
        input: Box<Relation>,
        condition: Expr,
    },
    /// HAVING: may use aggregates and grouping columns of the aggregate below.
    Having {
        input: Box<Relation>,
        condition: Expr,
    },
    /// QUALIFY: may use window functions of the select list below.
    Qualify {
        input: Box<Relation>,
        condition: Expr,
    },
    /// `aggregates` is the whole output: for `df.groupBy(…).agg(…)` the grouping expressions come first. Under a `pivot` it
    /// holds the aggregates alone, and the grouping expressions come out by themselves.
    Aggregate {
        input: Box<Relation>,
        grouping: Grouping,
        aggregates: Vec<Expr>,
        pivot: Option<ConnectPivot>,
    },
    Sort {
        input: Box<Relation>,
        order: Vec<SortOrder>,
        is_global: bool,
    },
    /// ORDER BY ALL
    SortAll {
        input: Box<Relation>,
        order: SortAllOrder,
    },
    Limit {
        input: Box<Relation>,
        limit: Expr,
    },
    /// LIMIT ALL: no limit, and none on the rows of a recursive query either
    LimitAll {
        input: Box<Relation>,
    },
    Offset {
        input: Box<Relation>,
        offset: Expr,
    },
    Tail {
        input: Box<Relation>,
        limit: Expr,
    },
    Distinct {
        input: Box<Relation>,
    },
    /// No columns: all of them.
    Deduplicate {
        input: Box<Relation>,
        columns: Vec<String>,
        within_watermark: bool,
    },
    /// `alias(a, b)`: `columns` renames; `qualifier` comes before the alias.
    SubqueryAlias {
        input: Box<Relation>,
        alias: String,
        qualifier: Vec<String>,
        columns: Vec<String>,
    },
    Repartition {
        input: Box<Relation>,
        num_partitions: i32,
        shuffle: bool,
    },
    /// With `order`, by range.
    RepartitionByExpression {
        input: Box<Relation>,
        expressions: Vec<Expr>,
        num_partitions: Option<i32>,
    },
    ToDf {
        input: Box<Relation>,
        names: Vec<String>,
    },
    WithColumnsRenamed {
        input: Box<Relation>,
        renames: Vec<(String, String)>,
    },
    /// Each expression is an alias.
    WithColumns {
        input: Box<Relation>,
        columns: Vec<Expr>,
    },
    Drop {
        input: Box<Relation>,
        columns: Vec<Expr>,
        names: Vec<String>,
    },
    ToSchema {
        input: Box<Relation>,
        schema: DataType,
    },
    Hint {
        input: Box<Relation>,
        name: String,
        parameters: Vec<Expr>,
    },
    Sample {
        input: Box<Relation>,
        method: SampleMethod,
        seed: Option<i64>,
    },
    /// SQL `PIVOT (aggs FOR cols IN (…))`
    Pivot {
        input: Box<Relation>,
        aggregates: Vec<Expr>,
        columns: Vec<Expr>,
        values: Vec<PivotValue>,
    },
    Unpivot(Box<Unpivot>),
    Transpose {
        input: Box<Relation>,
        index: Vec<Expr>,
    },
    /// LATERAL VIEW [OUTER] generator alias AS columns
    LateralView {
        input: Box<Relation>,
        generator: FunctionCall,
        outer: bool,
        alias: String,
        columns: Vec<String>,
    },
    /// WINDOW w AS (…) for the operators below
    WithWindows {
        input: Box<Relation>,
        windows: Vec<(String, WindowSpec)>,
    },
    /// WITH [RECURSIVE] … ; names are visible in `input` and in later CTEs
    With {
        input: Box<Relation>,
        ctes: Vec<Cte>,
        recursive: bool,
    },
    CollectMetrics {
        input: Box<Relation>,
        name: String,
        metrics: Vec<Expr>,
    },
    /// `spark.read.json(df)` and `.csv(df)`
    Parse {
        input: Box<Relation>,
        format: String,
        schema: Option<DataType>,
        options: Options,
    },
    WithWatermark {
        input: Box<Relation>,
        column: String,
        delay: String,
    },
    /// Answers one row with one string column: `df.show()`.
    ShowString {
        input: Box<Relation>,
        num_rows: i32,
        truncate: i32,
        vertical: bool,
    },
    HtmlString {
        input: Box<Relation>,
        num_rows: i32,
        truncate: i32,
    },
    /// `df.na.*`, `df.stat.*`, `df.describe`, `df.summary`
    Statistic {
        input: Box<Relation>,
        function: Statistic,
    },
    /// `|> …` operators that have no other form
    PipeAggregate {
        input: Box<Relation>,
        grouping: Grouping,
        aggregates: Vec<Expr>,
    },
    PipeExtend {
        input: Box<Relation>,
        expressions: Vec<Expr>,
    },
    PipeSet {
        input: Box<Relation>,
        assignments: Vec<(Vec<String>, Expr)>,
    },
    PipeSelect {
        input: Box<Relation>,
        expressions: Vec<Expr>,
    },
    PipeWhere {
        input: Box<Relation>,
        condition: Expr,
    },
    ScriptTransformation(Box<ScriptTransformation>),
    /// Python or Scala code shipped by a client (mapInPandas, applyInPandas …). Not run in this version.
    UserDefined {
        inputs: Vec<Relation>,
        kind: String,
    },

    // Two inputs
    Join(Box<Join>),
    AsOfJoin(Box<AsOfJoin>),
    NearestByJoin(Box<NearestByJoin>),
    SetOperation {
        left: Box<Relation>,
        right: Box<Relation>,
        op: SetOpType,
        all: bool,
        by_name: bool,
        allow_missing_columns: bool,
    },
    /// Pairs rows of two DataFrames by position.
    Zip {
        left: Box<Relation>,
        right: Box<Relation>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum TimeTravel {
    Version(Expr),
    Timestamp(Expr),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Grouping {
    /// Expressions may include ordinals, aliases and [`GroupingElement`]s.
    By(Vec<GroupingElement>),
    /// GROUP BY ALL
    All,
}

#[derive(Debug, Clone, PartialEq)]
pub enum GroupingElement {
    Expression(Expr),
    /// Each element is a set of expressions: ROLLUP(a, (b, c)).
    Rollup(Vec<Vec<Expr>>),
    Cube(Vec<Vec<Expr>>),
    GroupingSets(Vec<GroupingElement>),
    /// `GROUP BY keys GROUPING SETS (…)`: the keys give the order of the bits of `grouping_id()`.
    KeyedSets {
        keys: Vec<Expr>,
        sets: Vec<Vec<Expr>>,
    },
    /// A parenthesised set inside GROUPING SETS.
    Set(Vec<Expr>),
}

/// `df.groupBy(…).pivot(column, values)`; no values: the distinct ones.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectPivot {
    pub column: Expr,
    pub values: Vec<Literal>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PivotValue {
    pub value: Expr,
    pub alias: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SortAllOrder {
    pub direction: crate::expression::SortDirection,
    pub nulls: crate::expression::NullOrdering,
}

#[derive(Debug, Clone, PartialEq)]
pub enum SampleMethod {
    /// Bernoulli: rows whose random number lies in the half-open range; Poisson with replacement.
    Fraction { lower: f64, upper: f64, with_replacement: bool },
    /// TABLESAMPLE (n ROWS)
    Rows(Expr),
    /// TABLESAMPLE (BUCKET x OUT OF y)
    Bucket { numerator: i64, denominator: i64 },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cte {
    pub name: String,
    pub columns: Vec<String>,
    pub query: Relation,
    /// `MAX RECURSION LEVEL n`
    pub max_recursion: Option<i64>,
}

/// The WITH clause of a query, or of a statement that holds one.
#[derive(Debug, Clone, PartialEq)]
pub struct WithQuery {
    pub ctes: Vec<Cte>,
    pub recursive: bool,
}

/// `SELECT TRANSFORM (…) USING 'script' AS …`: the input's rows go through a program.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptTransformation {
    pub input: Relation,
    pub script: String,
    pub output: Vec<StructField>,
    /// No AS clause: the output is split into a key and the rest.
    pub is_schema_less: bool,
    pub input_format: ScriptFormat,
    pub output_format: ScriptFormat,
}

/// How rows are written for a script, or read from it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ScriptFormat {
    /// ROW FORMAT
    pub row_format: Option<HiveFormat>,
    /// RECORDWRITER or RECORDREADER
    pub handler: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Unpivot {
    pub input: Relation,
    /// `None`: every column that is not a value column (SQL).
    pub ids: Option<Vec<Expr>>,
    /// Groups of columns, each with an alias for the variable column; `None`: all but the ids.
    pub values: Option<Vec<UnpivotValue>>,
    pub variable_column: String,
    pub value_columns: Vec<String>,
    pub include_nulls: bool,
    /// SQL alias of the result
    pub alias: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct UnpivotValue {
    pub columns: Vec<Expr>,
    pub alias: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    pub left: Relation,
    pub right: Relation,
    pub join_type: JoinType,
    pub condition: Option<Expr>,
    pub using: Vec<String>,
    pub natural: bool,
    /// The right side may use columns of the left.
    pub lateral: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinType {
    Inner,
    FullOuter,
    LeftOuter,
    RightOuter,
    LeftSemi,
    LeftAnti,
    Cross,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AsOfJoin {
    pub left: Relation,
    pub right: Relation,
    pub left_as_of: Expr,
    pub right_as_of: Expr,
    pub condition: Option<Expr>,
    pub using: Vec<String>,
    pub join_type: String,
    pub tolerance: Option<Expr>,
    pub allow_exact_matches: bool,
    pub direction: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NearestByJoin {
    pub left: Relation,
    pub right: Relation,
    pub ranking: Expr,
    pub num_results: i32,
    pub join_type: String,
    pub mode: String,
    pub direction: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetOpType {
    Union,
    Intersect,
    Except,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Statistic {
    FillNa { columns: Vec<String>, values: Vec<Literal> },
    DropNa { columns: Vec<String>, min_non_nulls: Option<i32> },
    Replace { columns: Vec<String>, replacements: Vec<(Literal, Literal)> },
    Summary { statistics: Vec<String> },
    Describe { columns: Vec<String> },
    Crosstab { column1: String, column2: String },
    Cov { column1: String, column2: String },
    Corr { column1: String, column2: String, method: Option<String> },
    ApproxQuantile { columns: Vec<String>, probabilities: Vec<f64>, relative_error: f64 },
    FreqItems { columns: Vec<String>, support: Option<f64> },
    SampleBy { column: Expr, fractions: Vec<(Literal, f64)>, seed: Option<i64> },
}

/// `spark.catalog.*` over Connect. Names are in identifier syntax, unparsed.
#[derive(Debug, Clone, PartialEq)]
pub enum CatalogCall {
    CurrentDatabase,
    SetCurrentDatabase(String),
    ListDatabases {
        pattern: Option<String>,
    },
    ListTables {
        database: Option<String>,
        pattern: Option<String>,
    },
    ListFunctions {
        database: Option<String>,
        pattern: Option<String>,
    },
    ListColumns {
        table: String,
        database: Option<String>,
    },
    GetDatabase(String),
    GetTable {
        table: String,
        database: Option<String>,
    },
    GetFunction {
        function: String,
        database: Option<String>,
    },
    DatabaseExists(String),
    TableExists {
        table: String,
        database: Option<String>,
    },
    FunctionExists {
        function: String,
        database: Option<String>,
    },
    CreateTable {
        table: String,
        path: Option<String>,
        source: Option<String>,
        description: Option<String>,
        schema: Option<DataType>,
        options: Options,
    },
    DropTempView(String),
    DropGlobalTempView(String),
    RecoverPartitions(String),
    IsCached(String),
    CacheTable {
        table: String,
        storage_level: Option<String>,
    },
    UncacheTable(String),
    ClearCache,
    RefreshTable(String),
    RefreshByPath(String),
    CurrentCatalog,
    SetCurrentCatalog(String),
    ListCatalogs {
        pattern: Option<String>,
    },
    /// A call of Spark 4.2's newer set that is written as a statement.
    Statement(Box<crate::command::Command>),
    ListPartitions(String),
    ListViews {
        database: Option<String>,
        pattern: Option<String>,
    },
    GetTableProperties(String),
    GetCreateTableString {
        table: String,
        as_serde: bool,
    },
}

impl Relation {
    pub fn new(kind: RelationKind) -> Self {
        Self { kind: Box::new(kind), plan_id: None, origin: None }
    }
    pub fn with_plan_id(mut self, plan_id: Option<i64>) -> Self {
        self.plan_id = plan_id;
        self
    }
    pub fn with_origin(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.origin = origin;
        self
    }
    pub fn table(parts: Vec<String>) -> Self {
        Self::new(RelationKind::NamedTable {
            name: TableName::Parts(parts),
            options: Options::new(),
            time_travel: None,
            is_streaming: false,
        })
    }
    pub fn project(self, expressions: Vec<Expr>) -> Self {
        Self::new(RelationKind::Project { input: Box::new(self), expressions })
    }
    pub fn filter(self, condition: Expr) -> Self {
        Self::new(RelationKind::Filter { input: Box::new(self), condition })
    }
    pub fn alias(self, alias: impl Into<String>) -> Self {
        Self::new(RelationKind::SubqueryAlias {
            input: Box::new(self),
            alias: alias.into(),
            qualifier: vec![],
            columns: vec![],
        })
    }
}
