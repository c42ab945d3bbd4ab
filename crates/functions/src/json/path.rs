//! The paths of `get_json_object`: `$`, `.name`, `['name']`, `[0]`, `[*]`, `.*`.
use super::value::Json;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Name(String),
    Index(usize),
    /// `[*]`
    Items,
    /// `.*`: no object matches it
    Fields,
}

/// The steps of a path; `None` where it is not one.
pub fn parse(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = vec![];
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let (name, tail) = after.split_at(end);
            match name {
                "" => return None,
                "*" => steps.push(Step::Fields),
                name => steps.push(Step::Name(name.to_string())),
            }
            rest = tail;
        } else if let Some(after) = rest.strip_prefix("['") {
            let (name, tail) = after.split_once("']")?;
            steps.push(if name == "*" { Step::Fields } else { Step::Name(name.to_string()) });
            rest = tail;
        } else {
            let (index, tail) = rest.strip_prefix('[')?.split_once(']')?;
            steps.push(if index == "*" { Step::Items } else { Step::Index(index.parse().ok()?) });
            rest = tail;
        }
    }
    Some(steps)
}

/// How matches below a wildcard are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// A single match stands without quotes and brackets
    Raw,
    /// Inside an array
    Quoted,
    /// Matches of nested wildcards go into one array
    Flatten,
}

/// Appends what the path leads to; `None` where it leads nowhere.
pub fn evaluate(json: &Json, steps: &[Step], out: &mut String) -> Option<()> {
    let mut found = vec![];
    if walk(json, steps, Style::Raw, &mut found) { found.first().map(|text| out.push_str(text)) } else { None }
}

/// Collects the texts of matches; `false` where there is none.
fn walk(json: &Json, steps: &[Step], style: Style, found: &mut Vec<String>) -> bool {
    match (json, steps) {
        (Json::Null, []) if style == Style::Raw => false,
        (Json::Array(items), []) if style == Style::Flatten => {
            let mut any = false;
            for item in items {
                any |= walk(item, &[], style, found);
            }
            any
        }
        (value, []) => {
            let mut text = String::new();
            if style == Style::Raw {
                value.write_unquoted(&mut text)
            } else {
                value.write(&mut text)
            }
            found.push(text);
            true
        }
        (Json::Object(fields), [Step::Name(name), rest @ ..]) => {
            // The first field of that name that leads somewhere.
            fields.iter().filter(|(field, _)| field == name).any(|(_, value)| {
                (*value != Json::Null || !rest.is_empty() || style != Style::Raw) && walk(value, rest, style, found)
            })
        }
        (Json::Array(items), [Step::Items, Step::Items, rest @ ..]) => {
            let mut inner = vec![];
            for item in items {
                walk(item, rest, Style::Flatten, &mut inner);
            }
            found.push(format!("[{}]", inner.join(",")));
            !inner.is_empty()
        }
        (Json::Array(items), [Step::Items, rest @ ..]) if style != Style::Quoted => {
            let mut inner = vec![];
            let next = if style == Style::Raw { Style::Quoted } else { style };
            for item in items {
                walk(item, rest, next, &mut inner);
            }
            match (inner.len(), style) {
                (0, _) => false,
                // One match stands for itself.
                (1, Style::Raw) | (_, Style::Flatten) => {
                    found.append(&mut inner);
                    true
                }
                _ => {
                    found.push(format!("[{}]", inner.join(",")));
                    true
                }
            }
        }
        (Json::Array(items), [Step::Items, rest @ ..]) => {
            let mut inner = vec![];
            for item in items {
                walk(item, rest, Style::Quoted, &mut inner);
            }
            found.push(format!("[{}]", inner.join(",")));
            !inner.is_empty()
        }
        (Json::Array(items), [Step::Index(index), Step::Items, rest @ ..]) => items.get(*index).is_some_and(|item| {
            let mut steps = vec![Step::Items];
            steps.extend_from_slice(rest);
            walk(item, &steps, Style::Quoted, found)
        }),
        (Json::Array(items), [Step::Index(index), rest @ ..]) => {
            items.get(*index).is_some_and(|item| walk(item, rest, style, found))
        }
        // A name below an array means the name in each of its items.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::value::Parser;

    #[test]
    fn paths() {
        let get = |json: &str, path: &str| {
            let json = Parser::new().unwrap().parse(json).unwrap();
            let mut out = String::new();
            evaluate(&json, &parse(path)?, &mut out).map(|()| out)
        };
        for (json, path, expected) in [
            (r#"{"a":{"b":[1,2,{"c":"x"}]}}"#, "$.a.b[2].c", Some("x")),
            (r#"{"a":[{"b":1},{"b":2}]}"#, "$.a[*].b", Some("[1,2]")),
            (r#"{"a":[{"b":1}]}"#, "$.a[*].b", Some("1")),
            (r#"{"a":null}"#, "$.a", None),
            ("[1,2]", "$[*]", Some("[1,2]")),
            (r#"{"a b":1}"#, "$['a b']", Some("1")),
            (r#"{"a":[[1,2],[3]]}"#, "$.a[*][0]", Some("[1,3]")),
            (r#"{"a":[[1,2],[3]]}"#, "$.a[*][*]", Some("[1,2,3]")),
            (r#"{"a":1}"#, "a", None),
        ] {
            assert_eq!(get(json, path).as_deref(), expected, "{json} {path}");
        }
    }
}
