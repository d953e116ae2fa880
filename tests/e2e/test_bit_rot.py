"""Octets are flipped in the files of a store that is being served. They are found, named, never served, and mended if possible.

tests/store/flip_test.cc flips every kind of octet under the mail store; here are the program, its commands and POP3.
POPLAR_SEED=n chooses other places, --long more of them.
"""

import json
import os
import random
import re
import shutil
import time
import urllib.parse

import pytest

from poplar_server import DOMAIN, PASSWORD, PATIENCE, SANITIZED, big_message, make_message

STUFFED = re.compile(rb"(?m)^\.")
FRAME = 65_536 + 8  # a body is checked, and its damage named, in frames of at most so many octets
STORAGE = {"segment_size": "1MiB", "large_body": "64KiB", "copy_rate": 0, "scrub_every": 0}


class Store:
    """A server with two accounts and mail of all kinds; `mail` is what each maildrop must give: [(unique-id, octets)]."""

    def __init__(self, server, per_account=30):
        self.server = server
        self.accounts = [server.add_user(f"u{n}@{DOMAIN}") for n in range(2)]
        self.names = {}  # (account, name) -> unique-id
        for number in range(per_account):
            for n, account in enumerate(self.accounts):
                server.deliver(account, make_message(f"rot-{n}-{number}", (300, 3000, 40_000)[number % 3]))
        with server.lmtp() as client:
            client.hello()
            client.send_message("a@elsewhere.example", self.accounts, big_message("rot-shared", 700_000))
        with server.login(self.accounts[0]) as client:
            for number in (2, 6):
                client.ok(b"DELE %d" % number)
            client.quit()
        self.mail = self.fetch()
        for account in self.accounts:
            base = f"/v1/accounts/{urllib.parse.quote(account, safe='')}"
            for kind in ("messages", "retained"):
                for entry in server.admin("GET", f"{base}/{kind}?limit=1000")[1]["messages"]:
                    self.names[account, entry["subject"]] = entry["unique_id"]

    def fetch(self):
        return {account: self.server.fetch_all(account) for account in self.accounts}

    def files(self):
        """All files that verify reads: (path, how many octets)."""
        for path in sorted(self.server.data.rglob("*")):
            relative = path.relative_to(self.server.data)
            if path.is_file() and path.name not in ("LOCK", "RESERVE") and not path.name.startswith("LOG"):
                yield relative, path.stat().st_size

    def find(self, name):
        """(file, offset) of a message's octets, behind its header."""
        needle = f"X-Test-Name: {name}\r\n".encode()
        for relative, _ in self.files():
            octets = (self.server.data / relative).read_bytes()
            if (at := octets.find(needle)) >= 0:
                return relative, at + len(needle)
        raise AssertionError(f"{name} is nowhere")

    def flip(self, relative, offset, bits=0x20):
        with open(self.server.data / relative, "r+b") as file:
            file.seek(offset)
            octet = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([octet ^ bits]))

    def settle(self):
        """Waits until the index merges no more files: a start may begin with that, and a file that goes tells of no damage."""
        before = None
        while (now := sorted(relative for relative, _ in self.files())) != before:
            before = now
            time.sleep(0.5)

    def verify(self):
        """The findings of `poplar verify`."""
        done = self.server.run_cli("verify", "--json")
        events = [json.loads(line) for line in done.stdout.splitlines()]
        found = [event for event in events if event["type"] == "damage"]
        assert (done.returncode != 0) == bool(found), (done.returncode, done.stdout, done.stderr)
        return found

    def check(self, damaged=frozenset(), lists_may_fail=False):
        """Checks that POP3 gives every message as it was, but for damaged ones an error of their own. `lists_may_fail`: where
        the index is damaged, accounts and lists may be what it tells wrong.
        Returns the unique-ids that could not be read."""
        unreadable = set()
        for account in self.accounts:
            with self.server.pop3() as client:
                client.ok(b"UTF8")
                client.ok(f"USER {account}".encode())
                reply = client.command(f"PASS {PASSWORD}".encode())
                if reply.startswith(b"+OK"):
                    reply = client.command(b"UIDL")
                if not reply.startswith(b"+OK"):
                    assert lists_may_fail and reply.startswith(b"-ERR [SYS/PERM]"), reply
                    continue
                ids = [line.split()[1].decode() for line in client.body().splitlines()]
                assert ids == [unique_id for unique_id, _ in self.mail[account]], "the same unique-ids in the same order"
                for number, (unique_id, octets) in enumerate(self.mail[account], 1):
                    for command in (b"TOP %d 0" % number, b"RETR %d" % number):
                        reply = client.command(command)
                        if reply.startswith(b"+OK"):
                            body = client.body()
                            wire = STUFFED.sub(b"..", octets)
                            assert body == (wire if command.startswith(b"RETR") else wire[:wire.index(b"\r\n\r\n") + 4])
                    if reply.startswith(b"+OK"):
                        assert unique_id not in damaged, "a damaged message is answered"
                        continue
                    assert reply.startswith(b"-ERR [SYS/PERM]"), reply
                    unreadable.add(unique_id)
                client.quit()
        if not lists_may_fail:
            assert unreadable >= {u for u in damaged if any(u == unique_id for mail in self.mail.values() for unique_id, _ in mail)}
        return unreadable


@pytest.fixture
def store(make_server):
    return Store(make_server(storage=STORAGE))


