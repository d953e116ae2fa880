"""Mail that is encrypted at rest: who opens it, who does not, and what the data directory shows."""

import base64
import hashlib
import hmac
import pathlib
import poplib
import re
import subprocess
import time

import pytest

from poplar_server import DOMAIN, PASSWORD, CliError

EVE = f"eve@{DOMAIN}"
SUBJECT = "the merger of Ashgrove and Pellworm"
BODY = "meet me behind the lighthouse at midnight"
SENDER = "informant-7731@elsewhere.example"
MESSAGE = (f"From: {SENDER}\r\nTo: {EVE}\r\nSubject: {SUBJECT}\r\nMessage-ID: <quay.4417@elsewhere.example>\r\n\r\n"
           f"{BODY}\r\n").encode()
NEW = "a new password of eve"


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s", "scram_keys": ["SHA-256"],
                               "mechanisms": ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]},
                         pop3={"apop": True})
    server.add_user(EVE)
    return server


def enable(server, *options, password=PASSWORD):
    return server.cli("encryption", "enable", EVE, "--password-stdin", *options, input=password + "\n")


def state(server):
    return server.cli("encryption", "status", EVE)["state"]


def wait_on(server, seconds=60):
    end = time.monotonic() + seconds
    while state(server) != "on":
        assert time.monotonic() < end, server.run_cli("encryption", "status", EVE).stdout
        time.sleep(0.2)


def everything(server, password=PASSWORD):
    return b"".join(octets for _, octets in server.fetch_all(EVE, password))


def reply_to(server, password, **options):
    with server.pop3(**options) as client:
        client.ok(b"USER " + EVE.encode())
        reply = client.command(b"PASS " + password.encode())
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


def spellings(text):
    """As it may stand in a file: plain, in UTF-16, in base64 at each of three offsets."""
    octets = text.encode()
    yield octets
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    for offset in range(3):
        coded = base64.b64encode(b"x" * offset + octets)
        yield coded[(0, 4, 4)[offset]:len(coded) - 4]


def found_in(directory, *texts):
    """The texts that some file of the directory shows, in any spelling."""
    found = set()
    for path in directory.rglob("*"):
        if not path.is_file():
            continue
        content = path.read_bytes()
        for text in texts:
            if any(spelling in content for spelling in spellings(text)):
                found.add((text, path.name))
    return found


