//! A table in a directory: which metadata file is the newest.
use std::io::Read;
use std::sync::Arc;

use firesteel_plan::{Result, StructType};
use firesteel_storage::{FileSystem, Location, Storage, store_error};
use object_store::{Error, ObjectStoreExt};

use super::errors::{broken, no_table, unsupported};
use super::home::{ServedTable, TableHome, TablePointer, TableService};
use super::metadata::{IcebergVersion, Snapshot, TableMetadata};

const HINT: &str = "version-hint.text";
const SUFFIX: &str = ".metadata.json";
/// Names of one store.
const S3_SCHEMES: &[&str] = &["s3", "s3a", "s3n"];

/// A table as one metadata file says. Cheap to clone.
#[derive(Debug, Clone)]
pub struct IcebergTable {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    location: Location,
    storage: Storage,
    files: Arc<dyn FileSystem>,
    metadata: TableMetadata,
    metadata_file: Location,
    /// The number in the name of the metadata file
    version: u64,
    keeper: Keeper,
}

/// What says that this is the newest metadata.
#[derive(Debug)]
enum Keeper {
    /// The numbers in the names of metadata files
    Directory,
    /// A catalog, and how it names the metadata file
    Pointer(Arc<dyn TablePointer>, String),
    /// A catalog that has the metadata, and the name of its file
    Service(Arc<dyn TableService>, String),
}

impl IcebergTable {
    /// The table in a directory, or that of a metadata file.
    pub async fn open(location: &Location, storage: &Storage) -> Result<Self> {
        Self::find(location, storage).await?.ok_or_else(|| no_table(location))
    }

    /// The table in a directory, if there is one.
    pub async fn find(location: &Location, storage: &Storage) -> Result<Option<Self>> {
        let files = storage.file_system(location)?;
        if location.name().ends_with(SUFFIX) {
            let root = location.parent().and_then(|folder| folder.parent()).unwrap_or_else(|| location.clone());
            let version = version_of(location.name()).unwrap_or(0);
            return Self::load(root, storage, files, location.clone(), version).await;
        }
        let Some((file, version)) = newest(files.as_ref(), &location.join("metadata")).await? else { return Ok(None) };
        Self::load(location.clone(), storage, files, file, version).await
    }

