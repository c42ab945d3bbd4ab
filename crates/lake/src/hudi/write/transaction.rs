//! One write of a table, from its first entry in the timeline to its last.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use chrono::{Duration, NaiveDateTime};
use firesteel_plan::{JavaException, Result, SparkError};
use firesteel_storage::{FileSystem, Location, Storage};
use parking_lot::Mutex;

use super::commits::{CommitMetadata, replace_request};
use super::definition::{HudiDefinition, METADATA_PARTITIONS, text_of};
use super::rows::Written;
use super::{FileGroup, Operation, TableLock, leftovers};
use crate::hudi::table::{HudiTable, META, read};
use crate::hudi::{metadata, timeline::Timeline};
use crate::iceberg::avro::{Value, read_file};
use crate::iceberg::publish::{put, put_new, put_once};

const PROPERTIES: &str = "hoodie.properties";
const INSTANT: &str = "%Y%m%d%H%M%S%3f";
/// How often another writer may take the instant that this one wants.
const ATTEMPTS: usize = 20;
/// Folders that Hudi's writers expect.
const FOLDERS: [&str; 3] = [".temp", ".aux/.bootstrap/.partitions", ".aux/.bootstrap/.fileids"];

/// A write that is under way. Dropped without a commit it is rolled back.
#[derive(Debug)]
pub struct HudiTransaction {
    pub(super) state: Arc<State>,
    is_done: AtomicBool,
}

#[derive(Debug)]
pub(super) struct State {
    pub table: HudiTable,
    pub definition: HudiDefinition,
    pub operation: Operation,
    /// The Avro schema of the records
    pub schema: String,
    pub instant: String,
    /// Whether the table is one that this write has made
    is_new: bool,
    /// Files that were begun
    pub begun: Mutex<Vec<Location>>,
    /// Whether the write may have become part of the table, or may yet
    is_unknown: AtomicBool,
    _lock: TableLock,
}

impl HudiTable {
    /// Makes a table without rows. Where there is one already, that is an error.
    pub async fn create(
        location: &Location,
        storage: &Storage,
        definition: &HudiDefinition,
        schema: &str,
    ) -> Result<Self> {
        let text = text_of(&definition.properties(schema)?);
        let files = storage.file_system(location)?;
        let meta = location.join(META);
        let mut folders = FOLDERS.to_vec();
        if definition.version >= 8 {
            folders.push("timeline/history");
        }
        for folder in folders {
            files.create_directory(&meta.join(folder)).await?;
        }
        match put_new(files.as_ref(), &meta.join(PROPERTIES), text.into_bytes()).await? {
            true => Self::open(location, storage).await,
            false => Err(SparkError::new("PATH_ALREADY_EXISTS", [("outputPath", location.to_string())])),
        }
    }

    /// Removes a table that was made, in an empty place, for a write that failed.
    pub async fn discard(&self) {
        // What cannot be removed is a table without rows.
        let _ = self.files().delete(self.location()).await;
    }
}

impl HudiTransaction {
    /// `schema`: the Avro schema of the records that the table has after the write. `removes_all`: whether writes that are
    /// not complete go even where their writers may not be gone.
    pub async fn begin(
        table: HudiTable,
        operation: Operation,
        schema: String,
        is_new: bool,
        removes_all: bool,
        lock: TableLock,
    ) -> Result<Self> {
        let definition = table.definition()?;
        check_pending(&table).await?;
        check_metadata_table(&table)?;
        leftovers::remove(&table, removes_all).await?;
        let request = if operation.replaces() { replace_request(operation.name())? } else { vec![] };
        let instant = next_instant(&table, table.timeline().last.as_deref())?;
        let location = table.location().clone();
        let state = State {
            table,
            definition,
            operation,
            schema,
            instant,
            is_new,
            begun: Mutex::default(),
            is_unknown: AtomicBool::new(false),
            _lock: lock,
        };
        // From here on nothing is left where the caller goes away.
        let mut transaction = Self { state: Arc::new(state), is_done: AtomicBool::new(false) };
        for _ in 0..ATTEMPTS {
            if transaction.state.take_instant(request.clone()).await? {
                return Ok(transaction);
            }
            let next = next_instant(&transaction.state.table, Some(&transaction.state.instant))?;
            match Arc::get_mut(&mut transaction.state) {
                Some(state) => state.instant = next,
                None => break,
            }
        }
        *transaction.is_done.get_mut() = true;
        Err(overtaken(&location, "other writers have taken every instant"))
    }

