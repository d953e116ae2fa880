"""poplar import and poplar export: unique-ids, order, flags and folders of other servers' maildrops; real Dovecot."""

import concurrent.futures
import json
import mailbox
import os
import pathlib
import sys

import pytest

from clients.fetchmail import Fetchmail
from clients.getmail import Getmail
from clients.mpop import Mpop
from poplar_server import DOMAIN, ROOT, CliError, Pop3, make_message


JANE = f"jane@{DOMAIN}"
SIMPLE = "Sesame-123"


@pytest.fixture
def server(make_server):
    server = make_server()
    server.add_user(JANE)
    return server


def on_disk(message):
    return message.replace(b"\r\n", b"\n")


def make_maildir(path, messages, uidlist=None):
    """messages: [(folder, base, flags, octets)]; flags None: in new/."""
    for folder, base, flags, octets in messages:
        home = path / folder
        for part in ("cur", "new", "tmp"):
            (home / part).mkdir(parents=True, exist_ok=True)
        file = home / "new" / base if flags is None else home / "cur" / f"{base}:2,{flags}"
        file.write_bytes(on_disk(octets))
        second = int(base.split(".")[0])
        os.utime(file, (second, second))
    if uidlist:
        (path / "dovecot-uidlist").write_text(uidlist)
    return path


def ids(server, address=JANE):
    return [unique_id.decode() if isinstance(unique_id, bytes) else unique_id
            for unique_id, _ in server.fetch_all(address)]


@pytest.fixture
def maildir(directory):
    texts = [make_message(f"m{n}", 500 + 100 * n) for n in range(6)]
    uidlist = ("3 V1275660208 N30 G3085f01b7f11094c501100008c4a11c1\n"
               "12 W600 :1276000002.M1P1.host,S=500\n"
               "13 G0123456789abcdef O1 :1276000001.M1P1.host\n"
               "14 Pold-id-14 :1276000003.M1P1.host\n"
               "15 Pold-id-14 :1276000004.M1P1.host\n")
    path = make_maildir(directory / "Maildir", [
        ("", "1276000001.M1P1.host", "S", texts[0]), ("", "1276000002.M1P1.host,S=500", "RS", texts[1]),
        ("", "1276000003.M1P1.host", "Fa", texts[2]), ("", "1276000004.M1P1.host", "", texts[3]),
        ("", "1276000005.M1P1.host", None, texts[4]), (".Lists.asio", "1276000006.M1P1.host", "S", texts[5])], uidlist)
    (path / "dovecot-keywords").write_text("0 Invoice\n")
    return path, texts


def test_a_maildir_of_dovecot_keeps_unique_ids_order_flags_folders_and_dates(server, maildir):
    path, texts = maildir
    dry = server.cli("import", JANE, "--maildir", path, "--dry-run", "--final")
    assert dry["would_store"] == 6 and dry["without_unique_id"] == 2 and dry["identical_unique_ids"] == 0
    assert ids(server) == []
    answer = server.cli("import", JANE, "--maildir", path, "--final")
    assert answer["stored"] == 6 and answer["unique_ids_kept"] == 3, answer
    assert len(answer["not_kept"]) == 1 and "old-id-14" in answer["not_kept"][0]
    found = server.fetch_all(JANE)
    assert [octets for _, octets in found] == texts[:5]  # O first, then UIDs, then what Dovecot has not seen
    kept = ids(server)
    assert kept[:3] == ["0000000d4c0907b0", "0000000c4c0907b0", "old-id-14"]
    assert len(set(kept)) == 5 and all(1 <= len(one) <= 70 for one in kept)
    listed = server.cli("mail", "list", JANE)["messages"]
    assert [sorted(one["flags"]) for one in listed] == [["seen"], ["answered", "seen"], ["Invoice", "flagged"], [], []]
    assert listed[0]["received"] == "2010-06-08T12:26:41Z"
    folder = server.cli("mail", "list", JANE, "--mailbox", "Lists/asio")["messages"]
    assert len(folder) == 1 and folder[0]["flags"] == ["seen"]
    dry = server.cli("import", JANE, "--maildir", path, "--dry-run", "--final")
    assert dry["would_store"] == 0 and dry["identical_unique_ids"] == dry["identical_sizes"] == dry["in_order"] == 3


def test_a_message_that_has_no_unique_id_there_yet_waits_for_one(server, maildir):
    path, texts = maildir
    first = server.cli("import", JANE, "--maildir", path)
    assert first["stored"] == 5 and len(first["held"]) == 1 and "new/1276000005.M1P1.host" in first["held"][0], first
    done = server.run_cli("import", JANE, "--maildir", path)
    assert done.returncode == 0 and "held back: " in done.stdout and "1276000005" in done.stdout, done
    with open(path / "dovecot-uidlist", "a") as uidlist:
        uidlist.write("16 :1276000005.M1P1.host\n")
    second = server.cli("import", JANE, "--maildir", path)
    assert second["stored"] == second["unique_ids_kept"] == 1 and second["held"] == [], second
    assert ids(server)[-1] == "000000104c0907b0"


