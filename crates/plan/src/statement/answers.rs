//! SHOW and DESCRIBE.
use super::PartitionValues;
use crate::relation::{Relation, TableName};

#[derive(Debug, Clone, PartialEq)]
pub enum Show {
    /// SHOW DATABASES|NAMESPACES|SCHEMAS
    Namespaces {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    Tables {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    /// SHOW TABLE EXTENDED
    TableExtended {
        of: Option<TableName>,
        pattern: String,
        partition: Option<PartitionValues>,
    },
    Views {
        of: Option<TableName>,
        pattern: Option<String>,
    },
    Columns {
        table: TableName,
        of: Option<TableName>,
    },
    TableProperties {
        table: TableName,
        key: Option<String>,
    },
    Partitions {
        table: TableName,
        partition: Option<PartitionValues>,
    },
    /// `kind`: ALL, SYSTEM or USER
    Functions {
        kind: String,
        of: Option<TableName>,
        pattern: Option<String>,
        name: Option<TableName>,
    },
    CreateTable {
        table: TableName,
        as_serde: bool,
    },
    Catalogs {
        pattern: Option<String>,
    },
    CurrentNamespace,
    Collations {
        pattern: Option<String>,
    },
    Procedures {
        of: Option<TableName>,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Describe {
    Table {
        name: TableName,
        partition: Option<PartitionValues>,
        extended: bool,
        as_json: bool,
    },
    Column {
        table: TableName,
        column: Vec<String>,
        extended: bool,
    },
    Namespace {
        name: TableName,
        extended: bool,
    },
    Function {
        name: TableName,
        extended: bool,
    },
    /// DESCRIBE QUERY; `text` as written
    Query {
        query: Relation,
        text: String,
    },
    Procedure {
        name: TableName,
    },
}
