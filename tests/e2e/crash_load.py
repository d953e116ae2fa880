"""The mixed load of test_crash.py: everything that changes a store, all at the same time, until the server is killed.

Each actor is a thread with random numbers of its own, so a seed says what each does, though not how they interleave.
"""

import collections
import http.client
import random
import threading
import time
import urllib.parse

from crash_ledger import LIVE, Account, add_account
from poplar_server import DOMAIN, PASSWORD, big_message, make_message, stuffed

ACCOUNTS = 5
RESTORABLE = 1.0  # seconds that a deleted message must still have to be chosen


class Load:
    """Shared by all rounds: the server, the ledgers, and counts of what was done."""

    def __init__(self, server, seed, retention):
        self.server, self.seed, self.retention = server, seed, retention
        self.accounts = {}
        for number in range(ACCOUNTS):
            account = Account(f"crash{number}@{DOMAIN}", retention)
            account.id = add_account(server, account.address)
            self.accounts[account.address] = account
        self.held = Account(f"held@{DOMAIN}", retention)
        self.held.id = add_account(server, self.held.address)
        self.churn = [ChurningAddress(f"churn{number}@{DOMAIN}", retention) for number in range(2)]
        self.done = collections.Counter()  # what really happened: a load that leaves something out proves nothing
        self.number = 0

    def everybody(self):
        return [*self.accounts.values(), self.held]

    def round(self, number):
        """Starts all actors of a round; call `end` behind the kill."""
        return Round(self, number)


class Round:
    def __init__(self, load, number):
        self.load, self.number = load, number
        self.server, self.done = load.server, load.done
        self.dying = threading.Event()  # set before the kill: from then on connections may break
        self.copying = threading.Event()
        self.errors = []
        actors = [(deliver, "lmtp"), (deliver, "lmtp"), (deliver, "smtp"), (deliver, "smtp"), (delete,), (delete,), (restore,),
                  (hold,), (watch,), *((churn, address) for address in load.churn)]
        self.threads = [threading.Thread(target=self.run, args=(f"r{number}-a{n}", *actor)) for n, actor in enumerate(actors)]
        for thread in self.threads:
            thread.start()

    def run(self, label, actor, *arguments):
        try:
            actor(self, label, random.Random(f"{self.load.seed}/{label}"), *arguments)
        except (EOFError, OSError, http.client.HTTPException) as error:
            if not self.dying.is_set():
                self.errors.append(f"{label}, {actor.__name__}: {error!r}")
        except Exception as error:  # noqa: BLE001 - reported by `end`
            self.errors.append(f"{label}, {actor.__name__}: {error!r}")

    def end(self):
        for thread in self.threads:
            thread.join(120)
            assert not thread.is_alive(), "an actor does not end"
        assert not self.errors, "\n".join(self.errors)


# The actors.

def random_message(rng, name):
    """Messages of all sizes: a line, a page, one with a file beside the log, and one that takes several writes."""
    kind = rng.random()
    if kind < 0.6:
        return make_message(name, rng.choice((0, 300, 1000, 3000)))
    if kind < 0.8:
        return make_message(name, rng.randrange(4_000, 12_000))
    return big_message(name, rng.randrange(20_000, 200_000) if kind < 0.95 else rng.randrange(300_000, 2_000_000))


def deliver(this, label, rng, kind):
    accounts = this.load.accounts
    while not this.dying.is_set():
        with (this.server.lmtp() if kind == "lmtp" else this.server.smtp()) as client:
            client.hello()
            for number in range(rng.randrange(1, 40)):
                name = f"{label}-{this.load.number}"
                this.load.number += 1
                targets = [accounts[address] for address in rng.sample(sorted(accounts), rng.choice((1, 1, 1, 3)))]
                if not deliver_one(this, rng, client, kind, name, targets):
                    break  # cut


