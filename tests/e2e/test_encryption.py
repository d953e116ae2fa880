"""Mail that is encrypted at rest: who opens it, who does not, and what the data directory shows."""

import base64
import hashlib
import hmac
import imaplib
import poplib
import re
import subprocess
import time

import pytest

from poplar_server import DOMAIN, PASSWORD, CliError, run_poplar

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
    data = server.data
    server.stop()
    assert found_in(data, SUBJECT, BODY, SENDER, "quay.4417") == set()
    assert found_in(data, EVE.split("@")[0]), "the search finds what is there"


def test_nothing_is_left_of_mail_that_was_there_before(server):
    """Live, deleted, copied, large; what IMAP kept of it; and a backup of the time after."""
    server.deliver(EVE, MESSAGE)
    server.deliver(EVE, b"Subject: second\r\n\r\n" + f"{BODY} again\r\n".encode() * 20_000)
    server.deliver(EVE, MESSAGE.replace(b"quay.4417", b"quay.4418"))
    with imap(server) as client:
        client.select("INBOX")
        client.create("Kept")
        assert client.copy("1", "Kept")[0] == "OK"
        assert client.fetch("1:*", "(ENVELOPE BODYSTRUCTURE EMAILID THREADID)")[0] == "OK"
        before = client.fetch("1:*", "(EMAILID RFC822.SIZE)")
    with server.login(EVE) as client:
        client.ok(b"DELE 3")
        client.quit()
    enable(server)
    wait_on(server)
    status = server.cli("encryption", "status", EVE)
    assert status["since"]
    with imap(server) as client:
        client.select("INBOX")
        assert client.fetch("1:*", "(EMAILID RFC822.SIZE)")[1] == before[1][:2]
    assert server.run_cli("verify").returncode == 0
    backup = server.directory / "backups"
    server.cli("backup", str(backup))
    data = server.data
    server.stop()
    for directory in (data, backup):
        assert found_in(directory, SUBJECT, BODY, SENDER, "quay.4417", "quay.4418") == set()


def imap(server, password=PASSWORD):
    client = imaplib.IMAP4("127.0.0.1", server.port["imap"])
    client.login(EVE, password)
    return client


def test_imap_reads_searches_and_stores_encrypted_mail(server):
    device = server.cli("device", "add", EVE, "--name", "phone")["password"]
    enable(server)
    server.deliver(EVE, MESSAGE)
    with pytest.raises(imaplib.IMAP4.error, match="the mail is encrypted"):
        imap(server, device)
    with imap(server) as client:
        assert client.select("INBOX") == ("OK", [b"1"])
        assert BODY.encode() in client.fetch("1", "BODY.PEEK[]")[1][0][1]
        assert SENDER.split("@")[0].encode() in client.fetch("1", "ENVELOPE")[1][0]
        assert client.search(None, "TEXT", '"lighthouse"') == ("OK", [b"1"])
        assert client.search(None, "SUBJECT", '"Pellworm"') == ("OK", [b"1"])
        assert client.sort("(SUBJECT)", "UTF-8", "ALL") == ("OK", [b"1"])
        assert client.append("INBOX", None, None, MESSAGE)[0] == "OK"
        client.create("Other")
        assert client.copy("1:2", "Other")[0] == "OK"
        client.select("Other")
        assert BODY.encode() in client.fetch("2", "BODY.PEEK[]")[1][0][1]
    with imap(server, device) as client:
        client.select("Other")
        assert BODY.encode() in client.fetch("1", "BODY.PEEK[TEXT]")[1][0][1]
    data = server.data
    server.stop()
    assert found_in(data, SUBJECT, BODY, SENDER, "quay.4417") == set()


def test_deleted_mail_comes_back_and_only_its_envelope_stays_hidden(server):
    enable(server)
    server.deliver(EVE, MESSAGE)
    with server.login(EVE) as client:
        ids = client.uidl()
        client.ok(b"DELE 1")
        client.quit()
    (gone,) = server.cli("mail", "deleted", EVE)["messages"]
    assert gone["error"] == "denied" and not gone["subject"]
    with pytest.raises(CliError, match="encrypted"):
        server.cli("mail", "show-deleted", EVE, gone["unique_id"])
    server.cli("mail", "restore", EVE, gone["unique_id"])
    with server.login(EVE) as client:
        assert client.uidl() == ids
        assert BODY.encode() in client.retr(1)


def test_filters_file_what_they_see_before_it_is_encrypted(server):
    script = ('require ["fileinto", "mailbox", "vacation"];\n'
              'vacation "I am away.";\n'
              'if header :contains "subject" "Pellworm" { fileinto :create "Mergers"; }\n')
    server.cli("sieve", "put", EVE, "main", input=script)
    server.cli("sieve", "activate", EVE, "main")
    enable(server)
    server.deliver(EVE, MESSAGE)
    with imap(server) as client:
        assert client.select("Mergers") == ("OK", [b"1"])
        assert BODY.encode() in client.fetch("1", "BODY.PEEK[]")[1][0][1]


def test_imported_mail_is_encrypted_and_export_needs_a_login(server):
    enable(server)
    path = server.directory / "mbox"
    path.write_bytes(b"From x Thu Jan  1 00:00:00 2026\n" + MESSAGE.replace(b"\r\n", b"\n"))
    server.cli("import", EVE, "--mbox", path)
    assert BODY.encode() in everything(server)
    path.unlink()
    with pytest.raises(CliError, match="encrypted"):
        server.cli("export", EVE, "--maildir", server.directory / "out")
    data = server.data
    server.stop()
    assert found_in(data, SUBJECT, BODY, SENDER) == set()


def test_an_escrow_key_opens_it_for_a_new_password_and_is_logged(make_server, tmp_path):
    key = tmp_path / "escrow"
    made = run_poplar("encryption", "escrow-key", key)
    public = re.search(r'escrow = "([^"]+)"', made.stdout)[1]
    server = make_server(encryption={"escrow": public}, auth={"failure_delay": "0s"})
    server.add_user(EVE)
    assert enable(server)["escrow"]
    server.deliver(EVE, MESSAGE)
    server.cli("user", "password", EVE, "--escrow-key", key, "--password-stdin", input=NEW + "\n")
    assert BODY.encode() in everything(server, NEW)
    server.wait_log_match(rf"admin\.escrow_used .*account={EVE}")
    key.write_text(base64.b64encode(bytes(32)).decode())
    with pytest.raises(CliError, match="escrow"):
        server.cli("user", "password", EVE, "--escrow-key", key, "--password-stdin", input=NEW + "\n")


def test_a_domain_begins_account_by_account(server):
    other = f"adam@{DOMAIN}"
    server.add_user(other)
    assert server.cli("encryption", "enable", "--domain", DOMAIN)["wanted"] == 2
    assert reply_to(server, PASSWORD).startswith(b"+OK")
    wait_on(server)
    assert server.cli("encryption", "status", other)["state"] == "wanted"
    assert server.cli("encryption", "enable", "--domain", DOMAIN)["encrypted"] == 1


def test_every_login_with_the_password_opens_it_and_others_are_told_why_not(server):
    server.cli("user", "secret", EVE, "--secret-stdin", input="0123456789abcdefghij\n")
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
    # This server offers CRAM-MD5, too, which can't open it.
    fetched = subprocess.run(["curl", "-sS", f"pop3://{host}:{port}/1", "-u", f"{EVE}:{PASSWORD}",
                              "--login-options", "AUTH=PLAIN"], check=True, capture_output=True, timeout=60)
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
