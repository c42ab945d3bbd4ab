//! The process-wide runtime: memory pool, spill directories, caches.
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use firesteel_lake::{DecodedParts, StoreRegistry};
use firesteel_plan::{Result, SparkError};

use crate::error::from_datafusion;
use crate::footers::Footers;
use crate::memory::SpillingPool;
use firesteel_conf::parse::bytes as parse_bytes;

/// Share of the machine (or of `spark.driver.memory`) that operators may hold. The rest is for what is not accounted:
/// batches in flight, caches, the allocator.
const POOL_FRACTION: f64 = 0.6;
/// Never less: a query needs some room for its sort and aggregate buffers.
const POOL_MIN_BYTES: u64 = 64 << 20;
/// One spilled run is merged at once for every so many bytes of the pool; more are merged in more passes.
const MERGED_RUN_BYTES: u64 = 32 << 20;
/// The share of the pool that decoded parts of files may take.
const DECODED_POOL_SHARE: u64 = 16;
/// Footers of files
const METADATA_CACHE_BYTES_MAX: u64 = 512 << 20;

/// How much memory the process may use and how much of it the pool hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBudget {
    pub total_bytes: u64,
    pub pool_bytes: u64,
}

impl MemoryBudget {
    /// From `spark.driver.memory` where it is set, else from the machine or its cgroup.
    pub fn of_conf(conf: &BTreeMap<String, String>) -> Result<Self> {
        let total_bytes = match conf.get("spark.driver.memory") {
            // As in Spark, a bare number is in MiB.
            Some(text) if text.trim().chars().all(|c| c.is_ascii_digit()) => {
                parse_bytes(&format!("{}m", text.trim())).ok_or_else(|| bad_memory(text))?
            }
            Some(text) => parse_bytes(text).ok_or_else(|| bad_memory(text))?,
            None => machine_bytes(),
        };
        let pool_bytes = ((total_bytes as f64 * POOL_FRACTION) as u64).max(POOL_MIN_BYTES);
        Ok(Self { total_bytes, pool_bytes })
    }
}

fn bad_memory(text: &str) -> SparkError {
    SparkError::new(
        "INVALID_CONF_VALUE.TYPE_MISMATCH",
        [("confName", "spark.driver.memory"), ("confValue", text), ("confType", "bytes")],
    )
}

/// Memory of the machine, or the limit of the cgroup (version 2, then 1) where that is lower.
fn machine_bytes() -> u64 {
    let kilobytes = |line: &str| line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| text.lines().find(|line| line.starts_with("MemTotal:")).and_then(kilobytes))
        .map_or(4 << 30, |kb| kb * 1024);
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let cgroup = limits.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    cgroup.map_or(machine, |limit| limit.min(machine))
}

/// Threads that work: `spark.master=local[n]`, else the machine's cores.
pub fn cores(conf: &BTreeMap<String, String>) -> usize {
    let of_master = conf.get("spark.master").and_then(|master| {
        master.strip_prefix("local[").and_then(|rest| rest.split([']', ',']).next()).and_then(|n| n.trim().parse().ok())
    });
    of_master.filter(|n| *n > 0).unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Directories that spill files go to: `spark.local.dir` (a comma-separated list), else the system's.
fn spill_mode(conf: &BTreeMap<String, String>) -> Result<DiskManagerMode> {
    let Some(list) = conf.get("spark.local.dir").filter(|list| !list.trim().is_empty()) else {
        return Ok(DiskManagerMode::OsTmpDirectory);
    };
    let directories: Vec<PathBuf> = list.split(',').map(|dir| PathBuf::from(dir.trim())).collect();
    for directory in &directories {
        fs::create_dir_all(directory).map_err(|e| {
            SparkError::internal(format!("cannot make the spill directory {}", directory.display())).with_cause(e)
        })?;
    }
    Ok(DiskManagerMode::Directories(directories))
}

pub fn build(conf: &BTreeMap<String, String>, budget: MemoryBudget) -> Result<Arc<RuntimeEnv>> {
    let pool_bytes = usize::try_from(budget.pool_bytes).unwrap_or(usize::MAX);
    let merged_runs = (budget.pool_bytes / MERGED_RUN_BYTES).clamp(8, 128) as usize;
    let metadata_bytes = (budget.total_bytes / 20).min(METADATA_CACHE_BYTES_MAX) as usize;
    let footers = Arc::<Footers>::default();
    tokio::spawn(Footers::keep_young(Arc::downgrade(&footers)));
    let caches = CacheManagerConfig::default().with_file_metadata_cache(Some(footers));
    RuntimeEnvBuilder::new()
        .with_cache_manager(caches)
        .with_memory_pool(Arc::new(SpillingPool::new(pool_bytes)))
        .with_object_store_registry(Arc::new(StoreRegistry::default()))
        .with_disk_manager_builder(DiskManagerBuilder::default().with_mode(spill_mode(conf)?))
        .with_max_spill_merge_fan_in(merged_runs)
        .with_metadata_cache_limit(metadata_bytes)
        // Tables change under us (other writers): listings are not kept.
        .with_object_list_cache_limit(0)
        .build_arc()
        .map_err(from_datafusion)
}

/// The decoded parts of files that small queries ask for again and again.
pub fn decoded_parts(runtime: &RuntimeEnv, budget: MemoryBudget) -> Arc<DecodedParts> {
    let bytes = usize::try_from(budget.pool_bytes / DECODED_POOL_SHARE).unwrap_or(usize::MAX);
    let parts = Arc::new(DecodedParts::new(&runtime.memory_pool, bytes));
    tokio::spawn(DecodedParts::keep_young(Arc::downgrade(&parts)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_and_cores() {
        let conf = |key: &str, value: &str| BTreeMap::from([(key.to_string(), value.to_string())]);
        let budget = MemoryBudget::of_conf(&conf("spark.driver.memory", "1g")).unwrap();
        assert_eq!(budget.total_bytes, 1 << 30);
        assert!(MemoryBudget::of_conf(&conf("spark.driver.memory", "lots")).is_err());
        assert_eq!(cores(&conf("spark.master", "local[3]")), 3);
    }
}
