//! Groups and filters texts by their codes, where the files that are read hold them as dictionaries.
//!
//! ```text
//!  Filter (w = 'x') ── Scan (w)              becomes  Projection (text of w) ── Filter (test of code) ── Scan (code of w)
//!  Aggregate (by w) ── Filter … ── Scan (w)           Projection (text of w) ── Aggregate (by code) ── … ── Scan (code of w)
//! ```
//! Comparing and hashing numbers is cheaper than texts, a condition is asked once for each text, and the texts of most rows
//! are never made. Between the scan and the aggregation nothing else may use the column.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, NotExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ChildrenPropertiesMode, ExecutionPlan, PhysicalExpr, ReplaceChildrenOptions};
use firesteel_lake::{CodeTest, TextCodes, TextOf, read_as_codes, tests_plainly};

/// The rule.
#[derive(Debug)]
pub struct UseTextCodes;

impl PhysicalOptimizerRule for UseTextCodes {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|plan| {
            let coded = match (plan.downcast_ref::<AggregateExec>(), plan.downcast_ref::<FilterExec>()) {
                (Some(aggregate), _) => coded(aggregate)?,
                (None, Some(filter)) => filtered(filter)?,
                (None, None) => None,
            };
            Ok(coded.map_or_else(|| Transformed::no(plan), Transformed::yes))
        })
        .data()
    }
    fn name(&self) -> &str {
        "use_text_codes"
    }
    fn schema_check(&self) -> bool {
        true
    }
}

/// Columns of a plan's output, and the codes that stand in them.
type Coded = BTreeMap<usize, Arc<TextCodes>>;

/// The aggregation with codes. `None`: there is no column for which that can be.
fn coded(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let groups = aggregate.group_expr();
    let is_first = matches!(aggregate.mode(), AggregateMode::Partial | AggregateMode::Single);
    if !is_first || !groups.is_single() || groups.is_empty() {
        return Ok(None);
    }
    let input = aggregate.input();
    let arguments = aggregate.aggr_expr().iter().flat_map(|call| call.all_expressions().args);
    let orders = aggregate.aggr_expr().iter().flat_map(|call| call.all_expressions().order_by_exprs);
    let filters = aggregate.filter_expr().iter().flatten().cloned();
    let others: Vec<Arc<dyn PhysicalExpr>> = arguments.chain(orders).chain(filters).collect();
    let mut plan = Arc::clone(input);
    let mut known = Coded::new();
    for (position, (expr, _)) in groups.expr().iter().enumerate() {
        let Some(column) = expr.downcast_ref::<Column>().map(Column::index) else { continue };
        let same = groups.expr().iter().enumerate().filter(|(at, _)| *at != position).map(|(_, (expr, _))| expr);
        let is_text = plan.schema().field(column).data_type() == &DataType::Utf8;
        if !is_text || others.iter().chain(same).any(|expr| uses(expr, column)) {
            continue;
        }
        if let Some((coded, codes)) = with_codes(&plan, column)? {
            plan = coded;
            known.insert(position, codes);
        }
    }
    match known.is_empty() {
        true => Ok(None),
        false => regrouped(aggregate, plan, &known),
    }
}

fn uses(expr: &Arc<dyn PhysicalExpr>, column: usize) -> bool {
    collect_columns(expr).iter().any(|used| used.index() == column)
}

/// The aggregation over an input whose group columns at those places are codes, and a projection that gives the texts back.
fn regrouped(
    aggregate: &AggregateExec,
    input: Arc<dyn ExecutionPlan>,
    known: &Coded,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let groups = PhysicalGroupBy::new_single(aggregate.group_expr().expr().to_vec());
    let schema = input.schema();
    let regrouped = AggregateExec::try_new(
        *aggregate.mode(),
        groups,
        aggregate.aggr_expr().to_vec(),
        aggregate.filter_expr().to_vec(),
        input,
        schema,
    )?;
    let regrouped = regrouped.with_limit_options(aggregate.limit_options());
    with_texts(Arc::new(regrouped), &aggregate.schema(), known)
}

/// A filter of a scan that tests codes. `None`: its condition has no text for which that can be.
fn filtered(filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let (mut scan, mut predicate) = (Arc::clone(filter.input()), Arc::clone(filter.predicate()));
    let mut known = Coded::new();
    let used: BTreeSet<usize> = collect_columns(&predicate).iter().map(Column::index).collect();
    for column in used {
        let is_text = scan.schema().field(column).data_type() == &DataType::Utf8;
        if !is_text || !tests_plainly(&predicate, column) || !stands_alone(&predicate, column) {
            continue;
        }
        let Some(coded) = read_as_codes(&scan, &[column])? else { continue };
        let Some(codes) = coded.codes.into_iter().next() else { continue };
        predicate = tested(predicate, column, &codes)?;
        scan = coded.plan;
        known.insert(column, codes);
    }
    if known.is_empty() {
        return Ok(None);
    }
    let filtered = FilterExecBuilder::from(filter).with_input(scan).with_predicate(predicate).build()?;
    let before = filter.schema();
    let kept = |at: usize| filter.projection().as_ref().map_or(Some(at), |kept| kept.get(at).copied());
    let of_output = (0..before.fields().len()).filter_map(|at| Some((at, Arc::clone(known.get(&kept(at)?)?))));
    with_texts(Arc::new(filtered), &before, &of_output.collect())
}

