//! Partitions of tables: values as texts, ADD, DROP, RENAME, REPAIR.
use std::collections::BTreeSet;

use firesteel_catalog::{Partition, PartitionSpec, Table};
use firesteel_lake::ScanRequest;
use firesteel_plan::expression::EvalMode;
use firesteel_plan::identifier::quote_identifier;
use firesteel_plan::statement::{PartitionPredicate, PartitionValues};
use firesteel_plan::{DataType, Expr, ExprKind, Result, SparkError, TableName};
use firesteel_storage::Location;

use super::table::{ensure_directory, remove_files};
use super::{Answer, Statement};
use crate::execution::Execution;
use crate::names::quote_id;

/// A partition value as its directory has it, before escaping; `None` is the null partition.
pub async fn literal_text(st: &Statement, value: &Expr, data_type: Option<&DataType>) -> Result<Option<String>> {
    let cast = |child: Expr, to: DataType| Expr::from(ExprKind::Cast { child, to, mode: EvalMode::Session });
    let typed = match data_type {
        Some(data_type) if !data_type.is_string() => cast(value.clone(), data_type.clone()),
        _ => value.clone(),
    };
    let (text, _) = st.evaluate(&cast(typed, DataType::STRING)).await?;
    Ok(text.try_as_str().flatten().map(str::to_string))
}

fn check_partitioned(table: &Table, operation: &str) -> Result<()> {
    if table.partition_columns.is_empty() {
        return Err(SparkError::new(
            "INVALID_PARTITION_OPERATION.PARTITION_SCHEMA_IS_EMPTY",
            [("name", quote_id(&table.id))],
        )
        .with_cause(operation));
    }
    Ok(())
}

/// A spec in the table's order. A full one names every partition column.
pub async fn spec(st: &Statement, table: &Table, values: &PartitionValues, full: bool) -> Result<PartitionSpec> {
    let mut given = vec![];
    for (name, value) in values {
        let column = table.partition_columns.iter().find(|c| c.eq_ignore_ascii_case(name)).ok_or_else(|| {
            SparkError::new(
                "PARTITIONS_NOT_FOUND",
                [("partitionList", format!("`{name}`")), ("tableName", quote_id(&table.id))],
            )
        })?;
        let field = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(column));
        let text = match value {
            Some(value) => literal_text(st, value, field.map(|f| &f.data_type)).await?,
            None => continue,
        };
        given.push((column.clone(), text));
    }
    let find = |column: &String| given.iter().find(|(name, _)| name == column).cloned();
    let spec: PartitionSpec = table.partition_columns.iter().filter_map(find).collect();
    if full && spec.len() < table.partition_columns.len() {
        let show = |names: Vec<&String>| names.into_iter().map(|n| quote_identifier(n)).collect::<Vec<_>>().join(", ");
        return Err(SparkError::new(
            "_LEGACY_ERROR_TEMP_1232",
            [
                ("specKeys", show(spec.iter().map(|(name, _)| name).collect())),
                ("partitionColumnNames", show(table.partition_columns.iter().collect())),
                ("tableName", quote_id(&table.id)),
            ],
        )
        .with_message(format!(
            "Partition spec is invalid. The spec ({}) must match the partition spec ({}) defined in table '{}'.",
            show(spec.iter().map(|(name, _)| name).collect()),
            show(table.partition_columns.iter().collect()),
            quote_id(&table.id)
        )));
    }
    Ok(spec)
}

/// `a=1/b=x`, escaped as Hive does.
pub fn path_of(spec: &PartitionSpec) -> String {
    let part = |(name, value): &(String, Option<String>)| {
        let value =
            value.as_deref().filter(|v| !v.is_empty()).map_or_else(|| "__HIVE_DEFAULT_PARTITION__".into(), escape);
        format!("{}={value}", escape(name))
    };
    spec.iter().map(part).collect::<Vec<_>>().join("/")
}

fn escape(text: &str) -> String {
    let special = |c: char| c.is_ascii_control() || "\"#%'*/:=?\\\u{7f}{[]^".contains(c);
    text.chars().map(|c| if special(c) { format!("%{:02X}", c as u32) } else { c.to_string() }).collect()
}

pub fn directory(table: &Table, partition: &Partition) -> Result<String> {
    match (&partition.location, &table.location) {
        (Some(location), _) => Ok(location.clone()),
        (None, Some(table)) => Ok(Location::parse(table)?.join(&path_of(&partition.spec)).to_string()),
        (None, None) => Err(SparkError::internal("a partition without a place")),
    }
}

pub async fn add(
    st: &Statement,
    table: &Table,
    partitions: Vec<(PartitionValues, Option<String>)>,
    if_not_exists: bool,
) -> Answer {
    check_partitioned(table, "ADD PARTITION")?;
    let mut new = vec![];
    for (values, location) in partitions {
        let partition = Partition::new(spec(st, table, &values, true).await?, location);
        ensure_directory(st, &directory(table, &partition)?).await?;
        new.push(partition);
    }
    st.catalog().create_partitions(&table.id, new, if_not_exists).await?;
    st.session().cache.invalidate_table(&table.id);
    Ok(Execution::empty())
}

