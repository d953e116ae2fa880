"""An account's activity: who emptied the mailbox, and how to undo that; open sessions, and ending one."""

import re
import shlex
import subprocess
import time

import pytest

import netns
from clients.mpop import Mpop
from poplar_server import BINARY, DOMAIN, PASSWORD, CliError

FRED, JANE = f"fred@{DOMAIN}", f"jane@{DOMAIN}"
HOME, ABROAD, *STRANGERS = netns.sources(80)


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s", "longest_wait": "0s"})
    server.add_user(FRED)
    return server


@pytest.fixture
def far_server(crowd, make_server):
    """The same, with clients at many addresses."""
    server = make_server(auth={"allow_plaintext": "always", "failure_delay": "0s", "longest_wait": "0s"},
                         activity={"entries": 40})
    server.add_user(FRED)
    return server


def fill(server, count):
    for number in range(count):
        server.deliver(FRED, f"Subject: {number}\r\n\r\nx\r\n".encode())


def empty(server, password=PASSWORD, **options):
    with server.login(FRED, password, **options) as client:
        for number in client.uidl():
            client.ok(b"DELE %d" % number)
        client.quit()


def activity(server, *options):
    return server.cli("activity", FRED, *options)["entries"]


def only(server, kind, *options):
    entries = activity(server, "--kind", kind, *options)
    assert len(entries) == 1, entries
    return entries[0]


def test_who_emptied_the_mailbox_is_one_command_and_the_next_brings_it_back(far_server):
    """The attack: a stolen device password, used from abroad in the night."""
    server = far_server
    fill(server, 25)
    before = {unique_id for unique_id, _ in server.fetch_all(FRED)}
    stolen = server.cli("device", "add", FRED, "--name", "old laptop", "--view", "shared")["password"]
    empty(server, stolen, source=ABROAD)
    with server.login(FRED, source=HOME) as owner:
        assert owner.uidl() == {}
        owner.quit()
    shown = server.run_cli("activity", FRED, "--kind", "deleted").stdout
    line = next(line for line in shown.splitlines() if "25 messages" in line)
    assert "old laptop" in line and ABROAD in line and "pop3" in line
    command = re.search(r"^ +poplar (mail restore .*)$", shown, re.M)[1]
    assert "restored 25 messages" in server.run_cli(*shlex.split(command)).stdout
    assert {unique_id for unique_id, _ in server.fetch_all(FRED)} == before
    assert only(server, "restored")["messages"] == 25


def test_guesses_never_push_out_a_deletion(far_server):
    """The attack: empty the mailbox, then guess from everywhere so that nobody can find out."""
    server = far_server
    fill(server, 3)
    empty(server, source=ABROAD)
    for number, stranger in enumerate(STRANGERS):
        with server.pop3(source=stranger) as client:
            client.ok(b"USER " + FRED.encode())
            client.err(b"PASS guess %d" % number)
    deleted = only(server, "deleted")
    assert (deleted["messages"], deleted["from"]) == (3, ABROAD)
    refused = activity(server, "--kind", "refused")
    assert 30 <= len(refused) <= 41 and all(entry["detail"] in ("wrong password", "") for entry in refused)


def test_a_client_that_polls_counts_up_one_entry(server, tmp_path):
    server.add_user(JANE)
    client = Mpop(server, FRED, PASSWORD, tmp_path)
    fill(server, 2)
    assert len(client.fetch(keep=True)) == 2
    for _ in range(5):
        client.fetch(keep=True)
    login = only(server, "login")
    assert login["times"] == 6 and login["from"] == "127.0.0.1" and login["protocol"] == "pop3"
    fetched = only(server, "fetched")
    assert fetched["messages"] == 2
    assert server.cli("activity", JANE)["entries"][0]["detail"] == "account added"


def test_it_outlives_the_server_and_goes_on(server):
    fill(server, 1)
    empty(server)
    server.stop()
    server.start()
    empty(server)
    assert only(server, "login")["times"] == 2
    assert only(server, "deleted")["messages"] == 1
    server.kill()
    server.start()
    assert only(server, "deleted")["messages"] == 1, "it was read, and so written"