def deliver_one(this, rng, client, kind, name, targets):
    """True: the message was acknowledged. False: the connection was cut."""
    message = random_message(rng, name)
    client.envelope("a@elsewhere.example", [account.address for account in targets])
    cut = rng.random()
    if cut < 0.04:  # in the middle: it must never be seen
        client.expect(354, b"DATA")
        client.send(stuffed(message)[:rng.randrange(len(message))])
        this.done["messages cut"] += 1
        return False
    for account in targets:
        account.sending(name, message)
    if kind == "smtp" and rng.random() < 0.3:
        client.send(b"BDAT %d LAST\r\n" % len(message) + message)
    else:
        client.data(message)
    if cut < 0.08:  # without the answer: it may be there
        this.done["answers not read"] += 1
        return False
    for reply in range(len(targets) if kind == "lmtp" else 1):
        code, lines = client.reply()
        assert code == 250, (code, lines)
        for account in targets[reply:reply + 1] if kind == "lmtp" else targets:
            account.delivered(name)
    this.done["messages delivered"] += 1
    return True


def logged_in(client, account):
    """False: another session has the maildrop, perhaps one that was cut and that the server has not seen the end of."""
    client.ok(b"USER " + account.address.encode())
    reply = client.command(b"PASS " + PASSWORD.encode())
    assert reply.startswith((b"+OK", b"-ERR [IN-USE]")), reply
    return reply.startswith(b"+OK")


def delete(this, label, rng):
    while not this.dying.is_set():
        account = this.load.accounts[rng.choice(sorted(this.load.accounts))]
        with this.server.pop3() as client:
            if not logged_in(client, account):
                time.sleep(0.01)
                continue
            fetch_and_delete(this, rng, client, account)


