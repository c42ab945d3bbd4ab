//! Data types and column lists.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, DayTimeField, Result, StructField, StructType, YearMonthField};

use crate::parser::Parser;
use crate::token::Kind;

/// Types of one word without parameters.
static SIMPLE_TYPES: &[(Kind, DataType)] = &[
    (Kind::BOOLEAN, DataType::Boolean),
    (Kind::TINYINT, DataType::Byte),
    (Kind::BYTE, DataType::Byte),
    (Kind::SMALLINT, DataType::Short),
    (Kind::SHORT, DataType::Short),
    (Kind::INT, DataType::Integer),
    (Kind::INTEGER, DataType::Integer),
    (Kind::BIGINT, DataType::Long),
    (Kind::LONG, DataType::Long),
    (Kind::FLOAT, DataType::Float),
    (Kind::REAL, DataType::Float),
    (Kind::DOUBLE, DataType::Double),
    (Kind::DATE, DataType::Date),
    (Kind::TIMESTAMP_NTZ, DataType::TimestampNtz),
    (Kind::TIMESTAMP_LTZ, DataType::Timestamp),
    (Kind::BINARY, DataType::Binary),
    (Kind::VOID, DataType::Null),
    (Kind::VARIANT, DataType::Variant),
];

const MAX_PRECISION: i64 = 38;
const MAX_TIME_PRECISION: i64 = 6;
const TIME_PRECISION_DEFAULT: u8 = 6;
/// `GEOMETRY(ANY)`: every row has a reference system of its own.
const ANY_SRID: i32 = -1;

