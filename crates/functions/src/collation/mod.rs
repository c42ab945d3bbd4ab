//! Collations: how strings compare, sort and match.
//!
//! | collation | equal strings |
//! |---|---|
//! | `UTF8_BINARY` | the same bytes (the default: kernels take a fast path) |
//! | `UTF8_LCASE` | the same lower case, character by character |
//! | `UNICODE`, `<locale>` with `_CI`, `_AI` | equal by the Unicode collation algorithm with the locale's tailoring |
//! | any with `_RTRIM` | trailing spaces do not count |
//!
//! ```
//! use firesteel_functions::collation::Collator;
//! let collator = Collator::named("UNICODE_CI_AI")?;
//! assert_eq!(collator.key("Église"), collator.key("eglise"));
//! # Ok::<(), firesteel_functions::SparkError>(())
//! ```
use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, Result, SparkError};
use icu_collator::options::{CaseLevel, CollatorOptions, Strength};
use icu_collator::{CollatorBorrowed, CollatorPreferences};
use icu_locale_core::Locale;

mod functions;
mod locales;
mod search;

pub use functions::FUNCTIONS;
pub use locales::LOCALES;

/// Compares and searches by one collation.
#[derive(Debug, Clone)]
pub struct Collator {
    rule: Rule,
    trims: bool,
}

#[derive(Debug, Clone)]
enum Rule {
    Binary,
    Lcase,
    Unicode(Arc<CollatorBorrowed<'static>>),
}

/// A collation's name, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// `UTF8_BINARY`, `UTF8_LCASE`, `UNICODE` or a name of [`LOCALES`]
    pub base: &'static str,
    pub case_insensitive: bool,
    pub accent_insensitive: bool,
    pub trims: bool,
}

const BASES: &[&str] = &["UTF8_BINARY", "UTF8_LCASE", "UNICODE"];

impl Parts {
    /// Reads a name in any case. Errors with `COLLATION_INVALID_NAME`.
    pub fn parse(name: &str) -> Result<Self> {
        let upper = name.to_uppercase();
        let bases = BASES.iter().copied().chain(LOCALES.iter().map(|locale| locale.0));
        let fitting = bases.filter(|base| {
            upper.strip_prefix(&base.to_uppercase()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        });
        let base = fitting.max_by_key(|base| base.len()).ok_or_else(|| invalid_name(name))?;
        let mut parts = Self { base, case_insensitive: false, accent_insensitive: false, trims: false };
        let (mut case, mut accent) = (false, false);
        let binary = base.starts_with("UTF8");
        for suffix in upper.get(base.len()..).unwrap_or("").split('_').skip(1) {
            let seen = match suffix {
                "CI" | "CS" if !binary => {
                    parts.case_insensitive = suffix == "CI";
                    std::mem::replace(&mut case, true)
                }
                "AI" | "AS" if !binary => {
                    parts.accent_insensitive = suffix == "AI";
                    std::mem::replace(&mut accent, true)
                }
                "RTRIM" => std::mem::replace(&mut parts.trims, true),
                _ => true,
            };
            if seen {
                return Err(invalid_name(name));
            }
        }
        Ok(parts)
    }

    /// The name as Spark writes it: `UNICODE_CI_AI_RTRIM`.
    pub fn name(&self) -> String {
        let mut name = self.base.to_string();
        let suffixes = [(self.case_insensitive, "_CI"), (self.accent_insensitive, "_AI"), (self.trims, "_RTRIM")];
        name.extend(suffixes.iter().filter(|(set, _)| *set).map(|(_, suffix)| *suffix));
        name
    }

    /// Every collation there is, in the order of `collations()`.
    pub fn all() -> Vec<Self> {
        let flags = [false, true];
        let mut all = vec![];
        for trims in flags {
            for base in ["UTF8_BINARY", "UTF8_LCASE"] {
                all.push(Self { base, case_insensitive: false, accent_insensitive: false, trims });
            }
        }
        for base in std::iter::once("UNICODE").chain(LOCALES.iter().map(|locale| locale.0)) {
            let mut group = vec![];
            for case_insensitive in flags {
                for accent_insensitive in flags {
                    for trims in flags {
                        group.push(Self { base, case_insensitive, accent_insensitive, trims });
                    }
                }
            }
            group.sort_by_key(Self::name);
            all.extend(group);
        }
        all
    }
}

fn invalid_name(name: &str) -> SparkError {
    let known = || BASES.iter().copied().chain(LOCALES.iter().map(|locale| locale.0));
    let upper = name.to_uppercase();
    let mut nearest: Vec<_> =
        known().map(|k| (crate::strings::distance::levenshtein(&upper, &k.to_uppercase()), k)).collect();
    nearest.sort_by_key(|(distance, _)| *distance);
    let proposals: Vec<_> = nearest.iter().take(3).map(|(_, k)| *k).collect();
    SparkError::new(
        "COLLATION_INVALID_NAME",
        [("collationName", name.to_string()), ("proposals", proposals.join(", "))],
    )
}

/// The collation of that name with Spark's spelling. Errors with `COLLATION_INVALID_NAME`.
pub fn resolve(name: &str) -> Result<Collation> {
    let canonical = Parts::parse(name)?.name();
    Ok(Collation((canonical != "UTF8_BINARY").then(|| canonical.into())))
}

impl Collator {
    pub const BINARY: Self = Self { rule: Rule::Binary, trims: false };

