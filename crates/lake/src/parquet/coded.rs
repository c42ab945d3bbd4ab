//! Changes a scan so that columns of texts come as [codes](super::codes), where the files hold them as dictionaries.
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::CachedParquetMetaData;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, NotExpr,
};
use datafusion::physical_expr::projection::{ProjectionExpr, ProjectionExprs};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::ExecutionPlan;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::Encoding;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::codes::{CodeOf, TextCodes, dictionary_type};
use super::selective::SelectiveSource;

/// The texts of all dictionaries of a scan are held in memory while it runs: at most so many bytes, as stored.
const MAX_DICTIONARY_BYTES: i64 = 16 << 20;

/// A scan with other columns than before.
pub struct CodedScan {
    pub plan: Arc<dyn ExecutionPlan>,
    /// Of the columns that were asked for, in their order
    pub codes: Vec<Arc<TextCodes>>,
}

/// The scan with codes in place of the texts of those columns of its output. `None`: not each is a column of texts that
/// all files hold as a dictionary, or it is not known.
pub fn read_as_codes(scan: &Arc<dyn ExecutionPlan>, columns: &[usize]) -> Result<Option<CodedScan>> {
    let config =
        scan.downcast_ref::<DataSourceExec>().and_then(|exec| exec.data_source().downcast_ref::<FileScanConfig>());
    let Some(config) = config else { return Ok(None) };
    let Some(source) = (config.file_source().as_ref() as &dyn std::any::Any).downcast_ref::<SelectiveSource>() else {
        return Ok(None);
    };
    let schema = scan.schema();
    let Some(names) = columns.iter().map(|at| stored_text(source, &schema, *at)).collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let Some(groups) = coded_groups(&config.file_groups, &names, source.footers()) else { return Ok(None) };
    let codes: Vec<Arc<TextCodes>> = columns.iter().map(|_| Arc::default()).collect();
    let output = schema.fields().iter().enumerate().map(|(at, field)| {
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
        let expr = match columns.iter().position(|coded| *coded == at) {
            Some(coded) => Arc::new(CodeOf { text: column, codes: Arc::clone(&codes[coded]) }) as _,
            None => column,
        };
        ProjectionExpr { expr, alias: field.name().clone() }
    });
    let Some(coded) = source.try_pushdown_projection(&ProjectionExprs::new(output))? else { return Ok(None) };
    let config = FileScanConfigBuilder::from(config.clone()).with_source(coded).with_file_groups(groups).build();
    Ok(Some(CodedScan { plan: DataSourceExec::from_data_source(config), codes }))
}

/// The name of the file column that an output column is, if it is one of texts that the scan does nothing else with.
fn stored_text(source: &SelectiveSource, schema: &Schema, at: usize) -> Option<String> {
    let projection = source.projection()?;
    let table = source.table_schema().file_schema();
    let column = projection.as_ref().get(at)?.expr.downcast_ref::<Column>()?;
    let field = table.fields().get(column.index())?;
    let is_text = schema.field(at).data_type() == &DataType::Utf8 && field.data_type() == &DataType::Utf8;
    let uses = |expr: &Arc<dyn PhysicalExpr>| collect_columns(expr).iter().any(|used| used.index() == column.index());
    let is_filtered = source.filter().is_some_and(|filter| !tests_plainly(&filter, column.index()));
    let is_output_once = projection.iter().filter(|projected| uses(&projected.expr)).count() == 1;
    (is_text && !is_filtered && is_output_once).then(|| field.name().clone())
}

