"""kill -9 under load, again and again: what was acknowledged holds, and unique-ids never change.

Deliverers send messages whose bytes follow from their name; a message is *acknowledged* once its 250 was read. Deleters
fetch and delete; a deletion is acknowledged once QUIT's +OK was read. After each restart every maildrop is compared with
these ledgers. What was under way at the kill may be there or not, but whole and once.
"""

import json
import random
import re
import threading
import time

from poplar_server import DOMAIN, PATIENCE, make_message, without_trace

ACCOUNTS = 6
NAME = re.compile(rb"X-Test-Name: ([^\r]+)\r\n")


class Ledger:
    """What one account must hold. Names of messages are unique; the lock is for the threads of one round."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = {}   # name -> message
        self.pending = {}        # sent, not acknowledged: may be there
        self.deleted = set()     # unique-ids whose deletion was acknowledged
        self.deleting = set()    # DELE and QUIT sent, not acknowledged
        self.unique_ids = {}     # name -> unique-id, as first seen


def deliverer(server, kind, ledgers, stop, label, errors):
    rng = random.Random(label)
    number = 0
    try:
        client = server.lmtp() if kind == "lmtp" else server.smtp()
        client.hello()
        while not stop.is_set():
            targets = rng.sample(sorted(ledgers), rng.choice((1, 1, 1, 3)))
            name = f"{label}-{number}"
            number += 1
            octets = rng.choice((200, 2000, 10_000, 60_000, 60_000, 1_500_000)) if number % 9 == 0 else rng.choice((300, 3000))
            message = make_message(name, octets)
            for target in targets:
                with ledgers[target].lock:
                    ledgers[target].pending[name] = message
            client.envelope("a@elsewhere.example", targets)
            client.data(message)
            answers = client.final_replies(len(targets))
            for target, (code, lines) in zip(targets, answers * (1 if kind == "lmtp" else len(targets))):
                assert code == 250, lines
                with ledgers[target].lock:
                    ledgers[target].acknowledged[name] = ledgers[target].pending.pop(name)
    except (EOFError, OSError):
        pass
    except Exception as error:  # noqa: BLE001 - reported by the test
        errors.append(f"{label}: {error!r}")


def deleter(server, ledgers, stop, label, errors):
    rng = random.Random(label)
    try:
        while not stop.is_set():
            address = rng.choice(sorted(ledgers))
            ledger = ledgers[address]
            with server.pop3() as client:
                client.ok(b"USER " + address.encode())
                if not client.command(b"PASS correct horse battery staple").startswith(b"+OK"):
                    time.sleep(0.01)
                    continue  # locked by the other deleter
                ids = client.uidl()
                chosen = rng.sample(sorted(ids), min(len(ids), rng.randrange(1, 8))) if ids else []
                for number in chosen[:2]:
                    check_message(ledger, ids[number], client.retr(number))
                for number in chosen[2:]:
                    name_of(ledger, ids[number], client.multi(b"TOP %d 0" % number))
                uids = {ids[number] for number in chosen}
                for number in chosen:
                    client.ok(b"DELE %d" % number)
                with ledger.lock:
                    ledger.deleting |= uids
                client.ok(b"QUIT")
                with ledger.lock:
                    ledger.deleting -= uids
                    ledger.deleted |= uids
    except (EOFError, OSError):
        pass
    except Exception as error:  # noqa: BLE001
        errors.append(f"{label}: {error!r}")


def name_of(ledger, unique_id, head):
    """A message keeps the unique-id under which it was first seen."""
    name = NAME.search(head)[1].decode()
    with ledger.lock:
        known = ledger.unique_ids.setdefault(name, unique_id)
    assert known == unique_id, f"{name} had the unique-id {known}, now {unique_id}"
    return name


def check_message(ledger, unique_id, stored):
    """A message that is there is one that was sent, byte-exact."""
    name = name_of(ledger, unique_id, stored)
    with ledger.lock:
        sent = ledger.acknowledged.get(name, ledger.pending.get(name))
    assert sent is not None, f"{name} was never sent here"
    assert without_trace(stored) == sent, f"{name} changed"
    return name


def check_account(server, address, ledger):
    with server.login(address) as client:
        ids = client.uidl()
        names = [check_message(ledger, uid, client.retr(number)) for number, uid in ids.items()]
        count, octets = client.stat()
        assert count == len(ids) and octets == sum(client.listing().values())
        client.quit()
    assert len(names) == len(set(names)), "a message is there twice"
    present = set(ids.values())
    assert not present & ledger.deleted, "an acknowledged deletion came back"
    gone = ledger.deleted | ledger.deleting
    for name in ledger.acknowledged:
        assert name in names or ledger.unique_ids.get(name) in gone, f"{name} was acknowledged and is lost"
    # From here on what is there is certain, and what is not is gone for good.
    for name in names:
        if name in ledger.pending:
            ledger.acknowledged[name] = ledger.pending.pop(name)
    ledger.pending.clear()
    ledger.deleted |= {uid for uid in ledger.deleting if uid not in present}
    ledger.deleting.clear()
    ledger.acknowledged = {name: message for name, message in ledger.acknowledged.items() if name in names}
    ledger.unique_ids = {name: uid for name, uid in ledger.unique_ids.items() if name in names}


def test_kill_9_under_load(make_server, long):
    server = make_server(storage={"large_body": "64KiB"})  # many bodies in files of their own
    ledgers = {server.add_user(f"crash{n}@{DOMAIN}"): Ledger() for n in range(ACCOUNTS)}
    total, errors, deleted = 0, [], {address: set() for address in ledgers}
    for round_number in range(60 if long else 8):
        stop = threading.Event()
        threads = [threading.Thread(target=deliverer, args=(server, kind, ledgers, stop, f"r{round_number}-{kind}{n}", errors))
                   for kind in ("lmtp", "smtp") for n in range(3)]
        threads += [threading.Thread(target=deleter, args=(server, ledgers, stop, f"r{round_number}-del{n}", errors)) for n in range(2)]
        for thread in threads:
            thread.start()
        time.sleep(random.Random(round_number).uniform(0.3, 2.0) * (2 if PATIENCE > 1 else 1))
        server.kill()
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        assert not errors, errors
        if round_number % 4 == 3:  # the first to look at what the crash left need not be the server
            done = server.run_cli("verify")
            assert done.returncode == 0, done.stdout + done.stderr
        begin = time.monotonic()
        server.start()
        assert time.monotonic() - begin < 10 * PATIENCE, "restart takes seconds"
        total += sum(len(ledger.acknowledged) for ledger in ledgers.values())
        for address, ledger in ledgers.items():
            deleted[address] |= ledger.deleted
            check_account(server, address, ledger)
    assert total > 100, "the load was no load"
    for address, unique_ids in deleted.items():
        kept = json.dumps(server.cli("mail", "deleted", address))
        assert all(f'"{unique_id}"' in kept for unique_id in unique_ids), "a deleted message is not kept"
    server.stop()
    done = server.run_cli("verify")
    assert done.returncode == 0, done.stdout + done.stderr


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
