"""The disk fails a sync: the store stops, because nobody can know what the kernel dropped. Nothing more is taken or deleted,
acknowledged mail can still be read, everybody is told what is wrong, and only a restart mends it."""

import os
import pathlib
import subprocess

import pytest

from poplar_server import DOMAIN, CliError, make_message, without_trace

SOURCE = pathlib.Path(__file__).with_name("failing_sync.c")
LARGE = 1_500_000  # octets: has a file of its own


class Disk:
    """The disk of a server that is started with `env`."""

    def __init__(self, directory):
        library = directory / "failing_sync.so"
        subprocess.run(["clang-19", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        self.order, self.failed = directory / "fail", directory / "fail.failed"
        self.env = {**os.environ, "LD_PRELOAD": str(library), "POPLAR_TEST_FAIL": str(self.order)}

    def fail(self, what):
        new = self.order.with_suffix(".new")
        new.write_text(what)
        new.rename(self.order)

    def mend(self):
        self.order.unlink()

    def failures(self):
        return self.failed.read_text().splitlines() if self.failed.exists() else []


@pytest.fixture
def disk(directory, need):
    need("clang-19")
    return Disk(directory)


def start(make_server, disk):
    server = make_server(start=False)
    server.start(env=disk.env)
    server.add_domain()
    return server, server.add_user(f"u@{DOMAIN}")


def deliver(server, kind, account, message):
    """The server's answer to the message, or to the command before it that fails."""
    with getattr(server, kind)() as client:
        client.hello()
        for command in (b"MAIL FROM:<a@elsewhere.example>", f"RCPT TO:<{account}>".encode()):
            code, lines = client.ask(command)
            if code != 250:
                return code, lines
        client.data(message)
        return client.final_replies(1)[0]


def mail_of(server, account):
    return [without_trace(octets) for _, octets in server.fetch_all(account)]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_failed_sync_of_the_log_stops_the_store_until_a_restart(make_server, disk, end):
    server, account = start(make_server, disk)
    kept = [make_message(f"kept-{n}", octets) for n, octets in enumerate((400, 30_000, LARGE))]
    for message in kept:
        assert deliver(server, "smtp", account, message)[0] == 250
    other = server.add_user(f"v@{DOMAIN}")
    assert deliver(server, "lmtp", other, kept[0])[0] == 250
    before = server.login(other)
    before.ok(b"DELE 1")

    disk.fail("/data/log/")
    doubtful, refused = make_message("doubtful"), [make_message(f"refused-{n}") for n in range(4)]
    code, lines = deliver(server, "smtp", account, doubtful)
    assert code == 451 and lines[0].startswith("4."), (code, lines)
    server.wait_log("store.stopped")
    assert len(disk.failures()) == 1

    def check_stopped():
        for kind, message in (("smtp", refused[0]), ("lmtp", refused[1]), ("smtp", make_message("large", LARGE))):
            code, lines = deliver(server, kind, account, message)
            assert code == 451 and lines[0].startswith("4."), (kind, code, lines)
        with server.login(account) as pop:  # and reading goes on
            assert pop.stat()[0] == len(kept)
            assert list(pop.listing()) == list(pop.uidl()) == [1, 2, 3]
            for number, message in enumerate(kept, 1):
                assert without_trace(pop.retr(number)) == message
            pop.ok(b"DELE 2")
            pop.ok(b"DELE 3")
            assert pop.err(b"QUIT").startswith(b"-ERR [SYS/TEMP] ")
        with server.login(account) as pop:
            assert pop.stat()[0] == len(kept)
            pop.quit()  # nothing to be written: nothing to refuse
        with pytest.raises(CliError):
            server.add_user(f"w@{DOMAIN}")
        status = server.cli("status")["storage"]
        assert status["health"] == "stopped"
        assert "a restart is needed" in status["state"] and os.strerror(5) in status["state"], status["state"]
        assert status["state"] in server.run_cli("status").stdout
        server.wait_log("store.stopped")
        assert server.log().count("store.stopped") == 1 and os.strerror(5) in server.log()

    bodies = sorted((server.data / "large").rglob("*"))
    check_stopped()
    assert before.err(b"QUIT").startswith(b"-ERR [SYS/TEMP] ")  # of a session from before
    disk.mend()
    check_stopped()  # what succeeds now would prove nothing
    assert sorted((server.data / "large").rglob("*")) == bodies, "a refused message leaves nothing"
    assert len(disk.failures()) == 1, "nothing was tried again"

    getattr(server, end)()
    server.start(env=disk.env)
    assert server.cli("status")["storage"]["health"] == "ok"
    assert mail_of(server, other) == kept[:1]
    found = mail_of(server, account)
    assert found in (kept, [*kept, doubtful])  # nobody can know of that one
    assert deliver(server, "smtp", account, refused[3])[0] == 250
    with server.login(account) as pop:
        pop.ok(b"DELE 1")
        pop.quit()
    assert mail_of(server, account) == [*found[1:], refused[3]]
    server.stop()
    assert server.run_cli("verify").returncode == 0


def test_a_large_body_that_cannot_be_synced_is_refused_and_stops_nothing(make_server, disk):
    """No record refers to the file whose sync failed, and the next message has a file of its own."""
    server, account = start(make_server, disk)
    first, second = make_message("first", LARGE), make_message("second", LARGE)
    disk.fail("/data/large/incoming/")
    code, lines = deliver(server, "smtp", account, first)
    assert code == 451 and lines[0].startswith("4."), (code, lines)
    assert len(disk.failures()) == 1
    assert deliver(server, "smtp", account, make_message("small"))[0] == 250
    disk.mend()
    assert deliver(server, "smtp", account, second)[0] == 250
    assert server.cli("status")["storage"]["health"] == "ok"
    assert mail_of(server, account) == [make_message("small"), second]
    assert not list((server.data / "large/incoming").iterdir())
