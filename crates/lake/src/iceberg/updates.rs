//! What a catalog that keeps the metadata itself is told of a change, in the words of Iceberg's REST catalog: what has to be
//! so still, and what becomes of it. Both are the difference of two states.
use serde_json::{Map, Value as Json, json};

use super::metadata::{MAIN, TableMetadata};

/// A list of the metadata whose entries have numbers, one of which is the current one.
struct Numbered {
    list: &'static str,
    number: &'static str,
    current: &'static str,
    add: &'static str,
    /// The name of the entry in `add`
    entry: &'static str,
    set: &'static str,
    /// The name of the number in `set`
    set_number: &'static str,
    /// What has to be so still: a requirement, its field, and where the value is
    required: &'static [(&'static str, &'static str, &'static str)],
}

const NUMBERED: [Numbered; 3] = [
    Numbered {
        list: "schemas",
        number: "schema-id",
        current: "current-schema-id",
        add: "add-schema",
        entry: "schema",
        set: "set-current-schema",
        set_number: "schema-id",
        required: &[
            ("assert-current-schema-id", "current-schema-id", "current-schema-id"),
            ("assert-last-assigned-field-id", "last-assigned-field-id", "last-column-id"),
        ],
    },
    Numbered {
        list: "partition-specs",
        number: "spec-id",
        current: "default-spec-id",
        add: "add-spec",
        entry: "spec",
        set: "set-default-spec",
        set_number: "spec-id",
        required: &[
            ("assert-default-spec-id", "default-spec-id", "default-spec-id"),
            ("assert-last-assigned-partition-id", "last-assigned-partition-id", "last-partition-id"),
        ],
    },
    Numbered {
        list: "sort-orders",
        number: "order-id",
        current: "default-sort-order-id",
        add: "add-sort-order",
        entry: "sort-order",
        set: "set-default-sort-order",
        set_number: "sort-order-id",
        required: &[("assert-default-sort-order-id", "default-sort-order-id", "default-sort-order-id")],
    },
];

/// Requirements and updates, from a state or from nothing.
pub(super) fn changes(before: Option<&TableMetadata>, after: &TableMetadata) -> Json {
    json!({ "requirements": requirements(before, after), "updates": updates(before, after) })
}

/// What makes the second state of the first. Empty: they are the same.
pub(super) fn updates(before: Option<&TableMetadata>, after: &TableMetadata) -> Vec<Json> {
    let mut told = vec![];
    if before.is_none() {
        told.push(json!({"action": "assign-uuid", "uuid": after.uuid()}));
        told.push(json!({"action": "upgrade-format-version", "format-version": after.format()}));
    }
    for kind in &NUMBERED {
        numbered(kind, before, after, &mut told);
    }
    if before.is_none_or(|before| before.location() != after.location()) {
        told.push(json!({"action": "set-location", "location": after.location()}));
    }
    properties(before, after, &mut told);
    snapshots(before, after, &mut told);
    told
}

fn requirements(before: Option<&TableMetadata>, after: &TableMetadata) -> Vec<Json> {
    let Some(before) = before else { return vec![json!({"type": "assert-create"})] };
    let mut required = vec![json!({"type": "assert-table-uuid", "uuid": before.uuid()})];
    for kind in &NUMBERED {
        if !added(kind, Some(before), after).is_empty() || before.number(kind.current) != after.number(kind.current) {
            required.extend(kind.required.iter().filter_map(|(requirement, field, value)| {
                let mut json = json!({ "type": requirement });
                json[*field] = before.number(value)?.into();
                Some(json)
            }));
        }
    }
    let (old, new) = (references(Some(before)), references(Some(after)));
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        if old.get(name) != new.get(name) {
            let id = old.get(name).and_then(|reference| reference.get("snapshot-id")).cloned();
            required.push(json!({"type": "assert-ref-snapshot-id", "ref": name, "snapshot-id": id}));
        }
    }
    required
}

fn entries<'a>(metadata: &'a TableMetadata, list: &str) -> &'a [Json] {
    metadata.json.get(list).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn number(json: &Json, name: &str) -> Option<i64> {
    json.get(name).and_then(Json::as_i64)
}

/// The entries of a list that the state before does not have.
fn added<'a>(kind: &Numbered, before: Option<&TableMetadata>, after: &'a TableMetadata) -> Vec<&'a Json> {
    let is_known = |entry: &Json| {
        let old = before.map(|before| entries(before, kind.list)).unwrap_or_default();
        old.iter().any(|old| number(old, kind.number) == number(entry, kind.number))
    };
    entries(after, kind.list).iter().filter(|entry| !is_known(entry)).collect()
}

fn numbered(kind: &Numbered, before: Option<&TableMetadata>, after: &TableMetadata, told: &mut Vec<Json>) {
    let added = added(kind, before, after);
    for entry in &added {
        let mut json = json!({ "action": kind.add });
        json[kind.entry] = (*entry).clone();
        if kind.list == "schemas" {
            json["last-column-id"] = after.number("last-column-id").into();
        }
        told.push(json);
    }
    let current = after.number(kind.current);
    if before.is_none_or(|before| before.number(kind.current) != current) {
        // The catalog may give another number to what is new: it is the last one added.
        let is_last = added.last().is_some_and(|last| number(last, kind.number) == current);
        let mut json = json!({ "action": kind.set });
        json[kind.set_number] = if is_last { (-1).into() } else { current.into() };
        told.push(json);
    }
}

