//! A Spark Connect server as the place where statements run.
use std::error::Error;
use std::io::Cursor;

use arrow::ipc::reader::StreamReader;
use futures::StreamExt;
use spark_connect_proto as proto;
use spark_connect_proto::spark_connect_service_client::SparkConnectServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::backend::Answer;

/// Results may be wide; the server chunks rows, not columns.
const MESSAGE_BYTES_MAX: usize = 1 << 30;
const DEFAULT_PORT: u16 = 15002;

pub struct Remote {
    client: SparkConnectServiceClient<Channel>,
    session_id: String,
    user: String,
    token: Option<MetadataValue<Ascii>>,
}

impl Remote {
    /// `sc://host:port/;token=…;user_id=…;use_ssl=true`
    pub async fn connect(address: &str) -> Result<Self, Box<dyn Error>> {
        let rest = address.strip_prefix("sc://").ok_or_else(|| format!("{address}: an address begins with sc://"))?;
        let (place, parameters) = rest.split_once('/').unwrap_or((rest, ""));
        let parameter = |name: &str| {
            let found = parameters.split(';').filter_map(|p| p.split_once('=')).find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_string())
        };
        let place = if place.contains(':') { place.to_string() } else { format!("{place}:{DEFAULT_PORT}") };
        let channel = match parameter("use_ssl").as_deref() {
            Some("true") => super::tls::connect(&place).await?,
            None | Some("false") => Channel::from_shared(format!("http://{place}"))?.connect().await?,
            Some(other) => return Err(format!("use_ssl is true or false, not {other:?}").into()),
        };
        let user = parameter("user_id").or_else(|| std::env::var("USER").ok()).unwrap_or_default();
        let token = parameter("token").map(|token| format!("Bearer {token}").parse()).transpose()?;
        Ok(Self {
            client: SparkConnectServiceClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX),
            session_id: parameter("session_id").unwrap_or_else(|| uuid::Uuid::new_v4().to_string()),
            user,
            token,
        })
    }

    fn request(&self, op_type: proto::plan::OpType) -> tonic::Request<proto::ExecutePlanRequest> {
        let mut request = tonic::Request::new(proto::ExecutePlanRequest {
            session_id: self.session_id.clone(),
            user_context: Some(proto::UserContext { user_id: self.user.clone(), ..Default::default() }),
            plan: Some(proto::Plan { op_type: Some(op_type) }),
            client_type: Some(concat!("firesteel-sql/", env!("CARGO_PKG_VERSION")).into()),
            ..Default::default()
        });
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        request
    }

    /// As `spark.sql(statement)` does: the command first, then the rows of the relation that it answers.
    pub async fn execute(&self, statement: &str) -> Result<Answer, Box<dyn Error>> {
        let sql = proto::Relation {
            rel_type: Some(proto::relation::RelType::Sql(proto::Sql { query: statement.into(), ..Default::default() })),
            ..Default::default()
        };
        let command = proto::Command {
            command_type: Some(proto::command::CommandType::SqlCommand(proto::SqlCommand {
                input: Some(sql),
                ..Default::default()
            })),
        };
        let request = self.request(proto::plan::OpType::Command(command));
        let mut responses = self.client.clone().execute_plan(request).await.map_err(status)?.into_inner();
        let mut relation = None;
        while let Some(response) = responses.message().await.map_err(status)? {
            if let Some(proto::execute_plan_response::ResponseType::SqlCommandResult(result)) = response.response_type {
                relation = result.relation;
            }
        }
        let Some(relation) = relation else {
            return Ok(Answer { schema: None, batches: futures::stream::empty().boxed() });
        };
        let request = self.request(proto::plan::OpType::Root(relation));
        let responses = self.client.clone().execute_plan(request).await.map_err(status)?.into_inner();
        let batches = responses.flat_map(|response| {
            let batches = response.map_err(|e| e.message().to_string().into()).and_then(|r| batches_of(&r));
            futures::stream::iter(match batches {
                Ok(batches) => batches.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        Ok(Answer { schema: None, batches: batches.boxed() })
    }
}

fn batches_of(
    response: &proto::ExecutePlanResponse,
) -> Result<Vec<arrow::record_batch::RecordBatch>, Box<dyn Error + Send + Sync>> {
    let Some(proto::execute_plan_response::ResponseType::ArrowBatch(batch)) = &response.response_type else {
        return Ok(vec![]);
    };
    let reader = StreamReader::try_new(Cursor::new(&batch.data[..]), None)?;
    Ok(reader.collect::<Result<Vec<_>, _>>()?)
}

fn status(status: tonic::Status) -> String {
    status.message().to_string()
}
