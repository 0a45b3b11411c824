//! Messages as the real tools print them: the layout of Java's `TextFormat` (contract 4.0.5), and
//! protobuf's JSON form for `--format json`.
//!
//! One field a line in order of number, two spaces of indentation, a repeated field once for each
//! element, a packed message as its type URL and bytes, everything outside printable ASCII as octal
//! escapes. Not printed: fields that our copy of the messages does not know.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, ReflectMessage as _, Value};
use serde_json::{Map, Value as Json};
use std::fmt::Write as _;

/// The text form, every line ended by a newline; a message without fields is the empty text.
pub fn text_form(message: &DynamicMessage) -> String {
    let mut text = String::new();
    write_fields(&mut text, message, 0);
    text
}

fn write_fields(text: &mut String, message: &DynamicMessage, depth: usize) {
    for (field, value) in in_order(message) {
        let name = field.name();
        match value {
            Value::List(list) => {
                for element in list {
                    write_field(text, name, element, &field.kind(), depth);
                }
            }
            Value::Map(map) => {
                let (key_kind, value_kind) = map_kinds(&field);
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|one, other| one.0.cmp(other.0));
                for (key, value) in entries {
                    indent(text, depth);
                    let _ = writeln!(text, "{name} {{");
                    write_field(text, "key", &key_value(key), &key_kind, depth + 1);
                    write_field(text, "value", value, &value_kind, depth + 1);
                    indent(text, depth);
                    text.push_str("}\n");
                }
            }
            value => write_field(text, name, value, &field.kind(), depth),
        }
    }
}

