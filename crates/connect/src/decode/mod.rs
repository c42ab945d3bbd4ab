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
mod delta;
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

#[cfg(test)]
mod tests {
    use super::*;
    use firesteel_plan::{ExprKind, RelationKind};
    use proto::expression::ExprType;
    use proto::relation::RelType;

    struct NoUploads;

    impl Uploads for NoUploads {
        fn cached(&self, _hash: &str) -> Option<Arc<[u8]>> {
            None
        }
        fn session_id(&self) -> &str {
            "session"
        }
    }

    fn relation(plan_id: i64, rel_type: RelType) -> proto::Relation {
        let common = proto::RelationCommon { plan_id: Some(plan_id), ..Default::default() };
        proto::Relation { common: Some(common), rel_type: Some(rel_type) }
    }

    fn range(plan_id: i64) -> proto::Relation {
        relation(plan_id, RelType::Range(proto::Range { end: 5, step: 1, ..Default::default() }))
    }

    fn expression(expr_type: ExprType) -> proto::Expression {
        proto::Expression { common: None, expr_type: Some(expr_type) }
    }

    fn scalar_subquery(plan_id: i64) -> proto::Expression {
        let subquery_type = proto::subquery_expression::SubqueryType::Scalar as i32;
        expression(ExprType::SubqueryExpression(proto::SubqueryExpression {
            plan_id,
            subquery_type,
            ..Default::default()
        }))
    }

    fn project(plan_id: i64, input: proto::Relation, expressions: Vec<proto::Expression>) -> proto::Relation {
        relation(plan_id, RelType::Project(Box::new(proto::Project { input: Some(Box::new(input)), expressions })))
    }

    fn query(root: proto::Relation) -> proto::Plan {
        proto::Plan { op_type: Some(proto::plan::OpType::Root(root)) }
    }

    fn decode(plan: &proto::Plan) -> Result<Plan> {
        Decoder::new(&NoUploads).plan(plan)
    }

    #[test]
    fn references_come_where_they_are_used() {
        let root = project(2, range(1), vec![scalar_subquery(7)]);
        let with = proto::WithRelations { root: Some(Box::new(root)), references: vec![range(7)] };
        let Plan::Query(decoded) = decode(&query(relation(3, RelType::WithRelations(Box::new(with))))).unwrap() else {
            panic!("a query")
        };
        assert_eq!(decoded.plan_id, Some(3));
        let RelationKind::Project { expressions, .. } = &*decoded.kind else { panic!("a projection") };
        let ExprKind::ScalarSubquery(subquery) = &*expressions[0].kind else { panic!("a subquery") };
        assert_eq!(subquery.plan_id, Some(7));
        let alone = project(2, range(1), vec![scalar_subquery(7)]);
        assert_eq!(
            decode(&query(alone)).unwrap_err().condition(),
            "CONNECT_INVALID_PLAN.INVALID_WITH_RELATION_REFERENCE"
        );
    }

    #[test]
    fn a_reference_that_refers_to_itself_is_refused() {
        let own = project(7, range(1), vec![scalar_subquery(7)]);
        let root = project(2, range(1), vec![scalar_subquery(7)]);
        let with = proto::WithRelations { root: Some(Box::new(root)), references: vec![own] };
        assert!(decode(&query(relation(3, RelType::WithRelations(Box::new(with))))).is_err());
    }

    #[test]
    fn empty_messages_are_errors() {
        assert!(decode(&proto::Plan::default()).is_err());
        assert!(decode(&query(proto::Relation::default())).is_err());
        assert!(decode(&query(relation(0, RelType::Filter(Box::default())))).is_err());
        let no_child = expression(ExprType::Cast(Box::default()));
        assert!(decode(&query(project(1, range(0), vec![no_child]))).is_err());
    }

    /// Bytes that are almost a plan: whatever they mean, nothing panics.
    #[test]
    fn damaged_plans_do_no_harm() {
        let literal =
            expression(ExprType::ExpressionString(proto::expression::ExpressionString { expression: "a + 1".into() }));
        let root = project(2, project(3, range(1), vec![literal]), vec![scalar_subquery(7)]);
        let with = proto::WithRelations { root: Some(Box::new(root)), references: vec![range(7)] };
        let bytes = query(relation(3, RelType::WithRelations(Box::new(with)))).encode_to_vec();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap()
        };
        for _ in 0..20_000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 4 {
                let at = random() % damaged.len();
                match random() % 3 {
                    0 => damaged[at] = (random() % 256) as u8,
                    1 => damaged.insert(at, (random() % 256) as u8),
                    _ => drop(damaged.remove(at)),
                }
            }
            if let Ok(plan) = crate::codec::decode::<proto::Plan>(&damaged) {
                let _ = decompress(plan).and_then(|plan| decode(&plan));
            }
        }
    }
}
