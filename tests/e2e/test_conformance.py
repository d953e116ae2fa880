"""Poplar and the POP3 conformance suite: no case fails, and each passes in one configuration or another."""

import sys

from credentials import Authority, Issuer, everything
from poplar_server import DOMAIN, PATIENCE, ROOT

sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from pop3conformance.registry import all_cases  # noqa: E402
from pop3conformance.report import describe, table  # noqa: E402
from pop3conformance.runner import FAIL, PASS, SKIP, Runner  # noqa: E402
from pop3conformance.target import Target  # noqa: E402

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


def test_everything_enabled(make_server, directory):
    names = {kind: f"{kind}@{DOMAIN}" for kind in ("apop", "sasl", "oauth", "external")}
    issuer, authority = Issuer(directory), Authority(directory)
    certificate, key = authority.client(names["external"])
    token = issuer.token(email=names["oauth"])
    tables = everything(issuer, authority) | {"pop3": {"apop": True, "expire": 30}}
    tables["auth"] = tables.get("auth", {}) | {"failures_per_pair": 1_000_000}  # the suite fails logins on purpose, to one account
    server = make_server(**tables)
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
    """The default, as clients on other machines see it."""
    server = make_server(auth={"allow_plaintext": "never"})
    run_suite(server, "no passwords in the clear", accounts=accounts(server))


def test_a_devices_view(make_server):
    """A device's own view of INBOX is a maildrop like any other, whatever INBOX still holds for others."""
    server = make_server(auth={"failures_per_pair": 1_000_000})
    devices = accounts(server)
    for account in devices:
        account["password"] = server.cli("device", "add", account["name"], "--name", "suite")["password"]
    run_suite(server, "a device's own view", accounts=devices)


def test_a_device_that_sees_several_mailboxes(make_server):
    """What comes to INBOX is numbered among what Junk holds, in its own view of both; the suite empties it first."""
    server = make_server(auth={"failures_per_pair": 1_000_000})
    devices = accounts(server)
    for account in devices:
        server.cli("deliver", account["name"], "--mailbox", "Junk", input="Subject: junk\n\nText.\n")
        device = server.cli("device", "add", account["name"], "--name", "suite", "--mailbox", "INBOX,Junk")
        account["password"] = device["password"]
    run_suite(server, "a device that sees INBOX and Junk", accounts=devices)


def test_a_mailbox_by_the_login_name(make_server):
    """The suite's mail to user+Junk@ is filed into that mailbox, and fetched from there."""
    server = make_server(auth={"failures_per_pair": 1_000_000}, addresses={"detail_files": True})
    named = accounts(server)
    for account in named:
        server.cli("mailbox", "list", account["name"])  # makes the default ones
        account["name"] = account["name"].replace("@", "+Junk@")
    run_suite(server, "a mailbox by the login name", accounts=named)


def test_a_delay_between_logins(make_server):
    """LOGIN-DELAY has a server of its own, because on the others it would only make the suite wait."""
    server = make_server(pop3={"login_delay": "2s"})
    run_suite(server, "a delay between logins", accounts=accounts(server),
              cases=[case for case in CASES if "LOGIN-DELAY" in case.title or case.rfc == "RFC 2449" and case.section == "6.5"])


def test_each_case_passed_in_one_configuration():
    """A case that is skipped in all configurations would be something that Poplar lacks."""
    never = {case.id: _skipped.get(case.id, "not run") for case in CASES if case.id not in _passed}
    assert not never, "\n".join(f"{name}: {reason}" for name, reason in sorted(never.items()))