fn write_field(text: &mut String, name: &str, value: &Value, kind: &Kind, depth: usize) {
    indent(text, depth);
    if let Value::Message(inner) = value {
        let _ = writeln!(text, "{name} {{");
        write_fields(text, inner, depth + 1);
        indent(text, depth);
        text.push_str("}\n");
    } else {
        let _ = writeln!(text, "{name}: {}", scalar(value, kind));
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

fn scalar(value: &Value, kind: &Kind) -> String {
    match value {
        Value::String(text) => quoted(text.as_bytes()),
        Value::Bytes(bytes) => quoted(bytes),
        Value::F32(number) => java_float(*number),
        Value::F64(number) => java_double(*number),
        Value::EnumNumber(number) => enum_name(*number, kind),
        other => other.to_string(),
    }
}

fn enum_name(number: i32, kind: &Kind) -> String {
    kind.as_enum()
        .and_then(|of| of.get_value(number).map(|value| value.name().to_owned()))
        .unwrap_or_else(|| number.to_string())
}

fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for &byte in bytes {
        match byte {
            0x07 => text.push_str("\\a"),
            0x08 => text.push_str("\\b"),
            0x0b => text.push_str("\\v"),
            0x0c => text.push_str("\\f"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'\\' | b'\'' | b'"' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            0x20..=0x7e => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('"');
    text
}

/// A number as `Double.toString` shows it: `0.1`, `1.0E-4`, `1.0E7`.
pub fn java_double(number: f64) -> String {
    if !number.is_finite() || number == 0.0 {
        return java_special(number);
    }
    let plain = (1e-3..1e7).contains(&number.abs());
    java_digits(if plain { format!("{number}") } else { format!("{number:E}") })
}

fn java_float(number: f32) -> String {
    if !number.is_finite() || number == 0.0 {
        return java_special(f64::from(number));
    }
    let plain = (1e-3..1e7).contains(&number.abs());
    java_digits(if plain { format!("{number}") } else { format!("{number:E}") })
}

fn java_special(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if number.is_sign_negative() {
        "-0.0".to_owned()
    } else {
        "0.0".to_owned()
    }
}

/// At least one digit after the point.
fn java_digits(text: String) -> String {
    let (digits, exponent) = match text.split_once('E') {
        Some((digits, exponent)) => (digits, format!("E{exponent}")),
        None => (text.as_str(), String::new()),
    };
    let point = if digits.contains('.') { "" } else { ".0" };
    format!("{digits}{point}{exponent}")
}

/// Protobuf's JSON form; a packed message as its type URL and bytes.
pub fn json_form(message: &DynamicMessage) -> Json {
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => {
            let decoded = message.transcode_to::<prost_types::Timestamp>().unwrap_or_default();
            return Json::String(decoded.to_string());
        }
        "google.protobuf.Duration" => {
            let decoded = message.transcode_to::<prost_types::Duration>().unwrap_or_default();
            return Json::String(decoded.to_string());
        }
        "google.protobuf.Any" => {
            let packed = message.transcode_to::<prost_types::Any>().unwrap_or_default();
            return serde_json::json!({
                "@type": packed.type_url,
                "value": STANDARD.encode(packed.value),
            });
        }
        _ => {}
    }
    let mut object = Map::new();
    for (field, value) in in_order(message) {
        let json = match value {
            Value::List(list) => {
                Json::Array(list.iter().map(|one| json_value(one, &field.kind())).collect())
            }
            Value::Map(map) => {
                let (key_kind, value_kind) = map_kinds(&field);
                let mut entries: Vec<_> = map.iter().collect();
                entries.sort_by(|one, other| one.0.cmp(other.0));
                let entry = |(key, value): (&MapKey, &Value)| {
                    let key = match key {
                        MapKey::String(text) => text.clone(),
                        other => scalar(&key_value(other), &key_kind),
                    };
                    (key, json_value(value, &value_kind))
                };
                Json::Object(entries.into_iter().map(entry).collect())
            }
            value => json_value(value, &field.kind()),
        };
        object.insert(field.json_name().to_owned(), json);
    }
    Json::Object(object)
}

fn json_value(value: &Value, kind: &Kind) -> Json {
    match value {
        Value::Bool(value) => Json::Bool(*value),
        Value::I32(number) => Json::from(*number),
        Value::U32(number) => Json::from(*number),
        Value::I64(_) | Value::U64(_) => Json::String(value.to_string()),
        Value::F32(number) => json_number(f64::from(*number)),
        Value::F64(number) => json_number(*number),
        Value::String(text) => Json::String(text.clone()),
        Value::Bytes(bytes) => Json::String(STANDARD.encode(bytes)),
        Value::EnumNumber(number) => Json::String(enum_name(*number, kind)),
        Value::Message(message) => json_form(message),
        Value::List(_) | Value::Map(_) => Json::Null,
    }
}

fn json_number(number: f64) -> Json {
    serde_json::Number::from_f64(number)
        .map_or_else(|| Json::String(java_special(number)), Json::Number)
}

fn in_order(message: &DynamicMessage) -> Vec<(FieldDescriptor, &Value)> {
    let mut fields: Vec<_> = message.fields().collect();
    fields.sort_by_key(|(field, _)| field.number());
    fields
}

fn map_kinds(field: &FieldDescriptor) -> (Kind, Kind) {
    match field.kind() {
        Kind::Message(entry) => {
            (entry.map_entry_key_field().kind(), entry.map_entry_value_field().kind())
        }
        other => (other.clone(), other),
    }
}

fn key_value(key: &MapKey) -> Value {
    Value::from(key.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::dynamic::{Method, encode_named};
    use crate::environment::Listener;

    fn message(method: &str, name: &str, text: &str) -> DynamicMessage {
        let bytes = encode_named(&format!("wfa.measurement.api.v2alpha.{name}"), text).unwrap();
        Method::find(method, Listener::Public).unwrap().response(&bytes).unwrap()
    }

    #[test]
    fn bytes_and_text_are_escaped_as_java_does_it() {
        let certificate = message(
            "Certificates.GetCertificate",
            "Certificate",
            r#"name: "d\303\251'\"" x509_der: "0\001\n\377~ \t" revocation_state: REVOKED"#,
        );
        assert_eq!(
            text_form(&certificate),
            "name: \"d\\303\\251\\'\\\"\"\nx509_der: \"0\\001\\n\\377~ \\t\"\nrevocation_state: REVOKED\n"
        );
    }

    #[test]
    fn a_repeated_field_stands_once_for_each_element_and_an_any_stays_packed() {
        let provider = message(
            "DataProviders.GetDataProvider",
            "DataProvider",
            r#"required_duchies: ["duchies/a", "duchies/b"] capabilities {}
               public_key { message { type_url: "t/x" value: "\001" } signature: "s" }"#,
        );
        let expected = "public_key {\n  signature: \"s\"\n  message {\n    type_url: \"t/x\"\n    \
                        value: \"\\001\"\n  }\n}\nrequired_duchies: \"duchies/a\"\n\
                        required_duchies: \"duchies/b\"\ncapabilities {\n}\n";
        assert_eq!(text_form(&provider), expected);
    }

    #[test]
    fn a_message_without_fields_is_no_text() {
        let empty = message("Certificates.GetCertificate", "Certificate", "");
        assert_eq!(text_form(&empty), "");
    }

    #[test]
    fn numbers_are_shown_as_java_shows_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (1.0, "1.0"),
            (0.25, "0.25"),
            (1e-3, "0.001"),
            (1e-4, "1.0E-4"),
            (1.25e-9, "1.25E-9"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-123_456_789.5, "-1.234567895E8"),
            (f64::INFINITY, "Infinity"),
        ] {
            assert_eq!(java_double(number), text);
        }
        assert_eq!(java_float(0.1), "0.1");
    }

    #[test]
    fn the_json_form_names_enums_and_encodes_bytes() {
        let certificate = message(
            "Certificates.GetCertificate",
            "Certificate",
            r#"name: "n" x509_der: "\001\002" revocation_state: HOLD"#,
        );
        assert_eq!(
            json_form(&certificate),
            serde_json::json!({"name": "n", "x509Der": "AQI=", "revocationState": "HOLD"})
        );
        let measurement = message(
            "Measurements.GetMeasurement",
            "Measurement",
            "state: FAILED create_time { seconds: 4102444800 }",
        );
        assert_eq!(
            json_form(&measurement),
            serde_json::json!({"state": "FAILED", "createTime": "2100-01-01T00:00:00Z"})
        );
    }
}
