"""Every way to log in, as raw exchanges; tests/e2e/test_clients.py has them with real clients."""

import base64
import hashlib
import hmac
import http.server
import json
import re
import secrets
import signal
import ssl
import threading
import time
import urllib.parse

import pytest

from credentials import EVERY_MECHANISM, Authority, Issuer, everything
from poplar_server import DOMAIN, PATIENCE, client_tls, make_certificate

SECRET = "a-secret-shared-by-both"
SIMPLE = "Sesame-123"


@pytest.fixture
def issuer(directory):
    return Issuer(directory)


@pytest.fixture
def world(make_server, directory, issuer):
    """A server with everything on, and an account with a password, SCRAM keys and a shared secret."""
    authority = Authority(directory)
    server = make_server(**everything(issuer, authority))
    server.authority = authority
    account = server.add_user(f"jane@{DOMAIN}", SIMPLE)
    server.cli("user", "secret", account, "--secret-stdin", input=SECRET + "\n")
    return server


JANE = f"jane@{DOMAIN}"


def sasl_line(client):
    return next((line.split()[1:] for line in client.multi(b"CAPA").decode().splitlines() if line.startswith("SASL")), [])


# SCRAM (RFC 5802), as a client.

class Scram:
    def __init__(self, name, password, algorithm="sha256", header="n,,", binding=b""):
        self.algorithm, self.password, self.header, self.binding = algorithm, password.encode(), header, binding
        self.bare = f"n={name},r={secrets.token_hex(12)}"

    def first(self):
        return (self.header + self.bare).encode()

    def last(self, server_first):
        server_first = server_first.decode()
        nonce, salt, count = re.fullmatch(r"r=([^,]+),s=([^,]+),i=(\d+)", server_first).groups()
        salted = hashlib.pbkdf2_hmac(self.algorithm, self.password, base64.b64decode(salt), int(count))
        key = self.hmac(salted, b"Client Key")
        final = f"c={base64.b64encode(self.header.encode() + self.binding).decode()},r={nonce}"
        message = f"{self.bare},{server_first},{final}".encode()
        signature = self.hmac(hashlib.new(self.algorithm, key).digest(), message)
        self.expected = b"v=" + base64.b64encode(self.hmac(self.hmac(salted, b"Server Key"), message))
        return final.encode() + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))

    def hmac(self, key, message):
        return hmac.digest(key, message, self.algorithm)


def challenge(reply):
    assert reply.startswith(b"+ "), reply
    return base64.b64decode(reply[2:])


def scram_login(client, mechanism, scram):
    """The last reply."""
    reply = client.command(f"AUTH {mechanism} ".encode() + base64.b64encode(scram.first()))
    if not reply.startswith(b"+ "):
        return reply
    reply = client.command(base64.b64encode(scram.last(challenge(reply))))
    if not reply.startswith(b"+ "):
        return reply
    assert challenge(reply) == scram.expected, "the server has shown that it knows the keys"
    return client.command(b"")


def test_the_list_of_mechanisms_is_true_before_tls_and_after(world):
    with world.pop3() as client:
        everything = [one for one in EVERY_MECHANISM if one != "EXTERNAL"]
        in_the_clear = [one for one in everything if "PLUS" not in one and "OAUTH" not in one]  # RFC 7628 s3: tokens need TLS
        assert sasl_line(client) == in_the_clear, "loopback may send passwords"
        assert client.multi(b"AUTH").decode().split() == in_the_clear
        client.stls()
        assert sasl_line(client) == everything
        client.err(b"AUTH EXTERNAL =")


@pytest.mark.parametrize("algorithm, mechanism", (("sha256", "SCRAM-SHA-256"), ("sha1", "SCRAM-SHA-1")))
def test_scram_and_its_channel_binding(world, algorithm, mechanism):
    with world.pop3() as client:
        assert scram_login(client, mechanism, Scram(JANE, SIMPLE, algorithm)).startswith(b"+OK")
        client.quit()
    with world.pop3() as client:
        assert scram_login(client, mechanism, Scram(JANE, "wrong", algorithm)).startswith(b"-ERR [AUTH]")
        assert scram_login(client, mechanism, Scram(JANE, SIMPLE, algorithm, "y,,")).startswith(b"+OK"), "none was offered"
        client.quit()
    certificate = ssl.PEM_cert_to_DER_cert(world.certificate.read_text())
    end_point = hashlib.sha256(certificate).digest()
    for binding, good in ((end_point, True), (bytes(32), False)):
        with world.pop3s() as client:
            scram = Scram(JANE, SIMPLE, algorithm, "p=tls-server-end-point,,", binding)
            assert scram_login(client, mechanism + "-PLUS", scram).startswith(b"+OK" if good else b"-ERR [AUTH]")
            client.send(b"QUIT\r\n")
            client.closed()
    with world.pop3s() as client:
        refused = scram_login(client, mechanism, Scram(JANE, SIMPLE, algorithm, "y,,"))
        assert refused.startswith(b"-ERR"), "RFC 5802 s6: somebody has taken -PLUS off the list"
        assert scram_login(client, mechanism, Scram(JANE, SIMPLE, algorithm)).startswith(b"+OK")


