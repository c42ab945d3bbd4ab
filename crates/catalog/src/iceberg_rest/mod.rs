//! Iceberg's REST catalog: a service that keeps the metadata of tables and is told what changes.
//!
//! | file | holds |
//! |---|---|
//! | here | the calls |
//! | [`client`] | requests, repeated where that can do no harm |
//! | [`auth`] | tokens |
mod auth;
mod client;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use firesteel_plan::{Result, SparkError};
use parking_lot::Mutex;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use tokio::sync::OnceCell;

use crate::iceberg_sql::Renamed;
use client::{Answer, Http, Lost, encoded};

/// Catalogs that are known; beyond that the one that was not asked for longest goes.
const MAX_CATALOGS: usize = 64;
/// Between the parts of a namespace, where the catalog does not say otherwise
const SEPARATOR: &str = "%1F";

type Properties = BTreeMap<String, String>;

/// A REST catalog and what it has said of itself.
pub struct IcebergRest {
    properties: Properties,
    service: OnceCell<Service>,
}

/// Secrets are not shown.
impl fmt::Debug for IcebergRest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IcebergRest")
    }
}

struct Service {
    http: Http,
    /// `v1/`, and what the catalog wants before each path
    root: String,
    separator: String,
    properties: Properties,
}

/// A table as the catalog says.
pub struct IcebergRestTable {
    /// `None`: a table that the first commit makes
    pub metadata_location: Option<String>,
    pub metadata: Json,
    /// Settings for its files: the catalog's, the table's, and the credentials that the catalog gives. They hold secrets.
    pub config: Properties,
}

/// What became of a change.
#[derive(Debug)]
pub enum IcebergRestCommit {
    Done,
    Conflict,
    /// The answer was lost, or says so.
    Unknown(SparkError),
}

/// The last asked for is the last.
static CATALOGS: LazyLock<Mutex<Vec<Arc<IcebergRest>>>> = LazyLock::new(Mutex::default);

impl IcebergRest {
    /// The catalog of these properties, which has its connections and its token for all who have the same.
    pub fn open(properties: Properties) -> Arc<Self> {
        let mut known = CATALOGS.lock();
        let catalog = match known.iter().position(|catalog| catalog.properties == properties) {
            Some(index) => known.remove(index),
            None => Arc::new(Self { properties, service: OnceCell::new() }),
        };
        known.push(Arc::clone(&catalog));
        if known.len() > MAX_CATALOGS {
            known.remove(0);
        }
        catalog
    }

    /// The catalog as its `/v1/config` wants to be spoken to.
    async fn service(&self) -> Result<&Service> {
        self.service
            .get_or_try_init(async || {
                let http = Http::new(&self.properties)?;
                let mut path = "v1/config".to_string();
                if let Some(warehouse) = self.properties.get("warehouse") {
                    path = format!("{path}?warehouse={}", encoded(warehouse));
                }
                let answer = http.send(Method::GET, &path, None).await?;
                if answer.status != StatusCode::OK {
                    return Err(http.refused(&answer));
                }
                let mut properties = texts(answer.body.get("defaults"));
                properties.extend(self.properties.clone());
                properties.extend(texts(answer.body.get("overrides")));
                let root = match properties.get("prefix").map(|prefix| prefix.trim_matches('/')) {
                    None | Some("") => "v1/".to_string(),
                    Some(prefix) => format!("v1/{}/", prefix.split('/').map(encoded).collect::<Vec<_>>().join("/")),
                };
                let separator = properties.get("namespace-separator").map_or(SEPARATOR, String::as_str).to_string();
                // The catalog may have said where it is, and who asks.
                let http = if Http::is_for(&self.properties, &properties) { http } else { Http::new(&properties)? };
                Ok(Service { http, root, separator, properties })
            })
            .await
    }

