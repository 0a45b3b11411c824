//! Our `.proto` files against the wire contract, field by field, both ways.
//!
//! What is left out on purpose stands in [`LEFT_OUT`] and [`IGNORED_FACTS`]; everything else of
//! `halo-wire-contract.json` must be there, and nothing else may be.

use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, Value,
};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Facts of the JSON that have no counterpart in our files, and why.
const IGNORED_FACTS: &[(&str, &str)] = &[
    ("http", "three stray annotations of RPCs that are not served over HTTP (contract 1.0.1)"),
    ("future_disposition", "a documentation option of the real project without effect on the wire"),
    ("json_name", "protox derives it; compared below"),
];

/// Declarations of our files that the JSON does not have, and where they come from.
const ADDED: &[(&str, &str)] = &[
    ("wfa.measurement.config.DuchyIdConfig", "contract 2.16"),
    ("wfa.measurement.config.DuchyIdConfig.Duchy", "contract 2.16"),
];

/// Declarations of the JSON that our files do not have, and why.
const LEFT_OUT: &[(&str, &str)] = &[];

fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        DescriptorPool::decode(kingdom_proto::FILE_DESCRIPTOR_SET).expect("the descriptors decode")
    });
    &POOL
}

/// All parts of the contract, merged: a declaration that stands twice must be the same.
fn contract() -> BTreeMap<&'static str, BTreeMap<String, Json>> {
    let json: Json =
        serde_json::from_str(include_str!("data/halo-wire-contract.json")).expect("JSON");
    let mut merged: BTreeMap<&'static str, BTreeMap<String, Json>> = BTreeMap::new();
    let supplementary = json["supplementary"].as_object().expect("object").values();
    for part in std::iter::once(&json["main"]).chain(supplementary) {
        for kind in ["services", "messages", "enums"] {
            for (name, fact) in part[kind].as_object().expect("object") {
                merged.entry(kind).or_default().insert(name.clone(), fact.clone());
            }
        }
    }
    merged
}

fn is_ours(full_name: &str) -> bool {
    full_name.starts_with("wfa.") || full_name.starts_with("google.type.")
}

