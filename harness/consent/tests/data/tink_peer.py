"""The other side of python_tink.rs: one request as JSON on stdin, the answer on stdout."""
import io
import json
import sys

import tink
from tink import hybrid, secret_key_access, streaming_aead
from tink.proto import hpke_pb2, tink_pb2

hybrid.register()
streaming_aead.register()
TOKEN = secret_key_access.TOKEN
FORMAT = tink.proto_keyset_format
CASES = [(b"", b""), (b"text", b""), (b"text", b"ctx"), (b"x" * 5000, b"")]


def parse(private_hex):
    return FORMAT.parse(bytes.fromhex(private_hex), TOKEN)


def show(name, handle):
    public = handle.public_keyset_handle()
    encrypt = public.primitive(hybrid.HybridEncrypt)
    return {
        "name": name,
        "private": FORMAT.serialize(handle, TOKEN).hex(),
        "public": FORMAT.serialize_without_secret(public).hex(),
        "ciphertexts": [
            {
                "plaintext": plaintext.hex(),
                "context": context.hex(),
                "ciphertext": encrypt.encrypt(plaintext, context).hex(),
            }
            for plaintext, context in CASES
        ],
    }


def crunchy(handle):
    keyset = tink_pb2.Keyset.FromString(FORMAT.serialize(handle, TOKEN))
    keyset.key[0].output_prefix_type = tink_pb2.CRUNCHY
    return FORMAT.parse(keyset.SerializeToString(), TOKEN)


def hpke_p256(pkcs8, aead):
    # The one PKCS#8 layout that is asked about: scalar and point at fixed places.
    scalar, point = pkcs8[36:68], pkcs8[-65:]
    params = hpke_pb2.HpkeParams(
        kem=hpke_pb2.DHKEM_P256_HKDF_SHA256, kdf=hpke_pb2.HKDF_SHA256, aead=aead
    )
    key = hpke_pb2.HpkePrivateKey(
        public_key=hpke_pb2.HpkePublicKey(params=params, public_key=point), private_key=scalar
    )
    keyset = tink_pb2.Keyset(primary_key_id=77)
    keyset.key.add(
        key_data=tink_pb2.KeyData(
            type_url="type.googleapis.com/google.crypto.tink.HpkePrivateKey",
            value=key.SerializeToString(),
            key_material_type=tink_pb2.KeyData.ASYMMETRIC_PRIVATE,
        ),
        status=tink_pb2.ENABLED,
        key_id=77,
        output_prefix_type=tink_pb2.TINK,
    )
    return FORMAT.parse(keyset.SerializeToString(), TOKEN)


def streamed(case):
    # A stream is a file object: what is written is read back from what lies under it.
    primitive = parse(case["keyset"]).primitive(streaming_aead.StreamingAead)
    plaintext = bytes.fromhex(case["plaintext"])
    context = bytes.fromhex(case["context"])
    source = io.BytesIO(bytes.fromhex(case["ciphertext"]))
    with primitive.new_decrypting_stream(source, context) as stream:
        opened = stream.read()
    sealed = KeptOpen()
    with primitive.new_encrypting_stream(sealed, context) as stream:
        stream.write(plaintext)
    return {"opened": opened == plaintext, "ciphertext": sealed.getvalue().hex()}


class KeptOpen(io.BytesIO):
    def close(self):
        pass


def main(request):
    if request["command"] == "stream":
        made = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB)
        return {
            "keyset": FORMAT.serialize(made, TOKEN).hex(),
            "cases": [streamed(case) for case in request["cases"]],
        }
    if request["command"] == "generate":
        answer = []
        for name in request["templates"]:
            template = getattr(hybrid.hybrid_key_templates, name)
            handle = tink.new_keyset_handle(template)
            answer.append(show(name, handle))
            answer.append(show(name + " CRUNCHY", crunchy(handle)))
        pkcs8 = bytes.fromhex(request["p256_pkcs8"])
        for aead in (hpke_pb2.AES_128_GCM, hpke_pb2.AES_256_GCM):
            answer.append(show(f"HPKE P-256 {aead}", hpke_p256(pkcs8, aead)))
        return answer
    if request["command"] == "decrypt":
        for case in request["cases"]:
            decrypt = parse(case["private"]).primitive(hybrid.HybridDecrypt)
            opened = decrypt.decrypt(
                bytes.fromhex(case["ciphertext"]), bytes.fromhex(case["context"])
            )
            assert opened.hex() == case["plaintext"], case
        return {"opened": len(request["cases"])}
    if request["command"] == "encrypt":
        answer = []
        for key in request["keys"]:
            public = FORMAT.parse_without_secret(bytes.fromhex(key["public"]))
            sealed = public.primitive(hybrid.HybridEncrypt).encrypt(b"text", b"ctx")
            handle = parse(key["private"])
            answer.append(
                {
                    "private": FORMAT.serialize(handle, TOKEN).hex(),
                    "public": FORMAT.serialize_without_secret(
                        handle.public_keyset_handle()
                    ).hex(),
                    "ciphertext": sealed.hex(),
                }
            )
        return answer
    raise ValueError(request["command"])


json.dump(main(json.load(sys.stdin)), sys.stdout)
