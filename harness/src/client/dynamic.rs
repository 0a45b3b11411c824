//! Requests from text proto and responses by path, for every message of the wire contract.

use crate::environment::Listener;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, MethodDescriptor};
use prost_reflect::{ReflectMessage as _, Value};
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::decode(kingdom_proto::FILE_DESCRIPTOR_SET).unwrap_or_default();
    for text in BESIDE {
        let file = pool.get_message_by_name("google.protobuf.FileDescriptorProto");
        let file = file.and_then(|descriptor| {
            let parsed = DynamicMessage::parse_text_format(descriptor, text).ok()?;
            parsed.transcode_to::<prost_types::FileDescriptorProto>().ok()
        });
        // A file that does not parse leaves its methods unknown, which a test below would see.
        let _ = file.map(|file| pool.add_file_descriptor_proto(file));
    }
    pool
});

/// Package of the server reflection that each TLS listener has beside its services.
const REFLECTION: &str = "grpc.reflection.v1";

/// What stands beside the services (contract 1.0.14), as far as scenarios use it: of the protocols of
/// health and reflection the fields that they read.
const BESIDE: [&str; 2] = [
    r#"name: "grpc/health/v1/health.proto" package: "grpc.health.v1" syntax: "proto3"
    message_type { name: "HealthCheckRequest"
      field { name: "service" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } }
    message_type { name: "HealthCheckResponse"
      field { name: "status" number: 1 label: LABEL_OPTIONAL type: TYPE_ENUM
        type_name: ".grpc.health.v1.HealthCheckResponse.ServingStatus" }
      enum_type { name: "ServingStatus" value { name: "UNKNOWN" number: 0 }
        value { name: "SERVING" number: 1 } value { name: "NOT_SERVING" number: 2 } } }
    service { name: "Health" method { name: "Check"
      input_type: ".grpc.health.v1.HealthCheckRequest"
      output_type: ".grpc.health.v1.HealthCheckResponse" } }"#,
    r#"name: "grpc/reflection/v1/reflection.proto" package: "grpc.reflection.v1" syntax: "proto3"
    message_type { name: "ServerReflectionRequest"
      field { name: "list_services" number: 7 label: LABEL_OPTIONAL type: TYPE_STRING } }
    message_type { name: "ServiceResponse"
      field { name: "name" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING } }
    message_type { name: "ListServiceResponse"
      field { name: "service" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
        type_name: ".grpc.reflection.v1.ServiceResponse" } }
    message_type { name: "ServerReflectionResponse"
      field { name: "list_services_response" number: 6 label: LABEL_OPTIONAL type: TYPE_MESSAGE
        type_name: ".grpc.reflection.v1.ListServiceResponse" } }
    service { name: "ServerReflection" method { name: "ServerReflectionInfo"
      client_streaming: true server_streaming: true
      input_type: ".grpc.reflection.v1.ServerReflectionRequest"
      output_type: ".grpc.reflection.v1.ServerReflectionResponse" } }"#,
];

/// The packages that a short method name is looked up in, and where they are served.
const PACKAGES: [(&str, Listener); 4] = [
    ("grpc.health.v1", Listener::Health),
    ("wfa.measurement.api.v2alpha", Listener::Public),
    ("wfa.measurement.system.v1alpha", Listener::System),
    ("wfa.measurement.internal.kingdom", Listener::Operator),
];

/// A method and the listener that serves it.
#[derive(Clone, Debug)]
pub struct Method {
    descriptor: MethodDescriptor,
    /// Where it is served.
    pub listener: Listener,
}

/// Whether any service has a method of this name, written with or without its service.
pub fn method_exists(name: &str) -> bool {
    POOL.services().flat_map(|service| service.methods().collect::<Vec<_>>()).any(|method| {
        let full = method.full_name();
        full == name || full.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
    })
}

