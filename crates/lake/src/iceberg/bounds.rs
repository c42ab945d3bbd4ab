//! Single values as metadata spells them, in bytes; the bounds of a file's columns, by which filters leave files out.
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::datatypes::{DataType as ArrowType, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};

use super::manifest::DataFile;

/// Bytes as a value; narrower numbers than the column's are those of an earlier type.
pub(super) fn value(bytes: &[u8], data_type: &ArrowType) -> Option<ScalarValue> {
    let int = || bytes.try_into().ok().map(i32::from_le_bytes);
    let long = || match bytes.len() {
        4 => int().map(i64::from),
        _ => bytes.try_into().ok().map(i64::from_le_bytes),
    };
    Some(match data_type {
        ArrowType::Boolean => ScalarValue::Boolean(Some(*bytes.first()? != 0)),
        ArrowType::Int32 => ScalarValue::Int32(Some(int()?)),
        ArrowType::Int64 => ScalarValue::Int64(Some(long()?)),
        ArrowType::Float32 => ScalarValue::Float32(Some(f32::from_le_bytes(bytes.try_into().ok()?))),
        ArrowType::Float64 if bytes.len() == 4 => {
            ScalarValue::Float64(Some(f32::from_le_bytes(bytes.try_into().ok()?).into()))
        }
        ArrowType::Float64 => ScalarValue::Float64(Some(f64::from_le_bytes(bytes.try_into().ok()?))),
        ArrowType::Date32 => ScalarValue::Date32(Some(int()?)),
        ArrowType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(long()?), zone.clone())
        }
        ArrowType::Utf8 => ScalarValue::Utf8(Some(std::str::from_utf8(bytes).ok()?.to_string())),
        ArrowType::Binary => ScalarValue::Binary(Some(bytes.to_vec())),
        ArrowType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(big_endian(bytes)?), *precision, *scale)
        }
        _ => return None,
    })
}

/// A value as bytes; the reverse of [`value`].
pub(super) fn bytes(value: &ScalarValue) -> Option<Vec<u8>> {
    Some(match value {
        ScalarValue::Boolean(Some(v)) => vec![u8::from(*v)],
        ScalarValue::Int32(Some(v)) | ScalarValue::Date32(Some(v)) => v.to_le_bytes().to_vec(),
        ScalarValue::Int64(Some(v)) | ScalarValue::TimestampMicrosecond(Some(v), _) => v.to_le_bytes().to_vec(),
        ScalarValue::Float32(Some(v)) => v.to_le_bytes().to_vec(),
        ScalarValue::Float64(Some(v)) => v.to_le_bytes().to_vec(),
        ScalarValue::Utf8(Some(v)) => v.as_bytes().to_vec(),
        ScalarValue::Binary(Some(v)) => v.clone(),
        ScalarValue::Decimal128(Some(v), ..) => shortest(*v),
        _ => return None,
    })
}

pub(super) fn big_endian(bytes: &[u8]) -> Option<i128> {
    let sign = if bytes.first()? & 0x80 == 0 { 0 } else { 0xFF };
    let mut wide = [sign; 16];
    wide.get_mut(16usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(i128::from_be_bytes(wide))
}

/// The fewest bytes of a number in two's complement, the highest first.
pub(super) fn shortest(value: i128) -> Vec<u8> {
    let wide = value.to_be_bytes();
    let redundant = |index: &usize| {
        let next = wide.get(index + 1).copied().unwrap_or_default();
        (wide[*index] == 0 && next & 0x80 == 0) || (wide[*index] == 0xFF && next & 0x80 != 0)
    };
    let start = (0..15).take_while(|index| redundant(index)).count();
    wide[start..].to_vec()
}

/// The bounds of files, as DataFusion's pruning asks for them.
pub(super) struct FileBounds<'a> {
    pub files: Vec<&'a DataFile>,
    pub schema: SchemaRef,
    /// The number of each column of `schema`
    pub ids: &'a [Option<i32>],
}

impl FileBounds<'_> {
    fn column(&self, column: &Column) -> Option<(i32, &ArrowType)> {
        let (index, field) = self.schema.column_with_name(&column.name)?;
        Some((self.ids.get(index).copied().flatten()?, field.data_type()))
    }

    fn bounds<'b>(&'b self, column: &Column, of: fn(&'b DataFile) -> &'b [(i32, Vec<u8>)]) -> Option<ArrayRef> {
        let (id, data_type) = self.column(column)?;
        let null = ScalarValue::try_from(data_type).ok()?;
        let bound = |file: &&'b DataFile| {
            let found = of(file).iter().find(|(known, _)| *known == id);
            // NaN is greater than all, and in no bounds.
            let found = found.filter(|_| !data_type.is_floating() || file.nan_counts.contains(&(id, 0)));
            found.and_then(|(_, bytes)| value(bytes, data_type)).unwrap_or_else(|| null.clone())
        };
        ScalarValue::iter_to_array(self.files.iter().map(bound)).ok()
    }
}

impl PruningStatistics for FileBounds<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file| &file.lower_bounds)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |file| &file.upper_bounds)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let (id, _) = self.column(column)?;
        let count = |file: &&DataFile| {
            let found = file.null_counts.iter().find(|(known, _)| *known == id);
            found.and_then(|(_, count)| u64::try_from(*count).ok())
        };
        Some(Arc::new(self.files.iter().map(count).collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_round() {
        let zone: Option<Arc<str>> = Some("UTC".into());
        for scalar in [
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Int32(Some(-5)),
            ScalarValue::Int64(Some(i64::MIN)),
            ScalarValue::Float64(Some(-0.5)),
            ScalarValue::Date32(Some(-1)),
            ScalarValue::TimestampMicrosecond(Some(-1), zone),
            ScalarValue::Utf8(Some("ü".into())),
            ScalarValue::Binary(Some(vec![])),
            ScalarValue::Decimal128(Some(-129), 5, 2),
        ] {
            let bytes = bytes(&scalar).unwrap();
            assert_eq!(value(&bytes, &scalar.data_type()), Some(scalar));
        }
        assert_eq!(shortest(0), [0]);
        assert_eq!(shortest(-1), [0xFF]);
        assert_eq!(shortest(128), [0, 128]);
        assert_eq!(value(&7i32.to_le_bytes(), &ArrowType::Int64), Some(ScalarValue::Int64(Some(7))));
    }
}
