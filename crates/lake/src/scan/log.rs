//! Tables whose log lists and describes their files.
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::Expr;
use firesteel_plan::StructType;
use parquet::arrow::arrow_reader::RowSelection;

use crate::delta::DeltaFiles;
use crate::iceberg::IcebergFiles;
use crate::parquet::StoredColumns;

/// What a log says of the files of a [`Scan`](super::Scan).
#[derive(Debug, Clone)]
pub enum TableLog {
    Delta(DeltaFiles),
    Iceberg(IcebergFiles),
}

impl TableLog {
    /// The files among `kept` that may have rows for the filters. `schema` is that of the file columns.
    pub(super) fn prune(
        &self,
        kept: Vec<usize>,
        filters: &[Expr],
        schema: &SchemaRef,
        session: &dyn Session,
    ) -> Result<Vec<usize>> {
        match self {
            Self::Delta(log) => log.skipping.prune(kept, filters, schema, session),
            Self::Iceberg(log) => log.prune(kept, filters, schema, session),
        }
    }

    /// How many rows these files have for readers.
    pub(super) fn rows(&self, kept: &[usize]) -> Precision<usize> {
        match self {
            Self::Delta(log) => log.skipping.total_rows(kept).map_or(Precision::Absent, |rows| {
                let deleted: u64 = kept.iter().map(|file| log.deletions.count(*file)).sum();
                Precision::Exact(rows.saturating_sub(usize::try_from(deleted).unwrap_or(usize::MAX)))
            }),
            Self::Iceberg(log) => log.rows(kept),
        }
    }

    /// The rows to read of a file; `None`: all.
    pub(super) async fn selection(&self, file: usize) -> firesteel_plan::Result<Option<RowSelection>> {
        match self {
            Self::Delta(log) => log.deletions.selection(file).await,
            Self::Iceberg(log) => log.selection(file).await,
        }
    }

    /// How the files call the columns `wanted`, of `all` columns of the scan, where that is not as the table does.
    pub(super) fn stored(&self, all: &StructType, wanted: &StructType) -> Option<StoredColumns> {
        let pick = |stored: &StructType| {
            let pairs = all.fields.iter().zip(stored.fields.iter());
            let find = |field: &firesteel_plan::StructField| pairs.clone().find(|(known, _)| known.name == field.name);
            StructType::new(wanted.fields.iter().filter_map(|field| Some(find(field)?.1.clone())).collect())
        };
        match self {
            Self::Delta(log) => log.stored.as_ref().map(|stored| StoredColumns::by_name(&pick(stored))),
            Self::Iceberg(log) => Some(StoredColumns::ByNumber(pick(log.columns()))),
        }
    }
}
