"""Signs the answers of tests' DNS server (RFC 4034): one zone, the root, with one key. A name that has no data of the type
asked for is shown to have none by an NSEC record that is made for it."""

import base64
import struct
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

NS, SOA, DS, RRSIG, NSEC, DNSKEY = 2, 6, 43, 46, 47, 48
ECDSA_P256 = 13
KEEP = 60  # seconds


class Signer:
    def __init__(self, name_octets):
        self.name_octets = name_octets
        self.key = ec.generate_private_key(ec.SECP256R1())
        point = self.key.public_key().public_numbers()
        public = point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
        self.dnskey = struct.pack("!HBB", 257, 3, ECDSA_P256) + public
        self.anchor = f". IN DNSKEY 257 3 {ECDSA_P256} {base64.b64encode(public).decode()}\n"
        total = sum(octet << 8 if i % 2 == 0 else octet for i, octet in enumerate(self.dnskey))
        self.tag = (total + (total >> 16)) & 0xffff  # RFC 4034 appendix B
        self.soa = name_octets("ns.test") + name_octets("root.test") + struct.pack("!IIIII", 1, 60, 60, 60, KEEP)

    def sign(self, owner, kind, keep, values):
        """The data of the RRSIG record for these records."""
        labels = len([label for label in owner.split(".") if label])
        now = int(time.time())
        head = struct.pack("!HBBIIIH", kind, ECDSA_P256, labels, keep, now + 86400, now - 86400, self.tag) + b"\0"
        name = self.name_octets(owner.lower())
        records = b"".join(name + struct.pack("!HHIH", kind, 1, keep, len(data)) + data for data in sorted(values))
        r, s = decode_dss_signature(self.key.sign(head + records, ec.ECDSA(hashes.SHA256())))
        return head + r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def signed(self, records):
        """(owner, type, seconds, data)...: the same with their signatures."""
        sets = {}
        for owner, kind, keep, data in records:
            sets.setdefault((owner, kind, keep), []).append(data)
        return records + [(owner, RRSIG, keep, self.sign(owner, kind, keep, values))
                          for (owner, kind, keep), values in sets.items()]

    def denial(self, name, kinds):
        """That the name has records of these types, and no others."""
        following = b"\1\0" + self.name_octets(name)
        top = 256 * [0]
        for kind in {*kinds, RRSIG, NSEC}:
            if kind < 256:
                top[kind // 8] |= 0x80 >> kind % 8
        bits = bytes(top[:32]).rstrip(b"\0")
        return self.signed([("", SOA, KEEP, self.soa), (name, NSEC, KEEP, following + bytes([0, len(bits)]) + bits)])
