//! `parse_url` by `java.net.URI`'s grammar, `url_encode` and `url_decode` by `java.net.URLEncoder`'s.
use arrow::array::ArrayRef;
use firesteel_plan::{Result, SparkError};

use crate::registry::{Build, Function, FunctionKind};
use crate::rows;
use crate::scalar::ScalarArgs;
use crate::signature::{Accept, Nulls, Returns, Signature, SimpleType};
use crate::view;

/// A URI taken apart; parts are as written.
#[derive(Debug, Default, PartialEq)]
struct Uri<'a> {
    scheme: Option<&'a str>,
    authority: Option<&'a str>,
    user_info: Option<&'a str>,
    host: Option<&'a str>,
    /// `None` where the URI is opaque (`mailto:a@b`)
    path: Option<&'a str>,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

/// Whether all characters may stand in a URI: unreserved, reserved, complete escapes and what is not ASCII.
fn is_legal(text: &str, also: &str) -> bool {
    let bytes = text.as_bytes();
    text.char_indices().all(|(at, c)| match c {
        '%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        _ if c.is_ascii_alphanumeric() => true,
        _ if c.is_ascii() => "-_.!~*'();/?:@&=+$,".contains(c) || also.contains(c),
        _ => !c.is_control() && !c.is_whitespace(),
    })
}

impl<'a> Uri<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut uri = Self::default();
        let (rest, fragment) = split_once(text, '#');
        uri.fragment = fragment;
        let mut rest = rest;
        if let Some(colon) = rest.find([':', '/', '?']).filter(|at| rest[*at..].starts_with(':')) {
            let (scheme, after) = rest.split_at(colon);
            let valid = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
            let after = after.strip_prefix(':')?;
            if !valid || after.is_empty() {
                return None;
            }
            uri.scheme = Some(scheme);
            rest = after;
            if !rest.starts_with('/') {
                // Opaque: nothing but a scheme-specific part.
                return (is_legal(rest, "[]") && is_legal(fragment.unwrap_or(""), "[]")).then_some(uri);
            }
        }
        let (rest, query) = split_once(rest, '?');
        uri.query = query;
        uri.path = Some(rest);
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            if authority.is_empty() && path.is_empty() {
                return None;
            }
            uri.path = Some(path);
            if !authority.is_empty() {
                uri.authority = Some(authority);
                uri.read_authority(authority)?;
            }
        }
        let legal = is_legal(uri.path.unwrap_or(""), "")
            && is_legal(uri.query.unwrap_or(""), "[]")
            && is_legal(uri.fragment.unwrap_or(""), "[]");
        legal.then_some(uri)
    }

    /// An authority that is no server (`user@host:port`) is kept without a host.
    fn read_authority(&mut self, authority: &'a str) -> Option<()> {
        if !is_legal(authority, "[]") {
            return None;
        }
        let (user, server) = match authority.rsplit_once('@') {
            Some((user, server)) => (Some(user), server),
            None => (None, authority),
        };
        let (host, port) = match server.strip_prefix('[').and_then(|s| s.find(']')) {
            Some(end) => (server.get(..end + 2)?, server.get(end + 2..)?.strip_prefix(':')),
            None => split_once(server, ':'),
        };
        let name = !host.is_empty()
            && (host.starts_with('[')
                || (host.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') && is_host_name(host)));
        if name && port.is_none_or(|p| p.chars().all(|c| c.is_ascii_digit())) {
            (self.user_info, self.host) = (user, Some(host));
        }
        Some(())
    }

    fn part(&self, name: &str) -> Option<String> {
        let text = match name {
            "HOST" => self.host?,
            "PATH" => self.path?,
            "QUERY" => self.query?,
            "REF" => self.fragment?,
            "PROTOCOL" => self.scheme?,
            "AUTHORITY" => self.authority?,
            "USERINFO" => self.user_info?,
            "FILE" => {
                let path = self.path?;
                return Some(self.query.map_or_else(|| path.to_string(), |query| format!("{path}?{query}")));
            }
            _ => return None,
        };
        Some(text.to_string())
    }

    /// The value of a parameter of the query.
    fn parameter(&self, key: &str) -> Option<&'a str> {
        let pairs = self.query?.split('&');
        pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
    }
}

/// Labels do not start or end with `-`; the last one starts with a letter unless all is an IPv4 address.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let labels: Vec<_> = host.split('.').collect();
    let sound = labels.iter().all(|l| !l.is_empty() && !l.starts_with('-') && !l.ends_with('-'));
    let address = labels.len() == 4 && labels.iter().all(|l| l.parse::<u8>().is_ok());
    sound && (address || labels.last().is_some_and(|l| l.starts_with(|c: char| c.is_ascii_alphabetic())))
}