def test_strangers_look_like_accounts_in_every_mechanism(world):
    """The texts are compared. Times are equal by construction: a failure is answered `auth.failure_delay` after it began."""
    world.add_user(f"keyless@{DOMAIN}", SIMPLE)
    names = (JANE, f"nobody@{DOMAIN}", f"keyless@{DOMAIN}")

    def dialogues(play):
        seen = []
        for name in names:
            with world.pop3s() as client:
                begun = time.monotonic()
                seen.append((play(client, name), round(time.monotonic() - begun, 0)))
        return seen

    def apop(client, name):
        return client.command(f"APOP {name} {'0' * 32}".encode())

    def cram(client, name):
        assert challenge(client.command(b"AUTH CRAM-MD5")).startswith(b"<")
        return client.command(base64.b64encode(f"{name} {'0' * 32}".encode()))

    def scram(client, name):
        return scram_login(client, "SCRAM-SHA-256", Scram(name, "wrong"))

    def bearer(client, name):
        message = base64.b64encode(f"n,a={name},\x01auth=Bearer wrong\x01\x01".encode())
        problem = challenge(client.command(b"AUTH OAUTHBEARER " + message))
        return problem, client.command(b"AQ==")

    for play in (apop, cram, scram, bearer):
        seen = dialogues(play)
        assert seen[0] == seen[1] == seen[2], play.__name__

    def form(client, name):
        reply = challenge(client.command(b"AUTH SCRAM-SHA-256 " + base64.b64encode(Scram(name, "").first()))).decode()
        return re.sub(r"[A-Za-z0-9+/]{22}==", "SALT", reply.split(",", 1)[1]), reply.split(",")[1]
    shapes = [dialogues(form) for _ in range(2)]
    assert shapes[0] == shapes[1], "the salt is stable"
    assert len({shape for (shape, _), _ in shapes[0]}) == 1
    assert len({salt for (_, salt), _ in shapes[0]}) == 3


def test_a_login_makes_the_scram_keys_and_a_new_password_replaces_them(world):
    world.run_cli("user", "add", f"old@{DOMAIN}", "--password-hash", "{PLAIN}" + SIMPLE)
    old = f"old@{DOMAIN}"
    with world.pop3() as client:
        assert scram_login(client, "SCRAM-SHA-256", Scram(old, SIMPLE)).startswith(b"-ERR [AUTH]")
    assert world.cli("user", "show", old)["scram"] == []
    world.login(old, SIMPLE).quit()
    assert world.cli("user", "show", old)["scram"] == ["SHA-256", "SHA-1"]
    with world.pop3() as client:
        assert scram_login(client, "SCRAM-SHA-256", Scram(old, SIMPLE)).startswith(b"+OK")
        client.quit()
    world.cli("user", "password", old, "--password-stdin", input="another\n")
    for password, answer in ((SIMPLE, b"-ERR [AUTH]"), ("another", b"+OK")):
        with world.pop3() as client:
            assert scram_login(client, "SCRAM-SHA-256", Scram(old, password)).startswith(answer)


def connect_with(server, certificate, key):
    context = client_tls()
    context.load_cert_chain(certificate, key)
    client = server.pop3()
    client.ok(b"STLS")
    client.socket = context.wrap_socket(client.socket, server_hostname="localhost")
    return client


def test_external_obeys_revocation_lists_from_the_next_reload_on(world):
    revoked, good = world.authority.client(JANE, name="revoked"), world.authority.client(JANE, name="good")
    with connect_with(world, *revoked) as client:
        client.ok(b"AUTH EXTERNAL =")
        client.quit()
    world.authority.revoke(revoked[0])
    world.process.send_signal(signal.SIGHUP)
    world.wait_log("server.reloaded")
    with connect_with(world, *revoked) as client:
        client.err(b"AUTH EXTERNAL =")
    with connect_with(world, *good) as client:
        client.ok(b"AUTH EXTERNAL =")
        client.quit()


