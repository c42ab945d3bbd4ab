//! The end of a file: statistics of the stripes, the footer, and how to read both.
use firesteel_plan::Result;
use orc_prost::Message;
use orc_rust::proto;

use super::super::failed;
use super::compress::Compressor;
use super::statistics::Statistics;
use super::stripe::Written;

/// What every file begins with, and its end says.
pub(super) const MAGIC: &str = "ORC";

/// No number of a writer that others know, nor of a version with mistakes.
pub(in crate::orc) const WRITER: u32 = u32::MAX;

/// Appends the end of a file whose stripes end at `offset`.
pub(super) fn write(
    types: Vec<proto::Type>,
    stripes: &[Written],
    compressor: Compressor,
    group_rows: usize,
    offset: u64,
    out: &mut Vec<u8>,
) -> Result<()> {
    let columns = |stripe: &Written| stripe.statistics.iter().map(Statistics::to_proto).collect();
    let stripe_stats = stripes.iter().map(|stripe| proto::StripeStatistics { col_stats: columns(stripe) }).collect();
    let metadata = compressor.compress(proto::Metadata { stripe_stats }.encode_to_vec())?.bytes;

    let mut whole = vec![Statistics::default(); types.len()];
    for stripe in stripes {
        whole.iter_mut().zip(&stripe.statistics).for_each(|(whole, part)| whole.merge(part));
    }
    let footer = proto::Footer {
        header_length: Some(MAGIC.len() as u64),
        content_length: Some(offset),
        stripes: stripes.iter().map(|stripe| stripe.information.clone()).collect(),
        types,
        number_of_rows: Some(stripes.iter().filter_map(|stripe| stripe.information.number_of_rows).sum()),
        statistics: whole.iter().map(Statistics::to_proto).collect(),
        row_index_stride: Some(u32::try_from(group_rows).map_err(failed)?),
        writer: Some(WRITER),
        calendar: Some(proto::CalendarKind::ProlepticGregorian.into()),
        software_version: Some(concat!("firesteel ", env!("CARGO_PKG_VERSION")).into()),
        ..proto::Footer::default()
    };
    let footer = compressor.compress(footer.encode_to_vec())?.bytes;

    let postscript = proto::PostScript {
        footer_length: Some(footer.len() as u64),
        compression: Some(compressor.kind.into()),
        compression_block_size: Some(compressor.block as u64),
        version: vec![0, 12],
        metadata_length: Some(metadata.len() as u64),
        writer_version: Some(WRITER),
        magic: Some(MAGIC.into()),
        ..proto::PostScript::default()
    };
    let postscript = postscript.encode_to_vec();
    out.extend(metadata);
    out.extend(footer);
    out.extend(&postscript);
    out.push(u8::try_from(postscript.len()).map_err(failed)?);
    Ok(())
}
