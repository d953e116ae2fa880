"""The clients of tests/e2e/clients against one table of scenarios: what they fetch, what stays, what a lost connection leaves.

What a device stored is compared with what the server holds, octet by octet, after only the client's own way of storing has
been undone. docs/using/clients.md is written from what these show.
"""

import itertools
import pathlib
import re
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients import DEVICES, content
from clients.device import PLAIN, TLS, TOKENS
from clients.wire import Wire
from credentials import Authority, Issuer, everything
from poplar_server import DOMAIN, PATIENCE, Server, big_message, make_message

# A password that every client's configuration takes without quoting rules of its own.
SIMPLE = "Sesame-123"
SECRET = "a-secret-shared-by-both"

_numbers = itertools.count(1)


@pytest.fixture
def account(server):
    return server.add_user(f"client{next(_numbers)}@{DOMAIN}", SIMPLE)


@pytest.fixture
def device(server, directory, need):
    """Makes devices: programs with directories of their own."""
    made = []

    def make(kind, account, name="a"):
        need(*kind.programs)
        made.append(kind(server, account, SIMPLE, directory / f"{name}-{account.split('@')[0]}"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def fill(server, account, messages):
    messages = list(messages)

    def deliver(begin):
        with server.lmtp() as client:
            client.hello()
            for message in messages[begin:begin + 50]:
                client.send_message("sender@elsewhere.example", [account], message)

    # Many connections at once share the waits for the disk. The first fifty are in order.
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(deliver, range(0, len(messages), 50)))


def free_login(server, account):
    """A login as soon as the server has seen that a client's cut connection is over."""
    deadline = time.monotonic() + 20 * PATIENCE
    while True:
        client = server.pop3()
        client.ok(b"USER " + account.encode())
        reply = client.command(b"PASS " + SIMPLE.encode())
        if reply.startswith(b"+OK"):
            return client
        client.close()
        assert reply.startswith(b"-ERR [IN-USE]") and time.monotonic() < deadline, reply


def held(server, account):
    """The server's messages in order, octet by octet as a client gets them without UTF8 (RFC 6856); none here asks for it."""
    with free_login(server, account) as client:
        messages = [client.retr(number) for number in client.uidl()]
        client.quit()
        return messages


def assert_same(kind, got, stored):
    """In any order; says which differ, and where, without showing megabytes."""
    wanted = sorted(map(kind.normal, stored))
    got = sorted(got)
    for one, other in zip(got, wanted):
        if one != other:
            at = next((n for n, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
            pytest.fail(f"{kind.__name__} has {len(one)} octets where the server has {len(other)}; they differ at {at}: "
                        f"{one[max(0, at - 60):at + 60]!r} and {other[max(0, at - 60):at + 60]!r}")
    assert len(got) == len(wanted)


FEW = [make_message("first", 800), make_message("second", 20_000), *(content.AWKWARD[name] for name in ("dots", "eight bits"))]

each_device = pytest.mark.parametrize("kind", DEVICES, ids=lambda kind: kind.__name__)


def rows(name):
    """The devices with their values of an attribute: one row for each."""
    return [pytest.param(kind, value, id=f"{kind.__name__}-{value}") for kind in DEVICES for value in getattr(kind, name)]


@pytest.mark.parametrize("kind, transport", rows("transports"))
def test_fetches_and_deletes(server, account, device, kind, transport):
    fill(server, account, FEW)
    one, stored = device(kind, account), held(server, account)
    assert_same(kind, one.fetch(keep=False, transport=transport), stored)
    assert held(server, account) == []


@each_device
def test_an_empty_maildrop(server, account, device, kind):
    assert device(kind, account).fetch(keep=False, transport=kind.usual) == []


@each_device
def test_two_devices_each_get_everything_while_mail_is_kept_and_one_deletes_it_later(server, account, device, kind):
    fill(server, account, FEW)
    stored = held(server, account)
    one, other = device(kind, account, "a"), device(kind, account, "b")
    assert_same(kind, one.fetch(keep=True, transport=kind.usual), stored)
    assert_same(kind, one.fetch(keep=True, transport=kind.usual), [] if kind.remembers else stored)
    assert_same(kind, other.fetch(keep=True, transport=kind.usual), stored)
    fill(server, account, FEW[:1])
    after = held(server, account)
    assert after[:-1] == stored
    new = after[-1:] if kind.remembers else after
    assert_same(kind, one.fetch(keep=True, transport=kind.usual), new)
    assert held(server, account) == after
    assert_same(kind, other.fetch(keep=False, transport=kind.usual), new)
    assert held(server, account) == [], "what the device left there before is deleted, too"


@each_device
def test_a_cut_connection_loses_nothing_and_the_next_run_gets_the_rest_once(server, account, device, kind):
    middle = b"here the connection is cut\r\n"
    long = make_message("long", 300_000) + middle + make_message("rest", 300_000)
    fill(server, account, [FEW[0], long, FEW[2]])
    stored = held(server, account)
    one = device(kind, account)
    with Wire(server.port["pop3"], cut_after=middle) as wire:  # for both runs: some keep their records by host and port
        first = one.fetch(keep=False, port=wire.port, fails=True)
        assert wire.cuts == 1
        assert held(server, account) == stored, "an unfinished session deletes nothing (RFC 1939 s6)"
        second = one.fetch(keep=False, port=wire.port)
    whole = [copy for copy in first if copy in list(map(kind.normal, stored))]
    # A client that keeps no record, or writes it only when all went well, gets all again.
    again = not kind.remembers or kind.forgets_when_cut
    assert_same(kind, second if again else whole + second, stored)
    assert held(server, account) == []


# One account for all clients, which only read it.

@pytest.fixture(scope="module")
def awkward(server):
    account = server.add_user(f"awkward@{DOMAIN}", SIMPLE)
    fill(server, account, content.AWKWARD.values())
    return account


@pytest.fixture(scope="module")
def large(server):
    account = server.add_user(f"large@{DOMAIN}", SIMPLE)
    fill(server, account, [big_message("large", 30_000_000)])
    return account


@pytest.fixture(scope="module")
def numerous(server):
    account = server.add_user(f"numerous@{DOMAIN}", SIMPLE)
    fill(server, account, content.many(2000))
    return account


@each_device
def test_awkward_messages_byte_for_byte(server, awkward, device, kind):
    stored = held(server, awkward)
    got = device(kind, awkward).fetch(keep=True, transport=kind.usual)
    assert len(got) == len(stored)
    # Messages that a client changes by itself are named in its module, with the reason. That must still be true.
    changed = {name for name, octets in zip(content.AWKWARD, stored) if kind.normal(octets) not in got}
    assert changed == set(kind.without)


@each_device
def test_thirty_megabytes(server, large, device, kind):
    assert_same(kind, device(kind, large).fetch(keep=True, transport=kind.usual), held(server, large))


@pytest.mark.parametrize("kind", [kind for kind in DEVICES if kind.crowds], ids=lambda kind: kind.__name__)
def test_two_thousand_messages(server, numerous, device, kind):
    assert_same(kind, device(kind, numerous).fetch(keep=True, transport=kind.usual), held(server, numerous))


# Each mechanism with each client that knows it, on a server where all of them work.

class World:
    def __init__(self, server, issuer, authority):
        self.server, self.issuer, self.authority = server, issuer, authority

    def what_proves(self, account, mechanism):
        """The credentials of a mechanism, beside the account's name: (password, secret or token; certificate and key)."""
        if mechanism in TOKENS:
            return self.issuer.token(email=account), None
        if mechanism == "EXTERNAL":
            return "unused", self.authority.client(account, name=account)
        return (SECRET if mechanism in ("CRAM-MD5", "APOP") else SIMPLE), None


@pytest.fixture(scope="module")
def worlds():
    """Makes them: with every mechanism, or without one that a client would take instead of the one it is told."""
    home = pathlib.Path(tempfile.mkdtemp(prefix="poplar-"))
    issuer, authority = Issuer(home), Authority(home)
    made = {}

    def world(but=None):
        if but not in made:
            directory = home / str(but)
            directory.mkdir()
            server = Server(directory, **everything(issuer, authority, but)).start()
            made[but] = World(server, issuer, authority)
            server.add_domain()
        return made[but]

    try:
        yield world
        for one in made.values():
            one.server.stop()
    finally:
        for one in made.values():
            if one.server.process is not None:
                one.server.kill()
        shutil.rmtree(home, ignore_errors=True)


NEEDS_TLS = (*TOKENS, "EXTERNAL")
LOGINS = [pytest.param(kind, mechanism, transport, id=f"{kind.__name__}-{mechanism}-{transport}")
          for kind in DEVICES for mechanism in kind.mechanisms for transport in (PLAIN, TLS)
          if transport == TLS or mechanism not in NEEDS_TLS]


@pytest.mark.parametrize("kind, mechanism, transport", LOGINS)
def test_logs_in_by(worlds, directory, need, kind, mechanism, transport):
    need(*kind.programs)
    world = worlds(kind.prefers.get(mechanism))
    server = world.server
    account = server.add_user(f"login{next(_numbers)}@{DOMAIN}", SIMPLE)
    server.cli("user", "secret", account, "--secret-stdin", input=SECRET + "\n")
    fill(server, account, FEW[:1])
    stored = held(server, account)
    password, identity = world.what_proves(account, mechanism)
    one = kind(server, account, password, directory / "device")
    one.identity = identity
    try:
        assert_same(kind, one.fetch(keep=True, transport=transport, mechanism=mechanism), stored)
    finally:
        one.close()
    pattern = rf'pop3\.login .*account="?{re.escape(account)}"?.* mechanism="?{re.escape(mechanism)}(?:-PLUS)?"?'
    server.wait_log_match(pattern)
