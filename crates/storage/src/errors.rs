//! What stores answer, as Spark's users know it: Hadoop's Java exceptions, with the path and without secrets.
use firesteel_plan::{JavaException, SparkError};

use crate::location::Location;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreFailure {
    /// There is no such object.
    Missing,
    /// There is no such bucket or container.
    NoBucket,
    /// The credentials are wrong, or may not do this.
    Denied,
    /// Nobody answers at the endpoint, or not in time.
    Unreachable,
    /// Who answers shows a certificate that is not trusted.
    Untrusted,
    /// The bucket is in another region.
    WrongRegion,
    Other,
}

/// What rustls says of a certificate, followed by the reason
const UNTRUSTED: &str = "invalid peer certificate";

/// Codes in the answers of S3, Azure and Google Cloud Storage, exceptions of HDFS, and texts of the client.
const SIGNS: &[(&str, StoreFailure)] = &[
    ("NoSuchBucket", StoreFailure::NoBucket),
    ("ContainerNotFound", StoreFailure::NoBucket),
    ("FilesystemNotFound", StoreFailure::NoBucket),
    ("The specified bucket does not exist", StoreFailure::NoBucket),
    ("InvalidAccessKeyId", StoreFailure::Denied),
    ("SignatureDoesNotMatch", StoreFailure::Denied),
    ("AccessDenied", StoreFailure::Denied),
    ("ExpiredToken", StoreFailure::Denied),
    ("InvalidToken", StoreFailure::Denied),
    ("AuthenticationFailed", StoreFailure::Denied),
    ("invalid_client", StoreFailure::Denied),
    ("AccessControlException", StoreFailure::Denied),
    ("SASL error", StoreFailure::Denied),
    ("status code: 401", StoreFailure::Denied),
    ("status code: 403", StoreFailure::Denied),
    ("without LOCATION", StoreFailure::WrongRegion),
    ("PermanentRedirect", StoreFailure::WrongRegion),
    ("AuthorizationHeaderMalformed", StoreFailure::WrongRegion),
    (UNTRUSTED, StoreFailure::Untrusted),
    ("failed to lookup address", StoreFailure::Unreachable),
    ("operation timed out", StoreFailure::Unreachable),
    ("error sending request", StoreFailure::Unreachable),
    ("error trying to connect", StoreFailure::Unreachable),
    ("tcp connect error", StoreFailure::Unreachable),
    ("Connection refused", StoreFailure::Unreachable),
];

impl StoreFailure {
    pub fn of(error: &object_store::Error) -> Self {
        let text = chain_text(error);
        let sign = SIGNS.iter().find(|(sign, _)| text.contains(sign));
        match (sign, error) {
            (Some((_, failure)), _) => *failure,
            (None, object_store::Error::NotFound { .. }) => Self::Missing,
            (None, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. }) => {
                Self::Denied
            }
            (None, _) => Self::Other,
        }
    }
}

/// An error with all that caused it.
fn chain_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(current) = source {
        text.push_str(": ");
        text.push_str(&current.to_string());
        source = current.source();
    }
    text
}

/// What a store said, in one line: status, code and message. Answers may repeat tokens and signatures, so nothing else
/// of them is taken.
pub fn describe(error: &object_store::Error) -> String {
    let text = chain_text(error);
    let mut parts = vec![];
    if let Some((_, rest)) = text.split_once("status code: ") {
        parts.push(rest.split([':', '\n']).next().unwrap_or_default().trim().to_string());
    }
    if let Some((_, rest)) = text.split_once(UNTRUSTED) {
        let reason = rest.trim_start_matches([':', ' ']);
        parts.push(reason.split([':', ';', ',', '\n']).next().unwrap_or_default().trim().to_string());
    }
    // A name node's exception: its class and the first line, without the Java stack.
    if let Some((_, rest)) = text.split_once("RPC error: ") {
        parts.push(rest.lines().next().unwrap_or_default().trim().to_string());
    }
    for (open, close) in [("<Code>", "</Code>"), ("<Message>", "</Message>")] {
        if let Some((_, rest)) = text.split_once(open) {
            let content = rest.split_once(close).map_or(rest, |(content, _)| content);
            parts.push(content.lines().next().unwrap_or_default().to_string());
        }
    }
    if parts.is_empty() {
        let known = SIGNS.iter().find(|(sign, failure)| *failure == StoreFailure::Unreachable && text.contains(sign));
        parts.push(known.map_or_else(|| kind(error).to_string(), |(sign, _)| (*sign).to_string()));
    }
    parts.join(": ")
}

