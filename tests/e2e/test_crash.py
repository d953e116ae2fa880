"""kill -9 under a mixed load, again and again: everything that docs/operating/durability.md promises holds.

crash_load.py has the load, crash_ledger.py what must hold. After each restart every account is compared with its ledger:
each acknowledged message is there exactly once and byte-exact, one without an answer is there once and whole or not at
all, acknowledged deletions stay deleted and are kept, unique-ids and places in the order are what they were, counters equal
a recount. No lock is left: a session has a maildrop open whenever the server dies, and each first login behind the restart
must succeed at its first try.

POPLAR_SEED=n begins elsewhere, POPLAR_CRASH_ROUNDS=n makes so many rounds, --long 250.
"""

import os
import pathlib
import random
import shutil
import time

from crash_ledger import RETAINED
from crash_load import Load
from poplar_server import DOMAIN, PATIENCE, SANITIZED, make_message, without_trace

RETENTION = 6 * PATIENCE
# Everything that happens by itself happens within a round.
STORAGE = {"segment_size": "1MiB", "large_body": "64KiB", "write_buffer": "1MiB", "retention": f"{RETENTION}s",
           "expire_every": "300ms", "copy_every": "100ms", "copy_rate": "8MiB", "staged_memory": "1MiB"}


def kill_in_a_round(load, number, rng):
    """One round of load and its end, at a random moment or while segments are copied."""
    this = load.round(number)
    try:
        if rng.random() < 0.4 and this.copying.wait(2 * PATIENCE):
            load.done["kills while copying"] += 1
            time.sleep(rng.uniform(0, 0.03) * PATIENCE)
        else:
            time.sleep(rng.uniform(0.05, 1.2) * PATIENCE)
    finally:
        this.dying.set()
        load.server.kill()
    this.end()


def index_files(server):
    return {path.name for path in (server.data / "index").glob("*.sst")}


def sound(server):
    done = server.run_cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr


def check_everything(load, rng):
    server = load.server
    there = sum(address.check(server) for address in load.churn)
    for account in load.everybody():
        load.done["messages compared"] += sum(account.check(server))
        account.check_content(server, rng, 3)
    status, value = server.admin("GET", "/v1/status")
    assert status == 200 and value["directory"]["accounts"] == len(load.everybody()) + there, value["directory"]
    assert len(server.admin("GET", "/v1/accounts?limit=1000")[1]["accounts"]) == len(load.everybody()) + there
    assert not value["storage"]["damage_found_at_start"], value["storage"]
    account = rng.choice(load.everybody())
    listed = server.cli("mail", "list", account.address)["messages"]
    assert sorted(m["subject"] for m in listed) == sorted(m.name for m in account.messages.values() if m.state != RETAINED)


def one_round(load, number):
    server, rng = load.server, random.Random(f"{load.seed}/{number}")
    before = index_files(server)
    kill_in_a_round(load, number, rng)
    load.done["flushes of the index"] += len(index_files(server) - before)
    if rng.random() < 0.25:  # replay can be interrupted anywhere, too
        server.spawn()
        time.sleep(rng.uniform(0, 0.2) * PATIENCE)
        server.kill()
    if number % 8 == 5:  # the first to look at what the crash left need not be the server
        sound(server)
    if number % 25 == 11:
        done = server.run_cli("rebuild")
        assert done.returncode == 0, done.stdout + done.stderr
    server.start()
    check_everything(load, rng)
    if number % 8 == 1:
        sound(server)


def test_kill_9_under_load(make_server, long):
    seed = int(os.environ.get("POPLAR_SEED", 1))
    rounds = int(os.environ.get("POPLAR_CRASH_ROUNDS", 250 if long else 6 if SANITIZED else 24))
    server = make_server(storage=STORAGE)
    load = Load(server, seed, RETENTION)
    for number in range(rounds):
        try:
            one_round(load, number)
        except BaseException:
            print(f"seed {seed}, round {number} failed. Again: POPLAR_SEED={seed} POPLAR_CRASH_ROUNDS={number + 1} "
                  "./test tests/e2e/test_crash.py -k under_load")
            if keep := os.environ.get("POPLAR_KEEP"):  # a folder that the data directory and the log are copied to
                shutil.copytree(server.directory, pathlib.Path(keep) / f"crash-{seed}-{number}", ignore=shutil.ignore_patterns("*.sock"))
            raise
    print(f"{rounds} rounds, seed {seed}: " + ", ".join(f"{count} {what}" for what, count in sorted(load.done.items())))
    for what in ("messages delivered", "messages deleted", "messages restored", "messages cut", "sessions cut", "answers not read",
                 "accounts made", "accounts removed", "segments copied", "kills while copying", "flushes of the index",
                 "rounds of housekeeping that forgot mail", "maildrops held"):
        assert load.done[what] > 0 or rounds < 20, f"{what}: none. The load was no load"
    assert load.done["segments at once"] > 3 or rounds < 20
    server.stop()
    sound(server)
    assert server.run_cli("rebuild").returncode == 0
    server.start()
    check_everything(load, random.Random(seed))


def test_kill_9_while_starting(make_server):
    """Replay can be interrupted anywhere and begin again."""
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    messages = [make_message(f"m{n}", 5000) for n in range(200)]
    for message in messages:
        server.deliver(account, message)
    before = server.fetch_all(account)
    for delay in (0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2):
        server.kill()
        server.spawn()
        time.sleep(delay)
    server.kill()
    server.start()
    assert server.fetch_all(account) == before
    assert [without_trace(octets) for _, octets in before] == messages
