//! `df.writeTo`: tables by name, with a mode for each intention.
use firesteel_analyze::declared_schema;
use firesteel_catalog::{Table, TableKind};
use firesteel_lake::iceberg::is_iceberg;
use firesteel_plan::command::{SaveMode, WriteV2, WriteV2Mode};
use firesteel_plan::identifier::quoted_name;
use firesteel_plan::{Expr, ExprKind, Result, SparkError, StructType, TableName, parse_multipart_identifier};

use super::delta::write::DeltaSave;
use super::write::{
    Observed, Rows, create_with_rows, default_format, insert_rows, partitions_last, refuse_view, with_observed,
};
use super::{Answer, Statement, delta, iceberg};
use crate::names::Resolved;

pub async fn write_v2(st: &Statement, write: WriteV2) -> Answer {
    let parts = parse_multipart_identifier(&write.table)?;
    let name = TableName::Parts(parts.clone());
    if let Some(observed) = iceberg::write_v2(st, &parts, &write).await? {
        return Ok(with_observed(observed));
    }
    if let Some(observed) = write_v2_delta(st, &parts, &write).await? {
        return Ok(with_observed(observed));
    }
    let observed = match &write.mode {
        WriteV2Mode::Append => {
            let table = existing(st, &name).await?;
            let rows = Rows { relation: write.input, by_name: true, options: write.options };
            insert_rows(st, &table, rows, vec![], false).await?
        }
        WriteV2Mode::OverwritePartitions => {
            let table = existing(st, &name).await?;
            let mut dynamic = st.clone();
            let mut conf = (*st.context.eval.conf).clone();
            conf.insert("spark.sql.sources.partitionOverwriteMode".into(), "DYNAMIC".into());
            dynamic.context = st.context.nested(st.context.namespace.clone(), &conf, true);
            let rows = Rows { relation: write.input, by_name: true, options: write.options };
            insert_rows(&dynamic, &table, rows, vec![], true).await?
        }
        WriteV2Mode::Overwrite(condition) => {
            let table = existing(st, &name).await?;
            if !is_always_true(condition) {
                return Err(super::insert::unsupported_operation(&table.id, "overwrite by filter in batch mode"));
            }
            let rows = Rows { relation: write.input, by_name: true, options: write.options };
            insert_rows(st, &table, rows, vec![], true).await?
        }
        mode => {
            let id = st.session().table_id(&parts, &st.context.namespace)?;
            let existing = st.catalog().get_table(&id).await?;
            match (mode, &existing) {
                (WriteV2Mode::Create, Some(_)) => return Err(firesteel_catalog::errors::table_already_exists(&id)),
                (WriteV2Mode::Replace, None) => return Err(st.table_not_found(&parts)),
                _ => {}
            }
            let provider = write.provider.clone().unwrap_or_else(|| default_format(st));
            let analyzed = st.analyze(&write.input).await?;
            if is_iceberg(&provider) {
                refuse_view(&existing)?;
                let mut table = Table::new(id, TableKind::Managed, StructType::default());
                table.properties = write.table_properties.clone();
                let made = iceberg::save_as_table(st, table, &write.partition_by, &analyzed, existing).await?;
                return Ok(with_observed(made));
            }
            let partition_columns = write.partition_by.iter().map(partition_name).collect::<Result<Vec<_>>>()?;
            let is_delta = firesteel_lake::delta::is_delta(&provider);
            let schema = declared_schema(&analyzed.schema);
            let schema = if is_delta { schema } else { partitions_last(&id, &schema, &partition_columns)? };
            let mut table = Table::new(id, TableKind::Managed, schema);
            table.provider = Some(provider);
            table.partition_columns = partition_columns;
            table.clustering_columns = write.clustering_columns.clone();
            table.options = write.options.clone();
            table.properties = write.table_properties.clone();
            if is_delta {
                refuse_view(&existing)?;
                let mut options = write.options.clone();
                options.insert("overwriteSchema".into(), "true".into());
                delta::create::save_as_table(st, table, analyzed, existing, options).await?
            } else {
                create_with_rows(st, table, &analyzed, existing, false).await?
            }
        }
    };
    Ok(with_observed(observed))
}

/// `df.writeTo` a Delta table; `None` where it is none, or is to be made.
async fn write_v2_delta(st: &Statement, parts: &[String], write: &WriteV2) -> Result<Option<Observed>> {
    let is_creation = matches!(write.mode, WriteV2Mode::Create | WriteV2Mode::Replace | WriteV2Mode::CreateOrReplace);
    if is_creation {
        return Ok(None);
    }
    let Some(found) = delta::find(st, parts).await? else { return Ok(None) };
    let analyzed = st.analyze(&write.input).await?;
    let overwrites = !matches!(write.mode, WriteV2Mode::Append);
    let mode = if overwrites { SaveMode::Overwrite } else { SaveMode::Append };
    let mut save = DeltaSave::new(analyzed, mode, write.options.clone());
    save.with_schema_evolution = write.with_schema_evolution;
    save.overwrite_partitions = matches!(write.mode, WriteV2Mode::OverwritePartitions);
    if let WriteV2Mode::Overwrite(condition) = &write.mode
        && !is_always_true(condition)
    {
        save.replace_where = Some(condition.clone());
    }
    delta::write::into_table(st, &found, save).await.map(Some)
}

async fn existing(st: &Statement, name: &TableName) -> Result<Table> {
    let (parts, resolved) = st.resolve(name).await?;
    match resolved {
        Resolved::Table(_) => st.existing_non_view(name, "writeTo").await,
        _ => Err(SparkError::new(
            "EXPECT_TABLE_NOT_VIEW.NO_ALTERNATIVE",
            [("viewName", quoted_name(&parts)), ("operation", "writeTo".to_string())],
        )),
    }
}

pub fn is_always_true(condition: &Expr) -> bool {
    match &*condition.kind {
        ExprKind::Literal(firesteel_plan::Literal::Boolean(flag)) => *flag,
        ExprKind::SqlText(text) => text.trim().eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// The column that an identity partitioning names; other transforms need a format that has them.
pub fn partition_name(transform: &Expr) -> Result<String> {
    match &*transform.kind {
        ExprKind::Attribute { name, .. } if name.len() == 1 => Ok(name[0].clone()),
        ExprKind::Function(call) => Err(SparkError::new(
            "UNSUPPORTED_FEATURE.PARTITION_WITH_NESTED_COLUMN_IS_UNSUPPORTED",
            [("cols", call.name.join("."))],
        )
        .with_message(format!("File tables are partitioned by columns, not by {}.", call.name.join(".")))),
        _ => Err(SparkError::unsupported("partitioning by an expression")),
    }
}
