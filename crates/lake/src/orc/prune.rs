//! Leaves out what no row of the answer can be in, by what the file says of its columns.
//!
//! ```text
//!  the whole file ── footer ──▶ its stripes ── statistics before the footer ──▶ row groups of a stripe ── its indexes
//! ```
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::PruningPredicate;
use firesteel_functions::types::to_arrow;
use firesteel_plan::StructType;
use orc_prost::Message;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::{ColumnStatistics, RowIndex};
use orc_rust::stripe::Stripe;

use super::bounds::{Bounds, Trust};
use super::calendar::Times;
use super::footer::{OrcFile, decompress_all};
use crate::scan::source::FilePart;

/// What the filters ask of a file, and where the file answers it.
pub(super) struct Pruner {
    predicate: Arc<PruningPredicate>,
    columns: HashMap<String, Known>,
}

enum Known {
    /// The number of the column in the file, its type as Arrow has it, and how to read its statistics
    InFile(u32, ScalarValue, Bounds),
    /// The same for all rows of the file
    Constant(ScalarValue),
}

impl Pruner {
    /// `wanted`: the types of the table's columns, `stored`: of the file's. `None`: nothing can be left out.
    pub(super) fn of(
        part: &FilePart,
        file: &OrcFile,
        wanted: &StructType,
        stored: &StructType,
        times: Times,
        exact_case: bool,
    ) -> Option<Self> {
        let predicate = Arc::clone(part.pruning.predicate.as_ref()?);
        let trust = Trust::of_file(file);
        let asked = collect_columns(predicate.orig_expr());
        let columns = asked.iter().filter_map(|column| {
            let name = column.name();
            if let Some(value) = part.pruning.constants.get(name) {
                return Some((name.to_string(), Known::Constant(value.clone())));
            }
            let wanted = &wanted.fields.iter().find(|field| field.name == name)?.data_type;
            let index = position(stored, name, exact_case)?;
            let number = *file.footer.types.first()?.subtypes.get(index)?;
            let stored_type = file.footer.types.get(number as usize)?;
            let bounds = Bounds::of(stored_type, &stored.fields.get(index)?.data_type, wanted, times, trust)?;
            let null = ScalarValue::try_from(&to_arrow(wanted)).ok()?;
            Some((name.to_string(), Known::InFile(number, null, bounds)))
        });
        let columns: HashMap<_, _> = columns.collect();
        (!columns.is_empty()).then_some(Self { predicate, columns })
    }

    /// Which stripes may have rows for the filters.
    pub(super) fn stripes(&self, file: &OrcFile) -> Vec<bool> {
        let count = file.footer.stripes.len();
        let of_file = |_, column: usize| file.footer.statistics.get(column);
        if self.may_match(vec![file.footer.number_of_rows()], &of_file) == [false] {
            return vec![false; count];
        }
        // What cannot be read is not needed to read the file.
        let statistics = file.stripe_statistics().unwrap_or_default();
        let rows = file.footer.stripes.iter().map(|stripe| stripe.number_of_rows()).collect();
        self.may_match(rows, &|stripe: usize, column| statistics.get(stripe)?.col_stats.get(column))
    }

    /// Which row groups of a stripe may have rows for the filters; `group_rows`: of each but the last.
    pub(super) fn row_groups(&self, stripe: &Stripe, group_rows: usize) -> Vec<bool> {
        let count = stripe.number_of_rows().div_ceil(group_rows);
        let group = |index| group_rows.min(stripe.number_of_rows() - index * group_rows) as u64;
        let indexes = self.indexes(stripe, count);
        self.may_match((0..count).map(group).collect(), &|group, column| {
            indexes.get(&column)?.entry.get(group)?.statistics.as_ref()
        })
    }

    /// By the number of the column.
    fn indexes(&self, stripe: &Stripe, groups: usize) -> HashMap<usize, RowIndex> {
        let is_asked = |number: u32| {
            self.columns.values().any(|known| matches!(known, Known::InFile(asked, ..) if *asked == number))
        };
        let asked = stripe.columns().iter().filter(|column| is_asked(column.column_id()));
        let indexes = asked.filter_map(|column| {
            let bytes = decompress_all(stripe.stream_map().get_opt(column, StreamKind::RowIndex)?).ok()?;
            let index = RowIndex::decode(bytes.as_slice()).ok()?;
            (index.entry.len() == groups).then_some((column.column_id() as usize, index))
        });
        indexes.collect()
    }

    fn may_match<'a>(
        &'a self,
        rows: Vec<u64>,
        statistics: &'a dyn Fn(usize, usize) -> Option<&'a ColumnStatistics>,
    ) -> Vec<bool> {
        let count = rows.len();
        let parts = Parts { columns: &self.columns, rows, statistics };
        // A condition that fails on a bound may do so on a row, where it is told.
        self.predicate.prune(&parts).unwrap_or_else(|_| vec![true; count])
    }
}

/// The column of a file that is read for one of the table's.
pub(super) fn position(stored: &StructType, name: &str, exact_case: bool) -> Option<usize> {
    let exactly = stored.fields.iter().position(|field| field.name == name);
    exactly.or_else(|| {
        let folded = name.to_lowercase();
        stored.fields.iter().position(|field| !exact_case && field.name.to_lowercase() == folded)
    })
}

/// Parts of a file, as DataFusion's pruning asks for what is known of them.
struct Parts<'a> {
    columns: &'a HashMap<String, Known>,
    /// Of each part
    rows: Vec<u64>,
    /// Of a part and a column
    statistics: &'a dyn Fn(usize, usize) -> Option<&'a ColumnStatistics>,
}

impl Parts<'_> {
    fn bounds(&self, column: &Column, of: fn((ScalarValue, ScalarValue)) -> ScalarValue) -> Option<ArrayRef> {
        match self.columns.get(&column.name)? {
            Known::Constant(value) => value.to_array_of_size(self.rows.len()).ok(),
            Known::InFile(number, null, bounds) => {
                let bound = |part: usize| {
                    let found = (self.statistics)(part, *number as usize).and_then(|found| bounds.range(found));
                    found.map_or_else(|| null.clone(), of)
                };
                ScalarValue::iter_to_array((0..self.rows.len()).map(bound)).ok()
            }
        }
    }
}

impl PruningStatistics for Parts<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(min, _)| min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |(_, max)| max)
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let known = self.columns.get(&column.name)?;
        let count = |(part, rows): (usize, &u64)| match known {
            Known::Constant(value) => Some(if value.is_null() { *rows } else { 0 }),
            Known::InFile(number, _, bounds) => bounds.nulls((self.statistics)(part, *number as usize)?, *rows),
        };
        Some(Arc::new(self.rows.iter().enumerate().map(count).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from(self.rows.clone())))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
