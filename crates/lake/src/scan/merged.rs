//! Files with later changes in logs, which are merged as they are read.
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::physical_plan::ExecutionPlan;
use firesteel_functions::external;

use super::metadata;
use super::provider::{FileTable, partitioned_file, statistics_by_size};
use crate::hudi::logs::{Logs, MergeExec, Slice};

/// A plan that reads the files `merged` with their logs. `wanted`: columns of the table schema. Filters apply to what it
/// hands out, not to what it reads.
pub(super) fn plan(
    table: &FileTable,
    logs: &Arc<Logs>,
    merged: &[usize],
    wanted: Vec<usize>,
    session: &dyn Session,
) -> Result<Arc<dyn ExecutionPlan>> {
    let inner = table.inner();
    let fields = table.table_schema.table_schema().fields();
    let (width, metadata_column) = (wanted.len(), fields.len() - 1);
    let mut columns = wanted;
    for name in logs.columns() {
        let place = fields.iter().position(|field| field.name() == name);
        columns.extend(place.filter(|place| !columns.contains(place)));
    }
    // Values of the partition of a file lie between the columns of files and the metadata.
    let first_partition = metadata_column - inner.partition_schema.fields.len();
    let mut files: Vec<PartitionedFile> = vec![];
    let mut slices = Vec::with_capacity(merged.len());
    for (index, of_slice) in merged.iter().filter_map(|index| Some((*index, logs.of(*index)?))) {
        let file = &inner.files[index];
        let constant = metadata::value(&file.status, 0, file.status.size);
        let base = of_slice.has_base.then_some(files.len());
        if of_slice.has_base {
            let mut part = partitioned_file(file)?;
            part.partition_values.push(constant.clone());
            files.push(part);
        }
        let value = |column: usize| match column.checked_sub(first_partition)? {
            _ if column == metadata_column => Some(constant.clone()),
            place => file.partition_values.get(place).cloned(),
        };
        let constants =
            columns.iter().enumerate().filter_map(|(place, column)| Some((place, value(*column)?))).collect();
        slices.push(Slice { base, logs: of_slice.clone(), constants });
    }
    let all: Vec<usize> = (0..files.len()).collect();
    let statistics = statistics_by_size(&files, &all, &table.table_schema);
    let groups = files.into_iter().map(|file| FileGroup::new(vec![file])).collect();
    let (base, _) = table.data_source(groups, columns, statistics, None, session)?;
    let parallelism = session.config().target_partitions();
    let exact_case = inner.request.conf.case_sensitive();
    let plan = MergeExec::new(base, Arc::clone(logs), slices, width, parallelism, exact_case);
    Ok(Arc::new(plan.map_err(external)?))
}
