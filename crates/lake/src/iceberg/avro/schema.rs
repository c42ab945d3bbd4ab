//! Avro schemas.
use std::collections::HashMap;
use std::sync::Arc;

use firesteel_plan::Result;
use serde_json::Value as Json;

use crate::iceberg::errors::broken;

/// How deep schemas may be.
const MAX_DEPTH: usize = 64;

#[derive(Debug, Clone)]
pub(crate) enum Schema {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(Arc<Schema>),
    Map(Arc<Schema>),
    Union(Vec<Schema>),
    Record(Arc<Vec<(String, Schema)>>),
}

impl Schema {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let json: Json = serde_json::from_str(text).map_err(|e| broken("an Avro schema", e))?;
        Names::default().schema(&json, 0)
    }
}

/// Types by name, which later parts of a schema refer to.
#[derive(Default)]
struct Names(HashMap<String, Schema>);

impl Names {
    fn schema(&mut self, json: &Json, depth: usize) -> Result<Schema> {
        if depth > MAX_DEPTH {
            return Err(broken("an Avro schema", "it is too deep"));
        }
        match json {
            Json::String(name) => self.named(name),
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, depth + 1));
                branches.collect::<Result<_>>().map(Schema::Union)
            }
            Json::Object(object) => {
                let kind = object.get("type").ok_or_else(|| broken("an Avro schema", "a type has no kind"))?;
                match kind.as_str() {
                    Some(kind) => self.complex(kind, json, depth),
                    None => self.schema(kind, depth + 1),
                }
            }
            _ => Err(broken("an Avro schema", format!("{json} is no type"))),
        }
    }

    fn named(&self, name: &str) -> Result<Schema> {
        Ok(match name {
            "null" => Schema::Null,
            "boolean" => Schema::Boolean,
            "int" => Schema::Int,
            "long" => Schema::Long,
            "float" => Schema::Float,
            "double" => Schema::Double,
            "bytes" => Schema::Bytes,
            "string" => Schema::Text,
            other => {
                let known = self.0.get(other).or_else(|| self.0.get(other.rsplit('.').next().unwrap_or_default()));
                known.cloned().ok_or_else(|| broken("an Avro schema", format!("it has no type {other}")))?
            }
        })
    }

    fn complex(&mut self, kind: &str, json: &Json, depth: usize) -> Result<Schema> {
        let part = |name: &str| json.get(name).ok_or_else(|| broken("an Avro schema", format!("{kind} has no {name}")));
        let schema = match kind {
            "record" => {
                let mut fields = vec![];
                for field in part("fields")?.as_array().into_iter().flatten() {
                    let name = field.get("name").and_then(Json::as_str).unwrap_or_default().to_string();
                    let of = field.get("type").ok_or_else(|| broken("an Avro schema", "a field has no type"))?;
                    fields.push((name, self.schema(of, depth + 1)?));
                }
                Schema::Record(Arc::new(fields))
            }
            "array" => Schema::Array(Arc::new(self.schema(part("items")?, depth + 1)?)),
            "map" => Schema::Map(Arc::new(self.schema(part("values")?, depth + 1)?)),
            "fixed" => {
                let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                Schema::Fixed(size.ok_or_else(|| broken("an Avro schema", "a size is no number"))?)
            }
            "enum" => {
                let symbols = part("symbols")?.as_array().into_iter().flatten();
                Schema::Enum(symbols.filter_map(Json::as_str).map(str::to_string).collect())
            }
            other => return self.named(other),
        };
        if let Some(name) = json.get("name").and_then(Json::as_str) {
            self.0.insert(name.to_string(), schema.clone());
        }
        Ok(schema)
    }
}
