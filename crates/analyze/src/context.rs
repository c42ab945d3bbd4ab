//! What the analyzer asks of the session. The engine implements it; calls may block.
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::relation::{CatalogCall, TimeTravel};
use firesteel_plan::{DataType, Relation, Result, StructType};

use crate::scope::Attribute;

/// The session as the analyzer sees it.
pub trait AnalyzerContext: Send + Sync {
    /// The session's values, frozen for this statement.
    fn eval(&self) -> Arc<EvalContext>;

    /// A table or view by its name parts (one to three); `None` where there is none.
    /// Temporary views come before tables.
    fn table(
        &self,
        name: &[String],
        options: &BTreeMap<String, String>,
        time_travel: Option<&TimeTravel>,
    ) -> Result<Option<TableSource>>;

    /// Files (`spark.read`, `SELECT * FROM parquet.`path``).
    fn files(&self, request: &FileScanRequest) -> Result<TableSource>;

    /// Whether `name` is a data source, so that `` name.`path` `` reads files.
    fn is_data_source(&self, name: &str) -> bool;

    /// An earlier state of files that are named in place of a table (``delta.`path` VERSION AS OF 1``).
    fn travelled(&self, _name: &[String], _time_travel: &TimeTravel) -> Result<Option<TableSource>> {
        Ok(None)
    }

    /// A SQL function (temporary or persistent) by its name parts.
    fn sql_function(&self, name: &[String]) -> Result<Option<SqlFunction>>;

    /// A session variable's current value.
    fn variable(&self, name: &[String]) -> Result<Option<TypedExpr>>;

    /// `df.checkpoint()` results and the like.
    fn cached_remote(&self, relation_id: &str) -> Result<TableSource>;

    /// A relation that was persisted, if `relation` is one.
    fn persisted(&self, relation: &Relation) -> Option<TableSource>;

    /// `spark.catalog.*`: runs the call, answers its rows.
    fn catalog_call(&self, call: &CatalogCall) -> Result<RowsWithSchema>;

    /// Runs a query to its end, for what the analysis itself needs (pivot values, transpose, crosstab).
    fn collect(&self, plan: &AnalyzedQuery) -> Result<Vec<RecordBatch>>;

    /// The schema of records in text form (`spark.read.json(df)`): `columns` are string arrays.
    fn infer_schema(
        &self,
        format: &str,
        columns: &[arrow::array::ArrayRef],
        options: &BTreeMap<String, String>,
    ) -> Result<StructType>;

    /// Where tables and functions of a query are looked up, as TABLE_OR_VIEW_NOT_FOUND and UNRESOLVED_ROUTINE tell it.
    fn search_path(&self) -> String {
        let eval = self.eval();
        format!("[`system`.`builtin`, `system`.`session`, `{}`.`{}`]", eval.current_catalog, eval.current_database)
    }
}

/// A plan with the schema its rows have.
pub struct AnalyzedQuery {
    pub plan: LogicalPlan,
    pub schema: StructType,
}

#[derive(Debug, Clone)]
pub struct RowsWithSchema {
    pub schema: StructType,
    pub batches: Vec<RecordBatch>,
}

/// `spark.read…load(paths)`
#[derive(Debug, Clone, PartialEq)]
pub struct FileScanRequest {
    pub format: Option<String>,
    pub schema: Option<StructType>,
    pub options: BTreeMap<String, String>,
    pub paths: Vec<String>,
    pub predicates: Vec<String>,
}

/// Where rows come from.
#[derive(Clone)]
pub enum TableSource {
    /// Something DataFusion scans. Its Arrow columns are those of `schema`, in order, then those of `metadata`.
    Provider {
        provider: Arc<dyn TableProvider>,
        schema: StructType,
        /// Columns only reachable by name (`_metadata`).
        metadata: StructType,
        /// Full name for qualified column references; empty for files.
        qualifier: Vec<String>,
    },
    /// A view by its text, analyzed with its own catalog, database and configuration.
    View { context: Arc<dyn AnalyzerContext>, query: Relation, columns: SourceColumns, qualifier: Vec<String> },
    /// A plan analyzed before (temporary views of DataFrames, caches). Ids are renewed at every use.
    Analyzed { plan: LogicalPlan, output: Vec<Attribute>, qualifier: Vec<String> },
}

/// What the columns of a view's query become.
#[derive(Clone)]
pub enum SourceColumns {
    /// By position, with the names and types of a temporary view
    Declared(StructType),
    View(ViewColumns),
}

/// The columns of a view that stays.
#[derive(Debug, Clone, Default)]
pub struct ViewColumns {
    pub schema: StructType,
    /// The names that the query's columns had when the view was made; none: found by position.
    pub query_columns: Vec<String>,
    pub types: ViewTypes,
    /// The statement that makes the view anew
    pub suggestion: String,
}

/// `WITH SCHEMA …`: what happens where a column's type is another by now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ViewTypes {
    /// BINDING: it must fit without loss
    UpCast,
    /// COMPENSATION: it is cast
    #[default]
    Cast,
    /// TYPE EVOLUTION: it is the query's
    Query,
    /// EVOLUTION: names and number of the columns are the query's as well
    Any,
}

/// `CREATE FUNCTION f(a INT DEFAULT 1) RETURNS INT RETURN a + 1`
#[derive(Clone)]
pub struct SqlFunction {
    pub name: Vec<String>,
    pub parameters: Vec<SqlFunctionParameter>,
    pub body: SqlFunctionBody,
    /// Declared as `READS SQL DATA`
    pub reads_data: bool,
    /// The context its body is analyzed in.
    pub context: Arc<dyn AnalyzerContext>,
}

#[derive(Clone)]
pub struct SqlFunctionParameter {
    pub name: String,
    pub data_type: DataType,
    pub default: Option<firesteel_plan::Expr>,
}

#[derive(Clone)]
pub enum SqlFunctionBody {
    /// `returns`: declared type, if any
    Scalar { expr: firesteel_plan::Expr, returns: Option<DataType> },
    Table {
        query: Relation,
        /// Declared columns, if any
        returns: Option<StructType>,
    },
}
