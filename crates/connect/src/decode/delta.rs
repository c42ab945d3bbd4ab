//! Messages of Delta Lake's plugin: what `DeltaTable` of the Python package `delta` sends.
use firesteel_plan::command::{ColumnDefinition, Command, Identity, MergeAction, MergeActionKind, MergeIntoTable};
use firesteel_plan::relation::{CatalogCall, TimeTravel};
use firesteel_plan::statement::{CreateMode, CreateTable, DeltaStatement, DeltaTarget, SqlStatement};
use firesteel_plan::{
    Expr, ExprKind, Plan, Relation, RelationKind, Result, SparkError, TableName, parse_multipart_identifier,
};
use prost::Message;
use spark_connect_proto as proto;

use super::{Action, Decoder, extension, invalid_enum, missing, not_set};
use crate::delta_messages as delta;

const RELATION: &str = "delta.connect.DeltaRelation";
const COMMAND: &str = "delta.connect.DeltaCommand";

fn decoded<M: Message + Default>(any: &prost_types::Any, name: &str) -> Result<M> {
    if any.type_url.rsplit('/').next() != Some(name) {
        return Err(extension(any));
    }
    M::decode(any.value.as_slice())
        .map_err(|e| SparkError::new("CONNECT_INVALID_PLAN.CANNOT_PARSE", [("errorMsg", e.to_string())]))
}

fn target(table: Option<&delta::DeltaTable>) -> Result<DeltaTarget> {
    match table.and_then(|table| table.access.as_ref()) {
        Some(delta::Access::Path(path)) => Ok(DeltaTarget::Path(path.path.clone())),
        Some(delta::Access::Name(name)) => Ok(DeltaTarget::Name(TableName::Parts(parse_multipart_identifier(name)?))),
        None => Err(not_set("delta.connect.DeltaTable", "access_type")),
    }
}

/// A statement whose rows are the relation's. It has its effect once, when the relation is run.
fn statement(statement: SqlStatement) -> RelationKind {
    RelationKind::Catalog(CatalogCall::Statement(Box::new(Command::Sql(Box::new(statement)))))
}

impl<'a> Decoder<'a> {
    pub(super) fn delta_relation(&mut self, any: &prost_types::Any) -> Result<RelationKind> {
        use delta::RelationType as R;
        let message: delta::DeltaRelation = decoded(any, RELATION)?;
        let relation = message.relation_type.ok_or_else(|| not_set(RELATION, "relation_type"))?;
        Ok(match &relation {
            R::Scan(scan) => match target(scan.table.as_ref())? {
                DeltaTarget::Path(path) => RelationKind::DataSource {
                    format: Some("delta".into()),
                    schema: None,
                    options: Default::default(),
                    paths: vec![path],
                    predicates: vec![],
                    is_streaming: false,
                },
                DeltaTarget::Name(name) => RelationKind::NamedTable {
                    name,
                    options: Default::default(),
                    time_travel: None,
                    is_streaming: false,
                },
            },
            R::DescribeHistory(of) => {
                let table = target(of.table.as_ref())?;
                statement(SqlStatement::Delta(DeltaStatement::History { table, limit: None }))
            }
            R::DescribeDetail(of) => {
                statement(SqlStatement::Delta(DeltaStatement::Detail { table: target(of.table.as_ref())? }))
            }
            R::IsDeltaTable(is) => {
                statement(SqlStatement::Delta(DeltaStatement::IsTable { identifier: is.path.clone() }))
            }
            R::ConvertToDelta(convert) => statement(SqlStatement::Delta(self.convert_to_delta(convert)?)),
            R::RestoreTable(restore) => {
                let to = match &restore.moment {
                    Some(delta::Moment::Version(version)) => TimeTravel::Version(Expr::string(version.to_string())),
                    Some(delta::Moment::Timestamp(text)) => TimeTravel::Timestamp(Expr::string(text)),
                    None => return Err(not_set("delta.connect.RestoreTable", "version_or_timestamp")),
                };
                let table = target(restore.table.as_ref())?;
                statement(SqlStatement::Delta(DeltaStatement::Restore { table, to }))
            }
            R::OptimizeTable(optimize) => {
                let filters = optimize.partition_filters.iter();
                let condition = filters.map(|text| Expr::from(ExprKind::SqlText(text.clone()))).reduce(Expr::and);
                let columns = optimize.zorder_columns.iter().map(|name| parse_multipart_identifier(name));
                let z_order = columns.collect::<Result<_>>()?;
                let table = target(optimize.table.as_ref())?;
                statement(SqlStatement::Delta(DeltaStatement::Optimize { table, condition, z_order }))
            }
            R::DeleteFromTable(delete) => {
                let mut inner = self.of_message();
                let table = inner.delta_input(delete.target.as_ref(), "DeleteFromTable")?;
                let condition = inner.optional(delete.condition.as_ref())?;
                self.nodes = inner.nodes;
                statement(SqlStatement::Delete { table, condition })
            }
            R::UpdateTable(update) => {
                let mut inner = self.of_message();
                let table = inner.delta_input(update.target.as_ref(), "UpdateTable")?;
                let condition = inner.optional(update.condition.as_ref())?;
                let mut assignments = vec![];
                for (field, value) in inner.delta_assignments(&update.assignments)? {
                    assignments.push((name_of(&field)?, value));
                }
                self.nodes = inner.nodes;
                statement(SqlStatement::Update { table, assignments, condition })
            }
            R::MergeIntoTable(merge) => {
                let mut inner = self.of_message();
                let merge = inner.delta_merge(merge)?;
                self.nodes = inner.nodes;
                RelationKind::Catalog(CatalogCall::Statement(Box::new(Command::MergeIntoTable(Box::new(merge)))))
            }
        })
    }

