//! The streams of a column: bytes, and where in them each row group begins.
use orc_rust::proto::stream::Kind;

/// Where a row group begins in a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// Bytes before it, not compressed
    pub offset: usize,
    /// What the stream's decoder needs besides: values to pass over in the run, bits in the byte.
    pub rest: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Stream {
    pub kind: Kind,
    pub bytes: Vec<u8>,
    /// One for each row group; none for a dictionary, which is read as a whole.
    pub marks: Vec<Mark>,
}

impl Stream {
    /// A stream whose row groups are encoded one after the other, each from a new run on.
    pub(super) fn of_groups(
        kind: Kind,
        bounds: &[usize],
        rest: &[u64],
        mut encode: impl FnMut(std::ops::Range<usize>, &mut Vec<u8>),
    ) -> Self {
        let (mut bytes, mut marks) = (vec![], vec![]);
        for group in bounds.windows(2) {
            marks.push(Mark { offset: bytes.len(), rest: rest.to_vec() });
            encode(group[0]..group[1], &mut bytes);
        }
        Self { kind, bytes, marks }
    }
}

/// What a column of a stripe is encoded to.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub encoding: orc_rust::proto::ColumnEncoding,
    pub streams: Vec<Stream>,
    /// Of each row group.
    pub statistics: Vec<super::statistics::Statistics>,
}
