//! Changes of a table's columns. Each column keeps its number, by which readers find it in files that were written before.
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::ColumnPosition;
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use serde_json::{Map, Value as Json, json};

use super::errors::{broken, unsupported};
use super::metadata::TableMetadata;
use super::partition::Transform;
use super::scan::NAME_MAPPING;
use super::table::IcebergTable;
use super::types::{self, Numbers, primitive_name};

/// The columns of a table while they are changed.
#[derive(Debug, Clone)]
pub struct ColumnEdits {
    /// Of the schema, as its JSON has them
    fields: Vec<Json>,
    numbers: Numbers,
    /// Columns that partitions are made of
    sources: Vec<i64>,
    table: String,
}

type Fields = Vec<Json>;

impl ColumnEdits {
    pub fn of(table: &IcebergTable) -> Result<Self> {
        let metadata = table.metadata();
        if metadata.properties().contains_key(NAME_MAPPING) {
            return Err(unsupported("a mapping of names are not altered: the mapping would have to follow"));
        }
        // As they were written: types may be told apart there that are one here.
        let fields = metadata.fields_json()?;
        let last = metadata.number("last-column-id").and_then(|id| i32::try_from(id).ok());
        let last = last.ok_or_else(|| broken("a metadata file", "it has no last-column-id"))?;
        let spec = metadata.spec()?;
        let sources = spec.fields.iter().filter(|field| field.transform != Transform::Void);
        let sources = sources.map(|field| i64::from(field.source)).collect();
        Ok(Self { fields, numbers: Numbers { last }, sources, table: metadata.location().to_string() })
    }

    pub(super) fn fields(&self) -> &[Json] {
        &self.fields
    }

    pub(super) fn last_id(&self) -> i32 {
        self.numbers.last
    }

    /// A new column, or a new field of the struct that `parents` lead to.
    pub fn add(&mut self, parents: &[String], field: &StructField, position: Option<&ColumnPosition>) -> Result<()> {
        if !field.nullable {
            return Err(unsupported(format!("rows do not get the column {}: it has to take NULL", field.name)));
        }
        let field = types::table_schema(&StructType::new(vec![field.clone()]));
        let numbered = self.numbers.numbered(&field);
        let json = types::struct_json(&numbered)?;
        let Some(json) = json.get("fields").and_then(|fields| fields.get(0)).cloned() else { return Ok(()) };
        let fields = match parents {
            [] => &mut self.fields,
            _ => type_at(&mut self.fields, parents)
                .and_then(|of| of.get_mut("fields")?.as_array_mut())
                .ok_or_else(|| missing(parents, &[]))?,
        };
        refuse_taken(fields, name_of(&json), "add", None)?;
        place(fields, json, position)
    }

    pub fn rename(&mut self, path: &[String], to: &str) -> Result<()> {
        let (fields, index) = self.find(path)?;
        refuse_taken(fields, to, "rename", Some(index))?;
        fields[index]["name"] = to.into();
        Ok(())
    }

    /// `false`: there is no such column.
    pub fn drop(&mut self, path: &[String]) -> Result<bool> {
        let sources = self.sources.clone();
        let Some((fields, index)) = find(&mut self.fields, path) else { return Ok(false) };
        if numbers_in(&fields[index]).iter().any(|id| sources.contains(id)) {
            return Err(unsupported(format!("partitions by {} keep that column", quoted_name(path))));
        }
        if fields.len() == 1 {
            return Err(unsupported(format!("columns keep their last field: {}", quoted_name(path))));
        }
        fields.remove(index);
        Ok(true)
    }

    /// A wider type: values that were written before fit into it.
    pub fn widen(&mut self, path: &[String], to: &DataType) -> Result<()> {
        let table = self.table.clone();
        let (fields, index) = self.find(path)?;
        let field = &mut fields[index];
        let old = types::struct_of(&json!({ "fields": [field.clone()] }))?;
        let Some(old) = old.fields.first().map(|field| field.data_type.clone()) else { return Ok(()) };
        let to = types::table_type(to);
        if to.same_type(&old) {
            return Ok(());
        }
        let fits = match (&old, &to) {
            (DataType::Integer, DataType::Long) | (DataType::Float, DataType::Double) => true,
            (DataType::Decimal(old, scale), DataType::Decimal(new, same)) => new > old && scale == same,
            _ => false,
        };
        if !fits {
            let name = quoted_name(path);
            return Err(SparkError::new(
                "NOT_SUPPORTED_CHANGE_COLUMN",
                [
                    ("table", quote_identifier(&table)),
                    ("originName", name.clone()),
                    ("originType", format!("\"{}\"", old.sql())),
                    ("newName", name),
                    ("newType", format!("\"{}\"", to.sql())),
                ],
            ));
        }
        field["type"] = primitive_name(&to)?.into();
        Ok(())
    }

