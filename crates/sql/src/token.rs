//! The kinds of tokens, and the keywords with their reservations.
//!
//! Every keyword may be an identifier in one mode or another:
//! * *free* words always;
//! * *reserved* words unless `spark.sql.ansi.enforceReservedKeywords` is on (all of ANSI SQL's reserved words);
//! * *join* words (`LEFT`, `CROSS`, `ON` …) not as a table alias or CTE name, because a join may follow there.
use std::collections::HashMap;
use std::sync::LazyLock;

macro_rules! kinds {
    (free { $($free:ident,)* } reserved { $($reserved:ident,)* } join { $($join:ident,)* }
     free_join { $($free_join:ident,)* } others { $($(#[$doc:meta])* $other:ident,)* }) => {
        /// What a token is. Keywords are spelled as in SQL.
        #[allow(clippy::upper_case_acronyms, non_camel_case_types)]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Kind {
            $($free,)* $($reserved,)* $($join,)* $($free_join,)* $($(#[$doc])* $other,)*
        }

        /// Keyword text, kind, reservation.
        static KEYWORDS: &[(&str, Kind, Reservation)] = &[
            $((stringify!($free), Kind::$free, Reservation::Free),)*
            $((stringify!($reserved), Kind::$reserved, Reservation::Reserved),)*
            $((stringify!($join), Kind::$join, Reservation::Join),)*
            $((stringify!($free_join), Kind::$free_join, Reservation::FreeJoin),)*
        ];
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reservation {
    Free,
    Reserved,
    /// reserved, and not an alias in any mode
    Join,
    /// free in ANSI mode, yet not an alias in the default mode
    FreeJoin,
}

kinds! {
    free {
        ADD, AFTER, AGGREGATE, ALTER, ALWAYS, ANALYZE, ANY_VALUE, APPROX, ARCHIVE, ARRAY, ASC,
        ASENSITIVE, AT, ATOMIC, BEGIN, BERNOULLI, BETWEEN, BIGINT, BINARY, BINDING, BOOLEAN, BUCKET,
        BUCKETS, BY, BYTE, CACHE, CALLED, CASCADE, CATALOG, CATALOGS, CHANGE, CHANGES, CHAR, CHARACTER,
        CLEAR, CLOSE, CLUSTER, CLUSTERED, CODEGEN, COLLECTION, COLUMNS, COMMENT, COMMIT, COMPACT,
        COMPACTIONS, COMPENSATION, COMPUTE, CONCATENATE, CONDITION, CONTAINS, CONTINUE, COST, CUBE,
        CURRENT, CURRENT_DATABASE, CURSOR, DAY, DAYS, DAYOFYEAR, DATA, DATE, DATABASE, DATABASES,
        DATEADD, DATE_ADD, DATEDIFF, DATE_DIFF, DBPROPERTIES, DEC, DECIMAL, DECLARE, DEFAULT,
        DEFAULT_PATH, DEFINED, DEFINER, DELAY, DELETE, DELIMITED, DESC, DESCRIBE, DETERMINISTIC, DFS,
        DIRECTORIES, DIRECTORY, DISTANCE, DISTRIBUTE, DIV, DO, DOUBLE, DROP, ELSEIF, ENFORCED, ESCAPED,
        EVOLUTION, EXACT, EXCHANGE, EXCLUDE, EXCLUSIVE, EXISTS, EXIT, EXPLAIN, EXPORT, EXTEND, EXTENDED,
        EXTERNAL, EXTRACT, FIELDS, FILEFORMAT, FIRST, FLOAT, FLOW, FOLLOWING, FORMAT, FORMATTED, FOUND,
        FUNCTION, FUNCTIONS, GENERATED, GEOGRAPHY, GEOMETRY, GLOBAL, GROUPING, HANDLER, BINARY_HEX,
        HOUR, HOURS, IDENTIFIER_KW, IDENTIFIED, IDENTITY, IF, IGNORE, IMMEDIATE, IMPORT, INCLUDE,
        INCLUSIVE, INCREMENT, INDEX, INDEXES, INPATH, INPUT, INPUTFORMAT, INSERT, INSENSITIVE, INTERVAL,
        INT, INTEGER, INVOKER, ITEMS, ITERATE, JSON, KEY, KEYS, LANGUAGE, LAST, LAZY, LEAVE, LEVEL,
        LIKE, ILIKE, LIMIT, LINES, LIST, LOAD, LOCAL, LOCATION, LOCK, LOCKS, LOGICAL, LONG, LOOP, MACRO,
        MAP, MATCHED, MATERIALIZED, MAX, MEASURE, MERGE, METRICS, MICROSECOND, MICROSECONDS,
        MILLISECOND, MILLISECONDS, MINUTE, MINUTES, MODIFIES, MONTH, MONTHS, MSCK, NAME, NAMESPACE,
        NAMESPACES, NANOSECOND, NANOSECONDS, NEAREST, NEXT, NO, NONE, NULLS, NUMERIC, NORELY, OF, OPEN,
        OPTION, OPTIONS, OUT, OUTPUTFORMAT, OVER, OVERLAY, OVERWRITE, PARTITION, PARTITIONED,
        PARTITIONS, PATH, PERCENTLIT, PIVOT, PLACING, POSITION, PRECEDING, PRINCIPALS, PROCEDURE,
        PROCEDURES, PROPERTIES, PURGE, QUALIFY, QUARTER, QUERY, RANGE, READ, READS, REAL, RECORDREADER,
        RECORDWRITER, RECOVER, RECURSION, REDUCE, REFRESH, RELY, RENAME, REPAIR, REPEAT, REPEATABLE,
        REPLACE, RESET, RESPECT, RESTRICT, RETURN, RETURNS, REVOKE, RLIKE, ROLE, ROLES, ROLLBACK,
        ROLLUP, ROW, ROWS, SECOND, SECONDS, SCHEMA, SCHEMAS, SECURITY, SEPARATED, SERDE,
        SERDEPROPERTIES, SET, SETS, SHORT, SHOW, SIMILARITY, SINGLE, SKEWED, SMALLINT, SORT, SORTED,
        SOURCE, SPECIFIC, SQLEXCEPTION, SQLSTATE, START, STATISTICS, STORED, STRATIFY, STREAM,
        STREAMING, STRING, STRUCT, SUBSTR, SUBSTRING, SYNC, SYSTEM, SYSTEM_TIME, SYSTEM_VERSION,
        SYSTEM_PATH, TABLES, TABLESAMPLE, TARGET, TBLPROPERTIES, TEMPORARY, TERMINATED, TIMEDIFF,
        TIMESTAMP, TIMESTAMP_LTZ, TIMESTAMP_NTZ, TIMESTAMPADD, TIMESTAMPDIFF, TINYINT, TOUCH,
        TRANSACTION, TRANSACTIONS, TRANSFORM, TRIM, TRUE, TRUNCATE, TRY_CAST, TYPE, UNARCHIVE,
        UNBOUNDED, UNCACHE, UNLOCK, UNPIVOT, UNSET, UNTIL, UPDATE, USE, VALUE, VALUES, VARCHAR, VAR,
        VARIABLE, VARIANT, VERSION, VIEW, VIEWS, VOID, WATERMARK, WEEK, WEEKS, WHILE, WINDOW, WITHOUT,
        YEAR, YEARS, ZONE,
    }
    reserved {
        ALL, AND, ANY, AS, AUTHORIZATION, BOTH, CALL, CASE, CAST, CHECK, COLLATE, COLLATION, COLLATIONS,
        COLUMN, CONSTRAINT, CREATE, CURRENT_DATE, CURRENT_PATH, CURRENT_SCHEMA, CURRENT_TIME,
        CURRENT_TIMESTAMP, CURRENT_USER, DISTINCT, ELSE, END, ESCAPE, FALSE, FETCH, FILTER, FOR,
        FOREIGN, FROM, GRANT, GROUP, HAVING, IN, INTO, IS, LEADING, NOT, NULL, OFFSET, ONLY, OR, ORDER,
        OUTER, OVERLAPS, PRIMARY, RECURSIVE, REFERENCES, SELECT, SESSION_USER, SOME, SQL, TABLE, THEN,
        TIME, TO, EXECUTE, TRAILING, UNIQUE, UNKNOWN, USER, WHEN, WHERE, WITH, WITHIN,
    }
    join {
        CROSS, EXCEPT, FULL, INNER, INTERSECT, JOIN, LATERAL, LEFT, NATURAL, ON, RIGHT, UNION, USING,
    }
    free_join {
        ANTI, SEMI, SETMINUS,
    }
    others {
        Identifier, BackquotedIdentifier,
        StringLiteral, DoubleQuotedString, DollarQuotedString,
        IntegerValue, BigintLiteral, SmallintLiteral, TinyintLiteral, ExponentValue, DecimalValue, FloatLiteral,
        DoubleLiteral, BigDecimalLiteral,
        Semicolon, LeftParen, RightParen, Comma, Dot, LeftBracket, RightBracket, Bang,
        Equal, NullSafeEqual, NotEqual, NotEqualBang, Less, LessOrEqual, Greater, GreaterOrEqual,
        ShiftLeft, ShiftRight, ShiftRightUnsigned, Plus, Minus, Asterisk, Slash, Percent, Tilde, Ampersand, Pipe,
        ConcatPipe, OperatorPipe, Hat, Colon, DoubleColon, Arrow, FatArrow, HintStart, HintEnd, Question,
        Unrecognized, EndOfInput,
    }
}

/// Second spellings.
static SYNONYMS: &[(&str, Kind)] = &[("REGEXP", Kind::RLIKE), ("TEMP", Kind::TEMPORARY)];

/// Keywords whose token has another name than its text.
static RENAMED: &[(&str, Kind)] = &[
    ("X", Kind::BINARY_HEX),
    ("MINUS", Kind::SETMINUS),
    ("PERCENT", Kind::PERCENTLIT),
    ("IDENTIFIER", Kind::IDENTIFIER_KW),
];

static BY_TEXT: LazyLock<HashMap<&'static str, Kind>> = LazyLock::new(|| {
    let plain = KEYWORDS.iter().filter(|(_, kind, _)| RENAMED.iter().all(|(_, renamed)| renamed != kind));
    plain.map(|(text, kind, _)| (*text, *kind)).chain(SYNONYMS.iter().chain(RENAMED).copied()).collect()
});

static RESERVATIONS: LazyLock<HashMap<Kind, Reservation>> =
    LazyLock::new(|| KEYWORDS.iter().map(|(_, kind, reservation)| (*kind, *reservation)).collect());

const LONGEST_KEYWORD: usize = 20;

impl Kind {
    /// The keyword that `word` spells, in any case.
    pub(crate) fn of_word(word: &str) -> Option<Self> {
        if word.len() > LONGEST_KEYWORD {
            return None;
        }
        BY_TEXT.get(word.to_ascii_uppercase().as_str()).copied()
    }

    /// Whether the keyword may be an identifier. `strict`: where a join or set operation could follow.
    pub(crate) fn is_identifier(self, enforce_reserved: bool, strict: bool) -> bool {
        match RESERVATIONS.get(&self) {
            None => self == Kind::Identifier,
            Some(Reservation::Free) => true,
            Some(Reservation::Reserved) => !enforce_reserved,
            Some(Reservation::Join) => !enforce_reserved && !strict,
            Some(Reservation::FreeJoin) => enforce_reserved || !strict,
        }
    }

    pub(crate) fn is_keyword(self) -> bool {
        RESERVATIONS.contains_key(&self)
    }

    pub(crate) fn is_number(self) -> bool {
        use Kind::*;
        matches!(
            self,
            IntegerValue
                | BigintLiteral
                | SmallintLiteral
                | TinyintLiteral
                | ExponentValue
                | DecimalValue
                | FloatLiteral
                | DoubleLiteral
                | BigDecimalLiteral
        )
    }
}

/// A token: its kind and where it stands. `start` and `stop` (inclusive) count characters, the rest bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub stop: usize,
    pub byte_start: usize,
    pub byte_end: usize,
}

/// All keywords with whether ANSI mode reserves them, sorted: what `sql_keywords()` answers.
pub fn keywords() -> Vec<(String, bool)> {
    let is_reserved = |kind| !Kind::is_identifier(kind, true, true);
    // Words with a second spelling are not listed.
    let listed = |kind: &Kind| SYNONYMS.iter().all(|(_, other)| other != kind);
    let words = BY_TEXT.iter().filter(|(_, kind)| listed(kind));
    let mut list: Vec<_> = words.map(|(text, kind)| (text.to_string(), is_reserved(*kind))).collect();
    list.sort();
    list
}
