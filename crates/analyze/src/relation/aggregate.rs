//! Aggregates: GROUP BY with ordinals, aliases, ALL and grouping sets, and what HAVING and ORDER BY add later.
//!
//! ```text
//! input ─▶ [project: group columns of grouping sets] ─▶ Aggregate(groups, functions) ─▶ [Window] ─▶ project(select list)
//! ```
use std::sync::{Arc, LazyLock};

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Aggregate, Expr as DfExpr, ExprSchemable, GroupingSet, LogicalPlan, Operator, Subquery, binary_expr, lit,
};
use firesteel_functions::{EvalContext, SparkScalar, TypedExpr};
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::{DataType, Expr, Relation, Result, SparkError};

use super::partition::is_random_call;
use super::project::{apply_above, filter_plan, name_expressions};
use super::time_window::of_elements;
use crate::analyzer::Analyzer;
use crate::canonical;
use crate::expr::{
    Scope, SelectItem, SelectValue, as_subquery, is_correlated, is_of_outer_row, is_routine, refuse_outer_references,
};
use crate::from_datafusion;
use crate::keys::Keys;
use crate::nodes::forget;
use crate::scope::{Attribute, Extend, ExtendBase, Resolved, fresh_id, project};
use crate::unnest::{is_subquery, plan_any};

/// Everything an aggregate was built from, so that HAVING and ORDER BY can have it rebuilt with more columns.
#[derive(Clone)]
pub struct AggregateParts {
    input: Resolved,
    groups: Vec<Group>,
    /// Indices into `groups`, one list a grouping set.
    sets: Option<Vec<Vec<usize>>>,
    /// Aggregate functions over `input`, with the ids of their columns.
    functions: Vec<(DfExpr, String)>,
    /// The select list over the aggregate's columns.
    outputs: Vec<(DfExpr, Attribute)>,
}

#[derive(Clone)]
struct Group {
    typed: TypedExpr,
    /// The column's id above the aggregate
    id: String,
}

impl AggregateParts {
    /// What expressions above the aggregate may name below it.
    pub(crate) fn scope(&self) -> Scope {
        Scope::of(&self.input)
    }

    /// The grouping columns.
    pub(crate) fn group_scope(&self) -> Scope {
        let is_group = |a: &&Attribute| self.groups.iter().any(|g| g.typed.expr == a.column());
        Scope {
            output: self.input.output.iter().filter(is_group).cloned().collect(),
            hidden: self.input.hidden.iter().filter(is_group).cloned().collect(),
            ..Scope::default()
        }
    }

    pub(crate) fn has_windows(&self) -> bool {
        let is_window = |node: &DfExpr| Ok(matches!(node, DfExpr::WindowFunction(_)));
        self.outputs.iter().any(|(expr, _)| expr.exists(is_window).unwrap_or(false))
    }

