//! Compression: a stream is cut into blocks, each compressed by itself and told by three bytes before it.
use std::io::Write;

use firesteel_plan::Result;
use flate2::write::DeflateEncoder;
use orc_rust::proto::CompressionKind;

use super::super::failed;

#[derive(Debug, Clone, Copy)]
pub(super) struct Compressor {
    pub kind: CompressionKind,
    /// Bytes of a block before compression
    pub block: usize,
}

/// A stream as it lies in the file.
#[derive(Debug)]
pub(super) struct Compressed {
    pub bytes: Vec<u8>,
    /// Where each block begins; nothing where there are no blocks
    starts: Vec<usize>,
    block: usize,
}

impl Compressor {
    pub(super) fn compress(&self, bytes: Vec<u8>) -> Result<Compressed> {
        if self.kind == CompressionKind::None {
            return Ok(Compressed { bytes, starts: vec![], block: self.block });
        }
        let (mut out, mut starts) = (Vec::with_capacity(bytes.len() / 2), vec![]);
        for block in bytes.chunks(self.block) {
            starts.push(out.len());
            let packed = self.pack(block)?;
            let is_smaller = packed.len() < block.len();
            let stored = if is_smaller { &packed } else { block };
            let header = (stored.len() << 1) | usize::from(!is_smaller);
            out.extend(&header.to_le_bytes()[..3]);
            out.extend(stored);
        }
        starts.push(out.len());
        Ok(Compressed { bytes: out, starts, block: self.block })
    }

    fn pack(&self, block: &[u8]) -> Result<Vec<u8>> {
        match self.kind {
            CompressionKind::None => Ok(block.to_vec()),
            CompressionKind::Zlib => {
                let mut encoder = DeflateEncoder::new(vec![], flate2::Compression::default());
                encoder.write_all(block).map_err(failed)?;
                encoder.finish().map_err(failed)
            }
            CompressionKind::Snappy => snap::raw::Encoder::new().compress_vec(block).map_err(failed),
            CompressionKind::Lzo => lzokay_native::compress(block).map_err(failed),
            CompressionKind::Lz4 => Ok(lz4_flex::block::compress(block)),
            CompressionKind::Zstd => zstd::bulk::compress(block, zstd::DEFAULT_COMPRESSION_LEVEL).map_err(failed),
        }
    }
}

impl Compressed {
    /// How a reader finds a place: the block and the byte in it, or the byte where there are no blocks.
    pub(super) fn position(&self, offset: usize) -> Vec<u64> {
        match self.starts.get(offset / self.block) {
            Some(start) => vec![*start as u64, (offset % self.block) as u64],
            None => vec![offset as u64],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_positions() {
        let compressor = Compressor { kind: CompressionKind::Snappy, block: 1000 };
        let packed = compressor.compress(vec![7; 2500]).unwrap();
        let second = packed.position(1200);
        assert_eq!((packed.position(0), second[1]), (vec![0, 0], 200));
        assert_eq!(packed.position(2500)[1], 500);
        assert!(second[0] > 0 && (second[0] as usize) < packed.bytes.len());
        let plain = Compressor { kind: CompressionKind::None, block: 1000 }.compress(vec![7; 2500]).unwrap();
        assert_eq!(plain.position(1200), [1200]);
        // What does not shrink is stored as it is.
        let stored = compressor.compress(vec![1, 2, 3]).unwrap();
        assert_eq!(stored.bytes, [7, 0, 0, 1, 2, 3]);
    }
}
