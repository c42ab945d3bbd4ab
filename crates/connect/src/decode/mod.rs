//! Protobuf → plan.
//!
//! ```text
//!  proto::Plan ─▶ Decoder ─┬─ relation   read · join · aggregate · statistic
//!                          ├─ expression ─ literal
//!                          ├─ data_type
//!                          ├─ command    ─ catalog
//!                          └─▶ firesteel_plan::Plan
//! ```
//!
//! A plan is decoded on a stack that grows, within [`DEPTH_MAX`] and [`NODES_MAX`]: a plan beyond them is an error of
//! the client, never a crash. Relations that an expression refers to (`WithRelations`) are put where they are used.
mod aggregate;
mod catalog;
mod command;
mod data_type;
mod expression;
mod join;
mod literal;
mod read;
mod relation;
mod statistic;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use firesteel_plan::{Origin, Plan, Result, SparkError};
use prost::Message;
use spark_connect_proto as proto;

pub(crate) use command::Action;
pub(crate) use data_type::parse_type;

/// How deep a plan may nest (relations and expressions together).
const DEPTH_MAX: usize = 4096;
/// How many relations and expressions a plan may hold after references are put in their places.
const NODES_MAX: usize = 4_000_000;
/// What a compressed plan may grow to.
const DECOMPRESSED_BYTES_MAX: usize = 256 << 20;

const STACK_RED_ZONE_BYTES: usize = 256 << 10;
const STACK_SEGMENT_BYTES: usize = 4 << 20;

/// What a plan refers to by name: uploads of the session.
pub trait Uploads {
    /// The bytes uploaded as `cache/<hash>`.
    fn cached(&self, hash: &str) -> Option<Arc<[u8]>>;
    /// The id that errors name the session by.
    fn session_id(&self) -> &str;
}

/// Decodes one plan.
pub struct Decoder<'a> {
    uploads: &'a dyn Uploads,
    /// Relations that expressions may refer to by plan id, innermost last.
    references: Vec<HashMap<i64, &'a proto::Relation>>,
    depth: usize,
    nodes: usize,
}

impl<'a> Decoder<'a> {
    pub fn new(uploads: &'a dyn Uploads) -> Self {
        Self { uploads, references: vec![], depth: 0, nodes: 0 }
    }

    /// A plan that `AnalyzePlan` looks at: a query, or a command whose relation is meant.
    pub fn plan(&mut self, plan: &'a proto::Plan) -> Result<Plan> {
        match &plan.op_type {
            Some(proto::plan::OpType::Root(root)) => Ok(Plan::Query(self.relation(root)?)),
            Some(proto::plan::OpType::Command(command)) => match self.command(command)? {
                Action::Run(plan) => Ok(plan),
                Action::Sql(input) => Ok(Plan::Query(input)),
                Action::GetResources | Action::CreateResourceProfile => {
                    Err(SparkError::unsupported("analysis of this command"))
                }
            },
            Some(proto::plan::OpType::CompressedOperation(_)) => {
                Err(SparkError::internal("a compressed plan was not decompressed"))
            }
            None => Err(not_set("spark.connect.Plan", "op_type")),
        }
    }

    /// Runs `work` one level deeper, on a stack with room for it.
    fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nodes += 1;
        if self.depth >= DEPTH_MAX || self.nodes > NODES_MAX {
            return Err(too_deep());
        }
        self.depth += 1;
        let result = stacker::maybe_grow(STACK_RED_ZONE_BYTES, STACK_SEGMENT_BYTES, || work(self));
        self.depth -= 1;
        result
    }
}

/// The plan with its compression undone.
pub fn decompress(plan: proto::Plan) -> Result<proto::Plan> {
    use proto::plan::compressed_operation::OpType;
    let Some(proto::plan::OpType::CompressedOperation(operation)) = plan.op_type else { return Ok(plan) };
    let bytes = match operation.compression_codec() {
        proto::CompressionCodec::Zstd => inflate(&operation.data)?,
        proto::CompressionCodec::Unspecified => {
            return Err(invalid_enum("spark.connect.CompressionCodec", operation.compression_codec));
        }
    };
    let op_type = match operation.op_type() {
        OpType::Relation => proto::plan::OpType::Root(crate::codec::decode(&bytes)?),
        OpType::Command => proto::plan::OpType::Command(crate::codec::decode(&bytes)?),
        OpType::Unspecified => {
            return Err(invalid_enum("spark.connect.Plan.CompressedOperation.OpType", operation.op_type));
        }
    };
    Ok(proto::Plan { op_type: Some(op_type) })
}

