//! `AnalyzePlan`: questions about a plan, a type or a relation.
use std::sync::Arc;

use firesteel_engine::Analyzed;
use firesteel_plan::command::ExplainMode;
use firesteel_plan::{DataType, Plan, Relation, Result, SparkError, StructType};
use proto::analyze_plan_request::{self as request, Analyze};
use proto::analyze_plan_response::{self as response, Result as Answer};
use spark_connect_proto as proto;

use crate::SPARK_VERSION;
use crate::decode::{self, Decoder};
use crate::encode;
use crate::execute::SessionUploads;
use crate::session::ConnectSession;
use crate::storage_level;

pub(crate) async fn analyze(session: Arc<ConnectSession>, analyze: Option<Analyze>) -> Result<Answer> {
    let analyze = analyze.ok_or_else(|| {
        SparkError::new("CONNECT_INVALID_PLAN.UNKNOWN_ANALYZE_METHOD", [("other", "ANALYZE_NOT_SET")])
    })?;
    let session = session.as_ref();
    Ok(match analyze {
        Analyze::Schema(request) => {
            let analyzed = analyzed(session, request.plan).await?;
            Answer::Schema(response::Schema { schema: Some(encode::data_type::struct_type(analyzed.schema())) })
        }
        Analyze::Explain(request) => {
            let mode = explain_mode(request.explain_mode())?;
            let explain_string = analyzed(session, request.plan).await?.explain(mode).await?;
            Answer::Explain(response::Explain { explain_string })
        }
        Analyze::TreeString(request) => {
            let level = request.level.map(|level| usize::try_from(level).unwrap_or(0));
            let tree_string = analyzed(session, request.plan).await?.schema().tree_string(level);
            Answer::TreeString(response::TreeString { tree_string })
        }
        Analyze::IsLocal(request) => {
            let is_local = analyzed(session, request.plan).await?.is_local();
            Answer::IsLocal(response::IsLocal { is_local })
        }
        Analyze::IsStreaming(request) => {
            // A streaming source is refused by analysis; whatever passes it is a batch.
            analyzed(session, request.plan).await?;
            Answer::IsStreaming(response::IsStreaming { is_streaming: false })
        }
        Analyze::InputFiles(request) => {
            let files = analyzed(session, request.plan).await?.input_files().await?;
            Answer::InputFiles(response::InputFiles { files })
        }
        Analyze::SparkVersion(_) => Answer::SparkVersion(response::SparkVersion { version: SPARK_VERSION.into() }),
        Analyze::DdlParse(request) => ddl_parse(&request)?,
        Analyze::SameSemantics(request) => {
            let target = analyzed(session, request.target_plan).await?;
            let other = analyzed(session, request.other_plan).await?;
            Answer::SameSemantics(response::SameSemantics { result: target.same_semantics(&other) })
        }
        Analyze::SemanticHash(request) => {
            let result = analyzed(session, request.plan).await?.semantic_hash();
            Answer::SemanticHash(response::SemanticHash { result })
        }
        Analyze::Persist(request) => {
            let level = request.storage_level.as_ref().map(storage_level::from_proto);
            session.session.persist(&relation(session, request.relation)?, level).await?;
            Answer::Persist(response::Persist {})
        }
        Analyze::Unpersist(request) => {
            session.session.unpersist(&relation(session, request.relation)?).await?;
            Answer::Unpersist(response::Unpersist {})
        }
        Analyze::GetStorageLevel(request) => {
            let level = session.session.storage_level(&relation(session, request.relation)?).await?;
            let storage_level = Some(storage_level::to_proto(level));
            Answer::GetStorageLevel(response::GetStorageLevel { storage_level })
        }
        Analyze::JsonToDdl(request) => json_to_ddl(&request)?,
    })
}

async fn analyzed(session: &ConnectSession, plan: Option<proto::Plan>) -> Result<Analyzed> {
    let relation = plan_relation(session, plan)?;
    session.session.analyze(&relation).await
}

fn plan_relation(session: &ConnectSession, plan: Option<proto::Plan>) -> Result<Relation> {
    let plan = decode::decompress(plan.unwrap_or_default())?;
    let uploads = SessionUploads(session);
    match Decoder::new(&uploads).plan(&plan)? {
        Plan::Query(relation) => Ok(relation),
        Plan::Command(_) => Err(SparkError::new(
            "CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SUPPORTED",
            [("fullName", "spark.connect.Plan"), ("name", "command"), ("number", "2")],
        )),
    }
}

fn relation(session: &ConnectSession, relation: Option<proto::Relation>) -> Result<Relation> {
    let op_type = relation.map(proto::plan::OpType::Root);
    plan_relation(session, Some(proto::Plan { op_type }))
}

fn explain_mode(mode: request::explain::ExplainMode) -> Result<ExplainMode> {
    use request::explain::ExplainMode as Mode;
    Ok(match mode {
        Mode::Simple => ExplainMode::Simple,
        Mode::Extended => ExplainMode::Extended,
        Mode::Codegen => ExplainMode::Codegen,
        Mode::Cost => ExplainMode::Cost,
        Mode::Formatted => ExplainMode::Formatted,
        Mode::Unspecified => {
            return Err(SparkError::new(
                "CONNECT_INVALID_PLAN.INVALID_ENUM",
                [
                    ("fullName", "spark.connect.AnalyzePlanRequest.Explain.ExplainMode"),
                    ("name", "EXPLAIN_MODE_UNSPECIFIED"),
                    ("number", "0"),
                ],
            ));
        }
    })
}

fn ddl_parse(request: &request::DdlParse) -> Result<Answer> {
    let parsed = decode::parse_type(&request.ddl_string)?;
    Ok(Answer::DdlParse(response::DdlParse { parsed: Some(encode::data_type::data_type(&parsed)) }))
}

fn json_to_ddl(request: &request::JsonToDdl) -> Result<Answer> {
    let data_type = DataType::from_json(&request.json_string)?;
    let schema: StructType = match data_type {
        DataType::Struct(schema) => schema,
        other => return Err(SparkError::new("INVALID_JSON_DATA_TYPE", [("invalidType", other.json())])),
    };
    Ok(Answer::JsonToDdl(response::JsonToDdl { ddl_string: schema.to_ddl() }))
}
