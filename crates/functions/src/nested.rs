//! What kernels on arrays, maps and structs share: reading lists and maps row by row, and putting new ones together.
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, make_array, new_null_array};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::interleave;
use arrow::datatypes::{DataType as ArrowType, FieldRef, Fields};
use firesteel_plan::{DataType, Result, SparkError};

use crate::scalar::from_arrow;
use crate::types;

/// Spark's largest array, in elements.
pub const MAX_ARRAY_LENGTH: i64 = i32::MAX as i64 - 15;

/// The rows of a list or map array. For a map, `values` are its entries.
pub struct Lists {
    pub values: ArrayRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
}

impl Lists {
    pub fn of(array: &ArrayRef) -> Result<Self> {
        if let Some(list) = array.as_list_opt::<i32>() {
            let (values, offsets) = (Arc::clone(list.values()), list.offsets().clone());
            return Ok(Self { values, offsets, nulls: list.nulls().cloned() });
        }
        if let Some(map) = array.as_map_opt() {
            let values: ArrayRef = Arc::new(map.entries().clone());
            return Ok(Self { values, offsets: map.offsets().clone(), nulls: map.nulls().cloned() });
        }
        if *array.data_type() == ArrowType::Null {
            let offsets = OffsetBuffer::new_zeroed(array.len());
            let nulls = Some(NullBuffer::new_null(array.len()));
            return Ok(Self { values: new_null_array(&ArrowType::Null, 0), offsets, nulls });
        }
        Err(SparkError::internal(format!("a list or map was expected, not {}", array.data_type())))
    }

    pub fn rows(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
    pub fn nulls(&self) -> Option<&NullBuffer> {
        self.nulls.as_ref()
    }
    pub fn offsets(&self) -> &OffsetBuffer<i32> {
        &self.offsets
    }
    /// Positions of a row's elements in `values`; empty for NULL.
    pub fn range(&self, row: usize) -> Range<usize> {
        if self.is_null(row) {
            return 0..0;
        }
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }
    pub fn size(&self, row: usize) -> usize {
        self.range(row).len()
    }
    /// Keys and values of a map's entries.
    pub fn entries(&self) -> Result<(ArrayRef, ArrayRef)> {
        match self.values.as_struct_opt() {
            Some(entries) if entries.num_columns() == 2 => {
                Ok((Arc::clone(entries.column(0)), Arc::clone(entries.column(1))))
            }
            _ if *self.values.data_type() == ArrowType::Null => {
                Ok((Arc::clone(&self.values), Arc::clone(&self.values)))
            }
            _ => Err(SparkError::internal("map entries were expected")),
        }
    }
}

/// Builds list elements by picking from source arrays, row by row.
pub struct Gather {
    sources: Vec<ArrayRef>,
    picks: Vec<(usize, usize)>,
    rows: RowEnds,
}

/// Ends of rows, and which rows are NULL.
#[derive(Default)]
pub struct RowEnds {
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl RowEnds {
    pub fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, valid: Vec::with_capacity(rows) }
    }
    pub fn end(&mut self, elements: usize, valid: bool) -> Result<()> {
        let end = i32::try_from(elements).map_err(|_| too_large(elements))?;
        self.offsets.push(end);
        self.valid.push(valid);
        Ok(())
    }
    pub fn finish(self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        let nulls = self.valid.iter().any(|v| !v).then(|| NullBuffer::from(self.valid));
        (OffsetBuffer::new(ScalarBuffer::from(self.offsets)), nulls)
    }
}

fn too_large(elements: usize) -> SparkError {
    SparkError::unsupported(format!("a batch of arrays with {elements} elements"))
}

impl Gather {
    /// `sources` are arrays of elements; source number `sources.len()` is one NULL.
    pub fn new(sources: Vec<ArrayRef>, element: &ArrowType, rows: usize) -> Result<Self> {
        let mut all = sources.iter().map(|s| conform(s, element)).collect::<Result<Vec<_>>>()?;
        all.push(new_null_array(element, 1));
        Ok(Self { sources: all, picks: vec![], rows: RowEnds::with_capacity(rows) })
    }
    pub fn push(&mut self, source: usize, index: usize) {
        self.picks.push((source, index));
    }
    pub fn extend(&mut self, source: usize, indices: impl Iterator<Item = usize>) {
        self.picks.extend(indices.map(|index| (source, index)));
    }
    pub fn push_nulls(&mut self, count: usize) {
        let null = (self.sources.len() - 1, 0);
        self.picks.extend(std::iter::repeat_n(null, count));
    }
    pub fn end_row(&mut self) -> Result<()> {
        self.rows.end(self.picks.len(), true)
    }
    pub fn null_row(&mut self) -> Result<()> {
        self.rows.end(self.picks.len(), false)
    }
    /// The elements alone, where each row has one.
    pub fn finish_values(self) -> Result<ArrayRef> {
        let sources: Vec<&dyn Array> = self.sources.iter().map(|s| s.as_ref()).collect();
        interleave(&sources, &self.picks).map_err(from_arrow)
    }
    /// A list array of the Spark type `list`.
    pub fn finish(self, list: &DataType) -> Result<ArrayRef> {
        let Self { sources, picks, rows } = self;
        let sources: Vec<&dyn Array> = sources.iter().map(|s| s.as_ref()).collect();
        let values = interleave(&sources, &picks).map_err(from_arrow)?;
        let (offsets, nulls) = rows.finish();
        list_array(list, offsets, values, nulls)
    }
}

