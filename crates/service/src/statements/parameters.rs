//! Parameters of statements: JSON values with a Spark type.
use firesteel_plan::expression::EvalMode;
use firesteel_plan::{DataType, Expr, ExprKind, Literal};
use firesteel_sql::ParseOptions;
use serde_json::Value;

use crate::document::document;
use crate::problem::Problem;

document! {
    /// The value of a named parameter
    pub struct Parameter {
        name: String => {"minLength": 1, "maxLength": 255},
        /// A type of Spark SQL; without it that of the JSON value
        data_type as "type": Option<String>,
        value: Option<Value>,
    }
}

impl Parameter {
    /// Name and value, as the parser of statements takes them.
    pub fn expression(self, index: usize, options: &ParseOptions) -> Result<(String, Expr), Problem> {
        let field = format!("parameters[{index}]");
        let value = self.value.unwrap_or(Value::Null);
        let expr = match &self.data_type {
            None => untyped_value(&value, &format!("{field}.value"))?,
            Some(text) => {
                let data_type = firesteel_sql::parse_data_type(text, options)
                    .map_err(|error| Problem::from(error).at(format!("{field}.type")))?;
                typed_value(&value, &data_type, &format!("{field}.value"))?
            }
        };
        Ok((self.name, expr))
    }
}

/// A number of JSON: a whole number that fits, or a fraction with all its digits, or a double.
pub fn number(text: &str) -> Literal {
    if let Ok(value) = text.parse::<i32>() {
        return Literal::Integer(value);
    }
    if let Ok(value) = text.parse::<i64>() {
        return Literal::Long(value);
    }
    decimal(text).unwrap_or_else(|| Literal::Double(text.parse().unwrap_or(f64::NAN)))
}

fn decimal(text: &str) -> Option<Literal> {
    let (digits, is_negative) = text.strip_prefix('-').map_or((text, false), |rest| (rest, true));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{}{fraction}", whole.trim_start_matches('0'));
    if all.len() > 38 || fraction.len() > 38 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unscaled: i128 = if all.is_empty() { 0 } else { all.parse().ok()? };
    let scale = i8::try_from(fraction.len()).ok()?;
    let precision = u8::try_from(all.len().max(fraction.len()).max(1)).ok()?;
    Some(Literal::Decimal(if is_negative { -unscaled } else { unscaled }, precision, scale))
}

fn untyped_value(value: &Value, field: &str) -> Result<Expr, Problem> {
    Ok(match value {
        Value::Null => Expr::null(),
        Value::Bool(flag) => Expr::boolean(*flag),
        Value::String(text) => Expr::string(text),
        Value::Number(number) => {
            let text = number.to_string();
            let literal = self::number(&text);
            match literal {
                // A whole number beyond BIGINT keeps its digits, as in SQL.
                Literal::Decimal(_, _, 0) if !text.contains('.') => Expr::literal(literal),
                Literal::Decimal(..) => Expr::literal(Literal::Double(text.parse().unwrap_or(f64::NAN))),
                literal => Expr::literal(literal),
            }
        }
        Value::Array(_) | Value::Object(_) => {
            return Err(Problem::invalid(field, "An array or object needs a type, as ARRAY<INT>."));
        }
    })
}

/// A JSON value as an expression of a type.
pub fn typed_value(value: &Value, data_type: &DataType, field: &str) -> Result<Expr, Problem> {
    let refuse = |what: &str| Err(Problem::invalid(field, format!("{field} must be {what} for {}.", data_type.sql())));
    let cast =
        |expr: Expr| -> Expr { ExprKind::Cast { child: expr, to: data_type.clone(), mode: EvalMode::Ansi }.into() };
    Ok(match (data_type, value) {
        (_, Value::Null) => Expr::literal(Literal::Null(data_type.clone())),
        (DataType::Array(element, _), Value::Array(items)) => {
            let items = items.iter().enumerate();
            let items = items.map(|(i, item)| typed_value(item, element, &format!("{field}[{i}]")));
            cast(Expr::call("array", items.collect::<Result<_, _>>()?))
        }
        (DataType::Array(..), _) => return refuse("an array"),
        (DataType::Map(key, element, _), Value::Object(entries)) => {
            let mut arguments = vec![];
            for (name, item) in entries {
                arguments.push(typed_value(&Value::from(name.as_str()), key, field)?);
                arguments.push(typed_value(item, element, &format!("{field}.{name}"))?);
            }
            cast(Expr::call("map", arguments))
        }
        (DataType::Struct(fields), Value::Object(entries)) => {
            if let Some(name) = entries.keys().find(|name| fields.fields.iter().all(|f| f.name != **name)) {
                return Err(Problem::invalid(format!("{field}.{name}"), format!("The type has no field {name}.")));
            }
            let mut arguments = vec![];
            for part in fields.fields.iter() {
                let item = entries.get(&part.name).unwrap_or(&Value::Null);
                arguments.push(Expr::string(&part.name));
                arguments.push(typed_value(item, &part.data_type, &format!("{field}.{}", part.name))?);
            }
            cast(Expr::call("named_struct", arguments))
        }
        (DataType::Map(..) | DataType::Struct(_), _) => return refuse("an object"),
        (DataType::Binary, Value::String(text)) => {
            use base64::Engine as _;
            match base64::engine::general_purpose::STANDARD.decode(text) {
                Ok(bytes) => Expr::literal(Literal::Binary(bytes)),
                Err(_) => return refuse("Base64"),
            }
        }
        (_, Value::Bool(flag)) => cast(Expr::boolean(*flag)),
        (_, Value::Number(given)) => cast(Expr::literal(number(&given.to_string()))),
        (_, Value::String(text)) => cast(Expr::string(text)),
        (_, Value::Array(_) | Value::Object(_)) => return refuse("a single value"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        assert_eq!(number("42"), Literal::Integer(42));
        assert_eq!(number("3000000000"), Literal::Long(3_000_000_000));
        assert_eq!(number("-0.10"), Literal::Decimal(-10, 2, 2));
        assert_eq!(number("9223372036854775808"), Literal::Decimal(9_223_372_036_854_775_808, 19, 0));
        assert_eq!(number("1e3"), Literal::Double(1000.0));
    }
}
