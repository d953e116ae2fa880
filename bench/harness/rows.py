"""The rows of the comparison: what is done, what is taken from it, and what Poplar must reach."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Maildrops:
    """Accounts `first` to `first + accounts - 1`, each with `messages` of `size` octets."""
    first: int
    accounts: int
    messages: int = 0
    size: int = 4096

    def arguments(self):
        return ["--first", self.first, "--accounts", self.accounts]


EMPTY = Maildrops(0, 64)
HASHED = Maildrops(64, 32)           # Argon2id
TEN_THOUSAND = Maildrops(96, 4, 10_000, 500)
HUNDRED_THOUSAND = Maildrops(100, 2, 100_000, 500)
SMALL = Maildrops(102, 32, 150, 4096)
MIDDLE = Maildrops(134, 16, 60, 50_000)
LARGE = Maildrops(150, 8, 12, 1_000_000)
INCOMING = Maildrops(158, 256)
ONE = Maildrops(414, 1)
MANY = Maildrops(0, 1000)            # idle connections, on servers of their own
ACCOUNTS = 415


@dataclasses.dataclass(frozen=True)
class Bar:
    """The bar for Poplar: its figure over that of `against` (a server, or a row of its own), at most or at least."""
    limit: float
    against: str = "null"            # "null", "row:KEY", or "" for the figure itself
    least: bool = False

    def text(self, unit):
        bound = "at least" if self.least else "at most"
        if not self.against:
            return f"{bound} {self.limit:g} {unit}"
        return f"{bound} {self.limit:g}x " + ("null" if self.against == "null" else "its own, empty" if "argon" not in self.against
                                               else "without hashing")


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    work: str
    arguments: tuple
    maildrops: Maildrops
    bar: Bar | None = None
    metric: str = "cpu"              # cpu, rate, memory, written, calls
    tls: bool = False                # the port of pop3s
    slow: bool = False               # filling takes others very long: only Poplar and null unless --full
    only: tuple = ()                 # servers; empty: all


UNITS = {"cpu": "us", "rate": "a second", "memory": "KB", "written": "octets", "calls": "calls"}


def _poll(key, title, *arguments, maildrops=EMPTY, connections=32, **options):
    return Row(key, title, "poll", ("-c", connections, *arguments), maildrops, **options)


def _drain(key, title, maildrops, bar, *arguments, connections=16, tls=False):
    extra = ("--tls", "tls") if tls else ()
    return Row(key, title, "drain", ("-c", min(connections, maildrops.accounts), *arguments, *extra), maildrops, Bar(bar), tls=tls)


def _deliver(key, title, connections, *arguments, maildrops=INCOMING, **options):
    return Row(key, title, "deliver", ("-c", connections, *arguments), maildrops, **options)


ROWS = [
    _poll("poll", "poll, empty maildrop, 32 at once", bar=Bar(3)),
    _poll("poll-tls", "poll over TLS 1.3, new session", "--tls", "tls", bar=Bar(1.3), tls=True),
    _poll("poll-tls-resumed", "poll over TLS 1.3, resumed session", "--tls", "tls", "--resume", bar=Bar(1.3), tls=True),
    _poll("poll-argon", "poll, passwords stored as Argon2id", maildrops=HASHED, bar=Bar(1.1, "row:poll"), only=("poplar",)),
    _poll("poll-4", "poll, empty maildrop, 4 at once", connections=4),
    _poll("poll-10k", "poll, 10,000 messages, 4 at once", maildrops=TEN_THOUSAND, connections=4, bar=Bar(1.1, "row:poll-4"),
          slow=True),
    _poll("poll-10k-uidl", "poll with UIDL, 10,000 messages", "--uidl", maildrops=TEN_THOUSAND, connections=4, bar=Bar(3),
          slow=True),
    _poll("poll-2", "poll, empty maildrop, 2 at once", connections=2, only=("poplar", "null")),
    _poll("poll-100k", "poll, 100,000 messages, 2 at once", maildrops=HUNDRED_THOUSAND, connections=2,
          bar=Bar(1.1, "row:poll-2"), slow=True),
    _poll("poll-100k-uidl", "poll with UIDL, 100,000 messages", "--uidl", maildrops=HUNDRED_THOUSAND, connections=2,
          bar=Bar(3), slow=True),
    _drain("drain-4k", "drain 4 KB, one by one", SMALL, 2),
    _drain("drain-4k-pipelined", "drain 4 KB, pipelined", SMALL, 3, "-w", 64),
    _drain("drain-4k-tls", "drain 4 KB over TLS, one by one", SMALL, 2, tls=True),
    _drain("drain-4k-tls-pipelined", "drain 4 KB over TLS, pipelined", SMALL, 3, "-w", 64, tls=True),
    _drain("drain-50k", "drain 50 KB", MIDDLE, 2),
    _drain("drain-50k-tls", "drain 50 KB over TLS", MIDDLE, 1.6, tls=True),
    _drain("drain-1m", "drain 1 MB", LARGE, 1.4),
    _drain("drain-1m-tls", "drain 1 MB over TLS", LARGE, 1.3, tls=True),
    _deliver("deliver-4k-16", "deliver 4 KB, 16 connections", 16, bar=Bar(4)),
    _deliver("deliver-4k-128", "deliver 4 KB, 128 connections", 128, bar=Bar(4)),
    _deliver("deliver-mix-16", "deliver the mix, 16 connections", 16, "--mix", bar=Bar(2.5)),
    _deliver("deliver-mix-128", "deliver the mix, 128 connections", 128, "--mix", bar=Bar(2.5)),
    _deliver("rate-4k-16", "deliveries of 4 KB, 16 connections", 16, bar=Bar(0.5, least=True), metric="rate"),
    _deliver("rate-4k-128", "deliveries of 4 KB, 128 connections", 128, bar=Bar(0.5, least=True), metric="rate"),
    _deliver("rate-one-128", "deliveries of 4 KB into one account, 128 connections", 128, maildrops=ONE,
             bar=Bar(0.4, least=True), metric="rate"),
    _deliver("written", "octets written an octet delivered, the mix", 64, "--mix", bar=Bar(1.1, ""), metric="written"),
    Row("idle", "memory an idle connection", "idle", ("-c", 1000), MANY, Bar(8, ""), "memory"),
    Row("idle-tls", "memory an idle connection, TLS", "idle", ("-c", 1000, "--tls", "tls"), MANY, Bar(40, ""), "memory", tls=True),
    _poll("calls", "system calls a poll", bar=Bar(16, ""), metric="calls"),
]
BY_KEY = {row.key: row for row in ROWS}
