//! Scalar functions: a kernel on Arrow arrays, and the DataFusion UDF that carries it.
use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature as DfSignature, Volatility,
};
use firesteel_plan::{DataType, Origin, Result, SparkError};

use crate::context::EvalContext;
use crate::typed::TypedExpr;
use crate::types;

/// Computes a result array of `args.rows` rows whose Arrow type is that of `args.return_type`.
pub type Kernel = fn(&ScalarArgs<'_>) -> Result<ArrayRef>;

/// What a kernel gets.
pub struct ScalarArgs<'a> {
    pub values: &'a [ColumnarValue],
    /// 1 where all arguments are constants
    pub rows: usize,
    pub arg_types: &'a [DataType],
    pub return_type: &'a DataType,
    pub context: &'a EvalContext,
    /// What the builder fixed (a mode, a parsed format …)
    pub options: &'a [String],
    pub origin: Option<&'a Arc<Origin>>,
}

impl ScalarArgs<'_> {
    /// Argument `index` as an array of `rows` rows.
    pub fn array(&self, index: usize) -> Result<ArrayRef> {
        let value = self.values.get(index).ok_or_else(|| SparkError::internal(format!("no argument {index}")))?;
        value.to_array(self.rows).map_err(crate::scalar::from_datafusion)
    }

    /// The constant, if argument `index` is one.
    pub fn scalar(&self, index: usize) -> Option<&ScalarValue> {
        match self.values.get(index) {
            Some(ColumnarValue::Scalar(value)) => Some(value),
            _ => None,
        }
    }

    /// The constant string, if argument `index` is one and not NULL.
    pub fn scalar_str(&self, index: usize) -> Option<&str> {
        self.scalar(index).and_then(|value| value.try_as_str().flatten())
    }

    pub fn option(&self, index: usize) -> &str {
        self.options.get(index).map_or("", String::as_str)
    }

    /// The Arrow type of the result.
    pub fn arrow_type(&self) -> ArrowType {
        types::to_arrow(self.return_type)
    }

    /// Adds the place in the user's program to a runtime error.
    pub fn error(&self, error: SparkError) -> SparkError {
        error.with_origin(self.origin)
    }
}

/// A DataFusion error as ours; one of ours that travelled through DataFusion comes out as it was.
pub fn from_datafusion(error: datafusion::error::DataFusionError) -> SparkError {
    use datafusion::error::DataFusionError as E;
    match error {
        E::External(inner) => match inner.downcast::<SparkError>() {
            Ok(ours) => *ours,
            Err(other) => SparkError::internal(other.to_string()),
        },
        E::Context(_, inner) | E::Diagnostic(_, inner) => from_datafusion(*inner),
        E::Shared(inner) => match find_ours(inner.as_ref()) {
            Some(ours) => ours,
            None => SparkError::internal(inner.to_string()),
        },
        E::ArrowError(inner, _) => from_arrow(*inner),
        other => SparkError::internal(other.to_string()),
    }
}

/// An Arrow error as ours.
pub fn from_arrow(error: arrow::error::ArrowError) -> SparkError {
    match error {
        arrow::error::ArrowError::ExternalError(inner) => match inner.downcast::<SparkError>() {
            Ok(ours) => *ours,
            Err(inner) => match inner.downcast::<datafusion::error::DataFusionError>() {
                Ok(df) => from_datafusion(*df),
                Err(other) => SparkError::internal(other.to_string()),
            },
        },
        other => SparkError::internal(other.to_string()),
    }
}