/// Whether an expression uses a column, if at all, in comparisons alone: they take dictionaries as they take texts, and none
/// of them fails.
pub fn tests_plainly(expr: &Arc<dyn PhysicalExpr>, column: usize) -> bool {
    if collect_columns(expr).iter().all(|used| used.index() != column) {
        return true;
    }
    let compares = |operator: &Operator| operator.supports_propagation() || operator.is_logic_operator();
    let is_plain = expr.is::<Column>()
        || expr.is::<InListExpr>()
        || expr.is::<IsNullExpr>()
        || expr.is::<IsNotNullExpr>()
        || expr.is::<NotExpr>()
        || expr.is::<LikeExpr>()
        || expr.downcast_ref::<BinaryExpr>().is_some_and(|binary| compares(binary.op()));
    is_plain && expr.children().into_iter().all(|child| tests_plainly(child, column))
}

/// The files with the schema by which the columns are read as dictionaries.
fn coded_groups(groups: &[FileGroup], names: &[String], footers: &Arc<FileMetadataCache>) -> Option<Vec<FileGroup>> {
    let mut left = MAX_DICTIONARY_BYTES;
    // A file in parts is looked at once.
    let mut last: Option<(PartitionedFile, SchemaRef)> = None;
    let mut coded = |file: &PartitionedFile| {
        let schema = match &last {
            Some((known, schema)) if known.object_meta == file.object_meta => Arc::clone(schema),
            _ => {
                let footer =
                    footers.get(&file.object_meta.location).filter(|entry| entry.is_valid_for(&file.object_meta))?;
                let footer = footer.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
                coded_schema(footer.parquet_metadata(), file.arrow_schema.as_ref(), names, &mut left)?
            }
        };
        last = Some((file.clone(), Arc::clone(&schema)));
        Some(file.clone().with_arrow_schema(schema))
    };
    let groups =
        groups.iter().map(|group| group.iter().map(&mut coded).collect::<Option<Vec<_>>>().map(FileGroup::new));
    groups.collect()
}

/// The schema of a file with those columns as dictionaries, which must be at most `left` bytes. `given`: the one that it
/// would be read with else.
fn coded_schema(
    metadata: &ParquetMetaData,
    given: Option<&SchemaRef>,
    names: &[String],
    left: &mut i64,
) -> Option<SchemaRef> {
    let file = metadata.file_metadata();
    let schema = match given {
        Some(schema) => schema.as_ref().clone(),
        None => parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).ok()?,
    };
    let mut fields = schema.fields().to_vec();
    for name in names {
        let field = fields.iter_mut().find(|field| field.name() == name)?;
        if field.data_type() != &DataType::Utf8 {
            return None;
        }
        *field = Arc::new(coded_field(field));
        let leaf = file.schema_descr().columns().iter().position(|column| column.path().parts() == [name.clone()])?;
        for group in metadata.row_groups() {
            *left -= dictionary_bytes(group.column(leaf))?;
        }
    }
    (*left >= 0).then(|| Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone())))
}

/// Marks the columns that are read as dictionaries because codes are made of them, and of no other use.
const CODED_KEY: &str = "firesteel.coded";

fn coded_field(field: &Field) -> Field {
    let mut metadata = field.metadata().clone();
    metadata.insert(CODED_KEY.into(), "true".into());
    Field::new(field.name(), dictionary_type(), field.is_nullable()).with_metadata(metadata)
}

/// Whether a stored column is one of [`read_as_codes`], which expressions take as it is.
pub(super) fn is_coded(field: &Field) -> bool {
    field.metadata().contains_key(CODED_KEY)
}

/// The size of a chunk's dictionary, if all of its pages use it.
fn dictionary_bytes(chunk: &ColumnChunkMetaData) -> Option<i64> {
    let start = chunk.dictionary_page_offset()?;
    let keys = [Encoding::RLE_DICTIONARY, Encoding::PLAIN_DICTIONARY];
    let only_keys = match chunk.page_encoding_stats_mask() {
        Some(pages) => keys.iter().any(|encoding| pages.is_only(*encoding)),
        // The dictionary itself may be listed too, as plain: then it is not known whether other pages are.
        None => chunk.encodings().all(|encoding| keys.contains(&encoding) || encoding == Encoding::RLE),
    };
    only_keys.then(|| chunk.data_page_offset() - start)
}