    /// DROP NOT NULL; the other way is not possible, for files may hold NULL.
    pub fn set_nullable(&mut self, path: &[String], nullable: bool) -> Result<()> {
        let (fields, index) = self.find(path)?;
        let is_required = fields[index].get("required").and_then(Json::as_bool).unwrap_or(false);
        if !nullable && !is_required {
            return Err(unsupported(format!("the column {} stay NULL-able once they are", quoted_name(path))));
        }
        fields[index]["required"] = (!nullable).into();
        Ok(())
    }

    pub fn comment(&mut self, path: &[String], comment: &str) -> Result<()> {
        let (fields, index) = self.find(path)?;
        fields[index]["doc"] = comment.into();
        Ok(())
    }

    pub fn move_to(&mut self, path: &[String], position: &ColumnPosition) -> Result<()> {
        let (fields, index) = self.find(path)?;
        let field = fields.remove(index);
        place(fields, field, Some(position))
    }

    fn find(&mut self, path: &[String]) -> Result<(&mut Fields, usize)> {
        let names: Vec<String> = self.fields.iter().map(|field| name_of(field).to_string()).collect();
        find(&mut self.fields, path).ok_or_else(|| missing(path, &names))
    }
}

fn missing(path: &[String], names: &[String]) -> SparkError {
    let proposal: Vec<_> = names.iter().map(|name| quote_identifier(name)).collect();
    let parameters = [("objectName", quoted_name(path)), ("proposal", proposal.join(", "))];
    SparkError::new("UNRESOLVED_COLUMN.WITH_SUGGESTION", parameters)
}

fn name_of(field: &Json) -> &str {
    field.get("name").and_then(Json::as_str).unwrap_or_default()
}

fn position_of(fields: &[Json], name: &str) -> Option<usize> {
    fields.iter().position(|field| name_of(field).eq_ignore_ascii_case(name))
}

/// The fields among which the one at `path` is, and its place there.
fn find<'a>(fields: &'a mut Fields, path: &[String]) -> Option<(&'a mut Fields, usize)> {
    let (last, parents) = path.split_last()?;
    let fields = match parents {
        [] => fields,
        _ => type_at(fields, parents)?.get_mut("fields")?.as_array_mut()?,
    };
    let index = position_of(fields, last)?;
    Some((fields, index))
}

/// The type of what is at `path`. `element`, `key` and `value` lead into lists and maps.
fn type_at<'a>(fields: &'a mut Fields, path: &[String]) -> Option<&'a mut Json> {
    let (first, mut rest) = path.split_first()?;
    let index = position_of(fields, first)?;
    let mut found = fields.get_mut(index)?.get_mut("type")?;
    while let Some((part, below)) = rest.split_first() {
        let kind = found.get("type").and_then(Json::as_str).unwrap_or_default().to_string();
        match (kind.as_str(), part.as_str()) {
            ("struct", _) => return type_at(found.get_mut("fields")?.as_array_mut()?, rest),
            ("list", "element") | ("map", "key" | "value") => found = found.get_mut(part)?,
            _ => return None,
        }
        rest = below;
    }
    Some(found)
}

fn refuse_taken(fields: &[Json], name: &str, operation: &str, except: Option<usize>) -> Result<()> {
    let found = position_of(fields, name).filter(|index| Some(*index) != except);
    if found.is_none() {
        return Ok(());
    }
    let schema = types::struct_of(&json!({ "fields": fields }))?;
    Err(SparkError::new(
        "FIELD_ALREADY_EXISTS",
        [
            ("op", operation.to_string()),
            ("fieldNames", quote_identifier(name)),
            ("struct", format!("\"{}\"", DataType::Struct(schema).sql())),
        ],
    ))
}

fn place(fields: &mut Fields, field: Json, position: Option<&ColumnPosition>) -> Result<()> {
    let names: Vec<String> = fields.iter().map(|field| name_of(field).to_string()).collect();
    let at = match position {
        None => fields.len(),
        Some(ColumnPosition::First) => 0,
        Some(ColumnPosition::After(other)) => {
            position_of(fields, other).ok_or_else(|| missing(std::slice::from_ref(other), &names))? + 1
        }
    };
    fields.insert(at, field);
    Ok(())
}

/// The numbers of a column and of all below it.
fn numbers_in(field: &Json) -> Vec<i64> {
    fn gather(json: &Json, found: &mut Vec<i64>) {
        match json {
            Json::Object(map) => {
                found.extend(map.get("id").and_then(Json::as_i64));
                map.values().for_each(|value| gather(value, found));
            }
            Json::Array(all) => all.iter().for_each(|value| gather(value, found)),
            _ => {}
        }
    }
    let mut found = vec![];
    gather(field, &mut found);
    found
}