    /// The input's columns that `expression` uses outside of aggregate functions and grouping expressions. `above` is
    /// what the expression stands on.
    pub(crate) fn ungrouped(&self, expression: &TypedExpr, above: &Resolved) -> Vec<String> {
        let known = |id: &str| above.output.iter().chain(&above.hidden).any(|a| a.id == id);
        let mut found = vec![];
        // The visitor itself cannot fail.
        let _ = expression.expr.apply(|node| {
            if self.group_of(node).is_some() || matches!(node, DfExpr::AggregateFunction(_)) || is_grouping_marker(node)
            {
                return Ok(TreeNodeRecursion::Jump);
            }
            if let DfExpr::Column(column) = node
                && !known(&column.name)
            {
                found.push(column.name.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    /// The group that `node` is.
    fn group_of(&self, node: &DfExpr) -> Option<&Group> {
        self.groups.iter().find(|g| canonical::same(&g.typed.expr, node))
    }

    fn grouping_column(&self) -> DfExpr {
        DfExpr::Column(Column::from_name(Aggregate::INTERNAL_GROUPING_ID))
    }

    /// Rewrites an expression over the input into one over the aggregate's columns. `passing` are ids that are columns
    /// above the aggregate already.
    fn rewrite(&mut self, typed: TypedExpr, passing: &[Attribute]) -> Result<TypedExpr> {
        let mut failure: Option<SparkError> = None;
        let sql = typed.sql.clone();
        let reads_arguments = typed.any(is_routine);
        if typed.any(is_random_aggregate) {
            let parameters = [("sqlExpr", format!("\"{sql}\""))];
            return Err(SparkError::new("AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION", parameters)
                .with_origin(typed.origin.as_ref()));
        }
        let expr = typed.expr.clone().transform_down(|node| {
            if let Some(group) = self.group_of(&node) {
                let column = DfExpr::Column(Column::from_name(&group.id));
                return Ok(Transformed::new(column, true, TreeNodeRecursion::Jump));
            }
            if is_subquery(&node) {
                let is_value = matches!(node, DfExpr::ScalarSubquery(_)) && is_correlated(&node);
                if passing.is_empty() && is_value && !reads_arguments {
                    failure.get_or_insert_with(|| {
                        SparkError::new(
                            "SCALAR_SUBQUERY_IS_IN_GROUP_BY_OR_AGGREGATE_FUNCTION",
                            [("sqlExpr", format!("\"{sql}\""))],
                        )
                    });
                }
                return with_subquery_plan(node, |plan| self.rewrite_outer(plan, passing, &mut failure));
            }
            match &node {
                DfExpr::AggregateFunction(call) => {
                    if call.params.args.iter().any(is_aggregated) {
                        failure.get_or_insert_with(|| SparkError::of("NESTED_AGGREGATE_FUNCTION"));
                    }
                    let column = DfExpr::Column(Column::from_name(self.function_id(&node)));
                    Ok(Transformed::new(column, true, TreeNodeRecursion::Jump))
                }
                DfExpr::ScalarFunction(call) if is_grouping_marker(&node) => {
                    let value = self.grouping_value(call.func.name(), &call.args).unwrap_or_else(|e| {
                        failure.get_or_insert(e);
                        lit(0_i64)
                    });
                    Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
                }
                DfExpr::Column(column) => {
                    let known =
                        passing.iter().any(|a| a.id == column.name) || self.groups.iter().any(|g| g.id == column.name);
                    if !known {
                        failure.get_or_insert_with(|| {
                            missing_aggregation(&column.name, &self.input, self.groups.is_empty())
                        });
                    }
                    Ok(Transformed::no(node))
                }
                _ => Ok(Transformed::no(node)),
            }
        });
        let expr = expr.map_err(from_datafusion)?.data;
        match failure {
            Some(error) => Err(error.with_origin(typed.origin.as_ref())),
            None => Ok(TypedExpr { expr, ..typed }),
        }
    }

    /// The plan of a subquery above the aggregate: outer columns that are groups, and functions over outer columns only,
    /// become the aggregate's columns.
    fn rewrite_outer(
        &mut self,
        plan: LogicalPlan,
        passing: &[Attribute],
        failure: &mut Option<SparkError>,
    ) -> datafusion::common::Result<LogicalPlan> {
        let done = plan.transform_down(|node| {
            node.map_expressions(|expression| {
                expression.transform_down(|node| {
                    let jump = |new| Ok(Transformed::new(new, true, TreeNodeRecursion::Jump));
                    match &node {
                        DfExpr::AggregateFunction(_) if is_of_outer_row(&node) => {
                            let data_type = node.get_type(&datafusion::common::DFSchema::empty())?;
                            let function = node.transform_up(|e| {
                                Ok(match e {
                                    DfExpr::OuterReferenceColumn(_, c) => Transformed::yes(DfExpr::Column(c)),
                                    other => Transformed::no(other),
                                })
                            })?;
                            let id = self.function_id(&function.data);
                            let field = arrow::datatypes::Field::new(&id, data_type, true);
                            jump(DfExpr::OuterReferenceColumn(Arc::new(field), Column::from_name(&id)))
                        }
                        DfExpr::OuterReferenceColumn(field, column) => {
                            let is_passing = passing.iter().any(|a| a.id == column.name);
                            let group = self.groups.iter().find(|g| {
                                g.id == column.name
                                    || matches!(&g.typed.expr, DfExpr::Column(c) if c.name == column.name)
                            });
                            match group {
                                Some(group) => {
                                    let column = Column::from_name(&group.id);
                                    jump(DfExpr::OuterReferenceColumn(Arc::clone(field), column))
                                }
                                None => {
                                    if !is_passing {
                                        failure.get_or_insert_with(|| self.missing_outer(&column.name, passing));
                                    }
                                    Ok(Transformed::no(node))
                                }
                            }
                        }
                        _ => Ok(Transformed::no(node)),
                    }
                })
            })
        });
        done.map(|t| t.data)
    }

    /// A subquery reads a column of the input that is no group.
    fn missing_outer(&self, id: &str, passing: &[Attribute]) -> SparkError {
        if passing.is_empty() {
            return missing_aggregation(id, &self.input, self.groups.is_empty());
        }
        let name = self.input.output.iter().chain(&self.input.hidden).find(|a| a.id == id).map_or(id, |a| &a.name);
        let input: Vec<_> = passing.iter().map(|a| format!("\"{}\"", a.name)).collect();
        SparkError::new(
            "MISSING_ATTRIBUTES.RESOLVED_ATTRIBUTE_MISSING_FROM_INPUT",
            [
                ("missingAttributes", format!("\"{name}\"")),
                ("input", input.join(", ")),
                ("operator", "Filter".to_string()),
            ],
        )
    }

    fn function_id(&mut self, function: &DfExpr) -> String {
        if let Some((_, id)) = self.functions.iter().find(|(known, _)| known == function) {
            return id.clone();
        }
        let id = fresh_id("_a");
        self.functions.push((function.clone(), id.clone()));
        id
    }

    /// `grouping(c)` and `grouping_id(…)` from DataFusion's grouping id, whose highest bit is the first group.
    fn grouping_value(&self, name: &str, arguments: &[DfExpr]) -> Result<DfExpr> {
        let Some(_) = &self.sets else { return Err(SparkError::of("UNSUPPORTED_GROUPING_EXPRESSION")) };
        let order = self.grouped();
        let id = datafusion::logical_expr::cast(self.grouping_column(), arrow::datatypes::DataType::Int64);
        let bit = |index: usize| {
            // A key that no set has is never grouped by.
            let Some(place) = order.iter().position(|grouped| *grouped == index) else { return lit(1_i64) };
            let shifted = binary_expr(id.clone(), Operator::BitwiseShiftRight, lit((order.len() - 1 - place) as i64));
            binary_expr(shifted, Operator::BitwiseAnd, lit(1_i64))
        };
        let position = |argument: &DfExpr| {
            self.groups.iter().position(|g| canonical::same(&g.typed.expr, argument)).ok_or_else(|| {
                let groups: Vec<_> = self.groups.iter().map(|g| g.typed.sql.clone()).collect();
                SparkError::new(
                    "GROUPING_COLUMN_MISMATCH",
                    [("grouping", argument.to_string()), ("groupingColumns", groups.join(", "))],
                )
            })
        };
        if name == "grouping" {
            let [argument] = arguments else {
                return Err(firesteel_functions::registry::wrong_num_args(name, 1, 1, arguments.len()));
            };
            return Ok(datafusion::logical_expr::cast(bit(position(argument)?), arrow::datatypes::DataType::Int8));
        }
        let is_group = |(argument, group): (&DfExpr, &Group)| canonical::same(&group.typed.expr, argument);
        let names_all = arguments.len() == self.groups.len() && arguments.iter().zip(&self.groups).all(is_group);
        if !arguments.is_empty() && !names_all {
            let list = |texts: Vec<String>| texts.join(",");
            return Err(SparkError::new(
                "GROUPING_ID_COLUMN_MISMATCH",
                [
                    ("groupingIdColumn", list(arguments.iter().map(ToString::to_string).collect())),
                    ("groupByColumns", list(self.groups.iter().map(|g| g.typed.sql.clone()).collect())),
                ],
            ));
        }
        let mut value: Option<DfExpr> = None;
        for index in 0..self.groups.len() {
            let weight = lit((self.groups.len() - 1 - index) as i64);
            let part = binary_expr(bit(index), Operator::BitwiseShiftLeft, weight);
            value = Some(match value {
                Some(sum) => binary_expr(sum, Operator::BitwiseOr, part),
                None => part,
            });
        }
        Ok(value.unwrap_or_else(|| lit(0_i64)))
    }

    /// The groups that some grouping set has, in the order of the bits of DataFusion's grouping id.
    fn grouped(&self) -> Vec<usize> {
        let mut order = vec![];
        for index in self.sets.iter().flatten().flatten() {
            if !order.contains(index) {
                order.push(*index);
            }
        }
        order
    }

    /// The aggregate, its windows, and the projection of the select list and of `extra` columns.
    fn build(&self, analyzer: &Analyzer<'_>, extra: &[Attribute]) -> Result<(LogicalPlan, Vec<Attribute>)> {
        let aggregate = self.aggregate_plan(&analyzer.eval)?;
        let (expressions, mut attributes): (Vec<_>, Vec<_>) =
            self.outputs.iter().cloned().chain(extra.iter().map(|a| (a.column(), a.clone()))).unzip();
        let (plan, expressions) = analyzer.windows_below(aggregate, expressions)?;
        let expressions = name_expressions(expressions, &mut attributes);
        Ok((project(plan, expressions)?, attributes))
    }

    fn aggregate_plan(&self, eval: &Arc<EvalContext>) -> Result<LogicalPlan> {
        let groups = self.groups.iter().map(|g| g.typed.expr.clone());
        let functions = self.functions.iter().map(|(f, _)| f.clone());
        let (mut plan, rewritten) =
            super::partition::partition_below(self.input.plan.clone(), groups.chain(functions).collect())?;
        let (groups, functions) = rewritten.split_at(self.groups.len());
        let grouped = self.grouped();
        let mut keys = Keys::default();
        if self.sets.is_some() {
            // Each grouping column becomes a column of its own: it is nulled in some sets, while aggregate functions
            // still see the input's.
            let columns = self.input.output.iter().chain(&self.input.hidden).map(Attribute::column);
            let values = groups.iter().zip(&self.groups).map(|(e, g)| e.clone().alias(&g.id));
            plan = project(plan, columns.chain(values).collect())?;
            for group in grouped.iter().map(|index| &self.groups[*index]) {
                let value = TypedExpr { expr: DfExpr::Column(Column::from_name(&group.id)), ..group.typed.clone() };
                keys.push(value, &group.id, eval);
            }
        } else {
            for (expr, group) in groups.iter().zip(&self.groups) {
                keys.push(TypedExpr { expr: expr.clone(), ..group.typed.clone() }, &group.id, eval);
            }
        }
        let group_exprs = match &self.sets {
            None => keys.groups.clone(),
            Some(sets) => {
                plan = with_keys(plan, &keys.groups)?;
                let place = |index: &usize| grouped.iter().position(|g| g == index).unwrap_or_default();
                let column = |index: &usize| DfExpr::Column(Column::from_name(column_name(&keys.groups[place(index)])));
                let sets = sets.iter().map(|set| set.iter().map(column).collect()).collect();
                plan = forget::plan(plan);
                vec![DfExpr::GroupingSet(GroupingSet::GroupingSets(sets))]
            }
        };
        let mut functions: Vec<DfExpr> =
            functions.iter().zip(&self.functions).map(|(f, (_, id))| f.clone().alias(id)).collect();
        let own = functions.len();
        functions.append(&mut keys.functions);
        // Spark's grouping sets copy rows, so that even the empty set has no row without one.
        let counted = self.sets.as_ref().is_some_and(|sets| sets.len() > 1 && sets.iter().any(Vec::is_empty));
        let count = fresh_id("_a");
        if counted || group_exprs.is_empty() && functions.is_empty() {
            functions.push(datafusion::functions_aggregate::expr_fn::count(lit(1_i64)).alias(&count));
        }
        let is_keyed = functions.len() > own + usize::from(counted);
        let ungrouped = self.ungrouped_nulls(&plan)?;
        let aggregate = Aggregate::try_new(Arc::new(plan), group_exprs, functions);
        let mut aggregate = aggregate.map(LogicalPlan::Aggregate).map_err(from_datafusion)?;
        if counted {
            aggregate = filter_plan(aggregate, DfExpr::Column(Column::from_name(count)).gt(lit(0_i64)))?;
        }
        if ungrouped.is_empty() && !is_keyed {
            return Ok(aggregate);
        }
        let known = |name: &String| self.groups.iter().any(|group| group.id == *name);
        let fields = aggregate.schema().fields().iter().map(|f| f.name()).filter(|name| !known(name));
        let columns = fields.map(|name| DfExpr::Column(Column::from_name(name)));
        let columns = columns.chain(keys.columns).chain(ungrouped).collect();
        project(aggregate, columns)
    }

    /// Keys before GROUPING SETS that no set has: NULL in every row.
    fn ungrouped_nulls(&self, input: &LogicalPlan) -> Result<Vec<DfExpr>> {
        let Some(_) = &self.sets else { return Ok(vec![]) };
        let grouped = self.grouped();
        let unused = self.groups.iter().enumerate().filter(|(index, _)| !grouped.contains(index));
        unused
            .map(|(_, group)| {
                let field = input.schema().field_with_unqualified_name(&group.id).map_err(from_datafusion)?;
                let null = ScalarValue::try_from(field.data_type()).map_err(from_datafusion)?;
                Ok(DfExpr::Literal(null, None).alias(&group.id))
            })
            .collect()
    }
}

/// The name of a column, or of what an alias makes.
fn column_name(expr: &DfExpr) -> &str {
    match expr {
        DfExpr::Alias(alias) => &alias.name,
        DfExpr::Column(column) => &column.name,
        _ => "",
    }
}

/// The plan with the keys that are no columns of it yet; one that has a column's name takes its place.
fn with_keys(plan: LogicalPlan, keys: &[DfExpr]) -> Result<LogicalPlan> {
    let new: Vec<&DfExpr> = keys.iter().filter(|key| matches!(key, DfExpr::Alias(_))).collect();
    if new.is_empty() {
        return Ok(plan);
    }
    let replaced = |name: &String| new.iter().any(|key| column_name(key) == name.as_str());
    let fields = plan.schema().fields().iter().map(|f| f.name()).filter(|name| !replaced(name));
    let kept: Vec<_> = fields.map(|name| DfExpr::Column(Column::from_name(name))).collect();
    project(plan, kept.into_iter().chain(new.into_iter().cloned()).collect())
}

/// Rebuilds the aggregate below `input` so that `expressions` can be computed on it.
pub(crate) fn extend(
    analyzer: &Analyzer<'_>,
    input: Resolved,
    parts: &AggregateParts,
    below: &Extend,
    expressions: Vec<TypedExpr>,
) -> Result<(Resolved, Vec<TypedExpr>)> {
    let mut parts = parts.clone();
    let outputs = parts.outputs.clone();
    let passing: Vec<Attribute> = input.output.iter().chain(&input.hidden).cloned().collect();
    let rewrite = |e| computed_already(parts.rewrite(e, &passing)?, &outputs);
    let rewritten = expressions.into_iter().map(rewrite).collect::<Result<Vec<_>>>()?;
    let mut hidden = input.hidden.clone();
    let carried = |id: &str, hidden: &[Attribute]| input.output.iter().chain(hidden).any(|a| a.id == id);
    let mut wanted: Vec<Attribute> = vec![];
    for group in &parts.groups {
        wanted.push(internal_attribute(&group.id, &group.typed.data_type));
    }
    for (_, id) in &parts.functions {
        wanted.push(internal_attribute(id, &DataType::Null));
    }
    if parts.sets.is_some() {
        wanted.push(internal_attribute(Aggregate::INTERNAL_GROUPING_ID, &DataType::Long));
    }
    for attribute in wanted {
        let used = rewritten.iter().any(|t| t.any(|e| reads(e, &attribute.id)));
        if used && !carried(&attribute.id, &hidden) {
            hidden.push(attribute);
        }
    }
    let (mut plan, _) = parts.build(analyzer, &hidden)?;
    for step in &below.above {
        plan = apply_above(plan, step)?;
    }
    let extend = Extend { base: ExtendBase::Aggregate(Arc::new(parts)), ..below.clone() };
    Ok((Resolved { plan, hidden, extend: Some(Arc::new(extend)), ..input }, rewritten))
}

/// Reads what the select list computes already from its columns.
fn computed_already(typed: TypedExpr, outputs: &[(DfExpr, Attribute)]) -> Result<TypedExpr> {
    let expr = typed.expr.clone().transform_down(|node| {
        let found = outputs.iter().find(|(expr, _)| *expr == node && !matches!(expr, DfExpr::Literal(..)));
        Ok(match found {
            Some((_, attribute)) => Transformed::new(attribute.column(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    });
    Ok(TypedExpr { expr: expr.map_err(from_datafusion)?.data, ..typed })
}

/// Whether the node is that column, or a subquery that reads it.
fn reads(node: &DfExpr, id: &str) -> bool {
    let plan = match node {
        DfExpr::Column(column) => return column.name == id,
        DfExpr::ScalarSubquery(subquery) => &subquery.subquery,
        DfExpr::Exists(exists) => &exists.subquery.subquery,
        DfExpr::InSubquery(test) => &test.subquery.subquery,
        _ => return false,
    };
    plan_any(plan, &|e| matches!(e, DfExpr::OuterReferenceColumn(_, column) if column.name == id))
}

/// The subquery with its plan rewritten.
fn with_subquery_plan(
    node: DfExpr,
    mut rewrite: impl FnMut(LogicalPlan) -> datafusion::common::Result<LogicalPlan>,
) -> datafusion::common::Result<Transformed<DfExpr>> {
    let mut renewed = |subquery: Subquery| rewrite(Arc::unwrap_or_clone(subquery.subquery)).map(as_subquery);
    Ok(Transformed::yes(match node {
        DfExpr::ScalarSubquery(subquery) => DfExpr::ScalarSubquery(renewed(subquery)?),
        DfExpr::Exists(exists) => {
            DfExpr::Exists(Exists { subquery: renewed(exists.subquery)?, negated: exists.negated })
        }
        DfExpr::InSubquery(test) => {
            DfExpr::InSubquery(InSubquery::new(test.expr, renewed(test.subquery)?, test.negated))
        }
        other => other,
    }))
}

/// A column that no name reaches.
fn internal_attribute(id: &str, data_type: &DataType) -> Attribute {
    Attribute {
        id: id.to_string(),
        name: id.to_string(),
        data_type: data_type.clone(),
        nullable: true,
        metadata: Default::default(),
        qualifier: vec![],
        qualified_only: false,
    }
}

impl Analyzer<'_> {
    pub(super) fn aggregate(&self, input: &Relation, grouping: &Grouping, aggregates: &[Expr]) -> Result<Resolved> {
        let input = self.relation(input)?;
        self.aggregate_resolved(input, grouping, aggregates)
    }

    pub(crate) fn aggregate_resolved(
        &self,
        input: Resolved,
        grouping: &Grouping,
        aggregates: &[Expr],
    ) -> Result<Resolved> {
        let mut expressions: Vec<&Expr> = aggregates.iter().collect();
        if let Grouping::By(elements) = grouping {
            expressions.extend(of_elements(elements));
        }
        let input = self.with_time_window(input, &expressions)?;
        let scope = Scope::of(&input);
        self.refuse_ordinals_of_star(grouping, aggregates)?;
        let items = self.select_list(aggregates, &scope)?;
        match grouping {
            Grouping::All if !scope.output.iter().any(|a| self.same_name(&a.name, "all")) => {
                let groups = self.group_by_all(&items)?;
                self.build_aggregate(input, groups, None, items).map_err(|e| {
                    let reasons = [
                        "MISSING_AGGREGATION",
                        "MISSING_GROUP_BY",
                        "SCALAR_SUBQUERY_IS_IN_GROUP_BY_OR_AGGREGATE_FUNCTION",
                    ];
                    let incomplete = reasons.iter().any(|reason| e.is(reason));
                    if incomplete { SparkError::of("UNRESOLVED_ALL_IN_GROUP_BY") } else { e }
                })
            }
            // A column of that name is meant.
            Grouping::All => {
                let column = GroupingElement::Expression(Expr::name("all"));
                let (groups, sets) = self.grouping_elements(&[column], &items, &scope)?;
                self.build_aggregate(input, groups, sets, items)
            }
            Grouping::By(elements) => {
                let (groups, sets) = self.grouping_elements(elements, &items, &scope)?;
                self.build_aggregate(input, groups, sets, items)
            }
        }
    }

    /// A select list with aggregate functions and no GROUP BY.
    pub(super) fn global_aggregate(&self, input: Resolved, items: Vec<SelectItem>, scope: &Scope) -> Result<Resolved> {
        let input = self.with_used_below(input, scope)?;
        self.build_aggregate(input, vec![], None, items)
    }

    pub(crate) fn build_aggregate(
        &self,
        input: Resolved,
        groups: Vec<TypedExpr>,
        sets: Option<Vec<Vec<usize>>>,
        items: Vec<SelectItem>,
    ) -> Result<Resolved> {
        let with_sets = sets.is_some();
        self.refuse_recursion(&input.plan)?;
        refuse_outer_references(&groups)?;
        refuse_outer_references(items.iter().filter_map(|item| match item {
            SelectItem::Value(value) => Some(&value.typed),
            SelectItem::Generator { .. } => None,
        }))?;
        let input = self.with_merged_sessions(input, &groups, with_sets)?;
        let groups = groups.into_iter().map(|typed| {
            let id = match &typed.expr {
                DfExpr::Column(column) if !with_sets => column.name.clone(),
                _ => fresh_id(&typed.sql),
            };
            Group { typed, id }
        });
        let mut parts = AggregateParts { input, groups: groups.collect(), sets, functions: vec![], outputs: vec![] };
        let mut generators = vec![];
        for item in items {
            match item {
                SelectItem::Value(value) => {
                    let output = aggregate_output(&mut parts, value, with_sets)?;
                    parts.outputs.push(output);
                }
                SelectItem::Generator { mut generator, names } => {
                    // The generator runs above: its arrays are computed by the aggregate.
                    generator.rows = parts.rewrite(generator.rows, &[])?;
                    let attribute = Attribute::new("_generator", generator.rows.data_type.clone(), true);
                    parts.outputs.push((generator.rows.expr.clone(), attribute.clone()));
                    generator.rows = attribute.typed();
                    generators.push((parts.outputs.len() - 1, generator, names));
                }
            }
        }
        let (plan, attributes) = parts.build(self, &[])?;
        let mut resolved = Resolved::new(plan, attributes).with_plan_outputs_of(&[&parts.input]);
        if generators.is_empty() {
            let base = ExtendBase::Aggregate(Arc::new(parts));
            resolved.extend = Some(Arc::new(Extend { base, above: vec![], groups_only: false }));
            return Ok(resolved);
        }
        let mut items: Vec<SelectItem> = resolved
            .output
            .iter()
            .map(|a| SelectItem::Value(SelectValue { typed: a.typed(), attribute: a.clone() }))
            .collect();
        for (index, generator, names) in generators {
            items[index] = SelectItem::Generator { generator, names };
        }
        let (input, values) = self.expand_generators(resolved, items)?;
        self.project_values(input, values)
    }
}

fn aggregate_output(parts: &mut AggregateParts, value: SelectValue, with_sets: bool) -> Result<(DfExpr, Attribute)> {
    let original = value.typed.expr.clone();
    let rewritten = parts.rewrite(value.typed, &[])?;
    let mut attribute = value.attribute;
    // A grouping column of grouping sets is another column than the input's, and may be NULL.
    if with_sets && rewritten.expr != original {
        attribute.id = match &rewritten.expr {
            DfExpr::Column(column) if parts.outputs.iter().all(|(_, a)| a.id != column.name) => column.name.clone(),
            _ => fresh_id(&attribute.name),
        };
        let touches_group =
            parts.groups.iter().any(|g| rewritten.any(|e| matches!(e, DfExpr::Column(c) if c.name == g.id)));
        attribute.nullable = attribute.nullable || touches_group;
    }
    Ok((rewritten.expr, attribute))
}

fn missing_aggregation(id: &str, input: &Resolved, global: bool) -> SparkError {
    let name = input.output.iter().chain(&input.hidden).find(|a| a.id == id).map_or(id, |a| a.name.as_str());
    if global {
        return SparkError::new("MISSING_GROUP_BY", std::iter::empty::<(String, String)>());
    }
    SparkError::new(
        "MISSING_AGGREGATION",
        [("expression", format!("\"{name}\"")), ("expressionAnyValue", format!("\"any_value({name})\""))],
    )
}

/// An aggregate function whose arguments have another value each time.
fn is_random_aggregate(node: &DfExpr) -> bool {
    let DfExpr::AggregateFunction(call) = node else { return false };
    let mut found = false;
    for argument in &call.params.args {
        // The visitor itself cannot fail.
        let _ = argument.apply(|node| {
            if is_routine(node) {
                return Ok(TreeNodeRecursion::Jump);
            }
            found |= is_random_call(node);
            Ok(TreeNodeRecursion::Continue)
        });
    }
    found
}

fn is_aggregated(expr: &DfExpr) -> bool {
    expr.exists(|node| Ok(matches!(node, DfExpr::AggregateFunction(_)))).unwrap_or(false)
}

static MARKER_CONTEXT: LazyLock<Arc<EvalContext>> = LazyLock::new(Arc::default);

/// Stands for `grouping(c)` or `grouping_id(…)` until the aggregate around it is known.
pub(crate) fn grouping_marker(name: &str, arguments: Vec<DfExpr>) -> DfExpr {
    let refuse = |_: &firesteel_functions::ScalarArgs<'_>| Err(SparkError::of("UNSUPPORTED_GROUPING_EXPRESSION"));
    let name = if name == "grouping" { "grouping" } else { "grouping_id" };
    let arguments = arguments.into_iter().map(|e| TypedExpr::new(e, DataType::Null, true, "")).collect();
    SparkScalar::call(name, refuse, arguments, DataType::Long, false, &MARKER_CONTEXT).build().expr
}

fn is_grouping_marker(expr: &DfExpr) -> bool {
    matches!(expr, DfExpr::ScalarFunction(call) if matches!(call.func.name(), "grouping" | "grouping_id"))
}
