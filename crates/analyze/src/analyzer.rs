//! The entry: what is analyzed in which surroundings.
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::LogicalPlan;
use firesteel_functions::datetime::time_type;
use firesteel_functions::{EvalContext, TypedExpr};
use firesteel_plan::relation::Cte;
use firesteel_plan::{Expr, Relation, Result, SparkError, StructType};

use crate::context::{AnalyzedQuery, AnalyzerContext};
use crate::expr::{KnownSubquery, Scope};
use crate::relation::NamedHint;
use crate::scope::Attribute;
use crate::unnest::unnest;

/// A query ready for DataFusion.
#[derive(Clone)]
pub struct AnalyzedPlan {
    pub plan: LogicalPlan,
    /// The plan's columns, in order, under their user-facing names.
    pub schema: StructType,
    pub output: Vec<Attribute>,
    /// Names of `observe` metrics in the plan, with their schemas.
    pub observed: Vec<ObservedMetrics>,
}

/// One `df.observe(name, …)`.
#[derive(Debug, Clone)]
pub struct ObservedMetrics {
    pub name: String,
    pub schema: StructType,
    pub plan_id: i64,
}

/// Analyzes one statement.
pub struct Analyzer<'a> {
    pub(crate) context: &'a dyn AnalyzerContext,
    pub(crate) eval: Arc<EvalContext>,
    /// CTEs in sight, innermost last.
    pub(crate) ctes: RefCell<Vec<CteEntry>>,
    /// WINDOW clauses in sight, innermost last.
    pub(crate) windows: RefCell<Vec<(String, firesteel_plan::WindowSpec)>>,
    /// Parameter values of the statement: `:name` and `?`.
    pub(crate) parameters: RefCell<Vec<Parameters>>,
    /// Scopes around a subquery, outermost first.
    pub(crate) outer: RefCell<Vec<Rc<Scope>>>,
    /// Subqueries of expressions, as they were analyzed first.
    pub(crate) subqueries: RefCell<Vec<KnownSubquery>>,
    /// Whether a column of an outer scope was used, per subquery under analysis.
    pub(crate) observed: RefCell<Vec<ObservedMetrics>>,
    /// Join hints that may name a relation of the query block under analysis, innermost last.
    pub(crate) hints: RefCell<Vec<NamedHint>>,
    /// Views under analysis, against cycles.
    pub(crate) depth: Cell<usize>,
    /// SQL functions whose bodies are under analysis, outermost first.
    pub(crate) routines: RefCell<Vec<String>>,
    /// Whether a table or view was read, here or in a body below.
    pub(crate) reads_data: Rc<Cell<bool>>,
    /// Work tables of the recursive queries whose recursive term is under analysis.
    pub(crate) recursions: RefCell<Vec<String>>,
    /// Whether `LIMIT ALL` stands above what is under analysis.
    pub(crate) limit_all: Cell<bool>,
    /// Set while the function of `f(…) OVER (…)` is looked up.
    pub(crate) has_over: Cell<bool>,
}

#[derive(Clone)]
pub(crate) struct CteEntry {
    pub name: String,
    pub binding: CteBinding,
    /// How many CTEs were in sight where it was defined.
    pub visible_ctes: usize,
    /// How many outer scopes were.
    pub visible_scopes: usize,
    /// Whether something reads it.
    pub used: Rc<Cell<bool>>,
}

#[derive(Clone)]
pub(crate) enum CteBinding {
    Query(Arc<Cte>),
    /// Under analysis itself: no use of it can be resolved here.
    Open,
    /// The recursive reference inside a recursive CTE, or what random numbers make: every use has the same ones.
    Plan {
        plan: LogicalPlan,
        output: Vec<Attribute>,
    },
}

#[derive(Clone, Default)]
pub(crate) struct Parameters {
    pub named: Vec<(String, TypedExpr)>,
    pub positional: Vec<TypedExpr>,
}

/// How deep views and SQL functions may nest (`spark.sql.view.maxNestedViewDepth`).
const NESTING_MAX: usize = 100;