impl Method {
    /// Finds `Service.Method` in the package of `listener`, or a full
    /// `package.Service.Method` anywhere.
    ///
    /// # Errors
    /// There is none; the text names what is there.
    pub fn find(name: &str, listener: Listener) -> Result<Self, String> {
        let (service, method) =
            name.rsplit_once('.').ok_or_else(|| format!("`{name}` is not Service.Method"))?;
        let home = PACKAGES.iter().find(|(package, _)| {
            service.strip_prefix(package).is_some_and(|rest| rest.starts_with('.'))
        });
        let (full, listener) = match home {
            // On every TLS listener: the caller says which.
            None if service.starts_with(REFLECTION) => (service.to_owned(), listener),
            Some((_, home)) => (service.to_owned(), *home),
            None => {
                let package = PACKAGES.iter().find(|(_, home)| *home == listener);
                let package = package.map(|(package, _)| *package).unwrap_or_default();
                (format!("{package}.{service}"), listener)
            }
        };
        let service = POOL.get_service_by_name(&full).ok_or_else(|| {
            let mut known: Vec<_> = POOL.services().map(|s| s.full_name().to_owned()).collect();
            known.sort();
            format!("no service is named {full}; there are {}", known.join(", "))
        })?;
        let descriptor = service.methods().find(|m| m.name() == method).ok_or_else(|| {
            let known: Vec<_> = service.methods().map(|m| m.name().to_owned()).collect();
            format!("{full} has no method {method}; it has {}", known.join(", "))
        })?;
        Ok(Self { descriptor, listener })
    }

    /// `package.Service/Method`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.descriptor.parent_service().full_name(), self.descriptor.name())
    }

    /// Whether the answer is a stream of messages.
    pub fn is_server_streaming(&self) -> bool {
        self.descriptor.is_server_streaming()
    }

    /// The request, encoded, from its text form and changes of it ([`set`]).
    ///
    /// # Errors
    /// Line, column and reason.
    pub fn request(&self, text: &str, changes: &[(String, String)]) -> Result<Vec<u8>, String> {
        let mut message = parse(self.descriptor.input(), text)?;
        for (path, value) in changes {
            set(&mut message, path, value).map_err(|what| format!("{path}: {what}"))?;
        }
        Ok(message.encode_to_vec())
    }

    /// A response message.
    ///
    /// # Errors
    /// The bytes are not one: the server's fault.
    pub fn response(&self, bytes: &[u8]) -> Result<DynamicMessage, String> {
        DynamicMessage::decode(self.descriptor.output(), bytes).map_err(|error| error.to_string())
    }
}

/// Encodes the text form of the message of this full name.
///
/// # Errors
/// No such message, or line, column and reason.
pub fn encode_named(full_name: &str, text: &str) -> Result<Vec<u8>, String> {
    let descriptor = POOL
        .get_message_by_name(full_name)
        .ok_or_else(|| format!("no message is named {full_name}"))?;
    encode(descriptor, text)
}

/// Reads a message of this full name.
///
/// # Errors
/// No such message, or the bytes are not one.
pub fn decode_named(full_name: &str, bytes: &[u8]) -> Result<DynamicMessage, String> {
    let descriptor = POOL
        .get_message_by_name(full_name)
        .ok_or_else(|| format!("no message is named {full_name}"))?;
    DynamicMessage::decode(descriptor, bytes).map_err(|error| error.to_string())
}

/// The text form of a message, read for comparison with a response.
///
/// # Errors
/// Line, column and reason.
pub fn parse(descriptor: MessageDescriptor, text: &str) -> Result<DynamicMessage, String> {
    use miette::Diagnostic as _;
    DynamicMessage::parse_text_format(descriptor, text).map_err(|error| {
        let offset =
            error.labels().and_then(|mut labels| labels.next()).map(|label| label.offset());
        let before = text.get(..offset.unwrap_or(text.len())).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        format!("line {line}, column {column}: {error}")
    })
}

