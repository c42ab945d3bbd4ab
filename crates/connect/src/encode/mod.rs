//! Spark's types and values → protobuf.
pub(crate) mod arrow;
pub(crate) mod data_type;
pub(crate) mod literal;
