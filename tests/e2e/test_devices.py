"""Devices: a password for each client, which can be taken back alone."""

import re
import time

import pytest

from clients.device import PLAIN, TLS
from clients.mpop import Mpop
from credentials import EVERY_MECHANISM
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
    """The reply to PASS. The session is over then, and its lock free."""
    with server.pop3(**options) as client:
        client.ok(b"USER " + FRED.encode())
        reply = client.command(b"PASS " + password.encode())
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


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


def fetch_all(server, password, delete=False):
    """The subjects that a client with this password fetches; deleting them, as most do."""
    subjects = []
    with server.pop3() as client:
        client.login(FRED, password)
        count = int(client.ok(b"STAT").split()[1])
        for number in range(1, count + 1):
            subjects.append(re.search(rb"Subject: (.*)\r\n", client.retr(number))[1].decode())
            if delete:
                client.ok(b"DELE %d" % number)
        client.quit()
    return subjects


def deliver(server, *subjects):
    for subject in subjects:
        server.deliver(FRED, f"Subject: {subject}\r\n\r\nx\r\n".encode())


def in_inbox(server):
    return [message["subject"] for message in server.cli("mail", "list", FRED)["messages"]]


def test_every_device_gets_every_message(make_server):
    server = make_server(auth={"failure_delay": "0s"}, storage={"expire_every": "200ms"})
    server.add_user(FRED)
    deliver(server, "one", "two")
    laptop, phone, late = add(server, "laptop"), add(server, "phone"), add(server, "late", "--since", "now")
    assert fetch_all(server, laptop, delete=True) == ["one", "two"]
    assert fetch_all(server, laptop) == []
    assert fetch_all(server, phone) == ["one", "two"], "what the laptop deleted is there for the phone"
    assert fetch_all(server, late) == []
    deliver(server, "three")
    assert fetch_all(server, laptop, delete=True) == ["three"]
    assert fetch_all(server, late, delete=True) == ["three"]
    assert fetch_all(server, phone, delete=True) == ["one", "two", "three"]
    assert in_inbox(server) == ["one", "two", "three"], "the account's own password has deleted nothing"
    with server.pop3() as client:
        client.login(FRED)
        client.ok(b"DELE 1")
        client.ok(b"DELE 3")
        client.quit()
    server.wait_log_match("housekeeping.done .*unwanted_messages=[12]")
    deadline = time.monotonic() + 10
    while in_inbox(server) != ["two"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert in_inbox(server) == ["two"], "nobody wants the others any more"
    deleted = server.cli("mail", "deleted", FRED)["messages"]
    assert {message["subject"] for message in deleted} == {"one", "three"}
    server.cli("mail", "restore", FRED, next(m["unique_id"] for m in deleted if m["subject"] == "one"))
    assert fetch_all(server, laptop) == ["one"], "what was restored shows again"
    server.stop()
    server.start()
    assert fetch_all(server, phone) == ["one"]


def test_two_devices_fetch_at_the_same_time(server):
    deliver(server, "one")
    laptop, phone = add(server, "laptop"), add(server, "phone")
    with server.pop3() as one, server.pop3() as other, server.pop3() as third:
        one.login(FRED, laptop)
        other.login(FRED, phone)
        one.ok(b"DELE 1")
        one.quit()
        assert b"Subject: one" in other.retr(1)
        third.ok(b"USER " + FRED.encode())
        assert third.command(b"PASS " + phone.encode()).startswith(b"-ERR [IN-USE]"), "a view has one client at a time"


def test_a_device_may_share_the_maildrop(server):
    deliver(server, "one", "two")
    shared = add(server, "old", "--view", "shared")
    assert fetch_all(server, shared, delete=True) == ["one", "two"]
    assert in_inbox(server) == []
    with pytest.raises(CliError, match="since"):
        add(server, "x", "--view", "shared", "--since", "now")
    with pytest.raises(CliError, match="no view"):
        add(server, "x", "--view", "other")
    with pytest.raises(CliError, match="POP3"):
        add(server, "x", "--view", "own", "--protocols", "submission")
    with pytest.raises(CliError, match="no time"):
        add(server, "x", "--since", "yesterday")
    assert set(devices(server)) == {"old"} and devices(server)["old"]["view"] == "shared"


def test_with_the_last_device_what_was_deleted_goes(server):
    deliver(server, "one", "two")
    laptop = add(server, "laptop")
    with server.pop3() as client:
        client.login(FRED)
        client.ok(b"DELE 1")
        client.quit()
    assert in_inbox(server) == ["one", "two"]
    assert fetch_all(server, laptop) == ["one", "two"]
    server.cli("device", "revoke", FRED, "laptop")
    assert in_inbox(server) == ["two"]


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


def test_a_program_that_insists_on_scram_logs_in_with_a_devices_password(make_server, directory, need):
    need(*Mpop.programs)
    server = make_server(auth={"failure_delay": "0s", "mechanisms": EVERY_MECHANISM, "scram_keys": ["SHA-256", "SHA-1"]})
    server.add_user(FRED)
    phone, tablet = add(server, "phone"), add(server, "tablet", "--read-only")
    runs = [(mechanism, transport) for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256") for transport in (PLAIN, TLS)]
    logins = 0

    def fetch(password, mechanism, transport, **more):
        nonlocal logins
        logins += 1
        return Mpop(server, FRED, password, directory / f"mpop{logins}").fetch(True, transport, mechanism, **more)

    server.deliver(FRED, b"Subject: one\r\n\r\nx\r\n")
    for password in (phone, phone.replace("-", "")):
        for mechanism, transport in runs:
            assert len(fetch(password, mechanism, transport)) == 1
    server.cli("user", "password", FRED, "--generate")
    assert len(fetch(tablet, *runs[-1])) == 1, "a new password of the account leaves devices as they are"
    used = devices(server)
    assert (used["phone"]["logins"], used["phone"]["fetched"], used["tablet"]["logins"]) == (2 * len(runs), 2 * len(runs), 1)
    server.cli("device", "revoke", FRED, "phone")
    assert fetch(phone, *runs[-1], fails=True) == []