fn encode(descriptor: MessageDescriptor, text: &str) -> Result<Vec<u8>, String> {
    Ok(parse(descriptor, text)?.encode_to_vec())
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// One value, as text: enums by name, bytes in lower-case hex, an absent message or optional
    /// field as `unset`, a missing list element as `absent`.
    One(String),
    /// Every element of a list.
    Many(Vec<String>),
}

/// Reads `a.b[0].c` or `list[*].c`; a packed message is unpacked on the way.
///
/// # Errors
/// The message type has no such field: the scenario's author mistyped.
pub fn at(message: &DynamicMessage, path: &str) -> Result<At, String> {
    let (segment, rest) = match path.split_once('.') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    };
    let (name, index) = match segment.split_once('[') {
        Some((name, index)) => (name, Some(index.trim_end_matches(']'))),
        None => (segment, None),
    };
    if message.descriptor().full_name() == "google.protobuf.Any"
        && message.descriptor().get_field_by_name(name).is_none()
    {
        return at(&unpack(message)?, path);
    }
    let field = message.descriptor().get_field_by_name(name).ok_or_else(|| {
        let known: Vec<_> = message.descriptor().fields().map(|f| f.name().to_owned()).collect();
        let message = message.descriptor();
        format!("{} has no field {name}; it has {}", message.full_name(), known.join(", "))
    })?;
    let kind = field.kind();
    let value = message.get_field(&field);
    let into = |value: &Value| descend(value, &kind, rest);
    match (value.as_list(), index) {
        (Some(list), None | Some("*")) => {
            let mut many = Vec::new();
            for element in list {
                match into(element)? {
                    At::One(one) => many.push(one),
                    At::Many(more) => many.extend(more),
                }
            }
            if list.is_empty()
                && let (Some(rest), Kind::Message(element)) = (rest, &kind)
            {
                // A mistyped path is found even when there is nothing to read.
                at(&DynamicMessage::new(element.clone()), rest)?;
            }
            Ok(At::Many(many))
        }
        (Some(list), Some(index)) => {
            let index: usize =
                index.parse().map_err(|_| format!("`{index}` is neither a number nor `*`"))?;
            if let Some(element) = list.get(index) {
                return into(element);
            }
            if let (Some(rest), Kind::Message(element)) = (rest, &kind) {
                // A mistyped path is found even when there is nothing to read.
                at(&DynamicMessage::new(element.clone()), rest)?;
            }
            Ok(At::One("absent".to_owned()))
        }
        (None, Some(_)) => Err(format!("{name} is not a list")),
        (None, None)
            if rest.is_none() && field.supports_presence() && !message.has_field(&field) =>
        {
            Ok(At::One("unset".to_owned()))
        }
        (None, None) => into(&value),
    }
}

