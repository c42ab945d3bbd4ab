//! `${key}` in SQL text: the value of a configuration key, put in before the text is parsed.
use std::borrow::Cow;

/// What may stand before the key; environment and properties of the server's process are not for its users to read.
const PREFIXES: [&str; 4] = ["spark", "sparkconf", "hivevar", "hiveconf"];

/// How deep values that hold variables themselves are followed.
const MAX_DEPTH: usize = 40;

/// The text with `${key}`, `${spark:key}`, `${hiveconf:key}` … replaced by what `get` answers; a key that is not set is an
/// empty text, as in Spark. With `spark.sql.variable.substitute` off, the text as it is.
pub fn substitute_variables<'t, 'v>(text: &'t str, get: impl Fn(&str) -> Option<&'v str>) -> Cow<'t, str> {
    let is_on = || get("spark.sql.variable.substitute").is_none_or(|value| value.trim().eq_ignore_ascii_case("true"));
    if !text.contains("${") || !is_on() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(replaced(text, &get, MAX_DEPTH))
}

fn replaced<'v>(text: &str, get: &impl Fn(&str) -> Option<&'v str>, depth: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        rest = after;
        let reference =
            rest.split_once('}').filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace));
        match reference.and_then(|(name, after)| Some((key_of(name)?, after))) {
            Some((key, after)) => {
                let value = get(key).unwrap_or_default();
                match depth {
                    0 => out.push_str(value),
                    _ => out.push_str(&replaced(value, get, depth - 1)),
                }
                rest = after;
            }
            None => out.push_str("${"),
        }
    }
    out.push_str(rest);
    out
}

fn key_of(reference: &str) -> Option<&str> {
    match reference.split_once(':') {
        None => Some(reference),
        Some((prefix, key)) => (PREFIXES.contains(&prefix) && !key.is_empty()).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::substitute_variables;

    fn text(text: &str) -> String {
        let get = |key: &str| match key {
            "a" => Some("1"),
            "b" => Some("<${a}>"),
            "loop" => Some("${loop}x"),
            _ => None,
        };
        substitute_variables(text, get).into_owned()
    }

    #[test]
    fn values_stand_for_keys() {
        assert_eq!(text("SELECT ${a}, '${spark:b}', ${hiveconf:none}."), "SELECT 1, '<1>', .");
        assert_eq!(text("${env:HOME} ${} ${a b} ${a"), "${env:HOME} ${} ${a b} ${a");
        assert!(text("${loop}").ends_with(&"x".repeat(40)));
    }

    #[test]
    fn it_can_be_switched_off() {
        let get = |key: &str| (key == "spark.sql.variable.substitute").then_some("false");
        assert_eq!(substitute_variables("${a}", get), "${a}");
    }
}
