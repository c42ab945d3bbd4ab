//! The patterns of `SHOW … LIKE`: `*` is any text, `|` separates alternatives, case does not matter.

/// Whether `name` matches `pattern`. Alternatives are trimmed, as Spark does.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let name: Vec<char> = name.to_lowercase().chars().collect();
    pattern.trim().split('|').any(|alternative| {
        let alternative: Vec<char> = alternative.trim().to_lowercase().chars().collect();
        matches_one(&alternative, &name)
    })
}

/// The names that match, in their order. No pattern: all of them.
pub fn filter_pattern(names: Vec<String>, pattern: Option<&str>) -> Vec<String> {
    match pattern {
        Some(pattern) => names.into_iter().filter(|name| matches_pattern(pattern, name)).collect(),
        None => names,
    }
}

/// Linear-time wildcard match: on a mismatch, the last `*` takes one more character. `.` is one character, as in the
/// regular expression that Spark makes of the pattern.
fn matches_one(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                last_star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == name[n] || *c == '.' => {
                p += 1;
                n += 1;
            }
            _ => match last_star {
                Some((star, start)) => {
                    last_star = Some((star, start + 1));
                    p = star + 1;
                    n = start + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn stars_and_alternatives() {
        for (pattern, name, expected) in [
            ("*", "anything", true),
            ("s*s", "sales", true),
            ("S*|t1", "T1", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("", "x", false),
            (" t1 | t2 ", "t2", true),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }
}
