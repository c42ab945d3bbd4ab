//! From the text of a pattern to its items.
use firesteel_plan::{Result, SparkError};

use super::{DOCROOT, Field, Item, Sign, Style};

pub fn invalid(text: &str) -> SparkError {
    SparkError::new(
        "INVALID_DATETIME_PATTERN.WITH_SUGGESTION",
        [("pattern", format!("'{text}'")), ("docroot", DOCROOT.to_string())],
    )
}

fn illegal(letter: char, text: &str) -> SparkError {
    SparkError::new(
        "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER",
        [("c", letter.to_string()), ("pattern", text.to_string())],
    )
}

/// Whether Java's old formatter takes the pattern.
pub fn is_simple_date_format(text: &str) -> bool {
    let mut quoted = false;
    let mut zone_run = 0;
    for c in text.chars() {
        if c == '\'' {
            quoted = !quoted;
        }
        if !quoted && c.is_ascii_alphabetic() && !"GyMwWDdFEuaHkKhmsSzZXYL".contains(c) {
            return false;
        }
        zone_run = if !quoted && c == 'X' { zone_run + 1 } else { 0 };
        if zone_run > 3 {
            return false;
        }
    }
    !quoted
}

/// Spark's own checks, before Java's.
fn check(text: &str, parsing: bool) -> Result<()> {
    let mut quoted = false;
    for c in text.chars() {
        if c == '\'' {
            quoted = !quoted;
        }
        if quoted {
            continue;
        }
        if "YWwuec".contains(c) {
            return Err(SparkError::new(
                "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN",
                [("c", c.to_string())],
            ));
        }
        if "ABnNp".contains(c) || (parsing && "EFqQ".contains(c)) {
            return Err(illegal(c, text));
        }
    }
    for (letter, run) in [('G', 5), ('M', 5), ('L', 5), ('E', 5), ('u', 5), ('Q', 5), ('q', 5), ('y', 7)] {
        let style = letter.to_string().repeat(run);
        if text.contains(&style) {
            return Err(SparkError::new("INVALID_DATETIME_PATTERN.LENGTH", [("pattern", style)]));
        }
    }
    Ok(())
}

pub fn compile(text: &str, parsing: bool, style: Style) -> Result<Vec<Item>> {
    let new = style == Style::New;
    if new {
        check(text, parsing)?;
    }
    let chars: Vec<char> = text.chars().collect();
    let era = chars.contains(&'G');
    let mut stack: Vec<Vec<Item>> = vec![vec![]];
    let mut at = 0;
    while at < chars.len() {
        let c = chars[at];
        let run = chars[at..].iter().take_while(|x| **x == c).count();
        let item = match c {
            'A'..='Z' | 'a'..='z' => {
                at += run;
                let item = if new { letter(c, run, era, parsing) } else { old_letter(c, run, era, style) };
                item.ok_or_else(|| invalid(text))?
            }
            '\'' => {
                let (literal, next) = quoted(&chars, at).ok_or_else(|| invalid(text))?;
                at = next;
                Item::Literal(literal)
            }
            '[' if new => {
                stack.push(vec![]);
                at += 1;
                continue;
            }
            ']' if new => {
                let items = if stack.len() > 1 { stack.pop() } else { None };
                at += 1;
                Item::Optional(items.ok_or_else(|| invalid(text))?)
            }
            '{' | '}' | '#' if new => return Err(invalid(text)),
            other => {
                at += 1;
                Item::Literal(other.to_string())
            }
        };
        if let Some(items) = stack.last_mut() {
            items.push(item);
        }
    }
    while stack.len() > 1 {
        // Java closes what is left open.
        if let (Some(items), Some(outer)) = (stack.pop(), stack.last_mut()) {
            outer.push(Item::Optional(items));
        }
    }
    let mut items = stack.pop().unwrap_or_default();
    reserve(&mut items, !new);
    Ok(items)
}

/// The text between quotes, and the index after them; `''` is a quote.
fn quoted(chars: &[char], start: usize) -> Option<(String, usize)> {
    let (mut literal, mut at) = (String::new(), start + 1);
    loop {
        match (chars.get(at)?, chars.get(at + 1)) {
            ('\'', Some('\'')) => {
                literal.push('\'');
                at += 2;
            }
            ('\'', _) => {
                let text = if literal.is_empty() { "'".to_string() } else { literal };
                return Some((text, at + 1));
            }
            (c, _) => {
                literal.push(*c);
                at += 1;
            }
        }
    }
}

fn number(field: Field, min: usize, max: usize, sign: Sign) -> Item {
    Item::Number { field, min, max, sign, reserved: 0 }
}

/// One or two digits as many letters ask for.
fn short_number(field: Field, run: usize) -> Option<Item> {
    match run {
        1 => Some(number(field, 1, 19, Sign::Normal)),
        2 => Some(number(field, 2, 2, Sign::NotNegative)),
        _ => None,
    }
}

