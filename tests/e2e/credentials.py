"""Tokens with their issuer, and certificates for clients with their authority."""

import base64
import json
import subprocess
import time

ISSUER, AUDIENCE = "https://id.example.test", "poplar"


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, input=input).stdout


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """An issuer of tokens: a key, and what it signs (JWT, RS256)."""

    def __init__(self, directory):
        self.key, self.public = directory / "issuer.key", directory / "issuer.pem"
        openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self.key)
        openssl("pkey", "-in", self.key, "-pubout", "-out", self.public)

    def token(self, **claims):
        claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 600} | claims
        text = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
        return text + "." + base64url(openssl("dgst", "-sha256", "-sign", self.key, input=text.encode()))


class Authority:
    """The authority that signs the certificates of clients."""

    def __init__(self, directory):
        self.directory = directory / "ca"
        self.directory.mkdir()
        self.certificate, self.key = self.directory / "ca.pem", self.directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=Clients",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", self.key, "-out", self.certificate)

    def client(self, *addresses, name="client"):
        """(certificate, key) for mail addresses."""
        key, request, certificate, extensions = (self.directory / f"{name}.{kind}" for kind in ("key", "csr", "pem", "ext"))
        extensions.write_text("subjectAltName=" + ",".join(f"email:{a}" for a in addresses) +
                              "\nextendedKeyUsage=clientAuth\nbasicConstraints=critical,CA:FALSE\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "30",
                "-extfile", extensions, "-out", certificate)
        return certificate, key

    def revoke(self, certificate):
        """Adds a revocation list with the certificate on it to the file of authorities."""
        settings, index, numbers = self.directory / "ca.cnf", self.directory / "index", self.directory / "crlnumber"
        index.touch()
        numbers.write_text("01\n")
        settings.write_text(f"[ca]\ndefault_ca = it\n[it]\ndatabase = {index}\ncrlnumber = {numbers}\ndefault_md = sha256\n"
                            f"default_crl_days = 30\ncertificate = {self.certificate}\nprivate_key = {self.key}\n")
        openssl("ca", "-config", settings, "-revoke", certificate)
        with open(self.certificate, "ab") as file:
            file.write(openssl("ca", "-config", settings, "-gencrl"))


EVERY_MECHANISM = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "OAUTHBEARER", "XOAUTH2",
                   "CRAM-MD5", "PLAIN", "LOGIN"]


def everything(issuer, authority, but=None):
    """The tables of a configuration in which every way to log in works, but for one perhaps."""
    return {"auth": {"mechanisms": [one for one in EVERY_MECHANISM if one != but], "scram_keys": ["SHA-256", "SHA-1"], "scram_iterations": 4096},
            "pop3": {"apop": but != "APOP"}, "tls": {"client_ca": str(authority.certificate)},
            "oauth": {"keys": [str(issuer.public)], "issuer": ISSUER, "audience": AUDIENCE,
                      "configuration_url": f"{ISSUER}/openid"}}
