//! Error conditions: name → (SQLSTATE, message template). Names, SQLSTATEs and parameter names are Spark 4.2's;
//! the sentences are our own. `<parameter>` is replaced by the parameter's value.

mod parse;
mod sql_states;

use parse::PARSE;
use sql_states::SQL_STATES;

/// SQLSTATE and template of a condition; a sub-condition without a template of its own has its parent's.
pub fn lookup(condition: &str) -> (&'static str, &'static str) {
    let entry = TABLE.binary_search_by(|row| row.0.cmp(condition)).ok();
    if let Some(index) = entry {
        return (TABLE[index].1, TABLE[index].2);
    }
    let parsed = PARSE.binary_search_by(|row| row.0.cmp(condition)).ok();
    let template = match (parsed, condition.rsplit_once('.')) {
        (Some(index), _) => PARSE[index].1,
        (None, Some((parent, _))) => lookup(parent).1,
        (None, None) => "",
    };
    (sql_state(condition), template)
}

/// The SQLSTATE of a condition, or of its parent. Spark's unnamed conditions have none.
fn sql_state(condition: &str) -> &'static str {
    let name = condition.split('.').next().unwrap_or(condition);
    match SQL_STATES.binary_search_by(|row| row.0.cmp(name)) {
        Ok(index) => SQL_STATES[index].1,
        Err(_) if name.starts_with("_LEGACY_ERROR") => "",
        Err(_) => "XX000",
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

/// Sorted by name (a test checks it).
static TABLE: &[(&str, &str, &str)] = &[
    ("AMBIGUOUS_REFERENCE", "42704", "The name <name> fits more than one column here: <referenceNames>. Qualify it."),
    ("ARITHMETIC_OVERFLOW", "22003", "<message>. Use <alternative> to get NULL instead, or set <config> to \"false\"."),
    (
        "CAST_INVALID_INPUT",
        "22018",
        "The value <expression> of type <sourceType> cannot be read as <targetType>. Use `try_cast` to get NULL instead.",
    ),
    (
        "CAST_OVERFLOW",
        "22003",
        "The value <value> of type <sourceType> does not fit in <targetType>. Use `try_cast` to get NULL instead.",
    ),
    ("DATATYPE_MISMATCH", "42K09", "Cannot resolve <sqlExpr>: its input has the wrong type."),
    (
        "DIVIDE_BY_ZERO",
        "22012",
        "Division by zero. Use `try_divide` to get NULL instead, or set <config> to \"false\".",
    ),
    ("INTERNAL_ERROR", "XX000", "<message>"),
    ("OPERATION_CANCELED", "HY008", "The operation was cancelled."),
    ("PARSE_SYNTAX_ERROR", "42601", "Syntax error at or near <error><hint>."),
    (
        "TABLE_OR_VIEW_NOT_FOUND",
        "42P01",
        "There is no table or view <relationName>. Check its spelling, catalog and schema.",
    ),
    ("UNRESOLVED_COLUMN", "42703", "There is no column, variable or parameter named <objectName> here."),
    ("UNRESOLVED_ROUTINE", "42883", "There is no function <routineName> in <searchPath>."),
    ("UNSUPPORTED_FEATURE", "0A000", "This is not supported: <feature>."),
];

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn the_table_is_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(super::PARSE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(super::SQL_STATES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
