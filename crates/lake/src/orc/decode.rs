//! A stripe → batches of the rows that are asked for.
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatchOptions;
use firesteel_plan::Result;
use orc_rust::array_decoder::{ArrayBatchDecoder, array_decoder_factory};
use orc_rust::stripe::Stripe;

use super::failed;

/// Rows one after another, to read or to skip.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Run {
    rows: usize,
    is_read: bool,
}

/// The rows of a stripe.
pub(super) struct StripeRows {
    decoders: Vec<Box<dyn ArrayBatchDecoder>>,
    schema: SchemaRef,
    runs: VecDeque<Run>,
    batch_size: usize,
}

impl StripeRows {
    /// `schema`: of the columns that the stripe was read with. `groups`: which groups of `group_rows` rows to read; none:
    /// all rows.
    pub(super) fn new(
        stripe: &Stripe,
        schema: SchemaRef,
        batch_size: usize,
        groups: &[bool],
        group_rows: usize,
    ) -> Result<Self> {
        let columns = stripe.columns().iter().zip(schema.fields());
        let decoders = columns.map(|(column, field)| array_decoder_factory(column, field.data_type(), stripe));
        let decoders = decoders.collect::<std::result::Result<_, _>>().map_err(failed)?;
        let runs = runs(stripe.number_of_rows(), groups, group_rows);
        Ok(Self { decoders, schema, runs, batch_size: batch_size.max(1) })
    }

    fn read(&mut self, rows: usize) -> Result<RecordBatch> {
        let columns = self.decoders.iter_mut().map(|decoder| decoder.next_batch(rows, None));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
        let fields = self.schema.fields().iter().zip(&columns);
        let fields: Vec<_> =
            fields.map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options).map_err(failed)
    }

    fn skip(&mut self, rows: usize) -> Result<()> {
        self.decoders.iter_mut().try_for_each(|decoder| decoder.skip_values(rows, None)).map_err(failed)
    }

    fn step(&mut self) -> Result<Option<RecordBatch>> {
        while let Some(run) = self.runs.pop_front() {
            if !run.is_read {
                self.skip(run.rows)?;
                continue;
            }
            let rows = run.rows.min(self.batch_size);
            if rows < run.rows {
                self.runs.push_front(Run { rows: run.rows - rows, ..run });
            }
            return self.read(rows).map(Some);
        }
        Ok(None)
    }
}

impl Iterator for StripeRows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step();
        if step.is_err() {
            self.runs.clear();
        }
        step.transpose()
    }
}

/// Neighbours are joined; what comes after the last row to read is left out.
fn runs(rows: usize, groups: &[bool], group_rows: usize) -> VecDeque<Run> {
    let whole = Run { rows, is_read: true };
    let mut runs: VecDeque<Run> = VecDeque::new();
    if groups.is_empty() && rows > 0 {
        runs.push_back(whole);
    }
    for (index, is_read) in groups.iter().copied().enumerate() {
        let rows = group_rows.min(rows.saturating_sub(index * group_rows));
        match runs.back_mut() {
            Some(last) if last.is_read == is_read => last.rows += rows,
            _ => runs.push_back(Run { rows, is_read }),
        }
    }
    if runs.back().is_some_and(|last| !last.is_read) {
        runs.pop_back();
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_rows() {
        let spelled = |rows, groups: &[bool]| {
            runs(rows, groups, 10).iter().map(|run| (run.rows, run.is_read)).collect::<Vec<_>>()
        };
        assert_eq!(spelled(25, &[]), [(25, true)]);
        assert_eq!(spelled(0, &[]), []);
        assert_eq!(spelled(25, &[false, true, true]), [(10, false), (15, true)]);
        assert_eq!(spelled(45, &[true, true, false, true, false]), [(20, true), (10, false), (10, true)]);
        assert_eq!(spelled(25, &[false, false, false]), []);
    }
}
