//! Types in both directions.
use std::collections::BTreeMap;
use std::sync::Arc;

use firesteel_plan::data_type::Collation;
use firesteel_plan::{DataType, DayTimeField, Result, SparkError, StructField, StructType, YearMonthField};
use firesteel_sql::ParseOptions;
use proto::data_type::Kind;
use spark_connect_proto as proto;

use super::{Decoder, invalid, missing, not_set};

const MESSAGE: &str = "spark.connect.DataType";

impl Decoder<'_> {
    /// A type; [`Decoder::data_type_or_text`] also takes one in text.
    pub(super) fn data_type(&mut self, data_type: &proto::DataType) -> Result<DataType> {
        self.deeper(|decoder| decoder.data_type_here(data_type))
    }

    fn data_type_here(&mut self, data_type: &proto::DataType) -> Result<DataType> {
        let kind = data_type.kind.as_ref().ok_or_else(|| not_set(MESSAGE, "kind"))?;
        if let Some(simple) = simple(kind) {
            return Ok(simple);
        }
        match kind {
            Kind::Decimal(decimal) => decimal_type(decimal),
            Kind::String(string) => Ok(DataType::String(collation(&string.collation))),
            Kind::Char(char) => Ok(DataType::Char(length(char.length)?)),
            Kind::VarChar(char) => Ok(DataType::Varchar(length(char.length)?)),
            Kind::YearMonthInterval(interval) => year_month(interval.start_field, interval.end_field),
            Kind::DayTimeInterval(interval) => day_time(interval.start_field, interval.end_field),
            Kind::Time(time) => time_type(time.precision),
            Kind::Array(array) => {
                let element = self.child(array.element_type.as_deref(), "spark.connect.DataType.Array")?;
                Ok(DataType::array(element, array.contains_null))
            }
            Kind::Map(map) => {
                let key = self.child(map.key_type.as_deref(), "spark.connect.DataType.Map")?;
                let value = self.child(map.value_type.as_deref(), "spark.connect.DataType.Map")?;
                Ok(DataType::map(key, value, map.value_contains_null))
            }
            Kind::Struct(structure) => Ok(DataType::Struct(self.struct_type(structure)?)),
            Kind::Udt(udt) => self.udt(udt),
            Kind::Geometry(geometry) => Ok(DataType::Geometry(geometry.srid)),
            Kind::Geography(geography) => Ok(DataType::Geography(geography.srid)),
            Kind::Unparsed(text) => parse_type(&text.data_type_string),
            other => Err(SparkError::new(
                "CONNECT_INVALID_PLAN.DATA_TYPE_UNSUPPORTED_PROTO_TO_CATALYST",
                [("kindCase", kind_name(other))],
            )),
        }
    }

    fn child(&mut self, data_type: Option<&proto::DataType>, parent: &str) -> Result<DataType> {
        self.data_type(data_type.ok_or_else(|| missing(parent, "type"))?)
    }

    fn struct_type(&mut self, structure: &proto::data_type::Struct) -> Result<StructType> {
        let fields = structure.fields.iter().map(|field| {
            Ok(StructField {
                name: field.name.clone(),
                data_type: self.child(field.data_type.as_ref(), "spark.connect.DataType.StructField")?,
                nullable: field.nullable,
                metadata: metadata(field.metadata.as_deref())?,
            })
        });
        Ok(StructType::new(fields.collect::<Result<_>>()?))
    }

    fn udt(&mut self, udt: &proto::data_type::Udt) -> Result<DataType> {
        if udt.r#type != "udt" {
            return Err(SparkError::new(
                "CONNECT_INVALID_PLAN.UDT_TYPE_FIELD_INVALID",
                [("udtType", udt.r#type.as_str())],
            ));
        }
        let sql_type = udt.sql_type.as_deref().ok_or_else(|| invalid("PYTHON_UDT_MISSING_FIELDS"))?;
        let sql_type = self.data_type(sql_type)?;
        let json = serde_json::json!({
            "type": "udt",
            "class": udt.jvm_class,
            "pyClass": udt.python_class,
            "serializedClass": udt.serialized_python_class,
            "sqlType": sql_type.json_value(),
        });
        Ok(DataType::Udt { json: json.to_string().into(), sql_type: Arc::new(sql_type) })
    }

    /// The type of a `schema` field that may be DDL or JSON in an `Unparsed`.
    pub(super) fn optional_type(&mut self, data_type: Option<&proto::DataType>) -> Result<Option<DataType>> {
        data_type.map(|t| self.data_type(t)).transpose()
    }
}

