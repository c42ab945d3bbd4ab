//! Times: seconds since the base of the stripe's zone, and nanoseconds.
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use firesteel_plan::Result;
use orc_rust::proto::column_encoding::Kind as EncodingKind;
use orc_rust::proto::stream::Kind;

use super::super::failed;
use super::integers;
use super::stream::Column;
use super::zone::StripeZone;

pub(super) fn encode(
    array: &ArrayRef,
    bounds: &[usize],
    zone: &StripeZone,
    column: &mut Column,
) -> Result<EncodingKind> {
    let times = array.as_primitive::<TimestampMicrosecondType>().values();
    let (mut seconds, mut nanos) = (Vec::with_capacity(times.len()), Vec::with_capacity(times.len()));
    for micros in times {
        let (second, nano) = zone.encode(*micros).ok_or_else(|| failed("the stripe has the wrong zone"))?;
        seconds.push(second);
        nanos.push(without_zeros(nano));
    }
    column.streams.push(integers::stream(Kind::Data, &seconds, bounds, true));
    column.streams.push(integers::stream(Kind::Secondary, &nanos, bounds, false));
    Ok(EncodingKind::DirectV2)
}

/// Zeros at the end, from two on, are counted in the last three bits (less one) instead of written.
fn without_zeros(nanos: i64) -> i64 {
    if nanos == 0 || nanos % 100 != 0 {
        return nanos << 3;
    }
    let (mut rest, mut zeros) = (nanos / 100, 2);
    while rest % 10 == 0 && zeros < 8 {
        rest /= 10;
        zeros += 1;
    }
    (rest << 3) | (zeros - 1)
}

#[cfg(test)]
mod tests {
    use super::without_zeros;

    /// The example of the format's specification, and its neighbours.
    #[test]
    fn zeros_are_counted() {
        assert_eq!(without_zeros(1000), 0x0a);
        assert_eq!(without_zeros(100_000), 0x0c);
        assert_eq!(without_zeros(10), 80);
        assert_eq!(without_zeros(0), 0);
    }
}
