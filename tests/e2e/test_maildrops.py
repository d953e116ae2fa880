"""Other mailboxes than INBOX by POP3: by the login name, as a device's maildrop, and mail that stays when all have deleted it."""

import re
import time

import pytest

from clients.curl import Curl
from clients.getmail import Getmail
from clients.mpop import Mpop
from credentials import EVERY_MECHANISM
from poplar_server import DOMAIN, PASSWORD, PATIENCE, CliError

FRED = f"fred@{DOMAIN}"


def at(mailbox, local="fred"):
    return f"{local}+{mailbox}@{DOMAIN}"


@pytest.fixture
def server(make_server):
    server = make_server(auth={"failure_delay": "0s", "mechanisms": EVERY_MECHANISM, "scram_keys": ["SHA-256", "SHA-1"]},
                         storage={"expire_every": "200ms"}, pop3={"apop": True})
    server.add_user(FRED)
    server.cli("mailbox", "add", FRED, "Lists/asio")
    return server


def put(server, subject, mailbox="INBOX"):
    server.cli("deliver", FRED, "--mailbox", mailbox, input=f"From: a@b.example\nSubject: {subject}\n\nText.\n")


def subjects(server, mailbox="INBOX"):
    return [message["subject"] for message in server.cli("mail", "list", FRED, "--mailbox", mailbox)["messages"]]


def move(server, subject, mailbox, to):
    listed = server.cli("mail", "list", FRED, "--mailbox", mailbox)["messages"]
    server.cli("mail", "move", FRED, next(one["unique_id"] for one in listed if one["subject"] == subject), to)


def deleted(server):
    return {message["subject"]: message for message in server.cli("mail", "deleted", FRED)["messages"]}


def add(server, name, *options):
    return server.cli("device", "add", FRED, "--name", name, *options)["password"]


def devices(server):
    return {device["name"]: device for device in server.cli("device", "list", FRED)["devices"]}


def log_in(server, name, password=PASSWORD):
    """The reply to PASS. The session is over then, and its lock free."""
    with server.pop3() as client:
        client.ok(b"USER " + name.encode())
        reply = client.command(b"PASS " + password.encode())
        if reply.startswith(b"+OK"):
            client.quit()
        return reply


def fetch(server, name=FRED, password=PASSWORD, delete=()):
    """The subjects in their order; deletes those in `delete`."""
    found = []
    with server.pop3() as client:
        client.login(name, password)
        for number in range(1, int(client.ok(b"STAT").split()[1]) + 1):
            found.append(re.search(rb"Subject: (.*)\r\n", client.retr(number))[1].decode())
            if found[-1] in delete:
                client.ok(b"DELE %d" % number)
        client.quit()
    return found


def uidl(server, name=FRED, password=PASSWORD):
    with server.pop3() as client:
        client.login(name, password)
        return list(client.uidl().values())


def eventually(what, expected):
    deadline = time.monotonic() + 10 * PATIENCE
    while what() != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert what() == expected


def test_a_login_name_opens_a_mailbox(server):
    put(server, "inbox")
    put(server, "spam", "Junk")
    put(server, "asio", "Lists/asio")
    assert fetch(server) == ["inbox"]
    for name in (at("Junk"), at("junk"), at("JUNK", "Fred"), f"fred+junk@{DOMAIN.upper()}"):
        assert fetch(server, name) == ["spam"]
    assert fetch(server, at("lists/ASIO")) == ["asio"]
    assert fetch(server, at("inbox")) == ["inbox"]
    server.cli("mailbox", "rename", FRED, "Junk", "Verdächtig")
    assert fetch(server, at("junk")) == ["spam"], "by its special use, whatever it is called"
    assert fetch(server, at("VERDÄCHTIG")) == ["spam"]


def test_an_unknown_mailbox_is_never_inbox_and_shows_to_nobody_without_the_password(server):
    put(server, "inbox")
    for mailbox in ("nowhere", "", "lists/nowhere", "junk/"):
        reply = log_in(server, at(mailbox))
        assert reply.startswith(b"-ERR [AUTH] ") and b"mailbox" in reply
    server.wait_log_match(f"pop3.no_mailbox .*account={FRED} mailbox=nowhere")
    wrong = {log_in(server, name, "wrong") for name in (FRED, at("junk"), at("nowhere"), at("junk", "nobody"))}
    assert len(wrong) == 1 and wrong.pop().startswith(b"-ERR [AUTH] ")


