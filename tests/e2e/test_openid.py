"""Tokens of an issuer whose configuration and keys are fetched (OpenID Connect Discovery), and whose key changes."""

import base64
import time

import pytest

from directories import OpenIdIssuer
from poplar_server import DOMAIN

JANE = f"jane@{DOMAIN}"


@pytest.fixture
def issuer(directory):
    issuer = OpenIdIssuer(directory)
    yield issuer
    issuer.close()


@pytest.fixture
def server(make_server, issuer):
    server = make_server(oauth={"discovery": issuer.name, "discovery_ca_file": str(issuer.certificate), "audience": "poplar"},
                         auth={"failure_delay": "0s"})
    server.add_user(JANE)
    return server


def ask(server, token):
    with server.pop3s() as client:
        reply = client.command(b"AUTH OAUTHBEARER " + base64.b64encode(f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
        reply = client.command(b"AQ==") if reply.startswith(b"+ ") else reply
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


@pytest.mark.parametrize("name", ["second", "first"])
def test_keys_are_fetched_once_and_anew_when_the_issuer_has_another(server, issuer, name):
    first = issuer.token("poplar", email=JANE)
    for _ in range(3):
        assert ask(server, first).startswith(b"+OK")
    assert issuer.fetched == ["/.well-known/openid-configuration", "/keys"]
    time.sleep(10.2)  # the keys are not fetched more often
    issuer.rotate(name)
    assert ask(server, issuer.token("poplar", email=JANE)).startswith(b"+OK")
    assert issuer.fetched == ["/.well-known/openid-configuration", "/keys"] * 2
    assert ask(server, first).startswith(b"-ERR [AUTH]"), "the old key is gone"
    for number in range(5):
        assert ask(server, issuer.token("poplar", email=JANE, jti=str(number))).startswith(b"+OK")
    assert len(issuer.fetched) == 4, "tokens of strangers make nobody fetch"


def test_tokens_of_others_are_refused(server, issuer):
    for claims in ({"iss": "https://else.example"}, {"aud": "other"}, {"exp": int(time.time()) - 3600}, {"email": ""}):
        token = issuer.token("poplar", **({"email": JANE} | claims))
        assert ask(server, token).startswith(b"-ERR [AUTH]"), claims
    assert ask(server, issuer.token("poplar", email=JANE)).startswith(b"+OK")


def test_known_keys_stay_good_while_the_issuer_is_down(server, issuer):
    issuer.down = True
    assert ask(server, issuer.token("poplar", email=JANE)).startswith(b"-ERR [SYS/TEMP]")
    server.wait_log("auth.issuer_keys_not_fetched")
    issuer.down = False
    time.sleep(10.2)
    assert ask(server, issuer.token("poplar", email=JANE)).startswith(b"+OK")
    issuer.down = True
    assert ask(server, issuer.token("poplar", email=JANE, jti="2")).startswith(b"+OK")


def test_the_documents_of_another_issuer_are_refused(make_server, issuer):
    server = make_server(oauth={"discovery": issuer.name + "/tenant", "discovery_ca_file": str(issuer.certificate), "audience": "poplar"})
    server.add_user(JANE)
    assert ask(server, issuer.token("poplar", email=JANE)).startswith(b"-ERR [SYS/TEMP]")
    server.wait_log_match("auth.issuer_keys_not_fetched.*the document is that of the issuer")
