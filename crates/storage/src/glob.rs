//! Hadoop's globs: `*`, `?`, `[abc]`, `[a-c]`, `[^a]`, `{a,b}` and `\c`; `*` stays within one path part.
use firesteel_plan::{Result, SparkError};

use crate::file_system::{FileStatus, FileSystem, is_hidden};
use crate::location::Location;

/// Whether the text has a character that makes it a pattern.
pub fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', ']', '{', '}', '\\'])
}

/// A bound on what braces may multiply out to.
const MAX_ALTERNATIVES: usize = 10_000;

/// The existing files and directories that a pattern names, sorted.
pub async fn expand(files: &dyn FileSystem, pattern: &Location) -> Result<Vec<FileStatus>> {
    let mut found = vec![];
    for alternative in expand_braces(pattern.path())? {
        let mut level = vec![pattern.with_path("/")];
        let parts: Vec<&str> = alternative.split('/').filter(|part| !part.is_empty()).collect();
        for (index, part) in parts.iter().enumerate() {
            level = next_level(files, &level, part, index + 1 == parts.len()).await?;
        }
        for location in level {
            found.extend(files.status(&location).await?);
        }
    }
    found.sort_by(|a, b| a.location.cmp(&b.location));
    found.dedup();
    Ok(found)
}

async fn next_level(files: &dyn FileSystem, level: &[Location], part: &str, is_last: bool) -> Result<Vec<Location>> {
    if !is_glob(part) {
        return Ok(level.iter().map(|directory| directory.join(part)).collect());
    }
    let pattern = Pattern::parse(part)?;
    let mut next = vec![];
    for directory in level {
        if !files.status(directory).await?.is_some_and(|status| status.is_directory) {
            continue;
        }
        let children = files.list(directory).await?;
        let wanted = children.into_iter().filter(|child| {
            let name = child.location.name();
            (is_last || child.is_directory) && !is_hidden(name) && pattern.matches(name)
        });
        next.extend(wanted.map(|child| child.location));
    }
    Ok(next)
}

fn invalid(pattern: &str, reason: &str) -> SparkError {
    SparkError::new("_LEGACY_ERROR_TEMP_2066", [("message", format!("Illegal file pattern {pattern}: {reason}"))])
}

/// `a{b,c{d,e}}` → `ab`, `acd`, `ace`.
fn expand_braces(text: &str) -> Result<Vec<String>> {
    let mut done = vec![];
    let mut open = vec![text.to_string()];
    while let Some(next) = open.pop() {
        match first_braces(&next)? {
            None => done.push(next),
            Some((start, end, commas)) => {
                let mut bounds = vec![start];
                bounds.extend(commas);
                bounds.push(end);
                for pair in bounds.windows(2).rev() {
                    open.push(format!("{}{}{}", &next[..start], &next[pair[0] + 1..pair[1]], &next[end + 1..]));
                }
            }
        }
        if done.len() + open.len() > MAX_ALTERNATIVES {
            return Err(invalid(text, "it names too many alternatives"));
        }
    }
    Ok(done)
}

/// Byte positions of the first outermost `{`, its `}` and the commas between them.
fn first_braces(text: &str) -> Result<Option<(usize, usize, Vec<usize>)>> {
    let mut start = None;
    let mut depth = 0usize;
    let mut commas = vec![];
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        if escaped {
            escaped = false;
            continue;
        }
        match (c, start) {
            ('\\', _) => escaped = true,
            ('{', None) => (start, depth) = (Some(index), 1),
            ('{', Some(_)) => depth += 1,
            (',', Some(_)) if depth == 1 => commas.push(index),
            ('}', Some(start)) => {
                depth -= 1;
                if depth == 0 {
                    return Ok(Some((start, index, commas)));
                }
            }
            _ => {}
        }
    }
    if start.is_some() { Err(invalid(text, "unclosed group")) } else { Ok(None) }
}

/// A pattern for one path part, or for a file name (`pathGlobFilter`).
#[derive(Debug, Clone)]
pub struct Pattern {
    /// One list of tokens for each brace alternative.
    alternatives: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Any,
    One,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self> {
        let alternatives = expand_braces(text)?;
        Ok(Self { alternatives: alternatives.iter().map(|a| tokens(a)).collect::<Result<_>>()? })
    }

    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        self.alternatives.iter().any(|tokens| matches_tokens(tokens, &name))
    }
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut list = vec![];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        list.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Char(chars.next().ok_or_else(|| invalid(text, "nothing after the backslash"))?),
            '[' => class(text, &mut chars)?,
            c => Token::Char(c),
        });
    }
    Ok(list)
}

fn class(text: &str, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token> {
    let unclosed = || invalid(text, "unclosed character class");
    let negated = chars.next_if(|c| matches!(c, '^' | '!')).is_some();
    let mut ranges = vec![];
    loop {
        let mut low = chars.next().ok_or_else(unclosed)?;
        match low {
            ']' if !ranges.is_empty() => return Ok(Token::Class { negated, ranges }),
            '\\' => low = chars.next().ok_or_else(unclosed)?,
            _ => {}
        }
        let mut high = low;
        if chars.peek() == Some(&'-') {
            chars.next();
            match chars.next().ok_or_else(unclosed)? {
                ']' => {
                    ranges.extend([(low, low), ('-', '-')]);
                    return Ok(Token::Class { negated, ranges });
                }
                end => high = end,
            }
        }
        ranges.push((low, high));
    }
}

impl Token {
    fn accepts(&self, c: char) -> bool {
        match self {
            Self::Any => false,
            Self::One => true,
            Self::Char(expected) => *expected == c,
            Self::Class { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

/// Linear in practice: on a mismatch the last `*` takes one more character.
fn matches_tokens(tokens: &[Token], name: &[char]) -> bool {
    let (mut t, mut n) = (0, 0);
    let mut last_any: Option<(usize, usize)> = None;
    while n < name.len() {
        match tokens.get(t) {
            Some(Token::Any) => {
                last_any = Some((t, n));
                t += 1;
            }
            Some(token) if token.accepts(name[n]) => {
                t += 1;
                n += 1;
            }
            _ => match last_any {
                Some((any, start)) => {
                    last_any = Some((any, start + 1));
                    t = any + 1;
                    n = start + 1;
                }
                None => return false,
            },
        }
    }
    tokens[t..].iter().all(|token| *token == Token::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*.csv", "a.csv", true),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("{a,b{c,d}}.t", "bd.t", true),
            ("{a,b{c,d}}.t", "b.t", false),
            ("\\*", "*", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(name), expected, "{pattern} {name}");
        }
        assert!(Pattern::parse("{a,b").is_err());
        assert!(Pattern::parse("[a").is_err());
    }
}
