//! Durations and sizes as Hadoop spells them.
use std::time::Duration;

/// Suffix, and how many milliseconds it stands for. The longest that fits counts.
const DURATIONS: &[(&str, u64)] = &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Suffix and power of two.
const SIZES: &[(char, u32)] = &[('k', 10), ('m', 20), ('g', 30), ('t', 40)];

pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim().to_ascii_lowercase();
    let found = DURATIONS.iter().find_map(|(suffix, millis)| {
        let number = text.strip_suffix(suffix)?.trim_end();
        number.ends_with(|c: char| c.is_ascii_digit()).then_some((number, *millis))
    });
    let (number, unit) = found.unwrap_or((text.as_str(), 1));
    number.parse::<u64>().ok()?.checked_mul(unit).map(Duration::from_millis)
}

pub(super) fn bytes(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let found = SIZES.iter().find_map(|(suffix, power)| Some((text.strip_suffix(*suffix)?, *power)));
    let (number, power) = found.unwrap_or((text, 0));
    number.trim_end().parse::<usize>().ok()?.checked_mul(1usize.checked_shl(power)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (text, millis) in [("1500", 1500), ("200ms", 200), ("5 s", 5000), ("2M", 120_000), ("1h", 3_600_000)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for (text, size) in [("100", 100), ("64M", 64 << 20), ("8mb", 8 << 20), ("1G", 1 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        assert!(duration("soon").is_none() && bytes("much").is_none() && duration("").is_none());
    }
}
