"""Poplar and the POP3 conformance suite: no case fails, and each passes in one configuration or another."""

import pathlib
import sys

from poplar_server import DOMAIN, PATIENCE, ROOT

sys.path.insert(0, str(ROOT / "tests" / "conformance"))

from pop3conformance.registry import all_cases  # noqa: E402
from pop3conformance.report import describe, to_json  # noqa: E402
from pop3conformance.runner import FAIL, PASS, SKIP, Runner  # noqa: E402
from pop3conformance.target import Target  # noqa: E402

# Which cases passed in any of the configurations; the last test of this file looks at the sum.
_passed, _skipped = set(), {}


def accounts(server, count=6):
    """Accounts of a server, for the target."""
    found = []
    for number in range(1, count + 1):
        name, password = f"user{number}@{DOMAIN}", f"secret-{number}"
        server.add_user(name, password)
        found.append({"name": name, "password": password})
    return found


def run_suite(server, name, cases=None, **target):
    """Fails with every failed case in full."""
    target = Target({"name": f"Poplar, {name}", "port": server.port["pop3"], "tls_port": server.port["pop3s"],
                     "inject": {"lmtp": f"127.0.0.1:{server.port['lmtp']}"}, **target})
    cases = [case for case in all_cases() if not case.slow and (cases is None or cases(case))]
    results = Runner(target, timeout=8 * PATIENCE, limit=60 * PATIENCE).run(cases)
    pathlib.Path(server.directory / "conformance.json").write_text(to_json(target, results, 0))
    failed = [describe(result) for result in results if result.status == FAIL]
    assert not failed, "\n\n".join(failed)
    _passed.update(result.case.id for result in results if result.status == PASS)
    _skipped.update({result.case.id: result.reason for result in results if result.status == SKIP})


def test_everything_enabled(make_server):
    server = make_server()
    utf8 = {"name": f"jörg@{DOMAIN}", "password": "Schlüßel ½"}
    server.add_user(utf8["name"], utf8["password"])
    run_suite(server, "everything enabled", accounts=accounts(server), utf8=utf8)


def test_no_passwords_in_the_clear(make_server):
    server = make_server(auth={"allow_plaintext": "never"})
    run_suite(server, "no passwords in the clear", accounts=accounts(server),
              cases=lambda case: case.rfc in ("RFC 1939", "RFC 2449", "RFC 2595", "RFC 8314", "RFC 5034"))
