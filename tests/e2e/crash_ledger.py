"""Knows what a store must hold after any crash, from what was acknowledged before it.

Each message has a name, from which its octets follow; X-Test-Name and the subject contain it. The ledger has the state of each
message of an account. A change that was under way when the server died has a state in between: `Account.check` looks whether
it was made. Made or not made is right, half made is not.
"""

import hashlib
import re
import threading
import time
import urllib.parse

from poplar_server import PASSWORD, without_trace

NAME = re.compile(rb"X-Test-Name: ([^\r]+)\r\n")

SENDING, LIVE, DELETING, RETAINED, RESTORING = "sending", "live", "deleting", "retained", "restoring"


class Message:
    def __init__(self, name, octets):
        self.name = name
        self.digest = hashlib.sha256(octets).digest()
        self.state = SENDING
        self.unique_id = None    # as first seen
        self.order = None        # its place, as the admin API tells it
        self.kept_until = 0.0    # deleted: it can be restored until then, at least
        self.delete_asked = 0.0


class Account:
    """One account's ledger. The lock is for the threads of a round; `check` runs when they are over."""

    def __init__(self, address, retention, owners=None):
        self.address, self.retention = address, retention
        self.lock = threading.Lock()
        self.id = None
        self.messages = {}
        # The message of each unique-id, for ever, even if the address was removed and made again.
        self.owners = {} if owners is None else owners

    # While the load runs.

    def sending(self, name, octets):
        with self.lock:
            self.messages[name] = Message(name, octets)

    def delivered(self, name):
        with self.lock:
            self.messages[name].state = LIVE

    def named(self, unique_id, head):
        """Checks that the message keeps the unique-id under which it was first seen, and that no other gets it."""
        name = NAME.search(head)[1].decode()
        with self.lock:
            owner = self.owners.setdefault(unique_id, name)
            assert owner == name, f"{self.address}: unique-id {unique_id} was {owner}'s, now it is {name}'s"
            message = self.messages.get(name)
            assert message is not None, f"{self.address}: {name} must not be here: never finished, or long gone"
            if message.unique_id is None:
                message.unique_id = unique_id
            assert message.unique_id == unique_id, f"{name} had the unique-id {message.unique_id}, now {unique_id}"
            return message

    def fetched(self, unique_id, stored):
        """Checks that a message was sent, and is byte-exact."""
        message = self.named(unique_id, stored)
        self.same(message, stored)
        return message

    def same(self, message, stored):
        assert hashlib.sha256(without_trace(stored)).digest() == message.digest, f"{self.address}: {message.name} changed"

    def known(self, unique_id):
        with self.lock:
            name = self.owners.get(unique_id)
            return self.messages.get(name) if name else None

    def begin_deleting(self, messages):
        with self.lock:
            for message in messages:
                message.state, message.delete_asked = DELETING, time.time()

    def deleted(self, messages):
        with self.lock:
            for message in messages:
                message.state, message.kept_until = RETAINED, message.delete_asked + self.retention

    def take_retained(self, rng, seconds):
        """A message that can be restored for so long at least. Its state becomes RESTORING."""
        with self.lock:
            kept = [m for m in self.messages.values() if m.state == RETAINED and m.kept_until > time.time() + seconds]
            if not kept:
                return None
            message = rng.choice(kept)
            message.state = RESTORING
            return message

    def restored(self, message, found):
        with self.lock:
            if found:
                message.state = LIVE
                return
            assert time.time() >= message.kept_until, f"{self.address}: {message.name} was deleted and can't be restored"
            del self.messages[message.name]

    # After a restart.

    def check(self, server, login=True):
        """Compares everything, and settles what was under way. `login`: by POP3 too; else the account was removed."""
        who = self.address if login else f"id:{self.id}"
        base = "/v1/accounts/" + urllib.parse.quote(who, safe="")
        live = pages(server, base + "/messages?", "after", lambda got: got[-1]["order"])
        if login:
            self.check_maildrop(server, live)
        found = {}
        for entry in live:
            message = self.listed(entry)
            assert message.name not in found, f"{who}: {message.name} is there twice"
            assert message.state != RETAINED, f"{who}: the deletion of {message.name} was acknowledged, and it is back"
            found[message.name] = message
        kept = self.check_counters(server, base, live) if login else pages(server, base + "/retained?", "offset", len)
        for entry in kept:
            message = self.listed(entry)
            assert message.name not in found, f"{who}: {message.name} is there twice"
            assert message.state not in (SENDING, LIVE), f"{who}: nobody deleted {message.name}"
            found[message.name] = message
            if message.state != RETAINED:
                message.kept_until = max(message.kept_until, message.delete_asked + self.retention)
                message.state = RETAINED
        now = time.time()
        gone = []
        for message in self.messages.values():
            if message.name in found:
                if message.state != RETAINED:
                    message.state = LIVE  # from here on it is certain
                continue
            # Its delivery was under way and was not made, or its days are over: gone for good.
            assert message.state != LIVE, f"{who}: {message.name} was acknowledged and is lost"
            until = message.delete_asked + self.retention if message.state == DELETING else message.kept_until
            assert message.state == SENDING or now >= until, f"{who}: {message.name} was deleted and is not kept"
            gone.append(message.name)
        for name in gone:
            del self.messages[name]
        return len(live), len(kept)

    def listed(self, entry):
        """The ledger's message for an entry of the admin API's lists."""
        message = self.named(entry["unique_id"], f"X-Test-Name: {entry['subject']}\r\n".encode())
        if message.order is None:
            message.order = entry["order"]
        assert message.order == entry["order"], f"{self.address}: {message.name} has another place than before"
        return message

    def check_maildrop(self, server, live):
        """POP3 serves exactly the messages of the server's own list, and each is byte-exact."""
        # Must succeed at the first try: the dead server had this maildrop open, and no lock may be left.
        with server.login(self.address) as client:
            ids, sizes = client.uidl(), client.listing()
            assert list(ids.values()) == [entry["unique_id"] for entry in live]
            assert list(sizes.values()) == [entry["octets"] for entry in live]
            assert client.stat() == (len(sizes), sum(sizes.values()))
            for number, unique_id in ids.items():
                self.fetched(unique_id, client.retr(number))
            client.quit()

    def check_counters(self, server, base, live):
        """The counters against a recount. Returns what is kept of deleted mail."""
        for _ in range(50):  # until nothing expired in between
            status, before = server.admin("GET", base)
            assert status == 200, before
            kept = pages(server, base + "/retained?", "offset", len)
            if server.admin("GET", base)[1] == before:
                break
        assert (before["messages"], before["octets"]) == (len(live), sum(entry["octets"] for entry in live)), before
        counted = len(kept), sum(entry["octets"] for entry in kept)
        assert (before["retained_messages"], before["retained_octets"]) == counted, (before, counted)
        return kept

    def check_content(self, server, rng, most):
        """Some of the messages that POP3 does not show, byte by byte."""
        with self.lock:
            kept = [m for m in self.messages.values() if m.state == RETAINED]
        for message in rng.sample(kept, min(most, len(kept))):
            target = f"/v1/accounts/{urllib.parse.quote(self.address, safe='')}/messages/{message.unique_id}/content"
            status, octets = server.admin_octets("GET", target)
            if status == 404 and time.time() >= message.kept_until:
                continue
            assert status == 200, f"{self.address}: {message.name} is kept and can't be read: {octets!r}"
            self.same(message, octets)


def pages(server, target, parameter, next_value, page=1000):
    """All messages of a list of the admin API."""
    found, after = [], 0
    while True:
        status, value = server.admin("GET", f"{target}limit={page}&{parameter}={after}")
        assert status == 200, (target, status, value)
        got = value["messages"]
        found += got
        if len(got) < page:
            return found
        after = next_value(found if parameter == "offset" else got)


def add_account(server, address):
    """Adds an account whose password costs nothing to check. Returns its id."""
    status, account = server.admin("POST", "/v1/accounts", {"address": address, "password_hash": "{PLAIN}" + PASSWORD})
    assert status == 201, account
    return account["id"]
