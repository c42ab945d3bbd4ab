//! What the session's configuration says about parsing.

/// Settings of a session that change how text is read. The comment names the configuration key.
#[derive(Debug, Clone, PartialEq)]
pub struct ParseOptions {
    /// `spark.sql.ansi.enabled`
    pub ansi: bool,
    /// `spark.sql.ansi.enforceReservedKeywords` (with `ansi`): ANSI's reserved words are not identifiers
    pub enforce_reserved_keywords: bool,
    /// `spark.sql.ansi.doubleQuotedIdentifiers` (with `ansi`): `"a"` is an identifier, not a string
    pub double_quoted_identifiers: bool,
    /// `spark.sql.parser.escapedStringLiterals`: backslashes in strings stay
    pub escaped_string_literals: bool,
    /// `spark.sql.legacy.consecutiveStringLiterals.enabled`: `'a''b'` is `'a' 'b'`
    pub consecutive_string_literals: bool,
    /// `spark.sql.legacy.exponentLiteralAsDecimal.enabled`: `1e3` is a decimal
    pub exponent_literal_as_decimal: bool,
    /// `spark.sql.legacy.setopsPrecedence.enabled`: INTERSECT binds no tighter than UNION
    pub legacy_set_operation_precedence: bool,
    /// `spark.sql.legacy.parser.havingWithoutGroupByAsWhere`
    pub having_without_group_by_as_where: bool,
    /// `spark.sql.parser.quotedRegexColumnNames`: a backquoted column name is a pattern
    pub quoted_regex_column_names: bool,
    /// `spark.sql.legacy.interval.enabled`: interval literals of several units are CalendarInterval
    pub legacy_interval: bool,
    /// `spark.sql.timestampType` is TIMESTAMP_NTZ: what TIMESTAMP means
    pub timestamp_ntz: bool,
    /// `spark.sql.session.timeZone`: the zone of timestamp literals that name none
    pub session_time_zone: String,
    /// `spark.sql.legacy.bangEqualsNot`: `!` may stand for any NOT
    pub bang_equals_not: bool,
    /// Nesting of expressions, queries and statements that is accepted.
    pub max_depth: usize,
    /// Operators in one chain (`a + b + …`) that is accepted; AND and OR chains are not limited.
    pub max_chain: usize,
}

impl ParseOptions {
    /// What a configuration says; `get` answers the value set for a key.
    pub fn of_conf<'v>(get: impl Fn(&str) -> Option<&'v str>) -> Self {
        let flag = |key: &str, default: bool| get(key).map_or(default, |v| v.trim().eq_ignore_ascii_case("true"));
        let defaults = Self::default();
        let ansi = flag("spark.sql.ansi.enabled", defaults.ansi);
        Self {
            ansi,
            enforce_reserved_keywords: ansi && flag("spark.sql.ansi.enforceReservedKeywords", false),
            double_quoted_identifiers: ansi && flag("spark.sql.ansi.doubleQuotedIdentifiers", false),
            escaped_string_literals: flag("spark.sql.parser.escapedStringLiterals", false),
            consecutive_string_literals: flag("spark.sql.legacy.consecutiveStringLiterals.enabled", false),
            exponent_literal_as_decimal: flag("spark.sql.legacy.exponentLiteralAsDecimal.enabled", false),
            legacy_set_operation_precedence: flag("spark.sql.legacy.setopsPrecedence.enabled", false),
            having_without_group_by_as_where: flag("spark.sql.legacy.parser.havingWithoutGroupByAsWhere", false),
            quoted_regex_column_names: flag("spark.sql.parser.quotedRegexColumnNames", false),
            legacy_interval: flag("spark.sql.legacy.interval.enabled", false),
            bang_equals_not: flag("spark.sql.legacy.bangEqualsNot", false),
            timestamp_ntz: get("spark.sql.timestampType").is_some_and(|v| v.eq_ignore_ascii_case("TIMESTAMP_NTZ")),
            session_time_zone: get("spark.sql.session.timeZone").map_or(defaults.session_time_zone, str::to_string),
            max_depth: defaults.max_depth,
            max_chain: defaults.max_chain,
        }
    }
}

impl Default for ParseOptions {
    fn default() -> Self {
        Self {
            ansi: true,
            enforce_reserved_keywords: false,
            double_quoted_identifiers: false,
            escaped_string_literals: false,
            consecutive_string_literals: false,
            exponent_literal_as_decimal: false,
            legacy_set_operation_precedence: false,
            having_without_group_by_as_where: false,
            quoted_regex_column_names: false,
            legacy_interval: false,
            timestamp_ntz: false,
            session_time_zone: "UTC".to_string(),
            bang_equals_not: false,
            max_depth: 1000,
            max_chain: 2000,
        }
    }
}
