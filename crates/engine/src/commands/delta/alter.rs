//! ALTER TABLE on Delta tables: each is a commit of new metadata.
use firesteel_lake::delta::{AskedProtocol, COLUMN_DEFAULTS, Operation, TableMetadata, Transaction};
use firesteel_plan::identifier::{quote_identifier, quoted_name};
use firesteel_plan::statement::{AlterTable, ColumnChange, ColumnPosition, ConstraintKind, NewColumn, TableConstraint};
use firesteel_plan::{DataType, Expr, Result, SparkError, StructField, StructType};

use super::Found;
use super::rewrite::{rows_of, text_of};
use crate::commands::insert::{DEFAULT_KEY, unsupported_operation};
use crate::commands::table::{field_of, json_text};
use crate::commands::{Answer, Statement};
use crate::execution::Execution;

/// The changes that the log records; `None`: one that concerns the catalog alone (a new name or place).
pub async fn alter(st: &Statement, found: &Found, action: AlterTable) -> Result<Option<Execution>> {
    let mut metadata = found.delta.metadata().clone();
    let operation = match action {
        AlterTable::Rename(_) | AlterTable::SetLocation { partition: None, .. } => return Ok(None),
        AlterTable::SetProperties(mut properties) => {
            if let Some(comment) = properties.remove("comment") {
                metadata.description = Some(comment);
            }
            let new = super::configuration(&properties)?;
            let text = serde_json::json!(new).to_string();
            metadata.configuration.extend(new);
            Operation::new("SET TBLPROPERTIES").with("properties", text)
        }
        AlterTable::UnsetProperties { keys, if_exists } => {
            for key in &keys {
                let known = metadata.configuration.keys().find(|k| k.eq_ignore_ascii_case(key)).cloned();
                match known {
                    Some(known) => {
                        metadata.configuration.remove(&known);
                    }
                    None if key == "comment" => metadata.description = None,
                    None if if_exists => {}
                    None => {
                        let parameters = [("property", key.clone()), ("tableName", found.name())];
                        return Err(SparkError::new("DELTA_UNSET_NON_EXISTENT_PROPERTY", parameters));
                    }
                }
            }
            Operation::new("UNSET TBLPROPERTIES").with("properties", serde_json::Value::from(keys).to_string())
        }
        AlterTable::AddColumns(columns) => {
            let names: Vec<String> = columns.iter().map(|c| c.name.join(".")).collect();
            for column in columns {
                add_column(&mut metadata, column)?;
            }
            Operation::new("ADD COLUMNS").with("columns", serde_json::Value::from(names).to_string())
        }
        AlterTable::AlterColumns(changes) => {
            for change in changes {
                alter_column(st, found, &mut metadata, change).await?;
            }
            Operation::new("CHANGE COLUMN")
        }
        AlterTable::ChangeColumn { column, definition } => {
            change_column(st, found, &mut metadata, column, definition).await?;
            Operation::new("CHANGE COLUMN")
        }
        AlterTable::AddConstraint(constraint) => add_constraint(st, found, &mut metadata, constraint).await?,
        AlterTable::DropConstraint { name, if_exists, cascade: _ } => {
            drop_constraint(found, &mut metadata, &name, if_exists)?
        }
        AlterTable::DropColumns { columns, if_exists } => {
            super::columns::drop(&mut metadata, &columns, if_exists)?;
            let names: Vec<String> = columns.iter().map(|name| name.join(".")).collect();
            Operation::new("DROP COLUMNS").with("columns", serde_json::Value::from(names).to_string())
        }
        AlterTable::RenameColumn { from, to } => {
            super::columns::rename(&mut metadata, &from, &to)?;
            let mut new = from.clone();
            if let Some(last) = new.last_mut() {
                last.clone_from(&to);
            }
            Operation::new("RENAME COLUMN").with("oldColumnPath", from.join(".")).with("newColumnPath", new.join("."))
        }
        AlterTable::ReplaceColumns(_) => return Err(unsupported_operation(&found.id(), "REPLACE COLUMNS")),
        AlterTable::ClusterBy(_) => return Err(SparkError::unsupported("clustering of Delta tables")),
        AlterTable::SetSerde { .. } => return Err(unsupported_operation(&found.id(), "SET SERDE")),
        AlterTable::SetCollation(_) => return Err(SparkError::unsupported("collations of Delta tables")),
        AlterTable::AddPartitions { .. }
        | AlterTable::DropPartitions { .. }
        | AlterTable::RenamePartition { .. }
        | AlterTable::SetLocation { .. }
        | AlterTable::RecoverPartitions => {
            return Err(unsupported_operation(&found.id(), "PARTITION"));
        }
    };
    metadata.map_columns(Some(found.delta.metadata()))?;
    commit(st, found, metadata, operation).await.map(Some)
}

