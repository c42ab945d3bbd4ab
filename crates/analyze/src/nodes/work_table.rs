//! What a recursive query made in its last level, as a table that its recursive term may read as often as it likes.
use std::fmt;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use parking_lot::Mutex;

/// The rows of one level; who runs the recursion fills it before each.
pub type LevelRows = Arc<Mutex<Vec<RecordBatch>>>;

/// Whether the plan reads the level of a recursive query that is around it: each level gives it other rows.
pub(crate) fn reads_level_around(plan: &LogicalPlan) -> bool {
    let (mut read, mut own) = (vec![], vec![]);
    // The visitor itself cannot fail.
    let _ = plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::RecursiveQuery(query) => own.push(query.name.clone()),
            LogicalPlan::TableScan(scan) => {
                let provider = source_as_provider(&scan.source).ok();
                read.extend(provider.iter().filter_map(|p| p.downcast_ref::<WorkTable>()).map(|t| t.id.clone()));
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    read.iter().any(|id| !own.contains(id))
}

/// The work table of the recursive query `id`.
#[derive(Debug)]
pub struct WorkTable {
    id: String,
    schema: SchemaRef,
}

impl WorkTable {
    pub fn new(id: &str, schema: SchemaRef) -> Self {
        Self { id: id.to_string(), schema }
    }
}

#[async_trait]
impl TableProvider for WorkTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
    fn table_type(&self) -> TableType {
        TableType::Temporary
    }
    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(projection) => Arc::new(self.schema.project(projection)?),
            None => Arc::clone(&self.schema),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(Arc::new(WorkTableExec {
            id: self.id.clone(),
            projection: projection.cloned(),
            rows: LevelRows::default(),
            properties: Arc::new(properties),
        }))
    }
}

/// Reads the rows of the last level.
#[derive(Debug, Clone)]
pub struct WorkTableExec {
    id: String,
    projection: Option<Vec<usize>>,
    rows: LevelRows,
    properties: Arc<PlanProperties>,
}

impl WorkTableExec {
    /// The recursive query that it belongs to.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The same, reading the rows of one run of the query.
    pub fn of_run(&self, rows: &LevelRows) -> Self {
        Self { rows: Arc::clone(rows), ..self.clone() }
    }
}

impl DisplayAs for WorkTableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkTableExec: name={}", self.id)
    }
}

impl ExecutionPlan for WorkTableExec {
    fn name(&self) -> &'static str {
        "WorkTableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        let options = |batch: &RecordBatch| RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let rows = self.rows.lock();
        let batches = rows.iter().map(|batch| {
            let columns = match &self.projection {
                Some(projection) => projection.iter().map(|index| Arc::clone(batch.column(*index))).collect(),
                None => batch.columns().to_vec(),
            };
            RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options(batch))
        });
        let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(Box::pin(MemoryStream::try_new(batches, schema, None)?))
    }
}