def fetch_and_delete(this, rng, client, account, most=None):
    ids = client.uidl()
    for number in rng.sample(sorted(ids), min(len(ids), 3)):
        if rng.random() < 0.03:
            client.send(b"RETR %d\r\n" % number)  # and away
            this.done["sessions cut"] += 1
            return
        account.fetched(ids[number], client.retr(number))
    count = min(len(ids), rng.randrange(1, 10) if len(ids) < 25 else len(ids) // 2) if most is None else min(len(ids), most)
    doomed = {}
    for number in rng.sample(sorted(ids), count):
        message = account.known(ids[number]) or account.named(ids[number], client.multi(b"TOP %d 0" % number))
        if message.state == LIVE:
            doomed[number] = message
    for number in doomed:
        client.ok(b"DELE %d" % number)
    cut = rng.random()
    if cut < 0.06:  # nothing is deleted without QUIT
        this.done["sessions cut"] += 1
        return
    account.begin_deleting(doomed.values())
    if cut < 0.1:  # without the answer
        client.send(b"QUIT\r\n")
        this.done["answers not read"] += 1
        return
    client.quit()
    account.deleted(doomed.values())
    this.done["messages deleted"] += len(doomed)


def restore(this, label, rng):
    """Sometimes by the command line, mostly by the admin API itself, which is quicker."""
    while not this.dying.is_set():
        account = this.load.accounts[rng.choice(sorted(this.load.accounts))]
        message = account.take_retained(rng, RESTORABLE)
        if message is None:
            time.sleep(0.02)
            continue
        if rng.random() < 0.2:
            done = this.server.run_cli("mail", "restore", account.address, message.unique_id)
            if done.returncode != 0:
                if this.dying.is_set():
                    return
                assert "not_found" in done.stderr or "no message" in done.stderr, done.stderr
            account.restored(message, done.returncode == 0)
        else:
            target = f"/v1/accounts/{urllib.parse.quote(account.address, safe='')}/retained/{message.unique_id}/restore"
            status, value = this.server.admin("POST", target)
            assert status in (200, 404), (status, value)
            account.restored(message, status == 200)
        this.done["messages restored"] += 1
        time.sleep(0.01)


def hold(this, label, rng):
    """Has a maildrop open, with a deletion marked, when the server dies. Neither the lock nor the mark may be left."""
    account = this.load.held
    with this.server.lmtp() as client:
        client.hello()
        deliver_one(this, rng, client, "lmtp", label, [account])
    while not this.dying.is_set():
        with this.server.pop3() as client:
            if not logged_in(client, account):
                time.sleep(0.01)
                continue
            ids = client.uidl()
            if len(ids) > 3:
                fetch_and_delete(this, rng, client, account, 3)
                continue
            for number in ids:
                client.ok(b"DELE %d" % number)
            this.done["maildrops held"] += 1
            this.dying.wait(60)


def watch(this, label, rng):
    """Counts what the server does by itself, as its status tells."""
    copies = 0
    while True:
        status, value = this.server.admin("GET", "/v1/status")
        assert status == 200, value
        storage = value["storage"]
        if storage["copying"]["state"].startswith("copying"):
            this.copying.set()
        this.done["segments copied"] += storage["copying"]["copies"] - copies
        copies = storage["copying"]["copies"]
        this.done["segments at once"] = max(this.done["segments at once"], storage["segments"])
        if value["housekeeping"]:
            this.done["rounds of housekeeping that forgot mail"] += value["housekeeping"]["expired_messages"] > 0
        time.sleep(0.01)


# An address that comes and goes.

ABSENT, CREATING, THERE, REMOVING = "absent", "being made", "there", "being removed"


class ChurningAddress:
    def __init__(self, address, retention):
        self.address, self.retention = address, retention
        self.state = ABSENT
        self.owners = {}    # of unique-ids, whatever account they were given by
        self.account = None
        self.purging = False
        self.removed = []   # (account, kept until): their mail can still be read

    def new_account(self):
        self.account = Account(self.address, self.retention, self.owners)

    def forget_account(self, kept_until):
        if kept_until:
            self.removed.append((self.account, kept_until))
        self.account, self.state = None, ABSENT

    def check(self, server):
        """After a restart: looks whether the address is there, and what it has. Settles what was under way."""
        status, value = server.admin("GET", "/v1/accounts/" + urllib.parse.quote(self.address, safe=""))
        assert status in (200, 404), value
        there = status == 200
        expected = {ABSENT: (False,), THERE: (True,), CREATING: (True, False), REMOVING: (True, False)}[self.state]
        assert there in expected, f"{self.address} was {self.state}, and is {'there' if there else 'not there'}"
        if there:
            if self.account.id is None:
                self.account.id = value["id"]
            assert self.account.id == value["id"], f"{self.address} is another account than before"
            self.account.check(server)
            self.state = THERE
        else:
            if self.state == REMOVING:
                self.forget_account(0)  # perhaps purged in part
            self.account, self.state = None, ABSENT
            with server.lmtp() as client:
                client.hello()
                client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
                client.expect(550, b"RCPT TO:<" + self.address.encode() + b">")
        self.removed = [(account, until) for account, until in self.removed if until > time.time() + 2]
        for account, _ in self.removed:
            account.check(server, login=False)
        return there


def churn(this, label, rng, address):
    target = "/v1/accounts/" + urllib.parse.quote(address.address, safe="")
    for life in range(1_000_000):
        if this.dying.is_set():
            return
        if address.state == ABSENT:
            address.new_account()
            address.state = CREATING
            address.account.id = add_account(this.server, address.address)
            address.state = THERE
            this.done["accounts made"] += 1
        account = address.account
        with this.server.lmtp() as client:
            client.hello()
            for number in range(rng.randrange(1, 6)):
                if not deliver_one(this, rng, client, "lmtp", f"{label}-{life}-{number}", [account]):
                    break
        with this.server.pop3() as client:
            if logged_in(client, account):
                fetch_and_delete(this, rng, client, account, 2)
        if rng.random() < 0.7:
            purge = rng.random() < 0.5
            address.state = REMOVING
            asked = time.time()
            status, value = this.server.admin("DELETE", target + ("?purge=yes" if purge else ""))
            assert status == 200 and value["id"] == account.id, (status, value)
            address.forget_account(0 if purge else asked + this.load.retention)
            this.done["accounts removed"] += 1
