"""Deleted mail: kept where no thief reaches it, told apart by who deleted it, and brought back."""

import re
import shlex
import time

import pytest

import netns
from poplar_server import DOMAIN, PASSWORD, CliError

FRED, JANE = f"fred@{DOMAIN}", f"jane@{DOMAIN}"
HOME, *_, ABROAD = netns.sources(300)  # networks of their own


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s"})
    server.add_user(FRED)
    return server


@pytest.fixture
def far_server(crowd, make_server):
    """The same, with clients at many addresses."""
    server = make_server(auth={"allow_plaintext": "always", "failure_delay": "0s", "longest_wait": "0s"})
    server.add_user(FRED)
    return server


def fill(server, count, first=0):
    for number in range(first, first + count):
        server.deliver(FRED, f"From: shop@example.net\r\nSubject: mail {number}\r\n\r\nx\r\n".encode())


def remove(server, numbers, password=PASSWORD, **options):
    with server.login(FRED, password, **options) as client:
        for number in numbers:
            client.ok(b"DELE %d" % number)
        client.quit()


def deleted(server):
    return {m["subject"]: m for m in server.cli("mail", "deleted", FRED)["messages"]}


def inbox(server):
    with server.login(FRED) as client:
        listed = client.uidl()
        client.quit()
    return list(listed.values())


def test_what_a_stolen_device_deleted_comes_back_by_its_id(server):
    fill(server, 6)
    before = inbox(server)
    stolen = server.cli("device", "add", FRED, "--name", "phone", "--view", "shared")
    remove(server, [1, 2, 3], stolen["password"])
    remove(server, [1])
    server.cli("device", "revoke", FRED, "phone")
    assert deleted(server)["mail 0"]["devices"] == [stolen["id"]]
    assert "devices" not in deleted(server)["mail 3"]
    assert stolen["id"] in server.run_cli("mail", "deleted", FRED).stdout
    shown = server.run_cli("mail", "show-deleted", FRED, deleted(server)["mail 1"]["unique_id"]).stdout
    assert "Subject: mail 1" in shown
    planned = server.run_cli("mail", "restore", FRED, "--device", stolen["id"], "--dry-run").stdout
    assert "3 messages" in planned and len(inbox(server)) == 2
    assert server.cli("mail", "restore", FRED, "--device", stolen["id"])["restored"] == 3
    assert inbox(server) == [unique_id for unique_id in before if unique_id != before[3]]
    assert server.cli("mail", "restore", FRED, "--device", stolen["id"])["restored"] == 0
    assert server.cli("mail", "restore", FRED, "--device", "none", "--since", "1h")["restored"] == 1
    assert inbox(server) == before
    with pytest.raises(CliError):
        server.cli("mail", "restore", FRED)
    with pytest.raises(CliError):
        server.cli("mail", "show-deleted", FRED, before[0])


def test_it_can_be_chosen_by_header_and_put_elsewhere(server):
    fill(server, 3)
    server.cli("mailbox", "add", FRED, "Found")
    remove(server, [1, 2, 3])
    asked = ("--subject", "MAIL 1", "--from-header", "shop@", "--mailbox", "inbox", "--to", "Found")
    assert server.cli("mail", "restore", FRED, *asked)["restored"] == 1
    listed = server.cli("mail", "list", FRED, "--mailbox", "Found")["messages"]
    assert [m["subject"] for m in listed] == ["mail 1"]
    assert server.cli("mail", "restore", FRED, "--all")["restored"] == 2


def test_it_is_kept_as_long_as_the_account_says_over_a_restart(make_server):
    server = make_server(storage={"expire_every": "1s"})
    server.add_user(FRED)
    fill(server, 2)
    remove(server, [1])
    server.cli("domain", "set", DOMAIN, "--retention", "60d")
    deadline = time.monotonic() + 30
    while days_between(deleted(server)["mail 0"]) != 60 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert days_between(deleted(server)["mail 0"]) == 60
    server.stop()
    server.start()
    assert server.cli("user", "set", FRED, "--retention", "1d")["retention"] == 86400
    assert days_between(deleted(server)["mail 0"]) == 1
    server.cli("user", "set", FRED, "--retention", "0s")
    while deleted(server) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert deleted(server) == {}, "with no time at all it goes at the next round"


def days_between(message):
    times = [time.mktime(time.strptime(message[key], "%Y-%m-%dT%H:%M:%SZ")) for key in ("deleted", "expires")]
    return round((times[1] - times[0]) / 86400)


def test_an_unusual_deletion_is_told_and_kept_twice_as_long(far_server):
    """The attack: a stolen password, used once from abroad to empty the mailbox."""
    server = far_server
    fill(server, 130)
    before = inbox(server)
    remove(server, range(1, 21), source=HOME)
    time.sleep(1.1)  # the command that the mail names has whole seconds
    remove(server, range(1, 101), source=ABROAD)
    server.wait_log_match(f"activity.unusual_deletion .*{re.escape(ABROAD)}", seconds=60)
    deadline = time.monotonic() + 30
    while not (warned := told(server)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(warned) == 1 and "100 messages" in warned[0]["subject"]
    text = server.run_cli("mail", "show", FRED, warned[0]["unique_id"]).stdout.replace("\r", "")
    command = re.search(r"poplar (mail restore .*?)\n *poplar", text, re.S)[1].replace("\\\n", " ")
    kept = server.cli("mail", "deleted", FRED)["messages"]
    assert sum(days_between(m) == 60 for m in kept) == 100
    assert "restored 100 messages" in server.run_cli(*shlex.split(command)).stdout
    assert set(before[20:]) <= set(inbox(server))


def told(server):
    return [m for m in server.cli("mail", "list", FRED)["messages"] if "were deleted" in m["subject"]]
