//! The frame of our one-input operators: a logical [`Node`] and a physical [`PartitionExec`].
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties,
    InputDistributionRequirements, Partitioning, PlanProperties, ReplaceChildrenOptions,
};

/// What one of our operators does to its input.
pub trait Operator: Clone + Debug + PartialEq + Eq + Hash + Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether it leaves rows and columns as they are, so that filters, limits and pruning may pass it.
    const IS_TRANSPARENT: bool = false;

    /// Its arguments, for `explain`.
    fn describe(&self) -> String;

    /// Expressions over the input.
    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn with_expressions(&self, _expressions: Vec<Expr>) -> Self {
        self.clone()
    }

    /// Columns it appends to the input's.
    fn added_fields(&self) -> Vec<Field> {
        vec![]
    }

    fn physical(
        &self,
        expressions: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>>;
}

/// The logical node of an operator.
#[derive(Debug, Clone)]
pub struct Node<O: Operator> {
    pub operator: O,
    pub input: Arc<LogicalPlan>,
    schema: DFSchemaRef,
}

impl<O: Operator> Node<O> {
    pub fn plan(operator: O, input: LogicalPlan) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(Self::new(operator, input)) })
    }

    /// The operator that a plan node is, if it is one of these.
    pub fn operator_of(plan: &LogicalPlan) -> Option<&O> {
        match plan {
            LogicalPlan::Extension(extension) => {
                extension.node.as_any().downcast_ref::<Self>().map(|node| &node.operator)
            }
            _ => None,
        }
    }

    fn new(operator: O, input: LogicalPlan) -> Self {
        let added = operator.added_fields();
        let schema = if added.is_empty() {
            Arc::clone(input.schema())
        } else {
            let mut schema = input.schema().as_ref().clone();
            let fields = added.into_iter().map(Arc::new).collect::<Vec<_>>();
            match DFSchema::from_unqualified_fields(fields.into(), Default::default()) {
                Ok(more) => schema.merge(&more),
                Err(error) => tracing::error!(%error, "columns of {} repeat", O::NAME),
            }
            Arc::new(schema)
        };
        Self { operator, input: Arc::new(input), schema }
    }
}

impl<O: Operator> PartialEq for Node<O> {
    fn eq(&self, other: &Self) -> bool {
        self.operator == other.operator && self.input == other.input
    }
}
impl<O: Operator> Eq for Node<O> {}
impl<O: Operator> Hash for Node<O> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.operator.hash(state);
        self.input.hash(state);
    }
}
impl<O: Operator> PartialOrd for Node<O> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl<O: Operator> UserDefinedLogicalNodeCore for Node<O> {
    fn name(&self) -> &str {
        O::NAME
    }
    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }
    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }
    fn expressions(&self) -> Vec<Expr> {
        self.operator.expressions()
    }
    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", O::NAME, self.operator.describe())
    }
    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs.pop().ok_or_else(|| DataFusionError::Internal(format!("{} has no input", O::NAME)))?;
        let operator = if exprs.is_empty() { self.operator.clone() } else { self.operator.with_expressions(exprs) };
        Ok(Self::new(operator, input))
    }
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        if O::IS_TRANSPARENT {
            return HashSet::new();
        }
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }
    fn supports_limit_pushdown(&self) -> bool {
        O::IS_TRANSPARENT
    }
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        O::IS_TRANSPARENT.then(|| vec![output_columns.to_vec()])
    }
}

/// What a [`PartitionExec`] does with the rows of one partition.
pub trait PartitionFunction: Debug + Send + Sync {
    /// Told, before each partition is read, how many there are.
    fn prepare(&self, _partitions: usize) {}

