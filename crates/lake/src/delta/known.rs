//! Tables that were read before. Their logs are listed each time; one that holds the same files is the same version.
use std::time::{Duration, Instant};

use firesteel_plan::Result;
use firesteel_storage::{FileStatus, Location, Storage};
use parking_lot::Mutex;

use super::DeltaScan;
use super::table::DeltaTable;
use crate::conf::Conf;
use crate::scan::{Scan, is_settled};

/// Tables that one cache keeps, and the data files that each may have.
const TABLES_MAX: usize = 32;
const FILES_MAX: usize = 16_384;
/// Without use.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// The tables of one session, which reaches its stores with one user's credentials.
#[derive(Debug, Default)]
pub struct KnownTables {
    /// The last used is the last.
    entries: Mutex<Vec<Known>>,
}

#[derive(Debug)]
struct Known {
    storage: Storage,
    log: Vec<FileStatus>,
    table: DeltaTable,
    /// All of the table, under these settings
    scan: Option<(Conf, Scan)>,
    used: Instant,
}

impl KnownTables {
    /// Does what [`DeltaTable::find`] does.
    pub async fn find(&self, location: &Location, storage: &Storage) -> Result<Option<DeltaTable>> {
        let Some(log) = DeltaTable::log_files(location, storage).await? else { return Ok(None) };
        if let Some(table) = self.get(location, storage, &log) {
            return Ok(Some(table));
        }
        // What was listed is older than what is read now, or the same: a later listing tells.
        let table = DeltaTable::load(location, storage, None).await?;
        if is_settled(&log) && table.file_count()? <= FILES_MAX {
            let storage = storage.clone();
            self.keep(Known { storage, log, table: table.clone(), scan: None, used: Instant::now() });
        }
        Ok(Some(table))
    }

    /// All of a table, as [`DeltaScan`] has it.
    pub fn scan(&self, table: &DeltaTable, conf: Conf) -> Result<Scan> {
        let is_kept = |known: &Known| known.table.is(table);
        let found = self.entries.lock().iter().find(|known| is_kept(known)).and_then(|known| known.scan.clone());
        if let Some((_, scan)) = found.filter(|(before, _)| before.is(&conf)) {
            return Ok(scan);
        }
        let scan = DeltaScan { table: table.clone(), files: None, conf: conf.clone() }.scan()?;
        if let Some(known) = self.entries.lock().iter_mut().find(|known| is_kept(known)) {
            known.scan = Some((conf, scan.clone()));
        }
        Ok(scan)
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.entries.lock().clear();
    }

    fn get(&self, location: &Location, storage: &Storage, log: &[FileStatus]) -> Option<DeltaTable> {
        let mut entries = self.entries.lock();
        let position = entries.iter().rposition(|known| known.is_at(location, storage) && known.log == log)?;
        let mut known = entries.remove(position);
        known.used = Instant::now();
        let table = known.table.clone();
        entries.push(known);
        Some(table)
    }

    fn keep(&self, new: Known) {
        let mut entries = self.entries.lock();
        entries.retain(|known| known.used.elapsed() < KEPT_FOR && !known.is_at(new.table.location(), &new.storage));
        if entries.len() >= TABLES_MAX {
            entries.remove(0);
        }
        entries.push(new);
    }
}

impl Known {
    fn is_at(&self, location: &Location, storage: &Storage) -> bool {
        self.table.location() == location && self.storage == *storage
    }
}
