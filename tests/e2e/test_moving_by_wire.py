"""poplar import and poplar migrate over the wire: from a real Dovecot by POP3, and from Poplar by POP3 and IMAP."""

import os
import pathlib
import sys

import pytest

from clients.fetchmail import Fetchmail
from clients.getmail import Getmail
from clients.mpop import Mpop
from poplar_server import DOMAIN, PASSWORD, ROOT, CliError, Pop3, make_message

sys.path.insert(0, str(ROOT / "tests/conformance"))

JANE = f"jane@{DOMAIN}"
SIMPLE = "Sesame-123"


@pytest.fixture
def servers(make_server, directory):
    """The old one and the new one; and what the import has to be told of the old one."""
    old, new = make_server(), make_server()
    for server in (old, new):
        server.add_user(JANE)
    (directory / "password").write_text(PASSWORD + "\n")
    return old, new


def wire(old, directory, *more, kinds=("pop3", "imap")):
    return [option for kind in kinds for option in (f"--{kind}", f"localhost:{old.port[kind]}")] + \
        ["--password-file", directory / "password", *more]


def uidl(server, address=JANE, password=PASSWORD):
    with server.login(address, password) as client:
        return [(number, unique_id) for number, unique_id in client.uidl().items()]


def listed(server, mailbox="INBOX"):
    return [(one["unique_id"], one["octets"], sorted(one["flags"]), one["received"])
            for one in server.cli("mail", "list", JANE, "--mailbox", mailbox)["messages"]]


def fill(old):
    """Three that are alike in their header, others, and a mailbox beside INBOX."""
    texts = [make_message(f"w{n}", 500 + 100 * n) for n in range(5)] + [b"Subject: twin\r\n\r\n" + body for body in (b"1\r\n", b"1\r\n", b"another\r\n")]
    for text in texts:
        old.deliver(JANE, text)
    old.cli("mailbox", "add", JANE, "Lists/Grüße")
    ids = [one[0] for one in listed(old)]
    old.cli("mail", "flag", JANE, ids[1], "--add", "seen")
    old.cli("mail", "flag", JANE, ids[2], "--add", "flagged", "--add", "Invoice")
    old.cli("mail", "move", JANE, ids[4], "Lists/Grüße")
    return texts


def test_pop3_and_imap_together_bring_all_of_it(servers, directory):
    old, new = servers
    fill(old)
    before = listed(old), listed(old, "Lists/Grüße"), old.fetch_all(JANE)
    dry = new.cli("import", JANE, *wire(old, directory, "--insecure"), "--dry-run")
    assert dry["would_store"] == 8 and dry["inbox"] == 7 and dry["identical_unique_ids"] == 0, dry
    answer = new.cli("import", JANE, *wire(old, directory, "--insecure"))
    assert answer["stored"] == 8 and answer["unique_ids_kept"] == 7 and answer["not_kept"] == [], answer
    assert new.fetch_all(JANE) == before[2] and uidl(new) == uidl(old)
    assert listed(new) == before[0]
    assert [one[1:] for one in listed(new, "Lists/Grüße")] == [one[1:] for one in before[1]]
    assert (listed(old), listed(old, "Lists/Grüße")) == before[:2]  # nothing was marked as read or deleted there
    dry = new.cli("import", JANE, *wire(old, directory, "--insecure"), "--dry-run")
    assert dry["identical_unique_ids"] == dry["identical_sizes"] == dry["in_order"] == 7 and dry["would_store"] == 0, dry
    assert "fetch none of it again" in dry["clients"], dry


def test_a_round_brings_what_is_new_and_mirrors_only_if_it_is_told(servers, directory):
    old, new = servers
    fill(old)
    arguments = wire(old, directory, "--insecure")
    new.cli("import", JANE, *arguments)
    new.deliver(JANE, make_message("own"))
    kept = [unique_id for _, unique_id in uidl(old)]
    for server, number in ((old, 1), (new, 2)):
        with server.login(JANE) as client:
            client.ok(b"DELE %d" % number)
            client.quit()
    moved = listed(old, "Lists/Grüße")[0][0]
    old.cli("mail", "remove", JANE, moved)
    old.deliver(JANE, make_message("late"))
    again = new.cli("import", JANE, *arguments)
    assert again["stored"] == 1 and again["deleted_here"] == 1 and again["there"] == 5 and again["removed"] == 0, again
    assert len(uidl(new)) == 8 and len(listed(new, "Lists/Grüße")) == 1
    dry = new.cli("import", JANE, *arguments, "--mirror", "--dry-run")
    assert dry["would_remove"] == 2 and len(uidl(new)) == 8, dry
    mirrored = new.cli("import", JANE, *arguments, "--mirror")
    assert mirrored["removed"] == 2 and mirrored["stored"] == 0, mirrored
    now = [unique_id for _, unique_id in uidl(new)]
    assert kept[0] not in now and len(now) == 7 and listed(new, "Lists/Grüße") == []  # what came here by itself stays
    assert len(new.cli("mail", "deleted", JANE)["messages"]) == 3  # and what goes can be brought back