async fn commit(st: &Statement, found: &Found, metadata: TableMetadata, operation: Operation) -> Answer {
    if metadata != *found.delta.metadata() {
        let mut transaction = Transaction::on(&found.delta);
        transaction.set_metadata(metadata.clone())?;
        transaction.commit(operation).await?;
        super::record(st, found, &metadata).await?;
        found.invalidate(st);
    }
    Ok(Execution::empty())
}

/// COMMENT ON TABLE
pub async fn comment(st: &Statement, found: &Found, comment: Option<String>) -> Answer {
    let mut metadata = found.delta.metadata().clone();
    metadata.description = comment;
    commit(st, found, metadata, Operation::new("SET TBLPROPERTIES")).await
}

fn find(metadata: &TableMetadata, column: &[String]) -> Result<usize> {
    let missing = || {
        let names: Vec<_> = metadata.schema.fields.iter().map(|f| f.name.clone()).collect();
        let parameters = [("columnName", quoted_name(column)), ("columnList", names.join(", "))];
        SparkError::new("DELTA_MISSING_COLUMN", parameters)
    };
    match column {
        [name] => metadata.schema.fields.iter().position(|f| f.name.eq_ignore_ascii_case(name)).ok_or_else(missing),
        _ => Err(SparkError::unsupported("changes of nested columns")),
    }
}

fn edit(metadata: &mut TableMetadata, index: usize, edit: impl FnOnce(&mut StructField)) {
    let mut fields = metadata.schema.fields.to_vec();
    if let Some(field) = fields.get_mut(index) {
        edit(field);
    }
    metadata.schema = StructType::new(fields);
}

fn place(fields: &mut Vec<StructField>, field: StructField, position: Option<&ColumnPosition>) -> Result<()> {
    let at = match position {
        None => fields.len(),
        Some(ColumnPosition::First) => 0,
        Some(ColumnPosition::After(name)) => {
            let found = fields.iter().position(|f| f.name.eq_ignore_ascii_case(name));
            let names: Vec<_> = fields.iter().map(|f| f.name.clone()).collect();
            let parameters = [("columnName", quote_identifier(name)), ("columnList", names.join(", "))];
            found.ok_or_else(|| SparkError::new("DELTA_MISSING_COLUMN", parameters))? + 1
        }
    };
    fields.insert(at, field);
    Ok(())
}

/// A new column; below a column of structs where its name has several parts.
fn add_column(metadata: &mut TableMetadata, column: NewColumn) -> Result<()> {
    if !column.definition.nullable {
        let parameters = [("columnName", quoted_name(&column.name))];
        return Err(SparkError::new("DELTA_ADD_NOT_NULL_COLUMN", parameters)
            .with_message("A new column of a table with rows takes NULL: NOT NULL is not possible."));
    }
    if column.default_text.is_some() {
        return Err(SparkError::of("WRONG_COLUMN_DEFAULTS_FOR_DELTA_ALTER_TABLE_ADD_COLUMN_NOT_SUPPORTED")
            .with_message("A new column of a Delta table has no default: set it with ALTER COLUMN afterwards."));
    }
    let Some((name, parents)) = column.name.split_last() else { return Ok(()) };
    let mut field = field_of(&column.definition);
    field.name.clone_from(name);
    metadata.schema = StructType::new(added(&metadata.schema, parents, field, column.position.as_ref())?);
    Ok(())
}

