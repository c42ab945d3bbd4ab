//! How much strings differ and what they sound like; check digits.
use arrow::array::ArrayRef;
use firesteel_plan::Result;

use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::strings::entry;
use crate::strings::length::as_int;
use crate::view;

/// The number of insertions, deletions and substitutions of characters between two strings.
pub fn levenshtein(left: &str, right: &str) -> i32 {
    if left == right {
        return 0;
    }
    if left.is_ascii() && right.is_ascii() {
        return edits(left.as_bytes(), right.as_bytes());
    }
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    edits(&left, &right)
}

fn edits<T: PartialEq>(left: &[T], right: &[T]) -> i32 {
    let mut costs: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut costs[0], i + 1);
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != r);
            diagonal = costs[j + 1];
            costs[j + 1] = substituted.min(diagonal + 1).min(costs[j] + 1);
        }
    }
    as_int(costs.last().copied().unwrap_or(0))
}

fn levenshtein_kernel(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (left, right) = (view::strings(args, 0)?, view::strings(args, 1)?);
    if args.values.len() < 3 {
        return rows::ints(args.rows, |row| Some(levenshtein(left.get(row)?, right.get(row)?)));
    }
    let threshold = view::ints(args, 2)?;
    rows::ints(args.rows, |row| {
        let (left, right, most) = (left.get(row)?, right.get(row)?, threshold.get(row)?);
        let distance = levenshtein(left, right);
        Some(if distance <= most { distance } else { -1 })
    })
}

/// The soundex digit of each letter; 0 for vowels, 7 for letters that do not part equal neighbours.
const SOUNDEX: &[u8; 26] = b"01230127022455012623017202";

fn soundex(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        let text = input.get(row)?;
        let mut bytes = text.bytes().map(|b| b.to_ascii_uppercase());
        let Some(first) = bytes.next().filter(u8::is_ascii_uppercase) else {
            out.push_str(text);
            return Some(());
        };
        let code = |b: u8| SOUNDEX[usize::from(b - b'A')];
        let (mut result, mut filled, mut last) = ([first, b'0', b'0', b'0'], 1, code(first));
        for b in bytes {
            if !b.is_ascii_uppercase() {
                last = b'0';
                continue;
            }
            let digit = code(b);
            if digit == b'7' {
                continue;
            }
            if digit != b'0' && digit != last {
                result[filled] = digit;
                filled += 1;
                if filled == result.len() {
                    break;
                }
            }
            last = digit;
        }
        out.extend(result.map(char::from));
        Some(())
    })
}

fn luhn_check(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::booleans(args.rows, |row| {
        let text = input.get(row)?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Some(false);
        }
        let digits = text.bytes().rev().map(|b| u64::from(b - b'0')).enumerate();
        let sum: u64 = digits.map(|(i, d)| if i % 2 == 0 { d } else { d * 2 / 10 + d * 2 % 10 }).sum();
        Some(sum.is_multiple_of(10))
    })
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "levenshtein",
        &[],
        &["str1", "str2", "threshold"],
        Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::Integer), levenshtein_kernel)
            .optional(&[Accept::Integer]),
        "levenshtein(str1, str2[, threshold]) - Returns the edit distance of two strings; -1 where it is above \
         `threshold`.",
        &[("SELECT levenshtein('kitten', 'sitting');", "3")],
        "1.5.0",
    ),
    entry(
        "soundex",
        &[],
        &["str"],
        Signature::new(&[Accept::ExactString], Returns::Is(SimpleType::String), soundex),
        "soundex(str) - Returns the Soundex code of a string.",
        &[("SELECT soundex('Miller');", "M460")],
        "1.5.0",
    ),
    entry(
        "luhn_check",
        &[],
        &["str"],
        Signature::new(&[Accept::String], Returns::Is(SimpleType::Boolean), luhn_check).nulls(Nulls::Always),
        "luhn_check(str) - Whether a string of digits has a valid Luhn check digit.",
        &[("SELECT luhn_check('8112189876');", "true")],
        "3.5.0",
    ),
];

#[cfg(test)]
mod tests {
    use super::levenshtein;

    #[test]
    fn edit_distance() {
        assert_eq!(levenshtein("kitten", "sitting"), 3);
        assert_eq!(levenshtein("", "abc"), 3);
        assert_eq!(levenshtein("größe", "grosse"), 3);
    }
}
