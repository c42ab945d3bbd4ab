//! `POST /v1/delta/merge`: rows of a source into a Delta table, by key.
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType as ArrowType, Field, Schema};
use arrow::ipc::writer::StreamWriter;
use firesteel_engine::Session;
use firesteel_plan::command::{MergeAction, MergeActionKind, MergeIntoTable, SqlStatement};
use firesteel_plan::{DataType, Expr, Relation, RelationKind, StructField, StructType, parse_multipart_identifier};
use futures::future::BoxFuture;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use super::delta::{TargetFields, expression, job, local_relation, on_workers};
use super::modify::check;
use crate::body::read;
use crate::datasets::DatasetFields;
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;
use crate::jobs::Work;
use crate::jobs::handlers::{Request, RunFields};
use crate::problem::{Problem, origin_of_field};
use crate::rows::encode::broken;

const TARGET: &str = "target";
const SOURCE: &str = "source";

document! {
    /// What is merged, and how
    pub struct MergeFields {
        /// Rows
        source_data: Option<Vec<Map<String, Value>>> => {"minItems": 1},
        /// A dataset
        source: Option<Value> => {"type": ["object", "null"]},
        /// A name, or names
        merge_key: Option<Value> => {"type": ["string", "array", "null"]},
        /// SQL over target and source
        condition: Option<String>,
        when_matched: Option<String> => {"enum": ["update_all", "update", "delete", "ignore", null]},
        /// With update: {"salary": "source.salary"}
        set: Option<BTreeMap<String, String>>,
        when_not_matched: Option<String> => {"enum": ["insert_all", "ignore", null]},
        when_not_matched_by_source: Option<String> => {"enum": ["ignore", "delete", null]},
        /// Columns that only the source has become the table's
        schema_evolution: Option<bool>,
    }
}

pub fn schema() -> Value {
    let mut own = MergeFields::schema();
    let mut dataset = DatasetFields::schema();
    dataset["type"] = serde_json::json!(["object", "null"]);
    own["properties"]["source"] = dataset;
    together(&[TargetFields::schema(), own, RunFields::schema(), credentials_field()])
}

pub fn prepare(request: Request) -> BoxFuture<'static, Result<Work, Problem>> {
    on_workers(request, |request, session| async move {
        let mut fields = request.fields;
        let target: TargetFields = fields.take()?;
        let given: MergeFields = fields.rest()?;
        let table = target.relation()?;
        let target_schema = check(&session, &table, if target.path.is_some() { "path" } else { "table" }).await?;
        let evolves = given.schema_evolution.unwrap_or(false);
        let (source, columns) = source(&session, &given, &target_schema, evolves).await?;
        let statement = SqlStatement::Merge(Box::new(MergeIntoTable {
            target: table.alias(TARGET),
            source: source.alias(SOURCE),
            condition: condition(&session, &given)?,
            matched: matched(&session, &given, &columns, evolves)?,
            not_matched: not_matched(&given, &columns, evolves),
            not_matched_by_source: not_matched_by_source(&given),
            with_schema_evolution: evolves,
        }));
        let names = &[
            ("rows_inserted", "num_inserted_rows"),
            ("rows_updated", "num_updated_rows"),
            ("rows_deleted", "num_deleted_rows"),
        ];
        Ok(job(session, statement, target.target()?, names))
    })
}

/// The rows that come, and their columns.
async fn source(
    session: &Arc<Session>,
    given: &MergeFields,
    target: &StructType,
    evolves: bool,
) -> Result<(Relation, Vec<String>), Problem> {
    match (&given.source_data, &given.source) {
        (Some(rows), None) => {
            let schema = schema_of_rows(rows, target, evolves)?;
            let names = schema.fields.iter().map(|field| field.name.clone()).collect();
            Ok((relation_of_rows(rows, schema)?, names))
        }
        (None, Some(dataset)) => {
            let dataset: DatasetFields = read(dataset.clone(), SOURCE)?;
            let relation = dataset.relation().map_err(|p| Problem { field: None, ..p }.at(SOURCE))?;
            let schema = check(session, &relation, SOURCE).await?;
            if !evolves {
                let is_known = |name: &str| target.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
                if let Some(field) = schema.fields.iter().find(|field| !is_known(&field.name)) {
                    return Err(unknown_column(&field.name, SOURCE));
                }
            }
            Ok((relation, schema.fields.iter().map(|field| field.name.clone()).collect()))
        }
        _ => Err(Problem::invalid("source_data", "Either source_data or source holds the rows.")),
    }
}

fn unknown_column(name: &str, field: &str) -> Problem {
    let detail = format!("The table has no column {name}; \"schema_evolution\": true would add it.");
    Problem::invalid(field, detail)
}

/// The columns of rows, with the table's types. All rows have the same: what one leaves out is not taken for NULL.
fn schema_of_rows(rows: &[Map<String, Value>], target: &StructType, evolves: bool) -> Result<StructType, Problem> {
    let first = rows.first().cloned().unwrap_or_default();
    for (index, row) in rows.iter().enumerate() {
        let differs = row.len() != first.len() || row.keys().any(|name| !first.contains_key(name));
        if differs {
            let detail = "All rows have the same columns: say null where there is no value.";
            return Err(Problem::invalid(format!("source_data[{index}]"), detail));
        }
    }
    let mut fields = vec![];
    for name in first.keys() {
        let known = target.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        let data_type = match known {
            Some(field) => field.data_type.clone(),
            None if evolves => type_of(rows.iter().filter_map(|row| row.get(name)), name)?,
            None => return Err(unknown_column(name, &format!("source_data[0].{name}"))),
        };
        fields.push(StructField::new(name, data_type, true));
    }
    Ok(StructType::new(fields))
}

