//! `POST /v1/datasets/count`.
use serde_json::{Map, Value, json};

use super::DatasetFields;
use super::query::{QueryFields, matching};
use super::read::{Reader, Stats};
use crate::app::{Answer, Call, json};
use crate::document::{Documented, document, together};
use crate::endpoint::credentials_field;

document! {
    /// What is counted
    pub struct CountFields { filters: Option<Map<String, Value>>, }
}

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), CountFields::schema(), credentials_field()])
}

pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["count", "stats"], "properties": {
        "count": {"type": "integer"}, "stats": Stats::schema()}})
}

pub async fn handle(call: Call) -> Answer {
    let (mut reader, dataset, given): (_, _, CountFields) = Reader::open(&call)?;
    let query = QueryFields { filters: given.filters, ..Default::default() };
    let matching = matching(&dataset, &query)?;
    let cancel = reader.cancel.clone();
    let work = async move {
        let count = reader.count(matching).await?;
        Ok(json!({"count": count, "stats": reader.stats(1, Some(count))}))
    };
    Ok(json(200, &call.app.work(cancel, work).await?))
}
