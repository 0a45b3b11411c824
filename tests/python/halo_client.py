"""A client in another language: grpcio, with descriptors built from the wire contract's JSON.

Given only a sandbox's folder it walks through the life of certificates, keys and measurements, and
checks codes, reasons and metadata. Exit code 0: everything as the contract says.

    python halo_client.py WIRE_CONTRACT.json SANDBOX_DIR
"""

import datetime
import hashlib
import json
import os
import sys
import time

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import duration_pb2, empty_pb2, struct_pb2, timestamp_pb2  # noqa: F401

API = "wfa.measurement.api.v2alpha."
INTERNAL = "wfa.measurement.internal.kingdom."
TYPES = {
    name: getattr(descriptor_pb2.FieldDescriptorProto, "TYPE_" + name.upper())
    for name in "double float int64 uint64 int32 fixed64 fixed32 bool string message bytes uint32 enum".split()
}


# ------------------------------------------------------------------ descriptors from the contract


def build_pool(contract):
    """One file a package, whose messages and enums are those of the JSON."""
    messages, enums = {}, {}
    for part in [contract["main"], *contract["supplementary"].values()]:
        messages.update(part["messages"])
        enums.update(part["enums"])
    pool = descriptor_pool.DescriptorPool()
    for module in (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, descriptor_pb2):
        proto = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(proto)
        pool.Add(proto)
    for package in ("google.type", "wfa.measurement.api.v2alpha", "wfa.measurement.internal.kingdom"):
        own = lambda names: {n: f for n, f in names.items() if f["file"].startswith(package.replace(".", "/") + "/")}
        file = descriptor_pb2.FileDescriptorProto(name=package + ".proto", package=package, syntax="proto3")
        file.dependency.extend(
            ["google/protobuf/%s.proto" % n for n in ("any", "duration", "empty", "struct", "timestamp", "descriptor")]
        )
        if package != "google.type":
            file.dependency.append("google.type.proto")
        if package.startswith("wfa.measurement.internal"):
            file.dependency.append("wfa.measurement.api.v2alpha.proto")
        add_declarations(file, package, own(messages), own(enums))
        pool.Add(file)
    return pool


def add_declarations(file, package, messages, enums):
    made = {}

    def place(full_name):
        """The repeated field that a declaration of this name belongs to."""
        parent = full_name.rpartition(".")[0]
        return file if parent == package else made[parent]

    for name in sorted(messages, key=lambda n: n.count(".")):
        parent = place(name)
        message = (parent.message_type if parent is file else parent.nested_type).add(name=name.rpartition(".")[2])
        made[name] = message
        fact = messages[name]
        message.options.map_entry = fact.get("map_entry", False)
        oneofs = fact.get("oneofs", [])
        for oneof in oneofs:
            message.oneof_decl.add(name=oneof)
        for field in fact["fields"]:
            proto = message.field.add(name=field["name"], number=field["number"], type=TYPES[field["type"]])
            repeated = field["label"] == "repeated"
            proto.label = 3 if repeated else 1
            if "type_name" in field:
                proto.type_name = "." + field["type_name"]
            if "oneof" in field:
                proto.oneof_index = oneofs.index(field["oneof"])
    for name, fact in enums.items():
        parent = place(name)
        enum = parent.enum_type.add(name=name.rpartition(".")[2])
        for value in fact["values"]:
            enum.value.add(name=value["name"], number=value["number"])


# ------------------------------------------------------------------------------------- the client


class Client:
    """One identity's channel."""

    def __init__(self, world, target, cert, key, trust, api_key=None):
        read = lambda path: open(path, "rb").read()
        credentials = grpc.ssl_channel_credentials(read(trust), read(key), read(cert))
        options = [("grpc.ssl_target_name_override", "localhost")]
        self.world, self.api_key = world, api_key
        self.channel = grpc.secure_channel(target, credentials, options)

    def call(self, method, request, api_key=True):
        full_method, request_type, response_type = self.world.methods[method]
        message = self.world.make(request_type, request)
        rpc = self.channel.unary_unary(
            full_method,
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self.world.cls(response_type).FromString,
        )
        metadata = [("x-api-key", self.api_key)] if api_key and self.api_key else []
        return rpc(message, metadata=metadata, timeout=10)


