//! Expressions.
use firesteel_plan::expression::{EvalMode, WindowRef};
use firesteel_plan::{
    DataType, Expr, ExprKind, FrameBound, FrameUnits, FunctionCall, NullOrdering, Relation, Result, SortDirection,
    SortOrder, SparkError, WindowFrame, WindowSpec, parse_multipart_identifier,
};
use proto::expression::ExprType;
use proto::expression::window::window_frame::{FrameType, frame_boundary::Boundary};
use spark_connect_proto as proto;

use super::{Decoder, extension, invalid, invalid_enum, missing, not_set, origin};

const MESSAGE: &str = "spark.connect.Expression";

impl<'a> Decoder<'a> {
    pub(super) fn expression(&mut self, expression: &'a proto::Expression) -> Result<Expr> {
        let place = origin(expression.common.as_ref().and_then(|common| common.origin.as_ref()));
        let kind = self
            .deeper(|decoder| {
                let expr_type = expression.expr_type.as_ref().ok_or_else(|| not_set(MESSAGE, "expr_type"))?;
                decoder.expression_kind(expr_type)
            })
            .map_err(|error| error.with_origin(place.as_ref()))?;
        Ok(Expr::from(kind).with_origin(place))
    }

    pub(super) fn expressions(&mut self, expressions: &'a [proto::Expression]) -> Result<Vec<Expr>> {
        expressions.iter().map(|expression| self.expression(expression)).collect()
    }

    /// A field that the message must have.
    pub(super) fn required(&mut self, expression: Option<&'a proto::Expression>, parent: &str) -> Result<Expr> {
        self.expression(expression.ok_or_else(|| missing(parent, "expression"))?)
    }

    pub(super) fn optional(&mut self, expression: Option<&'a proto::Expression>) -> Result<Option<Expr>> {
        expression.map(|expression| self.expression(expression)).transpose()
    }

    fn expression_kind(&mut self, expr_type: &'a ExprType) -> Result<ExprKind> {
        Ok(match expr_type {
            ExprType::Literal(literal) => ExprKind::Literal(self.literal(literal)?),
            ExprType::UnresolvedAttribute(attribute) => ExprKind::Attribute {
                name: parse_multipart_identifier(&attribute.unparsed_identifier)?,
                plan_id: attribute.plan_id,
                is_metadata_column: attribute.is_metadata_column.unwrap_or(false),
            },
            ExprType::UnresolvedFunction(function) => self.function(function)?,
            ExprType::ExpressionString(text) => ExprKind::SqlText(text.expression.clone()),
            ExprType::UnresolvedStar(star) => star_kind(star)?,
            ExprType::Alias(alias) => self.alias(alias)?,
            ExprType::Cast(cast) => self.cast(cast)?,
            ExprType::UnresolvedRegex(regex) => {
                ExprKind::Regex { pattern: regex.col_name.clone(), plan_id: regex.plan_id }
            }
            ExprType::SortOrder(order) => ExprKind::SortOrder(self.sort_order(order)?),
            ExprType::LambdaFunction(lambda) => self.lambda(lambda)?,
            ExprType::Window(window) => self.window(window)?,
            ExprType::UnresolvedExtractValue(extract) => ExprKind::ExtractValue {
                child: self.required(extract.child.as_deref(), "spark.connect.Expression.UnresolvedExtractValue")?,
                extraction: self
                    .required(extract.extraction.as_deref(), "spark.connect.Expression.UnresolvedExtractValue")?,
            },
            ExprType::UpdateFields(update) => ExprKind::UpdateFields {
                child: self.required(update.struct_expression.as_deref(), "spark.connect.Expression.UpdateFields")?,
                field: update.field_name.clone(),
                value: self.optional(update.value_expression.as_deref())?,
            },
            ExprType::UnresolvedNamedLambdaVariable(variable) => {
                if variable.name_parts.is_empty() {
                    return Err(invalid("UNRESOLVED_NAMED_LAMBDA_VARIABLE_REQUIRES_NAME_PART"));
                }
                ExprKind::Attribute { name: variable.name_parts.clone(), plan_id: None, is_metadata_column: false }
            }
            ExprType::CommonInlineUserDefinedFunction(function) => self.user_defined(function)?,
            ExprType::CallFunction(call) => {
                let name = parse_multipart_identifier(&call.function_name)?;
                ExprKind::Function(FunctionCall::new(name, self.expressions(&call.arguments)?))
            }
            ExprType::NamedArgumentExpression(argument) => ExprKind::NamedArgument {
                name: argument.key.clone(),
                value: self.required(argument.value.as_deref(), "spark.connect.NamedArgumentExpression")?,
            },
            ExprType::SubqueryExpression(subquery) => self.subquery(subquery)?,
            ExprType::DirectShufflePartitionId(direct) => {
                let child =
                    self.required(direct.child.as_deref(), "spark.connect.Expression.DirectShufflePartitionID")?;
                *Expr::call("direct_shuffle_partition_id", vec![child]).kind
            }
            ExprType::TypedAggregateExpression(_) => {
                return Err(SparkError::unsupported("typed aggregates (Scala code shipped by a client)"));
            }
            ExprType::MergeAction(_) => {
                return Err(SparkError::new(
                    "CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SUPPORTED",
                    [("fullName", MESSAGE), ("name", "merge_action"), ("number", "19")],
                ));
            }
            ExprType::Extension(any) => return Err(extension(any)),
        })
    }

