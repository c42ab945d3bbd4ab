//! Conditions that written rows must obey, checked as they are written: a row that does not ends the write.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use firesteel_functions::external;
use firesteel_plan::SparkError;
use futures::StreamExt;

/// A condition whose value is a column of the rows: true, or the row is refused.
#[derive(Debug, Clone)]
pub struct RowCheck {
    pub name: String,
    expression: String,
    /// Columns whose values the error shows
    shown: Vec<usize>,
    /// The error in place of a constraint's
    error: Option<SparkError>,
}

impl RowCheck {
    /// A constraint of the table: `DELTA_VIOLATE_CONSTRAINT_WITH_VALUES`.
    pub fn constraint(name: &str, expression: &str, shown: Vec<usize>) -> Self {
        Self { name: name.into(), expression: expression.into(), shown, error: None }
    }

    /// A condition with an error of its own.
    pub fn of(error: SparkError) -> Self {
        Self { name: String::new(), expression: String::new(), shown: vec![], error: Some(error) }
    }

    fn violated(&self, batch: &RecordBatch, row: usize) -> SparkError {
        if let Some(error) = &self.error {
            return error.clone();
        }
        let options = FormatOptions::default().with_null("null");
        let value = |index: &usize| {
            let column = batch.columns().get(*index)?;
            let text = ArrayFormatter::try_new(column.as_ref(), &options).ok()?.value(row).to_string();
            let name = batch.schema_ref().field(*index).name().split('#').next().unwrap_or_default().to_string();
            Some(format!(" - {name} : {text}"))
        };
        let values: Vec<String> = self.shown.iter().filter_map(value).collect();
        SparkError::new(
            "DELTA_VIOLATE_CONSTRAINT_WITH_VALUES",
            [
                ("constraintName", self.name.clone()),
                ("expression", self.expression.clone()),
                ("values", values.join("\n")),
            ],
        )
    }
}

/// All conditions of a write.
#[derive(Debug, Default)]
pub(crate) struct RowGuard {
    /// How many columns come before those of the checks
    pub columns: usize,
    /// Position and name of columns without NULL
    pub not_null: Vec<(usize, String)>,
    /// The error of a NULL there
    pub null_condition: &'static str,
    pub checks: Vec<RowCheck>,
}

impl RowGuard {
    pub(super) fn applied(self: &Arc<Self>, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        if self.not_null.is_empty() && self.checks.is_empty() {
            return rows;
        }
        let (guard, schema) = (Arc::clone(self), rows.schema());
        let stream = rows.map(move |batch| {
            let batch = batch?;
            guard.check(&batch).map_err(external)?;
            Ok(batch)
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, stream))
    }

    /// The first row that breaks a condition answers for all; of its conditions, the table's CHECKs come first, as in
    /// delta-spark.
    fn check(&self, batch: &RecordBatch) -> Result<(), SparkError> {
        let checked = self.checks.iter().zip(batch.columns().iter().skip(self.columns));
        let checks = checked.filter_map(|(check, column)| Some((first_no(column)?, Broken::Check(check))));
        let nulls = self.not_null.iter().filter_map(|(position, name)| {
            let column = batch.columns().get(*position)?.logical_nulls().filter(|nulls| nulls.null_count() > 0)?;
            let row = (0..column.len()).find(|row| column.is_null(*row))?;
            Some((row, Broken::NotNull(name)))
        });
        match checks.chain(nulls).min_by_key(|(row, _)| *row) {
            None => Ok(()),
            Some((row, Broken::Check(check))) => Err(check.violated(batch, row)),
            Some((_, Broken::NotNull(name))) => {
                Err(SparkError::new(self.null_condition, [("columnName", name.as_str())]))
            }
        }
    }
}

enum Broken<'a> {
    Check(&'a RowCheck),
    NotNull(&'a String),
}

/// The first row of a condition that is not true; NULL is no yes.
fn first_no(column: &ArrayRef) -> Option<usize> {
    let values = column.as_boolean_opt()?;
    match values.null_count() == 0 && values.true_count() == values.len() {
        true => None,
        false => (0..values.len()).find(|row| values.is_null(*row) || !values.value(*row)),
    }
}
