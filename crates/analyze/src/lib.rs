//! The analyzer: an unresolved plan becomes a fully typed DataFusion plan. All of Spark's semantics live here.
//!
//! ```text
//!  plan::Relation ──▶ Analyzer::relation ──▶ Resolved { DataFusion LogicalPlan, output attributes }
//!        │                  │                            each column has a unique id as its DataFusion name
//!        │                  ├── relation/   one file per operator family
//!        │                  ├── expr/       names, functions, windows, subqueries, lambdas, literals
//!        │                  ├── unnest/     subqueries and lateral joins as plain joins
//!        │                  └── nodes/      operators DataFusion lacks, logical and physical
//!        └── AnalyzerContext: tables, files, variables, functions of the session (implemented by the engine)
//! ```
//!
//! A column is an [`Attribute`]: user-facing name, qualifier, Spark type, nullability, and the unique id (`name#12`)
//! that DataFusion sees. Names are put back at the top ([`AnalyzedPlan::schema`]). Casts are explicit, so DataFusion's
//! own coercion finds nothing to do.
//!
//! The analyzer is synchronous and recursive; run it where blocking is allowed. It grows its stack as needed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod analyzer;
mod canonical;
mod char_varchar;
pub mod context;
pub mod default_collation;
mod expr;
mod keys;
pub mod nodes;
mod relation;
mod scope;
mod unnest;

pub use analyzer::{AnalyzedPlan, Analyzer};
pub use char_varchar::{declared_schema, has_char};
pub use context::{AnalyzerContext, FileScanRequest, RowsWithSchema, SqlFunction, TableSource};
pub use relation::{is_below_limit_all, max_recursion};
pub use scope::{Attribute, Resolved, fresh_id};

pub(crate) use firesteel_functions::scalar::from_datafusion;
