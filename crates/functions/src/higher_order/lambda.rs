//! How a lambda runs.
//!
//! A call such as `transform(a, x -> x + b)` becomes an ordinary scalar function of its values *and of what its lambdas
//! read from outside* (here the column `b`); each lambda is kept as an expression over a private schema:
//!
//! ```text
//!  transform(a, x -> x + b)   ──▶   transform[λ: p0 + c0](a, b)
//!                                    p0: parameter 0, one row per element · c0: capture 0, repeated for each element
//! ```
//!
//! DataFusion has lambda expressions of its own, but plans their variables as positions behind the input's columns:
//! when a projection or filter is pushed to an input with other columns the positions no longer fit. Captures as
//! arguments are columns like any others to every optimizer rule, and nested lambdas need nothing more: an inner
//! lambda's capture of an outer parameter is an argument in the outer body.
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::execution_props::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::{PhysicalExpr, create_physical_expr};
use firesteel_plan::{DataType, Origin, Result};

use crate::context::EvalContext;
use crate::nested::conform;
use crate::registry::{BuildContext, ResolvedLambda};
use crate::scalar::{ScalarArgs, from_arrow, from_datafusion};
use crate::typed::TypedExpr;
use crate::types;

/// Computes the result from values and lambdas.
pub type LambdaKernel = fn(&LambdaArgs<'_>) -> Result<ArrayRef>;

/// What a kernel gets.
pub struct LambdaArgs<'a> {
    /// Values only; captures are apart.
    pub values: ScalarArgs<'a>,
    pub lambdas: &'a [Lambda],
    captures: &'a [ColumnarValue],
}

/// A lambda: its body over the columns `p0`, `p1` … (parameters) and `c0`, `c1` … (captures).
pub struct Lambda {
    parameters: Vec<DataType>,
    body: Expr,
    pub result: DataType,
    compiled: OnceLock<Arc<dyn PhysicalExpr>>,
}

fn compile(expr: &Expr, schema: &Arc<Schema>) -> Result<Arc<dyn PhysicalExpr>> {
    let schema = DFSchema::try_from(schema.as_ref().clone()).map_err(from_datafusion)?;
    create_physical_expr(expr, &schema, &ExecutionProps::new(), &PhysicalPlanningContext::default())
        .map_err(from_datafusion)
}

fn batch_of(schema: Arc<Schema>, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(from_arrow)
}

impl LambdaArgs<'_> {
    /// Evaluates lambda number `index` for `rows_of.len()` elements; `rows_of` are their rows in the batch, `parameters`
    /// has an array for each parameter. The result has the Arrow type of the lambda's result.
    pub fn evaluate(&self, index: usize, parameters: &[ArrayRef], rows_of: &UInt32Array) -> Result<ArrayRef> {
        let lambda = &self.lambdas[index];
        let result = types::to_arrow(&lambda.result);
        let count = rows_of.len();
        if count == 0 {
            return Ok(arrow::array::new_empty_array(&result));
        }
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (i, (array, data_type)) in parameters.iter().zip(&lambda.parameters).enumerate() {
            let array = conform(array, &types::to_arrow(data_type))?;
            fields.push(Field::new(parameter_name(i), array.data_type().clone(), true));
            columns.push(array);
        }
        for (i, capture) in self.captures.iter().enumerate() {
            let array = match capture {
                ColumnarValue::Scalar(value) => value.to_array_of_size(count).map_err(from_datafusion)?,
                ColumnarValue::Array(array) => take(array, rows_of, None).map_err(from_arrow)?,
            };
            fields.push(Field::new(capture_name(i), array.data_type().clone(), true));
            columns.push(array);
        }
        let schema = Arc::new(Schema::new(fields));
        let compiled = match lambda.compiled.get() {
            Some(compiled) => compiled,
            None => {
                let compiled = compile(&lambda.body, &schema)?;
                lambda.compiled.get_or_init(|| compiled)
            }
        };
        let value = compiled.evaluate(&batch_of(schema, columns, count)?).map_err(from_datafusion)?;
        conform(&value.into_array(count).map_err(from_datafusion)?, &result)
    }
}

fn parameter_name(index: usize) -> String {
    format!("p{index}")
}
fn capture_name(index: usize) -> String {
    format!("c{index}")
}

/// A call of a function that takes lambdas, being put together.
pub struct LambdaCall {
    name: &'static str,
    kernel: LambdaKernel,
    values: Vec<TypedExpr>,
    captures: Vec<Expr>,
    lambdas: Vec<Lambda>,
    volatile: bool,
}

impl LambdaCall {
    pub fn new(name: &'static str, kernel: LambdaKernel, values: Vec<TypedExpr>) -> Self {
        Self { name, kernel, values, captures: vec![], lambdas: vec![], volatile: false }
    }

