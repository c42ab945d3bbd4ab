//! Partition directory names: `column=value`, escaped as Hive does.

/// The directory of the null partition.
pub const HIVE_DEFAULT_PARTITION: &str = "__HIVE_DEFAULT_PARTITION__";

/// Characters that Hive writes as `%XX`, besides control characters.
const ESCAPED: &str = "\"#%'*/:=?\\\u{7f}{[]^";

/// A name as a directory part.
pub fn escape_path_name(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for c in name.chars() {
        if (c < ' ') || ESCAPED.contains(c) {
            text.push_str(&format!("%{:02X}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// The reverse of [`escape_path_name`]. A `%` that two hexadecimal digits do not follow stays.
pub fn unescape_path_name(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |index: usize| bytes.get(index).and_then(|b| char::from(*b).to_digit(16));
    let mut out = String::with_capacity(text.len());
    let mut index = 0;
    while let Some(c) = text.get(index..).and_then(|rest| rest.chars().next()) {
        match (c, hex(index + 1), hex(index + 2)) {
            ('%', Some(high), Some(low)) => {
                out.extend(char::from_u32(high * 16 + low));
                index += 3;
            }
            _ => {
                out.push(c);
                index += c.len_utf8();
            }
        }
    }
    out
}

/// `a=1/b=x`: the directory of a partition below its table.
pub fn partition_path<'a>(values: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let part = |(column, value): (&str, Option<&str>)| {
        // An empty string has no directory name of its own: Hive stores it with the nulls.
        let value = value.filter(|text| !text.is_empty()).unwrap_or(HIVE_DEFAULT_PARTITION);
        format!("{}={}", escape_path_name(column), escape_path_name(value))
    };
    values.into_iter().map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_round() {
        for name in ["plain", "a b", "12:30", "x=y/z", "100%", "é", "\t"] {
            assert_eq!(unescape_path_name(&escape_path_name(name)), name);
        }
        assert_eq!(escape_path_name("12:30"), "12%3A30");
        assert_eq!(unescape_path_name("100%zz"), "100%zz");
        assert_eq!(partition_path([("a", Some("1")), ("b", None)]), "a=1/b=__HIVE_DEFAULT_PARTITION__");
    }
}
