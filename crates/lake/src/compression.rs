//! Codecs of text-like files: Hadoop's, found by file extension when reading, named by an option when writing.
use std::io::{self, Write};

use firesteel_plan::{Result, SparkError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Deflate,
    Bzip2,
    Zstd,
    Snappy,
    Lz4,
}

/// Name of the option, file extension.
const NAMES: &[(&str, Codec)] = &[
    ("none", Codec::None),
    ("uncompressed", Codec::None),
    ("gzip", Codec::Gzip),
    ("deflate", Codec::Deflate),
    ("bzip2", Codec::Bzip2),
    ("snappy", Codec::Snappy),
    ("lz4", Codec::Lz4),
];

const EXTENSIONS: &[(&str, Codec)] = &[
    (".gz", Codec::Gzip),
    (".deflate", Codec::Deflate),
    (".bz2", Codec::Bzip2),
    (".zst", Codec::Zstd),
    (".snappy", Codec::Snappy),
    (".lz4", Codec::Lz4),
];

impl Codec {
    /// The codec of a file, by the end of its name.
    pub(crate) fn of_file(name: &str) -> Self {
        EXTENSIONS.iter().find(|(extension, _)| name.ends_with(extension)).map_or(Self::None, |(_, codec)| *codec)
    }

    /// The codec of a `compression` option.
    pub(crate) fn of_option(name: &str) -> Result<Self> {
        let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(_, codec)| *codec).ok_or_else(|| {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            SparkError::new(
                "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION",
                [("codecName", name.to_string()), ("availableCodecs", names.join(", "))],
            )
        })
    }

    /// `.gz`; empty for none.
    pub(crate) fn extension(self) -> &'static str {
        EXTENSIONS.iter().find(|(_, codec)| *codec == self).map_or("", |(extension, _)| *extension)
    }

    pub(crate) fn compressor(self) -> Result<Compressor> {
        Ok(match self {
            Self::None => Compressor::None(vec![]),
            Self::Gzip => Compressor::Gzip(flate2::write::GzEncoder::new(vec![], flate2::Compression::default())),
            Self::Deflate => {
                Compressor::Deflate(flate2::write::ZlibEncoder::new(vec![], flate2::Compression::default()))
            }
            Self::Bzip2 => Compressor::Bzip2(bzip2::write::BzEncoder::new(vec![], bzip2::Compression::best())),
            Self::Zstd => Compressor::Zstd(zstd::stream::write::Encoder::new(vec![], 3).map_err(|e| failed(&e))?),
            Self::Snappy | Self::Lz4 => Compressor::Block { codec: self, pending: vec![], out: vec![] },
        })
    }

    pub(crate) fn decompressor(self) -> Result<Decompressor> {
        Ok(match self {
            Self::None => Decompressor::None(vec![]),
            Self::Gzip => Decompressor::Gzip(flate2::write::MultiGzDecoder::new(vec![])),
            Self::Deflate => Decompressor::Deflate(flate2::write::ZlibDecoder::new(vec![])),
            Self::Bzip2 => Decompressor::Bzip2(bzip2::write::BzDecoder::new(vec![])),
            Self::Zstd => Decompressor::Zstd(zstd::stream::write::Decoder::new(vec![]).map_err(|e| failed(&e))?),
            Self::Snappy | Self::Lz4 => {
                Decompressor::Block { codec: self, pending: vec![], out: vec![], block_left: 0 }
            }
        })
    }
}

fn failed(error: &io::Error) -> SparkError {
    SparkError::internal(format!("a codec failed: {error}")).with_cause(error)
}

fn corrupt(what: &str) -> SparkError {
    SparkError::internal(format!("a compressed file is damaged: {what}"))
}

/// Uncompressed bytes of one block of Hadoop's block codecs.
const BLOCK_BYTES: usize = 256 << 10;
/// A block that claims more is damaged.
const MAX_BLOCK_BYTES: usize = 256 << 20;