    /// `None`: there is no such table.
    pub async fn load(&self, namespace: &[String], name: &str) -> Result<Option<IcebergRestTable>> {
        let service = self.service().await?;
        let answer = service.send(Method::GET, &service.table(namespace, name), None).await?;
        match answer.status {
            StatusCode::OK => service.table_of(answer).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// Makes a table. `None`: there is one, or a view, of that name.
    pub async fn create(&self, namespace: &[String], name: &str, request: Json) -> Result<Option<IcebergRestTable>> {
        let service = self.service().await?;
        let mut request = request;
        request["name"] = name.into();
        let path = format!("{}/tables", service.namespace(namespace));
        let answer = service.send(Method::POST, &path, Some(&request)).await?;
        match answer.status {
            StatusCode::OK => service.table_of(answer).map(Some),
            StatusCode::CONFLICT => Ok(None),
            StatusCode::NOT_FOUND => Err(no_namespace(namespace)),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// Tells requirements and updates. An error: nothing has changed.
    pub async fn commit(&self, namespace: &[String], name: &str, change: &Json) -> Result<IcebergRestCommit> {
        let service = self.service().await?;
        let answer = match service.http.send(Method::POST, &service.table(namespace, name), Some(change)).await {
            Ok(answer) => answer,
            Err(Lost::Unsent(error) | Lost::Unreachable(error)) => return Err(error),
            Err(Lost::Unknown(error)) => return Ok(IcebergRestCommit::Unknown(error)),
        };
        match answer.status {
            status if status.is_success() => Ok(IcebergRestCommit::Done),
            StatusCode::CONFLICT => Ok(IcebergRestCommit::Conflict),
            status if status.is_server_error() || answer.is_doubtful => {
                Ok(IcebergRestCommit::Unknown(service.http.refused(&answer)))
            }
            StatusCode::NOT_FOUND if lacks_namespace(&answer) => Err(no_namespace(namespace)),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// `false`: there is no such table.
    pub async fn drop_table(&self, namespace: &[String], name: &str, purge: bool) -> Result<bool> {
        let service = self.service().await?;
        let path = format!("{}?purgeRequested={purge}", service.table(namespace, name));
        let answer = service.send(Method::DELETE, &path, None).await?;
        service.was_there(&answer)
    }

    /// Gives a table another name; its files stay where they are.
    pub async fn rename(&self, from: (&[String], &str), to: (&[String], &str)) -> Result<Renamed> {
        let service = self.service().await?;
        let name = |(namespace, name): (&[String], &str)| json!({"namespace": namespace, "name": name});
        let request = json!({"source": name(from), "destination": name(to)});
        let answer = service.send(Method::POST, &format!("{}tables/rename", service.root), Some(&request)).await?;
        match answer.status {
            status if status.is_success() => Ok(Renamed::Done),
            StatusCode::NOT_FOUND if lacks_namespace(&answer) => Err(no_namespace(to.0)),
            StatusCode::NOT_FOUND => Ok(Renamed::Missing),
            StatusCode::CONFLICT => Ok(Renamed::Taken),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// Names of tables. `None`: there is no such namespace.
    pub async fn tables(&self, namespace: &[String]) -> Result<Option<Vec<String>>> {
        let service = self.service().await?;
        let path = format!("{}/tables", service.namespace(namespace));
        let found = service.pages(&path, "identifiers").await?;
        let name = |json: Json| json.get("name").and_then(Json::as_str).map(str::to_string);
        Ok(found.map(|all| all.into_iter().filter_map(name).collect()))
    }

    /// The namespaces right below one, or all at the top. `None`: there is no such namespace.
    pub async fn namespaces(&self, parent: &[String]) -> Result<Option<Vec<Vec<String>>>> {
        let service = self.service().await?;
        let mut path = format!("{}namespaces", service.root);
        if !parent.is_empty() {
            path = format!("{path}?parent={}", service.levels(parent));
        }
        let found = service.pages(&path, "namespaces").await?;
        let levels = |json: Json| {
            let all = json.as_array().into_iter().flatten();
            all.filter_map(Json::as_str).map(str::to_string).collect()
        };
        Ok(found.map(|all| all.into_iter().map(levels).collect()))
    }

    /// A namespace's properties. `None`: there is no such namespace.
    pub async fn namespace(&self, namespace: &[String]) -> Result<Option<Properties>> {
        let service = self.service().await?;
        let answer = service.send(Method::GET, &service.namespace(namespace), None).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(texts(answer.body.get("properties")))),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// `false`: there is one already.
    pub async fn create_namespace(&self, namespace: &[String], properties: &Properties) -> Result<bool> {
        let service = self.service().await?;
        let request = json!({"namespace": namespace, "properties": properties});
        let answer = service.send(Method::POST, &format!("{}namespaces", service.root), Some(&request)).await?;
        match answer.status {
            StatusCode::OK => Ok(true),
            StatusCode::CONFLICT => Ok(false),
            _ => Err(service.http.refused(&answer)),
        }
    }

    /// `false`: there is no such namespace.
    pub async fn set_properties(&self, namespace: &[String], set: &Properties, removed: &[String]) -> Result<bool> {
        let service = self.service().await?;
        let path = format!("{}/properties", service.namespace(namespace));
        let request = json!({"updates": set, "removals": removed});
        let answer = service.send(Method::POST, &path, Some(&request)).await?;
        service.was_there(&answer)
    }

    /// `false`: there is no such namespace. `SCHEMA_NOT_EMPTY` where it has tables.
    pub async fn drop_namespace(&self, namespace: &[String]) -> Result<bool> {
        let service = self.service().await?;
        let answer = service.send(Method::DELETE, &service.namespace(namespace), None).await?;
        match answer.status {
            StatusCode::CONFLICT => Err(crate::errors::schema_not_empty(&namespace.join("."))),
            _ => service.was_there(&answer),
        }
    }
}

/// Whether it is the namespace that was not found, and not the table.
fn lacks_namespace(answer: &Answer) -> bool {
    answer.body.pointer("/error/type").and_then(Json::as_str).is_some_and(|kind| kind.contains("Namespace"))
}

/// A namespace that the catalog does not have.
fn no_namespace(namespace: &[String]) -> SparkError {
    let name = firesteel_plan::identifier::quoted_name(namespace);
    SparkError::new("SCHEMA_NOT_FOUND", [("schemaName", name)])
}

impl Service {
    async fn send(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Answer> {
        Ok(self.http.send(method, path, body).await?)
    }

    fn was_there(&self, answer: &Answer) -> Result<bool> {
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(self.http.refused(answer)),
        }
    }

    fn levels(&self, namespace: &[String]) -> String {
        namespace.iter().map(|level| encoded(level)).collect::<Vec<_>>().join(&self.separator)
    }

    fn namespace(&self, namespace: &[String]) -> String {
        format!("{}namespaces/{}", self.root, self.levels(namespace))
    }

    fn table(&self, namespace: &[String], name: &str) -> String {
        format!("{}/tables/{}", self.namespace(namespace), encoded(name))
    }

    /// A list that may come in parts. `None`: there is no such namespace.
    async fn pages(&self, path: &str, list: &str) -> Result<Option<Vec<Json>>> {
        let mut all = vec![];
        let mut page = path.to_string();
        loop {
            let answer = self.send(Method::GET, &page, None).await?;
            match answer.status {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(None),
                _ => return Err(self.http.refused(&answer)),
            }
            all.extend(answer.body.get(list).and_then(Json::as_array).cloned().unwrap_or_default());
            let next = answer.body.get("next-page-token").and_then(Json::as_str).filter(|token| !token.is_empty());
            let Some(next) = next else { return Ok(Some(all)) };
            let mark = if path.contains('?') { '&' } else { '?' };
            page = format!("{path}{mark}pageToken={}", encoded(next));
        }
    }

    fn table_of(&self, answer: Answer) -> Result<IcebergRestTable> {
        let Json::Object(mut body) = answer.body else {
            return Err(SparkError::internal("the Iceberg REST catalog answered no table"));
        };
        let metadata = body.remove("metadata").unwrap_or_default();
        let mut config = self.properties.clone();
        config.extend(texts(body.get("config")));
        let location = metadata.get("location").and_then(Json::as_str).unwrap_or_default();
        config.extend(credentials(body.get("storage-credentials"), location));
        let metadata_location = body.get("metadata-location").and_then(Json::as_str).map(str::to_string);
        Ok(IcebergRestTable { metadata_location, metadata, config })
    }
}

/// Of the credentials for several places those that are most precisely for this one.
fn credentials(all: Option<&Json>, location: &str) -> Properties {
    let prefix = |json: &Json| json.get("prefix").and_then(Json::as_str).unwrap_or_default().to_string();
    let fitting = all.and_then(Json::as_array).into_iter().flatten().filter(|json| location.starts_with(&prefix(json)));
    texts(fitting.max_by_key(|json| prefix(json).len()).and_then(|json| json.get("config")))
}

fn texts(json: Option<&Json>) -> Properties {
    let all = json.and_then(Json::as_object).into_iter().flatten();
    all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_has_the_credentials() {
        let all = json!([
            {"prefix": "s3://b/", "config": {"k": "general"}},
            {"prefix": "s3://b/db/t", "config": {"k": "own"}},
            {"prefix": "s3://other/db/t/long", "config": {"k": "other"}},
        ]);
        assert_eq!(credentials(Some(&all), "s3://b/db/t")["k"], "own");
        assert_eq!(credentials(Some(&all), "s3://b/db/u")["k"], "general");
        assert!(credentials(Some(&all), "s3://c").is_empty() && credentials(None, "s3://b").is_empty());
    }

    #[test]
    fn names_in_paths() {
        let properties = Properties::from([("uri".to_string(), "http://127.0.0.1:1/".to_string())]);
        let service = |separator: &str| Service {
            http: Http::new(&properties).unwrap(),
            root: "v1/p/".into(),
            separator: separator.into(),
            properties: Properties::new(),
        };
        let namespace = ["a b".to_string(), "c/d".to_string()];
        assert_eq!(service(SEPARATOR).table(&namespace, "t.ü"), "v1/p/namespaces/a%20b%1Fc%2Fd/tables/t.%C3%BC");
        assert_eq!(service("%2E").namespace(&namespace), "v1/p/namespaces/a%20b%2Ec%2Fd");
        assert!(Http::new(&Properties::from([("uri".to_string(), "file:///x".to_string())])).is_err());
    }

    #[test]
    fn catalogs_are_shared_by_equals_alone() {
        let of = |token: &str| IcebergRest::open(Properties::from([("token".to_string(), token.to_string())]));
        assert!(Arc::ptr_eq(&of("a"), &of("a")) && !Arc::ptr_eq(&of("a"), &of("b")));
        assert!(!format!("{:?}", of("tell-nobody")).contains("tell-nobody"));
    }
}