def test_changes_of_credentials_and_what_the_administrator_does_are_told(server):
    fill(server, 1)
    device = server.cli("device", "add", FRED, "--name", "phone")
    server.cli("user", "password", FRED, "--password-stdin", input="another one\n")
    server.cli("device", "revoke", FRED, "phone")
    server.cli("user", "disable", FRED)
    entries = activity(server, "--kind", "credential")
    assert [entry["detail"] for entry in entries] == ["account added", "device added", "password set", "device revoked",
                                                      "account disabled"]
    assert entries[1]["device"] == device["id"] and entries[1]["device_name"] == "phone"
    unique_id = server.cli("mail", "list", FRED)["messages"][0]["unique_id"]
    server.cli("mail", "remove", FRED, unique_id)
    assert only(server, "deleted")["protocol"] == "admin"


def test_a_deletion_in_a_view_of_its_own_is_told_as_such(server):
    fill(server, 2)
    empty(server, server.cli("device", "add", FRED, "--name", "tablet")["password"])
    deleted = only(server, "deleted")
    assert (deleted["detail"], deleted["device_name"], deleted["messages"]) == ("in its own view", "tablet", 2)
    assert "mail restore" not in server.run_cli("activity", FRED).stdout


def test_what_is_asked_for_is_shown(server):
    server.login(FRED).quit()
    assert activity(server, "--since", "1h") and not activity(server, "--since", "2100-01-01")
    assert {entry["kind"] for entry in activity(server, "--kind", "login,credential")} == {"login", "credential"}
    for wrong in (["--since", "soon"], ["--kind", "logins"]):
        with pytest.raises(CliError):
            activity(server, *wrong)
    with pytest.raises(CliError):
        server.cli("activity", f"nobody@{DOMAIN}")


def test_it_can_be_followed(server):
    follower = subprocess.Popen([BINARY, "activity", FRED, "--follow", "--config", server.config_file],
                                stdout=subprocess.PIPE, text=True)
    try:
        while "account added" not in follower.stdout.readline():
            pass
        server.login(FRED).quit()
        while "login" not in follower.stdout.readline():
            pass
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()


def test_old_entries_are_forgotten_and_none_are_made_if_it_is_off(server, make_server):
    off = make_server(activity={"keep": "0s"})
    off.add_user(FRED)
    off.login(FRED).quit()
    assert activity(off) == []


def sessions(server, *options):
    return server.cli("sessions", "list", *options)["sessions"]


def test_open_sessions_of_all_protocols_are_listed_and_one_can_be_ended(server):
    server.add_user(JANE)
    phone = server.cli("device", "add", FRED, "--name", "phone")["password"]
    fill(server, 1)
    with server.login(FRED, phone) as fred, server.login(JANE) as jane, server.pop3s() as stranger, server.smtp() as smtp:
        everybody = sessions(server)
        assert sorted(one["protocol"] for one in everybody) == ["pop3", "pop3", "pop3s", "smtp"]
        assert [one["tls"] for one in everybody if one["protocol"] == "pop3s"] == [True]
        mine = sessions(server, FRED)
        assert len(mine) == 1
        mine = mine[0]
        assert (mine["account"], mine["device"], mine["from"], mine["state"]) == (FRED, "phone", "127.0.0.1", "waiting")
        assert mine["id"] in server.log()
        fred.ok(b"DELE 1")
        assert server.cli("sessions", "end", mine["id"])["account"] == FRED
        assert fred.closed() is not None
        server.wait_log_match(f"pop3.end session={mine['id']} .*reason=ended_by_operator")
        server.wait_log(f"admin.session_ended session={mine['id']}")
        with pytest.raises(CliError):
            server.cli("sessions", "end", mine["id"])
        jane.ok(b"NOOP")
        (mail,) = [one for one in sessions(server) if one["protocol"] == "smtp"]
        server.cli("sessions", "end", mail["id"])
        assert smtp.closed() is not None
        stranger.ok(b"CAPA")
    assert len(server.fetch_all(FRED)) == 1, "what was marked for deletion is not deleted"
    shown = server.run_cli("sessions", "list").stdout
    assert shown.startswith("ID")


def test_how_long_a_session_is_idle_is_told(server):
    with server.login(FRED) as client:
        time.sleep(1.2)
        assert sessions(server)[0]["idle_seconds"] >= 1
        client.ok(b"NOOP")
        assert sessions(server)[0]["idle_seconds"] == 0
