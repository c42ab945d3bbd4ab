//! LOAD DATA: files become a table's own as they are. Only tables in one of Hive's formats (`STORED AS`) take them.
use std::sync::Arc;

use firesteel_catalog::{Partition, Table};
use firesteel_plan::statement::PartitionValues;
use firesteel_plan::{Result, SparkError, TableName};
use firesteel_storage::{FileStatus, FileSystem, Location, glob};
use futures::TryStreamExt;
use object_store::ObjectStoreExt;

use super::hive::is_hive_format;
use super::{Answer, Statement, partition};
use crate::execution::Execution;
use crate::names::quote_id;

/// `LOAD DATA [LOCAL] INPATH path [OVERWRITE] INTO TABLE …`
pub struct LoadData {
    pub path: String,
    /// The files stay where they are: the table gets copies.
    pub is_local: bool,
    pub overwrite: bool,
    pub table: TableName,
    pub partition: Option<PartitionValues>,
}

pub async fn load_data(st: &Statement, load: LoadData) -> Answer {
    let table = st.existing_non_view(&load.table, "LOAD DATA").await?;
    let spec = match &load.partition {
        Some(values) => Some(partition::spec(st, &table, values, false).await?),
        None => None,
    };
    check_target(&table, spec.as_ref().map(Vec::len))?;
    let missing = || SparkError::new("LOAD_DATA_PATH_NOT_EXISTS", [("path", load.path.as_str())]);
    let source = Location::parse(&load.path).map_err(|error| missing().with_cause(error))?;
    let files = st.context.storage().file_system(&source)?;
    let found = matching(files.as_ref(), &source).await?.ok_or_else(missing)?;
    let partition = spec.map(|spec| Partition::new(spec, None));
    let directory = match &partition {
        Some(partition) => {
            let known = st.catalog().get_partition(&table.id, &partition.spec).await?;
            partition::directory(&table, known.as_ref().unwrap_or(partition))?
        }
        None => table.location.clone().unwrap_or_default(),
    };
    let place = Place::new(st, &directory)?;
    place.files.create_directory(&place.directory).await?;
    place.load(files.as_ref(), found, load.is_local, load.overwrite).await?;
    if let Some(partition) = partition {
        st.catalog().create_partitions(&table.id, vec![partition], true).await?;
    }
    st.session().cache.invalidate_table(&table.id);
    Ok(Execution::empty())
}

/// Whether the table takes files, and with this many partition values.
fn check_target(table: &Table, values: Option<usize>) -> Result<()> {
    let name = quote_id(&table.id);
    let wanted = table.partition_columns.len();
    let refused = |condition: &str, mut parameters: Vec<(&'static str, String)>, message: String| {
        parameters.push(("tableIdentWithDB", name.clone()));
        Err(SparkError::new(condition, parameters).with_message(message))
    };
    if !is_hive_format(table) {
        let message =
            format!("LOAD DATA is for tables made with STORED AS; {name} is a data source table: use INSERT.");
        return refused("_LEGACY_ERROR_TEMP_1261", vec![], message);
    }
    match values {
        None if wanted > 0 => {
            let message = format!("{name} is partitioned: LOAD DATA needs PARTITION (…).");
            refused("_LEGACY_ERROR_TEMP_1262", vec![], message)
        }
        Some(given) if given != wanted => {
            let message = format!("PARTITION has {given} columns, but {name} is partitioned by {wanted}.");
            let parameters = vec![("partitionSize", given.to_string()), ("targetTableSize", wanted.to_string())];
            refused("_LEGACY_ERROR_TEMP_1263", parameters, message)
        }
        _ => Ok(()),
    }
}

/// What a path or pattern names; `None`: nothing. A directory stands for what it holds, but for hidden files.
async fn matching(files: &dyn FileSystem, source: &Location) -> Result<Option<Vec<FileStatus>>> {
    let named = if glob::is_glob(source.path()) {
        glob::expand(files, source).await?
    } else {
        files.status(source).await?.into_iter().collect()
    };
    if named.is_empty() {
        return Ok(None);
    }
    let mut found = vec![];
    for status in named {
        if status.is_directory {
            let inside = files.list(&status.location).await?;
            found.extend(inside.into_iter().filter(|s| !firesteel_storage::is_hidden(s.location.name())));
        } else {
            found.push(status);
        }
    }
    Ok(Some(found))
}

/// The directory that the files go to.
struct Place {
    directory: Location,
    files: Arc<dyn FileSystem>,
}

impl Place {
    fn new(st: &Statement, directory: &str) -> Result<Self> {
        let directory = Location::parse(directory)?;
        let files = st.context.storage().file_system(&directory)?;
        Ok(Self { directory, files })
    }

