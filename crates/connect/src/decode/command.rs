//! Commands.
use firesteel_plan::command::{
    Command, MergeAction, MergeActionKind, MergeIntoTable, SaveMode, Write, WriteTarget, WriteV2, WriteV2Mode,
};
use firesteel_plan::{Expr, ExprKind, Plan, Relation, RelationKind, Result, SparkError, parse_multipart_identifier};
use proto::command::CommandType;
use proto::relation::RelType;
use spark_connect_proto as proto;

use super::{Decoder, invalid_enum, missing, not_set, options};
use crate::storage_level;

/// What a command asks for.
pub(crate) enum Action {
    Run(Plan),
    /// `spark.sql(…)`: SQL text, possibly with references; whether it is a query is for the parser to say.
    Sql(Relation),
    GetResources,
    CreateResourceProfile,
}

impl<'a> Decoder<'a> {
    pub(crate) fn command(&mut self, command: &'a proto::Command) -> Result<Action> {
        let command_type =
            command.command_type.as_ref().ok_or_else(|| not_set("spark.connect.Command", "command_type"))?;
        let command = match command_type {
            CommandType::SqlCommand(sql) => return Ok(Action::Sql(self.sql_command(sql)?)),
            CommandType::GetResourcesCommand(_) => return Ok(Action::GetResources),
            CommandType::CreateResourceProfileCommand(_) => return Ok(Action::CreateResourceProfile),
            CommandType::CreateDataframeView(view) => Command::CreateDataFrameView {
                input: self.command_input(view.input.as_ref())?,
                name: parse_multipart_identifier(&view.name)?,
                is_global: view.is_global,
                replace: view.replace,
            },
            CommandType::WriteOperation(write) => Command::Write(Box::new(self.write(write)?)),
            CommandType::WriteOperationV2(write) => Command::WriteV2(Box::new(self.write_v2(write)?)),
            CommandType::MergeIntoTableCommand(merge) => Command::MergeIntoTable(Box::new(self.merge(merge)?)),
            CommandType::CheckpointCommand(checkpoint) => Command::Checkpoint {
                input: self.command_input(checkpoint.relation.as_ref())?,
                local: checkpoint.local,
                eager: checkpoint.eager,
                storage_level: checkpoint.storage_level.as_ref().map(storage_level::name),
            },
            CommandType::RemoveCachedRemoteRelationCommand(remove) => Command::RemoveCachedRemote {
                relation_id: remove.relation.as_ref().map(|r| r.relation_id.clone()).unwrap_or_default(),
            },
            CommandType::RegisterFunction(function) => Command::RegisterFunction {
                name: function.function_name.clone(),
                language: self.user_code(function)?.0.to_string(),
            },
            CommandType::RegisterTableFunction(function) => {
                Command::RegisterFunction { name: function.function_name.clone(), language: "Python".into() }
            }
            CommandType::RegisterDataSource(_) => return Err(unsupported("data sources written in Python")),
            CommandType::WriteStreamOperationStart(_)
            | CommandType::StreamingQueryCommand(_)
            | CommandType::StreamingQueryManagerCommand(_)
            | CommandType::StreamingQueryListenerBusCommand(_) => return Err(unsupported("Structured Streaming")),
            CommandType::MlCommand(_) => return Err(unsupported("machine learning (spark.ml)")),
            CommandType::PipelineCommand(_) => return Err(unsupported("declarative pipelines")),
            CommandType::ExecuteExternalCommand(_) => return Err(unsupported("external commands")),
            CommandType::Extension(any) => return self.delta_command(any),
        };
        Ok(Action::Run(Plan::Command(command)))
    }

    fn command_input(&mut self, input: Option<&'a proto::Relation>) -> Result<Relation> {
        self.relation(input.ok_or_else(|| missing("spark.connect.Command", "input"))?)
    }

    /// Clients before 4.0 put the text and its arguments beside `input`.
    #[allow(deprecated)]
    fn sql_command(&mut self, command: &'a proto::SqlCommand) -> Result<Relation> {
        if let Some(input) = &command.input {
            let is_sql = |relation: &proto::Relation| matches!(relation.rel_type, Some(RelType::Sql(_)));
            let is_sql = match &input.rel_type {
                Some(RelType::WithRelations(with)) => with.root.as_deref().is_some_and(is_sql),
                _ => is_sql(input),
            };
            if !is_sql {
                return Err(SparkError::new(
                    "CONNECT_INVALID_PLAN.SQL_COMMAND_EXPECTS_SQL_OR_WITH_RELATIONS",
                    [("other", "another relation")],
                ));
            }
            return self.relation(input);
        }
        let mut named_arguments = vec![];
        for (name, value) in &command.named_arguments {
            named_arguments.push((name.clone(), self.expression(value)?));
        }
        for (name, value) in &command.args {
            named_arguments.push((name.clone(), Expr::literal(self.literal(value)?)));
        }
        named_arguments.sort_by(|a, b| a.0.cmp(&b.0));
        let mut positional_arguments = self.expressions(&command.pos_arguments)?;
        positional_arguments.extend(self.literal_list(&command.pos_args)?.into_iter().map(Expr::literal));
        let query = command.sql.clone();
        Ok(Relation::new(RelationKind::Sql { query, named_arguments, positional_arguments }))
    }