/// Whether each part of a condition that uses the column uses no other one.
fn stands_alone(expr: &Arc<dyn PhysicalExpr>, column: usize) -> bool {
    if !uses(expr, column) || collect_columns(expr).len() == 1 {
        return true;
    }
    let logic = expr.is::<NotExpr>() || expr.downcast_ref::<BinaryExpr>().is_some_and(|b| b.op().is_logic_operator());
    logic && expr.children().into_iter().all(|child| stands_alone(child, column))
}

/// The condition with a test of the code in place of the parts that use the column.
fn tested(expr: Arc<dyn PhysicalExpr>, column: usize, codes: &Arc<TextCodes>) -> Result<Arc<dyn PhysicalExpr>> {
    let tested = expr.transform_down(|expr| {
        let used = collect_columns(&expr);
        match used.iter().next() {
            Some(text) if used.len() == 1 && text.index() == column => {
                let test = CodeTest::new(Arc::new(text.clone()), Arc::clone(codes), expr)?;
                Ok(Transformed::new(Arc::new(test) as _, true, TreeNodeRecursion::Jump))
            }
            _ => Ok(Transformed::no(expr)),
        }
    });
    tested.data()
}

/// A projection that gives the texts of those columns back, under the schema that was before.
fn with_texts(
    plan: Arc<dyn ExecutionPlan>,
    before: &SchemaRef,
    known: &Coded,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    if known.is_empty() {
        return Ok((plan.schema() == *before).then_some(plan));
    }
    let exprs = before.fields().iter().enumerate().map(|(at, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        let expr = match known.get(&at) {
            Some(codes) => Arc::new(TextOf::new(column, Arc::clone(codes), Arc::clone(field))) as _,
            None => column,
        };
        (expr, field.name().clone())
    });
    let texts = ProjectionExec::try_new(exprs.collect::<Vec<_>>(), plan)?;
    // What stands above was planned for these very columns.
    Ok((texts.schema() == *before).then(|| Arc::new(texts) as _))
}

/// The plan with codes in place of the texts of an output column.
fn with_codes(
    plan: &Arc<dyn ExecutionPlan>,
    column: usize,
) -> Result<Option<(Arc<dyn ExecutionPlan>, Arc<TextCodes>)>> {
    if let Some(coded) = without_text(plan, column)? {
        return Ok(Some(coded));
    }
    let Some(below) = source_of(plan, column) else {
        let scan = read_as_codes(plan, &[column])?;
        return Ok(scan.and_then(|scan| Some((scan.plan, scan.codes.into_iter().next()?))));
    };
    let Some((input, codes)) = with_codes(plan.children()[0], below)? else { return Ok(None) };
    let coded = match plan.downcast_ref::<ProjectionExec>() {
        // Its columns' types are found anew.
        Some(projection) => Arc::new(ProjectionExec::try_new(projection.expr().to_vec(), input)?) as _,
        None => {
            let anew = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
            Arc::clone(plan).replace_children(vec![input], anew)?
        }
    };
    let is_coded = coded.schema().field(column).data_type() == &DataType::UInt32;
    Ok(is_coded.then_some((coded, codes)))
}

/// A projection that makes texts of codes, without that.
fn without_text(
    plan: &Arc<dyn ExecutionPlan>,
    column: usize,
) -> Result<Option<(Arc<dyn ExecutionPlan>, Arc<TextCodes>)>> {
    let Some(projection) = plan.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let Some(text) = projection.expr()[column].expr.downcast_ref::<TextOf>() else { return Ok(None) };
    let mut exprs = projection.expr().to_vec();
    exprs[column].expr = Arc::clone(text.code());
    let codes = Arc::clone(text.codes());
    Ok(Some((Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?), codes)))
}

/// The column of the input that an output column is, where the operator hands it on and does nothing else with it.
fn source_of(plan: &Arc<dyn ExecutionPlan>, column: usize) -> Option<usize> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let below = filter.projection().as_ref().map_or(Some(column), |kept| kept.get(column).copied())?;
        return (!uses(filter.predicate(), below)).then_some(below);
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let below = projection.expr().get(column)?.expr.downcast_ref::<Column>()?.index();
    let used = projection.expr().iter().filter(|projected| uses(&projected.expr, below)).count();
    (used == 1).then_some(below)
}
