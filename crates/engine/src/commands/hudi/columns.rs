//! The columns of rows as those of a table: by name, whatever their order.
use firesteel_analyze::{AnalyzedPlan, Attribute};
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::{CastMode, cast};
use firesteel_functions::types::to_arrow;
use firesteel_lake::hudi::HudiTable;
use firesteel_lake::hudi::write::{Operation, record_schema, table_type, widened_schema};
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

use crate::commands::Statement;
use crate::commands::write::project;

/// How many columns are Hudi's own, which come first.
const OWN: usize = 5;
const OWN_PREFIX: &str = "_hoodie_";
const IS_DELETED: &str = "_hoodie_is_deleted";
/// Types that a table's column takes beside its own, as all their values fit.
const WIDER: &[(DataType, &[DataType])] = &[
    (DataType::Long, &[DataType::Integer]),
    (DataType::Float, &[DataType::Integer, DataType::Long]),
    (DataType::Double, &[DataType::Integer, DataType::Long, DataType::Float]),
];

fn is_own(name: &str) -> bool {
    name.starts_with(OWN_PREFIX) && name != IS_DELETED
}

/// The Avro schema of a new table for rows.
pub fn new_schema(name: &str, rows: &StructType) -> Result<String> {
    let field = |field: &StructField| StructField::new(&field.name, table_type(&field.data_type).as_nullable(), true);
    let fields = rows.fields.iter().filter(|column| !is_own(&column.name)).map(field);
    record_schema(name, &StructType::new(fields.collect()))
}

/// The Avro schema of a table after rows with further columns.
pub fn schema_with(schema: &str, rows: &StructType) -> Result<String> {
    let columns = HudiTable::columns_of(schema)?;
    let is_known = |name: &str| columns.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    let added = rows.fields.iter().filter(|field| !is_known(&field.name) && !is_own(&field.name));
    let field = |field: &StructField| StructField::new(&field.name, table_type(&field.data_type).as_nullable(), true);
    let added: Vec<_> = added.map(field).collect();
    if added.is_empty() { Ok(schema.to_string()) } else { widened_schema(schema, &added) }
}

/// Rows with the columns of a table in their order. Columns that they lack are NULL.
pub fn aligned(
    st: &Statement,
    table: &str,
    schema: &str,
    rows: &AnalyzedPlan,
    operation: Operation,
) -> Result<AnalyzedPlan> {
    let columns = HudiTable::columns_of(schema)?;
    let mut aligned = vec![];
    for field in columns.fields.iter().skip(OWN) {
        let target = StructField::new(&field.name, field.data_type.as_nullable(), true);
        let mut found = rows.output.iter().filter(|attribute| attribute.name.eq_ignore_ascii_case(&field.name));
        let typed = match (found.next(), found.next()) {
            (_, Some(_)) => {
                let name = quote_identifier(&field.name);
                return Err(SparkError::new("COLUMN_ALREADY_EXISTS", [("columnName", name)]));
            }
            (Some(attribute), None) => stored(st, table, attribute, &target)?,
            // Of rows that are deleted the keys alone count.
            (None, None) if field.nullable || operation == Operation::Delete => {
                TypedExpr::null(target.data_type.clone())
            }
            (None, None) => {
                return Err(SparkError::new(
                    "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_FIND_DATA",
                    [("tableName", quote_identifier(table)), ("colName", quote_identifier(&field.name))],
                ));
            }
        };
        aligned.push((typed, target));
    }
    project(rows, aligned)
}

fn stored(st: &Statement, table: &str, attribute: &Attribute, target: &StructField) -> Result<TypedExpr> {
    let have = attribute.data_type.as_nullable();
    if attribute.data_type == target.data_type {
        return Ok(attribute.typed());
    }
    if have == target.data_type {
        // The rows say of parts of a value that they are always there; those of the table may not be.
        let expr = datafusion::logical_expr::cast(attribute.column(), to_arrow(&target.data_type));
        return Ok(TypedExpr::new(expr, target.data_type.clone(), true, attribute.name.clone()));
    }
    let plain = table_type(&have);
    let is_wider = WIDER.iter().any(|(to, from)| *to == target.data_type && from.contains(&plain));
    if plain != target.data_type && !is_wider && have != DataType::Null {
        return Err(SparkError::new(
            "INCOMPATIBLE_DATA_FOR_TABLE.CANNOT_SAFELY_CAST",
            [
                ("tableName", quote_identifier(table)),
                ("colName", quote_identifier(&target.name)),
                ("srcType", have.sql()),
                ("targetType", target.data_type.sql()),
            ],
        ));
    }
    cast(attribute.typed(), &target.data_type, CastMode::Ansi, &st.context.eval)
}
