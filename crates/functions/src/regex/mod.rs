//! Regular expressions by Java's rules, and LIKE.
//!
//! ```text
//!  Java pattern ──▶ translate ──▶ regex (linear time) where it can, fancy-regex (back-references, look-around) else
//! ```
pub mod functions;
pub mod like;
mod translate;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;

/// A compiled Java pattern.
#[derive(Debug, Clone)]
pub struct JavaRegex {
    engine: Engine,
    /// Number of capturing groups
    pub groups: usize,
}

#[derive(Debug, Clone)]
enum Engine {
    Linear(regex::Regex),
    Backtracking(fancy_regex::Regex),
}

/// Byte ranges of a match and its groups; group 0 is the whole. It is made once for many texts.
pub struct Captures(Found);

enum Found {
    Linear(regex::CaptureLocations),
    Backtracking(Vec<Option<(usize, usize)>>),
}

impl Captures {
    pub fn group(&self, index: usize) -> Option<(usize, usize)> {
        match &self.0 {
            Found::Linear(found) => found.get(index),
            Found::Backtracking(found) => found.get(index).copied().flatten(),
        }
    }
}

/// Why a pattern cannot be used.
#[derive(Debug)]
pub struct InvalidPattern;

/// Compiled patterns are kept: a kernel runs once for every batch.
static CACHE: LazyLock<Mutex<HashMap<String, Arc<JavaRegex>>>> = LazyLock::new(Mutex::default);
const CACHE_MAX: usize = 256;

thread_local! {
    /// Copies of this thread alone: threads that share one wait for each other's memory to search in.
    static OWN: RefCell<HashMap<String, Arc<JavaRegex>>> = RefCell::default();
}
const OWN_MAX: usize = 16;

/// The compiled form of a Java pattern, for this thread.
pub fn compile(pattern: &str) -> Result<Arc<JavaRegex>, InvalidPattern> {
    let known = OWN.with_borrow(|own| own.get(pattern).cloned());
    if let Some(known) = known {
        return Ok(known);
    }
    let own = Arc::new(shared(pattern)?.as_ref().clone());
    OWN.with_borrow_mut(|known| {
        if known.len() >= OWN_MAX {
            known.clear();
        }
        known.insert(pattern.to_string(), Arc::clone(&own));
    });
    Ok(own)
}

fn shared(pattern: &str) -> Result<Arc<JavaRegex>, InvalidPattern> {
    if let Some(known) = CACHE.lock().get(pattern) {
        return Ok(Arc::clone(known));
    }
    let compiled = Arc::new(JavaRegex::new(pattern)?);
    let mut cache = CACHE.lock();
    if cache.len() >= CACHE_MAX {
        cache.clear();
    }
    cache.insert(pattern.to_string(), Arc::clone(&compiled));
    Ok(compiled)
}

impl JavaRegex {
    fn new(pattern: &str) -> Result<Self, InvalidPattern> {
        let (translated, has_possessive) = translate::translate(pattern);
        if !has_possessive && let Ok(regex) = regex::Regex::new(&translated) {
            let groups = regex.captures_len() - 1;
            return Ok(Self { engine: Engine::Linear(regex), groups });
        }
        let regex = fancy_regex::Regex::new(&translated).map_err(|_| InvalidPattern)?;
        let groups = regex.captures_len() - 1;
        Ok(Self { engine: Engine::Backtracking(regex), groups })
    }

    /// The number of the group of that name.
    pub fn named_group(&self, name: &str) -> Option<usize> {
        match &self.engine {
            Engine::Linear(regex) => regex.capture_names().position(|known| known == Some(name)),
            Engine::Backtracking(regex) => regex.capture_names().position(|known| known == Some(name)),
        }
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &self.engine {
            Engine::Linear(regex) => regex.is_match(text),
            Engine::Backtracking(regex) => regex.is_match(text).unwrap_or(false),
        }
    }

    /// The first match at or after byte `from`.
    pub fn find_at(&self, text: &str, from: usize) -> Option<(usize, usize)> {
        if from > text.len() {
            return None;
        }
        match &self.engine {
            Engine::Linear(regex) => regex.find_at(text, from).map(|m| (m.start(), m.end())),
            Engine::Backtracking(regex) => regex.find_from_pos(text, from).ok().flatten().map(|m| (m.start(), m.end())),
        }
    }

    /// Where [`Self::find_groups`] tells what it found.
    pub fn no_captures(&self) -> Captures {
        Captures(match &self.engine {
            Engine::Linear(regex) => Found::Linear(regex.capture_locations()),
            Engine::Backtracking(_) => Found::Backtracking(vec![]),
        })
    }

    /// Looks for the first match at or after byte `from` with its groups, which go to `captures`, made by this pattern.
    pub fn find_groups(&self, text: &str, from: usize, captures: &mut Captures) -> bool {
        if from > text.len() {
            return false;
        }
        match (&self.engine, &mut captures.0) {
            (Engine::Linear(regex), Found::Linear(found)) => regex.captures_read_at(found, text, from).is_some(),
            (Engine::Backtracking(regex), Found::Backtracking(found)) => {
                let Some(captures) = regex.captures_from_pos(text, from).ok().flatten() else { return false };
                found.clear();
                found.extend(captures.iter().map(|m| m.map(|m| (m.start(), m.end()))));
                true
            }
            _ => false,
        }
    }

    /// All matches as Java's `find()` goes through them: an empty one may follow a match directly.
    pub fn matches<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
        let mut from = Some(0);
        std::iter::from_fn(move || {
            let (start, end) = self.find_at(text, from?)?;
            from = next_start(text, start, end);
            Some((start, end))
        })
    }

    /// As [`Self::matches`], with groups, until `each` fails.
    pub fn each_match<E>(
        &self,
        text: &str,
        from: usize,
        captures: &mut Captures,
        mut each: impl FnMut(&Captures) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = Some(from);
        while from.is_some_and(|at| self.find_groups(text, at, captures)) {
            let Some((start, end)) = captures.group(0) else { break };
            each(captures)?;
            from = next_start(text, start, end);
        }
        Ok(())
    }
}

/// Where the next search starts: one character on after an empty match.
fn next_start(text: &str, start: usize, end: usize) -> Option<usize> {
    if end > start {
        return Some(end);
    }
    let step = text.get(end..)?.chars().next()?.len_utf8();
    Some(end + step)
}