class World:
    def __init__(self, contract_path, folder):
        contract = json.load(open(contract_path))
        self.pool = build_pool(contract)
        self.methods = {}
        for part in [contract["main"], *contract["supplementary"].values()]:
            for service, fact in part["services"].items():
                prefix = "internal." if service.startswith(INTERNAL) else ""
                for m in fact["methods"]:
                    key = prefix + service.rpartition(".")[2] + "." + m["name"]
                    if service.startswith((API, INTERNAL)):
                        self.methods[key] = (m["full_method"], m["input"], m["output"])
        self.folder = folder
        self.ready = json.load(open(os.path.join(folder, "ready.json")))

    def cls(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def make(self, name, fields):
        message = self.cls(name)()
        fill(message, fields)
        return message

    def participant(self, name):
        folder = os.path.join(self.folder, "participants", name)
        identity = json.load(open(os.path.join(folder, "identity.json")))
        tls = identity["tls"]
        path = lambda key: os.path.join(folder, tls[key])
        client = Client(self, self.ready["public"], path("cert"), path("key"), path("trust"), identity["api_key"])
        client.resource, client.certificate = identity["resource"], identity["certificate"]
        client.public_key, client.name = identity["public_key"], name
        return client

    def operator(self):
        path = lambda file: os.path.join(self.folder, "kingdom", file)
        return Client(self, self.ready["operator"], path("kingdom_tls.pem"), path("kingdom_tls.key"), path("kingdom_root.pem"))

    def pack(self, name, **fields):
        value = self.make(name, fields).SerializeToString()
        return {"type_url": "type.googleapis.com/" + name, "value": value}


def fill(message, fields):
    for name, value in fields.items():
        target = getattr(message, name)
        if isinstance(value, dict):
            target.SetInParent()
            fill(target, value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                fill(target.add(), item)
        elif isinstance(value, list):
            target.extend(value)
        else:
            setattr(message, name, value)


# ------------------------------------------------------------------------------------ expectations


def error_info(error):
    """(domain, reason, metadata) of the ErrorInfo in the standard trailer, or None."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return parse_status(value)
    return None


def parse_status(data):
    for number, value in wire_fields(data):
        if number == 3:
            parts = dict(wire_fields(value))
            assert parts[1].decode() == "type.googleapis.com/google.rpc.ErrorInfo", parts[1]
            reason, domain, metadata = "", "", {}
            for n, v in wire_fields(parts[2]):
                if n == 1:
                    reason = v.decode()
                elif n == 2:
                    domain = v.decode()
                elif n == 3:
                    entry = dict(wire_fields(v))
                    metadata[entry[1].decode()] = entry.get(2, b"").decode()
            return domain, reason, metadata
    return None


def wire_fields(data):
    position = 0

    def varint():
        nonlocal position
        shift = value = 0
        while True:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    while position < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        else:
            assert tag & 7 == 2, tag
            size = varint()
            yield tag >> 3, data[position : position + size]
            position += size


def refused(call, code, reason=None, metadata=None, domain="halo.wfanet.org"):
    """The call must fail with exactly this code and, if given, this ErrorInfo."""
    try:
        answer = call()
    except grpc.RpcError as error:
        assert error.code().name == code, (error.code().name, "expected", code, error.details())
        info = error_info(error)
        if reason is None:
            assert info is None, info
        else:
            assert info is not None, "no ErrorInfo, expected " + reason
            assert info[:2] == (domain, reason), (info, reason)
            assert info[2] == (metadata or {}), (info[2], metadata)
        return error
    raise AssertionError("expected %s, the call succeeded: %s" % (code, answer))


def same(actual, expected):
    assert actual == expected, "%r, expected %r" % (actual, expected)


def new_certificate(days_ago=2):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "python client TEST ONLY")])
    start = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=days_ago)
    skid = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=365))
        .add_extension(skid, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.DER), skid.digest


# ----------------------------------------------------------------------------------------- the walk


def main(contract_path, folder):
    world = World(contract_path, folder)
    edp1, edp2, mc1 = (world.participant(name) for name in ("edp1", "edp2", "mc1"))
    operator = world.operator()
    certificates(edp1, mc1)
    public_key(world, edp1)
    measurement = create_measurement(world, mc1, [edp1, edp2], "one")
    fulfil_and_refuse(world, mc1, edp1, edp2, measurement)
    second = create_measurement(world, mc1, [edp1, edp2], "two")
    cascade(world, edp1, edp2, mc1, second)
    delete(world, mc1, operator, [measurement, second])
    reflection(edp1)
    print("python client: everything as the contract says")


def certificates(edp1, mc1):
    der, skid = new_certificate()
    created = edp1.call("Certificates.CreateCertificate", {"parent": edp1.resource, "certificate": {"x509_der": der}})
    assert created.name.startswith(edp1.resource + "/certificates/"), created.name
    same(created.x509_der, der)
    same(created.subject_key_identifier, skid)
    same(created.revocation_state, 0)
    # 1.1.8: the SKID is taken in the whole Kingdom, for every parent.
    for client in (edp1, mc1):
        request = {"parent": client.resource, "certificate": {"x509_der": der}}
        refused(lambda: client.call("Certificates.CreateCertificate", request), "ALREADY_EXISTS", "CERT_SUBJECT_KEY_ID_ALREADY_EXISTS")
    refused(
        lambda: edp1.call("Certificates.CreateCertificate", {"parent": mc1.resource, "certificate": {"x509_der": der}}),
        "PERMISSION_DENIED",
    )
    for bad in (b"", b"garbage" * 1000, der[:-40]):
        request = {"parent": edp1.resource, "certificate": {"x509_der": bad}}
        refused(lambda: edp1.call("Certificates.CreateCertificate", request), "INVALID_ARGUMENT")

    # 1.1.15: paging; 1.1.16: the SKID filter. The list shows all data providers' certificates (1.1.17), and
    # the token holds the requested parent (1.0.13), so that a page may begin with the last row of the one before.
    seen, token = [], ""
    for _ in range(100):
        page = edp1.call("Certificates.ListCertificates", {"parent": edp1.resource, "page_size": 2, "page_token": token})
        assert 1 <= len(page.certificates) <= 2, page
        seen += [certificate.name for certificate in page.certificates if certificate.name not in seen]
        token = page.next_page_token
        if not token:
            break
    assert not token, "paging does not end"
    assert seen[-1] == created.name, (seen, created.name)
    assert edp1.certificate in seen and len(seen) == 3, seen
    filtered = edp1.call(
        "Certificates.ListCertificates",
        {"parent": edp1.resource, "filter": {"subject_key_identifiers": [skid, b"nobody's"]}},
    )
    same([certificate.name for certificate in filtered.certificates], [created.name])
    page = edp1.call("Certificates.ListCertificates", {"parent": edp1.resource, "page_size": 1})
    refused(
        lambda: mc1.call("Certificates.ListCertificates", {"parent": mc1.resource, "page_token": page.next_page_token}),
        "INVALID_ARGUMENT",
    )
    refused(lambda: edp1.call("Certificates.ListCertificates", {"parent": edp1.resource, "page_size": -1}), "INVALID_ARGUMENT")

    # 1.1.12: the state machine, with the current state in the metadata (1.1.13).
    revoke = lambda state: edp1.call("Certificates.RevokeCertificate", {"name": created.name, "revocation_state": state})
    same(revoke(1).revocation_state, 1)
    same(edp1.call("Certificates.ReleaseCertificateHold", {"name": created.name}).revocation_state, 0)
    same(revoke(2).revocation_state, 2)
    metadata = {"externalCertificateId": created.name.rpartition("/")[2], "certificationRevocationState": "REVOKED"}
    refused(lambda: revoke(1), "FAILED_PRECONDITION", "CERTIFICATE_REVOCATION_STATE_ILLEGAL", metadata)
    refused(lambda: revoke(77), "FAILED_PRECONDITION", "CERTIFICATE_REVOCATION_STATE_ILLEGAL", metadata)
    missing = edp1.resource + "/certificates/AAAAAAAAAZQ"
    refused(
        lambda: edp1.call("Certificates.RevokeCertificate", {"name": missing, "revocation_state": 1}),
        "NOT_FOUND",
        "CERTIFICATE_NOT_FOUND",
        {"dataProviderCertificate": missing},
    )
    refused(lambda: edp1.call("Certificates.GetCertificate", {"name": missing}), "UNKNOWN")
    refused(lambda: edp1.call("Certificates.GetCertificate", {"name": edp1.resource + "/certificates/preferred"}), "UNKNOWN")
    same(mc1.call("Certificates.GetCertificate", {"name": created.name}).revocation_state, 2)


def public_key(world, edp1):
    der, _ = new_certificate()
    created = edp1.call("Certificates.CreateCertificate", {"parent": edp1.resource, "certificate": {"x509_der": der}})
    signed = {
        "message": world.pack(API + "EncryptionPublicKey", format=1, data=b"not a key set, nobody looks (1.2.3)"),
        "signature": b"not a signature either",
    }
    request = {"public_key": {"name": edp1.public_key, "public_key": signed, "certificate": created.name}}
    edp1.call("PublicKeys.UpdatePublicKey", request)
    read = edp1.call("DataProviders.GetDataProvider", {"name": edp1.resource})
    same(read.certificate, created.name)
    same(read.certificate_der, der)
    same(read.public_key.message.value, signed["message"]["value"])
    same(read.public_key.data, signed["message"]["value"])
    edp1.certificate = created.name
    unknown = edp1.resource + "/certificates/AAAAAAAAAZQ"
    request["public_key"]["certificate"] = unknown
    refused(
        lambda: edp1.call("PublicKeys.UpdatePublicKey", request),
        "FAILED_PRECONDITION",
        "CERTIFICATE_NOT_FOUND",
        {"dataProviderCertificate": unknown},
    )


def create_measurement(world, mc1, providers, reference):
    key = world.pack(API + "EncryptionPublicKey", format=1, data=b"key")
    nonces = [7 + index for index in range(len(providers))]
    nonce_hashes = [hashlib.sha256(nonce.to_bytes(8, "big")).digest() for nonce in nonces]
    spec = world.pack(
        API + "MeasurementSpec",
        measurement_public_key=key,
        nonce_hashes=nonce_hashes,
        vid_sampling_interval={"start": 0.0, "width": 1.0},
        impression={"privacy_params": {"epsilon": 1.0, "delta": 1e-12}, "maximum_frequency_per_user": 10},
    )
    entries = [
        {
            "key": provider.resource,
            "value": {
                "data_provider_certificate": provider.certificate,
                "data_provider_public_key": key,
                "encrypted_requisition_spec": {
                    "ciphertext": b"ciphertext",
                    "type_url": "type.googleapis.com/" + API + "SignedMessage",
                },
                "nonce_hash": nonce_hash,
            },
        }
        for provider, nonce_hash in zip(providers, nonce_hashes)
    ]
    request = {
        "parent": mc1.resource,
        "measurement": {
            "measurement_consumer_certificate": mc1.certificate,
            "measurement_spec": {"message": spec, "signature": b"signature"},
            "data_providers": entries,
            "measurement_reference_id": reference,
        },
        "request_id": reference,
    }
    created = mc1.call("Measurements.CreateMeasurement", request)
    same(created.state, 1)
    same(created.measurement_reference_id, reference)
    # 1.5.13: the replay answers the stored measurement.
    same(mc1.call("Measurements.CreateMeasurement", request).name, created.name)
    refused(lambda: providers[0].call("Measurements.CreateMeasurement", request), "PERMISSION_DENIED")
    unknown = mc1.resource + "/certificates/AAAAAAAAAZQ"
    request["measurement"]["measurement_consumer_certificate"], request["request_id"] = unknown, ""
    refused(
        lambda: mc1.call("Measurements.CreateMeasurement", request),
        "FAILED_PRECONDITION",
        "CERTIFICATE_NOT_FOUND",
        {"measurementConsumerCertificate": unknown},
    )
    return created.name


def requisition_of(provider, measurement):
    listed = provider.call("Requisitions.ListRequisitions", {"parent": provider.resource})
    found = [requisition for requisition in listed.requisitions if requisition.measurement == measurement]
    same(len(found), 1)
    return found[0]


def fulfil_and_refuse(world, mc1, edp1, edp2, measurement):
    first, second = requisition_of(edp1, measurement), requisition_of(edp2, measurement)
    same(first.state, 1)
    encrypted = {"ciphertext": b"result", "type_url": "type.googleapis.com/" + API + "SignedMessage"}
    fulfil = {"name": first.name, "encrypted_result": encrypted, "nonce": 7}
    refused(lambda: edp1.call("Requisitions.FulfillDirectRequisition", {**fulfil, "nonce": 0}), "INVALID_ARGUMENT")
    refused(lambda: edp2.call("Requisitions.FulfillDirectRequisition", fulfil), "PERMISSION_DENIED")
    same(edp1.call("Requisitions.FulfillDirectRequisition", fulfil).state, 2)
    refused(
        lambda: edp1.call("Requisitions.FulfillDirectRequisition", fulfil),
        "FAILED_PRECONDITION",
        "REQUISITION_STATE_ILLEGAL",
        {"requisitionId": first.name.rpartition("/")[2], "state": "FULFILLED"},
    )
    refuse = {"name": second.name, "refusal": {"justification": 5, "message": "declined"}}
    wrong = 'W/"%s"' % ("0" * 64)
    refused(
        lambda: edp2.call("Requisitions.RefuseRequisition", {**refuse, "etag": wrong}),
        "UNKNOWN",
        "REQUISITION_ETAG_MISMATCH",
        {"requestEtag": wrong, "actualEtag": second.etag},
    )
    answer = edp2.call("Requisitions.RefuseRequisition", {**refuse, "etag": second.etag})
    same(answer.state, 3)
    same(answer.refusal.justification, 5)
    assert answer.etag != second.etag
    read = mc1.call("Measurements.GetMeasurement", {"name": measurement})
    same((read.state, read.failure.reason), (4, 2))
    refused(
        lambda: mc1.call("Measurements.CancelMeasurement", {"name": measurement}),
        "FAILED_PRECONDITION",
        "MEASUREMENT_STATE_ILLEGAL",
        {"measurement": measurement, "state": "FAILED"},
    )


def cascade(world, edp1, edp2, mc1, measurement):
    edp1.call("Certificates.RevokeCertificate", {"name": edp1.certificate, "revocation_state": 2})
    read = mc1.call("Measurements.GetMeasurement", {"name": measurement})
    same((read.state, read.failure.reason), (4, 1))
    for provider in (edp1, edp2):
        same(requisition_of(provider, measurement).state, 4)
    # 1.6.5: naming that provider fails until its public key is updated.
    try:
        create_measurement(world, mc1, [edp1, edp2], "three")
    except grpc.RpcError as error:
        same(error.code().name, "FAILED_PRECONDITION")
        same(error_info(error), ("halo.wfanet.org", "CERTIFICATE_IS_INVALID", {}))
    else:
        raise AssertionError("a revoked provider certificate was accepted")


def delete(world, mc1, operator, measurements):
    number = lambda text: int.from_bytes(__import__("base64").urlsafe_b64decode(text + "="), "big")
    ids = lambda name: {
        "external_measurement_consumer_id": number(name.split("/")[1]),
        "external_measurement_id": number(name.split("/")[3]),
    }
    unknown = {**ids(measurements[0]), "external_measurement_id": 404}
    refused(
        lambda: operator.call("internal.Measurements.BatchDeleteMeasurements", {"requests": [ids(measurements[0]), unknown]}),
        "NOT_FOUND",
        "MEASUREMENT_NOT_FOUND",
        {
            "external_measurement_consumer_id": str(unknown["external_measurement_consumer_id"]),
            "external_measurement_id": "404",
        },
        domain="wfa.measurement.internal.kingdom.ErrorCode",
    )
    same(mc1.call("Measurements.GetMeasurement", {"name": measurements[0]}).name, measurements[0])
    operator.call("internal.Measurements.BatchDeleteMeasurements", {"requests": [ids(name) for name in measurements]})
    for name in measurements:
        refused(
            lambda: mc1.call("Measurements.GetMeasurement", {"name": name}),
            "NOT_FOUND",
            "MEASUREMENT_NOT_FOUND",
            {"measurement": name},
        )


def reflection(edp1):
    """Server reflection v1 on the TLS port: {list_services: ""} and what comes back."""
    rpc = edp1.channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=lambda request: request,
        response_deserializer=lambda response: response,
    )
    answer = next(iter(rpc(iter([b"\x3a\x00"]), timeout=10)))
    services = [dict(wire_fields(v))[1].decode() for n, listed in wire_fields(answer) if n == 6 for _, v in wire_fields(listed)]
    assert API + "Certificates" in services and API + "Measurements" in services, services


if __name__ == "__main__":
    main(*sys.argv[1:])
