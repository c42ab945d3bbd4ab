//! How types are shown: `simpleString`, SQL, and the tree of `printSchema`.
use std::fmt;

use super::{Collation, DataType, DayTimeField, StructType, YearMonthField};
use crate::identifier::quote_if_needed;

impl fmt::Display for YearMonthField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Year => "year",
            Self::Month => "month",
        })
    }
}

impl fmt::Display for DayTimeField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        })
    }
}

fn interval<T: fmt::Display + PartialEq>(start: &T, end: &T) -> String {
    if start == end { format!("interval {start}") } else { format!("interval {start} to {end}") }
}

impl Collation {
    /// `UTF8_BINARY` where none is named.
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or("UTF8_BINARY")
    }
    pub fn is_default(&self) -> bool {
        self.0.is_none()
    }
}

impl DataType {
    /// Spark's `simpleString`, the form of `DESCRIBE` and `df.dtypes`: `struct<a:int,b:array<string>>`.
    pub fn simple_string(&self) -> String {
        match self {
            Self::Null => "void".into(),
            Self::Boolean => "boolean".into(),
            Self::Byte => "tinyint".into(),
            Self::Short => "smallint".into(),
            Self::Integer => "int".into(),
            Self::Long => "bigint".into(),
            Self::Float => "float".into(),
            Self::Double => "double".into(),
            Self::Decimal(p, s) => format!("decimal({p},{s})"),
            Self::String(c) if c.is_default() => "string".into(),
            Self::String(c) => format!("string collate {}", c.name()),
            Self::Char(n) => format!("char({n})"),
            Self::Varchar(n) => format!("varchar({n})"),
            Self::Binary => "binary".into(),
            Self::Date => "date".into(),
            Self::Timestamp => "timestamp".into(),
            Self::TimestampNtz => "timestamp_ntz".into(),
            Self::Time(p) => format!("time({p})"),
            Self::CalendarInterval => "interval".into(),
            Self::YearMonthInterval(a, b) => interval(a, b),
            Self::DayTimeInterval(a, b) => interval(a, b),
            Self::Array(e, _) => format!("array<{}>", e.simple_string()),
            Self::Map(k, v, _) => format!("map<{},{}>", k.simple_string(), v.simple_string()),
            Self::Struct(s) => s.simple_string(),
            Self::Variant => "variant".into(),
            Self::Geometry(srid) => format!("geometry({})", srid_text(*srid)),
            Self::Geography(srid) => format!("geography({})", srid_text(*srid)),
            Self::Udt { .. } => "udt".into(),
        }
    }

    /// The SQL text, as in generated names and error messages: `STRUCT<a: INT NOT NULL, b: ARRAY<STRING>>`.
    pub fn sql(&self) -> String {
        match self {
            Self::Array(e, _) => format!("ARRAY<{}>", e.sql()),
            Self::Map(k, v, _) => format!("MAP<{}, {}>", k.sql(), v.sql()),
            Self::Struct(s) => {
                let field = |f: &super::StructField| {
                    let null = if f.nullable { "" } else { " NOT NULL" };
                    format!("{}: {}{null}", quote_if_needed(&f.name), f.data_type.sql())
                };
                format!("STRUCT<{}>", s.fields.iter().map(field).collect::<Vec<_>>().join(", "))
            }
            Self::String(c) if !c.is_default() => format!("STRING COLLATE {}", c.name()),
            Self::Udt { sql_type, .. } => sql_type.sql(),
            other => other.simple_string().to_uppercase(),
        }
    }

    /// The name in `printSchema`, and of `typeName()`: `integer`, `long`, `string`, `decimal(10,2)`.
    pub fn type_name(&self) -> String {
        match self {
            Self::Byte => "byte".into(),
            Self::Short => "short".into(),
            Self::Integer => "integer".into(),
            Self::Long => "long".into(),
            Self::Array(..) => "array".into(),
            Self::Map(..) => "map".into(),
            Self::Struct(_) => "struct".into(),
            other => other.simple_string(),
        }
    }

    fn tree(&self, prefix: &str, depth: usize, max_depth: usize, out: &mut String) {
        if depth >= max_depth {
            return;
        }
        match self {
            Self::Array(e, nullable) => {
                out.push_str(&format!("{prefix}-- element: {} (containsNull = {nullable})\n", e.type_name()));
                e.tree(&format!("{prefix}    |"), depth + 1, max_depth, out);
            }
            Self::Map(k, v, nullable) => {
                out.push_str(&format!("{prefix}-- key: {}\n", k.type_name()));
                k.tree(&format!("{prefix}    |"), depth + 1, max_depth, out);
                out.push_str(&format!("{prefix}-- value: {} (valueContainsNull = {nullable})\n", v.type_name()));
                v.tree(&format!("{prefix}    |"), depth + 1, max_depth, out);
            }
            Self::Struct(s) => s.tree(prefix, depth, max_depth, out),
            _ => {}
        }
    }
}

impl StructType {
    pub fn simple_string(&self) -> String {
        let fields = self.fields.iter().map(|f| format!("{}:{}", f.name, f.data_type.simple_string()));
        format!("struct<{}>", fields.collect::<Vec<_>>().join(","))
    }

    fn tree(&self, prefix: &str, depth: usize, max_depth: usize, out: &mut String) {
        for f in self.fields.iter() {
            let line = format!("{prefix}-- {}: {} (nullable = {})\n", f.name, f.data_type.type_name(), f.nullable);
            out.push_str(&line);
            f.data_type.tree(&format!("{prefix}    |"), depth + 1, max_depth, out);
        }
    }

    /// The text of `printSchema`; `level` limits the depth (`None`: all).
    pub fn tree_string(&self, level: Option<usize>) -> String {
        let mut out = String::from("root\n");
        self.tree(" |", 0, level.unwrap_or(usize::MAX), &mut out);
        out
    }

    /// A DDL text that `StructType.fromDDL` reads back: `a INT NOT NULL,b STRING`.
    pub fn to_ddl(&self) -> String {
        let field = |f: &super::StructField| {
            let null = if f.nullable { "" } else { " NOT NULL" };
            format!("{} {}{null}", quote_if_needed(&f.name), f.data_type.sql())
        };
        self.fields.iter().map(field).collect::<Vec<_>>().join(",")
    }
}

fn srid_text(srid: i32) -> String {
    if srid == DataType::MIXED_SRID { "any".into() } else { srid.to_string() }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.simple_string())
    }
}
