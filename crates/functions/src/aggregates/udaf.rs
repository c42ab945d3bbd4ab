//! One use of a Spark aggregate in a plan, as DataFusion sees it.
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DfResult;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, GroupsAccumulator, Signature as DfSignature, Volatility,
};
use firesteel_plan::{DataType, Origin, Result};

use super::distinct;
use super::wrappers::SlidingAccumulator;
use crate::context::EvalContext;
use crate::types;

/// How a function accumulates.
#[derive(Clone, Copy)]
pub struct AggregateKernel {
    pub accumulator: fn(&Arc<AggregateCall>) -> Result<Box<dyn Accumulator>>,
    /// A vectorised form for GROUP BY, where there is one
    pub groups: Option<fn(&Arc<AggregateCall>) -> Result<Box<dyn GroupsAccumulator>>>,
    /// Types of the partial state
    pub state: fn(&AggregateCall) -> Vec<ArrowType>,
}

/// What the accumulators of one call know.
pub struct AggregateCall {
    pub name: &'static str,
    pub kernel: AggregateKernel,
    pub arg_types: Vec<DataType>,
    pub return_type: DataType,
    pub context: Arc<EvalContext>,
    /// What the builder fixed (a mode, a direction …)
    pub options: Vec<String>,
    /// Arguments that must be constant, evaluated
    pub constants: Vec<ScalarValue>,
    pub origin: Option<Arc<Origin>>,
}

impl AggregateCall {
    pub fn option(&self, index: usize) -> &str {
        self.options.get(index).map_or("", String::as_str)
    }

    pub fn has_option(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }

    /// Arrow type of argument `index`.
    pub fn arg_arrow(&self, index: usize) -> ArrowType {
        self.arg_types.get(index).map_or(ArrowType::Null, types::to_arrow)
    }

    /// Arrow type of the result.
    pub fn return_arrow(&self) -> ArrowType {
        types::to_arrow(&self.return_type)
    }

    /// The type of one row of arguments: a struct, unless there is just one.
    pub fn row_type(&self) -> ArrowType {
        match self.arg_types.as_slice() {
            [_] => self.arg_arrow(0),
            _ => ArrowType::Struct(self.row_fields()),
        }
    }

    fn row_fields(&self) -> Fields {
        (0..self.arg_types.len()).map(|i| Field::new(format!("c{i}"), self.arg_arrow(i), true)).collect()
    }

    /// The type of a state that is a list of rows.
    pub fn rows_type(&self) -> ArrowType {
        ArrowType::List(Arc::new(Field::new("item", self.row_type(), true)))
    }

    /// Lists of rows, from the columns of all rows and where each list ends.
    pub fn lists_of_rows(&self, mut columns: Vec<ArrayRef>, offsets: OffsetBuffer<i32>) -> DfResult<ListArray> {
        let rows = match columns.len() {
            1 => columns.remove(0),
            _ => {
                let rows = columns.first().map_or(0, |column| column.len());
                Arc::new(StructArray::try_new_with_length(self.row_fields(), columns, None, rows)?)
            }
        };
        let field = Arc::new(Field::new("item", self.row_type(), true));
        Ok(ListArray::try_new(field, offsets, rows, None)?)
    }

    /// The columns of rows in such lists.
    pub fn columns_of_rows(&self, rows: &ArrayRef) -> Vec<ArrayRef> {
        match (self.arg_types.len(), rows.as_struct_opt()) {
            (1, _) => vec![Arc::clone(rows)],
            (_, Some(rows)) => rows.columns().to_vec(),
            (_, None) => vec![],
        }
    }

    pub fn accumulator(self: &Arc<Self>) -> DfResult<Box<dyn Accumulator>> {
        (self.kernel.accumulator)(self).map_err(crate::external)
    }

    pub fn groups(self: &Arc<Self>) -> DfResult<Box<dyn GroupsAccumulator>> {
        match self.kernel.groups {
            Some(make) => make(self).map_err(crate::external),
            None => datafusion::common::internal_err!("{} has no groups accumulator", self.name),
        }
    }

    pub fn fail<T>(&self, error: firesteel_plan::SparkError) -> DfResult<T> {
        Err(crate::external(error.with_origin(self.origin.as_ref())))
    }
}

/// The DataFusion function that carries a call.
pub struct SparkAggregate {
    pub call: Arc<AggregateCall>,
    signature: DfSignature,
}

impl SparkAggregate {
    pub fn new(call: AggregateCall) -> Self {
        Self { call: Arc::new(call), signature: DfSignature::variadic_any(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for SparkAggregate {
    fn name(&self) -> &str {
        self.call.name
    }
    fn signature(&self) -> &DfSignature {
        &self.signature
    }
    fn return_type(&self, _: &[ArrowType]) -> DfResult<ArrowType> {
        Ok(self.call.return_arrow())
    }
    fn accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return distinct::accumulator(&self.call, args);
        }
        self.call.accumulator()
    }
    fn state_fields(&self, args: StateFieldsArgs) -> DfResult<Vec<FieldRef>> {
        let state = if args.is_distinct { vec![self.call.rows_type()] } else { (self.call.kernel.state)(&self.call) };
        let field = |(i, t)| Arc::new(Field::new(format!("{}[{i}]", args.name), t, true));
        Ok(state.into_iter().enumerate().map(field).collect())
    }
    fn groups_accumulator_supported(&self, _: AccumulatorArgs) -> bool {
        self.call.kernel.groups.is_some()
    }
    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> DfResult<Box<dyn GroupsAccumulator>> {
        if args.is_distinct { distinct::groups(&self.call) } else { self.call.groups() }
    }
    fn create_sliding_accumulator(&self, _: AccumulatorArgs) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(SlidingAccumulator::new(&self.call)))
    }
    fn default_value(&self, _: &ArrowType) -> DfResult<ScalarValue> {
        self.call.accumulator()?.evaluate()
    }
    fn supports_null_handling_clause(&self) -> bool {
        false
    }
}

impl std::fmt::Debug for SparkAggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.call.name)
    }
}
impl PartialEq for SparkAggregate {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&self.call, &other.call);
        a.name == b.name
            && a.arg_types == b.arg_types
            && a.return_type == b.return_type
            && a.options == b.options
            && a.constants == b.constants
            && a.context == b.context
    }
}
impl Eq for SparkAggregate {}
impl Hash for SparkAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.call.name, &self.call.return_type, &self.call.options, &self.call.constants).hash(state);
    }
}
