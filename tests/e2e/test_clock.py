"""A machine whose clock is wrong: nothing that is kept for days goes because of it."""

import os
import pathlib
import subprocess
import time

import pytest

from poplar_server import DOMAIN, make_message

SOURCE = pathlib.Path(__file__).with_name("moved_clock.c")
DAY = 24 * 3600


class Clock:
    """The clock of a server that is started with `env`."""

    def __init__(self, directory):
        library = directory / "moved_clock.so"
        subprocess.run(["clang-19", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"],
                       check=True)
        self.offset = directory / "clock"
        self.set(0)
        self.env = {**os.environ, "LD_PRELOAD": str(library), "POPLAR_TEST_CLOCK": str(self.offset)}

    def set(self, days):
        new = self.offset.with_suffix(".new")
        new.write_text(str(days * DAY))
        new.rename(self.offset)


@pytest.fixture
def clock(directory, need):
    need("clang-19")
    return Clock(directory)


def rounds(server):
    """Waits for a round of housekeeping that begins from now on; its numbers."""
    def count():
        return sum("housekeeping.done" in line for line in server.log().splitlines())
    before = count()
    deadline = time.monotonic() + 30
    while count() < before + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return server.admin("GET", "/v1/status")[1]["housekeeping"]


def test_a_wrong_clock_at_a_start_destroys_nothing(make_server, clock):
    server = make_server(start=False, storage={"expire_every": "100ms"})
    server.start(env=clock.env)
    server.add_domain()
    account, gone = server.add_user(f"u@{DOMAIN}"), server.add_user(f"gone@{DOMAIN}")
    for name in ("deleted", "kept"):
        server.deliver(account, make_message(name))
    with server.login(account) as client:
        client.ok(b"DELE 1")
        client.quit()
    server.deliver(gone, make_message("of a removed account"))
    status, removed = server.admin("DELETE", f"/v1/accounts/{gone}")
    assert status == 200
    assert not server.admin("GET", "/v1/status")[1]["clock"]["doubted"]
    server.stop()

    clock.set(400)
    server.start(env=clock.env)
    house = rounds(server)
    assert house["suspended"] and house["expired_messages"] == house["purged_accounts"] == 0
    now = server.admin("GET", "/v1/status")[1]["clock"]
    assert now["doubted"] and now["expected"] < now["time"] < now["believed_at"]
    assert "CLOCK" in server.run_cli("status").stdout
    server.stop()

    clock.set(0)
    server.start(env=clock.env)
    house = rounds(server)
    assert not house["suspended"] and house["expired_messages"] == house["purged_accounts"] == 0
    assert "CLOCK" not in server.run_cli("status").stdout
    assert len(server.admin("GET", f"/v1/accounts/{account}/retained")[1]["messages"]) == 1
    assert len(server.admin("GET", f"/v1/accounts/id:{removed['id']}/messages")[1]["messages"]) == 1

    clock.set(40)  # while it runs; and this time it is right
    assert rounds(server)["suspended"]
    server.cli("clock", "confirm")
    rounds(server)
    assert "CLOCK" not in server.run_cli("status").stdout
    assert server.admin("GET", f"/v1/accounts/{account}/retained")[1]["messages"] == []
    assert server.admin("GET", f"/v1/accounts/id:{removed['id']}/messages")[1]["messages"] == []
    assert len(server.fetch_all(account)) == 1