    fn function(&mut self, function: &'a proto::expression::UnresolvedFunction) -> Result<ExprKind> {
        let name = if function.is_user_defined_function {
            parse_multipart_identifier(&function.function_name)?
        } else {
            vec![function.function_name.clone()]
        };
        let mut call = FunctionCall::new(name, self.expressions(&function.arguments)?);
        call.distinct = function.is_distinct;
        // One that only the protocol knows, though clients do not say so.
        let is_of_protocol = function.function_name == "distributed_sequence_id";
        call.is_internal = function.is_internal.unwrap_or(false) || is_of_protocol;
        Ok(ExprKind::Function(call))
    }

    pub(super) fn alias(&mut self, alias: &'a proto::expression::Alias) -> Result<ExprKind> {
        if alias.name.len() > 1 && alias.metadata.is_some() {
            return Err(invalid("ALIAS_WITH_MULTIPLE_IDENTIFIERS_AND_METADATA"));
        }
        if alias.name.is_empty() {
            return Err(missing("spark.connect.Expression.Alias", "name"));
        }
        Ok(ExprKind::Alias {
            child: self.required(alias.expr.as_deref(), "spark.connect.Expression.Alias")?,
            names: alias.name.clone(),
            metadata: alias.metadata.clone().filter(|text| !text.is_empty()),
        })
    }

    fn cast(&mut self, cast: &'a proto::expression::Cast) -> Result<ExprKind> {
        use proto::expression::cast::{CastToType, EvalMode as Mode};
        let child = self.required(cast.expr.as_deref(), "spark.connect.Expression.Cast")?;
        let mode = match Mode::try_from(cast.eval_mode) {
            Ok(Mode::Unspecified) => EvalMode::Session,
            Ok(Mode::Legacy) => EvalMode::Legacy,
            Ok(Mode::Ansi) => EvalMode::Ansi,
            Ok(Mode::Try) => EvalMode::Try,
            Err(_) => return Err(invalid_enum("spark.connect.Expression.Cast.EvalMode", cast.eval_mode)),
        };
        match &cast.cast_to_type {
            Some(CastToType::Type(to)) => Ok(ExprKind::Cast { child, to: self.data_type(to)?, mode }),
            Some(CastToType::TypeStr(to)) => Ok(ExprKind::CastToText { child, to: to.clone(), mode }),
            None => Err(not_set("spark.connect.Expression.Cast", "cast_to_type")),
        }
    }