def test_imap_alone_brings_mail_without_unique_ids(servers, directory):
    old, new = servers
    fill(old)
    done = new.run_cli("import", JANE, *wire(old, directory, "--insecure", kinds=("imap",)))
    assert done.returncode == 0 and "IMAP tells no unique-ids" in done.stderr, done
    assert [one[1:] for one in listed(new)] == [one[1:] for one in listed(old)]
    again = new.cli("import", JANE, *wire(old, directory, "--insecure", kinds=("imap",)))
    assert again["there"] == 8 and again["stored"] == 0


def test_a_certificate_is_checked_against_those_of_the_system(servers, directory):
    old, new = servers
    old.deliver(JANE, make_message("one"))
    by_command = wire(old, directory)
    from_the_start = ["--pop3", f"localhost:{old.port['pop3s']}", "--imap", f"localhost:{old.port['imaps']}", "--tls",
                      "--password-file", directory / "password"]
    known = dict(os.environ, SSL_CERT_FILE=str(old.certificate))
    for arguments in (by_command, from_the_start):
        done = new.run_cli("import", JANE, *arguments)
        assert done.returncode == 1 and "not to be trusted" in done.stderr and "--insecure" in done.stderr, done
        done = new.run_cli("import", JANE, *arguments, env=known)
        assert done.returncode == 0, done
    assert len(uidl(new)) == 1


def test_what_is_wrong_is_said(servers, directory):
    old, new = servers
    for arguments, code, text in (
            (wire(old, directory, "--insecure", "--user", "nobody"), 1, "does not log nobody in"),
            (["--pop3", "localhost", "--password-file", directory / "none"], 2, "can't be opened"),
            (["--pop3", "localhost:1", "--no-tls", "--password-file", directory / "password"], 1, "can't be reached"),
            (["--pop3", "localhost:x", "--password-file", directory / "password"], 2, "HOST:PORT"),
            (["--pop3", "localhost"], 2, "--password-file"), ([], 2, "--maildir, --mbox, --pop3 or --imap"),
            (["--maildir", directory, "--pop3", "localhost"], 2, "--maildir"),
            (["--pop3", f"localhost:{old.port['smtp']}", "--no-tls", "--password-file", directory / "password"], 1, "no POP3")):
        done = new.run_cli("import", JANE, *arguments)
        assert done.returncode == code and text in done.stderr, (arguments, done)
    done = new.run_cli("import", f"nobody@{DOMAIN}", *wire(old, directory, "--insecure", "--user", JANE))
    assert done.returncode == 1 and "nobody" in done.stderr, done


@pytest.fixture
def dovecot(need):
    need("mpop", "fetchmail", "getmail")
    if not pathlib.Path("/usr/sbin/dovecot").exists():
        pytest.skip("dovecot-pop3d is not installed (tests/conformance/peers/install)")
    from peers import Account, Dovecot
    with Dovecot([Account(f"u{n}@{DOMAIN}", f"{SIMPLE}{n}") for n in range(4)] + [Account(JANE, SIMPLE)]) as peer:
        yield peer


def seen_there(dovecot):
    return [path.name for path in (dovecot.directory / "mail").rglob("cur/*") if "S" in path.name.partition(":2,")[2]]


