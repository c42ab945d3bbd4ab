//! `POST /v1/datasets/schema`.
use std::sync::Arc;

use firesteel_plan::DataType;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::DatasetFields;
use super::read::Reader;
use crate::access::User;
use crate::app::{Answer, App, Call, json};
use crate::credentials::Credentials;
use crate::document::{Documented, together};
use crate::endpoint::credentials_field;
use crate::jobs::record::Column;

pub fn schema() -> Value {
    together(&[DatasetFields::schema(), credentials_field()])
}

pub fn answer_schema() -> Value {
    json!({"type": "object", "required": ["columns", "schema"], "properties": {
        "columns": Vec::<Column>::schema(), "schema": {"type": "object"},
        "format": {"type": ["string", "null"]}, "version": {"type": ["integer", "null"]}}})
}

pub async fn handle(call: Call) -> Answer {
    let mut fields = call.fields()?;
    let credentials = Credentials::take(&mut fields, &call.app.options)?;
    let dataset = fields.rest()?;
    describe(Arc::clone(&call.app), call.user, credentials, dataset).await
}

/// The columns of a dataset, as Spark's types.
pub async fn describe(app: Arc<App>, user: User, credentials: Credentials, dataset: DatasetFields) -> Answer {
    let relation = dataset.relation()?;
    let cancel = CancellationToken::new();
    let mut reader = Reader::new(app.sessions.shared(&user, &credentials), cancel.clone());
    let work = async move {
        let analyzed = reader.session.analyze(&relation).await?;
        let schema = analyzed.schema();
        let columns: Vec<_> = (schema.fields.iter())
            .map(|field| Column {
                name: field.name.clone(),
                data_type: field.data_type.simple_string(),
                nullable: field.nullable,
            })
            .collect();
        let version = match dataset.version {
            Some(version) => Some(version),
            None if dataset.timestamp.is_some() => None,
            None => reader.version(&dataset).await?,
        };
        let format = dataset.table.is_none().then(|| dataset.format().to_string());
        let json_schema = DataType::Struct(schema.clone()).json_value();
        Ok(json!({"columns": columns, "schema": json_schema, "format": format, "version": version}))
    };
    Ok(json(200, &app.work(cancel, work).await?))
}
