"""Poplar and the POP3 conformance suite: no case fails, and each passes in one configuration or another."""

import base64
import json
import subprocess
import sys
import time

from poplar_server import DOMAIN, PATIENCE, ROOT

sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from pop3conformance.registry import all_cases  # noqa: E402
from pop3conformance.report import describe, table  # noqa: E402
from pop3conformance.runner import FAIL, PASS, SKIP, Runner  # noqa: E402
from pop3conformance.target import Target  # noqa: E402

MECHANISMS = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1", "EXTERNAL", "OAUTHBEARER", "CRAM-MD5",
              "PLAIN", "LOGIN"]
CASES = [case for case in all_cases() if not case.slow]  # the slow ones wait ten minutes and more

_passed, _skipped = set(), {}  # ids, over all configurations


def accounts(server, count=6):
    """New accounts, as the target wants them."""
    found = []
    for number in range(1, count + 1):
        name, password = f"user{number}@{DOMAIN}", f"secret-{number}"
        server.add_user(name, password)
        found.append({"name": name, "password": password})
    return found


def run_suite(server, name, cases=CASES, **target):
    """Fails with every failed case in full."""
    target = Target({"name": f"Poplar, {name}", "port": server.port["pop3"], "tls_port": server.port["pop3s"],
                     "inject": {"lmtp": f"127.0.0.1:{server.port['lmtp']}"}, **target})
    results = Runner(target, timeout=8 * PATIENCE, limit=60 * PATIENCE).run(cases)
    print(table(results))
    failed = [describe(result) for result in results if result.status == FAIL]
    assert not failed, "\n\n".join(failed)
    _passed.update(result.case.id for result in results if result.status == PASS)
    _skipped.update({result.case.id: result.reason for result in results if result.status == SKIP})


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=input, check=True, capture_output=True).stdout


def make_client_certificate(directory, address):
    """(authority, certificate, key): a certificate for a mail address, and who vouches for it."""
    files = [directory / name for name in ("ca.pem", "ca.key", "client.pem", "client.key")]
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30")
    openssl("req", "-x509", *new_key, "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", "-keyout", files[1], "-out", files[0])
    openssl("req", "-x509", *new_key, "-subj", "/CN=client", "-addext", f"subjectAltName=email:{address}", "-addext",
            "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth", "-CA", files[0], "-CAkey", files[1],
            "-keyout", files[3], "-out", files[2])
    return files[0], files[2], files[3]


def make_token(directory, address):
    """(public key, token): a JWT for an account, signed with RS256."""
    key, public = directory / "token.key", directory / "token.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", public)

    def part(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    claims = {"email": address, "exp": int(time.time()) + 3600}
    signed = part(json.dumps({"alg": "RS256", "typ": "JWT"}).encode()) + b"." + part(json.dumps(claims).encode())
    signature = openssl("dgst", "-sha256", "-sign", key, input=signed)
    return public, (signed + b"." + part(signature)).decode()


def test_everything_enabled(make_server, directory):
    names = {kind: f"{kind}@{DOMAIN}" for kind in ("apop", "sasl", "oauth", "external")}
    authority, certificate, key = make_client_certificate(directory, names["external"])
    public, token = make_token(directory, names["oauth"])
    server = make_server(auth={"mechanisms": MECHANISMS, "scram_keys": ["SHA-256", "SHA-1"], "scram_iterations": 4096},
                         tls={"client_ca": str(authority)}, oauth={"keys": [str(public)]}, pop3={"apop": True})
    utf8 = {"name": f"jörg@{DOMAIN}", "password": "Schlüßel ½"}
    server.add_user(utf8["name"], utf8["password"])
    for kind, name in names.items():
        server.add_user(name, f"password of {kind}")
    for kind, secret in (("apop", "a secret for APOP"), ("sasl", "password of sasl")):
        server.cli("user", "secret", names[kind], "--secret-stdin", input=secret + "\n")
    run_suite(server, "everything enabled", accounts=accounts(server), utf8=utf8,
              apop={"name": names["apop"], "secret": "a secret for APOP"},
              sasl={"name": names["sasl"], "password": "password of sasl"}, oauth={"name": names["oauth"], "token": token},
              external={"name": names["external"], "certificate": [str(certificate), str(key)]})


def test_no_passwords_in_the_clear(make_server):
    """As it is by default for clients of other machines."""
    server = make_server(auth={"allow_plaintext": "never"})
    run_suite(server, "no passwords in the clear", accounts=accounts(server))


def test_each_case_passed_in_one_configuration():
    """What is skipped in all of them would be something that Poplar lacks."""
    never = {case.id: _skipped.get(case.id, "not run") for case in CASES if case.id not in _passed}
    # Not offered in these configurations.
    for capability in ("LOGIN-DELAY", "EXPIRE"):
        never = {name: reason for name, reason in never.items() if not (reason.startswith("not announced") and capability in reason)}
    assert not never, "\n".join(f"{name}: {reason}" for name, reason in sorted(never.items()))