/// Puts a field's text form at a path, or clears it with `unset`: a scalar as it stands in text proto,
/// a message by the inside of its braces. An index one past the end appends. A packed message is
/// unpacked on the way and packed again.
///
/// # Errors
/// No such field, or the text is none of its values.
pub fn set(message: &mut DynamicMessage, path: &str, text: &str) -> Result<(), String> {
    let (segment, rest) = match path.split_once('.') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    };
    let (name, index) = match segment.split_once('[') {
        Some((name, index)) => (name, Some(index.trim_end_matches(']'))),
        None => (segment, None),
    };
    let descriptor = message.descriptor();
    let field = descriptor.get_field_by_name(name);
    if field.is_none() && descriptor.full_name() == "google.protobuf.Any" {
        let mut inner = unpack(message)?;
        set(&mut inner, path, text)?;
        message.set_field_by_name("value", Value::Bytes(inner.encode_to_vec().into()));
        return Ok(());
    }
    let field = field.ok_or_else(|| {
        let known: Vec<_> = descriptor.fields().map(|field| field.name().to_owned()).collect();
        format!("{} has no field {name}; it has {}", descriptor.full_name(), known.join(", "))
    })?;
    let index = match index.map(str::parse::<usize>) {
        None => None,
        Some(Ok(index)) => Some(index),
        Some(Err(_)) => return Err(format!("`{segment}` has no number for an index")),
    };
    let Some(rest) = rest else {
        if index.is_none() {
            message.clear_field(&field);
        }
        if text == "unset" {
            return match index {
                None => Ok(()),
                Some(_) => Err("an element cannot be unset".to_owned()),
            };
        }
        let written = match field.kind() {
            Kind::Message(_) => format!("{name} {{ {text} }}"),
            _ => format!("{name}: {text}"),
        };
        let parsed = parse(descriptor, &written)?.get_field(&field).into_owned();
        let Some(index) = index else {
            message.set_field(&field, parsed);
            return Ok(());
        };
        let element = parsed.as_list().and_then(|list| list.first()).cloned();
        return match (message.get_field_mut(&field).as_list_mut(), element) {
            (Some(list), Some(element)) if index == list.len() => {
                list.push(element);
                Ok(())
            }
            (Some(list), Some(element)) if index < list.len() => {
                list[index] = element;
                Ok(())
            }
            _ => Err(format!("there is no {segment}")),
        };
    };
    let value = message.get_field_mut(&field);
    let inner = match index {
        None => value.as_message_mut(),
        Some(index) => {
            value.as_list_mut().and_then(|list| list.get_mut(index)).and_then(Value::as_message_mut)
        }
    };
    set(inner.ok_or_else(|| format!("there is no {segment} to go into"))?, rest, text)
}

fn descend(value: &Value, kind: &Kind, rest: Option<&str>) -> Result<At, String> {
    match (rest, value) {
        (Some(rest), Value::Message(message)) => at(message, rest),
        (Some(rest), _) => Err(format!("`{rest}` goes into a field that is not a message")),
        (None, _) => Ok(At::One(show(value, kind))),
    }
}

fn unpack(any: &DynamicMessage) -> Result<DynamicMessage, String> {
    let packed: prost_types::Any = any.transcode_to().map_err(|error| error.to_string())?;
    let name = packed.type_url.rsplit('/').next().unwrap_or_default();
    let descriptor = POOL
        .get_message_by_name(name)
        .ok_or_else(|| format!("a packed message of the unknown type `{name}`"))?;
    DynamicMessage::decode(descriptor, packed.value.as_slice()).map_err(|error| error.to_string())
}

