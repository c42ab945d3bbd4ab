//! Searching by collation. Positions are byte offsets into the searched text.
use super::{Collator, Rule, fold};

impl Collator {
    /// The first match of `pattern` that starts at or after `from`.
    pub fn find(&self, text: &str, pattern: &str, from: usize) -> Option<(usize, usize)> {
        let rest = text.get(from..)?;
        if matches!(self.rule, Rule::Binary) {
            return rest.find(pattern).map(|at| (from + at, from + at + pattern.len()));
        }
        if pattern.is_empty() {
            return Some((from, from));
        }
        let starts = rest.char_indices().map(|(at, _)| from + at);
        starts.into_iter().find_map(|start| self.match_at(text, pattern, start).map(|end| (start, end)))
    }

    /// The last match of `pattern` that ends at or before `until`.
    pub fn rfind(&self, text: &str, pattern: &str, until: usize) -> Option<(usize, usize)> {
        let text = text.get(..until)?;
        if matches!(self.rule, Rule::Binary) {
            return text.rfind(pattern).map(|at| (at, at + pattern.len()));
        }
        if pattern.is_empty() {
            return Some((until, until));
        }
        let mut starts = text.char_indices().rev().map(|(at, _)| at);
        starts.find_map(|start| self.match_at(text, pattern, start).map(|end| (start, end)))
    }

    /// Where the match of `pattern` that starts at `start` ends.
    fn match_at(&self, text: &str, pattern: &str, start: usize) -> Option<usize> {
        let rest = text.get(start..)?;
        match &self.rule {
            Rule::Binary => rest.starts_with(pattern).then_some(start + pattern.len()),
            Rule::Lcase => {
                let mut wanted = fold(pattern).peekable();
                for (at, c) in rest.char_indices() {
                    if wanted.peek().is_none() {
                        return Some(start + at);
                    }
                    let mut buffer = [0; 4];
                    if !fold(c.encode_utf8(&mut buffer)).all(|folded| wanted.next() == Some(folded)) {
                        return None;
                    }
                }
                wanted.peek().is_none().then_some(text.len())
            }
            Rule::Unicode(collator) => {
                // A match can be longer or shorter than the pattern by what is ignored or expands.
                let most = pattern.chars().count().saturating_mul(3).saturating_add(2);
                let ends = rest.char_indices().map(|(at, c)| at + c.len_utf8()).take(most);
                let matching = ends.filter(|end| {
                    rest.get(..*end).is_some_and(|part| collator.compare(part, pattern) == std::cmp::Ordering::Equal)
                });
                // Marks that follow belong to the match where they are ignored.
                matching.last().map(|end| start + end)
            }
        }
    }

    pub fn contains(&self, text: &str, pattern: &str) -> bool {
        self.find(text, pattern, 0).is_some()
    }

    pub fn starts_with(&self, text: &str, pattern: &str) -> bool {
        pattern.is_empty() || self.match_at(text, pattern, 0).is_some()
    }

    pub fn ends_with(&self, text: &str, pattern: &str) -> bool {
        match self.rule {
            Rule::Binary => text.ends_with(pattern),
            _ => {
                pattern.is_empty()
                    || (text.char_indices().rev())
                        .any(|(start, _)| self.match_at(text, pattern, start) == Some(text.len()))
            }
        }
    }

    /// Whether one of the characters of `set` equals `c`.
    pub fn contains_char(&self, set: &str, c: char) -> bool {
        match self.rule {
            Rule::Binary => set.contains(c),
            _ => {
                let (mut left, mut right) = ([0; 4], [0; 4]);
                let c = &*c.encode_utf8(&mut left);
                set.chars().any(|s| self.compare(s.encode_utf8(&mut right), c) == std::cmp::Ordering::Equal)
            }
        }
    }

    /// The parts between delimiters; the whole where the delimiter is empty.
    pub fn split<'a>(&self, text: &'a str, delimiter: &str) -> Vec<&'a str> {
        if delimiter.is_empty() {
            return vec![text];
        }
        let (mut parts, mut from) = (vec![], 0);
        while let Some((start, end)) = self.find(text, delimiter, from) {
            parts.push(text.get(from..start).unwrap_or(""));
            from = end;
        }
        parts.push(text.get(from..).unwrap_or(""));
        parts
    }
}