    pub fn named(name: &str) -> Result<Self> {
        let parts = Parts::parse(name)?;
        let rule = match parts.base {
            "UTF8_BINARY" => Rule::Binary,
            "UTF8_LCASE" => Rule::Lcase,
            base => Rule::Unicode(Arc::new(unicode(base, &parts)?)),
        };
        Ok(Self { rule, trims: parts.trims })
    }

    /// The collator of a type; binary for what is not a string.
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::String(Collation(Some(name))) => Self::named(name).unwrap_or(Self::BINARY),
            _ => Self::BINARY,
        }
    }

    /// The collator of the first argument that has one; the analyzer has made all the same.
    pub fn of_all(data_types: &[DataType]) -> Self {
        let collated = data_types.iter().find(|t| matches!(t, DataType::String(c) if !c.is_default()));
        collated.map_or(Self::BINARY, Self::of)
    }

    pub fn is_binary(&self) -> bool {
        matches!(self.rule, Rule::Binary) && !self.trims
    }

    fn trimmed<'a>(&self, text: &'a str) -> &'a str {
        if self.trims { text.trim_end_matches(' ') } else { text }
    }

    /// Bytes that compare as the strings do, for hashing, grouping, joining and sorting.
    pub fn key<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        let text = self.trimmed(text);
        match &self.rule {
            Rule::Binary => Cow::Borrowed(text.as_bytes()),
            Rule::Lcase => Cow::Owned(fold(text).collect::<String>().into_bytes()),
            Rule::Unicode(collator) => {
                let mut key = Vec::new();
                let Ok(()) = collator.write_sort_key_to(text, &mut key);
                Cow::Owned(key)
            }
        }
    }

    pub fn compare(&self, left: &str, right: &str) -> Ordering {
        let (left, right) = (self.trimmed(left), self.trimmed(right));
        match &self.rule {
            Rule::Binary => left.cmp(right),
            Rule::Lcase => fold(left).cmp(fold(right)),
            Rule::Unicode(collator) => collator.compare(left, right),
        }
    }

    pub fn equals(&self, left: &str, right: &str) -> bool {
        self.compare(left, right) == Ordering::Equal
    }
}

/// Lower case by character as UTF8_LCASE has it: both forms of sigma are one.
fn fold(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars().flat_map(|c| (if c == 'ς' { 'σ' } else { c }).to_lowercase())
}

fn unicode(base: &str, parts: &Parts) -> Result<CollatorBorrowed<'static>> {
    let tag = LOCALES.iter().find(|locale| locale.0 == base).map_or("und", |locale| locale.1);
    let locale: Locale = tag.parse().map_err(|_| invalid_name(base))?;
    let mut options = CollatorOptions::default();
    options.strength = Some(match (parts.case_insensitive, parts.accent_insensitive) {
        (false, false) => Strength::Tertiary,
        (true, false) => Strength::Secondary,
        (_, true) => Strength::Primary,
    });
    if parts.accent_insensitive && !parts.case_insensitive {
        options.case_level = Some(CaseLevel::On);
    }
    CollatorBorrowed::try_new(CollatorPreferences::from(&locale), options)
        .map_err(|e| SparkError::internal(format!("no rules of order for {base}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        assert_eq!(Parts::parse("unicode_ai_ci_rtrim").unwrap().name(), "UNICODE_CI_AI_RTRIM");
        assert_eq!(Parts::parse("EN_usa_cs").unwrap().name(), "en_USA");
        assert!(Parts::parse("utf8_binary_ci").is_err());
        assert!(Parts::parse("en_ci_ci").is_err());
        assert_eq!(Parts::all().len(), 1164);
    }

    #[test]
    fn collators_search_and_compare() {
        let lcase = Collator::named("UTF8_LCASE").unwrap();
        assert_eq!(lcase.find("aBcB", "bc", 0), Some((1, 3)));
        assert_eq!(lcase.rfind("aBcB", "b", 4), Some((3, 4)));
        let accents = Collator::named("UNICODE_AI").unwrap();
        assert!(accents.equals("é", "e") && !accents.equals("E", "e"));
        assert!(Collator::named("UNICODE_CI_RTRIM").unwrap().equals("A  ", "a"));
    }
}
