"""The log: one line an event, whatever strangers send, with session, peer and account; never a secret."""

import base64
import json
import os
import signal
import time

import pytest

from poplar_server import DOMAIN, PASSWORD, make_message, to_toml


def events(server, name=None):
    found = [json.loads(line) for line in server.log().split("\n") if line]
    return [event for event in found if name in (None, event["event"])]


def wait_event(server, name):
    server.wait_log(f'"{name}"')
    return events(server, name)


def test_every_line_is_json_and_no_line_has_a_secret(make_server):
    server = make_server(log={"format": "json", "level": "debug"})
    account = server.add_user(f"u@{DOMAIN}")
    odd = [b"\xff\xfe\"evil\\ =name@x", "ü\u2028{}@x".encode(), b"%s%n@x", b"a@b event=forged", b"'; --"]
    for name in odd:
        with server.pop3() as client:
            client.send(b"USER " + name + b"\r\nPASS hush-hush\r\n")
            client.send(b"hush-hush\r\nQUIT\r\n")
            client.closed()
    with server.pop3() as client:
        plain = base64.b64encode(b"\0" + account.encode() + b"\0hush-hush")
        client.send(b"AUTH PLAIN\r\n" + plain + b"\r\nAUTH PLAIN " + plain + b"\r\nQUIT\r\n")
        client.closed()
    with server.smtp() as client:
        client.hello()
        client.send_message("\"a b\"@elsewhere.example", [account], make_message("hush-hush"))
    server.login(account).quit()

    (login,) = wait_event(server, "pop3.login")
    assert login["account"] == account and login["peer"] == "127.0.0.1" and login["session"]
    (message,) = wait_event(server, "smtp.message")
    assert message["to"] == account and message["from"] == '"a b"@elsewhere.example'
    assert message["session"] and message["peer"] == "127.0.0.1" and message["stored"] == 1
    assert len(wait_event(server, "pop3.auth_failed")) >= len(odd)
    assert all({"time", "level", "event"} <= event.keys() for event in events(server))
    for secret in ("hush-hush", base64.b64encode(b"hush-hush").decode().rstrip("="), PASSWORD, plain.decode()):
        assert secret not in server.log()


def test_the_log_is_opened_anew_even_with_a_broken_configuration(make_server, directory):
    file = directory / "logs" / "poplar.log"
    server = make_server(start=False, log={"file": str(file)})
    server.spawn()
    deadline = time.monotonic() + 60
    while not file.exists() or "server.ready" not in file.read_text():
        assert time.monotonic() < deadline and server.process.poll() is None
        time.sleep(0.05)
    server.config["colour"] = "red"
    server.config_file.write_text(to_toml(server.config))
    file.rename(file.with_suffix(".1"))
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not file.exists() or "colour" not in file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
def test_a_log_that_is_no_file_stays_whose_it_is(make_server, directory):
    directory.chmod(0o755)
    server = make_server(start=False, user="nobody", log={"file": "/dev/null"})
    for path in (server.directory, server.certificate, server.key):
        os.chown(path, 65534, 65534)
    before = os.stat("/dev/null").st_uid
    server.spawn()
    deadline = time.monotonic() + 60
    while server.run_cli("status").returncode != 0:
        assert time.monotonic() < deadline and server.process.poll() is None
        time.sleep(0.05)
    assert os.stat("/dev/null").st_uid == before
