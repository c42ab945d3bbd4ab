//! What a table's log says of the columns of a written file.
use std::collections::HashSet;

use firesteel_plan::StructType;
use parquet::file::metadata::ParquetMetaData;

/// Whose log it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Description {
    /// Statistics of so many leaf columns
    Delta(usize),
    Iceberg,
}

impl Description {
    /// The JSON text that goes with the file to the commit. `not_a_number` names columns of floats that hold NaN.
    pub(super) fn of_file(
        self,
        footer: &ParquetMetaData,
        schema: &StructType,
        not_a_number: &HashSet<String>,
    ) -> String {
        match self {
            Self::Delta(columns) => crate::delta::statistics_of_file(footer, schema, columns, not_a_number),
            Self::Iceberg => crate::iceberg::metrics_of_file(footer, schema, not_a_number),
        }
    }
}
