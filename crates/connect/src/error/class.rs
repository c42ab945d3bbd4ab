//! Which Java exception Spark throws for a condition: clients choose their exception by it.
use firesteel_plan::{JavaException, SparkError};

pub(super) const SPARK_EXCEPTION: &str = "org.apache.spark.SparkException";

const RUNTIME: &[&str] = &["java.lang.RuntimeException", "java.lang.Exception"];
const ILLEGAL_ARGUMENT: &[&str] =
    &["java.lang.IllegalArgumentException", "java.lang.RuntimeException", "java.lang.Exception"];

/// An exception: its class, and the classes it extends (without Throwable and Object).
struct Class(&'static str, &'static [&'static str]);

static ANALYSIS: Class = Class("org.apache.spark.sql.AnalysisException", &["java.lang.Exception"]);
static PARSE: Class = Class(
    "org.apache.spark.sql.catalyst.parser.ParseException",
    &["org.apache.spark.sql.AnalysisException", "java.lang.Exception"],
);
static EXCEPTION: Class = Class(SPARK_EXCEPTION, &["java.lang.Exception"]);
static RUNTIME_EXCEPTION: Class = Class("org.apache.spark.SparkRuntimeException", RUNTIME);
static ARITHMETIC: Class = Class(
    "org.apache.spark.SparkArithmeticException",
    &["java.lang.ArithmeticException", "java.lang.RuntimeException", "java.lang.Exception"],
);
static NUMBER_FORMAT: Class = Class(
    "org.apache.spark.SparkNumberFormatException",
    &[
        "java.lang.NumberFormatException",
        "java.lang.IllegalArgumentException",
        "java.lang.RuntimeException",
        "java.lang.Exception",
    ],
);
static DATE_TIME: Class = Class(
    "org.apache.spark.SparkDateTimeException",
    &["java.time.DateTimeException", "java.lang.RuntimeException", "java.lang.Exception"],
);
static ARRAY_INDEX: Class = Class(
    "org.apache.spark.SparkArrayIndexOutOfBoundsException",
    &[
        "java.lang.ArrayIndexOutOfBoundsException",
        "java.lang.IndexOutOfBoundsException",
        "java.lang.RuntimeException",
        "java.lang.Exception",
    ],
);
static ILLEGAL: Class = Class("org.apache.spark.SparkIllegalArgumentException", ILLEGAL_ARGUMENT);
static UNSUPPORTED: Class = Class(
    "org.apache.spark.SparkUnsupportedOperationException",
    &["java.lang.UnsupportedOperationException", "java.lang.RuntimeException", "java.lang.Exception"],
);
static JAVA_ILLEGAL_ARGUMENT: Class =
    Class("java.lang.IllegalArgumentException", &["java.lang.RuntimeException", "java.lang.Exception"]);
static NO_SUCH_ELEMENT: Class = Class(
    "org.apache.spark.SparkNoSuchElementException",
    &["java.util.NoSuchElementException", "java.lang.RuntimeException", "java.lang.Exception"],
);
static UPGRADE: Class = Class("org.apache.spark.SparkUpgradeException", RUNTIME);
static SQL: Class = Class("org.apache.spark.SparkSQLException", &["java.sql.SQLException", "java.lang.Exception"]);
static INVALID_PLAN: Class = Class(
    "org.apache.spark.sql.connect.common.InvalidPlanInput",
    &["java.lang.RuntimeException", "java.lang.Exception"],
);
static JAVA_ACCESS_DENIED: Class = Class(
    "java.nio.file.AccessDeniedException",
    &["java.nio.file.FileSystemException", "java.io.IOException", "java.lang.Exception"],
);
static JAVA_FILE_NOT_FOUND: Class =
    Class("java.io.FileNotFoundException", &["java.io.IOException", "java.lang.Exception"]);
static JAVA_IO: Class = Class("java.io.IOException", &["java.lang.Exception"]);
static JAVA_ARITHMETIC: Class = Class("java.lang.ArithmeticException", RUNTIME);
static JAVA_MISSING_FORMAT_ARGUMENT: Class = Class(
    "java.util.MissingFormatArgumentException",
    &[
        "java.util.IllegalFormatException",
        "java.lang.IllegalArgumentException",
        "java.lang.RuntimeException",
        "java.lang.Exception",
    ],
);
/// Conditions (and all below them) whose class does not follow from the SQLSTATE. Longer names win.
static BY_CONDITION: &[(&str, &Class)] = &[
    ("ARITHMETIC_OVERFLOW", &ARITHMETIC),
    ("BINARY_ARITHMETIC_OVERFLOW", &ARITHMETIC),
    ("CANNOT_MODIFY_CONFIG", &ANALYSIS),
    ("CANNOT_PARSE_DECIMAL", &RUNTIME_EXCEPTION),
    ("CANNOT_PARSE_INTERVAL", &ILLEGAL),
    ("CANNOT_PARSE_TIME", &DATE_TIME),
    ("CANNOT_PARSE_TIMESTAMP", &DATE_TIME),
    ("CAST_OVERFLOW", &ARITHMETIC),
    ("CAST_OVERFLOW_IN_TABLE_INSERT", &ARITHMETIC),
    ("CONNECT_INVALID_PLAN", &INVALID_PLAN),
    ("DATETIME_FIELD_OUT_OF_BOUNDS", &DATE_TIME),
    ("DATETIME_OVERFLOW", &ARITHMETIC),
    ("DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", &ARITHMETIC),
    ("DIVIDE_BY_ZERO", &ARITHMETIC),
    ("DUPLICATED_MAP_KEY", &RUNTIME_EXCEPTION),
    ("DUPLICATE_CLAUSES", &PARSE),
    ("DUPLICATE_KEY", &PARSE),
    ("EXPRESSION_DECODING_FAILED", &RUNTIME_EXCEPTION),
    ("FAILED_EXECUTE_UDF", &EXCEPTION),
    ("FAILED_READ_FILE", &EXCEPTION),
    ("FAILED_TO_PARSE_TOO_COMPLEX", &PARSE),
    ("IDENTIFIER_TOO_MANY_NAME_PARTS", &PARSE),
    ("INCONSISTENT_BEHAVIOR_CROSS_VERSION", &UPGRADE),
    ("INTERVAL_ARITHMETIC_OVERFLOW", &ARITHMETIC),
    ("INTERVAL_DIVIDED_BY_ZERO", &ARITHMETIC),
    ("INVALID_ARRAY_INDEX", &ARRAY_INDEX),
    ("INVALID_ARRAY_INDEX_IN_ELEMENT_AT", &ARRAY_INDEX),
    ("INVALID_BITMAP_POSITION", &ARRAY_INDEX),
    ("INVALID_CONF_VALUE", &ILLEGAL),
    ("INVALID_CURSOR", &SQL),
    ("INVALID_DATETIME_PATTERN", &ILLEGAL),
    ("INVALID_FRACTION_OF_SECOND", &DATE_TIME),
    ("INVALID_HANDLE", &SQL),
    ("INVALID_IDENTIFIER", &PARSE),
    ("INVALID_INTERVAL_FORMAT", &ILLEGAL),
    ("INVALID_PROPERTY_KEY", &PARSE),
    ("INVALID_PROPERTY_VALUE", &PARSE),
    ("INVALID_RESET_COMMAND_FORMAT", &PARSE),
    ("INVALID_SET_SYNTAX", &PARSE),
    ("INVALID_SQL_SYNTAX", &PARSE),
    ("INVALID_STATEMENT_OR_CLAUSE", &PARSE),
    ("INVALID_TIMEZONE", &DATE_TIME),
    ("INVALID_TYPED_LITERAL", &PARSE),
    ("INVALID_URL", &ILLEGAL),
    ("MERGE_CARDINALITY_VIOLATION", &RUNTIME_EXCEPTION),
    ("NULL_MAP_KEY", &RUNTIME_EXCEPTION),
    ("NUMERIC_VALUE_OUT_OF_RANGE", &ARITHMETIC),
    ("OPERATION_CANCELED", &SQL),
    ("PARSE_EMPTY_STATEMENT", &PARSE),
    ("PARSE_MODE_UNSUPPORTED", &PARSE),
    ("PARSE_SYNTAX_ERROR", &PARSE),
    ("REMAINDER_BY_ZERO", &ARITHMETIC),
    ("REPEATED_CLAUSE", &PARSE),
    ("SQL_CONF_NOT_FOUND", &NO_SUCH_ELEMENT),
    ("SUM_OF_LIMIT_AND_OFFSET_EXCEEDS_MAX_INT", &ANALYSIS),
    ("UNCLOSED_BRACKETED_COMMENT", &PARSE),
    ("UNSUPPORTED_FEATURE.FIRESTEEL", &UNSUPPORTED),
    ("USER_RAISED_EXCEPTION", &RUNTIME_EXCEPTION),
    ("_LEGACY_ERROR_TEMP_1046", &ANALYSIS),
    ("_LEGACY_ERROR_TEMP_1047", &ANALYSIS),
    ("_LEGACY_ERROR_TEMP_1048", &ANALYSIS),
];

/// Class first, then what it extends.
pub(super) fn hierarchy(error: &SparkError) -> Vec<&'static str> {
    let class = class_of(error);
    let mut names = vec![class.0];
    names.extend(class.1);
    names.extend(["java.lang.Throwable", "java.lang.Object"]);
    names
}

fn class_of(error: &SparkError) -> &'static Class {
    match error.java_exception() {
        Some(JavaException::AccessDenied) => return &JAVA_ACCESS_DENIED,
        Some(JavaException::FileNotFound) => return &JAVA_FILE_NOT_FOUND,
        Some(JavaException::Io) => return &JAVA_IO,
        Some(JavaException::Arithmetic) => return &JAVA_ARITHMETIC,
        Some(JavaException::IllegalArgument) => return &JAVA_ILLEGAL_ARGUMENT,
        Some(JavaException::MissingFormatArgument) => return &JAVA_MISSING_FORMAT_ARGUMENT,
        None => {}
    }
    let condition = error.condition();
    if condition == "CAST_INVALID_INPUT" {
        return cast_class(error);
    }
    let mut name = condition;
    loop {
        if let Ok(index) = BY_CONDITION.binary_search_by(|row| row.0.cmp(name)) {
            return BY_CONDITION[index].1;
        }
        match name.rsplit_once('.') {
            Some((parent, _)) => name = parent,
            None => break,
        }
    }
    by_state(error.sql_state())
}