impl Parser<'_> {
    pub(crate) fn data_type(&mut self) -> Result<DataType> {
        self.nested(Self::data_type_here)
    }

    fn data_type_here(&mut self) -> Result<DataType> {
        let start = self.position();
        let kind = self.kind();
        if let Some((_, data_type)) = SIMPLE_TYPES.iter().find(|(word, _)| *word == kind)
            && self.kind_at(1) != Kind::LeftParen
        {
            self.advance();
            return Ok(data_type.clone());
        }
        match kind {
            Kind::ARRAY => self.array_type(start),
            Kind::MAP => self.map_type(start),
            Kind::STRUCT => self.struct_type(start),
            Kind::STRING => {
                self.advance();
                self.collation().map(DataType::String)
            }
            Kind::CHAR | Kind::CHARACTER | Kind::VARCHAR => self.sized_string(start),
            Kind::DECIMAL | Kind::DEC | Kind::NUMERIC => self.decimal_type(start),
            Kind::INTERVAL => self.interval_type(start),
            Kind::TIMESTAMP => {
                self.advance();
                if self.eat_sequence(&[Kind::WITH, Kind::LOCAL, Kind::TIME, Kind::ZONE]) {
                    return Ok(DataType::Timestamp);
                }
                let is_local = self.eat_sequence(&[Kind::WITHOUT, Kind::TIME, Kind::ZONE]);
                Ok(if is_local || self.options.timestamp_ntz { DataType::TimestampNtz } else { DataType::Timestamp })
            }
            Kind::TIME => self.time_type(start),
            Kind::GEOMETRY => self.spatial_type().map(DataType::Geometry),
            Kind::GEOGRAPHY => self.spatial_type().map(DataType::Geography),
            _ => self.unknown_type(start),
        }
    }

    fn array_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        if !self.eat(Kind::Less) {
            let parameters = [("elementType", "<INT>")];
            let error = self.error_from(start, "INCOMPLETE_TYPE_DEFINITION.ARRAY", parameters);
            return Ok(self.defer(error, DataType::Null));
        }
        let element = self.data_type()?;
        self.expect_greater()?;
        Ok(DataType::array(element, true))
    }

    fn map_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        if !self.eat(Kind::Less) {
            let error = self.plain_error_from(start, "INCOMPLETE_TYPE_DEFINITION.MAP");
            return Ok(self.defer(error, DataType::Null));
        }
        let key = self.data_type()?;
        self.expect(Kind::Comma)?;
        let value = self.data_type()?;
        self.expect_greater()?;
        Ok(DataType::map(key, value, true))
    }

    fn struct_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        if self.eat(Kind::NotEqual) {
            return Ok(DataType::structure(vec![]));
        }
        if !self.eat(Kind::Less) {
            let error = self.plain_error_from(start, "INCOMPLETE_TYPE_DEFINITION.STRUCT");
            return Ok(self.defer(error, DataType::Null));
        }
        let fields = match self.kind() {
            Kind::Greater => vec![],
            _ => self.comma_list(|p| p.field(true))?,
        };
        self.expect_greater()?;
        Ok(DataType::structure(fields))
    }

    /// `name [:] type [NOT NULL] [COMMENT '…']`
    fn field(&mut self, in_struct: bool) -> Result<StructField> {
        let name = self.name()?;
        if in_struct {
            self.eat(Kind::Colon);
        }
        let data_type = self.data_type()?;
        let mut nullable = true;
        if self.eat_capturing_not()? {
            self.expect(Kind::NULL)?;
            nullable = false;
        }
        let comment = self.optional_string_after(Kind::COMMENT)?;
        Ok(StructField { name, data_type, nullable, metadata: comment_metadata(comment) })
    }

    /// `a INT, b STRING COMMENT '…'`
    pub(crate) fn column_types(&mut self) -> Result<Vec<StructField>> {
        self.comma_list(|p| p.field(false))
    }

    pub(crate) fn table_schema(&mut self) -> Result<StructType> {
        Ok(StructType::new(self.column_types()?))
    }

    fn collation(&mut self) -> Result<Collation> {
        if !self.eat(Kind::COLLATE) {
            return Ok(Collation(None));
        }
        let name = self.multipart_name()?.join(".");
        Ok(collation_of(&name))
    }

    fn sized_string(&mut self, start: usize) -> Result<DataType> {
        let token = self.advance();
        let written = self.token_text(token).to_uppercase();
        if !self.at(Kind::LeftParen) {
            let error = self.error_from(start, "DATATYPE_MISSING_SIZE", [("type", format!("\"{written}\""))]);
            return Ok(self.defer(error, DataType::Null));
        }
        let size = self.parenthesized(Self::integer)?;
        self.collation()?;
        let Ok(size) = u32::try_from(size) else { return Ok(self.unsupported_type(start)) };
        Ok(if token.kind == Kind::VARCHAR { DataType::Varchar(size) } else { DataType::Char(size) })
    }

    fn decimal_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        if !self.at(Kind::LeftParen) {
            return Ok(DataType::DECIMAL_USER);
        }
        let numbers = self.paren_list(Self::integer)?;
        let precision = numbers.first().copied().unwrap_or(0);
        let scale = numbers.get(1).copied().unwrap_or(0);
        if numbers.len() > 2 {
            return Ok(self.unsupported_type(start));
        }
        if precision > MAX_PRECISION {
            let parameters = [("precision", precision.to_string()), ("maxPrecision", MAX_PRECISION.to_string())];
            let error = self.error_from(start, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", parameters);
            return Ok(self.defer(error, DataType::Null));
        }
        if scale > precision {
            let message = format!("Decimal scale ({scale}) cannot be greater than precision ({precision}).");
            let error = self.error_from(
                start,
                "_LEGACY_ERROR_TEMP_1229",
                [
                    ("decimalScale", scale.to_string()),
                    ("decimalPrecision", precision.to_string()),
                    ("message", message),
                ],
            );
            return Ok(self.defer(error, DataType::Null));
        }
        let narrow = |value: i64| u8::try_from(value).unwrap_or(0);
        Ok(DataType::Decimal(narrow(precision), i8::try_from(scale).unwrap_or(0)))
    }

    fn interval_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        let year_month = |kind| match kind {
            Kind::YEAR => Some(YearMonthField::Year),
            Kind::MONTH => Some(YearMonthField::Month),
            _ => None,
        };
        let day_time = |kind| match kind {
            Kind::DAY => Some(DayTimeField::Day),
            Kind::HOUR => Some(DayTimeField::Hour),
            Kind::MINUTE => Some(DayTimeField::Minute),
            Kind::SECOND => Some(DayTimeField::Second),
            _ => None,
        };
        let from = self.kind();
        if year_month(from).is_none() && day_time(from).is_none() {
            return Ok(DataType::CalendarInterval);
        }
        self.advance();
        let to = if self.eat(Kind::TO) { self.advance().kind } else { from };
        match (year_month(from).zip(year_month(to)), day_time(from).zip(day_time(to))) {
            (Some((first, last)), _) if first < last || from == to => Ok(DataType::YearMonthInterval(first, last)),
            (_, Some((first, last))) if first < last || from == to => Ok(DataType::DayTimeInterval(first, last)),
            _ => {
                let word = |kind: Kind| format!("{kind:?}").to_lowercase();
                let parameters = [("input", self.text_from(start)), ("from", word(from)), ("to", word(to))];
                let error =
                    self.error_from(start, "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION", parameters);
                Ok(self.defer(error, DataType::Null))
            }
        }
    }

    fn time_type(&mut self, start: usize) -> Result<DataType> {
        self.advance();
        let mut precision = TIME_PRECISION_DEFAULT;
        if self.at(Kind::LeftParen) {
            let value = self.parenthesized(Self::integer)?;
            if !(0..=MAX_TIME_PRECISION).contains(&value) {
                let parameters = [("precision", value.to_string())];
                let error = self.error_from(start, "UNSUPPORTED_TIME_PRECISION", parameters);
                return Ok(self.defer(error, DataType::Null));
            }
            precision = u8::try_from(value).unwrap_or(TIME_PRECISION_DEFAULT);
        }
        self.eat_sequence(&[Kind::WITHOUT, Kind::TIME, Kind::ZONE]);
        Ok(DataType::Time(precision))
    }

    fn spatial_type(&mut self) -> Result<i32> {
        self.advance();
        self.parenthesized(|p| {
            if p.eat(Kind::ANY) {
                return Ok(ANY_SRID);
            }
            let start = p.position();
            let srid = p.integer()?;
            i32::try_from(srid).map_err(|_| p.error_from(start, "ST_INVALID_SRID_VALUE", [("srid", srid.to_string())]))
        })
    }

    /// A name that is no type.
    fn unknown_type(&mut self, start: usize) -> Result<DataType> {
        self.identifier()?;
        if self.at(Kind::LeftParen) && self.kind_at(1) == Kind::IntegerValue {
            self.paren_list(Self::integer)?;
        }
        Ok(self.unsupported_type(start))
    }

    fn unsupported_type(&mut self, start: usize) -> DataType {
        let name = self.text_from(start).to_uppercase();
        let error = self.error_from(start, "UNSUPPORTED_DATATYPE", [("typeName", format!("\"{name}\""))]);
        self.defer(error, DataType::Null)
    }
}

/// The collation of a name; UTF8_BINARY is the default one.
pub fn collation_of(name: &str) -> Collation {
    let canonical = match name.to_ascii_uppercase() {
        upper if upper == "UTF8_BINARY" => return Collation(None),
        upper if upper.starts_with("UTF8_") => upper,
        _ => name.to_string(),
    };
    Collation(Some(Arc::from(canonical)))
}

/// Column metadata that holds a comment, as JSON values by key.
pub(crate) fn comment_metadata(comment: Option<String>) -> BTreeMap<String, String> {
    comment.into_iter().map(|text| ("comment".to_string(), json_string(&text))).collect()
}

fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if u32::from(c) < 0x20 => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}
