//! Merging the schemas of several files (`mergeSchema`): the union of their fields, types must agree.
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

/// Fields of `left`, then those that only `right` has. `CANNOT_MERGE_SCHEMAS` where types differ.
pub(crate) fn merge_schemas(left: &StructType, right: &StructType, exact_case: bool) -> Result<StructType> {
    merge_structs(left, right, exact_case).map_err(|error| {
        let text = |schema: &StructType| format!("\"{}\"", DataType::Struct(schema.clone()).sql());
        SparkError::new("CANNOT_MERGE_SCHEMAS", [("left", text(left)), ("right", text(right))]).with_cause(error)
    })
}

fn merge_structs(left: &StructType, right: &StructType, exact_case: bool) -> Result<StructType> {
    let same = |a: &str, b: &str| a == b || (!exact_case && a.to_lowercase() == b.to_lowercase());
    let mut fields = vec![];
    for field in left.fields.iter() {
        fields.push(match right.fields.iter().find(|other| same(&field.name, &other.name)) {
            None => field.clone(),
            Some(other) => StructField {
                name: field.name.clone(),
                data_type: merge_types(&field.data_type, &other.data_type, exact_case)?,
                nullable: field.nullable || other.nullable,
                metadata: field.metadata.clone(),
            },
        });
    }
    let added = right.fields.iter().filter(|f| !left.fields.iter().any(|other| same(&f.name, &other.name)));
    fields.extend(added.cloned());
    Ok(StructType::new(fields))
}

fn merge_types(left: &DataType, right: &DataType, exact_case: bool) -> Result<DataType> {
    Ok(match (left, right) {
        (a, b) if a == b => a.clone(),
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        (DataType::Array(a, m), DataType::Array(b, n)) => DataType::array(merge_types(a, b, exact_case)?, *m || *n),
        (DataType::Map(a, b, m), DataType::Map(c, d, n)) => {
            DataType::map(merge_types(a, c, exact_case)?, merge_types(b, d, exact_case)?, *m || *n)
        }
        (DataType::Struct(a), DataType::Struct(b)) => DataType::Struct(merge_structs(a, b, exact_case)?),
        (DataType::Decimal(p, s), DataType::Decimal(q, t)) if s == t => DataType::Decimal(*p.max(q), *s),
        _ => {
            return Err(SparkError::new(
                "CANNOT_MERGE_INCOMPATIBLE_DATA_TYPE",
                [("left", format!("\"{}\"", left.sql())), ("right", format!("\"{}\"", right.sql()))],
            ));
        }
    })
}
