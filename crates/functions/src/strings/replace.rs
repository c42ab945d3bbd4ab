//! Changing parts of text: replace, translate, overlay, quote.
use std::collections::HashMap;

use arrow::array::ArrayRef;
use firesteel_plan::{DataType, Result};

use crate::collation::Collator;
use crate::registry::Function;
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, DefaultArgument, Nulls, Returns, Signature};
use crate::strings::entry;
use crate::strings::length::as_int;
use crate::strings::substring::{substring_bytes, substring_sql};
use crate::view;

fn replace(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, search, with) = (view::strings(args, 0)?, view::strings(args, 1)?, view::strings(args, 2)?);
    let collator = Collator::of_all(args.arg_types);
    rows::text(args.rows, |row, out| {
        let (text, search, with) = (text.get(row)?, search.get(row)?, with.get(row)?);
        if search.is_empty() {
            out.push_str(text);
            return Some(());
        }
        let mut from = 0;
        while let Some((start, end)) = collator.find(text, search, from) {
            out.push_str(text.get(from..start)?);
            out.push_str(with);
            from = end;
        }
        out.push_str(text.get(from..)?);
        Some(())
    })
}

/// What each character becomes (`None`: it is dropped); the first mention counts.
type Dictionary = HashMap<char, Option<char>>;

fn dictionary(matching: &str, replacing: &str) -> Dictionary {
    let mut map = HashMap::new();
    let mut with = replacing.chars();
    for c in matching.chars() {
        let to = with.next().filter(|c| *c != '\0');
        map.entry(c).or_insert(to);
    }
    map
}

fn translate(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (text, matching, replacing) = (view::strings(args, 0)?, view::strings(args, 1)?, view::strings(args, 2)?);
    let collator = Collator::of_all(args.arg_types);
    let constant = matching.constant().zip(replacing.constant()).map(|(m, r)| dictionary(m, r));
    rows::text(args.rows, |row, out| {
        let (text, matching, replacing) = (text.get(row)?, matching.get(row)?, replacing.get(row)?);
        let fresh;
        let map = match &constant {
            Some(map) => map,
            None => {
                fresh = dictionary(matching, replacing);
                &fresh
            }
        };
        for c in text.chars() {
            let found = map.get(&c).copied().or_else(|| {
                let same = |k: &char| !collator.is_binary() && collator.equals(&k.to_string(), &c.to_string());
                matching.chars().find(same).and_then(|k| map.get(&k).copied())
            });
            match found {
                Some(to) => out.extend(to),
                None => out.push(c),
            }
        }
        Some(())
    })
}

fn overlay(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    if args.arg_types.first() == Some(&DataType::Binary) {
        return overlay_bytes(args);
    }
    let (text, with) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let (position, length) = (view::ints(args, 2)?, view::ints(args, 3)?);
    rows::text(args.rows, |row, out| {
        let (text, with, position) = (text.get(row)?, with.get(row)?, position.get(row)?);
        let length = match length.get(row)? {
            n @ 0.. => n,
            _ => as_int(with.chars().count()),
        };
        out.push_str(substring_sql(text, 1, position.saturating_sub(1)));
        out.push_str(with);
        out.push_str(substring_sql(text, position.saturating_add(length), i32::MAX));
        Some(())
    })
}

fn overlay_bytes(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let (bytes, with) = (view::binaries(args, 0)?, view::binaries(args, 1)?);
    let (position, length) = (view::ints(args, 2)?, view::ints(args, 3)?);
    rows::bytes(args.rows, |row, out| {
        let (bytes, with, position) = (bytes.get(row)?, with.get(row)?, position.get(row)?);
        let length = match length.get(row)? {
            n @ 0.. => n,
            _ => as_int(with.len()),
        };
        out.extend_from_slice(substring_bytes(bytes, 1, position.saturating_sub(1)));
        out.extend_from_slice(with);
        out.extend_from_slice(substring_bytes(bytes, position.saturating_add(length), i32::MAX));
        Some(())
    })
}

fn quote(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let text = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        out.push('\'');
        for c in text.get(row)?.chars() {
            if c == '\'' {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\'');
        Some(())
    })
}

const THREE: &[Accept] = &[Accept::String, Accept::String, Accept::String];

pub static FUNCTIONS: &[Function] = &[
    entry(
        "replace",
        &[],
        &["str", "search", "replace"],
        Signature::new(&[Accept::String, Accept::String], Returns::Argument(0), replace)
            .optional(&[Accept::String])
            .defaults(&[DefaultArgument::String("")]),
        "replace(str, search[, replace]) - Puts `replace` in place of every `search`, or drops it.",
        &[("SELECT replace('ABCabc', 'abc', 'DEF');", "ABCDEF")],
        "2.3.0",
    ),
    entry(
        "translate",
        &[],
        &["input", "from", "to"],
        Signature::new(THREE, Returns::Argument(0), translate),
        "translate(input, from, to) - Replaces each character of `from` by the one at the same place in `to`, or drops \
         it where `to` is shorter.",
        &[("SELECT translate('AaBbCc', 'abc', '123');", "A1B2C3")],
        "1.5.0",
    ),
    entry(
        "overlay",
        &[],
        &["input", "replace", "pos", "len"],
        Signature::new(
            &[Accept::StringOrBinary, Accept::StringOrBinary, Accept::Integer],
            Returns::Argument(0),
            overlay,
        )
        .optional(&[Accept::Integer])
        .defaults(&[DefaultArgument::Integer(-1)]),
        "overlay(input, replace, pos[, len]) - Puts `replace` over the `len` characters of `input` that start at `pos`; \
         over as many as it has itself by default.",
        &[("SELECT overlay('Spark SQL' PLACING '_' FROM 6);", "Spark_SQL")],
        "3.0.0",
    ),
    entry(
        "quote",
        &[],
        &["str"],
        Signature::new(&[Accept::String], Returns::Argument(0), quote).nulls(Nulls::Always),
        "quote(str) - Returns `str` in single quotes, its own quotes escaped.",
        &[("SELECT quote('Don\\'t');", "'Don\\'t'")],
        "4.1.0",
    ),
];