/// What a letter means to the old formatters: any run of it is fine.
fn old_letter(c: char, run: usize, era: bool, style: Style) -> Option<Item> {
    let text = |field| Some(Item::Text { field, full: run >= 4 });
    let field = match c {
        'G' => return text(Field::Era),
        'M' | 'L' if run >= 3 => return text(Field::Month),
        'E' => return text(Field::DayOfWeek),
        'a' => return text(Field::AmPm),
        'z' => return Some(Item::ZoneName { full: run >= 4 }),
        'Z' => return Some(Item::Offset { pattern: 1, zero: "+0000" }),
        'X' if run <= 3 => return Some(Item::Offset { pattern: run - 1, zero: "Z" }),
        'S' if style == Style::Fast => return Some(Item::Fraction { min: 1, max: run.min(9) }),
        'y' if run == 2 => return Some(Item::TwoDigitYear { field: Field::Year, reserved: 0 }),
        'y' if era => Field::YearOfEra,
        'y' => Field::Year,
        'M' | 'L' => Field::Month,
        'd' => Field::DayOfMonth,
        'D' => Field::DayOfYear,
        'F' => Field::AlignedDay,
        'u' => Field::DayOfWeek,
        'H' => Field::HourOfDay,
        'k' => Field::ClockHourOfDay,
        'K' => Field::HourOfAmPm,
        'h' => Field::ClockHourOfAmPm,
        'm' => Field::Minute,
        's' => Field::Second,
        'S' => Field::Milli,
        _ => return None,
    };
    Some(number(field, run, 19, Sign::Normal))
}

fn letter(c: char, run: usize, era: bool, parsing: bool) -> Option<Item> {
    let year = if era { Field::YearOfEra } else { Field::Year };
    let text = |field| Some(Item::Text { field, full: run == 4 });
    match c {
        'G' if run <= 4 => text(Field::Era),
        'y' | 'u' => Some(match run {
            2 => Item::TwoDigitYear { field: year, reserved: 0 },
            1 | 3 => number(year, run, 19, Sign::Normal),
            _ => number(year, run, 19, Sign::ExceedsPad),
        }),
        'M' | 'L' if run == 3 || run == 4 => text(Field::Month),
        'M' | 'L' => short_number(Field::Month, run),
        'q' | 'Q' if run == 3 || run == 4 => text(Field::Quarter),
        'q' | 'Q' => short_number(Field::Quarter, run),
        'E' if run <= 4 => text(Field::DayOfWeek),
        'a' if run == 1 => Some(Item::Text { field: Field::AmPm, full: false }),
        'F' if run == 1 => Some(number(Field::AlignedDay, 1, 19, Sign::Normal)),
        'd' => short_number(Field::DayOfMonth, run),
        'D' => match run {
            1 => Some(number(Field::DayOfYear, 1, 19, Sign::Normal)),
            2 | 3 => Some(number(Field::DayOfYear, run, 3, Sign::NotNegative)),
            _ => None,
        },
        'H' => short_number(Field::HourOfDay, run),
        'k' => short_number(Field::ClockHourOfDay, run),
        'K' => short_number(Field::HourOfAmPm, run),
        'h' => short_number(Field::ClockHourOfAmPm, run),
        'm' => short_number(Field::Minute, run),
        's' => short_number(Field::Second, run),
        'S' if run <= 9 => Some(Item::Fraction { min: if parsing { 1 } else { run }, max: run }),
        'V' if run == 2 => Some(Item::ZoneId),
        'z' if run <= 4 => Some(Item::ZoneName { full: run == 4 }),
        'O' if run == 1 || run == 4 => Some(Item::LocalizedOffset { full: run == 4 }),
        'X' if run <= 5 => Some(Item::Offset { pattern: run - 1, zero: "Z" }),
        'x' if run <= 5 => {
            let zero = ["+00", "+0000", "+00:00", "+0000", "+00:00"].get(run - 1).copied()?;
            Some(Item::Offset { pattern: run - 1, zero })
        }
        'Z' if run <= 3 => Some(Item::Offset { pattern: 1, zero: "+0000" }),
        'Z' if run == 4 => Some(Item::LocalizedOffset { full: true }),
        'Z' if run == 5 => Some(Item::Offset { pattern: 4, zero: "Z" }),
        _ => None,
    }
}

/// Tells a number of variable width how many digits belong to the fixed ones right after it.
fn reserve(items: &mut [Item], old: bool) {
    let mut following = 0;
    for item in items.iter_mut().rev() {
        match item {
            Item::Number { min, max, sign: Sign::NotNegative, .. } if min == max => following += *min,
            // To the old formatters a run of letters next to another one is as wide as it is long.
            Item::Number { min, reserved, .. } if old => {
                *reserved = following;
                following += *min;
            }
            Item::TwoDigitYear { reserved, .. } if old => {
                *reserved = following;
                following += 2;
            }
            Item::Number { reserved, .. } | Item::TwoDigitYear { reserved, .. } => {
                *reserved = following;
                following = 0;
            }
            Item::Optional(inner) => {
                reserve(inner, old);
                following = 0;
            }
            _ => following = 0,
        }
    }
}
