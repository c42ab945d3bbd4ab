//! Gathers the columns of records, and what to do with those that do not fit.
use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use firesteel_functions::text_formats::{Column, ParseMode, malformed_record};
use firesteel_plan::{Result, SparkError, StructType};
use std::sync::Arc;

/// The wanted columns of a file, split into those that records fill and the one of corrupt records.
#[derive(Debug)]
pub(super) struct Wanted {
    pub schema: SchemaRef,
    /// Columns that records fill.
    pub data: StructType,
    /// Their places among all columns of a record.
    pub positions: Vec<usize>,
    /// How many columns a record has.
    pub record_width: usize,
    /// The place of the column of corrupt records among the wanted ones.
    pub corrupt: Option<usize>,
}

impl Wanted {
    /// `columns` are positions in `file`, the file columns. `UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN` where
    /// only the column of corrupt records is wanted.
    pub(super) fn new(file: &StructType, columns: &[usize], schema: SchemaRef, corrupt_name: &str) -> Result<Self> {
        let is_corrupt = |index: usize| file.fields.get(index).is_some_and(|field| field.name == corrupt_name);
        let corrupt = columns.iter().position(|index| is_corrupt(*index));
        if corrupt.is_some() && columns.len() == 1 {
            return Err(SparkError::of("UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN"));
        }
        let records: Vec<usize> = (0..file.fields.len()).filter(|index| !is_corrupt(*index)).collect();
        let data: Vec<usize> = columns.iter().copied().filter(|index| !is_corrupt(*index)).collect();
        let place = |index: &usize| records.iter().position(|record| record == index).unwrap_or_default();
        Ok(Self {
            schema,
            positions: data.iter().map(place).collect(),
            data: StructType { fields: data.iter().filter_map(|index| file.fields.get(*index).cloned()).collect() },
            record_width: records.len(),
            corrupt,
        })
    }

    /// Whether every column of a record is read.
    pub(super) fn is_whole(&self) -> bool {
        self.positions.len() == self.record_width
    }
}

/// Rows gathered so far beside their data columns.
#[derive(Debug)]
pub(super) struct Rows {
    wanted: Wanted,
    mode: ParseMode,
    corrupt: StringBuilder,
    keep: Vec<bool>,
    drops: bool,
}

impl Rows {
    pub(super) fn new(wanted: Wanted, mode: ParseMode) -> Self {
        Self { wanted, mode, corrupt: StringBuilder::new(), keep: vec![], drops: false }
    }

    pub(super) fn len(&self) -> usize {
        self.keep.len()
    }

    /// Notes `count` good rows, whose values were appended.
    pub(super) fn good(&mut self, count: usize) {
        self.keep.extend(std::iter::repeat_n(true, count));
        if self.wanted.corrupt.is_some() {
            for _ in 0..count {
                self.corrupt.append_null();
            }
        }
    }

    /// Notes a bad record, for which one row was appended.
    pub(super) fn bad(&mut self, record: &str) -> Result<()> {
        if self.mode == ParseMode::FailFast {
            return Err(malformed_record(record));
        }
        let keep = self.mode == ParseMode::Permissive;
        self.drops |= !keep;
        self.keep.push(keep);
        if self.wanted.corrupt.is_some() {
            self.corrupt.append_value(record);
        }
        Ok(())
    }

    /// The rows so far as a batch.
    pub(super) fn batch(&mut self, columns: &mut [Column]) -> Result<RecordBatch> {
        let mut arrays: Vec<ArrayRef> = columns.iter_mut().map(Column::finish).collect::<Result<_>>()?;
        if let Some(place) = self.wanted.corrupt {
            arrays.insert(place, Arc::new(self.corrupt.finish()));
        }
        let keep = std::mem::take(&mut self.keep);
        let options = RecordBatchOptions::new().with_row_count(Some(keep.len()));
        let failed = |e| SparkError::internal("records do not fit their schema").with_cause(e);
        let batch =
            RecordBatch::try_new_with_options(Arc::clone(&self.wanted.schema), arrays, &options).map_err(failed)?;
        if !std::mem::take(&mut self.drops) {
            return Ok(batch);
        }
        filter_record_batch(&batch, &BooleanArray::from(keep)).map_err(failed)
    }
}
