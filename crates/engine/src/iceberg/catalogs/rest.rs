//! Catalogs that are a service: Iceberg's `RESTCatalog`.
use std::sync::Arc;

use async_trait::async_trait;
use firesteel_catalog::{IcebergRest, IcebergRestCommit, IcebergRestTable, Renamed};
use firesteel_lake::iceberg::{ServedTable, TableHome, TableService, Told};
use firesteel_plan::{Result, SparkError};
use serde_json::Value as Json;

use super::vended::store_settings;
use super::{IcebergCatalog, Properties};

pub struct Rest(Arc<IcebergRest>);

impl Rest {
    pub(super) fn open(properties: Properties) -> Self {
        Self(IcebergRest::open(properties))
    }
}

fn split(name: &[String]) -> Result<(&[String], &str)> {
    let (last, namespace) = name.split_last().ok_or_else(|| SparkError::internal("a table has no name"))?;
    match namespace.is_empty() {
        true => Err(SparkError::unsupported("tables of an Iceberg REST catalog without a namespace")),
        false => Ok((namespace, last)),
    }
}

#[async_trait]
impl IcebergCatalog for Rest {
    fn home(&self, name: &[String]) -> Result<TableHome> {
        let (namespace, last) = split(name)?;
        let entry = RestEntry { rest: Arc::clone(&self.0), namespace: namespace.to_vec(), name: last.to_string() };
        Ok(TableHome::Service(Arc::new(entry)))
    }

    async fn namespaces(&self, parent: &[String]) -> Result<Vec<Vec<String>>> {
        Ok(self.0.namespaces(parent).await?.unwrap_or_default())
    }

    async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>> {
        self.0.namespace(namespace).await
    }

    async fn create_namespace(&self, namespace: &[String], properties: Properties) -> Result<bool> {
        self.0.create_namespace(namespace, &properties).await
    }

    async fn set_properties(&self, namespace: &[String], set: &Properties, removed: &[String]) -> Result<()> {
        self.0.set_properties(namespace, set, removed).await.map(|_| ())
    }

    async fn drop_namespace(&self, namespace: &[String]) -> Result<bool> {
        self.0.drop_namespace(namespace).await
    }

    async fn tables(&self, namespace: &[String]) -> Result<Vec<String>> {
        Ok(self.0.tables(namespace).await?.unwrap_or_default())
    }

    async fn rename(&self, from: &[String], to: &[String]) -> Result<Renamed> {
        self.0.rename(split(from)?, split(to)?).await
    }
}

#[derive(Debug)]
struct RestEntry {
    rest: Arc<IcebergRest>,
    namespace: Vec<String>,
    name: String,
}

#[async_trait]
impl TableService for RestEntry {
    fn name(&self) -> Vec<String> {
        self.namespace.iter().chain([&self.name]).cloned().collect()
    }

    async fn load(&self) -> Result<Option<ServedTable>> {
        self.rest.load(&self.namespace, &self.name).await?.map(served).transpose()
    }

    async fn create(&self, request: Json) -> Result<Option<ServedTable>> {
        self.rest.create(&self.namespace, &self.name, request).await?.map(served).transpose()
    }

    async fn commit(&self, change: Json) -> Result<Told> {
        Ok(match self.rest.commit(&self.namespace, &self.name, &change).await? {
            IcebergRestCommit::Done => Told::Done,
            IcebergRestCommit::Conflict => Told::Overtaken,
            IcebergRestCommit::Unknown(error) => Told::Unknown(error),
        })
    }

    async fn remove(&self, purge: bool) -> Result<bool> {
        self.rest.drop_table(&self.namespace, &self.name, purge).await
    }
}

fn served(table: IcebergRestTable) -> Result<ServedTable> {
    let location = table.metadata.get("location").and_then(Json::as_str).unwrap_or_default();
    let settings = store_settings(location, &table.config)?;
    Ok(ServedTable { file: table.metadata_location, metadata: table.metadata, settings })
}
