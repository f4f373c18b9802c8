#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use serde_json::{Value, json};

use super::Schema;

#[track_caller]
fn judge(schema: &Value, good: &[Value], bad: &[Value]) {
    let compiled = Schema::new(schema).unwrap();
    for value in good {
        assert!(compiled.is_satisfied_by(value), "{value} satisfies {schema}");
    }
    for value in bad {
        assert!(!compiled.is_satisfied_by(value), "{value} does not satisfy {schema}");
    }
}

#[test]
fn types_and_values() {
    judge(&json!(true), &[json!(1)], &[]);
    judge(&json!(false), &[], &[json!(1), json!({})]);
    judge(&json!({"type": "integer"}), &[json!(1), json!(-3), json!(1.0)], &[json!(1.5), json!("1"), json!(null)]);
    judge(&json!({"type": ["null", "boolean"]}), &[json!(null), json!(true)], &[json!(0), json!([])]);
    judge(&json!({"type": "number"}), &[json!(1), json!(1.5)], &[json!("1")]);
    judge(
        &json!({"enum": [1, "a", {"x": 1, "y": [2]}]}),
        &[json!(1.0), json!("a"), json!({"y": [2], "x": 1})],
        &[json!(2), json!({"x": 1}), json!("1")],
    );
    judge(&json!({"const": null}), &[json!(null)], &[json!(0)]);
}

#[test]
fn numbers_and_strings() {
    let range = json!({"minimum": 1, "exclusiveMaximum": 10, "multipleOf": 0.5});
    judge(&range, &[json!(1), json!(9.5), json!("not a number")], &[json!(0.5), json!(10), json!(1.25)]);
    judge(&json!({"multipleOf": 0.1}), &[json!(0.3)], &[json!(0.35)]);
    judge(&json!({"exclusiveMinimum": 0, "maximum": 5}), &[json!(5)], &[json!(0), json!(5.1)]);
    let text = json!({"minLength": 2, "maxLength": 3, "pattern": "^[a-zé]+$"});
    judge(&text, &[json!("éé"), json!("abc"), json!(7)], &[json!("a"), json!("abcd"), json!("aB")]);
}

#[test]
fn arrays() {
    let list = json!({"items": {"type": "integer"}, "minItems": 1, "maxItems": 3, "uniqueItems": true});
    judge(
        &list,
        &[json!([1, 2]), json!("no list")],
        &[json!([]), json!([1, 2, 3, 4]), json!([1, "a"]), json!([1, 1.0])],
    );
    judge(
        &json!({"prefixItems": [{"const": "move"}, {"type": "integer"}], "items": false}),
        &[json!(["move", 1]), json!(["move"]), json!([])],
        &[json!(["stay", 1]), json!(["move", 1, 2])],
    );
    judge(
        &json!({"contains": {"const": 1}, "maxContains": 2}),
        &[json!([0, 1]), json!([1, 1])],
        &[json!([0]), json!([1, 1, 1])],
    );
    judge(
        &json!({"uniqueItems": true}),
        &[json!([{"a": 1}, {"a": 2}])],
        &[json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}])],
    );
}

#[test]
fn objects() {
    let object = json!({
        "type": "object",
        "properties": {"op": {"enum": ["sub", "unsub"]}, "id": {"type": "integer"}},
        "patternProperties": {"^x-": {"type": "string"}},
        "additionalProperties": false,
        "required": ["op"],
        "dependentRequired": {"id": ["x-key"]},
        "maxProperties": 3,
        "propertyNames": {"maxLength": 5},
    });
    judge(
        &object,
        &[json!({"op": "sub"}), json!({"op": "sub", "id": 1, "x-key": "k"})],
        &[
            json!([]),
            json!({}),
            json!({"op": "other"}),
            json!({"op": "sub", "id": 1}),
            json!({"op": "sub", "more": 1}),
            json!({"op": "sub", "x-a": 1}),
            json!({"op": "sub", "x-toolong": "a"}),
            json!({"op": "sub", "x-1": "a", "x-2": "a", "x-3": "a"}),
        ],
    );
}

#[test]
fn schemas_of_schemas() {
    judge(&json!({"anyOf": [{"type": "string"}, {"minimum": 3}]}), &[json!("a"), json!(3), json!(null)], &[json!(2)]);
    judge(&json!({"oneOf": [{"type": "integer"}, {"minimum": 3}]}), &[json!(1), json!(3.5)], &[json!(4), json!(2.5)]);
    judge(&json!({"allOf": [{"minimum": 1}, {"maximum": 2}], "not": {"const": 2}}), &[json!(1)], &[json!(2), json!(3)]);
    let branch = json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}});
    judge(&branch, &[json!({"a": 1, "b": 1}), json!({"c": 1})], &[json!({"a": 1}), json!({"b": 1})]);
}

#[test]
fn what_refers_to_itself() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["v"]}},
    });
    judge(
        &tree,
        &[json!({"v": 1, "next": {"v": 2, "next": {"v": 3}}})],
        &[json!({"v": 1, "next": {"next": {"v": 3}}})],
    );
    // It would follow itself for ever: nothing satisfies it, and it ends.
    judge(&json!({"$ref": "#"}), &[], &[json!(1)]);
    let mut deep = json!({"v": 1});
    for _ in 0..150 {
        deep = json!({"v": 1, "next": deep});
    }
    assert!(!Schema::new(&tree).unwrap().is_satisfied_by(&deep), "deeper than is followed");
    // Nor does a value get round what is forbidden by hiding it where nobody follows.
    let hidden = json!({"not": {"$ref": "#/$defs/bad"}, "$defs": {
        "bad": {"anyOf": [{"required": ["bad"]}, {"required": ["next"], "properties": {"next": {"$ref": "#/$defs/bad"}}}]}
    }});
    judge(&hidden, &[json!({}), json!({"next": {"next": {}}})], &[json!({"bad": 1}), json!({"next": {"bad": 1}})]);
    let mut deep = json!({"bad": 1});
    for _ in 0..120 {
        deep = json!({"next": deep});
    }
    assert!(!Schema::new(&hidden).unwrap().is_satisfied_by(&deep), "deeper than is followed");
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (schema, pointer, what) in [
        (json!({"minimun": 1}), "/minimun", "is not understood"),
        (json!({"properties": {"a/b": {"typ": "string"}}}), "/properties/a~1b/typ", "is not understood"),
        (json!({"type": "text"}), "/type", "is one of"),
        (json!({"pattern": "("}), "/pattern", ""),
        (json!({"pattern": "(?=a)"}), "/pattern", ""),
        (json!({"$ref": "https://example.com/x"}), "/$ref", "only places"),
        (json!({"$ref": "#/$defs/x"}), "/$ref", "there is no"),
        (json!({"anyOf": []}), "/anyOf", "not empty"),
        (json!({"multipleOf": 0}), "/multipleOf", "above 0"),
        (json!({"$defs": {"x": {"unevaluatedItems": false}}}), "/$defs/x/unevaluatedItems", "is not understood"),
        (json!(7), "", "a schema is"),
    ] {
        let (at, why) = Schema::new(&schema).unwrap_err();
        assert_eq!(at, pointer, "{schema}: {why}");
        assert!(why.contains(what), "{schema}: {why}");
    }
    // What only describes has no effect.
    let described = json!({"title": "t", "format": "email", "$schema": "https://json-schema.org/draft/2020-12/schema"});
    judge(&described, &[json!("not an address")], &[]);
}
