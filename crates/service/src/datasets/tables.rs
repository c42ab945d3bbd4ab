//! Tables of the catalog: `GET /v1/tables…`.
use std::sync::Arc;

use firesteel_catalog::DEFAULT_DATABASE;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::describe::describe as describe_dataset;
use super::{DatasetFields, query};
use crate::app::{Answer, Call, json};
use crate::body::Fields;
use crate::credentials::Credentials;
use crate::document::document;
use crate::problem::Problem;

document! {
    /// Which tables
    pub struct ListQuery {
        /// The database
        schema: Option<String>,
        /// * stands for any text, | for or
        pattern: Option<String>,
    }
}

document! {
    /// Which rows of a table
    pub struct RowsQuery {
        /// Names, by commas
        columns: Option<String>,
        /// As JSON
        filters: Option<String>,
        /// Names, by commas; - before one for descending
        order_by: Option<String>,
        limit: Option<u64> => {"minimum": 1, "maximum": 100000},
        cursor: Option<String>,
        version: Option<i64> => {"minimum": 0},
        timestamp: Option<String>,
        include_total: Option<bool>,
    }
}

pub fn list_schema() -> Value {
    json!({"type": "object", "required": ["tables"], "properties": {"tables": {"type": "array", "items": {
        "type": "object", "properties": {"name": {"type": "string"}, "schema": {"type": "string"},
        "kind": {"type": "string", "enum": ["table", "view"]}, "format": {"type": ["string", "null"]},
        "location": {"type": ["string", "null"]}}}}}})
}

pub async fn list(call: Call) -> Answer {
    let asked: ListQuery = call.query()?;
    let database = asked.schema.unwrap_or_else(|| DEFAULT_DATABASE.into());
    let catalog = Arc::clone(call.app.engine.catalog());
    let work = async move {
        let tables = catalog.list_tables(&database, asked.pattern.as_deref()).await;
        let tables = tables.map_err(|error| Problem::from(error).at("schema"))?;
        let view = |table: &firesteel_catalog::Table| {
            json!({"name": table.id.name, "schema": table.id.database, "format": table.provider,
                   "kind": if table.is_view() { "view" } else { "table" }, "location": table.location})
        };
        Ok(json!({"tables": tables.iter().map(view).collect::<Vec<_>>()}))
    };
    Ok(json(200, &call.app.work(CancellationToken::new(), work).await?))
}

pub async fn describe(call: Call) -> Answer {
    let dataset = DatasetFields { table: Some(call.parameter("name").to_string()), ..Default::default() };
    describe_dataset(Arc::clone(&call.app), call.user, Credentials::default(), dataset).await
}

pub async fn rows(call: Call) -> Answer {
    let asked: RowsQuery = call.query()?;
    let mut fields = Map::new();
    if let Some(cursor) = asked.cursor {
        fields.insert("cursor".into(), json!(cursor));
        fields.extend(asked.limit.map(|limit| ("limit".to_string(), json!(limit))));
    } else {
        let words = |text: Option<String>| text.map(|text| json!(split(&text)));
        let filters = asked.filters.map(|text| {
            let object = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            object.ok_or_else(|| Problem::invalid("filters", "The filters are no JSON object."))
        });
        let given = [
            ("table", Some(json!(call.parameter("name")))),
            ("columns", words(asked.columns)),
            ("filters", filters.transpose()?),
            ("order_by", words(asked.order_by)),
            ("limit", asked.limit.map(Value::from)),
            ("version", asked.version.map(Value::from)),
            ("timestamp", asked.timestamp.map(Value::from)),
            ("include_total", asked.include_total.map(Value::from)),
            ("paginate", Some(json!(true))),
        ];
        fields.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?))));
    }
    query::page(Arc::clone(&call.app), call.user, Credentials::default(), Fields::of(fields)).await
}

/// Names between commas; those in backquotes hold theirs.
fn split(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        is_quoted ^= c == '`';
        match (c, names.last_mut()) {
            (',', _) if !is_quoted => names.push(String::new()),
            (c, Some(name)) => name.push(c),
            _ => {}
        }
    }
    names.into_iter().map(|name| name.trim().to_string()).collect()
}
