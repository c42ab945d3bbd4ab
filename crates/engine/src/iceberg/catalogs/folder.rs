//! A folder that is a catalog: directories with metadata are tables, others are namespaces.
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::Renamed;
use firesteel_lake::iceberg::{IcebergTable, TableHome};
use firesteel_plan::{Result, SparkError};
use firesteel_storage::{FileSystem, Location, Storage};

use super::{IcebergCatalog, Properties};

pub struct Folder {
    pub warehouse: Location,
    pub storage: Storage,
}

impl Folder {
    fn place(&self, name: &[String]) -> Location {
        name.iter().fold(self.warehouse.clone(), |place, level| place.join(level))
    }

    fn files(&self) -> Result<Arc<dyn FileSystem>> {
        self.storage.file_system(&self.warehouse)
    }

    async fn is_table(&self, place: &Location) -> Result<bool> {
        IcebergTable::find(place, &self.storage).await.map(|found| found.is_some())
    }

    async fn is_namespace(&self, namespace: &[String]) -> Result<bool> {
        let place = self.place(namespace);
        let is_directory = self.files()?.status(&place).await?.is_some_and(|status| status.is_directory);
        Ok(is_directory && !self.is_table(&place).await?)
    }

    /// Names of the directories right below a namespace that are tables, or that are not.
    async fn below(&self, namespace: &[String], tables: bool) -> Result<Vec<String>> {
        let place = self.place(namespace);
        let files = self.files()?;
        if !files.status(&place).await?.is_some_and(|status| status.is_directory) {
            return Ok(vec![]);
        }
        let mut found = vec![];
        for status in files.list(&place).await? {
            if status.is_directory && self.is_table(&status.location).await? == tables {
                found.push(status.location.name().to_string());
            }
        }
        found.sort();
        Ok(found)
    }
}

#[async_trait]
impl IcebergCatalog for Folder {
    fn home(&self, name: &[String]) -> Result<TableHome> {
        Ok(TableHome::Directory(self.place(name)))
    }

    async fn namespaces(&self, parent: &[String]) -> Result<Vec<Vec<String>>> {
        let below = self.below(parent, false).await?;
        Ok(below.into_iter().map(|name| parent.iter().cloned().chain([name]).collect()).collect())
    }

    async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>> {
        let location = || Properties::from([("location".to_string(), self.place(namespace).to_string())]);
        Ok(self.is_namespace(namespace).await?.then(location))
    }

    async fn create_namespace(&self, namespace: &[String], mut properties: Properties) -> Result<bool> {
        // Spark says who made it, which is kept nowhere.
        properties.remove("owner");
        if !properties.is_empty() {
            return Err(SparkError::unsupported("properties of namespaces of a folder of Iceberg tables"));
        }
        let (place, files) = (self.place(namespace), self.files()?);
        if files.status(&place).await?.is_some() {
            return Ok(false);
        }
        files.create_directory(&place).await?;
        Ok(true)
    }

    async fn set_properties(&self, _: &[String], _: &Properties, _: &[String]) -> Result<()> {
        Err(SparkError::unsupported("properties of namespaces of a folder of Iceberg tables"))
    }

    async fn drop_namespace(&self, namespace: &[String]) -> Result<bool> {
        if !self.is_namespace(namespace).await? {
            return Ok(false);
        }
        let (place, files) = (self.place(namespace), self.files()?);
        if !files.list(&place).await?.is_empty() {
            return Err(firesteel_catalog::errors::schema_not_empty(&namespace.join(".")));
        }
        files.delete_empty(&place).await?;
        Ok(true)
    }

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>> {
        self.below(namespace, true).await
    }

    async fn rename(&self, _: &[String], _: &[String]) -> Result<Renamed> {
        Err(SparkError::unsupported("renaming a table of a folder: where it is, is its name"))
    }
}
