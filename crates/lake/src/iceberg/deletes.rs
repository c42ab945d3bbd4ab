//! Deleted rows: delete files say which rows of earlier files are gone, by position or by the values of columns. Both
//! become the rows to read of a file, so that what is deleted is not decoded.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, new_null_array};
use arrow::datatypes::{Int64Type, Schema};
use arrow::row::{RowConverter, SortField};
use firesteel_functions::types::to_arrow;
use firesteel_plan::{Result, SparkError, StructField, StructType};
use firesteel_storage::{FileSystem, Location};
use futures::TryStreamExt;
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::{PARQUET_FIELD_ID_META_KEY, ParquetRecordBatchStreamBuilder, ProjectionMask};
use tokio::sync::OnceCell;

use super::errors::{broken, unsupported};
use super::manifest::{Content, DataFile, Entry};
use super::table::IcebergTable;
use super::types::field_id;
use crate::convert::convert;
use crate::parquet::FileBytes;
use crate::scan::selection;

/// The columns of a position delete file, by number.
const FILE_PATH: i32 = 2_147_483_546;
const POSITION: i32 = 2_147_483_545;

/// The deletes of a scan's files, which are read when the files are.
#[derive(Clone)]
pub(super) struct Deletes {
    files: Arc<dyn FileSystem>,
    deletes: Arc<Vec<Delete>>,
    /// of each file of the scan: which of `deletes` apply, and where the file is
    by_file: Arc<Vec<(Location, Vec<usize>)>>,
}

impl std::fmt::Debug for Deletes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deletes({})", self.deletes.len())
    }
}

/// A delete file, read once.
struct Delete {
    place: Location,
    bytes: u64,
    kind: Kind,
}

enum Kind {
    /// Positions by the paths of files
    Positions(OnceCell<HashMap<String, Vec<u64>>>),
    /// The columns that are compared, and their values in rows that are gone
    Values(Vec<StructField>, OnceCell<HashSet<Box<[u8]>>>),
}

impl Deletes {
    pub(super) fn new(table: &IcebergTable, schema: &StructType, data: &[Entry], deletes: &[Entry]) -> Result<Self> {
        let mut kinds = vec![];
        for entry in deletes {
            let file = &entry.file;
            if file.is_vector || file.format != "parquet" {
                return Err(unsupported(format!("deletes in files of format {}", file.format)));
            }
            let kind = match file.content {
                Content::EqualityDeletes => Kind::Values(compared(table, schema, file)?, OnceCell::new()),
                _ => Kind::Positions(OnceCell::new()),
            };
            kinds.push(Delete { place: table.place(&file.path)?, bytes: file.bytes, kind });
        }
        let mut by_file = Vec::with_capacity(data.len());
        for entry in data {
            let applies = |(index, delete): (usize, &Entry)| applies(delete, entry).then_some(index);
            let found = deletes.iter().enumerate().filter_map(applies).collect();
            by_file.push((table.place(&entry.file.path)?, found));
        }
        Ok(Self { files: Arc::clone(table.files()), deletes: Arc::new(kinds), by_file: Arc::new(by_file) })
    }

    pub(super) fn apply_to(&self, file: usize) -> bool {
        self.by_file.get(file).is_some_and(|(_, deletes)| !deletes.is_empty())
    }

    /// The rows to read of a file; `None`: all.
    pub(super) async fn selection(&self, file: usize, data: &DataFile) -> Result<Option<RowSelection>> {
        let Some((place, deletes)) = self.by_file.get(file).filter(|(_, deletes)| !deletes.is_empty()) else {
            return Ok(None);
        };
        let mut gone = vec![];
        for delete in deletes.iter().filter_map(|index| self.deletes.get(*index)) {
            match &delete.kind {
                Kind::Positions(positions) => {
                    let read = positions.get_or_try_init(|| self.positions(delete)).await?;
                    gone.extend(read.get(&data.path).into_iter().flatten().copied());
                }
                Kind::Values(columns, values) => {
                    let values = values.get_or_try_init(|| self.values(delete, columns)).await?;
                    gone.extend(self.matching(place, data.bytes, columns, values).await?);
                }
            }
        }
        if gone.is_empty() {
            return Ok(None);
        }
        gone.sort_unstable();
        gone.dedup();
        let found = selection(gone.into_iter(), data.rows);
        found.ok_or_else(|| broken(&data.path, "rows are deleted that are not there")).map(Some)
    }

