//! Datasets: files or tables that a request names, filters, orders and pages.
//!
//! | file | |
//! |---|---|
//! | [`source`] | which data: paths or a table, format, version |
//! | [`filter`], [`order`] | JSON → expressions of a plan |
//! | [`cursor`] | the place of the next page |
//! | [`query`], [`sample`], [`count`], [`summary`], [`describe`], [`partitions`], [`tables`] | the requests |
pub mod count;
pub mod cursor;
pub mod describe;
pub mod filter;
pub mod order;
pub mod partitions;
pub mod query;
pub mod read;
pub mod sample;
pub mod source;
pub mod summary;
pub mod tables;

pub use read::Reader;
pub use source::DatasetFields;