    pub fn definition(&self) -> &HudiDefinition {
        &self.state.definition
    }

    /// Makes what was written part of the table. `touched`: groups whose files were written anew; `replaced`: groups
    /// that others were put in place of.
    pub async fn commit(
        self: Arc<Self>,
        written: Written,
        touched: &[FileGroup],
        replaced: &[FileGroup],
    ) -> Result<()> {
        let done = self.state.complete(written, touched, replaced).await;
        match &done {
            Err(_) if !self.state.is_unknown.load(Ordering::Acquire) => self.rollback().await,
            _ => self.is_done.store(true, Ordering::Release),
        }
        done
    }

    /// Removes what the write has left.
    pub async fn rollback(&self) {
        if !self.is_done.swap(true, Ordering::AcqRel) {
            self.state.rollback().await;
        }
    }
}

impl Drop for HudiTransaction {
    fn drop(&mut self) {
        if *self.is_done.get_mut() {
            return;
        }
        // The caller is gone, as a client that was lost; the lock is kept until nothing is left.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let state = Arc::clone(&self.state);
            runtime.spawn(async move { state.rollback().await });
        }
    }
}

/// What the timeline calls a write.
fn action(definition: &HudiDefinition, operation: Operation) -> &'static str {
    match (operation.replaces(), definition.is_merge_on_read) {
        (true, _) => "replacecommit",
        (false, true) => "deltacommit",
        (false, false) => "commit",
    }
}

/// The time now as the table tells it, later than any that its timeline names.
fn next_instant(table: &HudiTable, last: Option<&str>) -> Result<String> {
    let is_utc = table.property("hoodie.table.timeline.timezone").is_some_and(|zone| zone.eq_ignore_ascii_case("UTC"));
    let now = match is_utc {
        true => chrono::Utc::now().naive_utc(),
        false => chrono::Local::now().naive_local(),
    };
    let now = now.format(INSTANT).to_string();
    match last.filter(|last| *last >= now.as_str()) {
        None => Ok(now),
        Some(last) => {
            let whole = format!("{last:0<17}");
            // Digits without separators: the fraction is told apart by a point.
            let spelled = format!("{}.{}", &whole[..14], &whole[14..17]);
            let time = NaiveDateTime::parse_from_str(&spelled, "%Y%m%d%H%M%S%.3f");
            let time = time.map_err(|error| crate::hudi::table::damaged(format!("the instant {last}: {error}")))?;
            Ok((time + Duration::milliseconds(1)).format(INSTANT).to_string())
        }
    }
}

/// Errors where a service of Hudi's is about to rewrite groups: it would lose what is written to them meanwhile.
async fn check_pending(table: &HudiTable) -> Result<()> {
    for (instant, file) in &table.timeline().requested {
        let name = file.location.name();
        let rewrites = match name.split('.').nth(1) {
            Some("clustering") => true,
            Some("replacecommit") => {
                let bytes = read(table.files().as_ref(), file).await?;
                !bytes.is_empty() && read_file(&bytes)?.1.iter().any(|plan| *plan.get("clusteringPlan") != Value::Null)
            }
            _ => false,
        };
        if rewrites {
            return Err(SparkError::unsupported(format!(
                "writing the Hudi table at {} while its clustering {instant} is planned or under way",
                table.location()
            )));
        }
    }
    Ok(())
}

/// Errors where Hudi's writers could not make its table of the files anew: Hudi 1.0 leaves out the logs of slices that a
/// compaction is to begin, where these have the compaction's instant in their names.
fn check_metadata_table(table: &HudiTable) -> Result<()> {
    let pending = table.timeline().pending_compactions.first();
    let has_table = table.property(METADATA_PARTITIONS).is_some() && !table.timeline().has_completions;
    match pending.filter(|_| has_table) {
        Some(instant) => Err(SparkError::unsupported(format!(
            "writing the Hudi table at {} of version 6 with a metadata table while its compaction {instant} is planned or under way",
            table.location()
        ))),
        None => Ok(()),
    }
}

/// Another writer was faster.
pub(super) fn overtaken(table: &Location, why: &str) -> SparkError {
    let text = format!("Cannot resolve conflicts for overlapping writes of the Hudi table at {table}: {why}");
    SparkError::java(JavaException::Io, text)
}

