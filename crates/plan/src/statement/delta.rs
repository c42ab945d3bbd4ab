//! Statements of Delta Lake's own grammar.
use crate::expression::Expr;
use crate::relation::{TableName, TimeTravel};

/// A table by name, by ``delta.`path` ``, or by a path in quotes.
#[derive(Debug, Clone, PartialEq)]
pub enum DeltaTarget {
    Name(TableName),
    Path(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum DeltaStatement {
    /// `DESCRIBE HISTORY t [LIMIT n]`
    History { table: DeltaTarget, limit: Option<i64> },
    /// `DESCRIBE DETAIL t`
    Detail { table: DeltaTarget },
    /// `VACUUM t [LITE|FULL] [RETAIN n HOURS] [DRY RUN]`
    Vacuum { table: DeltaTarget, retain_hours: Option<f64>, dry_run: bool, lite: bool },
    /// `OPTIMIZE t [WHERE condition] [ZORDER BY (columns)]`
    Optimize { table: DeltaTarget, condition: Option<Expr>, z_order: Vec<Vec<String>> },
    /// `RESTORE [TABLE] t TO VERSION|TIMESTAMP AS OF …`
    Restore { table: DeltaTarget, to: TimeTravel },
    /// `CONVERT TO DELTA parquet.`path` [NO STATISTICS] [PARTITIONED BY (columns)]`; `partition_schema` is DDL text
    Convert { table: DeltaTarget, partition_schema: Option<String>, statistics: bool },
    /// `DeltaTable.isDeltaTable`
    IsTable { identifier: String },
    /// `DeltaTable.create…` and the like, which have no grammar: a table at a path
    CreateAtPath { path: String, create: Box<super::CreateTable> },
    /// `DeltaTable.upgradeTableProtocol`, `addFeatureSupport`
    Protocol { table: DeltaTarget, feature: Option<String>, reader: i32, writer: i32 },
}
