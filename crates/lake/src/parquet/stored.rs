//! What files call the columns of a table: their own names, or numbers that no renaming changes.
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef};
use firesteel_functions::types::{to_arrow, to_arrow_fields};
use firesteel_plan::{DataType, StructField, StructType};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use super::FIELD_ID_KEY;

/// The columns of a table, in its order, as its files call them.
#[derive(Debug, Clone)]
pub(crate) enum StoredColumns {
    /// By names, the same in all files
    ByName(SchemaRef),
    /// By the numbers in the columns' metadata ([`FIELD_ID_KEY`]); each file has names of its own.
    ByNumber(StructType),
}

impl StoredColumns {
    pub(crate) fn by_name(columns: &StructType) -> Self {
        Self::ByName(Arc::new(Schema::new(to_arrow_fields(columns))))
    }

    /// The columns by the names of a file, and whether these names are exact.
    pub(super) fn in_file(&self, file: &SchemaRef, exact_case: bool) -> (SchemaRef, bool) {
        match self {
            Self::ByName(schema) => (Arc::clone(schema), exact_case),
            // A file that gives its columns no numbers was written by somebody else: names are all there is.
            Self::ByNumber(columns) if !file.fields().iter().any(|field| number(field).is_some()) => {
                (Arc::new(Schema::new(to_arrow_fields(columns))), exact_case)
            }
            Self::ByNumber(columns) => (Arc::new(Schema::new(fields_of(columns, file.fields()))), true),
        }
    }
}

fn number(field: &FieldRef) -> Option<&String> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)
}

fn fields_of(columns: &StructType, file: &Fields) -> Fields {
    columns.fields.iter().map(|column| field_of(column, file)).collect()
}

fn field_of(column: &StructField, file: &Fields) -> Field {
    let id = column.metadata.get(FIELD_ID_KEY);
    let found = id.and_then(|id| file.iter().find(|field| number(field) == Some(id)));
    match found {
        Some(stored) => Field::new(stored.name(), type_of(&column.data_type, stored.data_type()), true),
        // A name that no column has: the file was written before there was such a column.
        None => Field::new(format!("\0{}", id.map_or("", String::as_str)), to_arrow(&column.data_type), true),
    }
}

fn type_of(data_type: &DataType, file: &ArrowType) -> ArrowType {
    let arrow = to_arrow(data_type);
    let below = |field: &FieldRef, of: &DataType, stored: &FieldRef| {
        Arc::new(field.as_ref().clone().with_data_type(type_of(of, stored.data_type())))
    };
    match (data_type, &arrow, file) {
        (DataType::Struct(columns), _, ArrowType::Struct(fields)) => ArrowType::Struct(fields_of(columns, fields)),
        (DataType::Array(element, _), ArrowType::List(field), ArrowType::List(stored)) => {
            ArrowType::List(below(field, element, stored))
        }
        (DataType::Map(key, value, _), ArrowType::Map(entries, sorted), ArrowType::Map(stored, _)) => {
            let (ArrowType::Struct(pair), ArrowType::Struct(stored)) = (entries.data_type(), stored.data_type()) else {
                return arrow;
            };
            let pair = pair.iter().zip([key, value]).zip(stored).map(|((field, of), stored)| below(field, of, stored));
            let entries = entries.as_ref().clone().with_data_type(ArrowType::Struct(pair.collect()));
            ArrowType::Map(Arc::new(entries), *sorted)
        }
        _ => arrow,
    }
}