fn kind(error: &object_store::Error) -> &'static str {
    use object_store::Error;
    match error {
        Error::NotFound { .. } => "not found",
        Error::AlreadyExists { .. } => "already exists",
        Error::Precondition { .. } => "changed meanwhile",
        Error::PermissionDenied { .. } => "permission denied",
        Error::Unauthenticated { .. } => "not authenticated",
        Error::InvalidPath { .. } => "not a usable path",
        Error::NotSupported { .. } | Error::NotImplemented { .. } => "not supported by the store",
        _ => "the request failed",
    }
}

/// A failure of a store. `doing`: what was tried, as "read" or "list".
pub fn store_error(doing: &str, location: &Location, error: &object_store::Error) -> SparkError {
    let said = describe(error);
    let bucket = location.authority();
    let (exception, message) = match StoreFailure::of(error) {
        StoreFailure::Missing => (JavaException::FileNotFound, format!("No such file or directory: {location}")),
        StoreFailure::NoBucket => (
            JavaException::FileNotFound,
            format!("{location}: there is no bucket or container {bucket} at this endpoint ({said})"),
        ),
        StoreFailure::Denied => {
            (JavaException::AccessDenied, format!("{location}: the store refused to {doing} it ({said})"))
        }
        StoreFailure::Unreachable => {
            (JavaException::Io, format!("{location}: the store's endpoint does not answer ({said})"))
        }
        StoreFailure::Untrusted => {
            (JavaException::Io, format!("{location}: the certificate of the store's endpoint is not trusted ({said})"))
        }
        StoreFailure::WrongRegion => (
            JavaException::Io,
            format!("{location}: {bucket} is in another region: set fs.s3a.endpoint.region ({said})"),
        ),
        StoreFailure::Other => (JavaException::Io, format!("cannot {doing} {location}: {said}")),
    };
    // The requests were sent again already: clients, who would ask for minutes, are not told to.
    SparkError::java(exception, message)
}

/// The failure of a store that is among the causes of an error, if one is.
pub fn store_failure<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a object_store::Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(found) = current.downcast_ref::<object_store::Error>() {
            return Some(found);
        }
        // An I/O error answers for what it wraps, rather than showing it as its source.
        if let Some(io) = current.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            return store_failure(inner);
        }
        next = current.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.to_string().into() }
    }

    #[test]
    fn answers_are_understood_and_hold_no_secrets() {
        let body = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>InvalidToken</Code>\
                    <Message>The token is bad</Message><Token-0>tell-nobody</Token-0></Error>";
        let error = failed(body);
        assert_eq!(StoreFailure::of(&error), StoreFailure::Denied);
        let place = Location::parse("s3a://bucket/x").unwrap();
        let shown = store_error("read", &place, &error);
        assert!(shown.to_string().contains("s3a://bucket/x") && shown.to_string().contains("InvalidToken"));
        assert!(!format!("{shown:?}").contains("tell-nobody"));
        let error = failed("error sending request: client error (Connect): invalid peer certificate: UnknownIssuer");
        let shown = store_error("read", &place, &error).to_string();
        assert!(shown.contains("certificate of the store's endpoint is not trusted (UnknownIssuer)"), "{shown}");
        assert_eq!(StoreFailure::of(&failed("<Code>NoSuchBucket</Code>")), StoreFailure::NoBucket);
        assert_eq!(StoreFailure::of(&failed("client error (Connect): operation timed out")), StoreFailure::Unreachable);
    }
}
