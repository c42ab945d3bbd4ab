//! `POST /v1/datasets/partitions`: the values that a dataset is partitioned by, and how many rows each has.
use firesteel_plan::relation::{Grouping, GroupingElement};
use firesteel_plan::statement::{DeltaStatement, SqlStatement};
use firesteel_plan::{Command, Expr, Plan, Relation, RelationKind, parse_multipart_identifier};
use serde_json::{Map, Value, json};

use super::DatasetFields;
use super::count::CountFields;
use super::order::sorted;
use super::query::{QueryFields, limited, matching};
use super::read::{Reader, Stats};
use crate::app::{Answer, Call, json};
use crate::document::{Documented, together};
use crate::endpoint::credentials_field;
use crate::problem::Problem;

const PARTITIONS_MAX: u64 = 10_000;
/// The name of the counts, which no partition column should have.
const COUNT: &str = "__firesteel_rows";

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), CountFields::schema(), credentials_field()])
}

pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["partition_columns", "partitions", "truncated", "stats"], "properties": {
        "partition_columns": {"type": "array", "items": {"type": "string"}},
        "partitions": {"type": "array", "items": {"type": "object", "properties": {
            "values": {"type": "object"}, "rows": {"type": "integer"}}}},
        "truncated": {"type": "boolean"}, "stats": Stats::schema()}})
}

pub async fn handle(call: Call) -> Answer {
    let (reader, dataset, given): (_, _, CountFields) = Reader::open(&call)?;
    let query = QueryFields { filters: given.filters, ..Default::default() };
    let matching = matching(&dataset, &query)?;
    let cancel = reader.cancel.clone();
    Ok(json(200, &call.app.work(cancel, partitions(reader, dataset, matching)).await?))
}

async fn partitions(mut reader: Reader, dataset: DatasetFields, matching: Relation) -> Result<Value, Problem> {
    let columns = partition_columns(&mut reader, &dataset).await?;
    let mut partitions = vec![];
    let mut truncated = false;
    if !columns.is_empty() {
        let names = || columns.iter().map(Expr::name);
        let mut aggregates: Vec<Expr> = names().collect();
        aggregates.push(Expr::call("count", vec![Expr::int(1)]).alias(COUNT));
        let grouped = Relation::new(RelationKind::Aggregate {
            input: Box::new(matching),
            grouping: Grouping::By(names().map(GroupingElement::Expression).collect()),
            aggregates,
            pivot: None,
        });
        let ordered = sorted(grouped, names().map(Expr::asc).collect());
        let mut rows = reader.query(limited(ordered, 0, PARTITIONS_MAX + 1), "partitions").await?;
        truncated = rows.count() as u64 > PARTITIONS_MAX;
        rows.truncate(usize::try_from(PARTITIONS_MAX).unwrap_or(usize::MAX));
        for mut values in rows.objects()? {
            let count = values.shift_remove(COUNT);
            partitions.push(json!({"values": values, "rows": count}));
        }
    }
    let stats = reader.stats(partitions.len() as u64, None);
    Ok(json!({"partition_columns": columns, "partitions": partitions, "truncated": truncated, "stats": stats}))
}

/// By the log of a Delta table, by the catalog, or by the folders of files.
async fn partition_columns(reader: &mut Reader, dataset: &DatasetFields) -> Result<Vec<String>, Problem> {
    if let Some(table) = reader.delta_target(dataset).await? {
        let plan = Plan::Command(Command::Sql(Box::new(SqlStatement::Delta(DeltaStatement::Detail { table }))));
        let rows = reader.rows(plan, "detail").await?.objects()?;
        let columns = rows.first().and_then(|row: &Map<String, Value>| row["partitionColumns"].as_array().cloned());
        return Ok(columns.iter().flatten().filter_map(|name| name.as_str().map(String::from)).collect());
    }
    if let Some(name) = &dataset.table {
        let parts = parse_multipart_identifier(name)?;
        let database = parts.iter().rev().nth(1).cloned().unwrap_or_else(|| firesteel_catalog::DEFAULT_DATABASE.into());
        let id = firesteel_catalog::TableId::new(database, parts.last().cloned().unwrap_or_default());
        let table = reader.session.engine().catalog().get_table(&id).await?;
        return Ok(table.map(|table| table.partition_columns).unwrap_or_default());
    }
    let analyzed = reader.session.analyze(&dataset.relation()?).await?;
    let schema = analyzed.schema();
    let is_column = |name: &str| schema.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    let files = analyzed.input_files().await?;
    let mut columns: Vec<String> = vec![];
    for folder in files.first().iter().flat_map(|file| file.split('/')) {
        if let Some((name, _)) = folder.split_once('=')
            && is_column(name)
        {
            columns.push(name.to_string());
        }
    }
    Ok(columns)
}
