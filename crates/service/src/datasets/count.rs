//! `POST /v1/datasets/count`.
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::DatasetFields;
use super::query::{QueryFields, matching};
use super::read::{Reader, Stats};
use crate::app::{Answer, Call, json};
use crate::credentials::Credentials;
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
    let app = Arc::clone(&call.app);
    let mut fields = call.fields()?;
    let credentials = Credentials::take(&mut fields, &app.options)?;
    let dataset: DatasetFields = fields.take()?;
    let given: CountFields = fields.rest()?;
    let query = QueryFields { filters: given.filters, ..Default::default() };
    let matching = matching(&dataset, &query)?;
    let cancel = CancellationToken::new();
    let mut reader = Reader::new(app.sessions.shared(&call.user, &credentials), cancel.clone());
    let version = dataset.version;
    let work = async move {
        let count = reader.count(matching).await?;
        Ok(json!({"count": count, "stats": reader.stats(1, Some(count), version)}))
    };
    Ok(json(200, &app.work(cancel, work).await?))
}