impl State {
    fn files(&self) -> &dyn FileSystem {
        self.table.files().as_ref()
    }

    fn meta(&self) -> Location {
        self.table.location().join(META)
    }

    /// The entries of this write in the timeline: requested, and under way.
    fn entries(&self) -> [Location; 2] {
        let (folder, action) = (self.table.timeline_folder(), action(&self.definition, self.operation));
        let inflight = leftovers::inflight_of(&self.table, &self.instant, action);
        [folder.join(&format!("{}.{action}.requested", self.instant)), inflight]
    }

    /// Writes the first entries. `false`: another writer has the instant.
    async fn take_instant(&self, request: Vec<u8>) -> Result<bool> {
        let [requested, inflight] = self.entries();
        // Where it is there already, the answer to an earlier attempt may have been lost: whoever marks an instant as under
        // way has it.
        put_new(self.files(), &requested, request).await?;
        let writer = Some(leftovers::this_writer());
        let metadata = CommitMetadata { operation: self.operation.name(), writer, ..CommitMetadata::default() };
        put_once(self.files(), &inflight, metadata.bytes(self.definition.version)?).await
    }

    /// Where markers of this write's files lie.
    fn markers(&self) -> Location {
        self.meta().join(".temp").join(&self.instant)
    }

    /// Names a file before it is begun.
    pub(super) async fn mark(&self, path: &str, kind: &str) -> Result<Location> {
        put(self.files(), &self.markers().join(&format!("{path}.marker.{kind}")), vec![]).await?;
        let place = self.table.location().join(path);
        self.begun.lock().push(place.clone());
        Ok(place)
    }