fn split_once(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn parse_rows(args: &ScalarArgs<'_>, lenient: bool) -> Result<ArrayRef> {
    let (url, part) = (view::strings(args, 0)?, view::strings(args, 1)?);
    let key = if args.values.len() > 2 { Some(view::strings(args, 2)?) } else { None };
    rows::try_text(args.rows, |row, out| {
        let (Some(url), Some(part)) = (url.get(row), part.get(row)) else { return Ok(None) };
        let Some(uri) = Uri::parse(url) else {
            return if lenient || !args.context.ansi {
                Ok(None)
            } else {
                Err(SparkError::new("INVALID_URL", [("url", url)]))
            };
        };
        let found = match &key {
            None => uri.part(part),
            Some(key) if part == "QUERY" => key.get(row).and_then(|key| uri.parameter(key)).map(str::to_string),
            Some(_) => None,
        };
        Ok(found.map(|found| out.push_str(&found)))
    })
}

fn parse_url(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    parse_rows(args, false)
}

fn try_parse_url(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    parse_rows(args, true)
}

/// Appends `text` as a form sends it.
pub fn encode(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                out.push('%');
                out.push(char::from(DIGITS[usize::from(byte >> 4)]));
                out.push(char::from(DIGITS[usize::from(byte & 15)]));
            }
        }
    }
}

fn url_encode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::text(args.rows, |row, out| {
        encode(input.get(row)?, out);
        Some(())
    })
}

/// `None` where an escape is not complete.
pub fn decode(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (hex, after) = rest.split_at_checked(2)?;
                let digit = |b: u8| char::from(b).to_digit(16).map(|d| d as u8);
                bytes.push(digit(hex[0])? << 4 | digit(hex[1])?);
                rest = after;
            }
            other => bytes.push(*other),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn decode_rows(args: &ScalarArgs<'_>, lenient: bool) -> Result<ArrayRef> {
    let input = view::strings(args, 0)?;
    rows::try_text(args.rows, |row, out| {
        let Some(text) = input.get(row) else { return Ok(None) };
        match decode(text) {
            Some(decoded) => {
                out.push_str(&decoded);
                Ok(Some(()))
            }
            None if lenient => Ok(None),
            None => Err(SparkError::new("CANNOT_DECODE_URL", [("url", text)])),
        }
    })
}

fn url_decode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    decode_rows(args, false)
}

fn try_url_decode(args: &ScalarArgs<'_>) -> Result<ArrayRef> {
    decode_rows(args, true)
}

const PARSE: Signature = Signature::new(&[Accept::String, Accept::String], Returns::Is(SimpleType::String), parse_url)
    .optional(&[Accept::String])
    .nulls(Nulls::Always);
const ENCODE: Signature =
    Signature::new(&[Accept::String], Returns::Is(SimpleType::String), url_encode).nulls(Nulls::Always);

const fn entry(
    name: &'static str,
    parameters: &'static [&'static str],
    signature: Signature,
    usage: &'static str,
    examples: &'static [(&'static str, &'static str)],
    since: &'static str,
) -> Function {
    Function {
        name,
        aliases: &[],
        kind: FunctionKind::Scalar,
        group: "url_funcs",
        parameters,
        build: Build::Signature(signature),
        usage,
        examples,
        since,
    }
}

pub static FUNCTIONS: &[Function] = &[
    entry(
        "parse_url",
        &["url", "partToExtract", "key"],
        PARSE,
        "parse_url(url, partToExtract[, key]) - Returns HOST, PATH, QUERY (or one parameter of it), REF, PROTOCOL, FILE, \
         AUTHORITY or USERINFO of a URL.",
        &[("SELECT parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query');", "1")],
        "2.0.0",
    ),
    entry(
        "try_parse_url",
        &["url", "partToExtract", "key"],
        Signature { kernel: try_parse_url, ..PARSE },
        "try_parse_url(url, partToExtract[, key]) - As `parse_url`, but NULL where the URL is invalid.",
        &[("SELECT try_parse_url('http://spark.apache.org/path?query=1', 'HOST');", "spark.apache.org")],
        "4.0.0",
    ),
    entry(
        "url_encode",
        &["str"],
        ENCODE,
        "url_encode(str) - Encodes text for a URL's query ('application/x-www-form-urlencoded').",
        &[("SELECT url_encode('https://spark.apache.org');", "https%3A%2F%2Fspark.apache.org")],
        "3.4.0",
    ),
    entry(
        "url_decode",
        &["str"],
        Signature { kernel: url_decode, ..ENCODE },
        "url_decode(str) - Decodes what `url_encode` made.",
        &[("SELECT url_decode('https%3A%2F%2Fspark.apache.org');", "https://spark.apache.org")],
        "3.4.0",
    ),
    entry(
        "try_url_decode",
        &["str"],
        Signature { kernel: try_url_decode, ..ENCODE },
        "try_url_decode(str) - As `url_decode`, but NULL where the text cannot be decoded.",
        &[("SELECT try_url_decode('https%3A%2F%2Fspark.apache.org');", "https://spark.apache.org")],
        "4.0.0",
    ),
];

#[cfg(test)]
mod tests {
    use super::Uri;

    #[test]
    fn parts() {
        let uri = Uri::parse("http://user:pw@spark.apache.org:80/path/a?query=1&b=x%20y#Ref").unwrap();
        assert_eq!(uri.host, Some("spark.apache.org"));
        assert_eq!(uri.user_info, Some("user:pw"));
        assert_eq!(uri.part("FILE").as_deref(), Some("/path/a?query=1&b=x%20y"));
        assert_eq!(uri.parameter("b"), Some("x%20y"));
        assert_eq!(Uri::parse("http://a").unwrap().path, Some(""));
        assert!(Uri::parse("inva lid://spark").is_none());
        assert_eq!(Uri::parse("mailto:a@b").unwrap().path, None);
    }
}
