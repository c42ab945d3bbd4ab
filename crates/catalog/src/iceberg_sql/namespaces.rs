//! Namespaces of an SQL catalog. One is there when it has properties, a table, or a namespace below it.
use std::collections::{BTreeMap, BTreeSet};

use firesteel_plan::Result;

use super::IcebergSql;
use super::database::failed;

/// A property that says no more than that the namespace is there.
const EXISTS: &str = "exists";
const KEYED: &str = "WHERE catalog_name = $1 AND namespace = $2";

impl IcebergSql {
    /// Every namespace that has properties or tables, with dots between its parts.
    async fn known(&self) -> Result<BTreeSet<String>> {
        let mut connection = self.connect().await?;
        let sql = "SELECT table_namespace FROM iceberg_tables WHERE catalog_name = $1 \
                   UNION SELECT namespace FROM iceberg_namespace_properties WHERE catalog_name = $1";
        let rows = connection.rows(sql, &[&self.catalog]).await?;
        connection.close().await?;
        Ok(rows.into_iter().filter_map(|mut row| row.pop().flatten()).collect())
    }

    /// The namespaces right below one, or all at the top.
    pub async fn namespaces(&self, parent: &str) -> Result<Vec<String>> {
        let prefix = if parent.is_empty() { String::new() } else { format!("{parent}.") };
        let below = |name: String| {
            let rest = name.strip_prefix(&prefix)?;
            let level = rest.split('.').next().filter(|level| !level.is_empty())?;
            Some(format!("{prefix}{level}"))
        };
        let found: BTreeSet<String> = self.known().await?.into_iter().filter_map(below).collect();
        Ok(found.into_iter().collect())
    }

    pub async fn has_namespace(&self, namespace: &str) -> Result<bool> {
        let below = format!("{namespace}.");
        Ok(self.known().await?.iter().any(|known| known == namespace || known.starts_with(&below)))
    }

    /// Properties of a namespace. `None`: it is not there.
    pub async fn namespace(&self, namespace: &str) -> Result<Option<BTreeMap<String, String>>> {
        if !self.has_namespace(namespace).await? {
            return Ok(None);
        }
        let mut connection = self.connect().await?;
        let sql = format!("SELECT property_key, property_value FROM iceberg_namespace_properties {KEYED}");
        let rows = connection.rows(&sql, &[&self.catalog, namespace]).await?;
        connection.close().await?;
        let pair = |row: Vec<Option<String>>| match <[Option<String>; 2]>::try_from(row) {
            Ok([Some(key), Some(value)]) if key != EXISTS => Some((key, value)),
            _ => None,
        };
        Ok(Some(rows.into_iter().filter_map(pair).collect()))
    }

    /// `false`: it is there already.
    pub async fn create_namespace(&self, namespace: &str, properties: &BTreeMap<String, String>) -> Result<bool> {
        if self.has_namespace(namespace).await? {
            return Ok(false);
        }
        let mut all = properties.clone();
        all.insert(EXISTS.into(), "true".into());
        self.set_properties(namespace, &all, &[]).await?;
        Ok(true)
    }

    pub async fn set_properties(
        &self,
        namespace: &str,
        set: &BTreeMap<String, String>,
        removed: &[String],
    ) -> Result<()> {
        let mut connection = self.connect().await?;
        let place = [Some(self.catalog.as_str()), Some(namespace)];
        let insert = "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) \
                      VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (catalog_name, namespace, property_key) DO UPDATE SET property_value = excluded.property_value";
        connection.execute("BEGIN", &[]).await.map_err(failed)?;
        for (key, value) in set {
            connection.execute(insert, &[place[0], place[1], Some(key), Some(value)]).await.map_err(failed)?;
        }
        let delete = format!("DELETE FROM iceberg_namespace_properties {KEYED} AND property_key = $3");
        for key in removed {
            connection.execute(&delete, &[place[0], place[1], Some(key)]).await.map_err(failed)?;
        }
        connection.execute("COMMIT", &[]).await.map_err(failed)?;
        connection.close().await
    }

    /// `false`: it is not there. `SCHEMA_NOT_EMPTY` where it has tables or namespaces.
    pub async fn drop_namespace(&self, namespace: &str) -> Result<bool> {
        if !self.has_namespace(namespace).await? {
            return Ok(false);
        }
        let mut connection = self.connect().await?;
        let tables = "SELECT table_name FROM iceberg_tables WHERE catalog_name = $1 AND table_namespace = $2";
        let has_tables = !connection.rows(tables, &[&self.catalog, namespace]).await?.is_empty();
        if has_tables || !self.namespaces(namespace).await?.is_empty() {
            return Err(crate::errors::schema_not_empty(namespace));
        }
        let sql = format!("DELETE FROM iceberg_namespace_properties {KEYED}");
        connection.execute(&sql, &[Some(&self.catalog), Some(namespace)]).await.map_err(failed)?;
        connection.close().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::IcebergSqlEntry;
    use super::super::tests::temporary;
    use super::*;

    #[tokio::test]
    async fn namespaces_come_and_go() {
        let (sql, file) = temporary("namespaces");
        let properties = BTreeMap::from([("owner".to_string(), "us".to_string())]);
        assert!(sql.create_namespace("a.b", &properties).await.unwrap());
        assert!(!sql.create_namespace("a", &BTreeMap::new()).await.unwrap());
        assert_eq!(sql.namespaces("").await.unwrap(), ["a"]);
        assert_eq!(sql.namespaces("a").await.unwrap(), ["a.b"]);
        assert_eq!(sql.namespace("a.b").await.unwrap(), Some(properties));
        let set = BTreeMap::from([("k".to_string(), "v".to_string())]);
        sql.set_properties("a.b", &set, &["owner".to_string()]).await.unwrap();
        assert_eq!(sql.namespace("a.b").await.unwrap(), Some(set));
        assert_eq!(sql.namespace("none").await.unwrap(), None);
        let entry = IcebergSqlEntry { sql: sql.clone(), namespace: "a.b".into(), name: "t".into() };
        assert!(entry.swap(None, "file").await.unwrap());
        assert_eq!(sql.drop_namespace("a.b").await.unwrap_err().condition(), "SCHEMA_NOT_EMPTY");
        assert!(entry.remove().await.unwrap());
        assert!(sql.drop_namespace("a.b").await.unwrap() && !sql.drop_namespace("a.b").await.unwrap());
        std::fs::remove_file(file).unwrap();
    }
}
