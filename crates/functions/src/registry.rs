//! The one registry. SQL, DataFrames, SHOW FUNCTIONS, DESCRIBE FUNCTION and the cluster codec all read it.
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use firesteel_plan::{DataType, Origin, Result, SparkError};

use crate::context::EvalContext;
use crate::signature::Signature;
use crate::typed::TypedExpr;

/// One function.
pub struct Function {
    /// Spark's name, lower case.
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub kind: FunctionKind,
    /// Spark's group: `string_funcs`, `agg_funcs` …
    pub group: &'static str,
    /// Names of the parameters, where it can be called with named arguments.
    pub parameters: &'static [&'static str],
    pub build: Build,
    /// One line: `upper(str) - Returns str in upper case.` Our own words.
    pub usage: &'static str,
    /// `(SQL, result)` of examples of our own.
    pub examples: &'static [(&'static str, &'static str)],
    /// Spark version that brought it.
    pub since: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    Scalar,
    Aggregate,
    /// Needs OVER (rank, lag …); aggregates take it too.
    Window,
    Generator,
    /// Only in FROM (range, …)
    Table,
}

/// How a call becomes an expression.
pub enum Build {
    /// A scalar function with declared argument types.
    Signature(Signature),
    /// Anything else.
    Custom(fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>),
    /// Resolved by the analyzer itself because it needs the plan (`grouping_id`, `window`, `current_database` …).
    Analyzer,
}

/// What the call is made in.
pub struct BuildContext<'a> {
    /// The name it was called by (an alias shows in the output name).
    pub called_as: &'a str,
    pub eval: &'a Arc<EvalContext>,
    pub origin: Option<Arc<Origin>>,
    /// Written as an operator (`-x`), not called by name (`negative(x)`)
    pub is_operator: bool,
}

/// The arguments of a call and what SQL attached to it.
#[derive(Default)]
pub struct Arguments<'a> {
    pub values: Vec<TypedExpr>,
    /// Lambdas by the position they were written at (values and lambdas together count from 0).
    pub lambdas: Vec<(usize, LambdaArgument<'a>)>,
    pub distinct: bool,
    pub filter: Option<TypedExpr>,
    pub order_by: Vec<OrderBy>,
    pub ignore_nulls: Option<bool>,
}

/// WITHIN GROUP (ORDER BY …)
#[derive(Debug, Clone)]
pub struct OrderBy {
    pub expr: TypedExpr,
    pub ascending: bool,
    pub nulls_first: bool,
}

/// A lambda whose body is resolved once the function says what its parameters are.
pub struct LambdaArgument<'a> {
    pub parameter_count: usize,
    /// Takes type and nullability of each parameter.
    pub resolve: Box<dyn Fn(&[(DataType, bool)]) -> Result<ResolvedLambda> + 'a>,
}

/// `parameters` are unique names; the body refers to them as `Expr::LambdaVariable`.
#[derive(Debug, Clone)]
pub struct ResolvedLambda {
    pub parameters: Vec<String>,
    pub body: TypedExpr,
}

/// What a call became.
pub enum Built {
    /// A scalar or aggregate expression (an aggregate may sit below scalar nodes), or a window function without its
    /// window (`Expr::WindowFunction` with an empty specification, which the analyzer fills in).
    Expr(TypedExpr),
    Generator(Generator),
}

/// A function that makes rows: an array of structs per input row, which the analyzer unnests.
#[derive(Debug, Clone)]
pub struct Generator {
    pub name: String,
    /// `ARRAY<STRUCT<…>>`; NULL or empty: no row.
    pub rows: TypedExpr,
    /// Default names, types and nullability of the output columns: the struct's fields.
    pub columns: Vec<(String, DataType, bool)>,
    /// `explode_outer` and the like: one row of NULLs where there is none.
    pub outer: bool,
}

impl Arguments<'_> {
    /// Errors with `WRONG_NUM_ARGS` unless the count is in `range`.
    pub fn expect(&self, name: &str, least: usize, most: usize) -> Result<()> {
        let count = self.values.len() + self.lambdas.len();
        if (least..=most).contains(&count) { Ok(()) } else { Err(wrong_num_args(name, least, most, count)) }
    }

    /// The only argument.
    pub fn one(mut self, name: &str) -> Result<TypedExpr> {
        self.expect(name, 1, 1)?;
        self.values.pop().ok_or_else(|| wrong_num_args(name, 1, 1, 0))
    }

    pub fn two(mut self, name: &str) -> Result<(TypedExpr, TypedExpr)> {
        self.expect(name, 2, 2)?;
        match (self.values.pop(), self.values.pop()) {
            (Some(b), Some(a)) => Ok((a, b)),
            _ => Err(wrong_num_args(name, 2, 2, 0)),
        }
    }
}

