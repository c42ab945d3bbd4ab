//! Files → splits → partitions, by Spark's rules: files are cut at `spark.sql.files.maxPartitionBytes`, and small pieces
//! share a partition until it is full.
use firesteel_plan::Result;

use super::Inner;
use crate::request::ScanRequest;

/// A byte range of a file of the scan, by index.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub file: usize,
    pub start: u64,
    pub length: u64,
}

impl Split {
    /// Whether it reads the part that begins there.
    pub fn has(&self, start: u64) -> bool {
        (self.start..self.start + self.length).contains(&start)
    }
}

const DEFAULT_MAX_PARTITION_BYTES: u64 = 128 << 20;
const DEFAULT_OPEN_COST: u64 = 4 << 20;

/// Partitions of splits for the files `kept`. `parallelism` is the number of cores the plan may use.
pub(super) fn partitions(inner: &Inner, kept: &[usize], parallelism: usize) -> Result<Vec<Vec<Split>>> {
    let conf = &inner.request.conf;
    let open_cost = conf.bytes("spark.sql.files.openCostInBytes", DEFAULT_OPEN_COST)?;
    let max_split = max_split_bytes(inner, kept, open_cost, parallelism)?;
    let mut splits = vec![];
    for &file in kept {
        let status = &inner.files[file].status;
        let step = if inner.format.is_splittable(status) { max_split } else { status.size.max(1) };
        let mut start = 0;
        while start < status.size {
            splits.push(Split { file, start, length: step.min(status.size - start) });
            start += step;
        }
    }
    // Large pieces first, so that small ones fill what is left; ties stay in order of the files.
    splits.sort_by_key(|split| std::cmp::Reverse(split.length));
    let packed = pack(&splits, max_split, open_cost);
    Ok(bound(packed, limit(&inner.request, parallelism)?))
}

fn max_split_bytes(inner: &Inner, kept: &[usize], open_cost: u64, parallelism: usize) -> Result<u64> {
    let conf = &inner.request.conf;
    let max_bytes = conf.bytes("spark.sql.files.maxPartitionBytes", DEFAULT_MAX_PARTITION_BYTES)?.max(1);
    let fallback = i64::try_from(parallelism).unwrap_or(1);
    let default = conf.integer("spark.default.parallelism", fallback)?;
    let default = conf.integer("spark.sql.leafNodeDefaultParallelism", default)?;
    let wanted = conf.integer("spark.sql.files.minPartitionNum", default)?;
    let total: u64 = kept.iter().map(|file| inner.files[*file].status.size.saturating_add(open_cost)).sum();
    let per_core = total / u64::try_from(wanted.max(1)).unwrap_or(1);
    Ok(max_bytes.min(open_cost.max(per_core)).max(1))
}

/// Fills partitions one after another, as Spark's `FilePartition` does.
fn pack(splits: &[Split], max_split: u64, open_cost: u64) -> Vec<Vec<Split>> {
    let mut partitions = vec![];
    let mut current: Vec<Split> = vec![];
    let mut size = 0u64;
    for split in splits {
        if size.saturating_add(split.length) > max_split && !current.is_empty() {
            partitions.push(std::mem::take(&mut current));
            size = 0;
        }
        size = size.saturating_add(split.length).saturating_add(open_cost);
        current.push(*split);
    }
    if !current.is_empty() {
        partitions.push(current);
    }
    partitions
}

/// How many partitions may be open at once. Every partition of a DataFusion plan runs at the same time, so without a wish
/// of the user a large input is read by as many partitions as there are cores, each over several splits.
fn limit(request: &ScanRequest, parallelism: usize) -> Result<usize> {
    const WISHES: [&str; 4] = [
        "spark.sql.files.maxPartitionBytes",
        "spark.sql.files.minPartitionNum",
        "spark.sql.leafNodeDefaultParallelism",
        "spark.default.parallelism",
    ];
    if WISHES.iter().any(|key| request.conf.is_set(key)) {
        return Ok(usize::MAX);
    }
    let max = request.conf.integer("spark.sql.files.maxPartitionNum", i64::MAX)?;
    Ok(parallelism.max(1).min(usize::try_from(max.max(1)).unwrap_or(usize::MAX)))
}

/// Joins neighbouring partitions until there are at most `limit`.
fn bound(partitions: Vec<Vec<Split>>, limit: usize) -> Vec<Vec<Split>> {
    if partitions.len() <= limit {
        return partitions;
    }
    let (count, mut joined) = (partitions.len(), vec![vec![]; limit]);
    for (index, splits) in partitions.into_iter().enumerate() {
        joined[index * limit / count].extend(splits);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing() {
        let split = |file, length| Split { file, start: 0, length };
        let packed = pack(&[split(0, 10), split(1, 4), split(2, 3), split(3, 2)], 10, 1);
        assert_eq!(packed, [vec![split(0, 10)], vec![split(1, 4), split(2, 3)], vec![split(3, 2)]]);
        let joined = bound(packed, 2);
        assert_eq!(joined.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1]);
    }
}
