//! Spark schema ⇄ the types of an ORC file. A type's number is its place in a walk of the schema, parents first; columns
//! have the numbers of their types.
use firesteel_plan::{DataType, Result, SparkError, StructField, StructType};
use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{StringPair, Type};

/// The attribute in which Spark keeps its own type, where ORC's says less.
const SPARK_TYPE: &str = "spark.sql.catalyst.type";

/// The types of a schema.
pub(super) fn to_orc(schema: &StructType) -> Result<Vec<Type>> {
    let mut types = vec![];
    push_struct(schema, &mut types)?;
    Ok(types)
}

fn push(data_type: &DataType, types: &mut Vec<Type>) -> Result<u32> {
    let number = count(types)?;
    let simple = |kind: Kind| Type { kind: Some(kind.into()), ..Type::default() };
    let named = |kind: Kind| {
        let attribute = StringPair { key: Some(SPARK_TYPE.into()), value: Some(data_type.type_name()) };
        Type { attributes: vec![attribute], ..simple(kind) }
    };
    let made = match data_type {
        DataType::Boolean => simple(Kind::Boolean),
        DataType::Byte => simple(Kind::Byte),
        DataType::Short => simple(Kind::Short),
        DataType::Integer => simple(Kind::Int),
        DataType::Long => simple(Kind::Long),
        DataType::Float => simple(Kind::Float),
        DataType::Double => simple(Kind::Double),
        // Lengths are the table's affair, as in Spark.
        DataType::String(_) | DataType::Char(_) | DataType::Varchar(_) => simple(Kind::String),
        DataType::Binary => simple(Kind::Binary),
        DataType::Date => simple(Kind::Date),
        DataType::Timestamp => named(Kind::Timestamp),
        DataType::YearMonthInterval(..) => named(Kind::Int),
        // As Spark has it: microseconds, which no zone can shift.
        DataType::TimestampNtz | DataType::DayTimeInterval(..) => named(Kind::Long),
        DataType::Decimal(precision, scale) => Type {
            precision: Some(u32::from(*precision)),
            scale: Some(u32::from(scale.unsigned_abs())),
            ..simple(Kind::Decimal)
        },
        DataType::Array(element, _) => return push_parent(simple(Kind::List), &[element], types),
        DataType::Map(key, value, _) => return push_parent(simple(Kind::Map), &[key, value], types),
        DataType::Struct(fields) => return push_struct(fields, types),
        DataType::Udt { sql_type, .. } => return push(sql_type, types),
        DataType::Null
        | DataType::CalendarInterval
        | DataType::Variant
        | DataType::Time(_)
        | DataType::Geometry(_)
        | DataType::Geography(_) => {
            return Err(SparkError::unsupported(format!("writing a column of type {} to ORC", data_type.sql())));
        }
    };
    types.push(made);
    Ok(number)
}

fn push_struct(fields: &StructType, types: &mut Vec<Type>) -> Result<u32> {
    let field_names = fields.fields.iter().map(|field| field.name.clone()).collect();
    let children: Vec<&DataType> = fields.fields.iter().map(|field| &field.data_type).collect();
    push_parent(Type { kind: Some(Kind::Struct.into()), field_names, ..Type::default() }, &children, types)
}

fn push_parent(parent: Type, children: &[&DataType], types: &mut Vec<Type>) -> Result<u32> {
    let number = count(types)?;
    types.push(parent);
    let subtypes = children.iter().map(|child| push(child, types)).collect::<Result<Vec<_>>>()?;
    if let Some(parent) = types.get_mut(number as usize) {
        parent.subtypes = subtypes;
    }
    Ok(number)
}

fn count(types: &[Type]) -> Result<u32> {
    u32::try_from(types.len()).map_err(super::failed)
}

/// The schema of a file, as Spark has it.
pub(super) fn from_orc(types: &[Type]) -> Result<StructType> {
    match spark_type(types, 0, 0)? {
        DataType::Struct(fields) => Ok(fields),
        other => Ok(StructType::new(vec![StructField::new("value", other, true)])),
    }
}

/// Types nest no deeper than this; a file that says so is damaged.
const MAX_DEPTH: usize = 500;

fn spark_type(types: &[Type], number: u32, depth: usize) -> Result<DataType> {
    let found = types.get(number as usize).filter(|_| depth < MAX_DEPTH);
    let Some(orc) = found else { return Err(super::failed("the types of the file are damaged")) };
    let attribute = orc.attributes.iter().find(|pair| pair.key() == SPARK_TYPE);
    if let Some(spark) = attribute.and_then(|pair| named(pair.value())) {
        return Ok(spark);
    }
    let child = |index: usize| {
        let number = orc.subtypes.get(index).copied();
        number.map_or_else(|| Err(super::failed("a type lacks a part")), |number| spark_type(types, number, depth + 1))
    };
    Ok(match orc.kind() {
        Kind::Boolean => DataType::Boolean,
        Kind::Byte => DataType::Byte,
        Kind::Short => DataType::Short,
        Kind::Int => DataType::Integer,
        Kind::Long => DataType::Long,
        Kind::Float => DataType::Float,
        Kind::Double => DataType::Double,
        Kind::String | Kind::Varchar | Kind::Char => DataType::STRING,
        Kind::Binary => DataType::Binary,
        Kind::Timestamp | Kind::TimestampInstant => DataType::Timestamp,
        Kind::Date => DataType::Date,
        Kind::Decimal => {
            let narrow = |value: Option<u32>, default: u8| value.map_or(Ok(default), u8::try_from);
            let precision = narrow(orc.precision, 38).map_err(super::failed)?;
            let scale = narrow(orc.scale, 10).map_err(super::failed)?;
            DataType::Decimal(precision, i8::try_from(scale).map_err(super::failed)?)
        }
        Kind::List => DataType::array(child(0)?, true),
        Kind::Map => DataType::map(child(0)?, child(1)?, true),
        Kind::Struct => {
            let names = orc.field_names.iter().enumerate();
            let fields = names.map(|(index, name)| Ok(StructField::new(name, child(index)?, true)));
            DataType::structure(fields.collect::<Result<_>>()?)
        }
        Kind::Union => return Err(SparkError::unsupported("reading a column of type UNION from ORC")),
    })
}

/// A type that ORC has no word of its own for, by Spark's name.
fn named(name: &str) -> Option<DataType> {
    let known = name.starts_with("timestamp") || name.starts_with("interval ");
    known.then(|| DataType::from_json(&format!("\"{name}\"")).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_go_round() {
        let inner = DataType::structure(vec![StructField::new("when", DataType::TimestampNtz, true)]);
        let fields = vec![
            StructField::new("n", DataType::Decimal(38, 10), true),
            StructField::new("m", DataType::map(DataType::STRING, DataType::array(inner, true), true), true),
            StructField::new("i", DataType::DAY_TIME, true),
            StructField::new("j", DataType::YEAR_MONTH, true),
        ];
        let schema = StructType::new(fields);
        let types = to_orc(&schema).unwrap();
        assert_eq!(
            types.iter().map(|t| t.subtypes.clone()).collect::<Vec<_>>()[..5],
            [vec![1, 2, 7, 8], vec![], vec![3, 4], vec![], vec![5]]
        );
        assert_eq!(from_orc(&types).unwrap(), schema);
    }
}
