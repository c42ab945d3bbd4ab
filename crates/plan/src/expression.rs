//! Expressions as a front door writes them: names are not looked up, types are not known.
use std::sync::Arc;

use crate::data_type::DataType;
use crate::error::Result;
use crate::identifier::parse_multipart_identifier;
use crate::literal::Literal;
use crate::relation::Relation;

/// An expression and the place it was written at.
#[derive(Debug, Clone)]
pub struct Expr {
    pub kind: Box<ExprKind>,
    pub origin: Option<Arc<Origin>>,
}

/// Origins do not take part in comparison.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// Where in the user's program something was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// Offsets are in characters of `text`, `stop` inclusive, as Spark counts them.
    Sql { text: Arc<str>, start: usize, stop: usize, object_type: String, object_name: String },
    /// A DataFrame call: the method, and the user's file and line.
    DataFrame { fragment: String, call_site: String },
}

#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    Literal(Literal),
    /// A column, field, lambda variable or session variable. `plan_id`: `df["name"]` of that DataFrame.
    Attribute {
        name: Vec<String>,
        plan_id: Option<i64>,
        is_metadata_column: bool,
    },
    /// `*`, `t.*`, `* EXCEPT (a, s.b)`. `plan_id` as for attributes.
    Star {
        target: Vec<String>,
        plan_id: Option<i64>,
        except: Vec<Vec<String>>,
    },
    /// `df.colRegex("`a.*`")`
    Regex {
        pattern: String,
        plan_id: Option<i64>,
    },
    /// Every function, operator and predicate, by Spark's function name: `+`, `and`, `in`, `when`, `isnull`, `like`.
    Function(FunctionCall),
    NamedArgument {
        name: String,
        value: Expr,
    },
    /// More than one name for a generator (`AS (a, b)`). `metadata` is a JSON object.
    Alias {
        child: Expr,
        names: Vec<String>,
        metadata: Option<String>,
    },
    Cast {
        child: Expr,
        to: DataType,
        mode: EvalMode,
    },
    /// `DataType` text that needs the parser (`col.cast("int")` over Connect).
    CastToText {
        child: Expr,
        to: String,
        mode: EvalMode,
    },
    /// Only inside functions that take an order (`listagg … WITHIN GROUP`) and where Connect passes one.
    SortOrder(SortOrder),
    Lambda {
        parameters: Vec<String>,
        body: Expr,
    },
    Window {
        function: Expr,
        spec: WindowRef,
    },
    /// `child[extraction]`, `child.field`
    ExtractValue {
        child: Expr,
        extraction: Expr,
    },
    /// `col.withField(field, value)`; `None` drops the field.
    UpdateFields {
        child: Expr,
        field: String,
        value: Option<Expr>,
    },
    ScalarSubquery(Relation),
    Exists(Relation),
    /// `(values) IN (query)`
    InSubquery {
        values: Vec<Expr>,
        query: Relation,
    },
    /// `TABLE(query) PARTITION BY … ORDER BY …`: a table argument of a table function.
    TableArgument {
        query: Relation,
        partition_by: Vec<Expr>,
        order_by: Vec<SortOrder>,
        single_partition: bool,
    },
    /// `:name`
    NamedParameter(String),
    /// `?`, counted from 0 in the statement
    PositionalParameter(usize),
    /// `IDENTIFIER(expr)` where a column name stands
    IdentifierClause(Expr),
    /// Text in SQL syntax (`F.expr`, `df.filter("a > 1")`)
    SqlText(String),
    /// `DEFAULT` in INSERT, UPDATE, MERGE and SET VARIABLE
    Default,
    /// A literal as written in SQL, such as `INTERVAL '1' DAY` or `DATE'2020-01-01'`, whose text the name of the
    /// output column keeps; `value` may be a cast.
    WithText {
        child: Expr,
        text: String,
    },
    /// Python, Scala or Java code shipped by a client. Not run in this version.
    InlineUserDefinedFunction {
        name: String,
        language: String,
        arguments: Vec<Expr>,
        output_type: Option<DataType>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EvalMode {
    /// What `spark.sql.ansi.enabled` says.
    Session,
    Legacy,
    Ansi,
    Try,
}

/// A call with everything SQL can attach to it.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionCall {
    pub name: Vec<String>,
    pub arguments: Vec<Expr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    /// `WITHIN GROUP (ORDER BY …)`
    pub within_group: Vec<SortOrder>,
    /// `Some(true)`: IGNORE NULLS
    pub ignore_nulls: Option<bool>,
    /// `IDENTIFIER(expr)(…)`: then `name` is empty
    pub identifier: Option<Expr>,
    /// Called by an operator or by special syntax, not by its name (the default output name shows it so).
    pub is_internal: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SortOrder {
    pub child: Expr,
    pub direction: SortDirection,
    pub nulls: NullOrdering,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SortDirection {
    Ascending,
    Descending,
}

/// `Default`: first when ascending, last when descending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NullOrdering {
    Default,
    First,
    Last,
}

/// `OVER w` or `OVER (…)`.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowRef {
    Named(String),
    Spec(WindowSpec),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowSpec {
    /// `OVER (base …)` extends a named window.
    pub base: Option<String>,
    pub partition_by: Vec<Expr>,
    pub order_by: Vec<SortOrder>,
    pub frame: Option<WindowFrame>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct WindowFrame {
    pub units: FrameUnits,
    pub lower: FrameBound,
    pub upper: FrameBound,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FrameUnits {
    Rows,
    Range,
}

/// `Value` is an offset from the current row: negative before it (`PRECEDING`), positive after it.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameBound {
    UnboundedPreceding,
    UnboundedFollowing,
    CurrentRow,
    Value(Expr),
}

impl ExprKind {
    /// The expressions right below, those of subqueries left out.
    pub fn children(&self) -> Vec<&Expr> {
        fn orders(orders: &[SortOrder]) -> impl Iterator<Item = &Expr> {
            orders.iter().map(|order| &order.child)
        }
        match self {
            Self::Function(call) => {
                let more = call.filter.iter().chain(&call.identifier);
                call.arguments.iter().chain(more).chain(orders(&call.within_group)).collect()
            }
            Self::NamedArgument { value: child, .. }
            | Self::Alias { child, .. }
            | Self::Cast { child, .. }
            | Self::CastToText { child, .. }
            | Self::SortOrder(SortOrder { child, .. })
            | Self::Lambda { body: child, .. }
            | Self::IdentifierClause(child)
            | Self::WithText { child, .. } => vec![child],
            Self::Window { function, spec } => {
                let mut all = vec![function];
                if let WindowRef::Spec(spec) = spec {
                    all.extend(spec.partition_by.iter().chain(orders(&spec.order_by)));
                }
                all
            }
            Self::ExtractValue { child, extraction } => vec![child, extraction],
            Self::UpdateFields { child, value, .. } => std::iter::once(child).chain(value).collect(),
            Self::InSubquery { values, .. } => values.iter().collect(),
            Self::InlineUserDefinedFunction { arguments, .. } => arguments.iter().collect(),
            Self::TableArgument { .. }
            | Self::Literal(_)
            | Self::Attribute { .. }
            | Self::Star { .. }
            | Self::Regex { .. }
            | Self::ScalarSubquery(_)
            | Self::Exists(_)
            | Self::NamedParameter(_)
            | Self::PositionalParameter(_)
            | Self::SqlText(_)
            | Self::Default => vec![],
        }
    }
}

impl From<ExprKind> for Expr {
    fn from(kind: ExprKind) -> Self {
        Self { kind: Box::new(kind), origin: None }
    }
}

impl Expr {
    pub fn with_origin(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.origin = origin;
        self
    }
    pub fn literal(literal: Literal) -> Self {
        ExprKind::Literal(literal).into()
    }
    pub fn int(value: i32) -> Self {
        Self::literal(Literal::Integer(value))
    }
    pub fn string(value: impl Into<String>) -> Self {
        Self::literal(Literal::String(value.into()))
    }
    pub fn boolean(value: bool) -> Self {
        Self::literal(Literal::Boolean(value))
    }
    pub fn null() -> Self {
        Self::literal(Literal::Null(DataType::Null))
    }
    /// A one-part name, taken as it is.
    pub fn name(name: impl Into<String>) -> Self {
        Self::parts(vec![name.into()])
    }
    pub fn parts(name: Vec<String>) -> Self {
        ExprKind::Attribute { name, plan_id: None, is_metadata_column: false }.into()
    }
    /// A name in attribute syntax: `` a.`b.c` ``.
    pub fn attribute(text: &str, plan_id: Option<i64>) -> Result<Self> {
        let name = parse_multipart_identifier(text)?;
        Ok(ExprKind::Attribute { name, plan_id, is_metadata_column: false }.into())
    }
    pub fn star() -> Self {
        ExprKind::Star { target: vec![], plan_id: None, except: vec![] }.into()
    }
    /// A call of a built-in by operator or special syntax.
    pub fn call(name: &str, arguments: Vec<Expr>) -> Self {
        let mut call = FunctionCall::new(vec![name.to_string()], arguments);
        call.is_internal = true;
        ExprKind::Function(call).into()
    }
    pub fn alias(self, name: impl Into<String>) -> Self {
        ExprKind::Alias { child: self, names: vec![name.into()], metadata: None }.into()
    }
    pub fn cast(self, to: DataType) -> Self {
        ExprKind::Cast { child: self, to, mode: EvalMode::Session }.into()
    }
    pub fn and(self, other: Expr) -> Self {
        Self::call("and", vec![self, other])
    }
    pub fn asc(self) -> SortOrder {
        SortOrder { child: self, direction: SortDirection::Ascending, nulls: NullOrdering::Default }
    }
}

impl FunctionCall {
    pub fn new(name: Vec<String>, arguments: Vec<Expr>) -> Self {
        Self {
            name,
            arguments,
            distinct: false,
            filter: None,
            within_group: vec![],
            ignore_nulls: None,
            identifier: None,
            is_internal: false,
        }
    }
}

impl Origin {
    /// The part of the program that is meant.
    pub fn fragment(&self) -> String {
        match self {
            Self::Sql { text, start, stop, .. } => text.chars().skip(*start).take(stop + 1 - start.min(stop)).collect(),
            Self::DataFrame { fragment, .. } => fragment.clone(),
        }
    }

    /// Line (from 1) and column (from 0) of the start in the SQL text.
    pub fn line_and_column(&self) -> (usize, usize) {
        match self {
            Self::Sql { text, start, .. } => {
                let before: String = text.chars().take(*start).collect();
                let line = before.matches('\n').count() + 1;
                (line, before.chars().rev().take_while(|c| *c != '\n').count())
            }
            Self::DataFrame { .. } => (0, 0),
        }
    }

    /// The text that error messages append, with a caret line under the fragment.
    pub fn summary(&self) -> String {
        match self {
            Self::DataFrame { fragment, call_site } => {
                format!("== DataFrame ==\n\"{fragment}\" was called from\n{call_site}\n")
            }
            Self::Sql { text, start, stop, object_type, object_name } => {
                let (line, column) = self.line_and_column();
                let object =
                    if object_type.is_empty() { String::new() } else { format!(" of {object_type} {object_name}") };
                let row = text.lines().nth(line - 1).unwrap_or("");
                let width = (stop + 1).saturating_sub(*start).min(row.chars().count().saturating_sub(column)).max(1);
                format!(
                    "== SQL{object} (line {line}, position {}) ==\n{row}\n{}{}\n",
                    column + 1,
                    " ".repeat(column),
                    "^".repeat(width)
                )
            }
        }
    }
}