/// The Arrow type of an array's elements.
pub fn element_type(list: &DataType) -> Result<ArrowType> {
    match list {
        DataType::Array(element, _) => Ok(types::to_arrow(element)),
        other => Err(SparkError::internal(format!("an array type was expected, not {}", other.sql()))),
    }
}

/// A list array of the Spark type `list`; `values` may differ in nested nullability.
pub fn list_array(
    list: &DataType,
    offsets: OffsetBuffer<i32>,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    match types::to_arrow(list) {
        ArrowType::List(field) => {
            let values = conform(&values, field.data_type())?;
            Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls).map_err(from_arrow)?))
        }
        other => Err(SparkError::internal(format!("a list type was expected, not {other}"))),
    }
}

/// A map array of the Spark type `map`.
pub fn map_array(
    map: &DataType,
    offsets: OffsetBuffer<i32>,
    keys: ArrayRef,
    values: ArrayRef,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    match types::to_arrow(map) {
        ArrowType::Map(field, ordered) => {
            let entries = entries_array(&field, keys, values)?;
            Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, ordered).map_err(from_arrow)?))
        }
        other => Err(SparkError::internal(format!("a map type was expected, not {other}"))),
    }
}

fn entries_array(field: &FieldRef, keys: ArrayRef, values: ArrayRef) -> Result<StructArray> {
    match field.data_type() {
        ArrowType::Struct(children) if children.len() == 2 => {
            let columns = vec![conform(&keys, children[0].data_type())?, conform(&values, children[1].data_type())?];
            StructArray::try_new(children.clone(), columns, None).map_err(from_arrow)
        }
        other => Err(SparkError::internal(format!("map entries were expected, not {other}"))),
    }
}

/// A struct array of `fields`; children may differ in nested nullability.
pub fn struct_array(fields: &Fields, columns: &[ArrayRef], nulls: Option<NullBuffer>, rows: usize) -> Result<ArrayRef> {
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(rows, nulls)));
    }
    let columns = fields.iter().zip(columns).map(|(f, c)| conform(c, f.data_type())).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, nulls).map_err(from_arrow)?))
}

/// The same values under `to`, which may differ in names and nullability of nested fields only.
/// Nothing is copied.
pub fn conform(array: &ArrayRef, to: &ArrowType) -> Result<ArrayRef> {
    if array.data_type() == to {
        return Ok(Arc::clone(array));
    }
    match (array.data_type(), to) {
        (ArrowType::List(_), ArrowType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = conform(list.values(), field.data_type())?;
            let nulls = list.nulls().cloned();
            ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, nulls)
                .map(|l| Arc::new(l) as ArrayRef)
                .map_err(from_arrow)
        }
        (ArrowType::Map(..), ArrowType::Map(field, ordered)) => {
            let map = array.as_map();
            let entries = entries_array(field, Arc::clone(map.keys()), Arc::clone(map.values()))?;
            MapArray::try_new(Arc::clone(field), map.offsets().clone(), entries, map.nulls().cloned(), *ordered)
                .map(|m| Arc::new(m) as ArrayRef)
                .map_err(from_arrow)
        }
        (ArrowType::Struct(from), ArrowType::Struct(fields)) if from.len() == fields.len() => {
            let source = array.as_struct();
            let nulls = source.nulls().cloned();
            let columns = fields.iter().zip(source.columns()).map(|(f, c)| conform(c, f.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            if fields.is_empty() {
                return Ok(Arc::new(StructArray::new_empty_fields(array.len(), nulls)));
            }
            StructArray::try_new(fields.clone(), columns, nulls).map(|s| Arc::new(s) as ArrayRef).map_err(from_arrow)
        }
        (ArrowType::Null, _) => Ok(new_null_array(to, array.len())),
        _ => arrow::compute::cast(array, to).map_err(from_arrow),
    }
}

/// A struct's child with the struct's own NULLs.
pub fn with_parent_nulls(child: &ArrayRef, parent: Option<&NullBuffer>) -> Result<ArrayRef> {
    match parent {
        Some(parent) if parent.null_count() > 0 && *child.data_type() != ArrowType::Null => {
            let nulls = NullBuffer::union(Some(parent), child.nulls());
            let data = child.to_data().into_builder().nulls(nulls).build().map_err(from_arrow)?;
            Ok(make_array(data))
        }
        _ => Ok(Arc::clone(child)),
    }
}
