//! A text of several statements, for the shell: cut at the semicolons that end statements.
use firesteel_plan::{Plan, Result};

use crate::lexer::tokenize;
use crate::options::ParseOptions;
use crate::parse_statement;
use crate::token::{Kind, Token};

/// A statement and its text, without the semicolon.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptStatement {
    pub text: String,
    pub plan: Plan,
}

/// Parses every statement of a text.
pub fn parse_script(text: &str, options: &ParseOptions) -> Result<Vec<ScriptStatement>> {
    let pieces = split_statements(text, options)?;
    pieces.into_iter().map(|text| parse_statement(&text, options).map(|plan| ScriptStatement { text, plan })).collect()
}

/// Cuts a text at the semicolons that end statements: not those in strings, comments and `BEGIN … END` blocks.
/// Pieces without a statement are left out.
pub fn split_statements(text: &str, options: &ParseOptions) -> Result<Vec<String>> {
    let tokens = tokenize(text, options)?;
    let mut pieces = vec![];
    let mut from = 0;
    while from < tokens.len() {
        let to = statement_end(&tokens, from);
        let (first, last) = (tokens.get(from), tokens.get(to.wrapping_sub(1)));
        if let (true, Some(first), Some(last)) = (to > from, first, last)
            && first.kind != Kind::EndOfInput
        {
            pieces.push(text.get(first.byte_start..last.byte_end).unwrap_or("").to_string());
        }
        from = to + 1;
    }
    Ok(pieces)
}

/// Index of the semicolon or the end that closes the statement at `from`.
fn statement_end(tokens: &[Token], from: usize) -> usize {
    let kind = |index: usize| tokens.get(index).map_or(Kind::EndOfInput, |token| token.kind);
    let is_script = kind(from) == Kind::BEGIN && kind(from + 1) != Kind::Semicolon;
    let mut depth = 0usize;
    let mut index = from;
    loop {
        match kind(index) {
            Kind::EndOfInput => return index.min(tokens.len() - 1),
            Kind::Semicolon if depth == 0 => return index,
            // inside a script, what END closes
            Kind::BEGIN if is_script => depth += 1,
            Kind::CASE if is_script => depth += 1,
            Kind::IF | Kind::WHILE | Kind::LOOP | Kind::REPEAT | Kind::FOR
                if is_script && opens_block(kind(index.wrapping_sub(1)), kind(index), kind(index + 1)) =>
            {
                depth += 1;
            }
            Kind::END if is_script => {
                depth = depth.saturating_sub(1);
                if matches!(
                    kind(index + 1),
                    Kind::IF | Kind::CASE | Kind::WHILE | Kind::LOOP | Kind::REPEAT | Kind::FOR
                ) {
                    index += 1;
                }
            }
            _ => {}
        }
        index += 1;
    }
}

/// A statement word begins a block where a statement begins: after a semicolon, a label or a block's opening word.
fn opens_block(before: Kind, word: Kind, after: Kind) -> bool {
    let begins = matches!(
        before,
        Kind::Semicolon
            | Kind::BEGIN
            | Kind::ATOMIC
            | Kind::Colon
            | Kind::THEN
            | Kind::ELSE
            | Kind::DO
            | Kind::LOOP
            | Kind::REPEAT
    );
    begins && !(word == Kind::IF && matches!(after, Kind::EXISTS | Kind::NOT) && before != Kind::Semicolon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_statements() {
        let cases: &[(&str, &[&str])] = &[
            ("select 1; select ';' ;; -- x;\n", &["select 1", "select ';'"]),
            (
                "begin select 1; if a then select 2; end if; end; select 3",
                &["begin select 1; if a then select 2; end if; end", "select 3"],
            ),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(split_statements(text, &ParseOptions::default()).unwrap(), *expected, "{text}");
        }
    }
}
