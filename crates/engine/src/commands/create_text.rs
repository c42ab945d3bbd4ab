//! SHOW CREATE TABLE.
use std::fmt::Write as _;

use firesteel_catalog::{Table, TableKind};
use firesteel_conf::redact;
use firesteel_plan::identifier::{qualified_name, quote_if_needed};
use firesteel_plan::relation::Options;
use firesteel_plan::{Result, SparkError, StructField, TableName};

use super::describe::metadata_text;
use super::{Answer, Statement};
use crate::names::Resolved;
use crate::rows::Rows;

pub async fn show(st: &Statement, name: TableName, as_serde: bool) -> Answer {
    let text = text_of(st, &name, as_serde).await?;
    Rows::texts(&["createtab_stmt"]).with([vec![text.into()]]).into_execution()
}

pub async fn text_of(st: &Statement, name: &TableName, as_serde: bool) -> Result<String> {
    let (parts, resolved) = st.resolve(name).await?;
    let Resolved::Table(id) = resolved else {
        return Err(SparkError::new(
            "EXPECT_PERMANENT_VIEW_NOT_TEMP",
            [
                ("viewName", firesteel_plan::identifier::quoted_name(&parts)),
                ("operation", "SHOW CREATE TABLE".to_string()),
            ],
        ));
    };
    let table = st.catalog().get_table(&id).await?.ok_or_else(|| st.table_not_found(&parts))?;
    if table.is_view() {
        return Ok(view_text(&table));
    }
    if as_serde {
        return Err(SparkError::new(
            "UNSUPPORTED_SHOW_CREATE_TABLE.ON_DATA_SOURCE_TABLE_WITH_AS_SERDE",
            [("tableName", crate::names::show_id(&table.id))],
        ));
    }
    Ok(table_text(&table))
}

/// `'a''b'` in Spark's escapes.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn column(field: &StructField) -> String {
    let mut text = format!("{} {}", quote_if_needed(&field.name), field.data_type.sql());
    if !field.nullable {
        text.push_str(" NOT NULL");
    }
    if let Some(default) = metadata_text(field, super::insert::DEFAULT_KEY) {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if let Some(comment) = metadata_text(field, "comment") {
        text.push_str(&format!(" COMMENT {}", literal(&comment)));
    }
    text
}

/// `(\n  a,\n  b)`
fn list(items: Vec<String>) -> String {
    format!("(\n  {})", items.join(",\n  "))
}

fn pairs<'a>(values: impl Iterator<Item = (&'a String, String)>) -> String {
    list(values.map(|(key, value)| format!("{} = {}", literal(key), literal(&value))).collect())
}

/// The pairs as they are shown: secrets hidden.
fn redacted(values: &Options) -> String {
    pairs(values.iter().map(|(key, value)| (key, redact(key, value))))
}

// Writing to a string cannot fail.
fn table_text(table: &Table) -> String {
    let mut text = format!("CREATE TABLE {} ", qualified_name(&["spark_catalog", &table.id.database, &table.id.name]));
    let items: Vec<String> = table.schema.fields.iter().map(column).collect();
    let _ = writeln!(text, "{}", list(items));
    let _ = writeln!(text, "USING {}", table.provider.as_deref().unwrap_or("parquet"));
    if !table.options.is_empty() {
        let _ = writeln!(text, "OPTIONS {}", redacted(&table.options));
    }
    if !table.partition_columns.is_empty() {
        let names: Vec<_> = table.partition_columns.iter().map(|c| quote_if_needed(c)).collect();
        let _ = writeln!(text, "PARTITIONED BY ({})", names.join(", "));
    }
    if !table.clustering_columns.is_empty() {
        let _ = writeln!(text, "CLUSTER BY ({})", table.clustering_columns.join(", "));
    }
    if let Some(bucket) = &table.bucket_spec {
        let names = |all: &[String]| all.iter().map(|c| quote_if_needed(c)).collect::<Vec<_>>().join(", ");
        let _ = writeln!(text, "CLUSTERED BY ({})", names(&bucket.columns));
        if !bucket.sort_columns.is_empty() {
            let _ = writeln!(text, "SORTED BY ({})", names(&bucket.sort_columns));
        }
        let _ = writeln!(text, "INTO {} BUCKETS", bucket.num_buckets);
    }
    if table.kind == TableKind::External
        && let Some(location) = &table.location
    {
        let _ = writeln!(text, "LOCATION {}", literal(location));
    }
    if let Some(collation) = &table.collation {
        let _ = writeln!(text, "DEFAULT COLLATION {collation}");
    }
    if let Some(comment) = &table.comment {
        let _ = writeln!(text, "COMMENT {}", literal(comment));
    }
    if !table.properties.is_empty() {
        let _ = writeln!(text, "TBLPROPERTIES {}", redacted(&table.properties));
    }
    text
}

fn view_text(table: &Table) -> String {
    let mut text = format!("CREATE VIEW {} ", qualified_name(&[&table.id.database, &table.id.name]));
    let view_column = |field: &StructField| {
        let comment = metadata_text(field, "comment").map(|c| format!(" COMMENT {}", literal(&c))).unwrap_or_default();
        format!("{}{comment}", quote_if_needed(&field.name))
    };
    let _ = writeln!(text, "{}", list(table.schema.fields.iter().map(view_column).collect()));
    if let Some(comment) = &table.comment {
        let _ = writeln!(text, "COMMENT {}", literal(comment));
    }
    if !table.properties.is_empty() {
        let _ =
            writeln!(text, "TBLPROPERTIES {}", pairs(table.properties.iter().map(|(key, value)| (key, value.clone()))));
    }
    if let Some(view) = &table.view {
        let _ = writeln!(text, "WITH SCHEMA {}", view.schema_binding.name());
        let _ = writeln!(text, "AS {}", view.text);
    }
    text
}
