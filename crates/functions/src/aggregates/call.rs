//! Builds the expression of an aggregate call: checked arguments, constants and the name that Spark shows.
use std::sync::Arc;

use arrow::datatypes::DataType as ArrowType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::{AggregateUDF, Expr};
use firesteel_plan::{DataType, Result, SparkError};

use super::udaf::{AggregateCall, AggregateKernel, SparkAggregate};
use crate::coerce;
use crate::fold::fold;
use crate::quote;
use crate::registry::{Arguments, BuildContext, Built, OrderBy};
use crate::signature::Accept;
use crate::typed::TypedExpr;

/// The value of an expression without columns.
pub fn constant(expr: &TypedExpr) -> Result<ScalarValue> {
    fold(expr)?.ok_or_else(|| SparkError::internal(format!("{} is not constant", expr.sql)))
}

/// A call on its way to an expression.
pub struct AggregateBuilder<'a, 'b> {
    context: &'a BuildContext<'b>,
    values: Vec<TypedExpr>,
    distinct: bool,
    filter: Option<TypedExpr>,
    pub order_by: Vec<OrderBy>,
    pub ignore_nulls: Option<bool>,
    /// `name(a, b)` as written, without FILTER
    sql: String,
}

impl<'a, 'b> AggregateBuilder<'a, 'b> {
    pub fn new(context: &'a BuildContext<'b>, arguments: Arguments<'_>) -> Result<Self> {
        if let Some((position, _)) = arguments.lambdas.first() {
            return Err(SparkError::new(
                "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION",
                [("class", context.called_as.to_string()), ("position", position.to_string())],
            ));
        }
        let written: Vec<&str> = arguments.values.iter().map(|v| v.sql.as_str()).collect();
        let distinct = if arguments.distinct { "DISTINCT " } else { "" };
        let sql = format!("{}({distinct}{})", context.called_as.to_lowercase(), written.join(", "));
        Ok(Self {
            context,
            values: arguments.values,
            distinct: arguments.distinct,
            filter: arguments.filter,
            order_by: arguments.order_by,
            ignore_nulls: arguments.ignore_nulls,
            sql,
        })
    }

    pub fn value(&self, index: usize) -> &TypedExpr {
        &self.values[index]
    }

    pub fn values(&self) -> &[TypedExpr] {
        &self.values
    }

    pub fn set_values(&mut self, values: Vec<TypedExpr>) {
        self.values = values;
    }

    pub fn take_values(&mut self) -> Vec<TypedExpr> {
        std::mem::take(&mut self.values)
    }

    pub fn is_distinct(&self) -> bool {
        self.distinct
    }

    pub fn set_distinct(&mut self, distinct: bool) {
        self.distinct = distinct;
    }

    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Replaces the text that Spark shows for the call.
    pub fn set_sql(&mut self, sql: impl Into<String>) {
        self.sql = sql.into();
    }

    /// Casts the arguments to what is accepted, or fails as Spark does.
    pub fn accept(&mut self, accepts: &[Accept]) -> Result<()> {
        let values = std::mem::take(&mut self.values);
        let sql = self.sql.clone();
        self.values = coerce::arguments(&sql, accepts, values, self.context)?;
        Ok(())
    }

    /// The value of argument `index`, which must not depend on a row.
    pub fn constant(&self, index: usize, parameter: &str) -> Result<ScalarValue> {
        let value = self.value(index);
        if !value.is_foldable() {
            let error = quote::mismatch(
                "NON_FOLDABLE_INPUT",
                &self.sql,
                [
                    ("inputName", quote::sql_id(parameter)),
                    ("inputType", quote::sql_type(&value.data_type)),
                    ("inputExpr", quote::sql_expr(&value.sql)),
                ],
            );
            return Err(self.fail(error));
        }
        constant(value)
    }

    pub fn fail(&self, error: SparkError) -> SparkError {
        error.with_origin(self.context.origin.as_ref())
    }

    pub fn context(&self) -> &'a BuildContext<'b> {
        self.context
    }

    fn wrap(self, func: Arc<AggregateUDF>, data_type: DataType, nullable: bool) -> Built {
        let sql = match &self.filter {
            Some(filter) => format!("{} FILTER (WHERE {})", self.sql, filter.sql),
            None => self.sql,
        };
        let params = AggregateFunctionParams {
            args: self.values.into_iter().map(|v| v.expr).collect(),
            distinct: self.distinct,
            filter: self.filter.map(|f| Box::new(f.expr)),
            order_by: vec![],
            null_treatment: None,
        };
        let expr = Expr::AggregateFunction(AggregateFunction { func, params });
        Built::Expr(TypedExpr::new(expr, data_type, nullable, sql).with_origin(self.context.origin.clone()))
    }

    /// A call of one of ours.
    pub fn finish(
        self,
        name: &'static str,
        kernel: AggregateKernel,
        return_type: DataType,
        nullable: bool,
        options: Vec<String>,
        constants: Vec<ScalarValue>,
    ) -> Result<Built> {
        let call = AggregateCall {
            name,
            kernel,
            arg_types: self.values.iter().map(|v| v.data_type.clone()).collect(),
            return_type: return_type.clone(),
            context: Arc::clone(self.context.eval),
            options,
            constants,
            origin: self.context.origin.clone(),
        };
        let func = Arc::new(AggregateUDF::new_from_impl(SparkAggregate::new(call)));
        Ok(self.wrap(func, return_type, nullable))
    }

    /// A call of DataFusion's own, where it is provably equal.
    pub fn native(self, func: Arc<AggregateUDF>, return_type: DataType, nullable: bool) -> Result<Built> {
        Ok(self.wrap(func, return_type, nullable))
    }

    /// Adds the WITHIN GROUP keys as arguments, and their directions as options (`desc`, `nulls first` …).
    pub fn order_as_arguments(&mut self) -> Vec<String> {
        let keys = std::mem::take(&mut self.order_by);
        let options = keys.iter().map(direction_option).collect();
        self.values.extend(keys.into_iter().map(|key| key.expr));
        options
    }
}

/// `ASC NULLS FIRST`
pub fn direction_option(key: &OrderBy) -> String {
    let direction = if key.ascending { "ASC" } else { "DESC" };
    format!("{direction} NULLS {}", if key.nulls_first { "FIRST" } else { "LAST" })
}

/// `a ASC NULLS FIRST, b DESC NULLS LAST`
pub fn order_sql(keys: &[OrderBy]) -> String {
    let texts: Vec<String> = keys.iter().map(|k| format!("{} {}", k.expr.sql, direction_option(k))).collect();
    texts.join(", ")
}

/// The Arrow type of a list of these, as a Spark array.
pub fn list_type(element: ArrowType, contains_null: bool) -> ArrowType {
    use arrow::datatypes::Field;
    ArrowType::List(Arc::new(Field::new(crate::types::LIST_ELEMENT, element, contains_null)))
}
