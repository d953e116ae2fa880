"""The client's side of SASL mechanisms, and TLS channel bindings, with Python's standard library."""

import base64
import hashlib
import hmac
import os
import re
import tempfile

from .wire import Failed, client_tls


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data)


class Scram:
    """One exchange of RFC 5802. Each step can be bent: that is what the cases are about."""

    def __init__(self, hash_name, name, password, gs2="n,,", binding=b""):
        self.hash_name, self.password, self.gs2, self.binding = hash_name, password, gs2, binding
        self.nonce = base64.b64encode(os.urandom(18)).decode()
        self.name = name.replace("=", "=3D").replace(",", "=2C")
        self.first_bare = f"n={self.name},r={self.nonce}"
        self.server_first = self.server_nonce = None
        self.salt, self.iterations = b"", 0

    def first(self):
        return (self.gs2 + self.first_bare).encode()

    def read(self, server_first):
        """Reads the server's first message; Failed if it is not one."""
        self.server_first = server_first.decode("utf-8", "replace")
        found = re.fullmatch(r"r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+=*),i=([1-9][0-9]*)(,.*)?", self.server_first)
        if not found:
            raise Failed(f"the server's first message can't be read: {self.server_first!r}")
        self.server_nonce, self.iterations = found[1], int(found[3])
        try:
            self.salt = base64.b64decode(found[2], validate=True)
        except ValueError:
            raise Failed(f"the salt is not base64: {found[2]!r}") from None
        return self

    def _mac(self, key, data):
        return hmac.new(key, data, self.hash_name).digest()

    def final(self, nonce=None, channel=None, proof_error=False, extension=""):
        """The client's final message."""
        channel = b64(self.gs2.encode() + self.binding if channel is None else channel).decode()
        without_proof = f"c={channel},r={self.server_nonce if nonce is None else nonce}{extension}"
        salted = hashlib.pbkdf2_hmac(self.hash_name, self.password.encode(), self.salt, self.iterations)
        auth_message = f"{self.first_bare},{self.server_first},{without_proof}".encode()
        client_key = self._mac(salted, b"Client Key")
        signature = self._mac(hashlib.new(self.hash_name, client_key).digest(), auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        if proof_error:
            proof = bytes([proof[0] ^ 1]) + proof[1:]
        self.server_signature = self._mac(self._mac(salted, b"Server Key"), auth_message)
        return f"{without_proof},p={b64(proof).decode()}".encode()

    def verify(self, server_final):
        if server_final.split(b",")[0] != b"v=" + b64(self.server_signature):
            raise Failed(f"the server's signature is wrong: {server_final!r}")


def start(client, mechanism, initial, with_initial):
    """AUTH with the initial response in the command, or after the empty challenge. The next reply."""
    if with_initial:
        return client.command(b"AUTH " + mechanism.encode() + b" " + (b64(initial) or b"="))
    challenge = client.command(b"AUTH " + mechanism.encode()).challenge()
    if challenge:
        raise Failed(f"the first challenge of {mechanism} is not empty: {challenge!r}")
    return client.command(b64(initial))


def scram_login(client, mechanism, scram, with_initial=False, **final):
    """A whole exchange. Returns the last reply; checks the server's signature if it comes."""
    reply = start(client, mechanism, scram.first(), with_initial)
    if not reply.more:
        return reply
    scram.read(reply.challenge())
    reply = client.command(b64(scram.final(**final)))
    if reply.more:
        server_final = reply.challenge()
        if server_final.startswith(b"e="):
            return client.command(b"")
        scram.verify(server_final)
        reply = client.command(b"")
    if reply.ok:
        client.state = "transaction"
    return reply


# Channel bindings.

def tls_unique(client):
    """RFC 5929 s3; only for TLS 1.2 and older."""
    return client.socket.get_channel_binding("tls-unique")


_DIGESTS = {  # object identifiers of signatures in DER, and the hash of their certificate: RFC 5929 s4.1
    "2a864886f70d010105": "sha256", "2a864886f70d010104": "sha256",                                # sha1, md5 with RSA
    "2a864886f70d01010b": "sha256", "2a864886f70d01010c": "sha384", "2a864886f70d01010d": "sha512",  # RSA
    "2a8648ce3d040302": "sha256", "2a8648ce3d040303": "sha384", "2a8648ce3d040304": "sha512",      # ECDSA
}


def _der(data, at=0):
    """(content, where it ends) of the element at this place."""
    length, begin = data[at + 1], at + 2
    if length & 0x80:
        octets = length & 0x7F
        length, begin = int.from_bytes(data[begin:begin + octets], "big"), begin + octets
    return data[begin:begin + length], begin + length


def tls_server_end_point(client):
    """RFC 5929 s4. None if it is not defined for this certificate."""
    certificate = client.socket.getpeercert(binary_form=True)
    content, _ = _der(certificate)
    _, after_body = _der(content)
    algorithm, _ = _der(content, after_body)
    identifier, _ = _der(algorithm)
    digest = _DIGESTS.get(identifier.hex())
    return hashlib.new(digest, certificate).digest() if digest else None


class Exporter:
    """tls-exporter of RFC 9266 for TLS 1.3, from the secret that the TLS library writes to a key log."""

    def __init__(self):
        handle, self.path = tempfile.mkstemp(prefix="pop3-conformance-")
        os.close(handle)
        self.context = client_tls()
        self.context.keylog_filename = self.path

    def binding(self, client):
        """Removes the log. None if the connection is not TLS 1.3 or the log has no such secret."""
        with open(self.path, encoding="ascii") as file:
            found = re.findall(r"^EXPORTER_SECRET \S+ (\S+)$", file.read(), re.M)
        self.close()
        if client.tls != "TLSv1.3" or not found:
            return None
        return exported(client.socket.cipher()[0], bytes.fromhex(found[-1]))

    def close(self):
        self.context.keylog_filename = None
        if os.path.exists(self.path):
            os.unlink(self.path)


def exported(cipher, exporter_secret):
    """RFC 8446 s7.5 with the label, context and length of RFC 9266 s2."""
    digest = "sha384" if "SHA384" in cipher else "sha256"
    empty = hashlib.new(digest, b"").digest()
    secret = expand_label(digest, exporter_secret, b"EXPORTER-Channel-Binding", empty, len(empty))
    return expand_label(digest, secret, b"exporter", empty, 32)


def expand_label(digest, secret, label, context, length):
    """RFC 8446 s7.1."""
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    return hmac.new(secret, info + b"\1", digest).digest()[:length]
