//! Sketch functions over Apache DataSketches: HyperLogLog, KLL, Theta and Tuple. Their bytes are those of the Java library.
pub mod accumulate;
pub mod arguments;
pub mod count_min;
pub mod hll;
pub mod kll;
pub mod theta;
pub mod top_k;
pub mod tuple;

/// An entry of the table of functions.
macro_rules! entry {
    ($name:literal, $kind:ident, $group:literal, $build:expr, $usage:literal, $sql:literal, $result:literal, $since:literal) => {
        Function {
            name: $name,
            aliases: &[],
            kind: FunctionKind::$kind,
            group: $group,
            parameters: &[],
            build: Build::Custom($build),
            usage: $usage,
            examples: &[($sql, $result)],
            since: $since,
        }
    };
}
use entry;
