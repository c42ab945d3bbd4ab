//! The messages of Delta Lake's plugin for Spark Connect, which travel in the `extension` field of relations and
//! commands: `delta.connect.DeltaRelation` and `delta.connect.DeltaCommand`.
use std::collections::HashMap;

use spark_connect_proto as proto;

#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaTable {
    #[prost(oneof = "Access", tags = "1, 2")]
    pub access: Option<Access>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Access {
    #[prost(message, tag = "1")]
    Path(TablePath),
    #[prost(string, tag = "2")]
    Name(String),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TablePath {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(map = "string, string", tag = "2")]
    pub hadoop_conf: HashMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaRelation {
    #[prost(oneof = "RelationType", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10")]
    pub relation_type: Option<RelationType>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum RelationType {
    #[prost(message, tag = "1")]
    Scan(OfTable),
    #[prost(message, tag = "2")]
    DescribeHistory(OfTable),
    #[prost(message, tag = "3")]
    DescribeDetail(OfTable),
    #[prost(message, tag = "4")]
    ConvertToDelta(ConvertToDelta),
    #[prost(message, tag = "5")]
    RestoreTable(RestoreTable),
    #[prost(message, tag = "6")]
    IsDeltaTable(IsDeltaTable),
    #[prost(message, tag = "7")]
    DeleteFromTable(Box<DeleteFromTable>),
    #[prost(message, tag = "8")]
    UpdateTable(Box<UpdateTable>),
    #[prost(message, tag = "9")]
    MergeIntoTable(Box<MergeIntoTable>),
    #[prost(message, tag = "10")]
    OptimizeTable(OptimizeTable),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OfTable {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ConvertToDelta {
    #[prost(string, tag = "1")]
    pub identifier: String,
    #[prost(oneof = "PartitionSchema", tags = "2, 3")]
    pub partition_schema: Option<PartitionSchema>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum PartitionSchema {
    #[prost(string, tag = "2")]
    Text(String),
    #[prost(message, tag = "3")]
    Struct(proto::DataType),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct RestoreTable {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
    #[prost(oneof = "Moment", tags = "2, 3")]
    pub moment: Option<Moment>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Moment {
    #[prost(int64, tag = "2")]
    Version(i64),
    #[prost(string, tag = "3")]
    Timestamp(String),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct IsDeltaTable {
    #[prost(string, tag = "1")]
    pub path: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct DeleteFromTable {
    #[prost(message, optional, tag = "1")]
    pub target: Option<proto::Relation>,
    #[prost(message, optional, tag = "2")]
    pub condition: Option<proto::Expression>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct UpdateTable {
    #[prost(message, optional, tag = "1")]
    pub target: Option<proto::Relation>,
    #[prost(message, optional, tag = "2")]
    pub condition: Option<proto::Expression>,
    #[prost(message, repeated, tag = "3")]
    pub assignments: Vec<Assignment>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Assignment {
    #[prost(message, optional, tag = "1")]
    pub field: Option<proto::Expression>,
    #[prost(message, optional, tag = "2")]
    pub value: Option<proto::Expression>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct MergeIntoTable {
    #[prost(message, optional, tag = "1")]
    pub target: Option<proto::Relation>,
    #[prost(message, optional, tag = "2")]
    pub source: Option<proto::Relation>,
    #[prost(message, optional, tag = "3")]
    pub condition: Option<proto::Expression>,
    #[prost(message, repeated, tag = "4")]
    pub matched_actions: Vec<Action>,
    #[prost(message, repeated, tag = "5")]
    pub not_matched_actions: Vec<Action>,
    #[prost(message, repeated, tag = "6")]
    pub not_matched_by_source_actions: Vec<Action>,
    #[prost(bool, optional, tag = "7")]
    pub with_schema_evolution: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Action {
    #[prost(message, optional, tag = "1")]
    pub condition: Option<proto::Expression>,
    #[prost(oneof = "ActionType", tags = "2, 3, 4, 5, 6")]
    pub action_type: Option<ActionType>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum ActionType {
    #[prost(message, tag = "2")]
    Delete(Nothing),
    #[prost(message, tag = "3")]
    Update(Assignments),
    #[prost(message, tag = "4")]
    UpdateStar(Nothing),
    #[prost(message, tag = "5")]
    Insert(Assignments),
    #[prost(message, tag = "6")]
    InsertStar(Nothing),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Nothing {}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Assignments {
    #[prost(message, repeated, tag = "1")]
    pub assignments: Vec<Assignment>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OptimizeTable {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
    #[prost(string, repeated, tag = "2")]
    pub partition_filters: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub zorder_columns: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct DeltaCommand {
    #[prost(oneof = "CommandType", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub command_type: Option<CommandType>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub enum CommandType {
    #[prost(message, tag = "1")]
    CloneTable(OfTable),
    #[prost(message, tag = "2")]
    VacuumTable(VacuumTable),
    #[prost(message, tag = "3")]
    UpgradeTableProtocol(UpgradeTableProtocol),
    #[prost(message, tag = "4")]
    Generate(OfTable),
    #[prost(message, tag = "5")]
    CreateDeltaTable(CreateDeltaTable),
    #[prost(message, tag = "6")]
    AddFeatureSupport(FeatureSupport),
    #[prost(message, tag = "7")]
    DropFeatureSupport(FeatureSupport),
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct VacuumTable {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
    #[prost(double, optional, tag = "2")]
    pub retention_hours: Option<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct UpgradeTableProtocol {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
    #[prost(int32, tag = "2")]
    pub reader_version: i32,
    #[prost(int32, tag = "3")]
    pub writer_version: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FeatureSupport {
    #[prost(message, optional, tag = "1")]
    pub table: Option<DeltaTable>,
    #[prost(string, tag = "2")]
    pub feature_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateDeltaTable {
    #[prost(int32, tag = "1")]
    pub mode: i32,
    #[prost(string, optional, tag = "2")]
    pub table_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub location: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub comment: Option<String>,
    #[prost(message, repeated, tag = "5")]
    pub columns: Vec<Column>,
    #[prost(string, repeated, tag = "6")]
    pub partitioning_columns: Vec<String>,
    #[prost(map = "string, string", tag = "7")]
    pub properties: HashMap<String, String>,
    #[prost(string, repeated, tag = "8")]
    pub clustering_columns: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Column {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub data_type: Option<proto::DataType>,
    #[prost(bool, tag = "3")]
    pub nullable: bool,
    #[prost(string, optional, tag = "4")]
    pub generated_always_as: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub comment: Option<String>,
    #[prost(message, optional, tag = "6")]
    pub identity_info: Option<IdentityInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct IdentityInfo {
    #[prost(int64, tag = "1")]
    pub start: i64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(bool, tag = "3")]
    pub allow_explicit_insert: bool,
}