    fn apply(
        &self,
        partition: usize,
        rows: SendableRecordBatchStream,
        context: &Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream>;

    /// The function inside a recursive query, where that differs. `level` counts from 1.
    fn in_recursion(&self, _level: &Arc<AtomicU64>) -> Option<Arc<dyn PartitionFunction>> {
        None
    }
}

/// Runs a [`PartitionFunction`] over every partition of its input.
#[derive(Debug, Clone)]
pub struct PartitionExec {
    name: &'static str,
    description: String,
    input: Arc<dyn ExecutionPlan>,
    function: Arc<dyn PartitionFunction>,
    added_fields: Vec<Field>,
    single_partition: bool,
    /// Whether what is known of the input's columns ends here.
    forgets: bool,
    ordering: Option<OrderingRequirements>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PartitionExec {
    pub fn new<O: Operator>(operator: &O, input: Arc<dyn ExecutionPlan>, function: Arc<dyn PartitionFunction>) -> Self {
        let added_fields = operator.added_fields();
        let properties = properties(&input, &added_fields, None);
        Self {
            name: O::NAME,
            description: operator.describe(),
            input,
            function,
            added_fields,
            single_partition: false,
            forgets: false,
            ordering: None,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The operator inside a recursive query, where that differs. `level` counts from 1.
    pub fn in_recursion(&self, level: &Arc<AtomicU64>) -> Option<Self> {
        Some(Self { function: self.function.in_recursion(level)?, ..self.clone() })
    }

    /// All rows come in one partition.
    pub fn single_partition(mut self) -> Self {
        self.single_partition = true;
        self
    }

    /// What is known of the input's columns (constants, order) is not known above.
    pub fn forgetting(mut self) -> Self {
        self.forgets = true;
        self.properties = self.properties_over(&self.input);
        self
    }

    fn properties_over(&self, input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
        let count = input.output_partitioning().partition_count();
        properties(input, &self.added_fields, self.forgets.then_some(Partitioning::UnknownPartitioning(count)))
    }

    /// Rows of each partition come in this order.
    pub fn ordered(mut self, ordering: OrderingRequirements) -> Self {
        self.ordering = Some(ordering);
        self
    }
}

/// The input's schema with columns appended.
pub fn extended_schema(input: &SchemaRef, added: &[Field]) -> SchemaRef {
    if added.is_empty() {
        return Arc::clone(input);
    }
    let fields: Vec<_> = input.fields().iter().cloned().chain(added.iter().map(|f| Arc::new(f.clone()))).collect();
    Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()))
}

/// Properties of an operator that keeps its input's rows in order, with `partitions` partitions if given.
pub fn properties(
    input: &Arc<dyn ExecutionPlan>,
    added: &[Field],
    partitioning: Option<Partitioning>,
) -> Arc<PlanProperties> {
    let equivalence = if added.is_empty() && partitioning.is_none() {
        input.equivalence_properties().clone()
    } else {
        EquivalenceProperties::new(extended_schema(&input.schema(), added))
    };
    let count = input.output_partitioning().partition_count();
    let partitioning = partitioning.unwrap_or(Partitioning::UnknownPartitioning(count));
    Arc::new(PlanProperties::new(equivalence, partitioning, EmissionType::Incremental, Boundedness::Bounded))
}

impl DisplayAs for PartitionExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}Exec: {}", self.name, self.description)
    }
}

impl ExecutionPlan for PartitionExec {
    fn name(&self) -> &str {
        self.name
    }
    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }
    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }
    fn required_input_distribution(&self) -> Vec<Distribution> {
        self.input_distribution_requirements().into_per_child()
    }
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let wanted =
            if self.single_partition { Distribution::SinglePartition } else { Distribution::UnspecifiedDistribution };
        InputDistributionRequirements::new(vec![wanted])
    }
    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.ordering.clone()]
    }
    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }
    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = children.pop().ok_or_else(|| DataFusionError::Internal("an input is missing".into()))?;
        let properties = self.properties_over(&input);
        Ok(Arc::new(Self { input, properties, metrics: ExecutionPlanMetricsSet::new(), ..self.as_ref().clone() }))
    }
    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }
    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
        use futures::StreamExt;
        let rows = self.input.execute(partition, Arc::clone(&context))?;
        self.function.prepare(self.input.output_partitioning().partition_count());
        let out = self.function.apply(partition, rows, &context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let counted = out.inspect(move |batch| {
            if let Ok(batch) = batch {
                metrics.record_output(batch.num_rows());
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }
    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
