//! Result batches as clients read them: one Arrow IPC stream per message, with Spark's Arrow types.
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use firesteel_plan::{Result, SparkError};

/// The types that go over the wire: no views, and timestamps that name the session's zone (their values stay in UTC).
pub(crate) fn client_schema(schema: &Schema, time_zone: &str) -> SchemaRef {
    let zone: Arc<str> = time_zone.into();
    let fields: Vec<FieldRef> = schema.fields().iter().map(|field| client_field(field, &zone)).collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn client_field(field: &FieldRef, zone: &Arc<str>) -> FieldRef {
    let data_type = client_type(field.data_type(), zone);
    if data_type == *field.data_type() {
        return Arc::clone(field);
    }
    Arc::new(Field::clone(field).with_data_type(data_type))
}

fn client_type(data_type: &DataType, zone: &Arc<str>) -> DataType {
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(Arc::clone(zone))),
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, value) => client_type(value, zone),
        DataType::List(element) => DataType::List(client_field(element, zone)),
        DataType::LargeList(element) => DataType::LargeList(client_field(element, zone)),
        DataType::FixedSizeList(element, size) => DataType::FixedSizeList(client_field(element, zone), *size),
        DataType::Map(entries, sorted) => DataType::Map(client_field(entries, zone), *sorted),
        DataType::Struct(fields) => {
            let names = distinct_names(fields);
            let fields = fields.iter().zip(names).map(|(field, name)| match name {
                Some(name) => Arc::new(Field::clone(&client_field(field, zone)).with_name(name)),
                None => client_field(field, zone),
            });
            DataType::Struct(fields.collect())
        }
        other => other.clone(),
    }
}

/// New names for the fields whose name another has too, numbered as Spark's clients expect; `None`: the name stays.
fn distinct_names(fields: &Fields) -> Vec<Option<String>> {
    let name_of = |index: usize| {
        let same = |field: &&FieldRef| field.name() == fields[index].name();
        let before = fields.iter().take(index).filter(same).count();
        (fields.iter().filter(same).count() > 1).then(|| format!("{}_{before}", fields[index].name()))
    };
    (0..fields.len()).map(name_of).collect()
}

/// The batch with the types of `schema`, which [`client_schema`] made from the batch's own.
pub(crate) fn to_client(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| retype(column, field.data_type())).collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(internal)
}

fn retype(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    // By position: the names of fields may be new.
    match (column.as_struct_opt(), data_type) {
        (Some(row), DataType::Struct(fields)) => {
            let columns = row.columns().iter().zip(fields).map(|(column, field)| retype(column, field.data_type()));
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let row = StructArray::try_new_with_length(fields.clone(), columns, row.nulls().cloned(), row.len());
            return Ok(Arc::new(row.map_err(internal)?));
        }
        (None, DataType::List(element)) if element.data_type().is_nested() => {
            if let Some(list) = column.as_list_opt::<i32>() {
                let values = retype(list.values(), element.data_type())?;
                let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
                let list = ListArray::try_new(Arc::clone(element), offsets, values, nulls);
                return Ok(Arc::new(list.map_err(internal)?));
            }
        }
        (None, DataType::Map(entries, sorted)) => {
            if let Some(map) = column.as_map_opt() {
                let rows: ArrayRef = Arc::new(map.entries().clone());
                let rows = retype(&rows, entries.data_type())?.as_struct().clone();
                let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
                let map = MapArray::try_new(Arc::clone(entries), offsets, rows, nulls, *sorted);
                return Ok(Arc::new(map.map_err(internal)?));
            }
        }
        _ => {}
    }
    let options = CastOptions { safe: false, ..Default::default() };
    cast_with_options(column, data_type, &options).map_err(internal)
}

/// One stream with one batch.
pub(crate) fn ipc_stream(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(batch.get_array_memory_size().min(64 << 20) + 1024);
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).map_err(internal)?;
    writer.write(batch).map_err(internal)?;
    writer.finish().map_err(internal)?;
    drop(writer);
    Ok(bytes)
}

/// A stream of several batches.
pub(crate) fn ipc_stream_of(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    let mut writer = StreamWriter::try_new(&mut bytes, schema).map_err(internal)?;
    for batch in batches {
        writer.write(batch).map_err(internal)?;
    }
    writer.finish().map_err(internal)?;
    drop(writer);
    Ok(bytes)
}

/// About what the rows take on the wire (a slice counts its own rows, not the buffers it shares).
pub(crate) fn wire_size(batch: &RecordBatch) -> usize {
    batch
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size()))
        .sum()
}

pub(crate) fn internal(error: arrow::error::ArrowError) -> SparkError {
    SparkError::internal("a result could not be encoded").with_cause(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{StringViewArray, TimestampMicrosecondArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::TimeUnit;

    #[test]
    fn timestamps_get_the_session_zone_and_keep_their_values() {
        let values = TimestampMicrosecondArray::from(vec![0, 1]).with_timezone("UTC");
        let item = Arc::new(Field::new("item", values.data_type().clone(), true));
        let list = ListArray::new(item, OffsetBuffer::from_lengths([1, 1]), Arc::new(values), None);
        let text = StringViewArray::from(vec!["a", "b"]);
        let fields = vec![Field::new("l", list.data_type().clone(), true), Field::new("s", DataType::Utf8View, true)];
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(list), Arc::new(text)]).unwrap();
        let schema = client_schema(&batch.schema(), "Asia/Tokyo");
        let batch = to_client(&batch, &schema).unwrap();
        let zone = Some("Asia/Tokyo".into());
        let item = Arc::new(Field::new("item", DataType::Timestamp(TimeUnit::Microsecond, zone), true));
        assert_eq!(*batch.column(0).data_type(), DataType::List(item));
        assert_eq!(*batch.column(1).data_type(), DataType::Utf8);
        assert!(!ipc_stream(&batch).unwrap().is_empty());
    }
}