def test_clients_fetch_nothing_again_after_the_move_from_dovecot_by_pop3(directory, make_server, dovecot):
    sent = [make_message(f"d{n}", 700) for n in range(7)]
    server = make_server()
    server.cli("user", "add", JANE, "--password-stdin", input=SIMPLE + "\n")
    (directory / "password").write_text(SIMPLE + "\n")
    port = dovecot.ports["pop3"]
    arguments = ["--pop3", f"localhost:{port}", "--no-tls", "--password-file", directory / "password"]
    for message in sent:
        dovecot.inject(JANE, message)
    assert server.cli("import", JANE, *arguments)["stored"] == len(sent)
    assert seen_there(dovecot) == []  # though RETR in a session with QUIT marks messages there
    devices = [kind(server, JANE, SIMPLE, directory / kind.__name__) for kind in (Mpop, Getmail, Fetchmail)]
    for device in devices:
        assert len(device.fetch(keep=True, port=port)) == len(sent), type(device)
        assert device.fetch(keep=True, port=port) == [], type(device)
    with Pop3(port) as old:
        old.login(JANE, SIMPLE)
        there = list(old.uidl().values())
    again = server.cli("import", JANE, *arguments)
    assert again["there"] == len(sent) and again["stored"] == 0, again
    dry = server.cli("import", JANE, *arguments, "--dry-run")
    assert dry["identical_unique_ids"] == dry["identical_sizes"] == dry["in_order"] == len(sent), dry
    dovecot.stop()
    server.stop()
    server.config["listen"]["pop3"].append(f"127.0.0.1:{port}")
    server.start()
    with Pop3(port) as here:
        here.login(JANE, SIMPLE)
        assert list(here.uidl().values()) == there
    for device in devices:
        assert device.fetch(keep=True, port=port) == [], type(device)
    server.deliver(JANE, make_message("news"))
    for device in devices:
        assert len(device.fetch(keep=True, port=port)) == 1, type(device)


def test_many_accounts_move_several_at_a_time(directory, make_server, dovecot):
    server = make_server()
    for n in range(4):
        for m in range(n + 1):
            dovecot.inject(f"u{n}@{DOMAIN}", make_message(f"u{n}-{m}"))
        if n != 2:
            server.add_user(f"u{n}@{DOMAIN}")
    users = directory / "users.csv"
    lines = [f"u{n}@{DOMAIN},u{n}@{DOMAIN},{SIMPLE}{n}" for n in range(3)] + [f'u3@{DOMAIN},,"wrong, ""too"""']
    users.write_text("address,source_user,source_password\n" + "\n".join(lines) + "\n")
    arguments = ["--list", users, "--pop3", f"localhost:{dovecot.ports['pop3s']}", "--tls", "--insecure", "--parallel", "3"]
    done = server.run_cli("migrate", *arguments)
    assert done.returncode == 1 and "4 accounts: 2 done, 2 not" in done.stdout, done
    assert f"u2@{DOMAIN}: " in done.stderr and f"u3@{DOMAIN}: " in done.stderr, done
    server.add_user(f"u2@{DOMAIN}")
    users.write_text("\n".join(lines).replace('"wrong, ""too"""', SIMPLE + "3") + "\n")
    dovecot.inject(f"u0@{DOMAIN}", make_message("late"))
    again = server.cli("migrate", *arguments)
    results = {one["address"]: one for one in again["accounts"]}
    assert again["failed"] == 0 and [results[f"u{n}@{DOMAIN}"]["stored"] for n in range(4)] == [1, 0, 3, 4], again
    assert [len(server.fetch_all(f"u{n}@{DOMAIN}")) for n in range(4)] == [2, 2, 3, 4]
    dry = server.cli("migrate", *arguments, "--dry-run")
    assert sum(one["identical_unique_ids"] for one in dry["accounts"]) == 11, dry
    (directory / "bad.csv").write_text("jane\n")
    with pytest.raises(CliError, match="line 1"):
        server.cli("migrate", "--list", directory / "bad.csv", *arguments[2:])


def test_a_master_of_the_old_server_logs_in_for_all(directory, make_server, dovecot):
    server = make_server()
    for n in range(2):
        dovecot.inject(f"u{n}@{DOMAIN}", make_message(f"u{n}"))
        server.add_user(f"u{n}@{DOMAIN}")
    (directory / "users.csv").write_text(f"u0@{DOMAIN}\nu1@{DOMAIN}\n")
    (directory / "master").write_text(dovecot.master.password + "\n")
    answer = server.cli("migrate", "--list", directory / "users.csv", "--pop3", f"localhost:{dovecot.ports['pop3']}", "--no-tls",
                        "--master-user", dovecot.master.name, "--master-password-file", directory / "master")
    assert [one["stored"] for one in answer["accounts"]] == [1, 1], answer
