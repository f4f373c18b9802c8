use serde_json::{Value, json};

use super::*;

fn misfits(schema: &Value, config: &Value) -> Vec<String> {
    let schema = Schema::read(&schema.to_string()).unwrap();
    schema.judge(config).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn bad(schema: &str) -> String {
    Schema::read(schema).unwrap_err().to_string()
}

#[test]
fn every_wrong_value_is_told_by_its_pointer() {
    let schema = json!({
        "type": "object",
        "properties": {
            "realm": { "type": "string", "minLength": 1 },
            "users": { "type": "array", "items": { "type": "string", "pattern": "^[a-z]+:" }, "minItems": 1, "uniqueItems": true },
            "cost": { "type": "integer", "minimum": 4, "maximum": 12 },
            "mode": { "enum": ["deny", "allow"] },
            "a/b": { "type": ["string", "null"] },
        },
        "required": ["realm", "users"],
        "additionalProperties": false,
    });
    assert_eq!(misfits(&schema, &json!({ "realm": "x", "users": ["ann:1"], "cost": 4.0, "a/b": null })), [""; 0]);
    let config =
        json!({ "realm": "", "users": ["ann:1", 7, "Bob", "ann:1"], "cost": 13, "mode": "dny", "a/b": 1, "usres": [] });
    assert_eq!(
        misfits(&schema, &config),
        [
            "/realm: must not be empty",
            "/users/1: must be a string, and is a number",
            "/users/2: must match `^[a-z]+:`",
            "/users/3: is there twice",
            "/cost: must be at most 12",
            "/mode: must be \"deny\" or \"allow\"",
            "/a~1b: must be a string or null, and is a number",
            "/usres: unknown key `usres`: is `users` meant?",
        ]
    );
    assert_eq!(misfits(&schema, &json!({ "realm": "x" })), ["`users` is missing"]);
    assert_eq!(misfits(&schema, &json!([])), ["must be a table, and is a list"]);
}

/// As `schemars` writes it for an enum, an option and a struct of a type of its own.
#[test]
fn forms_are_told_apart() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config",
        "type": "object",
        "properties": {
            "by": { "oneOf": [
                { "type": "object", "properties": { "cookie": { "type": "string" } }, "required": ["cookie"], "additionalProperties": false },
                { "type": "string", "const": "address" },
            ] },
            "limit": { "anyOf": [{ "$ref": "#/$defs/Limit" }, { "type": "null" }] },
            "load": { "type": ["number", "null"], "format": "double", "default": null },
        },
        "$defs": { "Limit": { "type": "object", "properties": { "n": { "type": "integer", "format": "uint32", "minimum": 0 } } } },
    });
    for good in
        [json!({}), json!({ "by": "address", "limit": null }), json!({ "by": { "cookie": "a" }, "limit": { "n": 1 } })]
    {
        assert_eq!(misfits(&schema, &good), [""; 0], "{good}");
    }
    assert_eq!(misfits(&schema, &json!({ "limit": { "n": -1 } })), ["/limit/n: must be at least 0"]);
    assert_eq!(misfits(&schema, &json!({ "by": "cookie" })), ["/by: must be \"address\""]);
    assert_eq!(misfits(&schema, &json!({ "by": 1 })), ["/by: must be a table or \"address\""]);
    assert_eq!(misfits(&schema, &json!({ "by": { "cookei": "a" } })).len(), 2);
}

#[test]
fn what_would_not_be_checked_is_refused() {
    assert!(bad("{").contains("not JSON"));
    assert!(bad(r#"{"properties": {"a": {"if": {}}}}"#).contains("/properties/a/if"));
    for wrong in [
        r#"{"type": "strng"}"#,
        r#"{"type": []}"#,
        r#"{"pattern": "("}"#,
        r#"{"minLength": -1}"#,
        r##"{"$ref": "#/$defs/none"}"##,
        r#"{"$ref": "https://example.com/schema"}"#,
        r#"{"required": "a"}"#,
        r#"{"items": 1}"#,
        r#"{"anyOf": []}"#,
        r#"{"multipleOf": 0}"#,
    ] {
        assert!(bad(wrong).starts_with("the schema of its configuration: /"), "{wrong}: {}", bad(wrong));
    }
    assert!(Schema::read(r#"{"x-group": "a", "type": "object"}"#).is_ok());
}

#[test]
fn a_schema_that_leads_to_itself_ends() {
    let endless = json!({ "$ref": "#" });
    assert_eq!(misfits(&endless, &json!({})), ["its schema leads on without an end"]);
    let doubling = json!({ "anyOf": [{ "$ref": "#" }, { "$ref": "#" }] });
    assert!(!misfits(&doubling, &json!({})).is_empty(), "it ends, and soon");
    let tree = json!({ "type": "object", "properties": { "in": { "$ref": "#" } }, "additionalProperties": false });
    assert_eq!(misfits(&tree, &json!({ "in": { "in": { "out": 1 } } })).len(), 1);
}

#[test]
fn numbers_and_lists_have_bounds() {
    let schema = json!({ "properties": {
        "a": { "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
        "b": { "multipleOf": 5 },
        "c": { "prefixItems": [{ "type": "string" }], "items": { "type": "integer" }, "maxItems": 2 },
        "d": { "not": { "const": "*" } },
        "e": { "maxLength": 2 },
        "f": { "patternProperties": { "^x_": { "type": "string" } }, "additionalProperties": { "type": "integer" }, "maxProperties": 2 },
    } });
    let good = json!({ "a": 0.5, "b": 10, "c": ["a", 1], "d": "x", "e": "äö", "f": { "x_a": "a", "y": 1 } });
    assert_eq!(misfits(&schema, &good), [""; 0]);
    let wrong = json!({ "a": 1, "b": 11, "c": [1, "a", 2], "d": "*", "e": "abc", "f": { "x_a": 1, "y": "a", "z": 1 } });
    assert_eq!(misfits(&schema, &wrong).len(), 10, "{:?}", misfits(&schema, &wrong));
}
