//! The value of a string token.

/// What the text of a string token stands for: quotes removed, escapes replaced.
///
/// Escapes: `\0 \b \n \r \t \Z`, `\uXXXX`, `\UXXXXXXXX`, `\ooo` (octal); `\%` and `\_` keep their backslash, for LIKE;
/// a backslash before any other character disappears.
pub(crate) fn string_value(token: &str, keep_escapes: bool) -> String {
    if let Some(raw) = token.strip_prefix(['r', 'R']) {
        return inner(raw).to_string();
    }
    let quote = token.chars().next().unwrap_or('\'');
    unescape(inner(token), quote, keep_escapes)
}

fn inner(token: &str) -> &str {
    token.get(1..token.len().saturating_sub(1)).unwrap_or("")
}

fn unescape(text: &str, quote: char, keep_escapes: bool) -> String {
    if !text.contains(['\\', quote]) {
        return text.to_string();
    }
    let chars: Vec<char> = text.chars().collect();
    let mut i = 0;
    let mut pending: Vec<Piece> = vec![];
    while i < chars.len() {
        let c = chars[i];
        if c == quote && chars.get(i + 1) == Some(&quote) {
            pending.push(Piece::Char(quote));
            i += 2;
        } else if c != '\\' || keep_escapes || i + 1 >= chars.len() {
            pending.push(Piece::Char(c));
            i += 1;
        } else {
            let (piece, length) = escape(&chars[i + 1..]);
            pending.push(piece);
            i += 1 + length;
        }
    }
    // UTF-16 units, because `\uD83D\uDE00` spells one character with two escapes
    let mut result: Vec<u16> = Vec::with_capacity(pending.len());
    for piece in pending {
        match piece {
            Piece::Char(c) => push_char(&mut result, c),
            Piece::Two(a, b) => {
                push_char(&mut result, a);
                push_char(&mut result, b);
            }
            Piece::Unit(unit) => result.push(unit),
        }
    }
    String::from_utf16_lossy(&result)
}

fn push_char(units: &mut Vec<u16>, c: char) {
    let mut buffer = [0; 2];
    units.extend_from_slice(c.encode_utf16(&mut buffer));
}

enum Piece {
    Char(char),
    Two(char, char),
    Unit(u16),
}

/// The meaning of what follows a backslash, and its length.
fn escape(rest: &[char]) -> (Piece, usize) {
    let digits = |from: usize, count: usize, radix: u32| -> Option<u32> {
        let part = rest.get(from..from + count)?;
        part.iter().try_fold(0u32, |value, c| Some(value.checked_mul(radix)? + c.to_digit(radix)?))
    };
    let Some(first) = rest.first() else { return (Piece::Char('\\'), 0) };
    match first {
        'u' => {
            if let Some(unit) = digits(1, 4, 16).and_then(|code| u16::try_from(code).ok()) {
                return (Piece::Unit(unit), 5);
            }
        }
        'U' => {
            if let Some(c) = digits(1, 8, 16).and_then(char::from_u32) {
                return (Piece::Char(c), 9);
            }
        }
        '0'..='3' => {
            if let Some(c) = digits(0, 3, 8).and_then(char::from_u32) {
                return (Piece::Char(c), 3);
            }
        }
        _ => {}
    }
    let piece = match first {
        '0' => Piece::Char('\0'),
        'b' => Piece::Char('\u{8}'),
        'n' => Piece::Char('\n'),
        'r' => Piece::Char('\r'),
        't' => Piece::Char('\t'),
        'Z' => Piece::Char('\u{1a}'),
        '%' | '_' => Piece::Two('\\', *first),
        other => Piece::Char(*other),
    };
    (piece, 1)
}
