//! The one error vocabulary: a Spark error condition with its SQLSTATE, parameters and query context.
use std::fmt;
use std::sync::Arc;

use crate::conditions;
use crate::expression::Origin;

pub type Result<T, E = SparkError> = std::result::Result<T, E>;

/// An error as Spark reports it. Cheap to move (one pointer).
#[derive(Clone, PartialEq)]
pub struct SparkError(Box<Inner>);

#[derive(Clone, PartialEq)]
struct Inner {
    condition: String,
    sql_state: String,
    message: String,
    parameters: Vec<(String, String)>,
    contexts: Vec<QueryContext>,
    retryable: bool,
    cause: Option<String>,
    java: Option<JavaException>,
}

/// What Java's own library throws inside Spark: a class and a message, but no condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JavaException {
    AccessDenied,
    Arithmetic,
    FileNotFound,
    IllegalArgument,
    Io,
    MissingFormatArgument,
}

/// Where in the user's program an error arose (Spark's `QueryContext`).
#[derive(Debug, Clone, PartialEq)]
pub struct QueryContext {
    pub origin: Arc<Origin>,
}

impl SparkError {
    /// An error of `condition` (for example `TABLE_OR_VIEW_NOT_FOUND` or `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE`).
    /// SQLSTATE and message come from the table in [`conditions`]; parameters are named as in Spark.
    pub fn new<K: Into<String>, V: Into<String>>(
        condition: impl Into<String>,
        parameters: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let condition = condition.into();
        let parameters: Vec<_> = parameters.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        let (sql_state, template) = conditions::lookup(&condition);
        let message = conditions::render(template, &condition, &parameters);
        Self(Box::new(Inner {
            condition,
            sql_state: sql_state.to_string(),
            message,
            parameters,
            contexts: vec![],
            retryable: false,
            cause: None,
            java: None,
        }))
    }

    /// An error that has no condition in Spark either.
    pub fn java(exception: JavaException, message: impl Into<String>) -> Self {
        let mut error = Self::of("");
        error.0.sql_state = String::new();
        error.0.java = Some(exception);
        error.with_message(message)
    }

    /// An error without parameters.
    pub fn of(condition: &str) -> Self {
        Self::new(condition, std::iter::empty::<(String, String)>())
    }

    /// Something that broke inside Firesteel: never the user's fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("INTERNAL_ERROR", [("message", message.into())])
    }

    /// A request that is understood but not supported here; `feature` is shown to the user.
    pub fn unsupported(feature: impl Into<String>) -> Self {
        Self::new("UNSUPPORTED_FEATURE.FIRESTEEL", [("feature", feature.into())])
    }

    /// A SQL syntax error without a position; the parser adds one.
    pub fn parse(message: impl Into<String>) -> Self {
        Self::new("PARSE_SYNTAX_ERROR", [("error", message.into()), ("hint", String::new())])
    }

    /// Replaces the rendered message (without the leading `[CONDITION]`).
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = message.into();
        self
    }

    /// Adds the place in the user's program, unless one is known already.
    pub fn with_origin(mut self, origin: Option<&Arc<Origin>>) -> Self {
        if let (true, Some(origin)) = (self.0.contexts.is_empty(), origin) {
            self.0.contexts.push(QueryContext { origin: Arc::clone(origin) });
        }
        self
    }

    /// Says that the same request may succeed later.
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    /// Records what was underneath, for logs and `FetchErrorDetails`.
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Empty for what Java's own library throws ([`Self::java_exception`]).
    pub fn condition(&self) -> &str {
        &self.0.condition
    }
    pub fn sql_state(&self) -> &str {
        &self.0.sql_state
    }
    /// The message without its `[CONDITION]` prefix.
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn parameters(&self) -> &[(String, String)] {
        &self.0.parameters
    }
    pub fn contexts(&self) -> &[QueryContext] {
        &self.0.contexts
    }
    pub fn is_retryable(&self) -> bool {
        self.0.retryable
    }
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
    pub fn java_exception(&self) -> Option<JavaException> {
        self.0.java
    }
    /// Whether the condition is `name` or a sub-condition of it.
    pub fn is(&self, name: &str) -> bool {
        self.0.condition == name || self.0.condition.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
    }
}

impl fmt::Display for SparkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.java {
            Some(_) => return f.write_str(&self.0.message),
            None => write!(f, "[{}] {}", self.0.condition, self.0.message)?,
        }
        if !self.0.sql_state.is_empty() {
            write!(f, " SQLSTATE: {}", self.0.sql_state)?;
        }
        for context in &self.0.contexts {
            write!(f, "\n{}", context.origin.summary())?;
        }
        Ok(())
    }
}

impl fmt::Debug for SparkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for SparkError {}
