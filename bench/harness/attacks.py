"""Attacks of strangers, or of one user, on a server: each a coroutine for one connection from one address.

An attack goes on until it is cancelled, and says what it sent. Nothing here needs more than a client can send.
"""

import asyncio
import contextlib
import ssl

DOMAIN = "example.test"
PASSWORD = "correct horse battery staple"


class Peer:
    """An attacker's address, and what all its connections sent."""

    def __init__(self, world, source):
        self.world, self.source = world, source
        self.sent = 0
        self.accepted = 0  # octets of messages that the server took

    @contextlib.asynccontextmanager
    async def connection(self, service):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.world.port[service], local_addr=(self.source, 0),
                                                       limit=1 << 20)
        try:
            yield Wire(self, reader, writer)
        finally:
            writer.transport.abort()


class Wire:
    def __init__(self, peer, reader, writer):
        self.peer, self.reader, self.writer = peer, reader, writer

    async def send(self, octets):
        self.writer.write(octets)
        self.peer.sent += len(octets)
        await self.writer.drain()

    async def line(self):
        line = await asyncio.wait_for(self.reader.readline(), 60)
        if not line:
            raise ConnectionError("closed")
        return line

    async def reply(self):
        """SMTP's, of any number of lines; the last."""
        while True:
            line = await self.line()
            if line[3:4] != b"-":
                return line

    async def ask(self, *commands):
        await self.send(b"".join(command + b"\r\n" for command in commands))
        for _ in commands:
            last = await self.reply()
        return last

    async def swallow(self):
        """All that comes until the server closes."""
        while await self.reader.read(1 << 16):
            pass


async def aliases(peer):
    """RCPT of an alias of a thousand, again and again in one write: each costs a thousand lookups."""
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.ask(b"EHLO x", b"MAIL FROM:<a@b.example>")
        await wire.send(b"RCPT TO:<all@example.test>\r\n" * 1500)
        await wire.swallow()


async def refusals(peer):
    """Long lines for the log, and recipients that are refused."""
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.ask(b"EHLO " + b"h" * 250, b"MAIL FROM:<" + b"m" * 60 + b"@" + b"e" * 60 + b".example>")
        await wire.send("RCPT TO:<é@b.c>\r\n".encode() * 5000)
        await wire.swallow()


async def harvesting(peer):
    """Names that may exist, on a new connection each fifty."""
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.send(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n" +
                        b"".join(b"RCPT TO:<name%d@example.test>\r\n" % i for i in range(50)) + b"QUIT\r\n")
        await wire.swallow()


async def guesses(peer):
    """Passwords for accounts that exist and for some that do not."""
    async with peer.connection("pop3") as wire:
        await wire.line()
        name = f"target{peer.world.draw(200)}@{DOMAIN}"
        await wire.send(f"USER {name}\r\nPASS guess{peer.world.draw(1000)}\r\nQUIT\r\n".encode())
        await wire.swallow()


async def variants(peer):
    """One user's own right password, typed with characters that SASLprep maps to nothing: each time another octet string."""
    spelt = PASSWORD
    number = peer.world.draw(1 << 12)
    for position in range(12):
        if number >> position & 1:
            spelt = spelt[:position * 2 + 1] + "\u00ad" + spelt[position * 2 + 1:]
    async with peer.connection("pop3") as wire:
        await wire.line()
        await wire.send(f"USER variants@{DOMAIN}\r\nPASS {spelt}\r\nQUIT\r\n".encode())
        await wire.swallow()


async def copies(peer):
    """A message of a megabyte for a thousand accounts."""
    message = b"Subject: for all\r\n\r\n" + (b"x" * 76 + b"\r\n") * 12_800
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.ask(b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<all@example.test>")
        if (await wire.ask(b"DATA")).startswith(b"354"):
            if (await wire.ask(message + b".")).startswith(b"250"):
                peer.accepted += len(message)
        await wire.ask(b"QUIT")


async def unfinished(peer):
    """Messages of 48 MB that never end."""
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.ask(b"EHLO x", b"MAIL FROM:<a@b.example>", b"RCPT TO:<bystander@example.test>", b"DATA")
        for _ in range(480):
            await wire.send((b"x" * 98 + b"\r\n") * 1000)
        await wire.swallow()


async def envelopes(peer):
    """A thousand recipients that are an alias of a thousand, and then nothing."""
    async with peer.connection("smtp") as wire:
        await wire.reply()
        await wire.ask(b"EHLO x", b"MAIL FROM:<a@b.example>")
        await wire.send(b"RCPT TO:<all@example.test>\r\n" * 10 + b"RCPT TO:<bystander@example.test>\r\n" * 990)
        await wire.swallow()


async def handshakes(peer):
    """A recorded ClientHello, again and again: the server does its half of the key exchange."""
    async with peer.connection("pop3s") as wire:
        await wire.send(peer.world.client_hello)
        await asyncio.wait_for(wire.reader.read(1 << 14), 10)


ATTACKS = {attack.__name__: attack for attack in (aliases, refusals, harvesting, guesses, variants, copies, unfinished, envelopes,
                                                  handshakes)}
CONNECTIONS = {"aliases": 1, "refusals": 1, "harvesting": 1, "guesses": 2, "variants": 1, "copies": 1, "unfinished": 1,
               "envelopes": 1, "handshakes": 2}  # of one address at a time
PEERS = {"variants": 90, "copies": 8, "unfinished": 60, "aliases": 40}  # addresses; otherwise all


def client_hello():
    """The first words of a client."""
    out, into = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(into, out, server_hostname="localhost").do_handshake()
    return out.read()


async def _repeat(attack, peer, stopped):
    while not stopped.is_set():
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.TimeoutError, ValueError):
            await attack(peer)
        await asyncio.sleep(0.02)


async def run(world, names, sources, seconds):
    """Octets sent, and octets of messages that were taken."""
    peers, tasks, stopped = [], [], asyncio.Event()
    for name in names:
        for source in sources[:PEERS.get(name, len(sources))]:
            peers.append(Peer(world, source))
            tasks += [asyncio.create_task(_repeat(ATTACKS[name], peers[-1], stopped)) for _ in range(CONNECTIONS[name])]
    await asyncio.sleep(seconds)
    stopped.set()
    while tasks:  # asyncio.wait_for may lose a cancellation, and then waits for its minute
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=0.5)
    return sum(peer.sent for peer in peers), sum(peer.accepted for peer in peers)