def test_a_run_is_repeated_and_brings_what_is_new(server, maildir):
    path, texts = maildir
    server.cli("import", JANE, "--maildir", path, "--final")
    before = ids(server)
    again = server.cli("import", JANE, "--maildir", path, "--final")
    assert again["stored"] == 0 and again["there"] == 6
    # Deleted here: it does not return. Gone there: it stays. Flags of a file that changed do not make it another.
    with server.login(JANE) as client:
        client.ok(b"DELE 2")
        client.quit()
    (path / "cur/1276000001.M1P1.host:2,S").rename(path / "cur/1276000001.M1P1.host:2,RS")
    (path / "cur/1276000003.M1P1.host:2,Fa").unlink()
    make_maildir(path, [("", "1276000009.M1P1.host", "", make_message("new"))])
    third = server.cli("import", JANE, "--maildir", path, "--final")
    assert third["stored"] == 1 and third["deleted_here"] == 1 and third["there"] == 4, third
    assert ids(server)[:-1] == [one for n, one in enumerate(before) if n != 1]


def test_a_format_that_is_not_known_is_said(server, maildir):
    path, _ = maildir
    done = server.run_cli("import", JANE, "--maildir", path, "--uidl-format", "%m")
    assert done.returncode == 2 and "%m" in done.stderr, done
    server.cli("import", JANE, "--maildir", path, "--uidl-format", "%v.%u")
    assert ids(server)[:2] == ["1275660208.13", "1275660208.12"]
    with pytest.raises(CliError, match="no Maildir"):
        server.cli("import", JANE, "--maildir", path / "cur")
    (path / "dovecot-uidlist").write_text("7 what\n")
    with pytest.raises(CliError, match="dovecot-uidlist"):
        server.cli("import", JANE, "--maildir", path)


def test_a_maildir_of_courier(server, directory):
    path = make_maildir(directory / "courier", [("", f"127600000{n}.M1P1.host", "S", make_message(f"c{n}")) for n in range(3)])
    (path / "courierpop3dsizelist").write_text(
        "/3 7 1270000000\n1276000000.M1P1.host:2,S 400 5:1270000000:0\n1276000001.M1P1.host 400 6:0:0\n"
        "1276000002.M1P1.host 400 0:0:0\n")
    server.cli("import", JANE, "--maildir", path)
    assert ids(server) == ["UID5-1270000000", "UID6", "1276000002.M1P1.host"]


def test_an_mbox(server, directory):
    texts = [make_message(f"b{n}") for n in range(3)]
    path = directory / "mbox"
    with open(path, "wb") as file:
        for n, text in enumerate(texts):
            head, body = on_disk(text).split(b"\n\n", 1)
            file.write(b"From sender Tue Jun  8 12:26:41 2010\n" + head + b"\nX-UIDL: id-%d\nStatus: RO\nX-Status: A\n\n" % n + body + b"\n")
    answer = server.cli("import", JANE, "--mbox", path)
    assert answer["stored"] == 3 and answer["unique_ids_kept"] == 3
    assert [octets for _, octets in server.fetch_all(JANE)] == texts and ids(server) == ["id-0", "id-1", "id-2"]
    assert sorted(server.cli("mail", "list", JANE)["messages"][0]["flags"]) == ["answered", "seen"]
    path.write_bytes(b"no mbox\n")
    with pytest.raises(CliError, match="no mbox"):
        server.cli("import", JANE, "--mbox", path)


def test_a_message_that_is_refused_is_named_and_keeps_no_other_out(server, directory):
    path = make_maildir(directory / "Maildir", [
        ("", "1276000001.M1P1.host", "", make_message("a")), (".no*name", "1276000002.M1P1.host", "", make_message("b")),
        (".no%name", "1276000003.M1P1.host", "", make_message("c", 3_000_000)),
        (".z" + "\u00fc" * 100, "1276000004." + "\u00fc" * 100, "", make_message("d"))])
    done = server.run_cli("import", JANE, "--maildir", path, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and answer["stored"] == 2, done
    assert len(answer["refused"]) == 2 and all("no *" in one for one in answer["refused"]), answer
    assert any(".no*name/cur/1276000002" in one for one in answer["refused"]), answer
    assert [octets for _, octets in server.fetch_all(JANE)] == [make_message("a")]  # nothing else came to INBOX
    again = json.loads(server.run_cli("import", JANE, "--maildir", path, "--json").stdout)
    assert again["there"] == 2 and len(again["refused"]) == 2


def test_two_imports_at_once_store_each_message_once(server, directory):
    texts = [make_message(f"p{n}", 100_000) for n in range(40)]
    path = make_maildir(directory / "Maildir", [
        ("", f"12760000{n:02}.M1P1.host", "", text) for n, text in enumerate(texts)])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: server.run_cli("import", JANE, "--maildir", path, "--json"), range(3)))
    answers = [json.loads(done.stdout) for done in runs]
    assert sum(answer["stored"] for answer in answers) == 40, answers
    assert all("another import" in one for answer in answers for one in answer["refused"]), answers
    # One that another import is just storing is passed over: so their order may change.
    assert sorted(octets for _, octets in server.fetch_all(JANE)) == sorted(texts)
    assert server.cli("import", JANE, "--maildir", path)["there"] == 40