/// The columns of a table, a single type, or the fields of a struct (`a: INT`), in DDL or JSON. Where none fits, the
/// error is that of the first.
pub(crate) fn parse_type(text: &str) -> Result<DataType> {
    if text.trim_start().starts_with(['{', '"']) {
        return DataType::from_json(text);
    }
    let options = ParseOptions::default();
    let error = match firesteel_sql::parse_table_schema(text, &options) {
        Ok(schema) => return Ok(DataType::Struct(schema)),
        Err(error) => error,
    };
    firesteel_sql::parse_data_type(text, &options)
        .or_else(|_| firesteel_sql::parse_data_type(&format!("struct<{}>", text.trim()), &options))
        .map_err(|_| error)
}

fn simple(kind: &Kind) -> Option<DataType> {
    Some(match kind {
        Kind::Null(_) => DataType::Null,
        Kind::Binary(_) => DataType::Binary,
        Kind::Boolean(_) => DataType::Boolean,
        Kind::Byte(_) => DataType::Byte,
        Kind::Short(_) => DataType::Short,
        Kind::Integer(_) => DataType::Integer,
        Kind::Long(_) => DataType::Long,
        Kind::Float(_) => DataType::Float,
        Kind::Double(_) => DataType::Double,
        Kind::Date(_) => DataType::Date,
        Kind::Timestamp(_) => DataType::Timestamp,
        Kind::TimestampNtz(_) => DataType::TimestampNtz,
        Kind::CalendarInterval(_) => DataType::CalendarInterval,
        Kind::Variant(_) => DataType::Variant,
        _ => return None,
    })
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::TimestampNtzNanos(_) => "TIMESTAMP_NTZ_NANOS",
        Kind::TimestampLtzNanos(_) => "TIMESTAMP_LTZ_NANOS",
        _ => "UNKNOWN",
    }
}

fn collation(name: &str) -> Collation {
    if name.is_empty() || name == "UTF8_BINARY" { Collation(None) } else { Collation(Some(name.into())) }
}

fn length(length: i32) -> Result<u32> {
    u32::try_from(length).ok().filter(|n| *n > 0).ok_or_else(|| assertion("char/varchar length must be positive"))
}

fn decimal_type(decimal: &proto::data_type::Decimal) -> Result<DataType> {
    let (precision, scale) = (decimal.precision.unwrap_or(10), decimal.scale.unwrap_or(0));
    if precision > 38 {
        return Err(SparkError::new(
            "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION",
            [("precision", precision.to_string()), ("maxPrecision", "38".to_string())],
        ));
    }
    if scale > precision {
        return Err(SparkError::new(
            "DECIMAL_SCALE_EXCEEDS_PRECISION",
            [("scale", scale.to_string()), ("precision", precision.to_string())],
        ));
    }
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) => Ok(DataType::Decimal(precision, scale)),
        _ => Err(assertion("a decimal's precision and scale must fit in 0 to 38")),
    }
}

pub(super) fn time_type(precision: Option<i32>) -> Result<DataType> {
    let precision = precision.unwrap_or(6);
    u8::try_from(precision)
        .ok()
        .filter(|p| *p <= 6)
        .map(DataType::Time)
        .ok_or_else(|| SparkError::new("UNSUPPORTED_TIME_PRECISION", [("precision", precision.to_string())]))
}

fn year_month(start: Option<i32>, end: Option<i32>) -> Result<DataType> {
    let field = |number| match number {
        0 => Ok(YearMonthField::Year),
        1 => Ok(YearMonthField::Month),
        other => Err(assertion(&format!("{other} is no field of a year-month interval"))),
    };
    let start_field = field(start.unwrap_or(0))?;
    let end_field = field(end.or(start).unwrap_or(1))?;
    if start_field > end_field {
        return Err(assertion("an interval's start field comes before its end field"));
    }
    Ok(DataType::YearMonthInterval(start_field, end_field))
}

fn day_time(start: Option<i32>, end: Option<i32>) -> Result<DataType> {
    let field = |number| match number {
        0 => Ok(DayTimeField::Day),
        1 => Ok(DayTimeField::Hour),
        2 => Ok(DayTimeField::Minute),
        3 => Ok(DayTimeField::Second),
        other => Err(assertion(&format!("{other} is no field of a day-time interval"))),
    };
    let start_field = field(start.unwrap_or(0))?;
    let end_field = field(end.or(start).unwrap_or(3))?;
    if start_field > end_field {
        return Err(assertion("an interval's start field comes before its end field"));
    }
    Ok(DataType::DayTimeInterval(start_field, end_field))
}

fn assertion(message: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE", [("message", message)])
}

fn metadata(json: Option<&str>) -> Result<BTreeMap<String, String>> {
    let Some(json) = json.filter(|text| !text.is_empty()) else { return Ok(BTreeMap::new()) };
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|e| assertion(&format!("field metadata is no JSON object: {e}")))?;
    Ok(object.into_iter().map(|(key, value)| (key, value.to_string())).collect())
}
