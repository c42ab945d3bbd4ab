//! `/openapi.json`: OpenAPI 3.1, from the table of endpoints and the schemas of the types.
use serde_json::{Map, Value, json};

use crate::access::Scope;
use crate::endpoint::{Content, Endpoint, all};
use crate::rows::Format;

/// Statuses that any request may be answered with.
const PROBLEMS: &[(&str, &str)] = &[
    ("400", "The request makes no sense"),
    ("401", "No token, or a wrong one"),
    ("403", "The token, or the store, does not allow this"),
    ("404", "There is no such thing"),
    ("406", "Not in the form of Accept"),
    ("408", "Out of time"),
    ("409", "Not now"),
    ("410", "It has expired"),
    ("413", "Too large"),
    ("415", "Not JSON"),
    ("422", "A value that does not fit, or a key that was used for something else"),
    ("429", "Too many requests"),
    ("500", "The service failed"),
    ("503", "Something that is needed does not answer"),
];

pub fn document() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for endpoint in all() {
        let entry = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        entry[endpoint.method.to_lowercase()] = operation(&endpoint);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Firesteel",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reads, queries and changes a data lake. Errors are problem documents (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": crate::problem::schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let mut parameters = path_parameters(endpoint.path);
    if let Some(query) = endpoint.query {
        parameters.extend(query_parameters(&query()));
    }
    if endpoint.answers.iter().any(|(status, _)| *status == 202) {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"});
        let description = "The second request with the key gets the first one's job";
        let header = json!({"name": "Idempotency-Key", "in": "header", "schema": schema, "description": description});
        parameters.push(header);
    }
    let mut responses: Map<String, Value> = Map::new();
    for (status, content) in endpoint.answers {
        responses.insert(status.to_string(), answer(*status, *content));
    }
    if endpoint.scope != Scope::Open {
        let problem = json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}});
        for (status, description) in PROBLEMS {
            responses.insert(status.to_string(), json!({"description": description, "content": problem}));
        }
    }
    let mut operation = json!({
        "operationId": operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "parameters": parameters,
        "responses": responses,
        "security": if endpoint.scope == Scope::Open { json!([]) } else { json!([{}, {"token": []}]) },
    });
    if let Some(request) = endpoint.request {
        let schema = request();
        let is_required = schema["required"].as_array().is_some_and(|names| !names.is_empty());
        let content = json!({"application/json": {"schema": schema}});
        operation["requestBody"] = json!({"required": is_required, "content": content});
    }
    operation
}

fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint.path.split(['/', '{', '}', '.']).filter(|word| !word.is_empty() && *word != "v1");
    std::iter::once(endpoint.method.to_lowercase()).chain(words.map(String::from)).collect::<Vec<_>>().join("_")
}

fn path_parameters(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let schema = |name: &str| match name {
        "index" => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string", "minLength": 1}),
    };
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": schema(name)})).collect()
}

fn query_parameters(schema: &Value) -> Vec<Value> {
    let properties = schema["properties"].as_object();
    let parameter = |(name, schema): (&String, &Value)| {
        let mut schema = schema.clone();
        // A parameter is there or not: it is never null.
        if let Some(types) = schema["type"].as_array() {
            schema["type"] = types.first().cloned().unwrap_or_default();
        }
        json!({"name": name, "in": "query", "required": false, "schema": schema})
    };
    properties.into_iter().flatten().map(parameter).collect()
}

fn answer(status: u16, content: Content) -> Value {
    let json_of = |schema: Value| json!({"application/json": {"schema": schema}});
    let content = match content {
        Content::Json(schema) => json_of(schema()),
        Content::Rows(schema) => {
            let mut content = json_of(schema());
            for format in [Format::NdJson, Format::Csv, Format::Arrow, Format::Parquet] {
                content[format.media_type()] = json!({});
            }
            content
        }
        Content::Events => json!({"text/event-stream": {}}),
        Content::Html => json!({"text/html": {}}),
        Content::Nothing => return json!({"description": "Done"}),
    };
    let mut answer = json!({"description": "The answer", "content": content});
    if status == 202 {
        answer["description"] = json!("It runs");
        answer["headers"] = json!({
            "Location": {"schema": {"type": "string"}}, "Retry-After": {"schema": {"type": "integer"}}
        });
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_described() {
        let document = document();
        for endpoint in all() {
            let operation = &document["paths"][endpoint.path][endpoint.method.to_lowercase()];
            assert!(operation["summary"].is_string(), "{} {}", endpoint.method, endpoint.path);
        }
        let body = &document["paths"]["/v1/statements"]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["required"], json!(["statement"]));
    }
}
