//! From paths to files: existence, globs, filters, partitions found in directory names.
mod filters;
mod infer_value;
mod listing;
mod names;
mod partitions;

pub use infer_value::cast_partition_value;
pub use listing::{Listing, list};
pub use names::{HIVE_DEFAULT_PARTITION, escape_path_name, partition_path, unescape_path_name};
pub(crate) use partitions::find_field;
pub use partitions::{PartitionLayout, discover};
