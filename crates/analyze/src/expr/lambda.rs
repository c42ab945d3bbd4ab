//! Lambdas: `x -> x + 1`. Their parameters are unique names, read as lambda variables.
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::logical_expr::Expr as DfExpr;
use datafusion::logical_expr::expr::LambdaVariable;
use firesteel_functions::registry::{LambdaArgument, ResolvedLambda};
use firesteel_functions::{TypedExpr, types};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, Expr, Result, SparkError};

use super::Scope;
use crate::analyzer::Analyzer;
use crate::scope::fresh_id;

impl Analyzer<'_> {
    /// The innermost lambda parameter (or SQL function parameter) of that name.
    pub(super) fn lambda_variable(&self, name: &[String], scope: &Scope) -> Result<Option<TypedExpr>> {
        // A parameter of a SQL function may be qualified by the function's name.
        let name = match (&scope.routine, name) {
            (Some(routine), [first, rest @ ..]) if !rest.is_empty() && self.same_name(routine, first) => rest,
            _ => name,
        };
        let found = {
            let frames = scope.lambdas.borrow();
            let mut variables = frames.iter().rev().flat_map(|frame| frame.iter());
            variables.find(|(n, _)| self.same_name(n, &name[0])).map(|(_, typed)| typed.clone())
        };
        let Some(variable) = found else { return Ok(None) };
        let value = name[1..].iter().try_fold(variable, |value, field| {
            firesteel_functions::structs::extract_value(value, TypedExpr::string(field.clone()), &self.eval)
        })?;
        Ok(Some(value))
    }

    /// Whether the name is that of a parameter of the SQL function around, or of a field of one.
    pub(super) fn is_routine_parameter(&self, name: &[String], scope: &Scope) -> Result<bool> {
        if scope.routine.is_some() {
            return Ok(self.lambda_variable(name, scope)?.is_some());
        }
        let is_column = scope.all_columns().any(|a| name.first().is_some_and(|first| self.same_name(&a.name, first)));
        if is_column || self.lambda_variable(name, scope)?.is_some() {
            return Ok(false);
        }
        let around = self.outer.borrow().clone();
        for scope in around.iter().filter(|around| around.routine.is_some()) {
            if self.lambda_variable(name, scope)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn lambda<'s>(
        &'s self,
        parameters: &'s [String],
        body: &'s Expr,
        scope: &'s Scope,
    ) -> LambdaArgument<'s> {
        let resolve = move |given: &[(DataType, bool)]| -> Result<ResolvedLambda> {
            self.resolve_lambda(parameters, body, given, scope)
        };
        LambdaArgument { parameter_count: parameters.len(), resolve: Box::new(resolve) }
    }

    fn resolve_lambda(
        &self,
        parameters: &[String],
        body: &Expr,
        given: &[(DataType, bool)],
        scope: &Scope,
    ) -> Result<ResolvedLambda> {
        for (index, name) in parameters.iter().enumerate() {
            if parameters[..index].iter().any(|earlier| self.same_name(earlier, name)) {
                return Err(SparkError::new(
                    "INVALID_LAMBDA_FUNCTION_CALL.DUPLICATE_ARG_NAMES",
                    [
                        ("args", quoted_name(parameters).replace('.', ", ")),
                        ("caseSensitiveConfig", "\"spark.sql.caseSensitive\"".to_string()),
                    ],
                ));
            }
        }
        if parameters.len() != given.len() {
            return Err(SparkError::new(
                "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH",
                [("expectedNumArgs", parameters.len().to_string()), ("actualNumArgs", given.len().to_string())],
            ));
        }
        let ids: Vec<String> = parameters.iter().map(|name| fresh_id(name)).collect();
        let frame = (parameters.iter().zip(&ids).zip(given))
            .map(|((name, id), (data_type, nullable))| {
                let field = Arc::new(Field::new(id, types::to_arrow(data_type), *nullable));
                let variable = DfExpr::LambdaVariable(LambdaVariable::new(id.clone(), Some(field)));
                (name.clone(), TypedExpr::new(variable, data_type.clone(), *nullable, "namedlambdavariable()"))
            })
            .collect();
        scope.lambdas.borrow_mut().push(frame);
        let body = self.expression(body, scope);
        scope.lambdas.borrow_mut().pop();
        let body = body?;
        if body.has_subquery() {
            return Err(SparkError::of("UNSUPPORTED_SUBQUERY_EXPRESSION_CATEGORY.HIGHER_ORDER_FUNCTION"));
        }
        Ok(ResolvedLambda { parameters: ids, body })
    }
}
