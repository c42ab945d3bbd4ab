//! RENAME COLUMN and DROP COLUMN: changes of the metadata alone, for tables whose files have names of their own.
use firesteel_lake::delta::TableMetadata;
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};

const ADVICE: &str = "It needs column mapping: set the table property delta.columnMapping.mode to 'name'.";

pub fn rename(metadata: &mut TableMetadata, from: &[String], to: &str) -> Result<()> {
    if !metadata.is_mapped() {
        return Err(SparkError::new("DELTA_UNSUPPORTED_RENAME_COLUMN", [("advice", ADVICE)]));
    }
    refuse_dependents(metadata, from)?;
    let new = changed(&metadata.schema, from, from, &mut |fields, index| {
        let is_taken = |(other, field): (usize, &StructField)| other != index && field.name.eq_ignore_ascii_case(to);
        if fields.iter().enumerate().any(is_taken) {
            return Err(SparkError::new(
                "FIELD_ALREADY_EXISTS",
                [
                    ("op", "rename".to_string()),
                    ("fieldNames", to.to_string()),
                    ("struct", StructType::new(fields.clone()).simple_string()),
                ],
            ));
        }
        fields[index].name = to.to_string();
        Ok(())
    })?;
    metadata.schema = new;
    if let [column] = from {
        for partition in &mut metadata.partition_columns {
            if partition.eq_ignore_ascii_case(column) {
                *partition = to.to_string();
            }
        }
    }
    Ok(())
}

pub fn drop(metadata: &mut TableMetadata, columns: &[Vec<String>], if_exists: bool) -> Result<()> {
    if !metadata.is_mapped() {
        return Err(SparkError::new("DELTA_UNSUPPORTED_DROP_COLUMN", [("advice", ADVICE)]));
    }
    for column in columns {
        if if_exists && !exists(&metadata.schema, column) {
            continue;
        }
        refuse_dependents(metadata, column)?;
        if matches!(column.as_slice(), [name] if metadata.is_partition_column(name)) {
            let parameters = [("columnList", quoted_name(column))];
            return Err(SparkError::new("DELTA_UNSUPPORTED_DROP_PARTITION_COLUMN", parameters));
        }
        metadata.schema = changed(&metadata.schema, column, column, &mut |fields, index| {
            if fields.len() == 1 {
                return Err(SparkError::of("DELTA_DROP_COLUMN_ON_SINGLE_FIELD_SCHEMA"));
            }
            fields.remove(index);
            Ok(())
        })?;
    }
    Ok(())
}

/// Constraints and generated columns that name the column keep it as it is.
fn refuse_dependents(metadata: &TableMetadata, column: &[String]) -> Result<()> {
    let Some(first) = column.first() else { return Ok(()) };
    let dependent: Vec<String> = metadata
        .constraints()
        .filter(|(_, text)| mentions(text, first))
        .map(|(name, text)| format!("{name} -> {text}"))
        .collect();
    if !dependent.is_empty() {
        let parameters = [("columnName", quoted_name(column)), ("constraints", dependent.join("\n"))];
        return Err(SparkError::new("DELTA_CONSTRAINT_DEPENDENT_COLUMN_CHANGE", parameters));
    }
    let generated = metadata.schema.fields.iter().filter_map(|field| {
        let text = field.metadata.get("delta.generationExpression")?;
        mentions(text, first).then(|| format!("{} -> {text}", field.name))
    });
    let generated: Vec<String> = generated.collect();
    if !generated.is_empty() {
        let parameters = [("columnName", quoted_name(column)), ("generatedColumns", generated.join("\n"))];
        return Err(SparkError::new("DELTA_GENERATED_COLUMNS_DEPENDENT_COLUMN_CHANGE", parameters));
    }
    Ok(())
}

/// Whether a word of a SQL text is this name.
fn mentions(sql: &str, name: &str) -> bool {
    let words = sql.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    sql.contains(&format!("`{name}`")) || words.into_iter().any(|word| word.eq_ignore_ascii_case(name))
}

fn exists(schema: &StructType, path: &[String]) -> bool {
    changed(schema, path, path, &mut |_, _| Ok(())).is_ok()
}

/// The schema after an edit of the fields that hold the one at `path`, which is at an index of them.
fn changed(
    schema: &StructType,
    path: &[String],
    whole: &[String],
    edit: &mut dyn FnMut(&mut Vec<StructField>, usize) -> Result<()>,
) -> Result<StructType> {
    let mut fields = schema.fields.to_vec();
    let missing = || {
        let names: Vec<_> = schema.fields.iter().map(|f| f.name.clone()).collect();
        let parameters = [("columnName", quoted_name(whole)), ("columnList", names.join(", "))];
        SparkError::new("DELTA_MISSING_COLUMN", parameters)
    };
    let (first, rest) = path.split_first().ok_or_else(missing)?;
    let index = fields.iter().position(|f| f.name.eq_ignore_ascii_case(first)).ok_or_else(missing)?;
    if rest.is_empty() {
        edit(&mut fields, index)?;
    } else {
        fields[index].data_type = below(&fields[index].data_type, rest, whole, edit)?.ok_or_else(missing)?;
    }
    Ok(StructType::new(fields))
}

/// `element`, `key` and `value` name what lists and maps hold.
fn below(
    data_type: &DataType,
    path: &[String],
    whole: &[String],
    edit: &mut dyn FnMut(&mut Vec<StructField>, usize) -> Result<()>,
) -> Result<Option<DataType>> {
    if let DataType::Struct(fields) = data_type {
        return changed(fields, path, whole, edit).map(|fields| Some(DataType::Struct(fields)));
    }
    let Some((first, rest)) = path.split_first() else { return Ok(None) };
    Ok(match (data_type, first.to_lowercase().as_str()) {
        (DataType::Array(element, nulls), "element") => {
            below(element, rest, whole, edit)?.map(|element| DataType::array(element, *nulls))
        }
        (DataType::Map(key, value, nulls), "key") => {
            below(key, rest, whole, edit)?.map(|key| DataType::map(key, value.as_ref().clone(), *nulls))
        }
        (DataType::Map(key, value, nulls), "value") => {
            below(value, rest, whole, edit)?.map(|value| DataType::map(key.as_ref().clone(), value, *nulls))
        }
        _ => None,
    })
}
