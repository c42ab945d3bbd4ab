//! Writing, in two phases: tasks write files where no reader looks and answer what they wrote; one commit moves them.
//!
//! ```text
//!  WriteJob::start ──▶ run_task (per partition) ──▶ commit: [set aside what is overwritten], rename, _SUCCESS
//!   mode checked         <path>/_temporary/<job>/        abort: remove <path>/_temporary/<job>
//!                        new: <above>/_temporary-<job>/  new: one rename of the whole directory
//! ```
//!
//! Names that begin with `_` are not read, so a write that fails or is killed leaves no rows behind. On an object store,
//! where a rename is a copy, tasks send their files to the final places as uploads that the commit completes ([`uploads`]).
mod bucket;
mod buffer;
mod commit;
mod describe;
mod direct;
mod guard;
mod job;
pub(crate) mod plan;
mod sink;
mod task;
mod uploads;

use std::fmt::Debug;

use arrow::record_batch::RecordBatch;
use firesteel_plan::Result;
use parquet::file::metadata::ParquetMetaData;

pub(crate) use buffer::SharedBuffer;
pub use commit::{StagedFile, TaskOutput};
pub(crate) use describe::Description;
pub(crate) use direct::{DirectJob, DirectRequest};
pub use guard::RowCheck;
pub(crate) use guard::RowGuard;
pub use job::WriteJob;
pub use plan::{ordered, write};

/// Makes encoders of one format for the files of a write.
pub(crate) trait WriterFactory: Send + Sync + Debug {
    /// What follows the file's name: `.snappy.parquet`.
    fn extension(&self) -> &str;
    /// An encoder for one file.
    fn encoder(&self) -> Result<Box<dyn Encoder>>;
}

/// Turns rows into the bytes of one file. Bytes go to `out` as soon as they are final; what stays inside is bounded by
/// the format (a row group, a block).
pub(crate) trait Encoder: Send {
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
    /// The end of the file.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<()>;
    /// What a finished file says of its columns, where the format has it.
    fn footer(&self) -> Option<&ParquetMetaData> {
        None
    }
}
