"""poplar import and poplar export: unique-ids, order, flags and folders of other servers' maildrops; real Dovecot."""

import mailbox
import os
import shutil
import subprocess
import time

import pytest
from poplar_server import DOMAIN, PASSWORD, CliError, Pop3, free_port, make_message

JANE = f"jane@{DOMAIN}"


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
    dry = server.cli("import", JANE, "--maildir", path, "--dry-run")
    assert dry["would_store"] == 6 and dry["without_unique_id"] == 2 and dry["identical_unique_ids"] == 0
    assert ids(server) == []
    answer = server.cli("import", JANE, "--maildir", path)
    assert answer["stored"] == 6 and answer["unique_ids_kept"] == 3, answer
    assert len(answer["not_kept"]) == 1 and "old-id-14" in answer["not_kept"][0]
    found = server.fetch_all(JANE)
    assert [octets for _, octets in found] == texts[:5]  # O first, then UIDs, then what Dovecot has not seen
    kept = ids(server)
    assert kept[:3] == ["0000000d4c08f2f0", "0000000c4c08f2f0", "old-id-14"]
    assert len(set(kept)) == 5 and all(1 <= len(one) <= 70 for one in kept)
    listed = server.cli("mail", "list", JANE)["messages"]
    assert [sorted(one["flags"]) for one in listed] == [["seen"], ["answered", "seen"], ["Invoice", "flagged"], [], []]
    assert listed[0]["received"] == "2010-06-08T12:26:41Z"
    folder = server.cli("mail", "list", JANE, "--mailbox", "Lists/asio")["messages"]
    assert len(folder) == 1 and folder[0]["flags"] == ["seen"]
    dry = server.cli("import", JANE, "--maildir", path, "--dry-run")
    assert dry["would_store"] == 0 and dry["identical_unique_ids"] == dry["identical_sizes"] == dry["in_order"] == 3


def test_a_run_is_repeated_and_brings_what_is_new(server, maildir):
    path, texts = maildir
    server.cli("import", JANE, "--maildir", path)
    before = ids(server)
    again = server.cli("import", JANE, "--maildir", path)
    assert again["stored"] == 0 and again["there"] == 6
    # Deleted here: it does not return. Gone there: it stays. Flags of a file that changed do not make it another.
    with server.login(JANE) as client:
        client.ok(b"DELE 2")
        client.quit()
    (path / "cur/1276000001.M1P1.host:2,S").rename(path / "cur/1276000001.M1P1.host:2,RS")
    (path / "cur/1276000003.M1P1.host:2,Fa").unlink()
    make_maildir(path, [("", "1276000009.M1P1.host", "", make_message("new"))])
    third = server.cli("import", JANE, "--maildir", path)
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


def test_a_quota_does_not_hold_an_import_back(server, maildir):
    path, _ = maildir
    server.cli("quota", "set", JANE, "--messages", "1")
    assert server.cli("import", JANE, "--maildir", path)["stored"] == 6


def test_what_is_exported_comes_back_the_same(server, directory, maildir):
    path, _ = maildir
    server.cli("import", JANE, "--maildir", path)
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

    def flags(address):
        return [sorted(one["flags"]) for one in server.cli("mail", "list", address)["messages"]]
    assert flags(other) == flags(JANE)
    server.cli("export", JANE, "--mbox", directory / "mboxes")
    assert len(mailbox.mbox(directory / "mboxes/INBOX")) == 6


# Real servers and clients.

DOVECOT = shutil.which("dovecot", path="/usr/sbin:/usr/bin")


class Dovecot:
    """Serves one Maildir on loopback, for the password of the tests."""

    def __init__(self, directory, path):
        self.port = free_port()
        self.directory = directory
        directory.mkdir(mode=0o755)
        user = "root" if os.geteuid() == 0 else os.environ["USER"]
        config = f"""
protocols = pop3
listen = 127.0.0.1
base_dir = {directory}/run
log_path = {directory}/log
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {user}
first_valid_uid = 0
mail_location = maildir:{path}
service anvil {{
  chroot =
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
passdb {{
  driver = static
  args = password={PASSWORD.replace(" ", "")}
}}
userdb {{
  driver = static
  args = uid={os.getuid()} gid={os.getgid()} home={directory}
}}
"""
        (directory / "dovecot.conf").write_text(config)
        self.process = subprocess.Popen([DOVECOT, "-F", "-c", directory / "dovecot.conf"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            try:
                Pop3(self.port).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (directory / "log").read_text()
                time.sleep(0.1)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def mpop(directory, port, user, password):
    """Fetches with --keep and returns how many messages came."""
    config = directory / "mpoprc"
    inbox = directory / "fetched"
    inbox.mkdir(exist_ok=True)
    config.write_text(f"account default\nhost localhost\nport {port}\ntls off\nauth user\nuser {user}\npassword {password}\n"
                      f"keep on\nuidls_file {directory}/uidls\ndelivery maildir {inbox}\n")
    for part in ("cur", "new", "tmp"):
        (inbox / part).mkdir(exist_ok=True)
    config.chmod(0o600)
    before = len(list(inbox.glob("new/*")))
    subprocess.run(["mpop", "-C", config, "--quiet"], check=True, timeout=120)
    return len(list(inbox.glob("new/*"))) - before


@pytest.mark.skipif(not DOVECOT or not shutil.which("mpop"), reason="needs dovecot-pop3d and mpop")
def test_mpop_fetches_nothing_again_after_the_move_from_dovecot(directory, make_server):
    password = PASSWORD.replace(" ", "")
    path = make_maildir(directory / "Maildir", [("", f"127600000{n}.M1P1.host", None, make_message(f"d{n}")) for n in range(7)])
    dovecot = Dovecot(directory / "dovecot", path)
    home = directory / "client"
    home.mkdir()
    try:
        assert mpop(home, dovecot.port, JANE, password) == 7
    finally:
        dovecot.stop()
    server = make_server()
    server.cli("user", "add", JANE, "--password-stdin", input=password + "\n")
    server.cli("import", JANE, "--maildir", path)
    # The old name and port lead to the new server: to mpop both are "localhost".
    assert mpop(home, server.port["pop3"], JANE, password) == 0
    server.deliver(JANE, make_message("news"))
    assert mpop(home, server.port["pop3"], JANE, password) == 1
