//! Whatever the text, the parser answers: a plan or an error, never a panic, and soon.
use firesteel_sql::{ParseOptions, parse_statement};

const PIECES: &[&str] = &[
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "as",
    "join",
    "lateral view",
    "union all",
    "values",
    "with",
    "case",
    "when",
    "then",
    "end",
    "cast",
    "in",
    "not",
    "between",
    "like",
    "interval",
    "'1'",
    "'é\\u00e9'",
    "1",
    "1.5e3",
    "(",
    ")",
    ",",
    ".",
    "*",
    "+",
    "-",
    "=",
    "::",
    "->",
    "|>",
    "/*+",
    "*/",
    "t",
    "`a b`",
    ":p",
    "?",
    "x",
    "day",
    "to",
    "array<",
    ">>",
    "begin",
    ";",
    "set",
    "create table",
    "insert into",
    "partition",
    "date",
    "!",
    "[",
    "]",
    "$$",
    "\"",
];

/// A xorshift generator: the same texts in every run.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % 1_000_003) as usize
}

#[test]
fn shuffled_tokens_never_panic() {
    let mut state = 0x5eed;
    for _ in 0..5_000 {
        let length = next(&mut state) % 40;
        let words: Vec<_> = (0..length).map(|_| PIECES[next(&mut state) % PIECES.len()]).collect();
        let _ = parse_statement(&words.join(" "), &ParseOptions::default());
    }
}

#[test]
fn nesting_ends_in_a_condition() {
    let deep = |open: &str, close: &str| format!("select {}1{}", open.repeat(10_000), close.repeat(10_000));
    for text in [deep("(", ")"), deep("f(", ")"), deep("not ", ""), deep("(select ", ")")] {
        let condition = parse_statement(&text, &ParseOptions::default()).map_err(|e| e.condition().to_string());
        assert_eq!(condition.err().as_deref(), Some("FAILED_TO_PARSE_TOO_COMPLEX"));
    }
    let chain = format!("select {}true", "a and ".repeat(100_000));
    assert!(parse_statement(&chain, &ParseOptions::default()).is_ok());
}
