//! A physical plan under the names that Spark has for its operators. What DataFusion says of each stays as it is.
use std::fmt::Write as _;
use std::sync::Arc;

use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::physical_plan::{ExecutionPlan, displayable};

use crate::cache::is_persisted;

/// DataFusion's operator, Spark's name for it.
const NAMES: &[(&str, &str)] = &[
    ("AggregateExec", "HashAggregate"),
    ("BoundedWindowAggExec", "Window"),
    ("CrossJoinExec", "BroadcastNestedLoopJoin BuildLeft, Cross"),
    ("EmptyExec", "LocalTableScan <empty>"),
    ("FilterExec", "Filter"),
    ("GatherExec", "Exchange SinglePartition"),
    ("GenerateExec", "Generate"),
    ("GlobalLimitExec", "GlobalLimit"),
    ("InterleaveExec", "Union"),
    ("LocalLimitExec", "LocalLimit"),
    ("NestedLoopJoinExec", "BroadcastNestedLoopJoin BuildLeft"),
    ("PlaceholderRowExec", "Scan OneRowRelation"),
    ("ProjectionExec", "Project"),
    ("RepartitionExec", "Exchange"),
    ("RunningWindowExec", "Window"),
    ("SortExec", "Sort"),
    ("SortMergeJoinExec", "SortMergeJoin"),
    ("SortPreservingMergeExec", "Exchange SinglePartition, ordered"),
    ("UnionExec", "Union"),
    ("UnnestExec", "Generate"),
    ("WindowAggExec", "Window"),
];

/// Operators that only help others run.
const HIDDEN: &[&str] = &["BufferExec", "CooperativeExec"];

/// An operator as `explain` shows it.
pub struct Operators {
    name: String,
    arguments: String,
    output: Vec<String>,
    statistics: String,
    children: Vec<Operators>,
}

impl Operators {
    /// The gathering of a result for the client is no part of the plan.
    pub fn of(plan: &Arc<dyn ExecutionPlan>) -> Self {
        match plan.downcast_ref::<crate::exec::GatherExec>() {
            Some(gather) if gather.fetch_rows().is_none() => shown(gather.children()[0]),
            _ => shown(plan),
        }
    }

    pub fn tree(&self) -> String {
        let mut text = String::new();
        self.write_tree(&mut text, "", "", &|node| format!("{} {}", node.name, node.arguments));
        text
    }

    pub fn tree_with_statistics(&self) -> String {
        let mut text = String::new();
        let line = |node: &Self| format!("{} {}, {}", node.name, node.arguments, node.statistics);
        self.write_tree(&mut text, "", "", &line);
        text
    }

    /// A numbered tree of operators, then the details of each. Inputs have the lower numbers.
    pub fn numbered(&self) -> String {
        let mut tree = String::new();
        let mut all = vec![];
        self.collect(&mut all);
        let number = |node: &Self| all.iter().position(|other| std::ptr::eq(*other, node)).map_or(0, |i| i + 1);
        self.write_tree(&mut tree, "", "", &|node| format!("{} ({})", node.name, number(node)));
        for node in &all {
            // Writing to a string cannot fail.
            let _ = write!(
                tree,
                "\n\n({}) {}\nOutput [{}]: [{}]\nArguments: {}\n",
                number(node),
                node.name,
                node.output.len(),
                node.output.join(", "),
                node.arguments
            );
        }
        tree
    }

    fn collect<'a>(&'a self, all: &mut Vec<&'a Self>) {
        for child in &self.children {
            child.collect(all);
        }
        all.push(self);
    }

    fn write_tree(&self, text: &mut String, mark: &str, indent: &str, line: &dyn Fn(&Self) -> String) {
        text.push_str(mark);
        text.push_str(line(self).trim_end());
        text.push('\n');
        for (index, child) in self.children.iter().enumerate() {
            let (branch, below) = if index + 1 < self.children.len() { (":- ", ":  ") } else { ("+- ", "   ") };
            child.write_tree(text, &format!("{indent}{branch}"), &format!("{indent}{below}"), line);
        }
    }
}

