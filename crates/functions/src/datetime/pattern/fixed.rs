//! Patterns of numbers with fixed widths between literals, such as `yyyy-MM-dd HH:mm:ss`: most patterns are. They are read
//! and written without looking for fields; what does not fit exactly goes the general way, which knows the messages.
use super::{Field, Item, Moment, Parsed};
use crate::datetime::calendar::{checked_days, checked_nanos, civil_from_days, time_of_day};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// ASCII that begins with no digit
    Literal(String),
    Number {
        slot: usize,
        width: usize,
    },
}

/// Year, month, day, hour, minute and second.
const SLOTS: usize = 6;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    parts: Vec<Part>,
}

fn slot(field: Field, min: usize, max: usize) -> Option<usize> {
    let slot = match field {
        Field::Year | Field::YearOfEra => return (min == 4 && max >= 4).then_some(0),
        Field::Month => 1,
        Field::DayOfMonth => 2,
        Field::HourOfDay => 3,
        Field::Minute => 4,
        Field::Second => 5,
        _ => return None,
    };
    (min == 2 && max == 2).then_some(slot)
}

impl Fixed {
    /// `None` where the pattern has anything else, names a field twice, or has two numbers with nothing in between.
    pub fn of(items: &[Item]) -> Option<Self> {
        let (mut parts, mut seen, mut after_number) = (vec![], [false; SLOTS], false);
        for item in items {
            match item {
                Item::Literal(text) if text.is_ascii() && !text.starts_with(|c: char| c.is_ascii_digit()) => {
                    after_number &= text.is_empty();
                    parts.push(Part::Literal(text.clone()));
                }
                Item::Number { field, min, max, reserved: 0, .. } if !after_number => {
                    let slot = slot(*field, *min, *max)?;
                    if std::mem::replace(&mut seen[slot], true) {
                        return None;
                    }
                    after_number = true;
                    parts.push(Part::Number { slot, width: *min });
                }
                _ => return None,
            }
        }
        Some(Self { parts })
    }

    /// `None` where the text does not fit, or is no date.
    pub fn parse(&self, text: &str) -> Option<Parsed> {
        let mut values = [1970, 1, 1, 0, 0, 0];
        let mut rest = text.as_bytes();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(literal.as_bytes())?,
                Part::Number { slot, width } => {
                    let (digits, after) = rest.split_at_checked(*width)?;
                    if !digits.iter().all(u8::is_ascii_digit) {
                        return None;
                    }
                    values[*slot] = digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
                    rest = after;
                }
            }
        }
        if !rest.is_empty() {
            return None;
        }
        let [year, month, day, hour, minute, second] = values;
        let (days, nanos_of_day) = (checked_days(year, month, day)?, checked_nanos(hour, minute, second, 0)?);
        Some(Parsed { days, nanos_of_day, zone: None })
    }

    /// `None`, with nothing written, where a year has not four digits or the moment has no date or no time.
    pub fn format(&self, moment: &Moment<'_>, out: &mut String) -> Option<()> {
        let date = civil_from_days(moment.days);
        if !moment.has_date || !moment.has_time || !(1..=9999).contains(&date.year) {
            return None;
        }
        let time = time_of_day(moment.nanos_of_day);
        let values = [date.year as u32, date.month, date.day, time.hour, time.minute, time.second];
        for part in &self.parts {
            match part {
                Part::Literal(literal) => out.push_str(literal),
                Part::Number { slot, width } => {
                    for place in (0..*width as u32).rev() {
                        out.push(char::from(b'0' + (values[*slot] / 10u32.pow(place) % 10) as u8));
                    }
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pattern, Policy, moment};

    #[test]
    fn the_short_way_reads_and_writes_as_the_general_one() {
        let texts = [
            "2020-02-29 23:59:60",
            "2020-02-29 23:59:59",
            "2021-02-29 00:00:00",
            "0000-01-01 00:00:00",
            "9999-12-31 23:59:59",
            "12020-01-01 00:00:00",
            "2020-1-01 00:00:00",
            "2020-01-01 00:00:00 ",
            "2020-13-01 00:00:00",
            "20200101",
            "",
        ];
        for text in ["yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd", "dd/MM/yyyy", "HH:mm", "yyyy-MM"] {
            let short = Pattern::new(text, true, Policy::Corrected).unwrap();
            assert!(short.fixed.is_some(), "{text}");
            let general = Pattern { fixed: None, ..short.clone() };
            let read =
                |pattern: &Pattern, text: &str| pattern.parse(text).map(|p| (p.days, p.nanos_of_day, p.zone.is_some()));
            for length in 0..=19 {
                for whole in texts {
                    let part = whole.get(..length.min(whole.len())).unwrap();
                    assert_eq!(read(&short, part), read(&general, part), "{part} by {text}");
                }
            }
            for micros in
                [0, -1, 951_782_399_999_999, -62_135_596_800_000_000, 253_402_300_800_000_000, -99_999_999_999_999_999]
            {
                let at = moment(micros, None);
                assert_eq!(short.format(&at), general.format(&at), "{micros} by {text}");
            }
        }
        for text in ["yyyyMMdd", "yyyy-MM-dd yyyy", "y-MM-dd", "yyyy-M-dd", "yyyy-MM-dd HH:mm:ss.SSS", "yy-MM"] {
            assert!(Pattern::new(text, true, Policy::Corrected).unwrap().fixed.is_none(), "{text}");
        }
    }
}