pub async fn drop(st: &Statement, table: &Table, wanted: Vec<Vec<PartitionPredicate>>, if_exists: bool) -> Answer {
    check_partitioned(table, "DROP PARTITION")?;
    let all = st.catalog().list_partitions(&table.id, &vec![]).await?;
    let mut doomed: Vec<Partition> = vec![];
    for predicates in wanted {
        let mut matching = vec![];
        for partition in &all {
            if matches(st, table, partition, &predicates).await? {
                matching.push(partition.clone());
            }
        }
        if matching.is_empty() && !if_exists {
            let mut values = vec![];
            for predicate in &predicates {
                values.push((predicate.column.clone(), Some(predicate.value.clone())));
            }
            let spec = spec(st, table, &values, false).await?;
            return Err(firesteel_catalog::errors::partitions_not_found(&table.id, &[spec]));
        }
        doomed.extend(matching);
    }
    let specs = doomed.iter().map(|p| p.spec.clone()).collect();
    st.catalog().drop_partitions(&table.id, specs, true).await?;
    if table.kind == firesteel_catalog::TableKind::Managed {
        for partition in &doomed {
            remove_files(st, &directory(table, partition)?).await?;
        }
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(Execution::empty())
}

async fn matches(
    st: &Statement,
    table: &Table,
    partition: &Partition,
    predicates: &[PartitionPredicate],
) -> Result<bool> {
    for predicate in predicates {
        let found = partition.spec.iter().find(|(name, _)| name.eq_ignore_ascii_case(&predicate.column));
        let Some((column, value)) = found else {
            return Err(SparkError::new("NON_PARTITION_COLUMN", [("columnName", quote_identifier(&predicate.column))]));
        };
        let field = table.schema.fields.iter().find(|f| f.name.eq_ignore_ascii_case(column));
        let is_equal = predicate.operator == "=" || predicate.operator == "==";
        let wanted = literal_text(st, &predicate.value, field.map(|f| &f.data_type)).await?;
        let holds = if is_equal {
            *value == wanted
        } else {
            let (Some(value), Some(field)) = (value, field) else { return Ok(false) };
            let operator = if predicate.operator == "<>" { "!=" } else { predicate.operator.as_str() };
            let left = Expr::string(value.clone()).cast(field.data_type.clone());
            let condition = Expr::call(operator, vec![left, predicate.value.clone()]);
            st.is_true(&condition).await?
        };
        if !holds {
            return Ok(false);
        }
    }
    Ok(true)
}

pub async fn rename(st: &Statement, table: &Table, from: PartitionValues, to: PartitionValues) -> Answer {
    check_partitioned(table, "RENAME PARTITION")?;
    let from = spec(st, table, &from, true).await?;
    let to = spec(st, table, &to, true).await?;
    let old = st.catalog().get_partition(&table.id, &from).await?;
    st.catalog().rename_partitions(&table.id, vec![(from, to.clone())]).await?;
    if let Some(old) = old.filter(|p| p.location.is_none()) {
        let source = Location::parse(&directory(table, &old)?)?;
        let target = Location::parse(&directory(table, &Partition::new(to, None))?)?;
        let files = st.context.storage().file_system(&source)?;
        if files.status(&source).await?.is_some() {
            files.rename(&source, &target).await?;
        }
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(Execution::empty())
}

pub async fn repair(st: &Statement, name: TableName, add: bool, drop: bool) -> Answer {
    let table = st.existing_non_view(&name, "MSCK REPAIR TABLE").await?;
    if table.partition_columns.is_empty() {
        return Err(SparkError::new(
            "NOT_A_PARTITIONED_TABLE",
            [("operation", "MSCK REPAIR TABLE".to_string()), ("tableIdentWithDB", quote_id(&table.id))],
        ));
    }
    recover(st, &table, add, drop).await?;
    Ok(Execution::empty())
}

/// Makes the catalog agree with the directories that are there.
pub async fn recover(st: &Statement, table: &Table, add: bool, drop: bool) -> Result<()> {
    let request = ScanRequest { partitions: None, ..st.context.scan_request(table, &Default::default()).await? };
    let scan = firesteel_lake::scan(request).await?;
    let root = Location::parse(table.location.as_deref().unwrap_or_default())?;
    let mut found: BTreeSet<PartitionSpec> = BTreeSet::new();
    for file in scan.files() {
        let Some(relative) = file.status.location.relative_to(&root) else { continue };
        let parts: Vec<&str> = relative.split('/').collect();
        let spec: PartitionSpec = parts
            .iter()
            .filter_map(|part| part.split_once('='))
            .zip(&table.partition_columns)
            .map(|((_, value), column)| (column.clone(), unescape(value)))
            .collect();
        if spec.len() == table.partition_columns.len() {
            found.insert(spec);
        }
    }
    let known = st.catalog().list_partitions(&table.id, &vec![]).await?;
    if drop {
        let gone: Vec<_> = known.iter().map(|p| p.spec.clone()).filter(|s| !found.contains(s)).collect();
        st.catalog().drop_partitions(&table.id, gone, true).await?;
    }
    if add {
        let new = found.into_iter().map(|spec| Partition::new(spec, None)).collect();
        st.catalog().create_partitions(&table.id, new, true).await?;
    }
    if !table.tracks_partitions {
        st.catalog().alter_table(Table { tracks_partitions: true, ..table.clone() }).await?;
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(())
}

/// The value that a directory name stands for.
fn unescape(text: &str) -> Option<String> {
    if text == "__HIVE_DEFAULT_PARTITION__" {
        return None;
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
            .flatten();
        match code {
            Some(code) => {
                out.push(code);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    Some(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_names() {
        let spec = vec![("a".to_string(), Some("x/y".to_string())), ("b".to_string(), None)];
        assert_eq!(path_of(&spec), "a=x%2Fy/b=__HIVE_DEFAULT_PARTITION__");
        assert_eq!(unescape("x%2Fy%"), Some("x/y%".into()));
    }
}