def test_external_takes_verified_certificates_only(world, directory):
    good = world.authority.client(f"other@{DOMAIN}", JANE)
    foreign = make_certificate(directory)

    def connect(certificate, key):
        return connect_with(world, certificate, key)

    with connect(*good) as client:
        assert "EXTERNAL" in sasl_line(client)
        client.ok(b"AUTH EXTERNAL =")
        client.quit()
    with connect(*good) as client:
        assert client.command(b"AUTH EXTERNAL") == b"+ "
        assert client.command(base64.b64encode(f"keyless@{DOMAIN}".encode())).startswith(b"-ERR [AUTH]")
        client.ok(b"AUTH EXTERNAL " + base64.b64encode(JANE.encode()))
        client.quit()
    with connect(*foreign) as client:
        assert "EXTERNAL" not in sasl_line(client), "a certificate nobody vouches for is none"
        client.err(b"AUTH EXTERNAL =")
        client.login(JANE, SIMPLE).quit()


def test_tokens_are_checked(world, issuer):
    def ask(token, mechanism=b"XOAUTH2", name=JANE):
        with world.pop3s() as client:
            reply = client.command(b"AUTH " + mechanism)
            assert reply == b"+ "
            reply = client.command(base64.b64encode(f"user={name}\x01auth=Bearer {token}\x01\x01".encode()))
            if reply.startswith(b"+ "):
                problem = json.loads(challenge(reply))
                assert problem == {"status": "401", "openid-configuration": "https://id.example.test/openid"}
                reply = client.command(b"")
            return reply

    assert ask(issuer.token(email=JANE)).startswith(b"+OK")
    for wrong in (issuer.token(email=f"other@{DOMAIN}"), issuer.token(email=JANE, exp=int(time.time()) - 3600),
                  issuer.token(email=JANE, aud="other"), issuer.token(email=JANE, iss="other"), issuer.token(), "nonsense",
                  issuer.token(email=JANE)[:-8] + "AAAAAAAA"):
        assert ask(wrong).startswith(b"-ERR [AUTH]"), wrong
    with world.pop3s() as client:  # longer than a command may be (RFC 5034 s4), but clients do it
        message = f"n,a={JANE},\x01host=localhost\x01auth=Bearer {issuer.token(email=JANE)}\x01\x01"
        assert client.command(b"AUTH OAUTHBEARER " + base64.b64encode(message.encode())).startswith(b"+OK")
    assert issuer.token(email=JANE).split(".")[1] not in world.log(), "tokens are secrets"