    /// Puts files into the directory; it is as it was if that fails. Copies are made in a hidden directory first, so that
    /// all that is left to do is to rename.
    async fn load(
        &self,
        files: &dyn FileSystem,
        found: Vec<FileStatus>,
        is_local: bool,
        overwrite: bool,
    ) -> Result<()> {
        let staging = self.directory.join(&format!(".load-{}", uuid::Uuid::new_v4()));
        self.files.create_directory(&staging).await?;
        let loaded = self.load_through(&staging, files, &found, is_local, overwrite).await;
        let cleared = self.files.delete(&staging).await;
        loaded.and(cleared)
    }

    async fn load_through(
        &self,
        staging: &Location,
        files: &dyn FileSystem,
        found: &[FileStatus],
        is_local: bool,
        overwrite: bool,
    ) -> Result<()> {
        let can_rename = !is_local && files.store_url() == self.files.store_url();
        let mut ready = Vec::with_capacity(found.len());
        for (number, status) in found.iter().enumerate() {
            let from = if can_rename { status.location.clone() } else { staging.join(&format!("new-{number}")) };
            if !can_rename {
                self.copy(files, status, &from).await?;
            }
            ready.push((from, status.location.name()));
        }
        let old = if overwrite { self.old(found).await? } else { vec![] };
        let mut renamed = vec![];
        if let Err(error) = self.exchange(staging, &old, &ready, &mut renamed).await {
            for (from, to) in renamed.iter().rev() {
                self.files.rename(to, from).await?;
            }
            return Err(error);
        }
        if !is_local && !can_rename {
            for status in found {
                files.delete(&status.location).await?;
            }
        }
        Ok(())
    }

    /// Moves the old files away and the new ones in, and lists what it has moved.
    async fn exchange(
        &self,
        staging: &Location,
        old: &[Location],
        ready: &[(Location, &str)],
        renamed: &mut Vec<(Location, Location)>,
    ) -> Result<()> {
        for (number, from) in old.iter().enumerate() {
            let to = staging.join(&format!("old-{number}"));
            self.files.rename(from, &to).await?;
            renamed.push((from.clone(), to));
        }
        for (from, name) in ready {
            let to = self.free_name(name).await?;
            self.files.rename(from, &to).await?;
            renamed.push((from.clone(), to));
        }
        Ok(())
    }

    /// What is there, but for what is being loaded.
    async fn old(&self, loaded: &[FileStatus]) -> Result<Vec<Location>> {
        let all = self.files.list(&self.directory).await?.into_iter().map(|status| status.location);
        let is_loaded = |place: &Location| loaded.iter().any(|status| status.location == *place);
        Ok(all.filter(|place| !is_loaded(place) && !firesteel_storage::is_hidden(place.name())).collect())
    }

    /// `a.txt`, or `a_copy_1.txt` where that is taken, and so on.
    async fn free_name(&self, name: &str) -> Result<Location> {
        let (stem, extension) = name.rsplit_once('.').map_or((name, String::new()), |(s, e)| (s, format!(".{e}")));
        let mut free = self.directory.join(name);
        let mut count = 0;
        while self.files.status(&free).await?.is_some() {
            count += 1;
            free = self.directory.join(&format!("{stem}_copy_{count}{extension}"));
        }
        Ok(free)
    }

    /// Copies a file, or a directory with all it holds. (An object store's own copy may be a link.)
    async fn copy(&self, files: &dyn FileSystem, status: &FileStatus, to: &Location) -> Result<()> {
        let mut pending = vec![(status.clone(), to.clone())];
        while let Some((status, to)) = pending.pop() {
            if status.is_directory {
                self.files.create_directory(&to).await?;
                let inside = files.list(&status.location).await?;
                pending.extend(inside.into_iter().map(|s| {
                    let to = to.join(s.location.name());
                    (s, to)
                }));
                continue;
            }
            self.copy_file(files, &status.location, &to).await?;
        }
        Ok(())
    }

    async fn copy_file(&self, files: &dyn FileSystem, from: &Location, to: &Location) -> Result<()> {
        let (from_path, to_path) = (from.object_path()?, to.object_path()?);
        let copied = async {
            let mut bytes = files.object_store().get(&from_path).await?.into_stream();
            let mut upload =
                object_store::WriteMultipart::new(self.files.object_store().put_multipart(&to_path).await?);
            while let Some(chunk) = bytes.try_next().await? {
                upload.wait_for_capacity(1).await?;
                upload.put(chunk);
            }
            upload.finish().await?;
            Ok::<_, object_store::Error>(())
        };
        copied.await.map_err(|error| {
            SparkError::new("_LEGACY_ERROR_TEMP_3069", [("message", format!("Cannot copy {from} to {to}"))])
                .with_cause(error)
        })
    }
}