fn inflate(data: &[u8]) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = vec![];
    let decoder = zstd::stream::read::Decoder::new(data).map_err(|e| cannot_parse(e.to_string()))?;
    let limit = DECOMPRESSED_BYTES_MAX as u64 + 1;
    decoder.take(limit).read_to_end(&mut bytes).map_err(|e| cannot_parse(e.to_string()))?;
    if bytes.len() > DECOMPRESSED_BYTES_MAX {
        return Err(SparkError::new(
            "CONNECT_INVALID_PLAN.PLAN_SIZE_LARGER_THAN_MAX",
            [("planSize", "unknown".to_string()), ("maxPlanSize", DECOMPRESSED_BYTES_MAX.to_string())],
        ));
    }
    Ok(bytes)
}

/// A message kept as bytes (the payload of an upload).
fn message<M: Message + Default>(bytes: &[u8]) -> Result<M> {
    crate::codec::decode(bytes)
}

pub(crate) fn cannot_parse(reason: impl Into<String>) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.CANNOT_PARSE", [("errorMsg", reason.into())])
}

pub(crate) fn too_deep() -> SparkError {
    cannot_parse("the plan nests too deep, or is too large after its references are put in place")
}

/// A message field that the protocol requires.
fn missing(message: &str, field: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.FIELD_CANNOT_BE_EMPTY", [("fieldName", field), ("fullName", message)])
}

/// A `oneof` without a choice.
fn not_set(message: &str, name: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.INVALID_ONE_OF_FIELD_NOT_SET", [("fullName", message), ("name", name)])
}

fn invalid_enum(name: &str, number: i32) -> SparkError {
    SparkError::new(
        "CONNECT_INVALID_PLAN.INVALID_ENUM",
        [("fullName", name.to_string()), ("name", "UNRECOGNIZED".to_string()), ("number", number.to_string())],
    )
}

/// Another fault of a plan, named as Spark names it.
fn invalid(sub_condition: &str) -> SparkError {
    SparkError::of(&format!("CONNECT_INVALID_PLAN.{sub_condition}"))
}

/// A protocol extension: there is no handler for any.
fn extension(any: &prost_types::Any) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.NO_HANDLER_FOR_EXTENSION", [("extensionTypeUrl", any.type_url.as_str())])
}

fn options(map: &HashMap<String, String>) -> BTreeMap<String, String> {
    map.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Where the client says that a part of the plan was written.
fn origin(origin: Option<&proto::Origin>) -> Option<Arc<Origin>> {
    use proto::origin::Function;
    match origin?.function.as_ref()? {
        Function::PythonOrigin(python) => {
            Some(Arc::new(Origin::DataFrame { fragment: python.fragment.clone(), call_site: python.call_site.clone() }))
        }
        Function::JvmOrigin(jvm) => jvm_origin(jvm).map(Arc::new),
    }
}

fn jvm_origin(jvm: &proto::JvmOrigin) -> Option<Origin> {
    if let Some(text) = &jvm.sql_text {
        return Some(Origin::Sql {
            text: text.as_str().into(),
            start: usize::try_from(jvm.start_index.unwrap_or(0)).unwrap_or(0),
            stop: usize::try_from(jvm.stop_index.unwrap_or(0)).unwrap_or(0),
            object_type: jvm.object_type.clone().unwrap_or_default(),
            object_name: jvm.object_name.clone().unwrap_or_default(),
        });
    }
    let frame = jvm.stack_trace.first()?;
    let file = frame.file_name.as_deref().unwrap_or_default();
    Some(Origin::DataFrame {
        fragment: frame.method_name.clone(),
        call_site: format!("{}.{}({file}:{})", frame.declaring_class, frame.method_name, frame.line_number),
    })
}