/// Bytes in, compressed bytes out.
pub(crate) enum Compressor {
    None(Vec<u8>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Deflate(flate2::write::ZlibEncoder<Vec<u8>>),
    Bzip2(bzip2::write::BzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Block { codec: Codec, pending: Vec<u8>, out: Vec<u8> },
}

impl Compressor {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let result = match self {
            Self::None(out) => out.write_all(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes),
            Self::Deflate(encoder) => encoder.write_all(bytes),
            Self::Bzip2(encoder) => encoder.write_all(bytes),
            Self::Zstd(encoder) => encoder.write_all(bytes),
            Self::Block { codec, pending, out } => {
                pending.extend_from_slice(bytes);
                while pending.len() >= BLOCK_BYTES {
                    let rest = pending.split_off(BLOCK_BYTES);
                    write_block(*codec, pending, out)?;
                    *pending = rest;
                }
                Ok(())
            }
        };
        result.map_err(|e| failed(&e))
    }

    /// Moves what is compressed so far to `to`.
    pub(crate) fn drain(&mut self, to: &mut Vec<u8>) {
        to.append(match self {
            Self::None(out) | Self::Block { out, .. } => out,
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Deflate(encoder) => encoder.get_mut(),
            Self::Bzip2(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        });
    }

    /// The end of the stream.
    pub(crate) fn finish(&mut self, to: &mut Vec<u8>) -> Result<()> {
        let result = match self {
            Self::None(_) => Ok(()),
            Self::Gzip(encoder) => encoder.try_finish(),
            Self::Deflate(encoder) => encoder.try_finish(),
            Self::Bzip2(encoder) => encoder.try_finish(),
            Self::Zstd(encoder) => encoder.do_finish(),
            Self::Block { codec, pending, out } => {
                if !pending.is_empty() {
                    write_block(*codec, pending, out)?;
                }
                Ok(())
            }
        };
        result.map_err(|e| failed(&e))?;
        self.drain(to);
        Ok(())
    }
}

fn be_length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Length of the block, then one chunk: its compressed length and its bytes.
fn write_block(codec: Codec, block: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let packed = match codec {
        Codec::Snappy => snap::raw::Encoder::new()
            .compress_vec(block)
            .map_err(|e| SparkError::internal("snappy failed").with_cause(e))?,
        _ => lz4_flex::block::compress(block),
    };
    out.extend_from_slice(&be_length(block.len()));
    out.extend_from_slice(&be_length(packed.len()));
    out.extend_from_slice(&packed);
    Ok(())
}

/// Compressed bytes in, bytes out.
pub(crate) enum Decompressor {
    None(Vec<u8>),
    Gzip(flate2::write::MultiGzDecoder<Vec<u8>>),
    Deflate(flate2::write::ZlibDecoder<Vec<u8>>),
    Bzip2(bzip2::write::BzDecoder<Vec<u8>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
    /// `block_left`: bytes of the current block that are still to come out.
    Block {
        codec: Codec,
        pending: Vec<u8>,
        out: Vec<u8>,
        block_left: usize,
    },
}

impl Decompressor {
    /// Feeds a piece of the file; appends what it decompresses to.
    pub(crate) fn push(&mut self, bytes: &[u8], to: &mut Vec<u8>) -> Result<()> {
        let result = match self {
            Self::None(_) => {
                to.extend_from_slice(bytes);
                return Ok(());
            }
            Self::Gzip(decoder) => decoder.write_all(bytes),
            Self::Deflate(decoder) => decoder.write_all(bytes),
            Self::Bzip2(decoder) => decoder.write_all(bytes),
            Self::Zstd(decoder) => decoder.write_all(bytes),
            Self::Block { codec, pending, out, block_left } => {
                pending.extend_from_slice(bytes);
                read_blocks(*codec, pending, out, block_left)?;
                Ok(())
            }
        };
        result.map_err(|e| corrupt(&e.to_string()))?;
        self.drain(to);
        Ok(())
    }

    /// The end of the file. A stream that stops in the middle is damaged.
    pub(crate) fn finish(&mut self, to: &mut Vec<u8>) -> Result<()> {
        let result = match self {
            Self::Gzip(decoder) => decoder.try_finish(),
            Self::Deflate(decoder) => decoder.try_finish(),
            Self::Bzip2(decoder) => decoder.try_finish(),
            Self::Zstd(decoder) => decoder.flush(),
            Self::Block { pending, .. } if !pending.is_empty() => return Err(corrupt("it ends within a block")),
            Self::None(_) | Self::Block { .. } => Ok(()),
        };
        result.map_err(|e| corrupt(&e.to_string()))?;
        self.drain(to);
        Ok(())
    }

    fn drain(&mut self, to: &mut Vec<u8>) {
        to.append(match self {
            Self::None(out) | Self::Block { out, .. } => out,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Deflate(decoder) => decoder.get_mut(),
            Self::Bzip2(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        });
    }
}

fn take_length(bytes: &[u8]) -> Option<usize> {
    let head: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(head)).ok()
}

/// Takes whole chunks off `pending`.
fn read_blocks(codec: Codec, pending: &mut Vec<u8>, out: &mut Vec<u8>, block_left: &mut usize) -> Result<()> {
    let mut used = 0;
    loop {
        let rest = &pending[used..];
        let Some(length) = take_length(rest) else { break };
        if length > MAX_BLOCK_BYTES {
            return Err(corrupt("a block is too long"));
        }
        if *block_left == 0 {
            *block_left = length;
            used += 4;
            continue;
        }
        let Some(chunk) = rest.get(4..4 + length) else { break };
        let before = out.len();
        match codec {
            Codec::Snappy => {
                out.extend(snap::raw::Decoder::new().decompress_vec(chunk).map_err(|e| corrupt(&e.to_string()))?);
            }
            _ => out.extend(lz4_flex::block::decompress(chunk, *block_left).map_err(|e| corrupt(&e.to_string()))?),
        }
        *block_left = block_left.saturating_sub(out.len() - before);
        used += 4 + length;
    }
    pending.drain(..used);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_goes_round() {
        let data: Vec<u8> = (0..700_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for (_, codec) in EXTENSIONS {
            let mut compressor = codec.compressor().unwrap();
            let mut packed = vec![];
            for piece in data.chunks(100_000) {
                compressor.write(piece).unwrap();
                compressor.drain(&mut packed);
            }
            compressor.finish(&mut packed).unwrap();
            let mut decompressor = codec.decompressor().unwrap();
            let mut unpacked = vec![];
            for piece in packed.chunks(1000) {
                decompressor.push(piece, &mut unpacked).unwrap();
            }
            decompressor.finish(&mut unpacked).unwrap();
            assert!(unpacked == data, "{codec:?}");
        }
    }
}
