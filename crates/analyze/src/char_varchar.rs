//! CHAR and VARCHAR: columns are STRING in queries, and remember in their metadata what they were declared as.
use firesteel_functions::TypedExpr;
use firesteel_functions::cast::pad;
use firesteel_plan::{DataType, StructField, StructType};

use crate::analyzer::Analyzer;
use crate::expr::{Scope, plain_column};
use crate::scope::Attribute;

/// The metadata key, whose value is the declared type as a JSON string.
const DECLARED: &str = "__CHAR_VARCHAR_TYPE_STRING";

/// The field as queries see it.
pub(crate) fn as_string(field: &StructField) -> StructField {
    let data_type = replaced(&field.data_type);
    let mut field = field.clone();
    if data_type != field.data_type {
        let declared = serde_json::Value::from(field.data_type.simple_string());
        field.metadata.insert(DECLARED.to_string(), declared.to_string());
        field.data_type = data_type;
    }
    field
}

pub(crate) fn replaced(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Char(_) | DataType::Varchar(_) => DataType::STRING,
        DataType::Array(element, nullable) => DataType::array(replaced(element), *nullable),
        DataType::Map(key, value, nullable) => DataType::map(replaced(key), replaced(value), *nullable),
        DataType::Struct(fields) => {
            let inner = |f: &StructField| StructField { data_type: replaced(&f.data_type), ..f.clone() };
            DataType::structure(fields.fields.iter().map(inner).collect())
        }
        other => other.clone(),
    }
}

/// Whether CHAR or VARCHAR is a part of the type.
pub fn has_char(data_type: &DataType) -> bool {
    replaced(data_type) != *data_type
}

/// A query's schema with the declared types of its columns, for tables and views made from it.
pub fn declared_schema(schema: &StructType) -> StructType {
    let declared = |field: &StructField| {
        let mut field = field.clone();
        if let Some(data_type) = field.metadata.remove(DECLARED).as_deref().and_then(parsed) {
            field.data_type = data_type;
        }
        field
    };
    StructType::new(schema.fields.iter().map(declared).collect())
}

fn parsed(json: &str) -> Option<DataType> {
    let text: String = serde_json::from_str(json).ok()?;
    firesteel_sql::parse_data_type(&text, &Default::default()).ok()
}

/// The length of a column declared as CHAR.
fn char_length(attribute: &Attribute) -> Option<u32> {
    match attribute.metadata.get(DECLARED).and_then(|json| parsed(json))? {
        DataType::Char(length) => Some(length),
        _ => None,
    }
}

/// Comparisons that ignore the blanks at the end of CHAR columns.
const COMPARISONS: [&str; 9] = ["=", "==", "<=>", "<", "<=", ">", ">=", "!=", "in"];

impl Analyzer<'_> {
    /// A stored column as it is read: CHAR is padded to its length, whoever wrote it.
    pub(crate) fn read_side(&self, attribute: &Attribute, value: TypedExpr) -> TypedExpr {
        match char_length(attribute) {
            Some(length) if self.eval.flag("spark.sql.readSideCharPadding", true) => pad(value, length, &self.eval),
            _ => value,
        }
    }

    /// Where CHAR columns are compared with each other or with constants, pads all to the longest.
    pub(crate) fn pad_char_operands(&self, function: &str, values: &mut [TypedExpr], scope: &Scope) {
        if !COMPARISONS.contains(&function) {
            return;
        }
        let length_of = |value: &TypedExpr| {
            let id = plain_column(&value.expr)?;
            char_length(scope.output.iter().chain(&scope.hidden).find(|a| a.id == id)?)
        };
        let columns: Vec<Option<u32>> = values.iter().map(length_of).collect();
        if columns.iter().all(Option::is_none) {
            return;
        }
        let constant = |value: &TypedExpr| value.as_string_literal().map(|text| text.chars().count() as u32);
        let lengths: Option<Vec<u32>> =
            values.iter().zip(&columns).map(|(value, column)| column.or_else(|| constant(value))).collect();
        let Some(longest) = lengths.iter().flatten().max().copied() else { return };
        for (value, length) in values.iter_mut().zip(lengths.into_iter().flatten()) {
            if length < longest {
                let sql = value.sql.clone();
                *value = pad(value.clone(), longest, &self.eval).with_sql(sql);
            }
        }
    }
}
