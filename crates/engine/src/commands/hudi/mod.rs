//! Writes of Hudi tables.
//!
//! | file | what |
//! |---|---|
//! | here | a write from its lock to its commit |
//! | [`frames`] | `df.write` by path; which table a write makes |
//! | [`columns`] | the columns of rows as those of a table |
//! | [`records`] | keys, and which rows are written |
//! | [`rows`] | DELETE, UPDATE, MERGE |
//! | [`options`] | Hudi's keys |
//! | [`tables`] | tables of the catalog: CREATE TABLE, INSERT, saveAsTable |
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use firesteel_analyze::AnalyzedPlan;
use firesteel_lake::hudi::HudiTable;
use firesteel_lake::hudi::write::{FileGroup, HudiRows, HudiTransaction, Operation, TableLock, Written, write_rows};
use firesteel_plan::{Relation, Result, SparkError};

use self::records::{Records, names_single};
use super::Statement;
use super::row_level::count_by_file;
use super::write::Observed;

mod columns;
mod frames;
mod options;
mod records;
pub mod rows;
mod tables;

pub use frames::save;
pub use tables::{create, insert_stored, insertable, save_as_table};

/// A write whose table is known.
struct Change {
    table: HudiTable,
    /// Whether the table was made for this write
    is_new: bool,
    operation: Operation,
    /// The Avro schema of the records after the write
    schema: String,
    codec: String,
    /// Whether writes that are not complete are removed, whoever has begun them
    removes_failed: bool,
    work: Work,
    lock: TableLock,
}

/// What is written.
enum Work {
    /// Rows that have the table's columns in order
    Save {
        rows: AnalyzedPlan,
        /// Whether rows to insert are first made one for each key
        combines: bool,
        replaced: Replaced,
    },
    /// Rows as they are written: of the touched groups all that stay, or what changes where they have logs
    Rows { rows: Relation, touched: Touched },
}

/// What an overwrite puts its rows in place of.
enum Replaced {
    /// The partitions that get rows
    Written,
    /// These, and all that are in a directory
    Below(String),
    All,
}

impl Replaced {
    fn of(operation: Operation) -> Self {
        if operation == Operation::InsertOverwriteTable { Self::All } else { Self::Written }
    }

    fn has(&self, partition: &str, written: &BTreeSet<&str>) -> bool {
        let is_below =
            |path: &str| partition.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match self {
            Self::All => true,
            Self::Written => written.contains(partition),
            Self::Below(path) => written.contains(partition) || is_below(path),
        }
    }
}

/// Groups that change, with how many rows of each have keys of the write.
type Touched = (Vec<FileGroup>, BTreeMap<usize, u64>);

impl Change {
    /// Writes and commits. A failure leaves the table as it was.
    async fn run(self, st: &Statement) -> Result<Observed> {
        let Self { table, is_new, operation, schema, codec, removes_failed, work, lock } = self;
        let begun =
            HudiTransaction::begin(table.clone(), operation, schema.clone(), is_new, removes_failed, lock).await;
        let transaction = match begun {
            Ok(transaction) => Arc::new(transaction),
            Err(error) => {
                if is_new {
                    table.discard().await;
                }
                return Err(error);
            }
        };
        let done = write(st, &table, &transaction, &schema, operation, codec, work).await;
        let done = match st.context.cancel.is_cancelled() {
            true => done.and(Err(crate::execution::cancelled())),
            false => done,
        };
        match done {
            Ok(done) => {
                transaction.commit(done.written, &done.touched, &done.replaced).await?;
                st.session().cache.invalidate_relations();
                Ok(done.observed)
            }
            Err(error) => {
                transaction.rollback().await;
                Err(error)
            }
        }
    }
}

/// What a write has done.
struct Done {
    written: Written,
    /// The groups that were changed
    touched: Vec<FileGroup>,
    /// Those that others are put in place of
    replaced: Vec<FileGroup>,
    observed: Observed,
}

