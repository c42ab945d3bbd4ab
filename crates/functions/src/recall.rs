//! Errors of expressions that a reader has turned into text.
//!
//! Parquet's reader evaluates filters while it reads and passes their errors on as text alone. The newest errors are
//! kept here, so that the one whose text is inside such a message can be had back with its condition and parameters.
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use firesteel_plan::SparkError;

/// More than one query can fail at a time.
const KEPT: usize = 64;

static NEWEST: Mutex<VecDeque<SparkError>> = Mutex::new(VecDeque::new());

/// Keeps an error that is about to leave an expression.
pub fn remember(error: &SparkError) {
    let mut newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
    if newest.len() == KEPT {
        newest.pop_back();
    }
    newest.push_front(error.clone());
}

/// The newest error whose text is in `message`.
pub fn find_in(message: &str) -> Option<SparkError> {
    let newest = NEWEST.lock().unwrap_or_else(PoisonError::into_inner);
    newest.iter().find(|error| message.contains(&error.to_string())).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_by_their_text() {
        let error = SparkError::new("DIVIDE_BY_ZERO", [("config", "a key of this test")]);
        remember(&error);
        assert_eq!(find_in(&format!("while reading: {error:?}")), Some(error));
        assert_eq!(find_in("nothing of the kind"), None);
    }
}
