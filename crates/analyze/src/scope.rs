//! Attributes (resolved columns) and the resolved plan that carries them.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::Column;
use datafusion::logical_expr::{Expr as DfExpr, LogicalPlan, LogicalPlanBuilder};
use firesteel_functions::TypedExpr;
use firesteel_plan::{DataType, Result, StructField, StructType};

use crate::from_datafusion;

/// A resolved column.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Unique: the column's DataFusion name (`name#12`).
    pub id: String,
    /// What the user sees.
    pub name: String,
    pub data_type: DataType,
    pub nullable: bool,
    pub metadata: BTreeMap<String, String>,
    /// `[catalog, database, table]`, `[alias]` or nothing.
    pub qualifier: Vec<String>,
    /// Hidden, and reachable by qualifier only: a key of a USING join that the other side stands for.
    pub qualified_only: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A new unique column id that still tells the name.
pub fn fresh_id(name: &str) -> String {
    format!("{name}#{}", NEXT_ID.fetch_add(1, Ordering::Relaxed))
}

impl Attribute {
    pub fn new(name: impl Into<String>, data_type: DataType, nullable: bool) -> Self {
        let name = name.into();
        Self {
            id: fresh_id(&name),
            name,
            data_type,
            nullable,
            metadata: BTreeMap::new(),
            qualifier: vec![],
            qualified_only: false,
        }
    }

    pub fn of_field(field: &StructField) -> Self {
        let field = crate::char_varchar::as_string(field);
        let mut attribute = Self::new(&field.name, field.data_type, field.nullable);
        attribute.metadata = field.metadata;
        attribute
    }

    /// The DataFusion expression that reads it.
    pub fn column(&self) -> DfExpr {
        DfExpr::Column(Column::from_name(&self.id))
    }

    /// As a resolved expression; output names show the plain name.
    pub fn typed(&self) -> TypedExpr {
        TypedExpr::new(self.column(), self.data_type.clone(), self.nullable, self.name.clone())
    }

    pub fn to_field(&self) -> StructField {
        StructField {
            name: self.name.clone(),
            data_type: self.data_type.clone(),
            nullable: self.nullable,
            metadata: self.metadata.clone(),
        }
    }

    pub fn renewed(&self) -> Self {
        Self { id: fresh_id(&self.name), ..self.clone() }
    }
}

/// A resolved operator.
#[derive(Clone)]
pub struct Resolved {
    pub plan: LogicalPlan,
    pub output: Vec<Attribute>,
    /// Columns that the plan carries beside `output`: reachable by qualified or plan-id reference only
    /// (the other side of a USING join, metadata columns).
    pub hidden: Vec<Attribute>,
    /// What each DataFrame below put out, for `df["c"]`.
    pub plan_outputs: HashMap<i64, Vec<Vec<Attribute>>>,
    /// How columns that a projection dropped can be had again (ORDER BY and filters may use them).
    pub extend: Option<Arc<Extend>>,
    /// Columns of windows of time, among `hidden`.
    pub time_windows: Vec<TimeWindow>,
}

/// A column of windows, and the expression that made it.
#[derive(Clone)]
pub struct TimeWindow {
    pub key: DfExpr,
    pub attribute: Attribute,
}

/// See [`Resolved::extend`]: the projection or aggregate, and what was put on top of it since.
#[derive(Clone)]
pub struct Extend {
    pub base: ExtendBase,
    /// Applied in order on top of the rebuilt base.
    pub above: Vec<Above>,
    /// Of an aggregate, only the grouping columns can be had again: Spark has a projection above it.
    pub groups_only: bool,
}

#[derive(Clone)]
pub enum ExtendBase {
    Project { input: Resolved, expressions: Vec<DfExpr> },
    Aggregate(Arc<crate::relation::aggregate::AggregateParts>),
}

/// Operators that keep the columns below them.
#[derive(Clone)]
pub enum Above {
    Filter(DfExpr),
    /// A projection over the base that adds window columns; kept columns are passed through.
    Window(Vec<DfExpr>),
}

impl Resolved {
    pub fn new(plan: LogicalPlan, output: Vec<Attribute>) -> Self {
        Self { plan, output, hidden: vec![], plan_outputs: HashMap::new(), extend: None, time_windows: vec![] }
    }

    pub fn schema(&self) -> StructType {
        StructType::new(self.output.iter().map(Attribute::to_field).collect())
    }

    /// Replaces the plan by one with the same columns (filter, sort, limit …).
    pub fn with_plan(mut self, plan: LogicalPlan) -> Self {
        self.plan = plan;
        self
    }

    /// Like [`Self::with_plan`], for operators after which dropped columns cannot be reached any more.
    pub fn closed(mut self, plan: LogicalPlan) -> Self {
        self.plan = plan;
        self.extend = None;
        self
    }

    /// Above an aggregate whose select list has window functions, only grouping columns are left.
    pub fn above_windows(mut self) -> Self {
        if let Some(extend) = &self.extend
            && let ExtendBase::Aggregate(parts) = &extend.base
            && parts.has_windows()
        {
            self.extend = Some(Arc::new(Extend { groups_only: true, ..extend.as_ref().clone() }));
        }
        self
    }

    pub fn keeps_groups_only(&self) -> bool {
        self.extend.as_ref().is_some_and(|e| e.groups_only)
    }

    /// Takes over what is known of DataFrames below another operator.
    pub fn with_plan_outputs_of(mut self, others: &[&Resolved]) -> Self {
        for other in others {
            for (id, outputs) in &other.plan_outputs {
                let all = self.plan_outputs.entry(*id).or_default();
                for output in outputs {
                    if !all.contains(output) {
                        all.push(output.clone());
                    }
                }
            }
        }
        self
    }

    /// A plan with exactly the output columns, in order.
    pub fn sealed(self) -> Result<Self> {
        let fields = self.plan.schema().fields();
        let exact = fields.len() == self.output.len()
            && fields.iter().zip(&self.output).all(|(field, attribute)| *field.name() == attribute.id);
        if exact {
            return Ok(Self { hidden: vec![], extend: None, time_windows: vec![], ..self });
        }
        let columns: Vec<_> = self.output.iter().map(Attribute::column).collect();
        let plan = LogicalPlanBuilder::from(self.plan).project(columns).and_then(|b| b.build());
        Ok(Self { plan: plan.map_err(from_datafusion)?, hidden: vec![], extend: None, time_windows: vec![], ..self })
    }

    /// A projection that gives every output column a new id.
    pub fn renewed(self) -> Result<Self> {
        let output: Vec<_> = self.output.iter().map(Attribute::renewed).collect();
        let columns: Vec<_> = self.output.iter().zip(&output).map(|(old, new)| old.column().alias(&new.id)).collect();
        let plan = LogicalPlanBuilder::from(self.plan).project(columns).and_then(|b| b.build());
        let renewed = Resolved::new(plan.map_err(from_datafusion)?, output);
        Ok(renewed)
    }
}

/// Projects `expressions` (each an alias to the id of the attribute beside it, or that very column).
pub fn project(plan: LogicalPlan, expressions: Vec<DfExpr>) -> Result<LogicalPlan> {
    if expressions.is_empty() {
        // DataFusion keeps the row count of a projection without columns.
        let projection = datafusion::logical_expr::Projection::try_new(vec![], Arc::new(plan));
        return projection.map(LogicalPlan::Projection).map_err(from_datafusion);
    }
    let projection = datafusion::logical_expr::Projection::try_new(expressions, Arc::new(plan));
    projection.map(LogicalPlan::Projection).map_err(from_datafusion)
}