    fn write(&mut self, write: &'a proto::WriteOperation) -> Result<Write> {
        use proto::write_operation::save_table::TableSaveMethod;
        use proto::write_operation::{SaveMode as Mode, SaveType};
        let target = match &write.save_type {
            None => WriteTarget::None,
            Some(SaveType::Path(path)) => WriteTarget::Path(path.clone()),
            Some(SaveType::Table(table)) => match table.save_method() {
                TableSaveMethod::SaveAsTable => WriteTarget::SaveAsTable(table.table_name.clone()),
                TableSaveMethod::InsertInto => WriteTarget::InsertInto(table.table_name.clone()),
                TableSaveMethod::Unspecified => {
                    return Err(invalid_enum(
                        "spark.connect.WriteOperation.SaveTable.TableSaveMethod",
                        table.save_method,
                    ));
                }
            },
        };
        Ok(Write {
            input: self.command_input(write.input.as_ref())?,
            source: write.source.clone(),
            target,
            mode: match write.mode() {
                Mode::Append => SaveMode::Append,
                Mode::Overwrite => SaveMode::Overwrite,
                Mode::ErrorIfExists | Mode::Unspecified => SaveMode::ErrorIfExists,
                Mode::Ignore => SaveMode::Ignore,
            },
            sort_columns: write.sort_column_names.clone(),
            partition_columns: write.partitioning_columns.clone(),
            bucket_by: write.bucket_by.as_ref().map(|b| (b.bucket_column_names.clone(), b.num_buckets)),
            clustering_columns: write.clustering_columns.clone(),
            options: options(&write.options),
            with_schema_evolution: write.with_schema_evolution,
        })
    }

    fn write_v2(&mut self, write: &'a proto::WriteOperationV2) -> Result<WriteV2> {
        use proto::write_operation_v2::Mode;
        Ok(WriteV2 {
            input: self.command_input(write.input.as_ref())?,
            table: write.table_name.clone(),
            provider: write.provider.clone(),
            partition_by: self.expressions(&write.partitioning_columns)?,
            clustering_columns: write.clustering_columns.clone(),
            options: options(&write.options),
            table_properties: options(&write.table_properties),
            mode: match write.mode() {
                Mode::Create => WriteV2Mode::Create,
                Mode::Overwrite => WriteV2Mode::Overwrite(
                    self.required(write.overwrite_condition.as_ref(), "spark.connect.WriteOperationV2")?,
                ),
                Mode::OverwritePartitions => WriteV2Mode::OverwritePartitions,
                Mode::Append => WriteV2Mode::Append,
                Mode::Replace => WriteV2Mode::Replace,
                Mode::CreateOrReplace => WriteV2Mode::CreateOrReplace,
                Mode::Unspecified => return Err(invalid_enum("spark.connect.WriteOperationV2.Mode", write.mode)),
            },
            with_schema_evolution: write.with_schema_evolution,
        })
    }

    fn merge(&mut self, merge: &'a proto::MergeIntoTableCommand) -> Result<MergeIntoTable> {
        let name = "spark.connect.MergeIntoTableCommand";
        Ok(MergeIntoTable {
            target: Relation::table(parse_multipart_identifier(&merge.target_table_name)?),
            source: self.command_input(merge.source_table_plan.as_ref())?,
            condition: self.required(merge.merge_condition.as_ref(), name)?,
            matched: self.merge_actions(&merge.match_actions)?,
            not_matched: self.merge_actions(&merge.not_matched_actions)?,
            not_matched_by_source: self.merge_actions(&merge.not_matched_by_source_actions)?,
            with_schema_evolution: merge.with_schema_evolution,
        })
    }

    fn merge_actions(&mut self, actions: &'a [proto::Expression]) -> Result<Vec<MergeAction>> {
        actions.iter().map(|action| self.merge_action(action)).collect()
    }

    fn merge_action(&mut self, action: &'a proto::Expression) -> Result<MergeAction> {
        use proto::merge_action::ActionType;
        let Some(proto::expression::ExprType::MergeAction(action)) = &action.expr_type else {
            return Err(missing("spark.connect.MergeIntoTableCommand", "merge_action"));
        };
        let kind = match action.action_type() {
            ActionType::Delete => MergeActionKind::Delete,
            ActionType::Insert => MergeActionKind::Insert(self.assignments(action)?),
            ActionType::InsertStar => MergeActionKind::InsertAll,
            ActionType::Update => MergeActionKind::Update(self.assignments(action)?),
            ActionType::UpdateStar => MergeActionKind::UpdateAll,
            ActionType::Invalid => {
                return Err(invalid_enum("spark.connect.MergeAction.ActionType", action.action_type));
            }
        };
        Ok(MergeAction { condition: self.optional(action.condition.as_deref())?, kind })
    }

    fn assignments(&mut self, action: &'a proto::MergeAction) -> Result<Vec<(Expr, Expr)>> {
        let name = "spark.connect.MergeAction.Assignment";
        let pairs = action.assignments.iter().map(|assignment| {
            let key = self.required(assignment.key.as_ref(), name)?;
            // A key given as text is a column name.
            let key = match &*key.kind {
                ExprKind::SqlText(text) => Expr::attribute(text, None)?,
                _ => key,
            };
            Ok((key, self.required(assignment.value.as_ref(), name)?))
        });
        pairs.collect()
    }
}

fn unsupported(feature: &str) -> SparkError {
    SparkError::unsupported(feature)
}