fn show(value: &Value, kind: &Kind) -> String {
    match (value, kind) {
        (Value::String(text), _) => text.clone(),
        (Value::Bytes(bytes), _) => hex::encode(bytes),
        (Value::EnumNumber(number), Kind::Enum(of)) => {
            of.get_value(*number).map_or_else(|| number.to_string(), |v| v.name().to_owned())
        }
        (Value::Message(message), _) => message.to_text_format(),
        (value, _) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(name: &str) -> Method {
        Method::find(name, Listener::Public).unwrap()
    }

    fn certificate(text: &str) -> DynamicMessage {
        let method = method("Certificates.GetCertificate");
        let bytes = encode_named("wfa.measurement.api.v2alpha.Certificate", text).unwrap();
        method.response(&bytes).unwrap()
    }

    #[test]
    fn short_names_are_found_where_the_caller_is_and_full_names_anywhere() {
        let path = |name, listener| Method::find(name, listener).map(|m| (m.path(), m.listener));
        assert_eq!(
            path("Certificates.GetCertificate", Listener::Operator),
            Ok((
                "wfa.measurement.internal.kingdom.Certificates/GetCertificate".to_owned(),
                Listener::Operator
            ))
        );
        let system = "wfa.measurement.system.v1alpha.Computations.GetComputation";
        assert_eq!(path(system, Listener::Public).unwrap().1, Listener::System);
        assert!(path("Certificates.Nonsense", Listener::Public).unwrap_err().contains("it has"));
    }

    #[test]
    fn health_and_reflection_are_known_too() {
        let reflection = "grpc.reflection.v1.ServerReflection.ServerReflectionInfo";
        let found = Method::find(reflection, Listener::System).unwrap();
        assert_eq!(found.listener, Listener::System);
        let found = Method::find("grpc.health.v1.Health.Check", Listener::Public).unwrap();
        assert_eq!(found.listener, Listener::Health);
    }

    #[test]
    fn paths_show_defaults_enums_by_name_and_bytes_in_hex() {
        let message = certificate("name: \"n\" x509_der: \"\\x01\\xff\" revocation_state: HOLD");
        assert_eq!(at(&message, "name"), Ok(At::One("n".to_owned())));
        assert_eq!(at(&message, "x509_der"), Ok(At::One("01ff".to_owned())));
        assert_eq!(at(&message, "revocation_state"), Ok(At::One("HOLD".to_owned())));
        let unspecified = At::One("REVOCATION_STATE_UNSPECIFIED".to_owned());
        assert_eq!(at(&certificate(""), "revocation_state"), Ok(unspecified));
        assert!(at(&message, "nam").unwrap_err().contains("has no field nam"));
    }

    #[test]
    fn an_unknown_enum_number_can_be_sent() {
        let text = "name: \"n\" revocation_state: 7";
        assert!(method("Certificates.RevokeCertificate").request(text, &[]).is_ok());
    }

    #[test]
    fn what_stands_at_a_path_is_replaced_inside_packed_messages_and_lists_too() {
        let create = method("Measurements.CreateMeasurement");
        let text = "measurement { measurement_spec { message { \
                    [type.googleapis.com/wfa.measurement.api.v2alpha.MeasurementSpec] { \
                    nonce_hashes: [\"a\", \"b\"] reach { } } } } data_providers { key: \"k\" } }";
        let change = |path: &str, value: &str| {
            let bytes = create.request(text, &[(path.to_owned(), value.to_owned())])?;
            let message = DynamicMessage::decode(create.descriptor.input(), bytes.as_slice());
            message.map_err(|error| error.to_string())
        };
        let spec = "measurement.measurement_spec.message";
        let changed =
            change(&format!("{spec}.impression.maximum_frequency_per_user"), "3").unwrap();
        let read = |path: &str| at(&changed, &format!("{spec}.{path}")).unwrap();
        assert_eq!(read("impression.maximum_frequency_per_user"), At::One("3".to_owned()));
        assert_eq!(read("reach"), At::One("unset".to_owned()));
        assert_eq!(read("nonce_hashes"), At::Many(vec!["61".to_owned(), "62".to_owned()]));
        let path = format!("{spec}.nonce_hashes[2]");
        let longer = change(&path, "\"c\"").unwrap();
        assert_eq!(at(&longer, &path), Ok(At::One("63".to_owned())));
        let cleared = change("measurement.data_providers", "unset").unwrap();
        assert_eq!(at(&cleared, "measurement.data_providers"), Ok(At::Many(Vec::new())));
        assert!(change("measurement.nonsense", "1").unwrap_err().contains("has no field"));
        assert!(change("measurement.data_providers[7].key", "\"x\"").is_err());
    }

    #[test]
    fn lists_are_read_whole_or_by_index_and_a_mistyped_path_into_an_empty_list_is_found() {
        let list = method("Certificates.ListCertificates");
        let text = "certificates { name: \"a\" } certificates { name: \"b\" }";
        let bytes =
            encode_named("wfa.measurement.api.v2alpha.ListCertificatesResponse", text).unwrap();
        let message = list.response(&bytes).unwrap();
        let both = At::Many(vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(at(&message, "certificates[*].name"), Ok(both));
        assert_eq!(at(&message, "certificates[1].name"), Ok(At::One("b".to_owned())));
        assert_eq!(at(&message, "certificates[2].name"), Ok(At::One("absent".to_owned())));
        assert!(at(&list.response(&[]).unwrap(), "certificates[*].nam").is_err());
    }
}