def test_an_account_of_that_very_name_goes_first(server):
    put(server, "spam", "Junk")
    assert fetch(server, at("junk")) == ["spam"]
    server.add_user(at("junk"), "its own")
    assert log_in(server, at("junk")).startswith(b"-ERR [AUTH]")
    assert fetch(server, at("junk"), "its own") == []
    server.cli("user", "remove", at("junk"))
    assert fetch(server, at("junk")) == ["spam"]


def test_what_is_deleted_in_a_mailbox_can_be_restored_there(server):
    put(server, "one", "Junk")
    put(server, "two", "Junk")
    before = uidl(server, at("junk"))
    assert fetch(server, at("junk"), delete=["one"]) == ["one", "two"]
    assert subjects(server, "Junk") == ["two"]
    server.cli("mail", "restore", FRED, deleted(server)["one"]["unique_id"])
    assert uidl(server, at("junk")) == before


def test_each_mailbox_has_a_lock_of_its_own(server):
    with server.pop3() as junk, server.pop3() as inbox:
        junk.login(at("junk"))
        inbox.login(FRED)
        assert log_in(server, at("Junk")).startswith(b"-ERR [IN-USE]")
        junk.quit()
        assert log_in(server, at("Junk")).startswith(b"+OK")


def test_each_mailbox_has_a_login_delay_of_its_own(server):
    server.cli("user", "set", FRED, "--login-delay", "1h")
    assert log_in(server, at("junk")).startswith(b"+OK")
    assert log_in(server, FRED).startswith(b"+OK")
    assert log_in(server, at("JUNK")).startswith(b"-ERR [LOGIN-DELAY]")


@pytest.mark.parametrize("kind", [Mpop, Curl, Getmail])
def test_clients_fetch_from_a_mailbox(server, directory, need, kind):
    need(*kind.programs)
    put(server, "inbox")
    put(server, "spam", "Junk")
    device = kind(server, at("junk"), PASSWORD, directory / kind.__name__)
    fetched = device.fetch(keep=False, mechanism="PLAIN" if kind is Curl else None)  # else it takes CRAM-MD5
    assert len(fetched) == 1 and b"Subject: spam" in fetched[0]
    assert (subjects(server), subjects(server, "Junk")) == (["inbox"], [])


def test_every_mechanism_names_a_mailbox(server, directory, need):
    need(*Mpop.programs)
    server.cli("user", "secret", FRED, "--secret-stdin", input="a-secret-shared-by-both\n")
    put(server, "spam", "Junk")
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "CRAM-MD5", "APOP"):
        password = "a-secret-shared-by-both" if mechanism in ("CRAM-MD5", "APOP") else PASSWORD
        client = Mpop(server, at("junk"), password, directory / mechanism)
        assert len(client.fetch(keep=True, mechanism=mechanism)) == 1, mechanism


def test_a_devices_maildrop_may_be_several_mailboxes(server):
    put(server, "one")
    put(server, "two", "Junk")
    laptop = add(server, "laptop", "--mailbox", "INBOX,junk")
    lists = add(server, "lists", "--mailbox", "Lists/asio")
    phone = add(server, "phone")
    assert [devices(server)[name]["mailboxes"] for name in ("laptop", "lists", "phone")] == \
        [["INBOX", "Junk"], ["Lists/asio"], ["INBOX"]]
    assert "sees INBOX, Junk" in server.run_cli("device", "list", FRED).stdout
    time.sleep(0.01)
    put(server, "three")
    put(server, "four", "Lists/asio")
    assert fetch(server, FRED, laptop) == ["one", "two", "three"], "in order of arrival"
    assert fetch(server, FRED, lists) == ["four"]
    assert fetch(server, at("junk"), laptop) == ["two"]
    assert log_in(server, at("junk"), phone).startswith(b"-ERR [AUTH]"), "it was given INBOX alone"
    assert log_in(server, FRED, laptop).startswith(b"+OK 3 ")

    before = uidl(server, FRED, laptop)
    move(server, "one", "INBOX", "Junk")
    assert uidl(server, FRED, laptop) == before, "a message that moves stays what it was"
    assert fetch(server, FRED, laptop, delete=["one", "two"]) == ["one", "two", "three"]
    assert fetch(server, FRED, laptop) == ["three"]
    move(server, "one", "Junk", "INBOX")
    assert fetch(server, FRED, laptop) == ["three"], "what it deleted stays deleted when it moves"
    assert fetch(server, FRED, phone) == ["three", "one"], "the others have it"
    server.stop()
    server.start()
    assert fetch(server, FRED, laptop) == ["three"]


