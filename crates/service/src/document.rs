//! Requests and answers as types that know their JSON schema: the one source of parsing, checks and `/openapi.json`.
//!
//! ```text
//!  document! { struct QueryRequest { limit: Option<u64> => {"minimum": 1} } }
//!       ├─▶ serde: reads and writes it      ├─▶ schema(): OpenAPI      └─▶ check(): the limits of fields
//! ```
use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::problem::Problem;

/// A type with a schema.
pub trait Documented {
    const REQUIRED: bool = true;
    /// The names of the fields of an object.
    const FIELDS: &'static [&'static str] = &[];
    fn schema() -> Value;
    /// The schema as requests are checked by it: of what many requests have, made once.
    fn rules() -> Cow<'static, Value> {
        Cow::Owned(Self::schema())
    }
}

macro_rules! simple {
    ($($type:ty => $schema:tt),* $(,)?) => {
        $(impl Documented for $type { fn schema() -> Value { json!($schema) } })*
    };
}

simple! {
    String => {"type": "string"},
    bool => {"type": "boolean"},
    u32 => {"type": "integer", "minimum": 0, "maximum": 4294967295u64},
    u64 => {"type": "integer", "minimum": 0, "maximum": 9223372036854775807u64},
    usize => {"type": "integer", "minimum": 0, "maximum": 9223372036854775807u64},
    i64 => {"type": "integer", "minimum": (i64::MIN), "maximum": (i64::MAX)},
    f64 => {"type": "number"},
    Value => {},
    Map<String, Value> => {"type": "object"},
}

impl<T: Documented> Documented for Option<T> {
    const REQUIRED: bool = false;
    fn schema() -> Value {
        let mut schema = T::schema();
        match schema.get("type").cloned() {
            Some(Value::String(name)) => {
                schema["type"] = json!([name, "null"]);
                schema
            }
            Some(_) => schema,
            None if schema.as_object().is_some_and(Map::is_empty) => schema,
            None => json!({"anyOf": [schema, {"type": "null"}]}),
        }
    }
}

impl<T: Documented> Documented for Vec<T> {
    fn schema() -> Value {
        json!({"type": "array", "items": T::schema()})
    }
}

impl<T: Documented> Documented for BTreeMap<String, T> {
    fn schema() -> Value {
        json!({"type": "object", "additionalProperties": T::schema()})
    }
}

/// Declares an object. `field as "name"` spells it otherwise in JSON; `=> {…}` adds to its schema.
macro_rules! document {
    ($(#[doc = $doc:literal])+ $visibility:vis struct $name:ident {
        $($(#[doc = $text:literal])* $field:ident $(as $json:literal)? : $type:ty $(=> $limits:tt)?,)*
    }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $visibility struct $name {
            $($(#[doc = $text])* $(#[serde(rename = $json)])? pub $field: $type,)*
        }
        impl $crate::document::Documented for $name {
            const FIELDS: &'static [&'static str] =
                &[$($crate::document::document!(@name $field $($json)?)),*];
            fn schema() -> serde_json::Value {
                #[allow(unused_mut)]
                let mut object = $crate::document::Object::new(concat!($($doc),+));
                $(object.field(
                    $crate::document::document!(@name $field $($json)?),
                    <$type as $crate::document::Documented>::REQUIRED,
                    <$type as $crate::document::Documented>::schema(),
                    concat!("", $($text),*),
                    $crate::document::document!(@limits $($limits)?),
                );)*
                object.into_schema()
            }
            fn rules() -> std::borrow::Cow<'static, serde_json::Value> {
                static RULES: std::sync::LazyLock<serde_json::Value> =
                    std::sync::LazyLock::new(<$name as $crate::document::Documented>::schema);
                std::borrow::Cow::Borrowed(&RULES)
            }
        }
    };
    (@name $field:ident $json:literal) => { $json };
    (@name $field:ident) => { stringify!($field) };
    (@limits $limits:tt) => { serde_json::json!($limits) };
    (@limits) => { serde_json::Value::Null };
}
pub(crate) use document;

/// The schema of an object, as it is put together.
pub struct Object {
    description: String,
    properties: Map<String, Value>,
    required: Vec<Value>,
}

impl Object {
    pub fn new(description: &str) -> Self {
        Self { description: description.trim().into(), properties: Map::new(), required: vec![] }
    }

    pub fn field(&mut self, name: &str, required: bool, mut schema: Value, description: &str, limits: Value) {
        if let (Value::Object(schema), Value::Object(limits)) = (&mut schema, limits) {
            schema.extend(limits);
        }
        if !description.trim().is_empty() {
            schema["description"] = json!(description.trim());
        }
        if required {
            self.required.push(json!(name));
        }
        self.properties.insert(name.to_string(), schema);
    }

    pub fn into_schema(self) -> Value {
        json!({"type": "object", "description": self.description, "properties": self.properties,
               "required": self.required, "additionalProperties": false})
    }
}

/// One object with the fields of several.
pub fn together(parts: &[Value]) -> Value {
    let mut properties = Map::new();
    let mut required = vec![];
    for part in parts {
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Checks what serde does not: ranges, lengths and fixed words.
pub fn check(value: &Value, schema: &Value, path: &str) -> Result<(), Problem> {
    let refuse = |what: String| Err(Problem::invalid(path, format!("{path} {what}.")));
    if value.is_null() {
        return Ok(());
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        let words: Vec<_> = allowed.iter().filter_map(Value::as_str).collect();
        return refuse(format!("must be one of {}", words.join(", ")));
    }
    if let Some(number) = value.as_f64() {
        match (schema["minimum"].as_f64(), schema["maximum"].as_f64()) {
            (Some(least), _) if number < least => return refuse(format!("must be {} or more", schema["minimum"])),
            (_, Some(most)) if number > most => return refuse(format!("must be {} or less", schema["maximum"])),
            _ => {}
        }
    }
    let length = match value {
        Value::String(text) => Some((text.chars().count() as u64, "minLength", "maxLength")),
        Value::Array(items) => Some((items.len() as u64, "minItems", "maxItems")),
        _ => None,
    };
    if let Some((length, least, most)) = length {
        if schema[least].as_u64().is_some_and(|least| length < least) {
            return refuse(format!("must have a length of {} or more", schema[least]));
        }
        if schema[most].as_u64().is_some_and(|most| length > most) {
            return refuse(format!("must have a length of {} or less", schema[most]));
        }
    }
    match value {
        Value::Array(items) if schema["items"].is_object() => {
            items.iter().enumerate().try_for_each(|(i, item)| check(item, &schema["items"], &format!("{path}[{i}]")))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, field)| match schema["properties"].get(name) {
            Some(below) => check(field, below, &join(path, name)),
            None => Ok(()),
        }),
        _ => Ok(()),
    }
}

pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    document! {
        /// An example.
        pub struct Example {
            /// How many
            limit: Option<u64> => {"maximum": 10},
            kind as "type": String => {"enum": ["a", "b"]},
        }
    }

    #[test]
    fn schemas_and_checks() {
        let schema = Example::schema();
        assert_eq!(schema["properties"]["limit"]["maximum"], json!(10));
        assert_eq!(schema["required"], json!(["type"]));
        assert_eq!(Example::FIELDS, ["limit", "type"]);
        assert!(check(&json!({"limit": 3, "type": "a"}), &schema, "").is_ok());
        let problem = check(&json!({"limit": 11, "type": "a"}), &schema, "").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("limit"));
        assert_eq!(check(&json!({"type": "c"}), &schema, "").unwrap_err().field.as_deref(), Some("type"));
    }
}