fn find_ours(error: &(dyn std::error::Error + 'static)) -> Option<SparkError> {
    let mut current = Some(error);
    while let Some(e) = current {
        if let Some(ours) = e.downcast_ref::<SparkError>() {
            return Some(ours.clone());
        }
        if let Some(datafusion::error::DataFusionError::External(inner)) = e.downcast_ref()
            && let Some(ours) = inner.downcast_ref::<SparkError>()
        {
            return Some(ours.clone());
        }
        current = e.source();
    }
    None
}

/// One use of a Spark scalar function in a plan.
pub struct SparkScalar {
    pub name: &'static str,
    pub kernel: Kernel,
    pub arg_types: Vec<DataType>,
    pub return_type: DataType,
    pub nullable: bool,
    pub context: Arc<EvalContext>,
    pub options: Vec<String>,
    pub origin: Option<Arc<Origin>>,
    signature: DfSignature,
}

impl SparkScalar {
    /// The call as a typed expression. `sql` is `name(args…)`; callers replace it where Spark shows something else.
    pub fn call(
        name: &'static str,
        kernel: Kernel,
        args: Vec<TypedExpr>,
        return_type: DataType,
        nullable: bool,
        context: &Arc<EvalContext>,
    ) -> CallBuilder {
        let scalar = Self {
            name,
            kernel,
            arg_types: args.iter().map(|a| a.data_type.clone()).collect(),
            return_type,
            nullable,
            context: Arc::clone(context),
            options: vec![],
            origin: None,
            signature: signature(args.len(), Volatility::Immutable),
        };
        CallBuilder { scalar, args }
    }
}

/// The analyzer has checked the types; DataFusion only asks how many arguments there are.
fn signature(arguments: usize, volatility: Volatility) -> DfSignature {
    if arguments == 0 { DfSignature::nullary(volatility) } else { DfSignature::variadic_any(volatility) }
}

/// Finishes a [`SparkScalar::call`].
pub struct CallBuilder {
    scalar: SparkScalar,
    args: Vec<TypedExpr>,
}

impl CallBuilder {
    pub fn options(mut self, options: Vec<String>) -> Self {
        self.scalar.options = options;
        self
    }
    /// Evaluated again for every row, and never folded (`rand`, `uuid`).
    pub fn volatile(mut self) -> Self {
        self.scalar.signature = signature(self.args.len(), Volatility::Volatile);
        self
    }
    pub fn origin(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.scalar.origin = origin;
        self
    }
    pub fn build(self) -> TypedExpr {
        let Self { scalar, args } = self;
        let sql = format!("{}({})", scalar.name, args.iter().map(|a| a.sql.as_str()).collect::<Vec<_>>().join(", "));
        let (data_type, nullable, origin) = (scalar.return_type.clone(), scalar.nullable, scalar.origin.clone());
        let call = ScalarFunction {
            func: Arc::new(ScalarUDF::new_from_impl(scalar)),
            args: args.into_iter().map(|a| a.expr).collect(),
        };
        TypedExpr::new(Expr::ScalarFunction(call), data_type, nullable, sql).with_origin(origin)
    }
}

impl ScalarUDFImpl for SparkScalar {
    fn name(&self) -> &str {
        self.name
    }
    fn signature(&self) -> &DfSignature {
        &self.signature
    }
    fn return_type(&self, _: &[ArrowType]) -> DfResult<ArrowType> {
        Ok(types::to_arrow(&self.return_type))
    }
    fn is_nullable(&self, _: &[Expr], _: &dyn datafusion::common::ExprSchema) -> bool {
        true
    }
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)))
            && self.signature.volatility != Volatility::Volatile;
        let kernel_args = ScalarArgs {
            values: &args.args,
            rows: if constant { 1 } else { args.number_rows },
            arg_types: &self.arg_types,
            return_type: &self.return_type,
            context: &self.context,
            options: &self.options,
            origin: self.origin.as_ref(),
        };
        let array = (self.kernel)(&kernel_args).map_err(|error| {
            let error = error.with_origin(self.origin.as_ref());
            crate::recall::remember(&error);
            crate::external(error)
        })?;
        if constant {
            return ScalarValue::try_from_array(&array, 0).map(ColumnarValue::Scalar);
        }
        Ok(ColumnarValue::Array(array))
    }
}

impl std::fmt::Debug for SparkScalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl PartialEq for SparkScalar {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.arg_types == other.arg_types
            && self.return_type == other.return_type
            && self.options == other.options
            && self.context == other.context
            && self.signature.volatility == other.signature.volatility
    }
}
impl Eq for SparkScalar {}
impl Hash for SparkScalar {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.name, &self.return_type, &self.options).hash(state);
    }
}

/// A boolean array as a predicate kernel returns it.
pub fn as_boolean(array: &ArrayRef) -> Result<&arrow::array::BooleanArray> {
    array.as_boolean_opt().ok_or_else(|| SparkError::internal("a boolean array was expected"))
}

/// Lets kernels be told apart from other UDFs, for the cluster codec.
pub fn as_spark_scalar(udf: &ScalarUDF) -> Option<&SparkScalar> {
    let inner: &dyn Any = udf.inner().as_ref();
    inner.downcast_ref()
}
