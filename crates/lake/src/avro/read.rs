//! Reading Avro files.
use std::io::Cursor;

use arrow::datatypes::SchemaRef;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::AvroSchema;
use bytes::Bytes;
use firesteel_plan::{Result, SparkError};
use firesteel_storage::FileStatus;
use futures::StreamExt;
use object_store::ObjectStoreExt;

use super::failed;
use crate::convert::fit;
use crate::errors;
use crate::format::InferInput;
use crate::scan::source::{BatchStream, FilePart, RecordReader};

type Reader = arrow_avro::reader::Reader<Cursor<Bytes>>;

fn open(bytes: Bytes, reader_schema: Option<&AvroSchema>, batch_size: usize) -> Result<Reader> {
    let mut builder = ReaderBuilder::new().with_batch_size(batch_size);
    if let Some(schema) = reader_schema {
        builder = builder.with_reader_schema(schema.clone());
    }
    builder.build(Cursor::new(bytes)).map_err(failed)
}

/// The Arrow schema of a file.
pub(super) async fn schema(
    input: &InferInput<'_>,
    file: &FileStatus,
    reader_schema: Option<&AvroSchema>,
) -> Result<SchemaRef> {
    let path = file.location.object_path()?;
    let read = input.file_system.object_store().get_range(&path, 0..file.size).await;
    let bytes = read.map_err(|e| errors::store(&file.location, &e))?;
    let reader = open(bytes, reader_schema, 1).map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER", [("path", file.location.to_string())]).with_cause(e)
    })?;
    Ok(reader.schema())
}

#[derive(Debug)]
pub(super) struct AvroReader {
    pub reader_schema: Option<AvroSchema>,
    pub exact_case: bool,
}

impl RecordReader for AvroReader {
    fn name(&self) -> &'static str {
        "avro"
    }

    fn read(&self, part: FilePart) -> BatchStream {
        let (reader_schema, exact_case) = (self.reader_schema.clone(), self.exact_case);
        async_stream::try_stream! {
            let path = &part.meta.location;
            let bytes = part.store.get_range(path, 0..part.meta.size).await;
            let bytes = bytes.map_err(|e| errors::store(&part.place(), &e))?;
            for batch in open(bytes, reader_schema.as_ref(), part.batch_size)? {
                yield fit(&batch.map_err(failed)?, &part.schema, exact_case)?;
            }
        }
        .boxed()
    }
}