class Introspector(http.server.BaseHTTPRequestHandler):
    asked = []

    def do_POST(self):
        fields = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        token = fields["token"][0]
        self.asked.append((token, self.headers["Authorization"], self.path))
        if token == "slow":
            time.sleep(3 * PATIENCE)
        body = {"good": json.dumps({"active": True, "email": JANE}), "gone": json.dumps({"active": False}),
                "odd": "[1]", "huge": " " * 200_000}.get(token, "{}").encode()
        self.send_response(500 if token == "broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("tls", (False, True))
def test_tokens_by_introspection(make_server, directory, tls):
    class Handler(Introspector):
        asked = []
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    oauth = {"audience": "*", "introspection_url": f"http://127.0.0.1:{web.server_port}/check?x=1", "introspection_timeout": "1s",
             "introspection_user": "poplar", "introspection_secret_file": str(directory / "secret")}
    if tls:
        certificate, key = make_certificate(directory)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        web.socket = context.wrap_socket(web.socket, server_side=True)
        oauth |= {"introspection_url": f"https://localhost:{web.server_port}/check?x=1", "introspection_ca_file": str(certificate)}
    threading.Thread(target=web.serve_forever, daemon=True).start()
    (directory / "secret").write_text("pass:word\n")
    server = make_server(oauth=oauth)
    server.add_user(JANE, SIMPLE)

    def ask(token):
        with server.pop3s() as client:
            reply = client.command(b"AUTH OAUTHBEARER " + base64.b64encode(f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
            reply = client.command(b"AQ==") if reply.startswith(b"+ ") else reply
            client.send(b"QUIT\r\n")
            client.closed()
            return reply

    try:
        assert ask("good").startswith(b"+OK")
        assert Handler.asked[0] == ("good", "Basic " + base64.b64encode(b"poplar:pass%3Aword").decode(), "/check?x=1")
        assert ask("good").startswith(b"+OK")
        assert len(Handler.asked) == 1, "a good answer is believed for a while"
        assert ask("gone").startswith(b"-ERR [AUTH]")
        for token in ("broken", "odd", "huge", "slow"):
            assert ask(token).startswith(b"-ERR [SYS/TEMP]"), token
    finally:
        web.shutdown()
        web.server_close()


def test_apop_greets_every_connection_with_a_timestamp_of_its_own(world):
    stamps = set()
    for _ in range(3):
        with world.pop3() as client:
            stamp = re.search(rb"<[^<>@ ]+@mx\.example\.test>$", client.greeting)[0]
            stamps.add(stamp)
            client.err(b"APOP " + JANE.encode())
            assert client.err(b"APOP " + JANE.encode() + b" " + b"0" * 32).startswith(b"-ERR [AUTH]")
            client.ok(b"APOP " + JANE.encode() + b" " + hashlib.md5(stamp + SECRET.encode()).hexdigest().encode())
            client.quit()
    assert len(stamps) == 3
    world.cli("user", "secret", JANE, "--remove")
    with world.pop3() as client:
        stamp = re.search(rb"<.*>", client.greeting)[0]
        assert client.err(b"APOP " + JANE.encode() + b" " + hashlib.md5(stamp + SECRET.encode()).hexdigest().encode()).startswith(
            b"-ERR [AUTH]")


def test_what_is_not_asked_for_is_not_there(make_server):
    server = make_server()
    server.add_user(JANE, SIMPLE)
    with server.pop3() as client:
        assert b"<" not in client.greeting
        assert client.err(b"APOP x y") == b"-ERR unknown command"
        client.stls()
        assert sasl_line(client) == ["PLAIN", "LOGIN"]
        for mechanism in set(EVERY_MECHANISM) - {"PLAIN", "LOGIN"}:
            client.err(b"AUTH " + mechanism.encode())
    assert server.cli("user", "show", JANE)["scram"] == []


def test_shared_secrets_are_set_shown_and_checked(world):
    assert world.cli("user", "show", JANE)["shared_secret"] is True
    generated = world.cli("user", "secret", JANE, "--generate")["secret"]
    assert len(generated) == 26
    for wrong in ("short", "with-ümlaut-and-long-enough", "x" * 256):
        assert world.run_cli("user", "secret", JANE, "--secret-stdin", input=wrong + "\n").returncode == 1
    assert world.run_cli("user", "secret", JANE).returncode == 2
    assert world.run_cli("user", "secret", f"nobody@{DOMAIN}", "--generate").returncode == 1
    assert generated not in world.run_cli("user", "show", JANE).stdout + world.log()


def test_framing_of_exchanges(world):
    with world.pop3() as client:
        assert client.command(b"AUTH LOGIN") == b"+ VXNlcm5hbWU6"
        assert client.command(base64.b64encode(JANE.encode())) == b"+ UGFzc3dvcmQ6"
        assert client.command(b"*") == b"-ERR cancelled"
        assert client.command(b"AUTH SCRAM-SHA-256") == b"+ "
        client.err(b"!!!!")
        client.err(b"AUTH SCRAM-SHA-256 =")
        client.err(b"AUTH CRAM-MD5 =")
        client.command(b"AUTH SCRAM-SHA-256")
        assert client.command(b"A" * 50_000).startswith(b"-ERR line too long")
        client.err(b"AUTH PLAIN " + b"A" * 50_000)
        client.err(b"NOOP " + b"A" * 1000)
        client.login(JANE, SIMPLE).quit()


def test_a_wrong_oauth_section_is_refused_at_the_start(make_server, directory):
    for oauth, complaint in (({"issuer": "x"}, "oauth: needs keys, discovery or introspection_url"),
                             ({"keys": ["/nonexistent"]}, "oauth: needs audience"),
                             ({"introspection_url": "https://x.example/"}, "oauth: needs audience"),
                             ({"keys": ["/nonexistent"], "audience": "poplar"}, "/nonexistent: can't be read"),
                             ({"introspection_url": "ftp://x"}, "must begin with https://")):
        server = make_server(start=False, oauth=oauth)
        server.spawn()
        assert server.process.wait(30 * PATIENCE) == 78
        server.wait_log(complaint)
        server.process = None
