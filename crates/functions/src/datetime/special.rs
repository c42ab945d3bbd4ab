//! The words that Spark takes for a date or timestamp in a constant: `epoch`, `now`, `today`, `tomorrow`, `yesterday`.
use super::calendar::{MICROS_PER_DAY, split_micros};
use super::zone::{Zone, parse_zone};

/// The word and, after it, a zone of its own.
fn word<'a>(text: &'a str, zone: &Zone) -> Option<(String, Zone)> {
    let (word, rest): (&'a str, &str) = match text.trim().split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text.trim(), ""),
    };
    let zone = if rest.is_empty() { *zone } else { Zone::new(&parse_zone(rest)?) };
    Some((word.to_lowercase(), zone))
}

/// Days since the epoch. `now_micros`: the instant that is now.
pub fn special_date(text: &str, now_micros: i64, zone: &Zone) -> Option<i32> {
    let (word, zone) = word(text, zone)?;
    let today = split_micros(zone.to_local(now_micros)).0 as i32;
    match word.as_str() {
        "epoch" => Some(0),
        "now" | "today" => Some(today),
        "tomorrow" => today.checked_add(1),
        "yesterday" => today.checked_sub(1),
        _ => None,
    }
}

/// Microseconds since the epoch, UTC.
pub fn special_timestamp(text: &str, now_micros: i64, zone: &Zone) -> Option<i64> {
    let (word, zone) = word(text, zone)?;
    let midnight = |shift: i64| {
        let (today, _) = split_micros(zone.to_local(now_micros));
        zone.to_utc((today + shift).checked_mul(MICROS_PER_DAY)?)
    };
    match word.as_str() {
        "epoch" => Some(0),
        "now" => Some(now_micros),
        "today" => midnight(0),
        "tomorrow" => midnight(1),
        "yesterday" => midnight(-1),
        _ => None,
    }
}

/// Wall-clock microseconds since 1970-01-01T00:00.
pub fn special_timestamp_ntz(text: &str, now_micros: i64, zone: &Zone) -> Option<i64> {
    let text = text.trim();
    let local = zone.to_local(now_micros);
    let midnight = |shift: i64| (split_micros(local).0 + shift).checked_mul(MICROS_PER_DAY);
    match text.to_lowercase().as_str() {
        "epoch" => Some(0),
        "now" => Some(local),
        "today" => midnight(0),
        "tomorrow" => midnight(1),
        "yesterday" => midnight(-1),
        _ => None,
    }
}