    /// A decoder for relations inside a message that does not live as long as the plan.
    fn of_message<'b>(&self) -> Decoder<'b>
    where
        'a: 'b,
    {
        Decoder { uploads: self.uploads, references: vec![], depth: self.depth, nodes: self.nodes }
    }

    fn delta_input(&mut self, relation: Option<&'a proto::Relation>, message: &str) -> Result<Relation> {
        self.relation(relation.ok_or_else(|| missing(&format!("delta.connect.{message}"), "target"))?)
    }

    fn delta_assignments(&mut self, all: &'a [delta::Assignment]) -> Result<Vec<(Expr, Expr)>> {
        let name = "delta.connect.Assignment";
        let pair = |assignment: &'a delta::Assignment| {
            let field = self.required(assignment.field.as_ref(), name)?;
            Ok((field, self.required(assignment.value.as_ref(), name)?))
        };
        all.iter().map(pair).collect()
    }

    fn delta_merge(&mut self, merge: &'a delta::MergeIntoTable) -> Result<MergeIntoTable> {
        Ok(MergeIntoTable {
            target: self.delta_input(merge.target.as_ref(), "MergeIntoTable")?,
            source: self.delta_input(merge.source.as_ref(), "MergeIntoTable")?,
            condition: self.required(merge.condition.as_ref(), "delta.connect.MergeIntoTable")?,
            matched: self.delta_actions(&merge.matched_actions)?,
            not_matched: self.delta_actions(&merge.not_matched_actions)?,
            not_matched_by_source: self.delta_actions(&merge.not_matched_by_source_actions)?,
            with_schema_evolution: merge.with_schema_evolution.unwrap_or(false),
        })
    }

    fn delta_actions(&mut self, actions: &'a [delta::Action]) -> Result<Vec<MergeAction>> {
        use delta::ActionType as A;
        let mut all = vec![];
        for action in actions {
            let kind = match &action.action_type {
                Some(A::Delete(_)) => MergeActionKind::Delete,
                Some(A::UpdateStar(_)) => MergeActionKind::UpdateAll,
                Some(A::InsertStar(_)) => MergeActionKind::InsertAll,
                Some(A::Update(update)) => MergeActionKind::Update(self.delta_assignments(&update.assignments)?),
                Some(A::Insert(insert)) => MergeActionKind::Insert(self.delta_assignments(&insert.assignments)?),
                None => return Err(not_set("delta.connect.MergeIntoTable.Action", "action_type")),
            };
            all.push(MergeAction { condition: self.optional(action.condition.as_ref())?, kind });
        }
        Ok(all)
    }

    fn convert_to_delta(&mut self, convert: &delta::ConvertToDelta) -> Result<DeltaStatement> {
        let partition_schema = match &convert.partition_schema {
            None => None,
            Some(delta::PartitionSchema::Text(text)) => Some(text.clone()),
            Some(delta::PartitionSchema::Struct(data_type)) => match self.data_type(data_type)? {
                firesteel_plan::DataType::Struct(schema) => Some(schema.to_ddl()),
                _ => return Err(missing("delta.connect.ConvertToDelta", "partition_schema_struct")),
            },
        };
        let table = DeltaTarget::Name(TableName::Parts(parse_multipart_identifier(&convert.identifier)?));
        Ok(DeltaStatement::Convert { table, partition_schema, statistics: true })
    }

    pub(super) fn delta_command(&mut self, any: &prost_types::Any) -> Result<Action> {
        use delta::CommandType as C;
        let message: delta::DeltaCommand = decoded(any, COMMAND)?;
        let command = message.command_type.ok_or_else(|| not_set(COMMAND, "command_type"))?;
        let statement = match &command {
            C::VacuumTable(vacuum) => SqlStatement::Delta(DeltaStatement::Vacuum {
                table: target(vacuum.table.as_ref())?,
                retain_hours: vacuum.retention_hours,
                dry_run: false,
                lite: false,
            }),
            C::UpgradeTableProtocol(upgrade) => SqlStatement::Delta(DeltaStatement::Protocol {
                table: target(upgrade.table.as_ref())?,
                feature: None,
                reader: upgrade.reader_version,
                writer: upgrade.writer_version,
            }),
            C::AddFeatureSupport(add) => SqlStatement::Delta(DeltaStatement::Protocol {
                table: target(add.table.as_ref())?,
                feature: Some(add.feature_name.clone()),
                reader: 0,
                writer: 0,
            }),
            C::CreateDeltaTable(create) => self.create_delta_table(create)?,
            C::CloneTable(_) => return Err(SparkError::unsupported("clones of Delta tables")),
            C::Generate(_) => return Err(SparkError::unsupported("manifests of Delta tables")),
            C::DropFeatureSupport(_) => return Err(SparkError::unsupported("dropping a table feature")),
        };
        Ok(Action::Run(Plan::Command(Command::Sql(Box::new(statement)))))
    }

    fn create_delta_table(&mut self, create: &delta::CreateDeltaTable) -> Result<SqlStatement> {
        let mode = match create.mode {
            1 => CreateMode::Create,
            2 => CreateMode::CreateIfNotExists,
            3 => CreateMode::Replace,
            4 => CreateMode::CreateOrReplace,
            other => return Err(invalid_enum("delta.connect.CreateDeltaTable.Mode", other)),
        };
        let mut columns = vec![];
        for column in &create.columns {
            let data_type = column.data_type.as_ref().ok_or_else(|| missing("delta.connect.Column", "data_type"))?;
            columns.push(ColumnDefinition {
                name: column.name.clone(),
                data_type: self.data_type(data_type)?,
                nullable: column.nullable,
                default: None,
                generated: column.generated_always_as.clone().map(|text| Expr::from(ExprKind::SqlText(text))),
                identity: column.identity_info.as_ref().map(|identity| Identity {
                    allows_insert: identity.allow_explicit_insert,
                    start: identity.start,
                    step: identity.step,
                }),
                comment: column.comment.clone(),
            });
        }
        if !create.clustering_columns.is_empty() {
            return Err(SparkError::unsupported("clustering of Delta tables"));
        }
        let name = create.table_name.as_deref().map(parse_multipart_identifier).transpose()?;
        let at_path = match (&name, &create.location) {
            // ``tableName("delta.`/path`")``
            (Some(parts), _) if parts.len() == 2 && parts[0].eq_ignore_ascii_case("delta") => Some(parts[1].clone()),
            (None, Some(location)) => Some(location.clone()),
            (None, None) => {
                return Err(SparkError::of("DELTA_CREATE_TABLE_MISSING_TABLE_NAME_OR_LOCATION")
                    .with_message("A table needs a name or a place."));
            }
            (Some(_), _) => None,
        };
        let table = CreateTable {
            name: TableName::Parts(name.unwrap_or_default()),
            mode,
            is_external: false,
            columns,
            constraints: vec![],
            provider: Some("delta".into()),
            options: Default::default(),
            partition_by: create.partitioning_columns.iter().map(Expr::name).collect(),
            partition_columns: vec![],
            bucket_by: None,
            cluster_by: None,
            location: create.location.clone(),
            comment: create.comment.clone(),
            properties: create.properties.clone().into_iter().collect(),
            collation: None,
            hive: None,
            query: None,
        };
        Ok(match at_path {
            Some(path) => SqlStatement::Delta(DeltaStatement::CreateAtPath { path, create: Box::new(table) }),
            None => SqlStatement::CreateTable(Box::new(table)),
        })
    }
}

/// The name that an assignment's field is.
fn name_of(field: &Expr) -> Result<Vec<String>> {
    match &*field.kind {
        ExprKind::Attribute { name, .. } => Ok(name.clone()),
        ExprKind::SqlText(text) => parse_multipart_identifier(text),
        _ => Err(SparkError::of("DELTA_MERGE_UNEXPECTED_ASSIGNMENT_KEY")),
    }
}