fn added(
    schema: &StructType,
    parents: &[String],
    field: StructField,
    position: Option<&ColumnPosition>,
) -> Result<Vec<StructField>> {
    let mut fields = schema.fields.to_vec();
    match parents.split_first() {
        None => {
            if fields.iter().any(|f| f.name.eq_ignore_ascii_case(&field.name)) {
                let parameters = [("columnName", quote_identifier(&field.name))];
                return Err(SparkError::new("COLUMN_ALREADY_EXISTS", parameters));
            }
            place(&mut fields, field, position)?;
        }
        Some((parent, rest)) => {
            let found = fields.iter_mut().find(|f| f.name.eq_ignore_ascii_case(parent));
            match found {
                Some(StructField { data_type, .. }) if matches!(data_type, DataType::Struct(_)) => {
                    if let DataType::Struct(inner) = data_type.clone() {
                        *data_type = DataType::structure(added(&inner, rest, field, position)?);
                    }
                }
                _ => {
                    let parameters = [("columnName", parent.clone()), ("other", String::new())];
                    return Err(SparkError::new("DELTA_ADD_COLUMN_PARENT_NOT_STRUCT", parameters));
                }
            }
        }
    }
    Ok(fields)
}

async fn alter_column(st: &Statement, found: &Found, metadata: &mut TableMetadata, change: ColumnChange) -> Result<()> {
    let index = find(metadata, &change.column)?;
    let field = metadata.schema.fields[index].clone();
    if let Some(data_type) = change.data_type
        && !data_type.same_type(&field.data_type)
    {
        let parameters =
            [("fieldPath", field.name.clone()), ("oldField", field.data_type.sql()), ("newField", data_type.sql())];
        return Err(SparkError::new("DELTA_ALTER_TABLE_CHANGE_COL_NOT_SUPPORTED", parameters));
    }
    match change.nullable {
        Some(true) => edit(metadata, index, |field| field.nullable = true),
        Some(false) if field.nullable => {
            let condition = Expr::call("isnull", vec![Expr::name(&field.name)]);
            if count(st, found, condition).await? > 0 {
                let parameters = [("columnName", field.name.clone())];
                return Err(SparkError::new("DELTA_NEW_NOT_NULL_VIOLATION", parameters)
                    .with_message(format!("The column {} holds NULL: it cannot be NOT NULL.", field.name)));
            }
            edit(metadata, index, |field| field.nullable = false);
        }
        _ => {}
    }
    if let Some(comment) = change.comment {
        edit(metadata, index, |field| {
            field.metadata.insert("comment".into(), json_text(&comment));
        });
    }
    if let Some(default) = change.set_default {
        edit(metadata, index, |field| {
            field.metadata.insert(DEFAULT_KEY.into(), json_text(&default.text));
        });
        let is_allowed = found.delta.protocol().writer_feature_names().iter().any(|name| name == COLUMN_DEFAULTS);
        super::create::check_defaults(&metadata.schema, is_allowed)?;
        let before = &found.delta.metadata().schema;
        crate::commands::defaults::check(st, "ALTER TABLE ALTER COLUMN", &metadata.schema, before).await?;
    }
    if change.drop_default {
        edit(metadata, index, |field| {
            field.metadata.remove(DEFAULT_KEY);
        });
    }
    if change.position.is_some() {
        let mut fields = metadata.schema.fields.to_vec();
        let field = fields.remove(index);
        place(&mut fields, field, change.position.as_ref())?;
        metadata.schema = StructType::new(fields);
    }
    Ok(())
}

async fn change_column(
    st: &Statement,
    found: &Found,
    metadata: &mut TableMetadata,
    column: Vec<String>,
    definition: NewColumn,
) -> Result<()> {
    let index = find(metadata, &column)?;
    let name = definition.name.last().cloned().unwrap_or_default();
    if !metadata.schema.fields[index].name.eq_ignore_ascii_case(&name) {
        super::columns::rename(metadata, &column, &name)?;
    }
    let change = ColumnChange {
        column: vec![name],
        data_type: Some(definition.definition.data_type),
        nullable: None,
        comment: definition.definition.comment,
        position: definition.position,
        set_default: None,
        drop_default: false,
    };
    alter_column(st, found, metadata, change).await
}

