//! Types.
use firesteel_plan::{DataType, DayTimeField, StructType, YearMonthField};
use proto::data_type::{self as pb, Kind};
use spark_connect_proto as proto;

pub(crate) fn struct_type(schema: &StructType) -> proto::DataType {
    proto::DataType { kind: Some(Kind::Struct(structure(schema))) }
}

pub(crate) fn data_type(data_type: &DataType) -> proto::DataType {
    proto::DataType { kind: Some(kind(data_type)) }
}

fn boxed(child: &DataType) -> Option<Box<proto::DataType>> {
    Some(Box::new(data_type(child)))
}

fn kind(data_type: &DataType) -> Kind {
    match data_type {
        DataType::Null => Kind::Null(pb::Null::default()),
        DataType::Boolean => Kind::Boolean(pb::Boolean::default()),
        DataType::Byte => Kind::Byte(pb::Byte::default()),
        DataType::Short => Kind::Short(pb::Short::default()),
        DataType::Integer => Kind::Integer(pb::Integer::default()),
        DataType::Long => Kind::Long(pb::Long::default()),
        DataType::Float => Kind::Float(pb::Float::default()),
        DataType::Double => Kind::Double(pb::Double::default()),
        DataType::Decimal(precision, scale) => Kind::Decimal(pb::Decimal {
            precision: Some(i32::from(*precision)),
            scale: Some(i32::from(*scale)),
            type_variation_reference: 0,
        }),
        DataType::String(collation) => {
            Kind::String(pb::String { collation: collation.name().to_string(), ..Default::default() })
        }
        DataType::Char(length) => Kind::Char(pb::Char { length: signed(*length), ..Default::default() }),
        DataType::Varchar(length) => Kind::VarChar(pb::VarChar { length: signed(*length), ..Default::default() }),
        DataType::Binary => Kind::Binary(pb::Binary::default()),
        DataType::Date => Kind::Date(pb::Date::default()),
        DataType::Timestamp => Kind::Timestamp(pb::Timestamp::default()),
        DataType::TimestampNtz => Kind::TimestampNtz(pb::TimestampNtz::default()),
        DataType::Time(precision) => {
            Kind::Time(pb::Time { precision: Some(i32::from(*precision)), ..Default::default() })
        }
        DataType::CalendarInterval => Kind::CalendarInterval(pb::CalendarInterval::default()),
        DataType::YearMonthInterval(start, end) => Kind::YearMonthInterval(pb::YearMonthInterval {
            start_field: Some(year_month(*start)),
            end_field: Some(year_month(*end)),
            type_variation_reference: 0,
        }),
        DataType::DayTimeInterval(start, end) => Kind::DayTimeInterval(pb::DayTimeInterval {
            start_field: Some(day_time(*start)),
            end_field: Some(day_time(*end)),
            type_variation_reference: 0,
        }),
        DataType::Array(element, contains_null) => Kind::Array(Box::new(pb::Array {
            element_type: boxed(element),
            contains_null: *contains_null,
            type_variation_reference: 0,
        })),
        DataType::Map(key, value, value_contains_null) => Kind::Map(Box::new(pb::Map {
            key_type: boxed(key),
            value_type: boxed(value),
            value_contains_null: *value_contains_null,
            type_variation_reference: 0,
        })),
        DataType::Struct(schema) => Kind::Struct(structure(schema)),
        DataType::Variant => Kind::Variant(pb::Variant::default()),
        DataType::Geometry(srid) => Kind::Geometry(pb::Geometry { srid: *srid, ..Default::default() }),
        DataType::Geography(srid) => Kind::Geography(pb::Geography { srid: *srid, ..Default::default() }),
        DataType::Udt { json, sql_type } => udt(json, sql_type),
    }
}

fn structure(schema: &StructType) -> pb::Struct {
    let fields = schema.fields.iter().map(|field| pb::StructField {
        name: field.name.clone(),
        data_type: Some(data_type(&field.data_type)),
        nullable: field.nullable,
        metadata: (!field.metadata.is_empty()).then(|| metadata(&field.metadata)),
    });
    pb::Struct { fields: fields.collect(), type_variation_reference: 0 }
}

fn metadata(metadata: &std::collections::BTreeMap<String, String>) -> String {
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| serde_json::json!(text));
    let object: serde_json::Map<_, _> = metadata.iter().map(|(key, text)| (key.clone(), value(text))).collect();
    serde_json::Value::Object(object).to_string()
}

fn udt(json: &str, sql_type: &DataType) -> Kind {
    let object: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |key: &str| object.get(key).and_then(|value| value.as_str()).map(String::from);
    Kind::Udt(Box::new(pb::Udt {
        r#type: "udt".into(),
        jvm_class: text("class"),
        python_class: text("pyClass"),
        serialized_python_class: text("serializedClass"),
        sql_type: boxed(sql_type),
    }))
}

fn signed(length: u32) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX)
}

fn year_month(field: YearMonthField) -> i32 {
    match field {
        YearMonthField::Year => 0,
        YearMonthField::Month => 1,
    }
}

fn day_time(field: DayTimeField) -> i32 {
    match field {
        DayTimeField::Day => 0,
        DayTimeField::Hour => 1,
        DayTimeField::Minute => 2,
        DayTimeField::Second => 3,
    }
}