    /// Adds a lambda; `parameters` are the types it was resolved with.
    pub fn lambda(mut self, lambda: &ResolvedLambda, parameters: &[(DataType, bool)]) -> Result<Self> {
        let captures = &mut self.captures;
        let mut volatile = false;
        let body = lambda.body.expr.clone().transform_down(|node| {
            if let Expr::ScalarFunction(call) = &node {
                volatile |= call.func.signature().volatility == Volatility::Volatile;
            }
            let own = match &node {
                Expr::LambdaVariable(variable) => lambda.parameters.iter().position(|name| *name == variable.name),
                _ => None,
            };
            if let Some(index) = own {
                return Ok(Transformed::new(column(parameter_name(index)), true, TreeNodeRecursion::Jump));
            }
            if !is_captured(&node) {
                return Ok(Transformed::no(node));
            }
            let index = captures.iter().position(|known| *known == node).unwrap_or_else(|| {
                captures.push(node);
                captures.len() - 1
            });
            Ok(Transformed::new(column(capture_name(index)), true, TreeNodeRecursion::Jump))
        });
        let body = body.map_err(from_datafusion)?.data;
        self.volatile |= volatile;
        let parameters = parameters.iter().map(|(data_type, _)| data_type.clone()).collect();
        let result = lambda.body.data_type.clone();
        self.lambdas.push(Lambda { parameters, body, result, compiled: OnceLock::new() });
        Ok(self)
    }

    pub fn build(self, context: &BuildContext<'_>, return_type: DataType, nullable: bool, sql: String) -> TypedExpr {
        let volatility = if self.volatile { Volatility::Volatile } else { Volatility::Immutable };
        let udf = LambdaFunction {
            name: self.name,
            kernel: self.kernel,
            arg_types: self.values.iter().map(|v| v.data_type.clone()).collect(),
            lambdas: self.lambdas,
            return_type: return_type.clone(),
            context: Arc::clone(context.eval),
            origin: context.origin.clone(),
            signature: Signature::variadic_any(volatility),
        };
        let args = self.values.into_iter().map(|v| v.expr).chain(self.captures).collect();
        let call = ScalarFunction { func: Arc::new(ScalarUDF::new_from_impl(udf)), args };
        TypedExpr::new(Expr::ScalarFunction(call), return_type, nullable, sql).with_origin(context.origin.clone())
    }
}

fn column(name: String) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// What a body reads from outside, as a whole.
fn is_captured(node: &Expr) -> bool {
    matches!(
        node,
        Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::LambdaVariable(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::ScalarSubquery(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
    )
}

/// The DataFusion function of one such call. Its first arguments are the values, the rest the captures.
pub struct LambdaFunction {
    name: &'static str,
    kernel: LambdaKernel,
    arg_types: Vec<DataType>,
    lambdas: Vec<Lambda>,
    return_type: DataType,
    context: Arc<EvalContext>,
    origin: Option<Arc<Origin>>,
    signature: Signature,
}

impl ScalarUDFImpl for LambdaFunction {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &Signature {
        &self.signature
    }
    fn return_type(&self, _: &[ArrowType]) -> DfResult<ArrowType> {
        Ok(types::to_arrow(&self.return_type))
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let volatile = self.signature.volatility == Volatility::Volatile;
        let constant = !volatile && args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let (values, captures) = args.args.split_at(self.arg_types.len().min(args.args.len()));
        let values = ScalarArgs {
            values,
            rows: if constant { 1 } else { args.number_rows },
            arg_types: &self.arg_types,
            return_type: &self.return_type,
            context: &self.context,
            options: &[],
            origin: self.origin.as_ref(),
        };
        let lambda_args = LambdaArgs { values, lambdas: &self.lambdas, captures };
        let array = (self.kernel)(&lambda_args).map_err(|e| crate::external(e.with_origin(self.origin.as_ref())))?;
        if constant {
            return ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl std::fmt::Debug for LambdaFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct(self.name).field("lambdas", &self.lambdas).finish()
    }
}

impl std::fmt::Debug for Lambda {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.body)
    }
}

impl PartialEq for Lambda {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.parameters == other.parameters && self.result == other.result
    }
}

impl PartialEq for LambdaFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.arg_types == other.arg_types
            && self.lambdas == other.lambdas
            && self.return_type == other.return_type
            && self.context == other.context
            && self.signature.volatility == other.signature.volatility
    }
}
impl Eq for LambdaFunction {}
impl Hash for LambdaFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, &self.return_type).hash(state);
        self.lambdas.iter().for_each(|lambda| lambda.body.hash(state));
    }
}