def test_a_devices_mailboxes_can_be_changed(server):
    put(server, "one")
    put(server, "two", "Junk")
    phone = add(server, "phone")
    with server.pop3() as client:
        client.login(FRED, phone)
        assert server.cli("device", "set", FRED, "phone", "--mailbox", "Junk")["mailboxes"] == ["Junk"]
        assert client.closed() is not None
    assert fetch(server, FRED, phone, delete=["two"]) == ["two"]
    assert subjects(server, "Junk") == ["two"], "in its own view"
    server.cli("device", "set", FRED, "phone", "--mailbox", "INBOX", "--mailbox", "Junk")
    assert fetch(server, FRED, phone) == ["one"]
    server.cli("mailbox", "remove", FRED, "Junk")
    assert fetch(server, FRED, phone) == ["one"]
    server.cli("device", "set", FRED, "phone", "--mailbox", "Lists")
    server.cli("mailbox", "remove", FRED, "Lists")
    assert log_in(server, FRED, phone).startswith(b"-ERR [SYS/PERM]"), "never INBOX in its place"
    assert devices(server)["phone"]["mailboxes"][0].startswith("(removed")
    with pytest.raises(CliError, match="no mailbox Nowhere"):
        server.cli("device", "set", FRED, "phone", "--mailbox", "Nowhere")
    with pytest.raises(CliError, match="POP3"):
        add(server, "web", "--protocols", "imap", "--mailbox", "INBOX")
    server.cli("device", "revoke", FRED, "phone")
    assert fetch(server) == ["one"]


def test_a_shared_device_deletes_in_all_its_mailboxes_in_one_go(server):
    put(server, "one")
    put(server, "two", "Junk")
    old = add(server, "old", "--view", "shared", "--mailbox", "INBOX,Junk")
    with server.pop3() as client:
        client.login(FRED, old)
        assert log_in(server, FRED).startswith(b"-ERR [IN-USE]")
        assert log_in(server, at("junk")).startswith(b"-ERR [IN-USE]")
        client.ok(b"DELE 1")
        client.ok(b"DELE 2")
        client.quit()
    assert (subjects(server), subjects(server, "Junk"), set(deleted(server))) == ([], [], {"one", "two"})


def test_a_message_leaves_a_mailbox_when_all_have_deleted_it(server):
    put(server, "one", "Junk")
    put(server, "two", "Junk")
    laptop, phone = add(server, "laptop", "--mailbox", "INBOX,Junk"), add(server, "phone", "--mailbox", "Junk")
    fetch(server, FRED, laptop, delete=["one"])
    fetch(server, FRED, phone, delete=["one", "two"])
    fetch(server, at("junk"), delete=["one"])
    eventually(lambda: subjects(server, "Junk"), ["two"])
    assert set(deleted(server)) == {"one"}


def test_what_all_have_deleted_stays_where_it_is_wanted(server):
    assert server.cli("user", "set", FRED, "--when-all-deleted", "keep")["when_all_deleted"] == "keep"
    put(server, "one")
    put(server, "two")
    put(server, "spam", "Junk")
    laptop = add(server, "laptop")
    assert fetch(server, FRED, laptop, delete=["one"]) == ["one", "two"]
    assert fetch(server, delete=["one"]) == ["one", "two"]
    assert fetch(server, at("junk"), delete=["spam"]) == ["spam"]
    server.cli("device", "revoke", FRED, "laptop")
    rounds = server.log().count("housekeeping.done")
    eventually(lambda: server.log().count("housekeeping.done") >= rounds + 2, True)
    assert subjects(server) == ["one", "two"] and subjects(server, "Junk") == ["spam"] and not deleted(server)
    assert fetch(server) == ["two"] and fetch(server, at("junk")) == []
    server.stop()
    server.start()
    assert fetch(server) == ["two"]
    assert "keeps" in server.run_cli("user", "show", FRED).stdout
    server.cli("user", "set", FRED, "--when-all-deleted", "remove")
    eventually(lambda: (subjects(server), subjects(server, "Junk")), (["two"], []))
    assert set(deleted(server)) == {"one", "spam"}
    with pytest.raises(CliError, match="neither"):
        server.cli("user", "set", FRED, "--when-all-deleted", "forget")