/// The type of a new column, by its values.
fn type_of<'a>(values: impl Iterator<Item = &'a Value>, name: &str) -> Result<DataType, Problem> {
    let mut found: Option<DataType> = None;
    for value in values.filter(|value| !value.is_null()) {
        let own = match value {
            Value::Bool(_) => DataType::Boolean,
            Value::Number(number) if number.as_i64().is_some() => DataType::Long,
            Value::Number(_) => DataType::Double,
            Value::String(_) => DataType::STRING,
            _ => {
                let detail = format!("The type of the new column {name} is not clear: make it a dataset.");
                return Err(Problem::invalid("source_data", detail));
            }
        };
        found = Some(match found {
            None => own,
            Some(before) if before == own => own,
            Some(DataType::Long | DataType::Double) if own.is_numeric() => DataType::Double,
            Some(_) => return Err(Problem::invalid("source_data", format!("{name} has values of several types."))),
        });
    }
    Ok(found.unwrap_or(DataType::STRING))
}

/// Rows of JSON, read as `spark.read.json` reads them; what does not fit its type is an error.
fn relation_of_rows(rows: &[Map<String, Value>], schema: StructType) -> Result<Relation, Problem> {
    let texts: StringArray = rows.iter().map(|row| serde_json::to_string(row).ok()).collect();
    let arrow = Arc::new(Schema::new(vec![Field::new("value", ArrowType::Utf8, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&arrow), vec![Arc::new(texts)]).map_err(broken)?;
    let mut writer = StreamWriter::try_new(vec![], &arrow).map_err(broken)?;
    writer.write(&batch).map_err(broken)?;
    let options = [("mode", "FAILFAST")].map(|(key, value)| (key.to_string(), value.to_string()));
    let relation = Relation::new(RelationKind::Parse {
        input: Box::new(local_relation(writer.into_inner().map_err(broken)?)),
        format: "json".into(),
        schema: Some(DataType::Struct(schema)),
        options: options.into_iter().collect(),
    });
    Ok(relation.with_origin(Some(origin_of_field("source_data"))))
}

fn of(table: &str, column: &str) -> Expr {
    Expr::parts(vec![table.to_string(), column.to_string()])
}

fn condition(session: &Session, given: &MergeFields) -> Result<Expr, Problem> {
    let keys: Vec<String> = match &given.merge_key {
        None | Some(Value::Null) => vec![],
        Some(Value::String(name)) => vec![name.clone()],
        Some(other) => read(other.clone(), "merge_key")?,
    };
    match (&given.condition, keys.as_slice()) {
        (Some(text), []) => expression(session, text, "condition"),
        (None, [_, ..]) => {
            let equal = |key: &String| {
                let equal = Expr::call("==", vec![of(TARGET, key), of(SOURCE, key)]);
                equal.with_origin(Some(origin_of_field("merge_key")))
            };
            let all = keys.iter().map(equal).reduce(Expr::and);
            all.ok_or_else(|| Problem::internal("a merge without keys"))
        }
        _ => Err(Problem::invalid("merge_key", "Either merge_key or condition says which rows belong together.")),
    }
}

fn action(kind: MergeActionKind) -> Vec<MergeAction> {
    vec![MergeAction { condition: None, kind }]
}

/// The source's columns, each into the table's of that name.
fn assignments(columns: &[String]) -> Vec<(Expr, Expr)> {
    columns.iter().map(|name| (Expr::name(name), of(SOURCE, name))).collect()
}

fn matched(
    session: &Session,
    given: &MergeFields,
    columns: &[String],
    evolves: bool,
) -> Result<Vec<MergeAction>, Problem> {
    let kind = given.when_matched.as_deref().unwrap_or("update_all");
    if given.set.is_some() != (kind == "update") {
        return Err(Problem::invalid("set", "set goes with \"when_matched\": \"update\"."));
    }
    Ok(match kind {
        "ignore" => vec![],
        "delete" => action(MergeActionKind::Delete),
        "update" => {
            let mut set = vec![];
            for (name, value) in given.set.iter().flatten() {
                let field = format!("set.{name}");
                let column = parse_multipart_identifier(name).map_err(|error| Problem::from(error).at(&field))?;
                set.push((Expr::parts(column), expression(session, value, &field)?));
            }
            action(MergeActionKind::Update(set))
        }
        _ if evolves => action(MergeActionKind::UpdateAll),
        _ => action(MergeActionKind::Update(assignments(columns))),
    })
}

/// Columns of the table that the source does not have stay NULL.
fn not_matched(given: &MergeFields, columns: &[String], evolves: bool) -> Vec<MergeAction> {
    match given.when_not_matched.as_deref() {
        Some("ignore") => vec![],
        _ if evolves => action(MergeActionKind::InsertAll),
        _ => action(MergeActionKind::Insert(assignments(columns))),
    }
}

fn not_matched_by_source(given: &MergeFields) -> Vec<MergeAction> {
    match given.when_not_matched_by_source.as_deref() {
        Some("delete") => action(MergeActionKind::Delete),
        _ => vec![],
    }
}