def test_links_in_a_maildir_are_not_followed(server, directory):
    path = make_maildir(directory / "Maildir", [("", "1276000001.M1P1.host", "", make_message("a"))])
    (directory / "secret").write_text("Subject: secret\n\n")
    (path / "cur/1276000002.M1P1.host:2,").symlink_to(directory / "secret")
    done = server.run_cli("import", JANE, "--maildir", path)
    assert done.returncode == 0 and "1276000002.M1P1.host:2, is left out" in done.stderr, done
    assert [octets for _, octets in server.fetch_all(JANE)] == [make_message("a")]


def test_a_quota_does_not_hold_an_import_back(server, maildir):
    path, _ = maildir
    server.cli("quota", "set", JANE, "--messages", "1")
    assert server.cli("import", JANE, "--maildir", path)["stored"] == 5


def test_what_is_exported_comes_back_the_same(server, directory, maildir):
    path, _ = maildir
    server.cli("import", JANE, "--maildir", path, "--final")
    server.deliver(JANE, make_message("own"))
    server.cli("mailbox", "add", JANE, "Lists/Grüße & mehr")
    done = server.cli("export", JANE, "--maildir", directory / "out")
    assert done["messages"] == 7
    with pytest.raises(CliError, match="not empty"):
        server.cli("export", JANE, "--maildir", directory / "out")
    other = f"other@{DOMAIN}"
    server.add_user(other)
    server.cli("import", other, "--maildir", directory / "out")
    assert server.fetch_all(other) == server.fetch_all(JANE)
    lines = (directory / "out/dovecot-uidlist").read_text().splitlines()[1:]
    uids = [int(line.split()[0]) for line in lines]
    assert uids == sorted(uids) and len(uids) == 6  # Dovecot reads no other list

    def flags(address):
        return [sorted(one["flags"]) for one in server.cli("mail", "list", address)["messages"]]
    assert flags(other) == flags(JANE)
    server.cli("export", JANE, "--mbox", directory / "mboxes")
    assert len(mailbox.mbox(directory / "mboxes/INBOX")) == 6


# A real server before the move, and real clients before and after it.

sys.path.insert(0, str(ROOT / "tests/conformance"))


def move_in(directory, make_server, need, kinds):
    """Clients that leave their mail on Dovecot, and the server that has its place afterwards, at the same address."""
    need("mpop", "fetchmail", "getmail")
    if not pathlib.Path("/usr/sbin/dovecot").exists():
        pytest.skip("dovecot-pop3d is not installed (tests/conformance/peers/install)")
    from peers import Account, Dovecot
    sent = [make_message(f"d{n}", 700) for n in range(7)]
    server = make_server()
    server.cli("user", "add", JANE, "--password-stdin", input=SIMPLE + "\n")
    with Dovecot([Account(JANE, SIMPLE)]) as dovecot:
        port = dovecot.ports["pop3"]
        for message in sent:
            dovecot.inject(JANE, message)
        devices = [kind(server, JANE, SIMPLE, directory / kind.__name__) for kind in kinds]
        for device in devices:
            assert len(device.fetch(keep=True, port=port)) == len(sent), type(device)
            assert device.fetch(keep=True, port=port) == [], type(device)
        with Pop3(port) as old:
            old.login(JANE, SIMPLE)
            there = list(old.uidl().values())
        path = next(path.parent for path in (dovecot.directory / "mail").rglob("dovecot-uidlist"))
        answer = server.cli("import", JANE, "--maildir", path)
        assert answer["stored"] == answer["unique_ids_kept"] == len(sent), answer
        dry = server.cli("import", JANE, "--maildir", path, "--dry-run")
        assert dry["identical_unique_ids"] == dry["identical_sizes"] == dry["in_order"] == len(sent), dry
    server.stop()
    server.config["listen"]["pop3"].append(f"127.0.0.1:{port}")
    server.start()
    return server, devices, port, there


def test_clients_fetch_nothing_again_after_the_move_from_dovecot(directory, make_server, need):
    server, devices, port, there = move_in(directory, make_server, need, (Mpop, Getmail, Fetchmail))
    with Pop3(port) as here:
        here.login(JANE, SIMPLE)
        assert list(here.uidl().values()) == there
    for device in devices:
        assert device.fetch(keep=True, port=port) == [], type(device)
    server.deliver(JANE, make_message("news"))
    for device in devices:
        assert len(device.fetch(keep=True, port=port)) == 1, type(device)
