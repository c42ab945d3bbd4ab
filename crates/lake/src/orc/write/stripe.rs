//! One stripe: its indexes, its streams, its footer.
use arrow::array::{ArrayRef, RecordBatch};
use firesteel_functions::datetime::zone::Zone;
use firesteel_plan::{Result, SparkError};
use orc_prost::Message;
use orc_rust::proto;
use orc_rust::proto::column_encoding::Kind as EncodingKind;
use orc_rust::proto::stream::Kind;

use super::super::failed;
use super::column;
use super::compress::{Compressed, Compressor};
use super::statistics::Statistics;
use super::stream::Column;
use super::zone::StripeZone;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub compressor: Compressor,
    /// Bytes of rows in memory that make a stripe
    pub stripe_bytes: usize,
    /// Rows of a row group; 0: no index
    pub group_rows: usize,
    /// The zone of the times
    pub zone: Zone,
}

/// What the file's footer says of a stripe.
#[derive(Debug)]
pub(super) struct Written {
    pub information: proto::StripeInformation,
    /// Of each column
    pub statistics: Vec<Statistics>,
}

/// Appends a stripe of the rows to `out`. `offset`: of the end of `out` in the file.
pub(super) fn write(rows: &RecordBatch, layout: &Layout, offset: u64, out: &mut Vec<u8>) -> Result<Written> {
    let (columns, zone) = encode(rows, layout)?;
    let start = out.len();
    let mut streams = vec![];
    let mut packed_columns = Vec::with_capacity(columns.len());
    for (number, mut column) in columns.into_iter().enumerate() {
        let number = u32::try_from(number).map_err(failed)?;
        let encoded = std::mem::take(&mut column.streams);
        let packed = encoded.into_iter().map(|stream| {
            let bytes = layout.compressor.compress(stream.bytes)?;
            Ok(Packed { kind: stream.kind, marks: stream.marks, bytes })
        });
        let packed = packed.collect::<Result<Vec<_>>>()?;
        if layout.group_rows > 0 {
            let index = row_index(&column, &packed).encode_to_vec();
            let index = layout.compressor.compress(index)?.bytes;
            streams.push(stream_of(Kind::RowIndex, number, index.len()));
            out.extend(index);
        }
        packed_columns.push((number, column, packed));
    }
    let index_length = out.len() - start;
    let mut footer = proto::StripeFooter { writer_timezone: Some(zone.name), ..proto::StripeFooter::default() };
    let mut statistics = vec![];
    for (number, column, packed) in packed_columns {
        for stream in packed {
            streams.push(stream_of(stream.kind, number, stream.bytes.bytes.len()));
            out.extend(stream.bytes.bytes);
        }
        footer.columns.push(column.encoding);
        statistics.push(column.statistics.into_iter().fold(Statistics::default(), |mut whole, group| {
            whole.merge(&group);
            whole
        }));
    }
    footer.streams = streams;
    let data_length = out.len() - start - index_length;
    let footer = layout.compressor.compress(footer.encode_to_vec())?.bytes;
    let information = proto::StripeInformation {
        offset: Some(offset),
        index_length: Some(index_length as u64),
        data_length: Some(data_length as u64),
        footer_length: Some(footer.len() as u64),
        number_of_rows: Some(rows.num_rows() as u64),
        ..proto::StripeInformation::default()
    };
    out.extend(footer);
    Ok(Written { information, statistics })
}

/// A compressed stream.
struct Packed {
    kind: Kind,
    marks: Vec<super::stream::Mark>,
    bytes: Compressed,
}

fn stream_of(kind: Kind, column: u32, length: usize) -> proto::Stream {
    proto::Stream { kind: Some(kind.into()), column: Some(column), length: Some(length as u64) }
}

/// The columns of the rows, the row itself first.
fn encode(rows: &RecordBatch, layout: &Layout) -> Result<(Vec<Column>, StripeZone)> {
    let zone = StripeZone::candidates(layout.zone).find(|zone| zone.spells(rows.columns())).ok_or_else(|| {
        SparkError::unsupported("writing so many different times of 1969-12-31 and 1970-01-01 into one stripe of ORC")
    })?;
    let step = if layout.group_rows == 0 { rows.num_rows().max(1) } else { layout.group_rows };
    let bounds: Vec<usize> = (0..rows.num_rows()).step_by(step).chain([rows.num_rows()]).collect();
    let groups = bounds.windows(2).map(|group| Statistics::of_rows(group[1] - group[0])).collect();
    let encoding = proto::ColumnEncoding { kind: Some(EncodingKind::Direct.into()), ..Default::default() };
    let mut columns = vec![Column { encoding, streams: vec![], statistics: groups }];
    let add = |column: &ArrayRef| column::encode(column, &bounds, &zone, &mut columns);
    rows.columns().iter().try_for_each(add)?;
    Ok((columns, zone))
}

/// Where each row group of a column begins, and what is in it.
fn row_index(column: &Column, streams: &[Packed]) -> proto::RowIndex {
    let entry = |(group, statistics): (usize, &Statistics)| {
        let places = streams.iter().filter_map(|stream| Some((stream, stream.marks.get(group)?)));
        let positions = places
            .flat_map(|(stream, mark)| stream.bytes.position(mark.offset).into_iter().chain(mark.rest.iter().copied()));
        proto::RowIndexEntry { positions: positions.collect(), statistics: Some(statistics.to_proto()) }
    };
    proto::RowIndex { entry: column.statistics.iter().enumerate().map(entry).collect() }
}
