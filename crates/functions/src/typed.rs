//! A resolved expression: DataFusion's, with the Spark type that Arrow alone cannot tell.
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::Expr;
use firesteel_plan::{DataType, Origin};

/// An expression whose names are looked up and whose type is known.
#[derive(Debug, Clone)]
pub struct TypedExpr {
    pub expr: Expr,
    pub data_type: DataType,
    pub nullable: bool,
    /// The text Spark shows for it, which names the output column: `(a + 1)`, `sum(x)`, `CAST(a AS INT)`.
    pub sql: String,
    pub origin: Option<Arc<Origin>>,
}

impl TypedExpr {
    pub fn new(expr: Expr, data_type: DataType, nullable: bool, sql: impl Into<String>) -> Self {
        Self { expr, data_type, nullable, sql: sql.into(), origin: None }
    }

    pub fn literal(value: ScalarValue, data_type: DataType, sql: impl Into<String>) -> Self {
        let nullable = value.is_null();
        Self::new(Expr::Literal(value, None), data_type, nullable, sql)
    }

    pub fn string(value: impl Into<String>) -> Self {
        let value = value.into();
        Self::literal(ScalarValue::Utf8(Some(value.clone())), DataType::STRING, value)
    }

    pub fn int(value: i32) -> Self {
        Self::literal(ScalarValue::Int32(Some(value)), DataType::Integer, value.to_string())
    }

    pub fn boolean(value: bool) -> Self {
        Self::literal(ScalarValue::Boolean(Some(value)), DataType::Boolean, value.to_string())
    }

    pub fn null(data_type: DataType) -> Self {
        let value = crate::types::null_value(&data_type);
        Self::literal(value, data_type, "NULL")
    }

    pub fn with_sql(mut self, sql: impl Into<String>) -> Self {
        self.sql = sql.into();
        self
    }

    pub fn with_origin(mut self, origin: Option<Arc<Origin>>) -> Self {
        self.origin = origin;
        self
    }

    pub fn with_nullable(mut self, nullable: bool) -> Self {
        self.nullable = nullable;
        self
    }

    /// The constant, where the expression is written as one (aliases looked through, nothing is evaluated).
    pub fn as_literal(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            Expr::Alias(alias) => match alias.expr.as_ref() {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The constant string, where the expression is written as one.
    pub fn as_string_literal(&self) -> Option<&str> {
        self.as_literal().and_then(|value| value.try_as_str().flatten())
    }

    /// Spark's `foldable`: no column, no subquery, nothing random below.
    pub fn is_foldable(&self) -> bool {
        !self.any(|node| {
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
            ) || matches!(node, Expr::ScalarFunction(call)
                if call.func.signature().volatility == datafusion::logical_expr::Volatility::Volatile)
        })
    }

    pub fn has_aggregate(&self) -> bool {
        self.any(|node| matches!(node, Expr::AggregateFunction(_)))
    }

    pub fn has_window(&self) -> bool {
        self.any(|node| matches!(node, Expr::WindowFunction(_)))
    }

    /// Whether it reads a column of a row around its query.
    pub fn has_outer_reference(&self) -> bool {
        self.any(|node| matches!(node, Expr::OuterReferenceColumn(..)))
    }

    pub fn has_subquery(&self) -> bool {
        self.any(|node| matches!(node, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_)))
    }

    /// Whether any node below satisfies `test` (subquery plans are not entered).
    pub fn any(&self, test: impl Fn(&Expr) -> bool) -> bool {
        let mut found = false;
        // The visitor itself cannot fail.
        let _ = self.expr.apply(|node| {
            found = found || test(node);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        found
    }
}
