"""A certificate authority for tests, and what DANE says of its certificates."""

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DANE_TA, DANE_EE = 2, 3
WHOLE, PUBLIC_KEY = 0, 1


class Authority:
    def __init__(self, directory):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("Authority of tests", self.key, x509.BasicConstraints(ca=True, path_length=None))
        self.file = directory / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(self, name, key, constraints, names=(), old=False):
        now = datetime.datetime.utcnow()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = self.certificate.subject if hasattr(self, "certificate") else subject
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=9))
                   .not_valid_after(now + datetime.timedelta(days=-1 if old else 30))
                   .add_extension(constraints, critical=True))
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, *names, old=False):
        """(file of the certificate and the authority's, file of the key)."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._sign(names[0], key, x509.BasicConstraints(ca=False, path_length=None), names, old)
        certificate = self.directory / f"{made.serial_number}.pem"
        certificate.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (made, self.certificate)))
        key_file = self.directory / f"{made.serial_number}.key"
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return str(certificate), str(key_file)


def tlsa(usage, certificate_file, selector=PUBLIC_KEY, number=0):
    """A TLSA record with SHA-256 of the `number`-th certificate in the file."""
    parts = open(certificate_file, "rb").read().split(b"-----END CERTIFICATE-----\n")
    certificate = x509.load_pem_x509_certificate(parts[number] + b"-----END CERTIFICATE-----\n")
    octets = certificate.public_bytes(serialization.Encoding.DER)
    if selector == PUBLIC_KEY:
        octets = certificate.public_key().public_bytes(serialization.Encoding.DER,
                                                       serialization.PublicFormat.SubjectPublicKeyInfo)
    return (usage, selector, 1, hashlib.sha256(octets).digest())
