//! CACHE TABLE and its family, checkpoints.
use std::sync::Arc;

use firesteel_catalog::TableId;
use firesteel_plan::relation::Options;
use firesteel_plan::{Relation, Result, SparkError, TableName};

use super::table::table_relation;
use super::{Answer, Statement};
use crate::cache::Cached;
use crate::execution::Execution;
use crate::names::Resolved;
use crate::rows::Rows;
use crate::session::StorageLevel;

pub async fn checkpoint(
    st: &Statement,
    input: Relation,
    local: bool,
    eager: bool,
    storage_level: Option<String>,
) -> Answer {
    let level = match storage_level {
        Some(name) => StorageLevel::of_name(&name)?,
        None if local => StorageLevel::MEMORY_AND_DISK_DESERIALIZED,
        None => StorageLevel::of_name("DISK_ONLY")?,
    };
    let analyzed = st.analyze(&input).await?;
    let cached = Arc::new(Cached::new(&st.context, analyzed, level));
    if eager {
        cached.fill().await?;
    }
    let id = uuid::Uuid::new_v4().to_string();
    st.session().cache.put_checkpoint(id.clone(), cached);
    Rows::texts(&["relation_id"]).with([vec![id.into()]]).into_execution()
}

/// What a name that is to be cached stands for: a table by its id, a view by its relation.
enum Target {
    Table(TableId),
    View(Relation),
}

async fn target(st: &Statement, parts: &[String]) -> Result<Target> {
    match st.session().resolve(parts, &st.context.namespace)? {
        Resolved::Temp(_) | Resolved::Global(_) => Ok(Target::View(Relation::table(parts.to_vec()))),
        Resolved::Table(id) => match st.catalog().get_table(&id).await? {
            Some(table) if table.is_view() => Ok(Target::View(Relation::table(parts.to_vec()))),
            Some(table) => Ok(Target::Table(table.id)),
            None => Err(st.relation_not_found(parts)),
        },
    }
}

pub(crate) async fn cache_table(
    st: &Statement,
    parts: &[String],
    level: Option<StorageLevel>,
    lazy: bool,
) -> Result<()> {
    let level = level.unwrap_or(StorageLevel::MEMORY_AND_DISK_DESERIALIZED);
    let target = target(st, parts).await?;
    let relation = match &target {
        Target::Table(id) => table_relation(id),
        Target::View(relation) => relation.clone(),
    };
    let known = match &target {
        Target::Table(id) => st.session().cache.table(id),
        Target::View(relation) => st.session().cache.relation(relation),
    };
    if known.is_some() {
        return Ok(());
    }
    let analyzed = st.analyze(&relation).await?;
    let cached = Arc::new(Cached::new(&st.context, analyzed, level));
    if !lazy {
        cached.fill().await?;
    }
    match target {
        Target::Table(id) => st.session().cache.put_table(&id, cached),
        Target::View(relation) => st.session().cache.put_relation(relation, cached)?,
    }
    Ok(())
}

pub async fn cache_statement(
    st: &Statement,
    name: TableName,
    lazy: bool,
    options: Options,
    query: Option<(Relation, String)>,
) -> Answer {
    let name = st.name(&name).await?;
    let mut level = None;
    for (key, value) in &options {
        if !key.eq_ignore_ascii_case("storageLevel") {
            tracing::warn!(key, "CACHE TABLE passes over an option that it does not know");
            continue;
        }
        level = Some(StorageLevel::of_name(value)?);
    }
    if let Some((relation, _)) = query {
        let [_] = name.as_slice() else {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_0036", Vec::<(String, String)>::new()).with_message(
                "It is not allowed to add catalog/namespace prefix to the table name in CACHE TABLE AS SELECT.",
            ));
        };
        super::view::create_of_dataframe(st, relation, name.clone(), false, false).await?;
    }
    cache_table(st, &name, level, lazy).await?;
    Ok(Execution::empty())
}

/// False where it was not cached.
pub(crate) async fn uncache(st: &Statement, parts: &[String]) -> Result<bool> {
    Ok(match target(st, parts).await? {
        Target::Table(id) => st.session().cache.remove_table(&id),
        Target::View(relation) => st.session().cache.remove_relation(&relation),
    })
}

pub(crate) async fn is_cached(st: &Statement, parts: &[String]) -> Result<bool> {
    Ok(match target(st, parts).await? {
        Target::Table(id) => st.session().cache.table(&id).is_some(),
        Target::View(relation) => st.session().cache.relation(&relation).is_some(),
    })
}

pub async fn uncache_statement(st: &Statement, name: TableName, if_exists: bool) -> Answer {
    let parts = st.name(&name).await?;
    match uncache(st, &parts).await {
        Err(error) if if_exists && error.is("TABLE_OR_VIEW_NOT_FOUND") => Ok(Execution::empty()),
        Err(error) => Err(error),
        Ok(_) => Ok(Execution::empty()),
    }
}

pub async fn refresh_table(st: &Statement, name: TableName) -> Answer {
    let parts = st.name(&name).await?;
    match target(st, &parts).await {
        Ok(Target::Table(id)) => st.session().cache.invalidate_table(&id),
        Ok(Target::View(_)) => st.session().cache.invalidate_relations(),
        Err(error) if error.is("TABLE_OR_VIEW_NOT_FOUND") => return Err(st.table_not_found(&parts)),
        Err(error) => return Err(error),
    }
    Ok(Execution::empty())
}