def test_the_stopped_data_directory_shows_nothing_of_encrypted_mail(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    with server.login(EVE) as client:  # what a session leaves behind counts, too
        assert BODY.encode() in client.retr(1)
        client.multi(b"TOP 1 0")
    data = pathlib.Path(server.config["data_dir"])
    server.stop()
    assert found_in(data, SUBJECT, BODY, SENDER, "quay.4417") == set()
    assert found_in(data, EVE.split("@")[0]), "the search finds what is there"


def test_every_login_with_the_password_opens_it_and_others_are_told_why_not(server):
    server.cli("user", "secret", EVE, input="0123456789abcdefghij\n")
    enable(server)
    server.deliver(EVE, MESSAGE)
    for _ in range(2):  # hashed, then remembered
        assert reply_to(server, PASSWORD).startswith(b"+OK")
        assert BODY.encode() in everything(server)
    with server.pop3() as client:
        response = base64.b64encode(f"\0{EVE}\0{PASSWORD}".encode())
        assert client.command(b"AUTH PLAIN " + response).startswith(b"+OK")
        assert BODY.encode() in client.retr(1)
        client.quit()
    with server.pop3() as client:
        timestamp = re.search(rb"<[^>]+>", client.greeting)[0]
        digest = hashlib.md5(timestamp + b"0123456789abcdefghij").hexdigest().encode()
        reply = client.command(b"APOP " + EVE.encode() + b" " + digest)
        assert reply.startswith(b"-ERR [AUTH]") and b"encrypted" in reply
    with server.pop3() as client:
        challenge = base64.b64decode(client.command(b"AUTH CRAM-MD5")[2:])
        digest = hmac.new(b"0123456789abcdefghij", challenge, "md5").hexdigest()
        reply = client.command(base64.b64encode(f"{EVE} {digest}".encode()))
        assert reply.startswith(b"-ERR [AUTH]") and b"encrypted" in reply


def scram_login(client, password):
    """SCRAM-SHA-256 (RFC 7677), and what the server says at its end."""
    nonce = "fyko+d2lbbFgONRv9qkxdawL"
    bare = f"n={EVE},r={nonce}"
    reply = client.command(b"AUTH SCRAM-SHA-256 " + base64.b64encode(b"n,," + bare.encode()))
    assert reply.startswith(b"+ "), reply
    first = base64.b64decode(reply[2:]).decode()
    fields = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without = f"c=biws,r={fields['r']}"
    signature = hmac.digest(hashlib.sha256(client_key).digest(), f"{bare},{first},{without}".encode(), "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature))
    reply = client.command(base64.b64encode(f"{without},p={base64.b64encode(proof).decode()}".encode()))
    if not reply.startswith(b"+ "):
        return reply
    return client.command(b"")


def test_scram_opens_it(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    with server.pop3() as client:
        assert scram_login(client, PASSWORD).startswith(b"+OK")
        assert BODY.encode() in client.retr(1)
        client.quit()


def test_poplib_and_curl_read_it(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    host, port = "127.0.0.1", server.port["pop3"]
    client = poplib.POP3(host, port, timeout=30)
    client.user(EVE)
    client.pass_(PASSWORD)
    assert BODY.encode() in b"\n".join(client.retr(1)[1])
    assert SUBJECT.encode() in b"\n".join(client.top(1, 0)[1])
    client.quit()
    fetched = subprocess.run(["curl", "-sS", f"pop3://{host}:{port}/1", "-u", f"{EVE}:{PASSWORD}"],
                             check=True, capture_output=True, timeout=60)
    assert BODY.encode() in fetched.stdout


def test_large_messages_come_back_whole(server):
    enable(server)
    line = b"0123456789 of a long message\r\n"
    large = b"Subject: large\r\n\r\n" + line * 100_000
    server.deliver(EVE, large)
    ((_, fetched),) = server.fetch_all(EVE)
    assert fetched.endswith(large)


def test_mail_of_before_is_encrypted_and_decrypted_again(server):
    server.deliver(EVE, MESSAGE)
    before = server.fetch_all(EVE)
    with server.login(EVE) as client:
        ids = client.uidl()
    assert enable(server)["recovery_code"]
    wait_on(server)
    assert server.fetch_all(EVE) == before
    with server.login(EVE) as client:
        assert client.uidl() == ids
    assert server.run_cli("verify").returncode == 0
    ended = server.cli("encryption", "disable", EVE, "--password-stdin", input=PASSWORD + "\n")
    assert ended["state"] == "off"
    assert server.fetch_all(EVE) == before
    with server.login(EVE) as client:
        assert client.uidl() == ids


def test_without_a_password_it_begins_at_the_next_login(server):
    assert server.cli("encryption", "enable", EVE)["state"] == "wanted"
    server.deliver(EVE, MESSAGE)
    assert reply_to(server, PASSWORD).startswith(b"+OK")
    wait_on(server)
    assert BODY.encode() in everything(server)


def test_a_new_password_opens_it_if_the_old_one_or_the_recovery_code_is_given(server):
    code = enable(server)["recovery_code"]
    server.deliver(EVE, MESSAGE)
    with pytest.raises(CliError) as refused:
        server.cli("user", "password", EVE, "--password-stdin", input=NEW + "\n")
    assert "encrypted" in str(refused.value)
    assert reply_to(server, PASSWORD).startswith(b"+OK"), "nothing was changed"
    with pytest.raises(CliError):
        server.cli("user", "password", EVE, "--old-password-stdin", "--password-stdin", input=f"wrong\n{NEW}\n")
    server.cli("user", "password", EVE, "--old-password-stdin", "--password-stdin", input=f"{PASSWORD}\n{NEW}\n")
    assert reply_to(server, PASSWORD).startswith(b"-ERR [AUTH]")
    assert BODY.encode() in everything(server, NEW)
    with server.pop3() as client:
        assert scram_login(client, NEW).startswith(b"+OK")
        client.quit()
    server.cli("user", "password", EVE, "--recovery-code", code, "--password-stdin", input="a third one\n")
    assert BODY.encode() in everything(server, "a third one")
    server.cli("encryption", "recovery-code", EVE, "--password-stdin", input="a third one\n")
    with pytest.raises(CliError):
        server.cli("user", "password", EVE, "--recovery-code", code, "--password-stdin", input=NEW + "\n")


def test_mail_that_nobody_opens_any_more_can_be_given_up(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    server.cli("user", "password", EVE, "--lose-mail", "--password-stdin", input=NEW + "\n")
    assert server.fetch_all(EVE, NEW) == []
    server.deliver(EVE, MESSAGE)
    assert BODY.encode() in everything(server, NEW)


def test_devices_open_it_after_the_next_login_with_the_password(server):
    old = server.cli("device", "add", EVE, "--name", "phone")["password"]
    enable(server)
    server.deliver(EVE, MESSAGE)
    reply = reply_to(server, old)
    assert reply.startswith(b"-ERR [AUTH]") and b"encrypted" in reply
    new = server.cli("device", "add", EVE, "--name", "tablet")["password"]
    assert reply_to(server, PASSWORD).startswith(b"+OK")
    for device in (old, new):
        assert reply_to(server, device).startswith(b"+OK")
        with server.login(EVE, device) as client:
            assert BODY.encode() in client.retr(1)
    with server.pop3() as client:
        assert scram_login(client, new).startswith(b"+OK")
        client.quit()
    server.cli("device", "revoke", EVE, "tablet")
    assert reply_to(server, new).startswith(b"-ERR [AUTH]")
    assert BODY.encode() in everything(server)


def test_a_restart_changes_nothing(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    server.kill()
    server.start()
    server.deliver(EVE, MESSAGE)
    assert len(server.fetch_all(EVE)) == 2
