//! Column names from the first record.
use super::options::CsvOptions;
use super::tokenizer::Tokens;

/// `_c0`, `_c1`, …; or the values of the header, made safe: an empty one is `_c<i>`, repeated ones get their index.
pub fn column_names(first: &Tokens, options: &CsvOptions, case_sensitive: bool) -> Vec<String> {
    if !options.header {
        return (0..first.len()).map(|index| format!("_c{index}")).collect();
    }
    let fold = |name: &str| if case_sensitive { name.to_string() } else { name.to_lowercase() };
    let values: Vec<&str> = first.iter().map(Option::unwrap_or_default).collect();
    let is_repeated = |name: &str| values.iter().filter(|other| fold(other) == fold(name)).count() > 1;
    let name = |(index, value): (usize, &&str)| {
        if value.is_empty() || **value == options.null_value {
            format!("_c{index}")
        } else if is_repeated(value) {
            format!("{value}{index}")
        } else {
            (*value).to_string()
        }
    };
    values.iter().enumerate().map(name).collect()
}
