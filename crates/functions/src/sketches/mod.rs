//! Sketch functions over Apache DataSketches: HyperLogLog, KLL, Theta and Tuple. Their bytes are those of the Java library.
pub mod accumulate;
pub mod arguments;
pub mod count_min;
pub mod hll;
pub mod kll;
pub mod theta;
pub mod top_k;
pub mod tuple;
