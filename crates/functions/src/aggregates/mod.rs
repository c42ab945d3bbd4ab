//! Aggregate functions.
//!
//! ```text
//!  FUNCTIONS entry ──▶ call::AggregateBuilder ──▶ Expr::AggregateFunction ──▶ udaf::SparkAggregate
//!                                                                              │ distinct, sliding frames: wrapped
//!                    sums · extremes · moments …  (streaming accumulators)  ◀──┤
//!                    collect · percentiles …      (buffered: see the values at the end)
//! ```
//!
//! - [`udaf`]: one use of an aggregate in a plan; DISTINCT and sliding frames work for every function.
//! - [`call`]: arguments, names and constants of a call.
//! - [`buffered`]: for functions that need all values at once.
pub mod bitmaps;
pub mod bits;
pub mod buffered;
pub mod call;
pub mod collect;
pub mod counts;
mod distinct;
pub mod extremes;
pub mod first_last;
mod grouped;
pub mod hll;
pub mod linear;
pub mod moments;
pub mod percentile_approx;
pub mod percentiles;
pub mod product;
mod quantile_summary;
pub mod single;
pub mod sums;
pub mod udaf;
pub mod variant_schema;
pub mod vectors;
pub mod wrappers;

/// An entry of the table of functions, for those whose arguments have no names.
macro_rules! entry {
    ($name:literal, $aliases:expr, $build:expr, $usage:expr, $sql:expr, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: $aliases,
            kind: FunctionKind::Aggregate,
            group: "agg_funcs",
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}
use entry;