/// Casting text fails with the exception of the type it should become.
fn cast_class(error: &SparkError) -> &'static Class {
    let target = error.parameters().iter().find(|(key, _)| key == "targetType").map_or("", |(_, value)| value);
    let target = target.trim_matches('"').to_ascii_uppercase();
    if target.starts_with("DATE") || target.starts_with("TIME") || target.starts_with("INTERVAL") {
        &DATE_TIME
    } else if target.starts_with("BOOLEAN") {
        &RUNTIME_EXCEPTION
    } else {
        &NUMBER_FORMAT
    }
}

/// Syntax and access rules (42), unsupported features (0A), DDL (46) and dependent objects (2B) are found in analysis;
/// data errors (21, 22, 23) while running.
fn by_state(sql_state: &str) -> &'static Class {
    match sql_state.get(..2) {
        Some("0A" | "2B" | "42" | "46" | "0N") => &ANALYSIS,
        Some("21" | "22" | "23" | "P0") => &RUNTIME_EXCEPTION,
        _ => &EXCEPTION,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted() {
        assert!(BY_CONDITION.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn classes() {
        let class = |error: &SparkError| hierarchy(error)[0];
        assert_eq!(class(&SparkError::parse("x")), PARSE.0);
        assert_eq!(class(&SparkError::of("INVALID_HANDLE.SESSION_CLOSED")), SQL.0);
        assert_eq!(class(&SparkError::internal("x")), SPARK_EXCEPTION);
        assert_eq!(class(&SparkError::java(JavaException::Arithmetic, "long overflow")), JAVA_ARITHMETIC.0);
        let cast = |to: &str| SparkError::new("CAST_INVALID_INPUT", [("targetType", to)]);
        assert_eq!(class(&cast("\"INT\"")), NUMBER_FORMAT.0);
        assert_eq!(class(&cast("\"DATE\"")), DATE_TIME.0);
    }
}
