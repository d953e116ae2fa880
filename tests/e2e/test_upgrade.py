"""A store that an earlier program left: nothing of it is lost, and its accounts are brought up to date as they change.

stores/format-3.tar.xz was made by the last program before accounts had more mailboxes than INBOX: messages that are live,
deleted, large, and with UTF-8 in their headers, an account whose address was removed, one octet of a body flipped.
expected.json says what that program showed of it; FORMAT.2 is what the file FORMAT said before bodies could be shared,
which none of these are."""

import hashlib
import json
import pathlib
import random
import tarfile
import threading

import pytest
from poplar_server import DOMAIN, PATIENCE, make_message

STORES = pathlib.Path(__file__).parent / "stores"


def digest(octets):
    return hashlib.sha256(octets).hexdigest()


@pytest.fixture(params=[2, 3])
def upgraded(request, make_server):
    """(server on the store, what it should show)"""
    server = make_server(start=False)
    with tarfile.open(STORES / "format-3.tar.xz") as tar:
        tar.extractall(server.directory)
    expected = json.loads((server.data / "expected.json").read_text())
    (server.data / "expected.json").unlink()
    format_2 = (server.data / "FORMAT.2").read_text()
    (server.data / "FORMAT.2").unlink()
    if request.param == 2:
        (server.data / "FORMAT").write_text(format_2)
    server.start()
    return server, expected


def live(server, address, broken):
    """[[unique-id, octets, digest]] as POP3 has them; None for the octets of what can't be read."""
    with server.pop3() as client:
        client.ok(b"UTF8")
        client.login(address)
        found = []
        for number, unique_id in client.uidl().items():
            unique_id = unique_id.decode() if isinstance(unique_id, bytes) else unique_id
            if unique_id == broken:
                client.err(b"RETR %d" % number)
                found.append([unique_id, None, None])
                continue
            octets = client.retr(number)
            found.append([unique_id, len(octets), digest(octets)])
        client.quit()
    return found


def retained(server, address):
    status, answer = server.admin("GET", f"/v1/accounts/{address}/retained?headers=no")
    assert status == 200
    return [[message["unique_id"], message["octets"]] for message in answer["messages"]]


def broken_id(server, address):
    """The unique-id of the one message that can't be read."""
    with server.login(address) as client:
        broken = []
        for number, unique_id in client.uidl().items():
            try:
                client.retr(number)
            except AssertionError:
                broken.append(unique_id)
        client.quit()
    (unique_id,) = broken
    return unique_id.decode() if isinstance(unique_id, bytes) else unique_id


def test_an_earlier_store_opens_and_loses_nothing(upgraded):
    server, expected = upgraded
    assert (server.data / "FORMAT").read_text().startswith("poplar-store 4\n")
    fred = f"fred@{DOMAIN}"
    broken = broken_id(server, fred)

    def as_expected(address, known):
        return [[u, None, None] if u == broken else [u, n, d] for u, n, d in known["live"]]

    for address, known in expected["accounts"].items():
        assert live(server, address, broken) == as_expected(address, known), address
        assert retained(server, address) == known["retained"], address
    # The first change brings an account up to date; what it had stays as it was.
    for address, known in expected["accounts"].items():
        server.deliver(address, make_message("after"))
        now = live(server, address, broken)
        assert now[:-1] == as_expected(address, known) and len(now) == len(known["live"]) + 1, address
    known = expected["accounts"][fred]
    for unique_id, _ in known["retained"]:
        assert server.run_cli("mail", "restore", fred, unique_id).returncode == 0
    with server.login(fred) as client:
        ids = [u.decode() if isinstance(u, bytes) else u for u in client.uidl().values()]
        client.quit()
    assert {u for u, _, _ in known["live"]} | {u for u, _ in known["retained"]} == set(ids[:-1])
    assert retained(server, fred) == []

    # Only the flipped octet is damage; made anew from the segments alone all of it is the same.
    before = {address: server.cli("mail", "list", address) for address in expected["accounts"]}
    server.stop()
    found = server.run_cli("verify")
    assert found.returncode != 0 and broken in found.stdout + found.stderr
    (server.data / "index").rename(server.data / "index.lost")
    assert server.run_cli("rebuild").returncode in (0, 1)
    server.start()
    assert {address: server.cli("mail", "list", address) for address in expected["accounts"]} == before


def test_kill_9_among_the_first_changes_costs_nothing(upgraded):
    """Deliveries to every account, all at once, and the server dies somewhere among them; again, until each account has
    had its first change and two more."""
    server, expected = upgraded
    accounts = list(expected["accounts"])
    broken = broken_id(server, f"fred@{DOMAIN}")
    before = {address: [list(m) for m in live(server, address, broken)] for address in accounts}
    kept = {address: retained(server, address) for address in accounts}
    acknowledged = {address: 0 for address in accounts}
    sent = {address: 0 for address in accounts}
    rng = random.Random(20)

    def change(address):
        try:
            while acknowledged[address] < 3:
                sent[address] += 1
                server.deliver(address, make_message(f"after {sent[address]}"))
                acknowledged[address] += 1
                enough.release()
        except (OSError, AssertionError, EOFError):
            pass  # the server died

    for _ in range(60):
        if min(acknowledged.values()) == 3:
            break
        enough = threading.Semaphore(0)
        senders = [threading.Thread(target=change, args=(address,)) for address in accounts]
        for sender in senders:
            sender.start()
        for _ in range(rng.randint(1, len(accounts))):
            enough.acquire(timeout=PATIENCE)
        server.kill()
        for sender in senders:
            sender.join()
        server.start()
        for address in accounts:
            now = live(server, address, broken)
            assert now[:len(before[address])] == before[address], address
            assert acknowledged[address] <= len(now) - len(before[address]) <= sent[address], address
            assert retained(server, address) == kept[address], address
    assert min(acknowledged.values()) == 3, acknowledged