#[test]
fn every_message_has_the_fields_of_the_contract_and_no_other() {
    let pool = pool();
    let mut differences = Vec::new();
    for (name, fact) in &contract()["messages"] {
        let Some(message) = pool.get_message_by_name(name) else {
            differences.push(format!("{name} is missing"));
            continue;
        };
        compare_message(&message, fact, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare_message(message: &MessageDescriptor, fact: &Json, differences: &mut Vec<String>) {
    let name = message.full_name();
    let mut differ = |what: String| differences.push(format!("{name}: {what}"));
    let expected: BTreeSet<String> = fields_of(fact).iter().map(expected_field).collect();
    let actual: BTreeSet<String> = message.fields().map(|field| actual_field(&field)).collect();
    for missing in expected.difference(&actual) {
        differ(format!("contract has {missing}"));
    }
    for extra in actual.difference(&expected) {
        differ(format!("we have {extra}"));
    }
    let oneofs = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
    let expected = oneofs(strings(&fact["oneofs"]));
    let actual = oneofs(message.oneofs().map(|oneof| oneof.name().to_owned()).collect());
    if expected != actual {
        differ(format!("oneofs {actual:?}, contract {expected:?}"));
    }
    let expected: BTreeSet<(u64, u64)> = fact["reserved_ranges"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|range| (range[0].as_u64().expect("number"), range[1].as_u64().expect("number")))
        .collect();
    let actual: BTreeSet<(u64, u64)> = message
        .reserved_ranges()
        .map(|range| (u64::from(range.start), u64::from(range.end) - 1))
        .collect();
    if expected != actual {
        differ(format!("reserved {actual:?}, contract {expected:?}"));
    }
    if message.is_map_entry() != fact["map_entry"].as_bool().unwrap_or(false) {
        differ("map entry or not".to_owned());
    }
    let (expected, actual) = (expected_resource(fact), actual_resource(message));
    if expected != actual {
        differ(format!("resource {actual:?}, contract {expected:?}"));
    }
}

fn fields_of(fact: &Json) -> Vec<Json> {
    fact["fields"].as_array().cloned().unwrap_or_default()
}

fn strings(json: &Json) -> Vec<String> {
    json.as_array()
        .into_iter()
        .flatten()
        .map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

/// Everything about a field in one comparable line.
fn expected_field(field: &Json) -> String {
    let text = |key: &str| field[key].as_str().unwrap_or_default().to_owned();
    let behavior: BTreeSet<_> = strings(&field["field_behavior"]).into_iter().collect();
    format!(
        "{} = {} {} {} {} json={} oneof={} deprecated={} behavior={behavior:?} reference={} child={}",
        text("name"),
        field["number"],
        text("label"),
        text("type"),
        text("type_name"),
        text("json_name"),
        text("oneof"),
        field["deprecated"].as_bool().unwrap_or(false),
        text("resource_reference"),
        text("resource_reference_child"),
    )
}

fn actual_field(field: &FieldDescriptor) -> String {
    let label = match field.cardinality() {
        Cardinality::Repeated => "repeated",
        Cardinality::Optional => "optional",
        Cardinality::Required => "required",
    };
    let (kind, type_name) = match field.kind() {
        Kind::Message(message) => ("message".to_owned(), message.full_name().to_owned()),
        Kind::Enum(declaration) => ("enum".to_owned(), declaration.full_name().to_owned()),
        scalar => (format!("{scalar:?}").to_lowercase(), String::new()),
    };
    let options = field.options();
    let behavior: BTreeSet<String> = extension(&options, "google.api.field_behavior")
        .and_then(|value| value.as_list().map(<[Value]>::to_vec))
        .unwrap_or_default()
        .iter()
        .map(|number| behavior_name(number.as_enum_number().expect("enum")))
        .collect();
    let reference = extension(&options, "google.api.resource_reference");
    let part = |name: &str| {
        reference
            .as_ref()
            .and_then(|value| value.as_message()?.get_field_by_name(name))
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    format!(
        "{} = {} {label} {kind} {type_name} json={} oneof={} deprecated={} behavior={behavior:?} reference={} child={}",
        field.name(),
        field.number(),
        field.json_name(),
        field.containing_oneof().map(|oneof| oneof.name().to_owned()).unwrap_or_default(),
        field
            .field_descriptor_proto()
            .options
            .as_ref()
            .is_some_and(|o| o.deprecated.unwrap_or(false)),
        part("type"),
        part("child_type"),
    )
}

fn behavior_name(number: i32) -> String {
    let declaration =
        pool().get_enum_by_name("google.api.FieldBehavior").expect("field behaviors are declared");
    declaration.get_value(number).expect("a known field behavior").name().to_owned()
}

fn extension(options: &DynamicMessage, name: &str) -> Option<Value> {
    let extension = pool().get_extension_by_name(name).expect("declared in google/api");
    options.has_extension(&extension).then(|| options.get_extension(&extension).into_owned())
}

fn expected_resource(fact: &Json) -> Option<Vec<String>> {
    let resource = fact.get("resource")?;
    let mut facts = vec![
        format!("type {}", resource["type"].as_str().unwrap_or_default()),
        format!("singular {}", resource["singular"].as_str().unwrap_or_default()),
        format!("plural {}", resource["plural"].as_str().unwrap_or_default()),
    ];
    facts.extend(strings(&resource["patterns"]));
    Some(facts)
}

fn actual_resource(message: &MessageDescriptor) -> Option<Vec<String>> {
    let value = extension(&message.options(), "google.api.resource")?;
    let resource = value.as_message()?;
    let text = |name: &str| {
        resource
            .get_field_by_name(name)
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let mut facts = vec![
        format!("type {}", text("type")),
        format!("singular {}", text("singular")),
        format!("plural {}", text("plural")),
    ];
    let patterns = resource.get_field_by_name("pattern")?;
    facts.extend(patterns.as_list()?.iter().filter_map(|v| v.as_str().map(str::to_owned)));
    Some(facts)
}

#[test]
fn every_enum_has_the_values_of_the_contract_and_no_other() {
    let pool = pool();
    let mut differences = Vec::new();
    for (name, fact) in &contract()["enums"] {
        let Some(declaration) = pool.get_enum_by_name(name) else {
            differences.push(format!("{name} is missing"));
            continue;
        };
        let expected: BTreeSet<(String, i64)> = fact["values"]
            .as_array()
            .expect("values")
            .iter()
            .map(|v| {
                (
                    v["name"].as_str().expect("name").to_owned(),
                    v["number"].as_i64().expect("number"),
                )
            })
            .collect();
        let actual = enum_values(&declaration);
        if expected != actual {
            differences.push(format!("{name}: {actual:?}, contract {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn enum_values(declaration: &EnumDescriptor) -> BTreeSet<(String, i64)> {
    declaration.values().map(|value| (value.name().to_owned(), i64::from(value.number()))).collect()
}

#[test]
fn every_method_has_the_signature_of_the_contract_and_no_service_has_another() {
    let pool = pool();
    let mut differences = Vec::new();
    for (name, fact) in &contract()["services"] {
        let Some(service) = pool.get_service_by_name(name) else {
            differences.push(format!("{name} is missing"));
            continue;
        };
        let expected: BTreeSet<String> = fact["methods"]
            .as_array()
            .expect("methods")
            .iter()
            .map(|method| {
                format!(
                    "{}({}{}) -> {}{} signature={:?}",
                    method["full_method"].as_str().expect("full method"),
                    stream(method["client_streaming"].as_bool()),
                    method["input"].as_str().expect("input"),
                    stream(method["server_streaming"].as_bool()),
                    method["output"].as_str().expect("output"),
                    strings(&method["method_signature"]),
                )
            })
            .collect();
        let actual: BTreeSet<String> = service
            .methods()
            .map(|method| {
                let signature = extension(&method.options(), "google.api.method_signature")
                    .and_then(|value| value.as_list().map(<[Value]>::to_vec))
                    .unwrap_or_default();
                let signature: Vec<_> = signature.iter().filter_map(Value::as_str).collect();
                format!(
                    "/{}/{}({}{}) -> {}{} signature={signature:?}",
                    service.full_name(),
                    method.name(),
                    stream(Some(method.is_client_streaming())),
                    method.input().full_name(),
                    stream(Some(method.is_server_streaming())),
                    method.output().full_name(),
                )
            })
            .collect();
        for difference in expected.symmetric_difference(&actual) {
            differences.push(format!("{name}: only on one side: {difference}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn stream(yes: Option<bool>) -> &'static str {
    if yes == Some(true) { "stream " } else { "" }
}

#[test]
fn nothing_is_declared_that_the_contract_does_not_have() {
    let (pool, contract) = (pool(), contract());
    let known = |kind: &str, name: &str| {
        contract[kind].contains_key(name) || ADDED.iter().any(|(added, _)| *added == name)
    };
    let mut extra: Vec<String> = Vec::new();
    extra.extend(
        pool.all_messages().map(|m| m.full_name().to_owned()).filter(|n| !known("messages", n)),
    );
    extra.extend(pool.all_enums().map(|e| e.full_name().to_owned()).filter(|n| !known("enums", n)));
    extra.extend(
        pool.services().map(|s| s.full_name().to_owned()).filter(|n| !known("services", n)),
    );
    extra.retain(|name| is_ours(name));
    assert_eq!(extra, Vec::<String>::new());
}

#[test]
fn what_is_left_out_on_purpose_is_really_absent_and_really_in_the_contract() {
    let (pool, contract) = (pool(), contract());
    for (name, reason) in LEFT_OUT {
        assert!(!reason.is_empty());
        assert!(contract.values().any(|facts| facts.contains_key(*name)), "{name}");
        assert!(pool.get_message_by_name(name).is_none(), "{name} is there after all");
    }
    let json = include_str!("data/halo-wire-contract.json");
    for (fact, _) in IGNORED_FACTS {
        assert!(json.contains(&format!("\"{fact}\"")), "{fact} is no longer in the contract");
    }
}

#[test]
fn typed_names_cover_the_patterns_of_the_contract() {
    let ours: BTreeSet<String> =
        kingdom_proto::name::PATTERNS.iter().map(|p| (*p).to_owned()).collect();
    let mut missing = Vec::new();
    for (message, fact) in &contract()["messages"] {
        for pattern in strings(&fact["resource"]["patterns"]) {
            let shape: Vec<&str> =
                pattern.split('/').map(|s| if s.starts_with('{') { "{}" } else { s }).collect();
            if !ours.contains(&shape.join("/")) {
                missing.push(format!("{message}: {pattern}"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn the_comparison_sees_each_kind_of_difference() {
    let message =
        pool().get_message_by_name("wfa.measurement.api.v2alpha.Certificate").expect("it");
    let fact = contract()["messages"]["wfa.measurement.api.v2alpha.Certificate"].clone();
    type Spoil = (&'static str, fn(&mut Json));
    let spoil: [Spoil; 7] = [
        ("number", |fact| fact["fields"][1]["number"] = 9.into()),
        ("type", |fact| fact["fields"][1]["type"] = "string".into()),
        ("label", |fact| fact["fields"][1]["label"] = "repeated".into()),
        ("type name", |fact| fact["fields"][2]["type_name"] = "wfa.Other".into()),
        ("oneof", |fact| fact["oneofs"] = serde_json::json!(["kind"])),
        ("pattern", |fact| fact["resource"]["patterns"][0] = "other/{id}".into()),
        ("missing field", |fact| fact["fields"].as_array_mut().map(Vec::clear).expect("array")),
    ];
    for (what, change) in spoil {
        let mut spoiled = fact.clone();
        change(&mut spoiled);
        let mut differences = Vec::new();
        compare_message(&message, &spoiled, &mut differences);
        assert!(!differences.is_empty(), "a wrong {what} goes unnoticed");
    }
}
