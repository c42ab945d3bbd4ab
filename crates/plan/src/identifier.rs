//! Identifiers: quoting and splitting, by Spark's rules.
use crate::error::{Result, SparkError};

/// `` `a``b` ``: always quoted.
pub fn quote_identifier(part: &str) -> String {
    format!("`{}`", part.replace('`', "``"))
}

/// Quoted only where an unquoted identifier could not hold it (letters, digits, `_`; not all digits).
pub fn quote_if_needed(part: &str) -> String {
    let plain = !part.is_empty()
        && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !part.chars().all(|c| c.is_ascii_digit());
    if plain { part.to_string() } else { quote_identifier(part) }
}

/// Joins parts with dots, quoting where needed: the text Spark shows for a name.
pub fn qualified_name(parts: &[impl AsRef<str>]) -> String {
    parts.iter().map(|part| quote_if_needed(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// Joins parts with dots, each quoted: the form of names in error parameters (`` `a`.`b` ``).
pub fn quoted_name(parts: &[impl AsRef<str>]) -> String {
    parts.iter().map(|part| quote_identifier(part.as_ref())).collect::<Vec<_>>().join(".")
}

/// Splits `` a.`b.c`.d `` into its parts, as Spark's `UnresolvedAttribute.parseAttributeName` does.
pub fn parse_multipart_identifier(text: &str) -> Result<Vec<String>> {
    let invalid = || SparkError::new("INVALID_ATTRIBUTE_NAME_SYNTAX", [("name", text)]);
    let mut parts = vec![];
    let mut current = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    let mut was_quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '`' if quoted && chars.peek() == Some(&'`') => {
                chars.next();
                current.push('`');
            }
            '`' if quoted => {
                quoted = false;
                was_quoted = true;
                if chars.peek().is_some_and(|next| *next != '.') {
                    return Err(invalid());
                }
            }
            '`' if current.is_empty() && !was_quoted => quoted = true,
            '`' => return Err(invalid()),
            '.' if !quoted => {
                if (current.is_empty() && !was_quoted) || chars.peek().is_none() {
                    return Err(invalid());
                }
                parts.push(std::mem::take(&mut current));
                was_quoted = false;
            }
            _ => current.push(c),
        }
    }
    if quoted {
        return Err(invalid());
    }
    parts.push(current);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_and_quotes() -> Result<()> {
        assert_eq!(parse_multipart_identifier("a.`b.c`.d")?, ["a", "b.c", "d"]);
        assert_eq!(parse_multipart_identifier("`x``y`")?, ["x`y"]);
        assert!(parse_multipart_identifier("a.").is_err());
        assert!(parse_multipart_identifier("`a").is_err());
        assert_eq!(qualified_name(&["a", "b c"]), "a.`b c`");
        Ok(())
    }
}