def test_a_flipped_octet_of_a_message_is_named_and_the_message_is_not_served(store):
    server = store.server
    first, second = store.accounts
    victims = {  # name -> (how far behind its header, the accounts that have it)
        "rot-0-4": (20, [first]),          # a short one
        "rot-1-5": (35_000, [second]),     # one of some length
        "rot-0-5": (1000, [first]),        # deleted, still kept
        "rot-shared": (650_000, [first, second]),  # beside the log, one file for both
    }
    expected = set()
    for name, (behind, owners) in victims.items():
        relative, at = store.find(name)
        store.flip(relative, at + behind)
        expected |= {(owner, store.names[owner, name], at + behind) for owner in owners}
    damaged = {unique_id for _, unique_id, _ in expected}

    def named():
        found = store.verify()
        assert len(found) == len(expected), found
        for account, unique_id, offset in expected:
            (one,) = [event for event in found if (event.get("account"), event.get("message")) == (account, unique_id)]
            assert one["offset"] <= offset < one["offset"] + FRAME, (one, offset)
            assert (server.data / one["file"]).is_file(), one
        text = server.run_cli("verify").stdout
        for account, unique_id, _ in expected:
            assert f"account {account} message {unique_id}" in text, text

    named()
    assert store.check(damaged) < damaged, "the deleted one is not in the maildrop"
    deleted = store.names[first, "rot-0-5"]
    status, reply = server.admin("GET", f"/v1/accounts/{urllib.parse.quote(first, safe='')}/messages/{deleted}/content")
    assert status == 500 and reply["error"]["code"] == "corrupt", reply
    server.stop()
    named()
    done = server.run_cli("rebuild")
    assert "a body's checksum is wrong" in done.stdout and "0 accounts counted anew" in done.stdout, done.stdout + done.stderr
    server.start()
    store.check(damaged)
    named()


def kinds(store, sound):
    """The files by kind, so that small ones are chosen as often as large ones. `sound`: the files of the stopped server; a
    running one has allocated more for its log."""
    found = {}
    for relative, size in store.files():
        if relative.suffix == ".seg":
            size = (sound / relative).stat().st_size
        kind = relative.parts[0] if relative.parts[0] != "index" else relative.suffix or relative.name.partition("-")[0]
        if size:
            found.setdefault(kind, []).append((relative, size))
    return found


def test_any_flipped_octet_is_found_and_costs_at_most_its_message(store, long):
    server = store.server
    seed = int(os.environ.get("POPLAR_SEED", 1))
    rng = random.Random(seed)
    server.stop()  # so that the log is cut to its content and the index is in its files
    sound = server.directory / "sound"
    shutil.copytree(server.data, sound)
    for case in range(80 if long else 4 if SANITIZED else 10):
        shutil.rmtree(server.data)
        shutil.copytree(sound, server.data)
        server.start()
        store.settle()
        by_kind = kinds(store, sound)
        kind = sorted(by_kind)[case % len(by_kind)]
        relative, size = rng.choice(by_kind[kind])
        offset, bits = rng.randrange(size), rng.randrange(1, 256)
        if relative.suffix == ".seg" and case % 2:
            offset = rng.randrange(200)  # its header and the first record's
        where = f"seed {seed}, case {case}: {relative} at {offset} ^ {bits}"
        store.flip(relative, offset, bits)
        found = store.verify()
        assert any(one.get("file") == str(relative) for one in found), (where, found)
        of_index = relative.parts[0] == "index"
        unreadable = store.check(lists_may_fail=of_index)
        assert len(unreadable) <= 2, (where, unreadable)  # two accounts may have the same octets
        server.stop()
        assert server.run_cli("verify").returncode != 0 or of_index, where  # what RocksDB writes anew is sound again
        server.run_cli("rebuild")
        server.start()
        assert store.check() <= unreadable, where
        if not unreadable:
            assert not store.verify(), where
        server.stop()
    server.start()


def scrub_status(server):
    return server.cli("status")["scrub"]


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds * PATIENCE
    while not (value := what()):
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.1)
    return value


def test_scrubbing_finds_damage_at_its_pace_and_goes_on_behind_a_restart(make_server):
    rate = 512 << 10
    store = Store(make_server(storage=STORAGE | {"scrub_rate": rate}), per_account=60)
    server = store.server
    first = store.accounts[0]
    relative, at = store.find("rot-0-4")
    store.flip(relative, at + 20)
    unique_id = store.names[first, "rot-0-4"]

    begin = time.monotonic()
    server.cli("scrub")
    wait_for(lambda: scrub_status(server)["octets"] > 400_000)
    middle = scrub_status(server)
    assert middle["under_way"] and middle["ended"] is None
    # It may be slower than its pace, but never faster: 256 KiB are read between two pauses.
    assert middle["octets"] <= (time.monotonic() - begin) * rate + (512 << 10)
    store.check({unique_id})  # and all the while mail is served

    server.stop()
    server.start()
    behind = scrub_status(server)
    assert behind["begun"] == middle["begun"] and behind["octets"] >= middle["octets"], "it goes on where it was"
    assert [one.get("message") for one in behind["damage"]] == [unique_id], "and has not forgotten what it found"
    server.kill()
    server.start()
    again = scrub_status(server)
    assert again["begun"] == middle["begun"], "a crash costs a part of a round, not the round"
    end = wait_for(lambda: (now := scrub_status(server)) and not now["under_way"] and now)
    assert end["begun"] == middle["begun"] and end["ended"] is not None and end["failure"] == ""
    (one,) = end["damage"]
    assert (one["file"], one["account"], one["message"]) == (str(relative), first, unique_id)
    assert one["offset"] <= at + 20 < one["offset"] + FRAME
    status = server.run_cli("status").stdout
    assert f"DAMAGED       {relative} at {one['offset']}: account {first} message {unique_id}" in status, status
    octets = server.log_file.read_text()
    assert "store.damage" in octets and "store.scrubbed" in octets
