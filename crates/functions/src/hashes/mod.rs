//! Hash functions: Spark's own (Murmur3, xxHash64) over values of any type, digests and checksums of bytes.
pub mod digests;
pub mod values;
