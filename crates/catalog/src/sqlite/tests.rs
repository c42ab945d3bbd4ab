use firesteel_plan::{DataType, StructField, StructType};

use super::*;
use crate::types::TableKind;

async fn catalog() -> SqliteCatalog {
    SqliteCatalog::in_memory("spark_catalog", "file:/warehouse").await.unwrap()
}

fn table(database: &str, name: &str) -> Table {
    let fields = vec![StructField::new("Id", DataType::Long, true), StructField::new("p", DataType::STRING, true)];
    let mut table = Table::new(TableId::new(database, name), TableKind::Managed, StructType::new(fields));
    table.partition_columns = vec!["p".into()];
    table
}

#[tokio::test]
async fn databases_come_and_go() {
    let catalog = catalog().await;
    catalog.create_database(Database::new("Sales", "file:/x"), false).await.unwrap();
    let again = catalog.create_database(Database::new("sales", "file:/x"), false).await.unwrap_err();
    assert_eq!(again.condition(), "SCHEMA_ALREADY_EXISTS");
    assert_eq!(catalog.list_databases(None).await.unwrap(), ["default", "sales"]);
    catalog.create_table(table("SALES", "T"), false).await.unwrap();
    let full = catalog.drop_database("sales", false, false).await.unwrap_err();
    assert_eq!(full.condition(), "SCHEMA_NOT_EMPTY");
    let (_, tables) = catalog.drop_database("sales", false, true).await.unwrap().unwrap();
    assert_eq!(tables.len(), 1);
    assert!(catalog.drop_database("sales", true, false).await.unwrap().is_none());
    assert!(catalog.drop_database("default", false, true).await.is_err());
}

#[tokio::test]
async fn tables_keep_their_definition() {
    let catalog = catalog().await;
    catalog.create_table(table("default", "T1"), false).await.unwrap();
    let id = TableId::new("Default", "t1");
    let read = catalog.get_table(&id).await.unwrap().unwrap();
    assert_eq!(read.id.name, "t1");
    assert_eq!(read.schema.fields[0].name, "Id");
    let again = catalog.create_table(table("default", "t1"), false).await.unwrap_err();
    assert_eq!(again.condition(), "TABLE_OR_VIEW_ALREADY_EXISTS");
    catalog.rename_table(&id, &TableId::new("default", "t2")).await.unwrap();
    assert!(catalog.get_table(&id).await.unwrap().is_none());
    let missing = catalog.drop_table(&id, false).await.unwrap_err();
    assert_eq!(missing.condition(), "TABLE_OR_VIEW_NOT_FOUND");
}

#[tokio::test]
async fn partitions_are_all_or_nothing() {
    let catalog = catalog().await;
    catalog.create_table(table("default", "t"), false).await.unwrap();
    let id = TableId::new("default", "t");
    let spec = |value: &str| vec![("P".to_string(), Some(value.to_string()))];
    catalog.create_partitions(&id, vec![Partition::new(spec("a"), None)], false).await.unwrap();
    let both = vec![Partition::new(spec("b"), None), Partition::new(spec("a"), None)];
    let again = catalog.create_partitions(&id, both, false).await.unwrap_err();
    assert_eq!(again.condition(), "PARTITIONS_ALREADY_EXIST");
    assert_eq!(catalog.list_partitions(&id, &vec![]).await.unwrap().len(), 1);
    catalog.rename_partitions(&id, vec![(spec("a"), spec("c"))]).await.unwrap();
    assert!(catalog.get_partition(&id, &spec("c")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_file_keeps_its_tables() {
    let directory = std::env::temp_dir().join(format!("firesteel-catalog-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("catalog.db");
    let first = SqliteCatalog::open("spark_catalog", &file, "file:/w").await.unwrap();
    first.create_table(table("default", "kept"), false).await.unwrap();
    first.close().await;
    let second = SqliteCatalog::open("spark_catalog", &file, "file:/w").await.unwrap();
    assert_eq!(second.list_tables("default", Some("k*")).await.unwrap().len(), 1);
    second.close().await;
    std::fs::remove_dir_all(directory).unwrap();
}
