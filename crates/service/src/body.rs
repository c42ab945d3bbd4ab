//! The JSON body of a request, taken apart by the groups of fields that it is made of.
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::document::{Documented, check, join};
use crate::problem::Problem;

/// The fields that nobody has taken yet.
#[derive(Debug, Clone, Default)]
pub struct Fields(Map<String, Value>);

impl Fields {
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::new(400, "INVALID_REQUEST", "The body must be a JSON object.")),
            Err(error) => Err(Problem::new(400, "INVALID_REQUEST", format!("The body is no JSON: {error}."))),
        }
    }

    pub fn of(fields: Map<String, Value>) -> Self {
        Self(fields)
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a job keeps of the request, so that it can be run again.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// Takes the fields of a group; those of others stay.
    pub fn take<T: Documented + DeserializeOwned>(&mut self) -> Result<T, Problem> {
        let mut own = Map::new();
        for name in T::FIELDS {
            if let Some(value) = self.0.shift_remove(*name) {
                own.insert((*name).to_string(), value);
            }
        }
        read(Value::Object(own), "")
    }

    /// Takes the last group: every field that is left must be one of it.
    pub fn rest<T: Documented + DeserializeOwned>(self) -> Result<T, Problem> {
        read(Value::Object(self.0), "")
    }

    /// Nothing may be left.
    pub fn end(self) -> Result<(), Problem> {
        match self.0.keys().next() {
            Some(name) => Err(Problem::invalid(name, format!("There is no field {name} in this request."))),
            None => Ok(()),
        }
    }
}

/// Reads a value as a type; `path` is where it is in the request.
pub fn read<T: Documented + DeserializeOwned>(value: Value, path: &str) -> Result<T, Problem> {
    // The types first: what is not of its type has no range.
    let result = serde_path_to_error::deserialize(&value).map_err(|error| {
        let message = error.inner().to_string();
        let at = error.path().to_string();
        let named = named_field(&message);
        let place = match (at.as_str(), named) {
            ("." | "", Some(name)) => join(path, name),
            ("." | "", None) => path.to_string(),
            (at, Some(name)) if !at.ends_with(name) => join(&join(path, at), name),
            (at, _) => join(path, at),
        };
        let message = message.split(", expected one of").next().unwrap_or_default().replace('`', "");
        Problem::invalid(place, format!("The request is not understood: {message}."))
    })?;
    check(&value, &T::rules(), path)?;
    Ok(result)
}

/// serde names missing and unknown fields in its message only.
fn named_field(message: &str) -> Option<&str> {
    let rest = message.strip_prefix("missing field `").or_else(|| message.strip_prefix("unknown field `"))?;
    rest.split('`').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::document;
    use serde_json::json;

    document! {
        /// Inside
        pub struct Inner { name: String, }
    }
    document! {
        /// Outside
        pub struct Outer { limit: Option<u64> => {"maximum": 5}, inner: Option<Inner>, }
    }

    #[test]
    fn problems_name_the_field() {
        let field = |value: Value| read::<Outer>(value, "").unwrap_err().field;
        assert_eq!(field(json!({"limit": "x"})).as_deref(), Some("limit"));
        assert_eq!(field(json!({"limit": 6})).as_deref(), Some("limit"));
        assert_eq!(field(json!({"limt": 6})).as_deref(), Some("limt"));
        assert_eq!(field(json!({"inner": {}})).as_deref(), Some("inner.name"));
        assert!(read::<Outer>(json!({"limit": 5, "inner": {"name": "x"}}), "").is_ok());
    }
}