/// `Statistics(sizeInBytes=72.0 B, rowCount=2)`, as far as they are known.
pub fn statistics(plan: &Arc<dyn ExecutionPlan>) -> String {
    let Ok(known) = StatisticsContext::new().compute(plan.as_ref(), &StatisticsArgs::new()) else {
        return "Statistics()".into();
    };
    let size = known.total_byte_size.get_value().map(|bytes| format!("sizeInBytes={}", size_text(*bytes)));
    let rows = known.num_rows.get_value().map(|rows| format!("rowCount={rows}"));
    format!("Statistics({})", [size, rows].into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// `1536.0 KiB`: the largest unit of which there are at least two.
fn size_text(bytes: usize) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 2048.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

fn shown(plan: &Arc<dyn ExecutionPlan>) -> Operators {
    if HIDDEN.contains(&plan.name())
        && let [only] = plan.children().as_slice()
    {
        return shown(only);
    }
    if let Some(scan) = scan_below(plan) {
        return shown_scan(plan, scan);
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        return shown_hash_join(plan, join);
    }
    let name = NAMES.iter().find(|(known, _)| *known == plan.name()).map(|(_, name)| *name);
    let name = name.unwrap_or_else(|| plan.name().trim_end_matches("Exec"));
    operator(plan, name, detail(plan), plan.children().into_iter().map(shown).collect())
}

fn operator(plan: &Arc<dyn ExecutionPlan>, name: &str, arguments: String, children: Vec<Operators>) -> Operators {
    Operators { name: name.into(), arguments, output: columns(plan), statistics: statistics(plan), children }
}

fn columns(plan: &Arc<dyn ExecutionPlan>) -> Vec<String> {
    plan.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// What DataFusion says after the operator's name.
fn detail(plan: &Arc<dyn ExecutionPlan>) -> String {
    let line = displayable(plan.as_ref()).one_line().to_string();
    line.split_once(": ").map(|(_, detail)| detail.trim().to_string()).unwrap_or_default()
}

/// The scan that a plan is, or that it only renames the columns of.
fn scan_below(plan: &Arc<dyn ExecutionPlan>) -> Option<&Arc<dyn ExecutionPlan>> {
    if plan.is::<DataSourceExec>() {
        return Some(plan);
    }
    let projection = plan.downcast_ref::<ProjectionExec>()?;
    let is_same = |(index, expr): (usize, &datafusion::physical_expr::projection::ProjectionExpr)| {
        let column = expr.expr.downcast_ref::<datafusion::physical_expr::expressions::Column>();
        column.is_some_and(|column| column.index() == index)
    };
    let input = projection.input();
    let renames = projection.expr().len() == input.schema().fields().len()
        && projection.expr().iter().enumerate().all(is_same)
        && input.is::<DataSourceExec>();
    renames.then_some(input)
}

fn shown_scan(plan: &Arc<dyn ExecutionPlan>, scan: &Arc<dyn ExecutionPlan>) -> Operators {
    let in_memory =
        scan.downcast_ref::<DataSourceExec>().is_some_and(|scan| scan.data_source().is::<MemorySourceConfig>());
    let name = match in_memory {
        true if is_persisted(&scan.schema()) => "InMemoryTableScan",
        true => "LocalTableScan",
        false => "FileScan",
    };
    let arguments = format!("[{}]", columns(plan).join(", "));
    let arguments = if in_memory { arguments } else { format!("{arguments} {}", detail(scan)) };
    operator(plan, name, arguments, vec![])
}

/// A join that also drops or reorders columns is shown as two operators.
fn shown_hash_join(plan: &Arc<dyn ExecutionPlan>, join: &HashJoinExec) -> Operators {
    let name = match join.partition_mode() {
        PartitionMode::Partitioned => "ShuffledHashJoin",
        PartitionMode::CollectLeft | PartitionMode::Auto => "BroadcastHashJoin",
    };
    let keys = |side: fn(&(Key, Key)) -> &Key| join.on().iter().map(|pair| side(pair).to_string()).collect::<Vec<_>>();
    let (left, right) = (keys(|pair| &pair.0), keys(|pair| &pair.1));
    let filter = join.filter().map(|filter| format!(", {}", filter.expression())).unwrap_or_default();
    let kind = join.join_type();
    let arguments = format!("[{}], [{}], {kind}, BuildLeft{filter}", left.join(", "), right.join(", "));
    let joined = operator(plan, name, arguments, plan.children().into_iter().map(shown).collect());
    if !join.contains_projection() {
        return joined;
    }
    let all = join.join_schema().fields().iter().map(|field| field.name().clone()).collect();
    let joined = Operators { output: all, ..joined };
    operator(plan, "Project", format!("[{}]", columns(plan).join(", ")), vec![joined])
}

type Key = Arc<dyn datafusion::physical_expr::PhysicalExpr>;
