"""Mailboxes beside INBOX, as an administrator sees them; POP3 sees INBOX alone."""

import subprocess

import pytest

from poplar_server import BINARY, DOMAIN, CliError

FRED = f"fred@{DOMAIN}"


@pytest.fixture
def server(make_server):
    server = make_server()
    server.add_user(FRED)
    return server


def put(server, subject, *options):
    message = f"From: a@b.example\nSubject: {subject}\n\nText.\n"
    server.cli("deliver", FRED, *options, input=message)


def names(server):
    return {one["name"]: one for one in server.cli("mailbox", "list", FRED)["mailboxes"]}


def mail(server, *options):
    return server.cli("mail", "list", FRED, *options)["messages"]


def test_mailboxes_are_added_renamed_subscribed_and_removed(server):
    before = set(names(server))
    assert "INBOX" in before
    server.cli("mailbox", "add", FRED, "Work/Bills äöü", "--use", "archive")
    assert {"Work", "Work/Bills äöü"} <= set(names(server))
    assert names(server)["Work/Bills äöü"]["use"] == "archive"
    server.cli("mailbox", "rename", FRED, "Work", "Old")
    assert set(names(server)) == before | {"Old", "Old/Bills äöü"}
    server.cli("mailbox", "subscribe", FRED, "Old")
    assert names(server)["Old"]["subscribed"]
    server.cli("mailbox", "unsubscribe", FRED, "Old")
    assert not names(server)["Old"]["subscribed"]
    server.cli("mailbox", "remove", FRED, "Old/Bills äöü")
    assert set(names(server)) == before | {"Old"}
    for arguments in (("add", FRED, "Old"), ("add", FRED, "inbox"), ("remove", FRED, "None"), ("remove", FRED, "INBOX"),
                      ("rename", FRED, "INBOX", "x"), ("add", FRED, "x", "--use", "nonsense")):
        with pytest.raises(CliError):
            server.cli("mailbox", *arguments)


def test_messages_are_delivered_moved_copied_and_flagged(server):
    server.cli("mailbox", "add", FRED, "Work")
    put(server, "one")
    put(server, "two", "--mailbox", "Work")
    with pytest.raises(CliError, match="no mailbox"):
        put(server, "three", "--mailbox", "Nowhere")
    assert [m["subject"] for m in mail(server)] == ["one"]
    assert [m["subject"] for m in mail(server, "--mailbox", "Work")] == ["two"]
    one, two = mail(server)[0]["unique_id"], mail(server, "--mailbox", "Work")[0]["unique_id"]
    server.cli("mail", "move", FRED, one, "Work")
    assert mail(server) == []
    assert {m["unique_id"] for m in mail(server, "--mailbox", "Work")} == {one, two}
    copy = server.cli("mail", "copy", FRED, one, "INBOX")
    assert copy["unique_id"] != one and copy["octets"] == mail(server)[0]["octets"]
    flagged = server.cli("mail", "flag", FRED, one, "--add", "seen", "--add", "Important")
    assert set(flagged["flags"]) == {"seen", "Important"}
    assert server.cli("mail", "flag", FRED, one, "--remove", "seen")["flags"] == ["Important"]
    assert names(server)["Work"]["messages"] == 2 and names(server)["Work"]["unseen"] == 2
    (unique_id, octets), = server.fetch_all(FRED)
    assert unique_id == copy["unique_id"] and b"Subject: one" in octets


def test_a_removed_mailboxs_mail_comes_back_to_it(server):
    server.cli("mailbox", "add", FRED, "Work")
    put(server, "one", "--mailbox", "Work")
    one = mail(server, "--mailbox", "Work")[0]["unique_id"]
    assert server.cli("mail", "restore", FRED, one)["already"] == 1
    server.cli("mailbox", "remove", FRED, "Work")
    assert [m["unique_id"] for m in server.cli("mail", "deleted", FRED)["messages"]] == [one]
    server.cli("mail", "restore", FRED, one)
    assert [m["unique_id"] for m in mail(server, "--mailbox", "Work")] == [one]


def test_the_change_log_tells_what_happened(server):
    put(server, "one")
    begun = server.cli("mail", "changes", FRED)["number"]
    one = mail(server)[0]["unique_id"]
    server.cli("mailbox", "add", FRED, "Work")
    server.cli("mail", "flag", FRED, one, "--add", "seen")
    server.cli("mail", "move", FRED, one, "Work")
    server.cli("mail", "remove", FRED, one)
    told = server.cli("mail", "changes", FRED, "--since", str(begun))
    assert [change["kind"] for change in told["changes"]][-4:] == ["mailbox", "flags", "moved", "removed"]
    assert told["number"] > begun
    assert server.cli("mail", "changes", FRED, "--since", str(told["number"]))["changes"] == []


def test_the_change_log_can_be_followed(server):
    begun = server.cli("mail", "changes", FRED)["number"]
    follower = subprocess.Popen([str(BINARY), "mail", "changes", FRED, "--since", str(begun), "--follow", "--config",
                                 str(server.config_file)], stdout=subprocess.PIPE, text=True)
    try:
        put(server, "one")
        assert "added mailbox=1 uids=1" in follower.stdout.readline()
        server.cli("mail", "remove", FRED, mail(server)[0]["unique_id"])
        assert "removed mailbox=1 uids=1" in follower.stdout.readline()
    finally:
        follower.terminate()
        follower.wait(timeout=20)
