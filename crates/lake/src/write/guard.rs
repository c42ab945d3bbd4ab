//! Conditions that written rows must obey, checked as they are written: a row that does not ends the write.
use std::sync::Arc;

use arrow::array::{Array, AsArray};
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

    fn check(&self, batch: &RecordBatch) -> Result<(), SparkError> {
        for (position, name) in &self.not_null {
            if batch.columns().get(*position).is_some_and(|column| column.logical_null_count() > 0) {
                return Err(SparkError::new("DELTA_NOT_NULL_CONSTRAINT_VIOLATED", [("columnName", name.as_str())]));
            }
        }
        for (check, column) in self.checks.iter().zip(batch.columns().iter().skip(self.columns)) {
            let Some(values) = column.as_boolean_opt() else { continue };
            // NULL is no yes.
            if values.null_count() == 0 && values.true_count() == values.len() {
                continue;
            }
            let row = (0..values.len()).find(|row| values.is_null(*row) || !values.value(*row));
            return Err(check.violated(batch, row.unwrap_or_default()));
        }
        Ok(())
    }
}