    pub(super) fn sort_order(&mut self, order: &'a proto::expression::SortOrder) -> Result<SortOrder> {
        use proto::expression::sort_order::{NullOrdering as Nulls, SortDirection as Direction};
        let name = "spark.connect.Expression.SortOrder";
        Ok(SortOrder {
            child: self.required(order.child.as_deref(), name)?,
            direction: match Direction::try_from(order.direction) {
                Ok(Direction::Descending) => SortDirection::Descending,
                Ok(Direction::Ascending | Direction::Unspecified) => SortDirection::Ascending,
                Err(_) => return Err(invalid_enum(&format!("{name}.SortDirection"), order.direction)),
            },
            nulls: match Nulls::try_from(order.null_ordering) {
                Ok(Nulls::SortNullsFirst) => NullOrdering::First,
                Ok(Nulls::SortNullsLast) => NullOrdering::Last,
                Ok(Nulls::SortNullsUnspecified) => NullOrdering::Default,
                Err(_) => return Err(invalid_enum(&format!("{name}.NullOrdering"), order.null_ordering)),
            },
        })
    }

    pub(super) fn sort_orders(&mut self, orders: &'a [proto::expression::SortOrder]) -> Result<Vec<SortOrder>> {
        orders.iter().map(|order| self.sort_order(order)).collect()
    }

    fn lambda(&mut self, lambda: &'a proto::expression::LambdaFunction) -> Result<ExprKind> {
        if lambda.arguments.is_empty() || lambda.arguments.len() > 3 {
            return Err(SparkError::new(
                "CONNECT_INVALID_PLAN.LAMBDA_FUNCTION_ARGUMENT_COUNT_INVALID",
                [("got", lambda.arguments.len().to_string())],
            ));
        }
        let body = self.required(lambda.function.as_deref(), "spark.connect.Expression.LambdaFunction")?;
        let parameters = lambda.arguments.iter().map(|argument| argument.name_parts.join(".")).collect();
        Ok(ExprKind::Lambda { parameters, body })
    }

    fn window(&mut self, window: &'a proto::expression::Window) -> Result<ExprKind> {
        let Some(function) = window.window_function.as_deref() else { return Err(invalid("WINDOW_FUNCTION_REQUIRED")) };
        let spec = WindowSpec {
            base: None,
            partition_by: self.expressions(&window.partition_spec)?,
            order_by: self.sort_orders(&window.order_spec)?,
            frame: window.frame_spec.as_deref().map(|frame| self.frame(frame)).transpose()?,
        };
        Ok(ExprKind::Window { function: self.expression(function)?, spec: WindowRef::Spec(spec) })
    }

    fn frame(&mut self, frame: &'a proto::expression::window::WindowFrame) -> Result<WindowFrame> {
        let units = match FrameType::try_from(frame.frame_type) {
            Ok(FrameType::Row) => FrameUnits::Rows,
            Ok(FrameType::Range) => FrameUnits::Range,
            _ => {
                return Err(invalid_enum("spark.connect.Expression.Window.WindowFrame.FrameType", frame.frame_type));
            }
        };
        let lower = frame.lower.as_deref().and_then(|b| b.boundary.as_ref());
        let upper = frame.upper.as_deref().and_then(|b| b.boundary.as_ref());
        let lower = lower.ok_or_else(|| invalid("LOWER_BOUND_REQUIRED_IN_WINDOW_FRAME"))?;
        let upper = upper.ok_or_else(|| invalid("UPPER_BOUND_REQUIRED_IN_WINDOW_FRAME"))?;
        Ok(WindowFrame {
            units,
            lower: self.bound(lower, FrameBound::UnboundedPreceding)?,
            upper: self.bound(upper, FrameBound::UnboundedFollowing)?,
        })
    }

    fn bound(&mut self, boundary: &'a Boundary, unbounded: FrameBound) -> Result<FrameBound> {
        Ok(match boundary {
            Boundary::CurrentRow(_) => FrameBound::CurrentRow,
            Boundary::Unbounded(_) => unbounded,
            Boundary::Value(value) => FrameBound::Value(self.expression(value)?),
        })
    }