    async fn positions(&self, delete: &Delete) -> Result<HashMap<String, Vec<u64>>> {
        let wanted = [FILE_PATH, POSITION];
        let mut found: HashMap<String, Vec<u64>> = HashMap::new();
        let failed = || broken(&delete.place.to_string(), "it has no paths and positions");
        self.read(&delete.place, delete.bytes, &wanted, |columns, _| {
            let (Some(Some(paths)), Some(Some(positions))) = (columns.first(), columns.get(1)) else {
                return Err(failed());
            };
            let paths = paths.as_string_opt::<i32>().ok_or_else(failed)?;
            let positions = positions.as_primitive_opt::<Int64Type>().ok_or_else(failed)?;
            for (path, position) in paths.iter().zip(positions) {
                let position = position.and_then(|position| u64::try_from(position).ok()).ok_or_else(failed)?;
                found.entry(path.ok_or_else(failed)?.to_string()).or_default().push(position);
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The keys of the rows that a delete file takes away.
    async fn values(&self, delete: &Delete, columns: &[StructField]) -> Result<HashSet<Box<[u8]>>> {
        let keys = Keys::new(columns)?;
        let mut found = HashSet::new();
        self.read(&delete.place, delete.bytes, &keys.ids, |columns, rows| {
            for key in &keys.of(columns, rows)? {
                found.insert(Box::from(key.as_ref()));
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// The positions of a file's rows whose keys are among `gone`.
    async fn matching(
        &self,
        place: &Location,
        bytes: u64,
        columns: &[StructField],
        gone: &HashSet<Box<[u8]>>,
    ) -> Result<Vec<u64>> {
        let keys = Keys::new(columns)?;
        let mut found = vec![];
        let mut position = 0u64;
        self.read(place, bytes, &keys.ids, |columns, rows| {
            for key in &keys.of(columns, rows)? {
                if gone.contains(key.as_ref()) {
                    found.push(position);
                }
                position += 1;
            }
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Hands the columns of a file, found by number, to `take`, batch by batch; `None` for those that the file lacks.
    async fn read(
        &self,
        place: &Location,
        bytes: u64,
        ids: &[i32],
        mut take: impl FnMut(Vec<Option<ArrayRef>>, usize) -> Result<()>,
    ) -> Result<()> {
        let failed = |error: parquet::errors::ParquetError| {
            SparkError::new("FAILED_READ_FILE.NO_HINT", [("path", place.url())]).with_cause(error)
        };
        let reader = FileBytes::new(self.files.as_ref(), place, bytes)?;
        let builder = ParquetRecordBatchStreamBuilder::new(reader).await.map_err(failed)?;
        let position = |id: &i32| column_of(builder.schema(), *id);
        let wanted: Vec<Option<usize>> = ids.iter().map(position).collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().flatten().copied());
        let mut batches = builder.with_projection(mask).build().map_err(failed)?;
        while let Some(batch) = batches.try_next().await.map_err(failed)? {
            let column = |id: &i32| column_of(batch.schema_ref(), *id).map(|index| Arc::clone(batch.column(index)));
            take(ids.iter().map(column).collect(), batch.num_rows())?;
        }
        Ok(())
    }
}

fn column_of(schema: &Schema, id: i32) -> Option<usize> {
    let text = id.to_string();
    schema.fields().iter().position(|field| field.metadata().get(PARQUET_FIELD_ID_META_KEY) == Some(&text))
}

/// A delete applies to files that were there before it, of its partition; equality deletes without a partition to all.
fn applies(delete: &Entry, data: &Entry) -> bool {
    let same_partition = delete.file.spec_id == data.file.spec_id
        && delete.file.partition.iter().map(|(_, v)| v).eq(data.file.partition.iter().map(|(_, v)| v));
    match delete.file.content {
        Content::EqualityDeletes => {
            delete.sequence > data.sequence && (same_partition || delete.file.partition.is_empty())
        }
        _ => delete.sequence >= data.sequence && same_partition && names(&delete.file, &data.file.path),
    }
}

/// Whether a position delete file may name a path: its bounds say so.
fn names(delete: &DataFile, path: &str) -> bool {
    let bound = |all: &[(i32, Vec<u8>)]| all.iter().find(|(id, _)| *id == FILE_PATH).map(|(_, bytes)| bytes.clone());
    match (bound(&delete.lower_bounds), bound(&delete.upper_bounds)) {
        // Bounds may be cut: only where they are one path are they certain.
        (Some(low), Some(high)) if low == high => low == path.as_bytes(),
        _ => true,
    }
}

/// The columns that equality deletes compare. One that the table has dropped since still counts.
fn compared(table: &IcebergTable, schema: &StructType, file: &DataFile) -> Result<Vec<StructField>> {
    let metadata = table.metadata();
    let mut schemas = vec![schema.clone()];
    let all = metadata.json.get("schemas").and_then(serde_json::Value::as_array).into_iter().flatten();
    for schema in all {
        schemas.push(super::types::struct_of(schema)?);
    }
    let find = |id: &i32| {
        let field = schemas.iter().flat_map(|schema| schema.fields.iter()).find(|field| field_id(field) == Some(*id));
        field.cloned().ok_or_else(|| unsupported("equality deletes on nested columns"))
    };
    match file.equality_ids.is_empty() {
        true => Err(broken(&file.path, "it does not say which columns it compares")),
        false => file.equality_ids.iter().map(find).collect(),
    }
}

/// Rows as keys that are equal where the rows are; NULL equals NULL.
struct Keys {
    ids: Vec<i32>,
    types: Vec<arrow::datatypes::DataType>,
    converter: RowConverter,
}

impl Keys {
    fn new(columns: &[StructField]) -> Result<Self> {
        let types: Vec<_> = columns.iter().map(|field| to_arrow(&field.data_type)).collect();
        let fields = types.iter().map(|data_type| SortField::new(data_type.clone())).collect();
        let converter = RowConverter::new(fields).map_err(|e| broken("equality deletes", e))?;
        Ok(Self { ids: columns.iter().filter_map(field_id).collect(), types, converter })
    }

    fn of(&self, columns: Vec<Option<ArrayRef>>, rows: usize) -> Result<arrow::row::Rows> {
        let fitted = columns.into_iter().zip(&self.types).map(|(column, data_type)| match column {
            Some(column) => convert(&column, data_type, true),
            None => Ok(new_null_array(data_type, rows)),
        });
        let fitted = fitted.collect::<std::result::Result<Vec<_>, _>>().map_err(|e| broken("equality deletes", e))?;
        self.converter.convert_columns(&fitted).map_err(|e| broken("equality deletes", e))
    }
}