async fn write(
    st: &Statement,
    table: &HudiTable,
    transaction: &Arc<HudiTransaction>,
    schema: &str,
    operation: Operation,
    codec: String,
    work: Work,
) -> Result<Done> {
    let columns = HudiTable::columns_of(schema)?;
    let definition = transaction.definition();
    let mut records = Records { st, table, definition, columns: &columns, names_single: false };
    let conf = st.context.delta_conf();
    let appends = definition.is_merge_on_read && !operation.replaces();
    let mut planned = HudiRows { touched: vec![], appends, deleted: BTreeMap::new(), ordering: None, codec, conf };
    let (rows, combines, replaces) = match work {
        Work::Save { rows, combines, replaced } => (rows, combines, replaced),
        Work::Rows { rows, touched: (touched, deleted) } => {
            planned.touched = touched.clone();
            if appends {
                planned.ordering = records.ordering()?;
            } else {
                planned.deleted = deleted;
            }
            let (written, observed) = run(st, rows, None, transaction, planned).await?;
            let touched = changed(touched, appends, &written);
            return Ok(Done { written, touched, replaced: vec![], observed });
        }
    };
    let groups = table.file_groups().await?;
    records.names_single = names_single(&records, &groups).await?;
    let keyed = records.keyed(&rows)?;
    let relation = match operation {
        Operation::Upsert | Operation::Delete if appends => {
            check_groups(&groups)?;
            planned.touched = groups.clone();
            planned.ordering = records.ordering()?;
            let combined = records.combined(keyed)?;
            match operation {
                Operation::Delete => records.deletes(combined, &groups)?,
                _ => records.changes(combined, &groups)?,
            }
        }
        Operation::Upsert | Operation::Delete => {
            let combined = records.combined(keyed)?;
            let (touched, counts) = touched(&records, &combined, &groups).await?;
            planned.touched = touched;
            if operation == Operation::Delete {
                planned.deleted = counts;
                records.remaining(combined, &planned.touched)?
            } else {
                planned.ordering = records.ordering()?;
                records.upserted(combined, &planned.touched)?
            }
        }
        _ if combines => records.inserted(records.combined(keyed)?),
        _ => records.inserted(keyed),
    };
    let touched = planned.touched.clone();
    let (written, observed) = run(st, relation, Some(&rows), transaction, planned).await?;
    let touched = changed(touched, appends, &written);
    let partitions = written.partitions();
    let is_replaced = |group: &FileGroup| operation.replaces() && replaces.has(&group.partition, &partitions);
    let replaced = groups.into_iter().filter(is_replaced).collect();
    Ok(Done { written, touched, replaced, observed })
}

/// The groups that a write has changed, of those that it might have.
fn changed(mut touched: Vec<FileGroup>, appends: bool, written: &Written) -> Vec<FileGroup> {
    touched.retain(|group| !appends || written.has(group));
    touched
}

async fn touched(records: &Records<'_>, combined: &Relation, groups: &[FileGroup]) -> Result<Touched> {
    if groups.is_empty() {
        return Ok(Touched::default());
    }
    let counts = count_by_file(records.st, records.matches(combined.clone(), groups)?).await?;
    let found = counts.keys().filter_map(|place| groups.get(*place).cloned()).collect();
    Ok((found, counts.into_values().enumerate().collect()))
}

/// Runs the plan of the rows to write. `source`: the rows that it is made of, which may be observed.
async fn run(
    st: &Statement,
    relation: Relation,
    source: Option<&AnalyzedPlan>,
    transaction: &Arc<HudiTransaction>,
    planned: HudiRows,
) -> Result<(Written, Observed)> {
    let mut analyzed = st.analyze(&relation).await?;
    if let Some(source) = source {
        analyzed.observed = source.observed.clone();
    }
    crate::run::run_job(&st.context, &analyzed, st.job(), async |job| {
        let plan = crate::exec::ungathered(&job.plan);
        let cancel = st.context.cancel.clone().cancelled_owned();
        write_rows(transaction, plan, Arc::clone(&job.task), planned, cancel).await
    })
    .await
}

/// Keys are looked up in base files, as Hudi's index `SIMPLE` does it.
fn check_groups(groups: &[FileGroup]) -> Result<()> {
    match groups.iter().find(|group| !group.has_base) {
        Some(group) => Err(SparkError::unsupported(format!(
            "upsert and delete on a Hudi table with groups that have logs alone, as {} in the partition `{}`",
            group.id, group.partition
        ))),
        None => Ok(()),
    }
}

fn check_operation(has_keys: bool, operation: Operation) -> Result<()> {
    let changes = matches!(operation, Operation::Upsert | Operation::Delete);
    match changes && !has_keys {
        true => Err(SparkError::unsupported("upsert and delete on a Hudi table without record keys")),
        false => Ok(()),
    }
}
