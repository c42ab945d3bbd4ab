//! Error conditions: name → (SQLSTATE, message template). Names, SQLSTATEs and parameter names are Spark 4.2's;
//! the sentences in `conditions/messages` are our own. `<parameter>` is replaced by the parameter's value.
use std::collections::HashMap;
use std::sync::LazyLock;

/// The SQLSTATE of every condition of Spark 4.2 and of Delta Lake. A sub-condition has its parent's.
static SQL_STATES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| {
    let spark = rows(include_str!("conditions/sql_states.txt"), " ");
    let delta = rows(include_str!("conditions/delta_states.txt"), " ");
    spark.chain(delta).chain(OWN_STATES.iter().copied()).collect()
});

/// Conditions that Spark has no like of.
const OWN_STATES: &[(&str, &str)] = &[("PERMISSION_DENIED", "42501")];

/// Message templates by condition, a file for each area.
static MESSAGES: LazyLock<HashMap<&str, &str>> = LazyLock::new(|| FILES.iter().flat_map(|f| rows(f, ": ")).collect());

const FILES: &[&str] = &[
    include_str!("conditions/messages/analysis.txt"),
    include_str!("conditions/messages/connect.txt"),
    include_str!("conditions/messages/delta.txt"),
    include_str!("conditions/messages/parse.txt"),
    include_str!("conditions/messages/script.txt"),
    include_str!("conditions/messages/tables.txt"),
    include_str!("conditions/messages/values.txt"),
];

fn rows(text: &'static str, separator: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    text.lines().filter_map(move |row| row.split_once(separator))
}

/// Whether it is a condition that Spark has.
pub fn is_known(condition: &str) -> bool {
    SQL_STATES.contains_key(condition.split('.').next().unwrap_or(condition))
}

/// SQLSTATE and template of a condition; a sub-condition without a template of its own has its parent's.
pub fn lookup(condition: &str) -> (&'static str, &'static str) {
    (sql_state(condition), template(condition))
}

fn template(condition: &str) -> &'static str {
    match (MESSAGES.get(condition), condition.rsplit_once('.')) {
        (Some(template), _) => template,
        (None, Some((parent, _))) => template(parent),
        (None, None) => "",
    }
}

/// The SQLSTATE of a condition, or of its parent. Spark's unnamed conditions have none.
fn sql_state(condition: &str) -> &'static str {
    let name = condition.split('.').next().unwrap_or(condition);
    match SQL_STATES.get(name) {
        Some(state) => state,
        None if name.starts_with("_LEGACY_ERROR") => "",
        None => "XX000",
    }
}

/// Fills a template. A condition without a template lists its parameters, so nothing is lost.
pub fn render(template: &str, condition: &str, parameters: &[(String, String)]) -> String {
    if template.is_empty() {
        let list: Vec<_> = parameters.iter().map(|(k, v)| format!("{k}: {v}")).collect();
        let words = condition.rsplit('.').next().unwrap_or(condition).replace('_', " ").to_lowercase();
        return if list.is_empty() { format!("{words}.") } else { format!("{words} ({}).", list.join(", ")) };
    }
    let mut text = template.to_string();
    for (key, value) in parameters {
        text = text.replace(&format!("<{key}>"), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_and_of_known_conditions() {
        for file in FILES {
            let names: Vec<_> = rows(file, ": ").map(|(name, _)| name).collect();
            assert_eq!(names.len(), file.lines().count());
            assert!(names.is_sorted());
            for name in names {
                let root = name.split('.').next().unwrap_or(name);
                // Spark's unnamed conditions have no SQLSTATE; those of KLL sketches are our own.
                let is_known = SQL_STATES.contains_key(root);
                assert!(is_known || root.starts_with("_LEGACY_ERROR") || root.starts_with("KLL_SKETCH"), "{name}");
            }
        }
        assert_eq!(MESSAGES.len(), FILES.iter().map(|f| f.lines().count()).sum::<usize>());
        assert!(SQL_STATES.len() > 700);
    }
}
