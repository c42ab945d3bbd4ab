//! SQL functions: their bodies' surroundings, and what CREATE FUNCTION checks.
use firesteel_functions::cast::{CastMode, cast};
use firesteel_plan::identifier::{qualified_name, quoted_name};
use firesteel_plan::{Expr, ExprKind, Relation, RelationKind, Result, SparkError};

use super::Scope;
use crate::analyzer::Analyzer;
use crate::context::{SqlFunction, SqlFunctionBody};
use crate::scope::Attribute;

impl Analyzer<'_> {
    /// An analyzer for the function's body. A function that is reached from its own body is an error.
    pub(crate) fn body_of<'f>(&self, function: &'f SqlFunction) -> Result<Analyzer<'f>> {
        let name = qualified_name(&function.name);
        let nested = self.nested(function.context.as_ref(), &function.name)?;
        let mut path = nested.routines.borrow_mut();
        let is_cycle = path.iter().any(|known| known.eq_ignore_ascii_case(&name));
        path.push(name);
        if is_cycle {
            return Err(SparkError::new("CYCLIC_FUNCTION_REFERENCE", [("path", path.join(" -> "))]));
        }
        drop(path);
        if function.reads_data {
            self.reads_data.set(true);
        }
        Ok(nested)
    }

    /// Analyzes a function's defaults and body with parameters that stand for any value. Answers whether it reads data.
    pub fn check_function(&self, function: &SqlFunction, body_text: &str) -> Result<bool> {
        self.check_defaults(function)?;
        let parameters = function.parameters.iter().map(|p| Attribute::new(&p.name, p.data_type.clone(), true));
        let carried: Vec<Attribute> = parameters.collect();
        let values = carried.iter().map(|a| (a.name.clone(), a.typed())).collect();
        let nested = self.body_of(function)?;
        let scope = Scope { carried, routine: function.name.last().cloned(), ..Scope::empty() };
        scope.lambdas.borrow_mut().push(values);
        match &function.body {
            SqlFunctionBody::Scalar { expr, returns } => {
                let body = nested.expression(expr, &scope)?;
                if body.has_aggregate() || body.has_window() {
                    return Err(SparkError::new(
                        "USER_DEFINED_FUNCTIONS.CANNOT_CONTAIN_COMPLEX_FUNCTIONS",
                        [("queryText", body_text)],
                    ));
                }
                if let Some(returns) = returns {
                    cast(body, returns, CastMode::of(&nested.eval), &nested.eval)?;
                }
            }
            SqlFunctionBody::Table { query, returns } => {
                if returns.is_none() && lacks_names(query) {
                    let name = function.name.last().cloned().unwrap_or_default();
                    return Err(SparkError::new(
                        "USER_DEFINED_FUNCTIONS.SQL_TABLE_UDF_MISSING_COLUMN_NAMES",
                        [("functionName", quoted_name(&[name]))],
                    ));
                }
                let resolved = nested.subquery(query, &scope)?;
                if let Some(returns) = returns
                    && returns.fields.len() != resolved.output.len()
                {
                    return Err(SparkError::new(
                        "USER_DEFINED_FUNCTIONS.RETURN_COLUMN_COUNT_MISMATCH",
                        [
                            ("name", qualified_name(&function.name)),
                            ("outputSize", resolved.output.len().to_string()),
                            ("returnParamSize", returns.fields.len().to_string()),
                        ],
                    ));
                }
            }
        }
        Ok(self.reads_data.get())
    }

    fn check_defaults(&self, function: &SqlFunction) -> Result<()> {
        for parameter in &function.parameters {
            let Some(default) = &parameter.default else { continue };
            let typed = self.constant(default)?;
            if typed.has_subquery() || typed.has_aggregate() || typed.has_window() {
                return Err(SparkError::new(
                    "USER_DEFINED_FUNCTIONS.NOT_A_VALID_DEFAULT_EXPRESSION",
                    [
                        ("functionName", function.name.last().cloned().unwrap_or_default()),
                        ("parameterName", parameter.name.clone()),
                    ],
                ));
            }
            cast(typed, &parameter.data_type, CastMode::of(&self.eval), &self.eval)?;
        }
        Ok(())
    }
}

/// Whether the query is a select list with expressions that nobody has named. (Spark looks no further.)
fn lacks_names(query: &Relation) -> bool {
    let is_named = |item: &Expr| {
        matches!(
            item.kind.as_ref(),
            ExprKind::Alias { .. } | ExprKind::Attribute { .. } | ExprKind::Star { .. } | ExprKind::Regex { .. }
        )
    };
    matches!(query.kind.as_ref(), RelationKind::Project { expressions, .. } if !expressions.iter().all(is_named))
}
