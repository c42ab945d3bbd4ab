//! Filters: `{"age": {">": 25}, "or": [{"city": "Rome"}, {"city": null}]}` → an expression. Names become attributes and
//! values literals, so no text of a request is ever read as SQL.
use firesteel_plan::{Expr, Literal};
use serde_json::{Map, Value};

use crate::document::join;
use crate::problem::{Problem, origin_of_field};
use crate::statements::typed_number;

const DEPTH_MAX: usize = 50;
const CONDITIONS_MAX: usize = 10_000;

/// What an operator takes.
#[derive(Clone, Copy)]
enum Takes {
    /// One value
    Value,
    /// A text
    Text,
    List,
    /// Lower and upper bound
    Pair,
    Flag,
}

/// Operators as they are written, the function that each calls, whether it is negated, and what it takes.
const OPERATORS: &[(&str, &str, bool, Takes)] = &[
    ("=", "==", false, Takes::Value),
    ("==", "==", false, Takes::Value),
    ("eq", "==", false, Takes::Value),
    ("!=", "==", true, Takes::Value),
    ("<>", "==", true, Takes::Value),
    ("ne", "==", true, Takes::Value),
    ("<", "<", false, Takes::Value),
    ("lt", "<", false, Takes::Value),
    ("<=", "<=", false, Takes::Value),
    ("le", "<=", false, Takes::Value),
    ("lte", "<=", false, Takes::Value),
    (">", ">", false, Takes::Value),
    ("gt", ">", false, Takes::Value),
    (">=", ">=", false, Takes::Value),
    ("ge", ">=", false, Takes::Value),
    ("gte", ">=", false, Takes::Value),
    ("in", "in", false, Takes::List),
    ("not_in", "in", true, Takes::List),
    ("between", "between", false, Takes::Pair),
    ("not_between", "between", true, Takes::Pair),
    ("like", "like", false, Takes::Text),
    ("not_like", "like", true, Takes::Text),
    ("ilike", "ilike", false, Takes::Text),
    ("rlike", "rlike", false, Takes::Text),
    ("starts_with", "startswith", false, Takes::Text),
    ("ends_with", "endswith", false, Takes::Text),
    ("contains", "contains", false, Takes::Text),
    ("is_null", "isNull", false, Takes::Flag),
    ("is_not_null", "isNull", true, Takes::Flag),
];

/// The condition of an object of filters; `None`: it asks for nothing.
pub fn condition(filters: &Map<String, Value>, field: &str) -> Result<Option<Expr>, Problem> {
    let mut reader = Reader { conditions: 0 };
    reader.object(filters, field, 0)
}

struct Reader {
    conditions: usize,
}

impl Reader {
    fn object(&mut self, filters: &Map<String, Value>, field: &str, depth: usize) -> Result<Option<Expr>, Problem> {
        if depth > DEPTH_MAX {
            return Err(Problem::invalid(field, format!("Filters nest at most {DEPTH_MAX} deep.")));
        }
        let mut all: Option<Expr> = None;
        for (name, value) in filters {
            let below = join(field, name);
            let one = match name.as_str() {
                "and" | "or" => self.list(name, value, &below, depth)?,
                "not" => match value {
                    Value::Object(inner) => match self.object(inner, &below, depth + 1)? {
                        Some(inner) => Expr::call("not", vec![inner]),
                        None => return Err(Problem::invalid(below, "There is nothing to negate.")),
                    },
                    _ => return Err(Problem::invalid(below, "not takes an object of filters.")),
                },
                name => self.column(name, value, &below)?,
            };
            all = Some(match all {
                Some(before) => before.and(one),
                None => one,
            });
        }
        Ok(all)
    }

    fn list(&mut self, name: &str, value: &Value, field: &str, depth: usize) -> Result<Expr, Problem> {
        let invalid = || Problem::invalid(field, format!("{name} takes a list of objects of filters."));
        let items = value.as_array().filter(|items| !items.is_empty()).ok_or_else(invalid)?;
        let mut joined: Option<Expr> = None;
        for (index, item) in items.iter().enumerate() {
            let filters = item.as_object().filter(|filters| !filters.is_empty()).ok_or_else(invalid)?;
            let Some(one) = self.object(filters, &format!("{field}[{index}]"), depth + 1)? else { continue };
            joined = Some(match joined {
                Some(before) => Expr::call(name, vec![before, one]),
                None => one,
            });
        }
        joined.ok_or_else(invalid)
    }

    fn column(&mut self, name: &str, value: &Value, field: &str) -> Result<Expr, Problem> {
        let column = column(name, field)?;
        match value {
            Value::Object(operators) if operators.is_empty() => {
                Err(Problem::invalid(field, "An operator is missing, as in {\">\": 5}."))
            }
            Value::Object(operators) => {
                let mut all: Option<Expr> = None;
                for (operator, operand) in operators {
                    let one = self.operator(&column, operator, operand, &join(field, operator))?;
                    all = Some(match all {
                        Some(before) => before.and(one),
                        None => one,
                    });
                }
                all.ok_or_else(|| Problem::internal("a filter without operators"))
            }
            Value::Array(_) => self.operator(&column, "in", value, field),
            value => self.operator(&column, "=", value, field),
        }
    }