    /// The table that a catalog or a directory has, if there is one.
    pub async fn find_home(home: &TableHome, storage: &Storage) -> Result<Option<Self>> {
        let pointer = match home {
            TableHome::Directory(location) => return Self::find(location, storage).await,
            TableHome::Service(service) => {
                let Some(served) = service.load().await? else { return Ok(None) };
                return Self::served(service, served, storage).map(Some);
            }
            TableHome::Pointer(pointer) => pointer,
        };
        let Some(text) = pointer.current().await? else { return Ok(None) };
        let file = Location::parse(&text)?;
        let (files, version) = (storage.file_system(&file)?, version_of(file.name()).unwrap_or(0));
        let found = Self::load(file.clone(), storage, files, file.clone(), version).await?;
        let missing = || broken(&file.to_string(), "the catalog names it, and it is not there");
        let Some(mut inner) = Arc::into_inner(found.ok_or_else(missing)?.inner) else { return Ok(None) };
        inner.location = Location::parse(inner.metadata.location())?;
        inner.files = storage.file_system(&inner.location)?;
        inner.keeper = Keeper::Pointer(Arc::clone(pointer), text);
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// A table as its catalog says, with the credentials that the catalog gives for its files.
    pub fn served(service: &Arc<dyn TableService>, served: ServedTable, storage: &Storage) -> Result<Self> {
        let metadata = TableMetadata::of_json(served.metadata)?;
        let text = served.file.ok_or_else(|| broken(metadata.location(), "the catalog names no metadata file"))?;
        let (location, metadata_file) = (Location::parse(metadata.location())?, Location::parse(&text)?);
        let storage = storage.clone().with_options(&served.settings);
        let (files, version) = (storage.file_system(&location)?, version_of(metadata_file.name()).unwrap_or(0));
        let keeper = Keeper::Service(Arc::clone(service), text);
        let inner = Inner { location, storage, files, metadata, metadata_file, version, keeper };
        Ok(Self { inner: Arc::new(inner) })
    }

    async fn load(
        location: Location,
        storage: &Storage,
        files: Arc<dyn FileSystem>,
        metadata_file: Location,
        version: u64,
    ) -> Result<Option<Self>> {
        let Some(bytes) = bytes_of(files.as_ref(), &metadata_file).await? else { return Ok(None) };
        let metadata = TableMetadata::parse(&unpacked(&metadata_file, bytes)?)?;
        let storage = storage.clone();
        let inner = Inner { location, storage, files, metadata, metadata_file, version, keeper: Keeper::Directory };
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// The same table as it is now.
    pub async fn latest(&self) -> Result<Self> {
        let found = Self::find_home(&self.home(), &self.inner.storage).await?;
        found.ok_or_else(|| no_table(&self.inner.location))
    }

    /// Where it is, and what says which metadata file is the newest.
    pub fn home(&self) -> TableHome {
        match &self.inner.keeper {
            Keeper::Directory => TableHome::Directory(self.inner.location.clone()),
            Keeper::Pointer(pointer, _) => TableHome::Pointer(Arc::clone(pointer)),
            Keeper::Service(service, _) => TableHome::Service(Arc::clone(service)),
        }
    }

    /// Whether a catalog says which metadata is the newest.
    pub(super) fn is_of_catalog(&self) -> bool {
        !matches!(self.inner.keeper, Keeper::Directory)
    }

    /// How a catalog names the metadata file.
    pub(super) fn pointed(&self) -> Option<&str> {
        match &self.inner.keeper {
            Keeper::Directory => None,
            Keeper::Pointer(_, text) | Keeper::Service(_, text) => Some(text),
        }
    }

    pub fn location(&self) -> &Location {
        &self.inner.location
    }
    pub fn storage(&self) -> &Storage {
        &self.inner.storage
    }
    pub fn metadata(&self) -> &TableMetadata {
        &self.inner.metadata
    }
    pub(super) fn metadata_file(&self) -> &Location {
        &self.inner.metadata_file
    }
    pub(super) fn version(&self) -> u64 {
        self.inner.version
    }
    pub(super) fn files(&self) -> &Arc<dyn FileSystem> {
        &self.inner.files
    }

    /// The state that is asked for, and its columns.
    pub fn at(&self, version: &IcebergVersion) -> Result<(Option<Snapshot>, StructType)> {
        let (snapshot, has_own_columns) = self.metadata().select(version)?;
        let own = snapshot.as_ref().and_then(|snapshot| snapshot.schema_id).filter(|_| has_own_columns);
        let schema = match own {
            Some(id) => self.metadata().schema_of(id)?,
            None => self.metadata().schema()?,
        };
        Ok((snapshot, schema))
    }

    /// Where a file of the metadata is. All files of a table are in one store.
    pub(super) fn place(&self, path: &str) -> Result<Location> {
        let place = Location::parse(path)?;
        let root = &self.inner.location;
        let is_s3 = |location: &Location| S3_SCHEMES.contains(&location.scheme());
        if place.scheme() == root.scheme() && place.authority() == root.authority() {
            // Metadata may name any file: those that the storage does not allow are refused here.
            return self.inner.storage.file_system(&place).map(|_| place);
        }
        match is_s3(&place) && is_s3(root) && place.authority() == root.authority() {
            true => Ok(root.with_path(place.path())),
            false => Err(unsupported(format!("files in several stores ({place} in a table at {root})"))),
        }
    }
}

/// `v12.metadata.json`, `00012-1f….metadata.json`, `v12.gz.metadata.json`
fn version_of(name: &str) -> Option<u64> {
    let stem = name.strip_suffix(SUFFIX)?;
    let stem = stem.strip_suffix(".gz").unwrap_or(stem);
    match stem.strip_prefix('v') {
        Some(number) => number.parse().ok(),
        None => stem.split('-').next()?.parse().ok(),
    }
}

/// The newest metadata file and its number. The hint may be behind, or missing.
async fn newest(files: &dyn FileSystem, folder: &Location) -> Result<Option<(Location, u64)>> {
    if let Some(hint) = bytes_of(files, &folder.join(HINT)).await?
        && let Some(hinted) = std::str::from_utf8(&hint).ok().and_then(|text| text.trim().parse::<u64>().ok())
        && let Some(mut found) = numbered(files, folder, hinted).await?
    {
        let mut version = hinted;
        while let Some(next) = numbered(files, folder, version + 1).await? {
            (found, version) = (next, version + 1);
        }
        return Ok(Some((found, version)));
    }
    match files.status(folder).await? {
        Some(status) if status.is_directory => {}
        _ => return Ok(None),
    }
    let listed = files.list(folder).await?;
    let numbered = listed.into_iter().filter_map(|status| {
        let version = version_of(status.location.name())?;
        Some((status.modified_us, status.location, version))
    });
    // Of two of one number, which only one writer can have made current, the later.
    let newest = numbered.max_by_key(|(modified, _, version)| (*version, *modified));
    Ok(newest.map(|(_, location, version)| (location, version)))
}

async fn numbered(files: &dyn FileSystem, folder: &Location, version: u64) -> Result<Option<Location>> {
    for name in [format!("v{version}{SUFFIX}"), format!("v{version}.gz{SUFFIX}")] {
        let place = folder.join(&name);
        if files.status(&place).await?.is_some() {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

pub(super) async fn bytes_of(files: &dyn FileSystem, place: &Location) -> Result<Option<bytes::Bytes>> {
    let found = match files.object_store().get(&place.object_path()?).await {
        Ok(found) => found.bytes().await,
        Err(error) => Err(error),
    };
    match found {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(store_error("read", place, &error)),
    }
}

pub(super) fn unpacked(place: &Location, bytes: bytes::Bytes) -> Result<Vec<u8>> {
    if !place.name().ends_with(&format!(".gz{SUFFIX}")) {
        return Ok(bytes.to_vec());
    }
    let mut unpacked = vec![];
    let read = flate2::read::GzDecoder::new(bytes.as_ref()).read_to_end(&mut unpacked);
    read.map_err(|e| broken("a metadata file", e))?;
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_metadata_files() {
        assert_eq!(version_of("v12.metadata.json"), Some(12));
        assert_eq!(version_of("v3.gz.metadata.json"), Some(3));
        assert_eq!(version_of("00007-5b3e-x.metadata.json"), Some(7));
        assert_eq!(version_of("snap-1.avro"), None);
    }
}