    /// Instant and number in the name of the next log of a group.
    pub(super) fn next_log<'a>(&'a self, group: &'a FileGroup) -> (&'a str, u64) {
        match self.table.timeline().has_completions {
            true => (&self.instant, 1),
            false => (&group.next_log.0, group.next_log.1),
        }
    }

    /// Says of a directory that it is a partition.
    pub(super) async fn mark_partition(&self, partition: &str) -> Result<()> {
        let root = self.table.location();
        let directory = if partition.is_empty() { root.clone() } else { root.join(partition) };
        let depth = partition.split('/').filter(|part| !part.is_empty()).count();
        let text = format!("#partition metadata\ncommitTime={}\npartitionDepth={depth}\n", self.instant);
        put_new(self.files(), &directory.join(".hoodie_partition_metadata"), text.into_bytes()).await.map(|_| ())
    }

    async fn complete(&self, written: Written, touched: &[FileGroup], replaced: &[FileGroup]) -> Result<()> {
        let changed: BTreeSet<&str> = touched.iter().chain(replaced).map(|group| group.id.as_str()).collect();
        let now = self.check_overtaken(&changed).await?;
        if self.files().status(&self.entries()[1]).await?.is_none() {
            return Err(overtaken(
                self.table.location(),
                "another writer took this one for dead and removed its files",
            ));
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for group in replaced {
            groups.entry(group.partition.clone()).or_default().push(group.id.clone());
        }
        let metadata = CommitMetadata {
            operation: self.operation.name(),
            schema: Some(self.schema.clone()),
            files: written.files,
            replaced: self.operation.replaces().then_some(groups),
            writer: None,
        };
        let bytes = metadata.bytes(self.definition.version)?;
        self.drop_metadata_table().await?;
        let action = action(&self.definition, self.operation);
        let name = match self.definition.version >= 8 {
            true => {
                let last = now.last.as_deref().max(Some(self.instant.as_str()));
                format!("{}_{}.{action}", self.instant, next_instant(&self.table, last)?)
            }
            false => format!("{}.{action}", self.instant),
        };
        self.publish(&self.table.timeline_folder().join(&name), bytes).await?;
        // Markers of a write that is complete are passed over.
        let _ = self.files().delete(&self.markers()).await;
        Ok(())
    }

    /// Writes the entry that makes this write count.
    async fn publish(&self, entry: &Location, bytes: Vec<u8>) -> Result<()> {
        // The instant is this write's own: an entry that is there already is one whose answer was lost.
        let Err(error) = put_new(self.files(), entry, bytes).await else { return Ok(()) };
        match self.files().status(entry).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) if entry.scheme() == "file" => Err(error),
            // What was asked of a store may still come: the files have to be there then.
            _ => {
                self.is_unknown.store(true, Ordering::Release);
                let why = format!("whether its write {} is complete is not known", self.instant);
                let text = format!("the Hudi table at {}: {why}", self.table.location());
                Err(SparkError::java(JavaException::Io, text).with_cause(error))
            }
        }
    }

    /// Errors where another writer has changed groups since this write has read them.
    async fn check_overtaken(&self, changed: &BTreeSet<&str>) -> Result<Timeline> {
        let location = self.table.location();
        let now = HudiTable::open(location, self.table.storage()).await?;
        let before = &self.table.timeline().completed;
        let appends = self.definition.is_merge_on_read && !self.operation.replaces();
        for (instant, write) in now.timeline().writes().filter(|(instant, _)| !before.contains_key(*instant)) {
            // A compaction says the same in another file; logs go on with it where their names do not tell the slice, or
            // tell the one that it begins.
            let is_compaction = write.action == "commit";
            if appends && is_compaction && (now.timeline().has_completions || self.knows_compaction(instant)) {
                continue;
            }
            let bytes: Bytes = read(self.files(), &write.file).await?;
            if metadata::schema(&bytes)?.is_some_and(|schema| schema != self.schema) {
                return Err(overtaken(location, &format!("the write {instant} has changed its columns")));
            }
            let group = |name: String| Some(name.trim_start_matches('.').split_once('_')?.0.to_string());
            let groups = metadata::written(&bytes)?.into_iter().filter_map(group);
            let replaced = metadata::replaced(&bytes)?.into_iter().map(|(_, group)| group);
            let mut both = groups.chain(replaced);
            if self.operation == Operation::InsertOverwriteTable || both.any(|group| changed.contains(group.as_str())) {
                return Err(overtaken(location, &format!("the write {instant} has changed the same files")));
            }
        }
        let planned = now.timeline().pending_compactions.iter().find(|instant| !self.knows_compaction(instant));
        if let Some(instant) = planned.filter(|_| appends && !now.timeline().has_completions && !changed.is_empty()) {
            return Err(overtaken(location, &format!("the compaction {instant} was planned meanwhile")));
        }
        check_pending(&now).await?;
        Ok(now.timeline().clone())
    }

    /// Whether a compaction was planned when this write began.
    fn knows_compaction(&self, instant: &str) -> bool {
        self.table.timeline().pending_compactions.contains(instant)
    }

    /// Hudi's own table of the files is not kept here: a table that has one goes on without it, until a writer of
    /// Hudi's makes it anew.
    async fn drop_metadata_table(&self) -> Result<()> {
        let place = self.meta().join(PROPERTIES);
        let found = self.files().status(&place).await?;
        let Some(found) = found else { return Err(overtaken(self.table.location(), "it was removed")) };
        let text = read(self.files(), &found).await?;
        let mut properties = crate::hudi::properties::lines(&String::from_utf8_lossy(&text));
        let folder = self.meta().join("metadata");
        let inflight = format!("{METADATA_PARTITIONS}.inflight");
        let is_named =
            [METADATA_PARTITIONS, inflight.as_str()].map(|key| properties.remove(key)).iter().any(Option::is_some);
        if is_named {
            put(self.files(), &place, text_of(&properties).into_bytes()).await?;
            if place.scheme() == "file" {
                // Hadoop keeps sums of local files beside them, and does not read a file that has another.
                self.files().delete(&self.meta().join(&format!(".{PROPERTIES}.crc"))).await?;
            }
        }
        match self.files().status(&folder).await? {
            Some(_) => self.files().delete(&folder).await,
            None => Ok(()),
        }
    }

    async fn rollback(&self) {
        let mut is_clean = true;
        let begun = std::mem::take(&mut *self.begun.lock());
        for place in &begun {
            is_clean &= self.files().delete(place).await.is_ok();
        }
        // Files that are left need the entries, which say that they do not count.
        if !is_clean {
            return;
        }
        let _ = self.files().delete(&self.markers()).await;
        let [requested, inflight] = self.entries();
        if self.files().delete(&inflight).await.is_ok() {
            let _ = self.files().delete(&requested).await;
        }
        if self.is_new {
            self.table.discard().await;
        }
    }
}