fn properties(before: Option<&TableMetadata>, after: &TableMetadata, told: &mut Vec<Json>) {
    let (old, new) = (before.map(TableMetadata::properties).unwrap_or_default(), after.properties());
    let set: Map<String, Json> = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
        .map(|(key, value)| (key.clone(), value.as_str().into()))
        .collect();
    let removed: Vec<&String> = old.keys().filter(|key| !new.contains_key(*key)).collect();
    if !set.is_empty() {
        told.push(json!({"action": "set-properties", "updates": set}));
    }
    if !removed.is_empty() {
        told.push(json!({"action": "remove-properties", "removals": removed}));
    }
}

/// Branches and tags by name.
fn references(metadata: Option<&TableMetadata>) -> Map<String, Json> {
    let Some(metadata) = metadata else { return Map::new() };
    let mut found = metadata.json.get("refs").and_then(Json::as_object).cloned().unwrap_or_default();
    // Old metadata has no branches, and its current state is one.
    if let (false, Some(id)) = (found.contains_key(MAIN), metadata.number("current-snapshot-id").filter(|id| *id >= 0))
    {
        found.insert(MAIN.into(), json!({"snapshot-id": id, "type": "branch"}));
    }
    found
}

fn snapshots(before: Option<&TableMetadata>, after: &TableMetadata, told: &mut Vec<Json>) {
    let old = before.map(|before| entries(before, "snapshots")).unwrap_or_default();
    let new = entries(after, "snapshots");
    let has = |all: &[Json], snapshot: &Json| {
        let id = number(snapshot, "snapshot-id");
        all.iter().any(|other| number(other, "snapshot-id") == id)
    };
    for snapshot in new.iter().filter(|snapshot| !has(old, snapshot)) {
        told.push(json!({"action": "add-snapshot", "snapshot": snapshot}));
    }
    let (names, wanted) = (references(before), references(Some(after)));
    for name in names.keys().filter(|name| !wanted.contains_key(*name)) {
        told.push(json!({"action": "remove-snapshot-ref", "ref-name": name}));
    }
    for (name, reference) in wanted.iter().filter(|(name, reference)| names.get(*name) != Some(reference)) {
        let mut json = reference.clone();
        json["action"] = "set-snapshot-ref".into();
        json["ref-name"] = name.as_str().into();
        told.push(json);
    }
    let gone: Vec<_> = old.iter().filter(|s| !has(new, s)).filter_map(|s| number(s, "snapshot-id")).collect();
    if !gone.is_empty() {
        told.push(json!({"action": "remove-snapshots", "snapshot-ids": gone}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(json: Json) -> TableMetadata {
        TableMetadata::of_json(json).unwrap()
    }

    fn start() -> Json {
        json!({
            "format-version": 2, "table-uuid": "u", "location": "/t", "last-column-id": 1, "current-schema-id": 0,
            "schemas": [{"schema-id": 0, "fields": []}], "default-spec-id": 0, "partition-specs": [{"spec-id": 0, "fields": []}],
            "last-partition-id": 999, "default-sort-order-id": 0, "sort-orders": [{"order-id": 0, "fields": []}],
            "properties": {"a": "1", "b": "2"}, "current-snapshot-id": -1, "refs": {}, "snapshots": [],
        })
    }

    fn actions(before: Option<&TableMetadata>, after: &TableMetadata) -> Vec<String> {
        updates(before, after).iter().map(|update| update["action"].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn nothing_changes_nothing() {
        let table = metadata(start());
        assert!(updates(Some(&table), &table).is_empty());
        assert_eq!(requirements(Some(&table), &table), [json!({"type": "assert-table-uuid", "uuid": "u"})]);
    }

    #[test]
    fn a_new_table_is_told_whole() {
        let table = metadata(start());
        let wanted = [
            "assign-uuid",
            "upgrade-format-version",
            "add-schema",
            "set-current-schema",
            "add-spec",
            "set-default-spec",
            "add-sort-order",
            "set-default-sort-order",
            "set-location",
            "set-properties",
        ];
        assert_eq!(actions(None, &table), wanted);
        assert_eq!(requirements(None, &table), [json!({"type": "assert-create"})]);
    }

    #[test]
    fn columns_properties_and_snapshots_are_told() {
        let before = metadata(start());
        let mut json = start();
        json["schemas"] = json!([{"schema-id": 0, "fields": []}, {"schema-id": 1, "fields": [1]}]);
        json["current-schema-id"] = 1.into();
        json["last-column-id"] = 2.into();
        json["properties"] = json!({"a": "3"});
        json["snapshots"] = json!([{"snapshot-id": 7}]);
        json["refs"] = json!({"main": {"snapshot-id": 7, "type": "branch"}});
        let after = metadata(json);
        let told = updates(Some(&before), &after);
        assert_eq!(
            told[0],
            json!({"action": "add-schema", "schema": {"schema-id": 1, "fields": [1]}, "last-column-id": 2})
        );
        assert_eq!(told[1], json!({"action": "set-current-schema", "schema-id": -1}));
        assert_eq!(told[2], json!({"action": "set-properties", "updates": {"a": "3"}}));
        assert_eq!(told[3], json!({"action": "remove-properties", "removals": ["b"]}));
        assert_eq!(told[4], json!({"action": "add-snapshot", "snapshot": {"snapshot-id": 7}}));
        let reference = json!({"action": "set-snapshot-ref", "ref-name": "main", "snapshot-id": 7, "type": "branch"});
        assert_eq!(told[5], reference);
        let required = requirements(Some(&before), &after);
        assert!(required.contains(&json!({"type": "assert-last-assigned-field-id", "last-assigned-field-id": 1})));
        assert!(required.contains(&json!({"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": null})));
        assert_eq!(actions(Some(&after), &before)[..2], ["set-current-schema", "set-properties"]);
        assert!(actions(Some(&after), &before).contains(&"remove-snapshots".to_string()));
    }
}
