"""Devices: a password for each client, which can be taken back alone."""

import re
import time

import pytest

from poplar_server import DOMAIN, CliError, Pop3

FRED = f"fred@{DOMAIN}"


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s"})
    server.add_user(FRED)
    return server


def add(server, name, *options):
    return server.cli("device", "add", FRED, "--name", name, *options)["password"]


def devices(server):
    return {device["name"]: device for device in server.cli("device", "list", FRED)["devices"]}


def log_in(server, password, **options):
    """The reply to PASS."""
    with server.pop3(**options) as client:
        client.ok(b"USER " + FRED.encode())
        return client.command(b"PASS " + password.encode())


def test_a_device_has_a_password_of_its_own_that_is_shown_once(server):
    password = add(server, "old laptop")
    assert re.fullmatch(r"([0-9a-hjkmnp-tv-z]{7}-){3}[0-9a-hjkmnp-tv-z]{7}", password)
    for typed in (password, password.replace("-", ""), password.upper(), password.replace("-", " ")):
        assert log_in(server, typed).startswith(b"+OK")
    assert log_in(server, password[:-1] + ("0" if password[-1] != "0" else "1")).startswith(b"-ERR [AUTH]")
    listed = server.run_cli("device", "list", FRED).stdout
    assert "old laptop" in listed and password not in listed
    server.wait_log_match('pop3.login .*device="?old laptop')


def test_revoking_works_at_once_and_ends_its_session_alone(server):
    phone, tablet = add(server, "phone"), add(server, "tablet")
    with server.pop3() as mine:
        mine.login(FRED, phone)
        assert server.cli("device", "revoke", FRED, "phone")["sessions_ended"] == 1
        assert mine.closed() is not None
    assert log_in(server, phone).startswith(b"-ERR [AUTH]")
    assert log_in(server, tablet).startswith(b"+OK")
    with pytest.raises(CliError):
        server.cli("device", "revoke", FRED, "phone")


def test_a_device_does_what_it_may_and_no_more(server):
    for number in range(3):
        server.deliver(FRED, f"Subject: {number}\r\n\r\nx\r\n".encode())
    reader = add(server, "reader", "--read-only")
    with server.pop3() as client:
        client.login(FRED, reader)
        client.retr(1)
        assert client.err(b"DELE 1").startswith(b"-ERR [SYS/PERM]")
        client.quit()
    assert log_in(server, add(server, "web", "--protocols", "imap")).startswith(b"-ERR [AUTH]")
    assert log_in(server, add(server, "home", "--from", "192.0.2.0/24")).startswith(b"-ERR [AUTH]")
    assert log_in(server, add(server, "here", "--from", "127.0.0.0/8")).startswith(b"+OK")
    short = add(server, "guest", "--expires", "1s")
    time.sleep(1.2)
    assert log_in(server, short).startswith(b"-ERR [AUTH]")


def test_the_list_says_what_each_did(server):
    server.deliver(FRED, b"Subject: one\r\n\r\nx\r\n")
    phone = add(server, "phone")
    add(server, "unused")
    with server.pop3() as client:
        client.login(FRED, phone)
        client.retr(1)
        client.ok(b"DELE 1")
        client.quit()
    deadline = time.monotonic() + 10
    while devices(server)["phone"]["deleted"] == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    used = devices(server)["phone"]
    assert (used["logins"], used["fetched"], used["deleted"]) == (1, 1, 1)
    assert used["last_from"] == "127.0.0.1" and used["last_protocol"] == "pop3" and used["last_used"]
    assert devices(server)["unused"]["last_used"] is None
    server.stop()
    server.start()
    assert devices(server)["phone"]["fetched"] == 1


def test_devices_go_with_their_account(server):
    phone = add(server, "phone")
    server.cli("user", "remove", FRED)
    server.add_user(FRED)
    assert log_in(server, phone).startswith(b"-ERR [AUTH]")
    assert devices(server) == {}


def test_wrong_wishes_are_refused_with_a_reason(server):
    add(server, "phone")
    for arguments, reason in ((("--name", "phone"), "already"), (("--name", ""), "name"),
                              (("--name", "x", "--from", "nowhere"), "nowhere"),
                              (("--name", "x", "--protocols", "gopher"), "gopher")):
        with pytest.raises(CliError, match=reason):
            server.cli("device", "add", FRED, *arguments)
    assert set(devices(server)) == {"phone"}