/// `WRONG_NUM_ARGS.WITHOUT_SUGGESTION` as Spark words its numbers.
pub fn wrong_num_args(name: &str, least: usize, most: usize, actual: usize) -> SparkError {
    if most == usize::MAX {
        return wrong_count(name, format!("> {}", least.saturating_sub(1)), actual);
    }
    wrong_counts(name, &(least..=most).collect::<Vec<_>>(), actual)
}

/// The same where only some numbers of arguments are right.
pub fn wrong_counts(name: &str, counts: &[usize], actual: usize) -> SparkError {
    let all: Vec<_> = counts.iter().map(ToString::to_string).collect();
    wrong_count(name, if all.len() == 1 { all.join("") } else { format!("[{}]", all.join(", ")) }, actual)
}

fn wrong_count(name: &str, expected: String, actual: usize) -> SparkError {
    SparkError::new(
        "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
        [
            ("functionName", format!("`{name}`")),
            ("expectedNum", expected),
            ("actualNum", actual.to_string()),
            ("docroot", "https://spark.apache.org/docs/latest".to_string()),
        ],
    )
}

impl Function {
    /// A scalar function with a builder of its own, for tables.
    pub const fn custom(
        name: &'static str,
        group: &'static str,
        since: &'static str,
        build: fn(&BuildContext<'_>, Arguments<'_>) -> Result<Built>,
        usage: &'static str,
        examples: &'static [(&'static str, &'static str)],
    ) -> Self {
        let build = Build::Custom(build);
        Self { name, aliases: &[], kind: FunctionKind::Scalar, group, parameters: &[], build, usage, examples, since }
    }

    pub const fn with_aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    pub const fn with_parameters(mut self, parameters: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self
    }

    pub const fn with_kind(mut self, kind: FunctionKind) -> Self {
        self.kind = kind;
        self
    }

    /// Resolves a call.
    pub fn call(&self, context: &BuildContext<'_>, arguments: Arguments<'_>) -> Result<Built> {
        if !arguments.lambdas.is_empty() && self.group != crate::higher_order::GROUP {
            let class = [("class", self.name.to_string())];
            let error = SparkError::new("INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION", class);
            return Err(error.with_origin(context.origin.as_ref()));
        }
        let given = arguments.values.len() + arguments.lambdas.len();
        let types: Vec<DataType> = arguments.values.iter().map(|value| value.data_type.clone()).collect();
        let built = match &self.build {
            Build::Signature(signature) => signature.build(self, context, arguments).map(Built::Expr),
            Build::Custom(build) => {
                let values = crate::coerce::collations::unify_side_by_side(self.name, arguments.values, context)?;
                build(context, Arguments { values, ..arguments })
            }
            Build::Analyzer => {
                return Err(SparkError::internal(format!("{} is resolved by the analyzer", self.name)));
            }
        };
        let built = built.map_err(|error| crate::counts::as_shown(error, self, context, given))?;
        crate::datetime::time_type::check_call(self, &types, &built, context.eval)?;
        Ok(built)
    }
}

