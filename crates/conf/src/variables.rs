//! `${key}` in SQL text: the value of a configuration key, put in before the text is parsed.
use std::borrow::Cow;

use firesteel_plan::{JavaException, Result, SparkError};

use crate::redact;

/// What may stand before the key; environment and properties of the server's process are not for its users to read.
const PREFIXES: [&str; 4] = ["spark", "sparkconf", "hivevar", "hiveconf"];

/// Values that one text may take in, and bytes that it may grow to: values may hold variables themselves.
const REPLACEMENTS_MAX: usize = 10_000;
const BYTES_MAX: usize = 64 << 20;

/// The text with `${key}`, `${spark:key}`, `${hiveconf:key}` … replaced by what `get` answers; a key that is not set is an
/// empty text, as in Spark, and a secret is shown as by SET. With `spark.sql.variable.substitute` off, the text as it is.
pub fn substitute_variables<'t, 'v>(text: &'t str, get: impl Fn(&str) -> Option<&'v str>) -> Result<Cow<'t, str>> {
    let is_on = || get("spark.sql.variable.substitute").is_none_or(|value| value.trim().eq_ignore_ascii_case("true"));
    if !text.contains("${") || !is_on() {
        return Ok(Cow::Borrowed(text));
    }
    let mut substitution = Substitution { get, open: vec![], replacements: 0 };
    substitution.replaced(text).map(Cow::Owned)
}

struct Substitution<G> {
    get: G,
    /// Keys whose values are being replaced
    open: Vec<String>,
    replacements: usize,
}

impl<'v, G: Fn(&str) -> Option<&'v str>> Substitution<G> {
    fn replaced(&mut self, text: &str) -> Result<String> {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            out.push_str(before);
            rest = after;
            let reference = rest.split_once('}');
            let reference = reference.filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
            match reference.and_then(|(name, after)| Some((key_of(name)?, after))) {
                Some((key, after)) => {
                    out.push_str(&self.value(key)?);
                    rest = after;
                }
                None => out.push_str("${"),
            }
            if out.len() > BYTES_MAX {
                return Err(refused(format!("The text grows beyond {BYTES_MAX} bytes")));
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    fn value(&mut self, key: &str) -> Result<String> {
        if self.open.iter().any(|open| open == key) {
            return Err(refused(format!("requirement failed: Circular reference in ${{{key}}}")));
        }
        self.replacements += 1;
        if self.replacements > REPLACEMENTS_MAX {
            return Err(refused(format!("The text takes in more than {REPLACEMENTS_MAX} values")));
        }
        let value = redact(key, (self.get)(key).unwrap_or_default());
        self.open.push(key.to_string());
        let replaced = self.replaced(&value);
        self.open.pop();
        replaced
    }
}

fn refused(message: String) -> SparkError {
    SparkError::java(JavaException::IllegalArgument, message)
}

fn key_of(reference: &str) -> Option<&str> {
    match reference.split_once(':') {
        None => Some(reference),
        Some((prefix, key)) => (PREFIXES.contains(&prefix) && !key.is_empty()).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substituted(text: &str) -> Result<String> {
        let get = |key: &str| match key {
            "a" => Some("1"),
            "b" => Some("<${a}>"),
            "loop" => Some("${back}"),
            "back" => Some("${loop}${loop}"),
            "my.token" => Some("hush"),
            "d0" => Some(""),
            "d1" => Some("${d0}${d0}${d0}${d0}${d0}${d0}${d0}${d0}${d0}${d0}"),
            "d2" => Some("${d1}${d1}${d1}${d1}${d1}${d1}${d1}${d1}${d1}${d1}"),
            "d3" => Some("${d2}${d2}${d2}${d2}${d2}${d2}${d2}${d2}${d2}${d2}"),
            "d4" => Some("${d3}${d3}${d3}${d3}${d3}${d3}${d3}${d3}${d3}${d3}"),
            _ => None,
        };
        substitute_variables(text, get).map(Cow::into_owned)
    }

    #[test]
    fn values_stand_for_keys() {
        assert_eq!(substituted("SELECT ${a}, '${spark:b}', ${hiveconf:none}.").unwrap(), "SELECT 1, '<1>', .");
        assert_eq!(substituted("${env:HOME} ${} ${a b} ${a").unwrap(), "${env:HOME} ${} ${a b} ${a");
    }

    #[test]
    fn secrets_stay_secret() {
        assert_eq!(substituted("${my.token}").unwrap(), redact("my.token", "hush"));
    }

    #[test]
    fn values_that_never_end_are_refused() {
        assert!(substituted("${loop}").is_err());
        assert_eq!(substituted("x${d3}y").unwrap(), "xy");
        assert!(substituted("${d4}").is_err());
    }

    #[test]
    fn it_can_be_switched_off() {
        let get = |key: &str| (key == "spark.sql.variable.substitute").then_some("false");
        assert_eq!(substitute_variables("${a}", get).unwrap(), "${a}");
    }
}