impl<'a> Analyzer<'a> {
    pub fn new(context: &'a dyn AnalyzerContext) -> Self {
        Self {
            context,
            eval: context.eval(),
            ctes: RefCell::default(),
            windows: RefCell::default(),
            parameters: RefCell::default(),
            outer: RefCell::default(),
            subqueries: RefCell::default(),
            observed: RefCell::default(),
            hints: RefCell::default(),
            depth: Cell::new(0),
            routines: RefCell::default(),
            reads_data: Rc::default(),
            recursions: RefCell::default(),
            limit_all: Cell::new(false),
            has_over: Cell::new(false),
        }
    }

    /// Analyzes a query.
    pub fn analyze(&self, relation: &Relation) -> Result<AnalyzedPlan> {
        let resolved = self.relation(relation)?.sealed()?;
        for attribute in &resolved.output {
            time_type::check(&attribute.data_type, &self.eval)?;
        }
        Ok(AnalyzedPlan {
            schema: resolved.schema(),
            plan: unnest(resolved.plan)?,
            output: resolved.output,
            observed: self.observed.take(),
        })
    }

    /// Runs a query that the analysis needs the rows of.
    pub(crate) fn collected(&self, query: AnalyzedQuery) -> Result<Vec<RecordBatch>> {
        self.context.collect(&AnalyzedQuery { plan: unnest(query.plan)?, schema: query.schema })
    }

    /// Resolves an expression that refers to no relation (defaults, SET VARIABLE, parameters).
    pub fn constant(&self, expr: &Expr) -> Result<TypedExpr> {
        self.expression(expr, &Scope::empty())
    }

    /// Resolves an expression over the given columns.
    pub fn over(&self, expr: &Expr, columns: &[Attribute]) -> Result<TypedExpr> {
        self.expression(expr, &Scope::of_attributes(columns.to_vec()))
    }

    /// Resolves statement parameters once; they are in sight while `work` runs.
    pub fn with_parameters<T>(
        &self,
        named: &[(String, Expr)],
        positional: &[Expr],
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let parameters = Parameters {
            named: named.iter().map(|(n, e)| Ok((n.clone(), self.constant(e)?))).collect::<Result<_>>()?,
            positional: positional.iter().map(|e| self.constant(e)).collect::<Result<_>>()?,
        };
        self.parameters.borrow_mut().push(parameters);
        let result = work();
        self.parameters.borrow_mut().pop();
        result
    }

    /// An analyzer for a view or function body: nothing of the caller is in sight.
    pub(crate) fn nested<'b>(&self, context: &'b dyn AnalyzerContext, name: &[String]) -> Result<Analyzer<'b>> {
        let depth = self.depth.get() + 1;
        if depth > NESTING_MAX {
            return Err(SparkError::new(
                "VIEW_EXCEED_MAX_NESTED_DEPTH",
                [
                    ("viewName", firesteel_plan::identifier::quoted_name(name)),
                    ("maxNestedDepth", NESTING_MAX.to_string()),
                ],
            ));
        }
        let nested = Analyzer { reads_data: Rc::clone(&self.reads_data), ..Analyzer::new(context) };
        nested.depth.set(depth);
        nested.routines.borrow_mut().clone_from(&self.routines.borrow());
        Ok(nested)
    }

    /// Case-insensitive unless `spark.sql.caseSensitive`.
    pub(crate) fn same_name(&self, a: &str, b: &str) -> bool {
        if self.case_sensitive() { a == b } else { a.eq_ignore_ascii_case(b) || a.to_lowercase() == b.to_lowercase() }
    }

    pub(crate) fn case_sensitive(&self) -> bool {
        self.eval.flag("spark.sql.caseSensitive", false)
    }

    /// How SQL text is read in this session.
    pub fn parse_options(&self) -> firesteel_sql::ParseOptions {
        firesteel_sql::ParseOptions {
            ansi: self.eval.ansi,
            session_time_zone: self.eval.time_zone_id.clone(),
            ..firesteel_sql::ParseOptions::of_conf(|key| self.eval.get(key))
        }
    }

    /// Grows the stack for deep plans.
    pub(crate) fn deep<T>(&self, work: impl FnOnce() -> T) -> T {
        stacker::maybe_grow(RED_ZONE_BYTES, STACK_BYTES, work)
    }
}

const RED_ZONE_BYTES: usize = 256 * 1024;
const STACK_BYTES: usize = 4 * 1024 * 1024;