/// Every family's table.
static FAMILIES: &[&[Function]] = &[
    crate::sketches::count_min::FUNCTIONS,
    crate::sketches::hll::FUNCTIONS,
    crate::sketches::kll::AGGREGATES,
    crate::sketches::kll::SCALARS,
    crate::sketches::theta::FUNCTIONS,
    crate::sketches::top_k::AGGREGATES,
    crate::sketches::top_k::SCALARS,
    crate::sketches::tuple::AGGREGATES,
    crate::sketches::tuple::SCALARS,
    crate::arithmetic::FUNCTIONS,
    crate::cast::functions::FUNCTIONS,
    crate::comparison::FUNCTIONS,
    crate::conditional::FUNCTIONS,
    crate::math::doubles::FUNCTIONS,
    crate::math::integers::FUNCTIONS,
    crate::math::radix::FUNCTIONS,
    crate::math::rounding::FUNCTIONS,
    crate::misc::FUNCTIONS,
    crate::predicates::FUNCTIONS,
    crate::arrays::access::FUNCTIONS,
    crate::arrays::create::FUNCTIONS,
    crate::arrays::edit::FUNCTIONS,
    crate::arrays::join::FUNCTIONS,
    crate::arrays::order::FUNCTIONS,
    crate::arrays::search::FUNCTIONS,
    crate::arrays::sequence::FUNCTIONS,
    crate::arrays::sets::FUNCTIONS,
    crate::collation::FUNCTIONS,
    crate::connectors::FUNCTIONS,
    crate::crypto::FUNCTIONS,
    crate::generators::FUNCTIONS,
    crate::generators::constants::FUNCTIONS,
    crate::geo::FUNCTIONS,
    crate::grouping::FUNCTIONS,
    crate::hashes::digests::FUNCTIONS,
    crate::hashes::values::FUNCTIONS,
    crate::higher_order::aggregate::FUNCTIONS,
    crate::higher_order::arrays::FUNCTIONS,
    crate::higher_order::maps::FUNCTIONS,
    crate::maps::build::FUNCTIONS,
    crate::maps::read::FUNCTIONS,
    crate::java_methods::FUNCTIONS,
    crate::json::csv::FUNCTIONS,
    crate::json::structs::FUNCTIONS,
    crate::json::text::FUNCTIONS,
    crate::json::xml::FUNCTIONS,
    crate::partition_dependent::FUNCTIONS,
    crate::regex::functions::FUNCTIONS,
    crate::regex::like::FUNCTIONS,
    crate::regex::like::INTERNAL,
    crate::strings::binary_text::FUNCTIONS,
    crate::strings::case::FUNCTIONS,
    crate::strings::charset::FUNCTIONS,
    crate::strings::concat::FUNCTIONS,
    crate::strings::distance::FUNCTIONS,
    crate::strings::format_number::FUNCTIONS,
    crate::strings::format_string::FUNCTIONS,
    crate::strings::length::FUNCTIONS,
    crate::strings::mask::FUNCTIONS,
    crate::strings::number_functions::FUNCTIONS,
    crate::strings::pad::FUNCTIONS,
    crate::strings::replace::FUNCTIONS,
    crate::strings::search::FUNCTIONS,
    crate::strings::sentences::FUNCTIONS,
    crate::strings::substring::FUNCTIONS,
    crate::strings::trim::FUNCTIONS,
    crate::structs::FUNCTIONS,
    crate::url::FUNCTIONS,
    crate::aggregates::bitmaps::FUNCTIONS,
    crate::aggregates::bits::FUNCTIONS,
    crate::aggregates::collect::FUNCTIONS,
    crate::aggregates::counts::FUNCTIONS,
    crate::aggregates::extremes::FUNCTIONS,
    crate::aggregates::first_last::FUNCTIONS,
    crate::aggregates::hll::FUNCTIONS,
    crate::aggregates::linear::FUNCTIONS,
    crate::aggregates::moments::FUNCTIONS,
    crate::aggregates::percentile_approx::FUNCTIONS,
    crate::aggregates::percentiles::FUNCTIONS,
    crate::aggregates::product::FUNCTIONS,
    crate::aggregates::sums::FUNCTIONS,
    crate::aggregates::variant_schema::FUNCTIONS,
    crate::aggregates::vectors::FUNCTIONS,
    crate::datetime::arithmetic::FUNCTIONS,
    crate::datetime::bucket::FUNCTIONS,
    crate::datetime::convert::FUNCTIONS,
    crate::datetime::current::FUNCTIONS,
    crate::datetime::fields::FUNCTIONS,
    crate::datetime::make::FUNCTIONS,
    crate::datetime::windows::FUNCTIONS,
    crate::interval::make::FUNCTIONS,
    crate::window_functions::FUNCTIONS,
    crate::variant::functions::FUNCTIONS,
    crate::vectors::FUNCTIONS,
    crate::xml::functions::FUNCTIONS,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static Function>> = LazyLock::new(|| {
    let all = FAMILIES.iter().flat_map(|family| family.iter());
    all.flat_map(|f| std::iter::once(f.name).chain(f.aliases.iter().copied()).map(move |name| (name, f))).collect()
});

/// The function of that name or alias, in any case.
pub fn lookup(name: &str) -> Option<&'static Function> {
    match BY_NAME.get(name) {
        Some(function) => Some(function),
        None => BY_NAME.get(name.to_lowercase().as_str()).copied(),
    }
}

/// All names and aliases, sorted.
pub fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = BY_NAME.keys().copied().collect();
    names.sort_unstable();
    names
}