    fn user_defined(&mut self, function: &'a proto::CommonInlineUserDefinedFunction) -> Result<ExprKind> {
        let (language, output_type) = self.user_code(function)?;
        Ok(ExprKind::InlineUserDefinedFunction {
            name: function.function_name.clone(),
            language: language.to_string(),
            arguments: self.expressions(&function.arguments)?,
            output_type,
        })
    }

    /// The language of shipped code, and the type it answers.
    pub(super) fn user_code(
        &mut self,
        function: &proto::CommonInlineUserDefinedFunction,
    ) -> Result<(&'static str, Option<DataType>)> {
        use proto::common_inline_user_defined_function::Function;
        match &function.function {
            Some(Function::PythonUdf(udf)) => Ok(("Python", self.optional_type(udf.output_type.as_ref())?)),
            Some(Function::ScalarScalaUdf(udf)) => Ok(("Scala", self.optional_type(udf.output_type.as_ref())?)),
            Some(Function::JavaUdf(udf)) => Ok(("Java", self.optional_type(udf.output_type.as_ref())?)),
            None => Err(not_set("spark.connect.CommonInlineUserDefinedFunction", "function")),
        }
    }

    fn subquery(&mut self, subquery: &'a proto::SubqueryExpression) -> Result<ExprKind> {
        use proto::subquery_expression::SubqueryType;
        let query = self.referenced(subquery.plan_id)?;
        Ok(match SubqueryType::try_from(subquery.subquery_type) {
            Ok(SubqueryType::Scalar) => ExprKind::ScalarSubquery(query),
            Ok(SubqueryType::Exists) => ExprKind::Exists(query),
            Ok(SubqueryType::In) => {
                ExprKind::InSubquery { values: self.expressions(&subquery.in_subquery_values)?, query }
            }
            Ok(SubqueryType::TableArg) => {
                let options = subquery.table_arg_options.as_ref();
                ExprKind::TableArgument {
                    query,
                    partition_by: self.expressions(options.map_or(&[], |o| &o.partition_spec))?,
                    order_by: self.sort_orders(options.map_or(&[], |o| &o.order_spec))?,
                    single_partition: options.and_then(|o| o.with_single_partition).unwrap_or(false),
                }
            }
            Ok(SubqueryType::Unknown) | Err(_) => {
                return Err(invalid_enum("spark.connect.SubqueryExpression.SubqueryType", subquery.subquery_type));
            }
        })
    }

    /// The relation with this plan id among the references in sight, decoded where it is used.
    fn referenced(&mut self, plan_id: i64) -> Result<Relation> {
        let found = self.references.iter().rposition(|scope| scope.contains_key(&plan_id));
        let relation = found.and_then(|index| self.references.get(index)?.get(&plan_id).copied());
        let (Some(index), Some(relation)) = (found, relation) else {
            return Err(invalid("INVALID_WITH_RELATION_REFERENCE"));
        };
        // It sees what its own WithRelations and those around it hold. (One that refers to itself ends at the limits.)
        let inner = self.references.split_off(index + 1);
        let result = self.relation(relation);
        self.references.extend(inner);
        result
    }
}

fn star_kind(star: &proto::expression::UnresolvedStar) -> Result<ExprKind> {
    let target = match &star.unparsed_target {
        None => vec![],
        Some(_) if star.plan_id.is_some() => return Err(invalid("UNRESOLVED_STAR_WITH_BOTH_TARGET_AND_PLAN_ID")),
        Some(text) => {
            let name = text.strip_suffix(".*").ok_or_else(|| {
                SparkError::new("CONNECT_INVALID_PLAN.UNRESOLVED_STAR_TARGET_INVALID", [("target", text.as_str())])
            })?;
            parse_multipart_identifier(name)?
        }
    };
    Ok(ExprKind::Star { target, plan_id: star.plan_id, except: vec![] })
}