    fn operator(&mut self, column: &Expr, operator: &str, operand: &Value, field: &str) -> Result<Expr, Problem> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return Err(Problem::invalid(field, format!("There are at most {CONDITIONS_MAX} conditions.")));
        }
        let Some((_, function, negated, takes)) = OPERATORS.iter().find(|(name, ..)| *name == operator) else {
            let known: Vec<_> = OPERATORS.iter().map(|(name, ..)| *name).collect();
            let detail = format!("There is no operator {operator:?}; there are {}.", known.join(", "));
            return Err(Problem::invalid(field, detail));
        };
        let call = |function: &str, arguments: Vec<Expr>| {
            Expr::call(function, arguments).with_origin(Some(origin_of_field(field)))
        };
        let not_if = |is_negated: bool, expr: Expr| if is_negated { call("not", vec![expr]) } else { expr };
        let is_null = || call("isNull", vec![column.clone()]);
        let condition = match takes {
            Takes::Value if operand.is_null() && *function == "==" => is_null(),
            Takes::Value => call(function, vec![column.clone(), literal(operand, field)?]),
            Takes::Text if !operand.is_string() => return Err(Problem::invalid(field, "It takes a text.")),
            Takes::Text => call(function, vec![column.clone(), literal(operand, field)?]),
            Takes::Flag => match operand.as_bool() {
                Some(flag) => not_if(!flag, is_null()),
                None => return Err(Problem::invalid(field, "It takes true or false.")),
            },
            Takes::Pair => match operand.as_array().map(Vec::as_slice) {
                Some([lower, upper]) => {
                    call(function, vec![column.clone(), literal(lower, field)?, literal(upper, field)?])
                }
                _ => return Err(Problem::invalid(field, "It takes a list of two values.")),
            },
            Takes::List => {
                let items = operand.as_array().ok_or_else(|| Problem::invalid(field, "It takes a list of values."))?;
                return self.one_of(column, items, *negated, field);
            }
        };
        Ok(not_if(*negated, condition))
    }

    /// NULL in a list is meant as a value: the column is NULL, or is not.
    fn one_of(&mut self, column: &Expr, items: &[Value], negated: bool, field: &str) -> Result<Expr, Problem> {
        self.conditions += items.len();
        let origin = || Some(origin_of_field(field));
        let is_null = Expr::call("isNull", vec![column.clone()]).with_origin(origin());
        let has_null = items.iter().any(Value::is_null);
        let values: Vec<_> = items.iter().filter(|item| !item.is_null()).collect();
        let listed = match values.as_slice() {
            [] => None,
            values => {
                let mut arguments = vec![column.clone()];
                for value in values {
                    arguments.push(literal(value, field)?);
                }
                Some(Expr::call("in", arguments).with_origin(origin()))
            }
        };
        let any = match (listed, has_null) {
            (Some(listed), true) => Expr::call("or", vec![listed, is_null]),
            (Some(listed), false) => listed,
            (None, true) => is_null,
            (None, false) => Expr::boolean(false),
        };
        Ok(if negated { Expr::call("not", vec![any]) } else { any })
    }
}

/// A column by its name, as requests write it: `a`, `a.b`, `` `a.b` ``.
pub fn column(name: &str, field: &str) -> Result<Expr, Problem> {
    let expr = Expr::attribute(name, None).map_err(|error| Problem::from(error).at(field))?;
    Ok(expr.with_origin(Some(origin_of_field(field))))
}

fn literal(value: &Value, field: &str) -> Result<Expr, Problem> {
    let literal = match value {
        Value::Null => return Ok(Expr::null()),
        Value::Bool(flag) => Literal::Boolean(*flag),
        Value::Number(number) => typed_number(&number.to_string()),
        Value::String(text) => Literal::String(text.clone()),
        Value::Array(_) | Value::Object(_) => {
            return Err(Problem::invalid(field, "It takes a number, a text, true, false or null."));
        }
    };
    Ok(Expr::literal(literal).with_origin(Some(origin_of_field(field))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(filters: Value) -> Result<Option<Expr>, Problem> {
        condition(filters.as_object().unwrap(), "filters")
    }

    #[test]
    fn the_guides_form() {
        let age = || Expr::name("age");
        let expected = Expr::call(">", vec![age(), Expr::int(25)])
            .and(Expr::call("==", vec![Expr::name("department"), Expr::string("Engineering")]));
        assert_eq!(read(json!({"age": {">": 25}, "department": "Engineering"})).unwrap(), Some(expected));
        assert_eq!(read(json!({})).unwrap(), None);
        let null = Expr::call("isNull", vec![age()]);
        assert_eq!(read(json!({"age": null})).unwrap(), Some(null.clone()));
        assert_eq!(read(json!({"age": {"is_null": false}})).unwrap(), Some(Expr::call("not", vec![null])));
        assert_eq!(read(json!({"age": {"in": []}})).unwrap(), Some(Expr::boolean(false)));
    }

    #[test]
    fn text_stays_text() {
        let text = "x' OR 1=1 --";
        let expected = Expr::call("==", vec![Expr::name("name"), Expr::string(text)]);
        assert_eq!(read(json!({"name": text})).unwrap(), Some(expected));
    }

    #[test]
    fn problems_name_the_place() {
        let field = |filters| read(filters).unwrap_err().field.unwrap();
        assert_eq!(field(json!({"age": {"~": 1}})), "filters.age.~");
        assert_eq!(field(json!({"or": [{"a": 1}, {"b": {"between": [1]}}]})), "filters.or[1].b.between");
        assert_eq!(field(json!({"not": 5})), "filters.not");
        assert_eq!(field(json!({"and": []})), "filters.and");
        assert_eq!(field(json!({"a`b": 1})), "filters.a`b");
    }
}
