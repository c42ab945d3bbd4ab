//! Rows that are kept for a while: chunks in memory up to a limit for all of them, on disk beyond it.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;
use firesteel_engine::Execution;
use firesteel_plan::Result;
use futures::StreamExt;

use super::encode::{RowStyle, broken};
use crate::jobs::record::{ChunkInfo, RowsInfo};

const CHUNK_ROWS_MAX: usize = 50_000;
const CHUNK_BYTES_MAX: usize = 4 << 20;

/// Where rows are kept.
pub struct Spool {
    memory_bytes: AtomicUsize,
    memory_bytes_max: usize,
    /// Removed with the process.
    directory: tempfile::TempDir,
}

/// The rows of one statement.
pub struct SpooledRows {
    pub style: RowStyle,
    chunks: Vec<Chunk>,
}

struct Chunk {
    place: Place,
    spool: Arc<Spool>,
}

enum Place {
    Memory(Bytes),
    File(PathBuf),
}

impl Drop for Chunk {
    fn drop(&mut self) {
        match &self.place {
            Place::Memory(bytes) => {
                self.spool.memory_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
            }
            Place::File(path) => {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// How many rows and bytes are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct RowLimits {
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

impl Spool {
    pub fn new(memory_bytes_max: usize) -> std::io::Result<Arc<Self>> {
        let directory = tempfile::Builder::new().prefix("firesteel-rows-").tempdir()?;
        Ok(Arc::new(Self { memory_bytes: AtomicUsize::new(0), memory_bytes_max, directory }))
    }

    async fn keep(self: &Arc<Self>, bytes: Vec<u8>) -> Result<Chunk> {
        let length = bytes.len();
        let before = self.memory_bytes.fetch_add(length, Ordering::Relaxed);
        if before + length <= self.memory_bytes_max {
            return Ok(Chunk { place: Place::Memory(bytes.into()), spool: Arc::clone(self) });
        }
        self.memory_bytes.fetch_sub(length, Ordering::Relaxed);
        let path = self.directory.path().join(uuid::Uuid::new_v4().simple().to_string());
        let chunk = Chunk { place: Place::File(path.clone()), spool: Arc::clone(self) };
        tokio::fs::write(&path, bytes).await.map_err(broken)?;
        Ok(chunk)
    }

    /// Reads an execution to its end, or to the limits.
    pub async fn collect(
        self: &Arc<Self>,
        execution: Execution,
        style: RowStyle,
        limits: RowLimits,
    ) -> Result<(SpooledRows, RowsInfo)> {
        let mut collector = Collector {
            spool: Arc::clone(self),
            info: RowsInfo { columns: style.columns(), ..Default::default() },
            rows: SpooledRows { style, chunks: vec![] },
            gathered: vec![],
            gathered_rows: 0,
            gathered_bytes: 0,
        };
        let mut batches = execution.batches;
        let (mut rows, mut bytes) = (0u64, 0u64);
        while let Some(batch) = batches.next().await {
            let batch = collector.rows.style.renamed(batch?)?;
            let fits = rows_that_fit(&batch, limits, rows, bytes);
            let kept = batch.slice(0, fits);
            rows += fits as u64;
            bytes += size_of(&kept) as u64;
            collector.add(&kept).await?;
            if fits < batch.num_rows() {
                collector.info.truncated = true;
                break;
            }
        }
        collector.flush().await?;
        Ok((collector.rows, collector.info))
    }
}

fn rows_that_fit(batch: &RecordBatch, limits: RowLimits, rows: u64, bytes: u64) -> usize {
    let all = batch.num_rows();
    let by_rows = limits.rows.map_or(all, |most| usize::try_from(most.saturating_sub(rows)).unwrap_or(all).min(all));
    let Some(most) = limits.bytes else { return by_rows };
    let size = size_of(batch) as u64;
    if all == 0 || bytes + size <= most {
        return by_rows;
    }
    let row_bytes = (size / all as u64).max(1);
    by_rows.min(usize::try_from(most.saturating_sub(bytes) / row_bytes).unwrap_or(all))
}

/// What the rows take by themselves: a slice does not count the buffers that it shares.
fn size_of(batch: &RecordBatch) -> usize {
    let size = |column: &arrow::array::ArrayRef| {
        column.to_data().get_slice_memory_size().unwrap_or_else(|_| column.get_array_memory_size())
    };
    batch.columns().iter().map(size).sum()
}

struct Collector {
    spool: Arc<Spool>,
    info: RowsInfo,
    rows: SpooledRows,
    gathered: Vec<RecordBatch>,
    gathered_rows: usize,
    gathered_bytes: usize,
}

impl Collector {
    async fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let row_bytes = (size_of(batch) / batch.num_rows()).max(1);
            let by_bytes = (CHUNK_BYTES_MAX.saturating_sub(self.gathered_bytes) / row_bytes).max(1);
            let count = (batch.num_rows() - start).min(CHUNK_ROWS_MAX - self.gathered_rows).min(by_bytes);
            let part = batch.slice(start, count);
            self.gathered_bytes += size_of(&part);
            self.gathered_rows += count;
            self.gathered.push(part);
            start += count;
            if self.gathered_rows >= CHUNK_ROWS_MAX || self.gathered_bytes >= CHUNK_BYTES_MAX {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let batches = std::mem::take(&mut self.gathered);
        // There is a first chunk even where there is no row.
        if batches.is_empty() && !self.rows.chunks.is_empty() {
            return Ok(());
        }
        let bytes = ipc(&self.rows.style, &batches)?;
        let info = &mut self.info;
        info.chunks.push(ChunkInfo {
            index: self.rows.chunks.len(),
            row_offset: info.row_count,
            row_count: self.gathered_rows as u64,
            byte_count: self.gathered_bytes as u64,
        });
        info.row_count += self.gathered_rows as u64;
        info.byte_count += self.gathered_bytes as u64;
        self.rows.chunks.push(self.spool.keep(bytes).await?);
        (self.gathered_rows, self.gathered_bytes) = (0, 0);
        Ok(())
    }
}

fn ipc(style: &RowStyle, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let schema = batches.first().map_or_else(|| Arc::clone(&style.arrow_schema), RecordBatch::schema);
    let mut writer = StreamWriter::try_new(vec![], &schema).map_err(broken)?;
    for batch in batches {
        writer.write(batch).map_err(broken)?;
    }
    writer.into_inner().map_err(broken)
}

impl SpooledRows {
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }

    pub async fn chunk(&self, index: usize) -> Result<Option<Vec<RecordBatch>>> {
        let Some(chunk) = self.chunks.get(index) else { return Ok(None) };
        let bytes = match &chunk.place {
            Place::Memory(bytes) => bytes.clone(),
            Place::File(path) => tokio::fs::read(path).await.map_err(broken)?.into(),
        };
        let reader = StreamReader::try_new(std::io::Cursor::new(bytes), None).map_err(broken)?;
        reader.collect::<std::result::Result<_, _>>().map(Some).map_err(broken)
    }
}
