//! What the footer of a file says of each of its row groups.
use std::sync::Arc;

use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use datafusion::common::{Result, ScalarValue, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::table_schema::TableSchema;

use super::with_partition_values;

/// Of a file with more values than these, only what is true of the whole file is kept.
const VALUES_MAX: usize = 4096;

/// Parts of a file, with what is true of the rows of each.
#[derive(Debug, Default)]
pub(crate) struct RowGroups {
    /// Where each begins: a split reads those that begin in it.
    pub starts: Vec<u64>,
    pub statistics: Vec<Arc<Statistics>>,
    /// What each column of the table takes in it before it is compressed
    pub bytes: Vec<Vec<usize>>,
}

/// `None`: there are none, or too many.
pub(super) fn of_footer(
    footer: &ParquetMetaData,
    table_schema: &TableSchema,
    partition_values: &[ScalarValue],
) -> Result<Option<RowGroups>> {
    let schema = table_schema.file_schema();
    let groups = footer.row_groups();
    if groups.is_empty() || groups.len().saturating_mul(schema.fields().len()) > VALUES_MAX {
        return Ok(None);
    }
    let mut found = RowGroups::default();
    for group in groups {
        let alone = ParquetMetaData::new(footer.file_metadata().clone(), vec![group.clone()]);
        let statistics = DFParquetMetadata::statistics_from_parquet_metadata(&alone, schema)?;
        found.statistics.push(Arc::new(with_partition_values(statistics, schema, partition_values)));
        found.starts.push(start(group));
        found.bytes.push(schema.fields().iter().map(|field| unpacked_bytes(group, field.name())).collect());
    }
    Ok(Some(found))
}

/// A nested column has several in a file.
fn unpacked_bytes(group: &RowGroupMetaData, name: &str) -> usize {
    let of_name = |column: &&ColumnChunkMetaData| {
        column.column_path().parts().first().is_some_and(|root| root.eq_ignore_ascii_case(name))
    };
    let sizes = group.columns().iter().filter(of_name).map(ColumnChunkMetaData::uncompressed_size);
    sizes.map(|size| usize::try_from(size).unwrap_or(0)).sum()
}

/// As DataFusion decides which split a row group belongs to.
fn start(group: &RowGroupMetaData) -> u64 {
    let first = group.columns().first();
    let start = first.map_or(0, |column| column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset()));
    u64::try_from(start).unwrap_or(0)
}
