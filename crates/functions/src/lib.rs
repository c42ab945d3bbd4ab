//! Spark's built-in functions on Arrow, and the one registry that knows them.
//!
//! ```text
//!  name + typed arguments ──▶ registry::lookup ──▶ Function::build ──▶ TypedExpr (DataFusion Expr + Spark type)
//!                                                     │
//!                 Signature (declarative: accepted types, result, kernel)  or  a builder of its own
//!                                                     │
//!                      SparkScalar: a DataFusion UDF that calls a kernel on Arrow arrays
//! ```
//!
//! - [`types`]: Spark type ⇄ Arrow type, the only place that knows.
//! - [`typed`]: [`TypedExpr`], what the analyzer passes around.
//! - [`context`]: [`EvalContext`], the session values that a function's result depends on.
//! - [`registry`]: [`Function`] entries by name; every family adds a table of them.
//! - [`scalar`]: kernels and the UDF that carries them; [`signature`]: the declarative form of an entry.
//! - [`coerce`] and [`cast`]: implicit and explicit casts by Spark's rules.
//!
//! A family is one file with its kernels and a `FUNCTIONS: &[Function]` table at its end, listed in [`registry`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aggregates;
pub mod arithmetic;
pub mod arrays;
pub mod cast;
pub mod coerce;
pub mod collation;
pub mod comparison;
pub mod conditional;
pub mod connectors;
pub mod context;
pub mod counts;
pub mod crypto;
pub mod datetime;
pub mod datum;
pub mod decimal;
pub mod fold;
pub mod generators;
pub mod geo;
pub mod grouping;
pub mod hashes;
pub mod higher_order;
pub mod interval;
pub mod java_hash;
pub mod java_methods;
pub mod java_number;
pub mod json;
pub mod lazy;
pub mod literal_text;
pub mod maps;
pub mod math;
pub mod mersenne;
pub mod misc;
pub mod mismatch;
pub mod nested;
pub mod ordering;
pub mod partition_dependent;
pub mod predicates;
pub mod quote;
pub mod random;
pub mod recall;
pub mod regex;
pub mod registry;
pub mod rows;
pub mod scalar;
pub mod signature;
pub mod sketches;
pub mod strings;
pub mod structs;
pub mod text_formats;
pub mod typed;
pub mod types;
pub mod url;
pub mod variant;
pub mod vectors;
pub mod view;
pub mod window_functions;
pub mod xml;

pub use context::EvalContext;
pub use registry::{Arguments, BuildContext, Built, Function, FunctionKind, Generator, LambdaArgument};
pub use scalar::{ScalarArgs, SparkScalar};
pub use signature::{Accept, DefaultArgument, Nulls, Returns, Signature};
pub use typed::TypedExpr;

/// The error type of this crate is the product's one error vocabulary.
pub use firesteel_plan::{DataType, Result, SparkError};

/// Wraps one of our errors for the trip through DataFusion; the engine unwraps it.
pub fn external(error: SparkError) -> datafusion::error::DataFusionError {
    datafusion::error::DataFusionError::External(Box::new(error))
}