/// Makes columns the current ones, under the number that they had if they were there before.
pub(super) fn set_fields(metadata: &mut TableMetadata, fields: &[Json], last_column: i32) {
    let schemas = metadata.json.get("schemas").and_then(Json::as_array).cloned().unwrap_or_default();
    let is_same = |known: &&Json| known.get("fields").and_then(Json::as_array).is_some_and(|known| known == fields);
    let id = match schemas.iter().find(is_same).and_then(|schema| schema.get("schema-id")).and_then(Json::as_i64) {
        Some(id) => id,
        None => {
            let id = schemas.iter().filter_map(|schema| schema.get("schema-id")?.as_i64()).max().unwrap_or(-1) + 1;
            // What else the columns have, such as those that identify rows, stays.
            let current = metadata.schema_id();
            let old = schemas.iter().find(|schema| schema.get("schema-id").and_then(Json::as_i64) == Some(current));
            let mut json: Map<String, Json> = old.and_then(Json::as_object).cloned().unwrap_or_default();
            let known: Vec<i64> = fields.iter().flat_map(numbers_in).collect();
            if let Some(Json::Array(ids)) = json.get_mut("identifier-field-ids") {
                ids.retain(|id| id.as_i64().is_some_and(|id| known.contains(&id)));
            }
            json.insert("type".into(), "struct".into());
            json.insert("schema-id".into(), id.into());
            json.insert("fields".into(), fields.into());
            super::commit::push(&mut metadata.json, "schemas", Json::Object(json));
            id
        }
    };
    metadata.json.insert("current-schema-id".into(), id.into());
    metadata.json.insert("last-column-id".into(), last_column.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits() -> ColumnEdits {
        let schema = json!([
            {"id": 1, "name": "id", "required": true, "type": "int"},
            {"id": 2, "name": "s", "required": false, "type": {"type": "struct", "fields": [
                {"id": 3, "name": "a", "required": false, "type": "float"},
                {"id": 4, "name": "b", "required": false, "type": "string"}]}},
        ]);
        let fields = schema.as_array().cloned().unwrap();
        ColumnEdits { fields, numbers: Numbers { last: 4 }, sources: vec![1], table: "t".into() }
    }

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_string).collect()
    }

    #[test]
    fn columns_keep_their_numbers() {
        let mut edits = edits();
        edits.rename(&path("s.a"), "z").unwrap();
        edits.widen(&path("ID"), &DataType::Long).unwrap();
        let position = ColumnPosition::After("z".into());
        edits.add(&path("s"), &StructField::new("c", DataType::Byte, true), Some(&position)).unwrap();
        edits.move_to(&path("s"), &ColumnPosition::First).unwrap();
        assert!(edits.drop(&path("s.b")).unwrap() && !edits.drop(&path("s.none")).unwrap());
        assert_eq!(
            Json::from(edits.fields),
            json!([
                {"id": 2, "name": "s", "required": false, "type": {"type": "struct", "fields": [
                    {"id": 3, "name": "z", "required": false, "type": "float"},
                    {"id": 5, "name": "c", "required": false, "type": "int"}]}},
                {"id": 1, "name": "id", "required": true, "type": "long"},
            ])
        );
    }

    #[test]
    fn what_lists_and_maps_hold() {
        let of = |text: &str| json!({"type": "struct", "fields": [{"id": 9, "name": text, "required": false, "type": "int"}]});
        let fields = json!([
            {"id": 1, "name": "l", "required": false, "type": {"type": "list", "element-id": 2, "element": of("a")}},
            {"id": 3, "name": "m", "required": false, "type":
                {"type": "map", "key-id": 4, "key": "int", "value-id": 5, "value": of("b")}},
        ]);
        let fields = fields.as_array().cloned().unwrap();
        let mut edits = ColumnEdits { fields, numbers: Numbers { last: 9 }, sources: vec![], table: "t".into() };
        let field = StructField::new("c", DataType::Date, true);
        edits.add(&path("l.element"), &field, Some(&ColumnPosition::First)).unwrap();
        edits.add(&path("m.value"), &field, None).unwrap();
        edits.rename(&path("m.value.b"), "z").unwrap();
        let text = Json::from(edits.fields.clone()).to_string();
        assert_eq!(text.matches("\"name\":\"c\"").count(), 2);
        assert!(text.contains("\"id\":10") && text.contains("\"id\":11") && text.contains("\"name\":\"z\""));
        assert!(
            edits.add(&path("m.key"), &field, None).is_err() && edits.drop(&path("l.element")).is_ok_and(|was| !was)
        );
    }

    #[test]
    fn what_is_refused() {
        let mut edits = edits();
        assert!(edits.drop(&path("id")).is_err() && edits.rename(&path("id"), "S").is_err());
        assert!(edits.widen(&path("s.a"), &DataType::Integer).is_err());
        assert!(edits.set_nullable(&path("s.a"), false).is_err() && edits.set_nullable(&path("id"), true).is_ok());
        let required = StructField::new("n", DataType::Integer, false);
        assert!(edits.add(&[], &required, None).is_err());
        assert!(edits.comment(&path("none"), "c").is_err());
    }
}