/// How many rows of the table a condition is true of.
async fn count(st: &Statement, found: &Found, condition: Expr) -> Result<u64> {
    let files = found.delta.files()?;
    let rows = rows_of(st, found, &files, None)?.filter(condition);
    Ok(crate::commands::row_level::count_by_file(st, rows).await?.values().sum())
}

/// `ADD CONSTRAINT name CHECK (condition)`: every row of the table obeys it already.
async fn add_constraint(
    st: &Statement,
    found: &Found,
    metadata: &mut TableMetadata,
    constraint: TableConstraint,
) -> Result<Operation> {
    let ConstraintKind::Check(check) = constraint.kind else {
        return Err(SparkError::unsupported("constraints other than CHECK on Delta tables"));
    };
    let name = constraint.name.unwrap_or_else(|| format!("chk_{}", uuid::Uuid::new_v4().simple()));
    let key = format!("delta.constraints.{}", name.to_lowercase());
    if let Some(old) = metadata.configuration.get(&key) {
        let parameters = [("constraintName", name), ("oldConstraint", old.clone())];
        return Err(SparkError::new("DELTA_CONSTRAINT_ALREADY_EXISTS", parameters));
    }
    let holds = Expr::call("coalesce", vec![check.expr.clone(), Expr::boolean(false)]);
    let violating = count(st, found, Expr::call("not", vec![holds])).await?;
    if violating > 0 {
        let parameters =
            [("numRows", violating.to_string()), ("tableName", found.name()), ("checkConstraint", check.text.clone())];
        return Err(SparkError::new("DELTA_NEW_CHECK_CONSTRAINT_VIOLATION", parameters));
    }
    let operation = Operation::new("ADD CONSTRAINT")
        .with("name", serde_json::Value::from(name).to_string())
        .with("expr", serde_json::Value::from(text_of(&check.expr)).to_string());
    metadata.configuration.insert(key, check.text);
    Ok(operation)
}

fn drop_constraint(found: &Found, metadata: &mut TableMetadata, name: &str, if_exists: bool) -> Result<Operation> {
    let key = format!("delta.constraints.{}", name.to_lowercase());
    if metadata.configuration.remove(&key).is_none() && !if_exists {
        let parameters = [
            ("constraintName", name.to_string()),
            ("tableName", found.name()),
            ("config", "spark.databricks.delta.constraints.assumesDropIfExists.enabled".to_string()),
            ("confValue", "true".to_string()),
        ];
        return Err(SparkError::new("DELTA_CONSTRAINT_DOES_NOT_EXIST", parameters));
    }
    Ok(Operation::new("DROP CONSTRAINT").with("name", serde_json::Value::from(name).to_string()))
}

/// `DeltaTable.upgradeTableProtocol`, `DeltaTable.addFeatureSupport`
pub async fn upgrade_protocol(
    st: &Statement,
    found: &Found,
    feature: Option<String>,
    reader: i32,
    writer: i32,
) -> Answer {
    let old = found.delta.protocol();
    let asked = match &feature {
        Some(feature) => AskedProtocol::of_feature(feature)?,
        None => AskedProtocol { reader: Some(reader), writer: Some(writer), ..AskedProtocol::default() },
    };
    let sinks = feature.is_none() && (reader < old.min_reader_version || writer < old.min_writer_version);
    if !asked.is_known() || sinks {
        return Err(SparkError::unsupported(format!("the protocol ({reader}, {writer})")));
    }
    let mut protocol = old.clone();
    protocol.raise(&asked);
    if protocol != *old {
        let mut transaction = Transaction::on(&found.delta);
        let text = serde_json::json!(protocol).to_string();
        transaction.protocol = Some(protocol);
        transaction.commit(Operation::new("UPGRADE PROTOCOL").with("newProtocol", text)).await?;
        found.invalidate(st);
    }
    Ok(Execution::empty())
}
