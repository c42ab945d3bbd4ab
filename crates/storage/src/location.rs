//! Paths as Spark writes them: scheme, authority and an absolute path.
use std::fmt;

use firesteel_plan::{Result, SparkError};

/// An absolute place. Compared and shown as Hadoop's `Path`: `file:/tmp/x`, `s3a://bucket/x`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    scheme: String,
    authority: String,
    /// Absolute, `/`-separated, no empty, `.` or `..` part, no trailing slash (but for the root).
    path: String,
}

impl Location {
    /// Reads `/tmp/x`, `file:/tmp/x`, `file:///tmp/x`, `s3a://bucket/x`, or a path relative to the server's directory.
    /// Nothing is percent-decoded: like Hadoop, the text is the name.
    pub fn parse(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(SparkError::new(
                "_LEGACY_ERROR_TEMP_3069",
                [("message", "Cannot make a path from an empty string")],
            ));
        }
        let (scheme, rest) = split_scheme(text);
        let (authority, path) = match rest.strip_prefix("//") {
            Some(after) => after.split_at(after.find('/').unwrap_or(after.len())),
            None => ("", rest),
        };
        let scheme = scheme.map_or_else(|| "file".to_string(), str::to_ascii_lowercase);
        if path.starts_with('/') || scheme != "file" {
            return Ok(Self { scheme, authority: authority.into(), path: normalize(path) });
        }
        let directory = std::env::current_dir()
            .map_err(|e| SparkError::internal("the server has no current directory").with_cause(e))?;
        Ok(Self { scheme, authority: String::new(), path: normalize(&format!("{}/{path}", directory.display())) })
    }

    /// Whether a text names a place whatever the server's directory is: `/tmp/x`, `s3a://bucket/x`.
    pub fn is_absolute(text: &str) -> bool {
        text.starts_with('/') || split_scheme(text).0.is_some()
    }

    /// `file:/`
    pub fn local_root() -> Self {
        Self { scheme: "file".into(), authority: String::new(), path: "/".into() }
    }

    pub fn scheme(&self) -> &str {
        &self.scheme
    }
    pub fn authority(&self) -> &str {
        &self.authority
    }
    /// The absolute path, without scheme and authority.
    pub fn path(&self) -> &str {
        &self.path
    }
    /// The last part; empty for the root.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
    pub fn parent(&self) -> Option<Self> {
        if self.path == "/" {
            return None;
        }
        let (parent, _) = self.path.rsplit_once('/')?;
        Some(self.with_path(if parent.is_empty() { "/" } else { parent }))
    }
    /// The place `child` (one part or several) below this one.
    pub fn join(&self, child: &str) -> Self {
        self.with_path(&format!("{}/{child}", self.path))
    }
    /// The same store, another absolute path.
    pub fn with_path(&self, path: &str) -> Self {
        Self { scheme: self.scheme.clone(), authority: self.authority.clone(), path: normalize(path) }
    }
    /// The parts of this path below `ancestor`; `None` where it is not below it.
    pub fn relative_to(&self, ancestor: &Self) -> Option<&str> {
        if self.scheme != ancestor.scheme || self.authority != ancestor.authority {
            return None;
        }
        let rest = self.path.strip_prefix(ancestor.path.trim_end_matches('/'))?;
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    }
    /// Whether this is `ancestor` or below it. The spellings of one store's scheme are the same here.
    pub fn is_below(&self, ancestor: &Self) -> bool {
        let same = |location: &Self| Self { scheme: store_of_scheme(&location.scheme).into(), ..location.clone() };
        same(self).relative_to(&same(ancestor)).is_some()
    }
    /// The place as a URL, percent-encoded: what `input_file_name()` shows.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, encode_path(&self.path))
    }
    /// As [`Location::url`] without the empty authority: what `_metadata.file_path` shows.
    pub fn uri(&self) -> String {
        if self.authority.is_empty() { format!("{}:{}", self.scheme, encode_path(&self.path)) } else { self.url() }
    }
    /// The last part of [`Location::url`].
    pub fn encoded_name(&self) -> String {
        encode_path(self.name())
    }
    /// The key in the object store of this file system.
    pub fn object_path(&self) -> Result<object_store::path::Path> {
        object_store::path::Path::parse(self.path.trim_start_matches('/'))
            .map_err(|e| SparkError::internal(format!("{self} is no usable path")).with_cause(e))
    }
    /// The reverse of [`Location::object_path`] on this location's store.
    pub fn of_object(&self, path: &object_store::path::Path) -> Self {
        self.with_path(&format!("/{path}"))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.authority.is_empty() {
            write!(f, "{}:{}", self.scheme, self.path)
        } else {
            write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
        }
    }
}

/// One spelling for the schemes that Hadoop's connectors have for one store.
fn store_of_scheme(scheme: &str) -> &str {
    match scheme {
        "s3" | "s3n" => "s3a",
        "abfs" | "wasb" | "wasbs" => "abfss",
        other => other,
    }
}

/// A scheme is letters, digits, `+`, `-`, `.` before the first colon, if no slash comes first.
fn split_scheme(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) =>
        {
            (Some(scheme), rest)
        }
        _ => (None, text),
    }
}

fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = vec![];
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Percent-encodes what Java's `Path.toUri` does: everything that is not legal in a URI path.
fn encode_path(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'/' | b'-' | b'_' | b'.' | b'!' | b'~' | b'\'' | b'(' | b')' | b'*' | b',' | b';' | b':' | b'$' | b'&'
            | b'+' | b'=' | b'@' => text.push(char::from(byte)),
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_below_others() {
        let below =
            |place: &str, ancestor: &str| Location::parse(place).unwrap().is_below(&Location::parse(ancestor).unwrap());
        assert!(below("s3://lake/etl/x", "s3a://lake/etl/"));
        assert!(below("/data/a", "/data/a"));
        assert!(!below("/data/ab", "/data/a"));
        assert!(!below("/data/a/../b", "/data/a"));
        assert!(!below("s3://other/etl/x", "s3://lake/etl"));
    }

    #[test]
    fn spellings_of_one_place() {
        for text in ["/tmp/x", "file:/tmp/x", "file:///tmp/x/", "/tmp//./x", "FILE:///tmp/y/../x"] {
            assert_eq!(Location::parse(text).unwrap().to_string(), "file:/tmp/x", "{text}");
        }
        let s3 = Location::parse("s3a://bucket/a/b").unwrap();
        assert_eq!((s3.authority(), s3.path(), s3.name()), ("bucket", "/a/b", "b"));
        assert_eq!(s3.join("c=1").relative_to(&s3), Some("c=1"));
        assert!(Location::parse("data/x").unwrap().path().ends_with("/data/x"));
        assert!(Location::parse("").is_err());
    }
}
