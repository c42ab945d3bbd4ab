//! Sizes and durations as Spark writes them.
use std::time::Duration;

/// `10485760`, `10485760b`, `10m`, `1g`: a bare number counts bytes.
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let scale: u64 = match unit.as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        "t" | "tb" => 1 << 40,
        "p" | "pb" => 1 << 50,
        _ => return None,
    };
    number.checked_mul(scale)
}

/// `120s`, `5m`, `60min`, `2h`, `1d`, `500ms`, `10us`: a bare number counts milliseconds.
pub fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    Some(match unit.as_str() {
        "us" => Duration::from_micros(number),
        "" | "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" | "min" => Duration::from_secs(number.checked_mul(60)?),
        "h" => Duration::from_secs(number.checked_mul(60 * 60)?),
        "d" => Duration::from_secs(number.checked_mul(24 * 60 * 60)?),
        _ => return None,
    })
}

fn split(text: &str) -> Option<(u64, String)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim().to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(bytes("10485760b"), Some(10 << 20));
        assert_eq!(bytes("1g"), Some(1 << 30));
        assert_eq!(bytes("99999999999999g"), None);
        assert_eq!(bytes("x"), None);
        assert_eq!(duration("5m"), Some(Duration::from_secs(300)));
        assert_eq!(duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(duration("1é"), None);
    }
}
