"""What a case can do: connections, accounts, maildrops with known content, and the words pass, fail and skip."""

import base64
import time

from . import wire
from .inject import InjectionError
from .target import TIMESTAMP, Facts
from .wire import Client, Failed, Skipped, Transcript


def split_message(message):
    """(header, body): the header with its last line end, without the blank line."""
    head, blank, body = message.partition(b"\r\n\r\n")
    return head + b"\r\n", body


def same_message(stored, sent):
    """True if `stored` is `sent`, perhaps with header fields that were added at delivery."""
    stored_head, stored_body = split_message(stored)
    sent_head, sent_body = split_message(sent)
    return stored_body == sent_body and sent_head in stored_head


class Context:
    """One case's view of the target. `account` is this case's alone while it runs."""

    def __init__(self, target, facts, account, timeout, limit):
        self.target, self.facts, self.account, self.timeout = target, facts, account, timeout
        self.deadline = time.monotonic() + limit
        self.transcript = Transcript()
        self.hidden = Transcript()  # of sessions that only prepare
        self.clients, self.leased = [], []

    # Verdicts.

    @staticmethod
    def check(condition, message):
        if not condition:
            raise Failed(message)

    @staticmethod
    def skip(reason):
        raise Skipped(reason)

    def need(self, tag):
        """Skips unless the capability is announced before login. Returns its arguments."""
        for capabilities in (self.facts.plain, self.facts.secure):
            if capabilities and tag in capabilities:
                return capabilities[tag]
        raise Skipped(f"not announced: {tag}")

    def need_capa(self):
        if self.facts.plain is None and self.facts.secure is None:
            raise Skipped("not announced: CAPA is refused")

    def need_top(self):
        if not self.facts.top:
            raise Skipped("not announced: TOP")

    def need_uidl(self):
        if not self.facts.uidl:
            raise Skipped("not announced: UIDL")

    def need_port(self):
        if not self.target.port:
            raise Skipped("no port without implicit TLS was given")

    def need_tls_port(self):
        if not self.target.tls_port:
            raise Skipped("no port with implicit TLS was given")

    def need_stls(self):
        self.need_port()
        if not self.facts.plain or "STLS" not in self.facts.plain:
            raise Skipped("not announced: STLS")

    def secure(self):
        """A way to a connection inside TLS: "tls" or "stls"."""
        if self.target.tls_port:
            return "tls"
        self.need_stls()
        return "stls"

    def way_to(self, mechanism):
        """Over what a SASL mechanism is offered: in the clear first, then inside TLS."""
        for over in ("plain", self.facts.over, "tls", "stls"):
            if over == "plain" and not self.target.port or over == "tls" and not self.target.tls_port:
                continue
            if over == "stls" and "STLS" not in (self.facts.plain or {}):
                continue
            if mechanism.upper() in self.facts.mechanisms(over):
                return over
        raise Skipped(f"not announced: SASL {mechanism}")

    def special(self, kind):
        """The account that the target names for this kind of case; it is this case's alone from now on."""
        account = self.target.special.get(kind)
        if account is None:
            raise Skipped(f'the target has no account for "{kind}"')
        if account not in self.leased:
            begun = time.monotonic()
            account.lock.acquire()
            self.deadline += time.monotonic() - begun  # the wait for other cases is not this one's time
            for client in self.clients:
                client.deadline = self.deadline
            self.leased.append(account)
        return account

    def secret_account(self):
        """An account for CRAM-MD5 and SCRAM."""
        return self.special("sasl") if "sasl" in self.target.special else self.account

    # Connections.

    def dial(self, over="plain", hidden=False):
        """Connected, nothing read."""
        port = self.target.tls_port if over == "tls" else self.target.port
        if not port:
            raise Skipped(f"the target has no port for {over}")
        try:
            client = Client(self.target.host, port, self.hidden if hidden else self.transcript, self.timeout, self.deadline)
        except OSError as error:
            raise Failed(f"can't connect to port {port}: {error}") from None
        self.clients.append(client)
        return client

    def connect(self, over=None, hidden=False, context=None):
        """Connected and greeted, inside TLS if `over` is tls or stls."""
        over = over or ("plain" if self.target.port else "tls")
        client = self.dial(over, hidden)
        if over == "tls":
            client.start_tls(context)
        if not client.greet().ok:
            raise Failed(f"the greeting is {client.greeting!r}")
        if over == "stls":
            client.stls(context)
        return client

    def try_login(self, client, account):
        """The reply to an attempt with the way of login that the server offers."""
        capabilities = self.facts.plain if client.tls is None else self.facts.secure
        if account.extra.get("secret") and not account.password:
            reply = client.command(b"APOP " + account.name.encode() + b" " + self.apop_digest(client, account.extra["secret"]))
        elif capabilities is None or "USER" in capabilities or "PLAIN" not in capabilities.get("SASL", []):
            reply = client.command(b"USER " + account.name.encode())
            if reply.ok:
                reply = client.command(b"PASS " + account.password.encode())
        else:
            plain = f"\0{account.name}\0{account.password}".encode()
            reply = client.command(b"AUTH PLAIN")
            if reply.more:
                reply = client.command(base64.b64encode(plain))
        if reply.ok:
            client.state = "transaction"
        return reply

    @staticmethod
    def apop_digest(client, secret):
        import hashlib
        stamp = TIMESTAMP.search(client.greeting.line)
        if not stamp:
            raise Skipped("not announced: APOP (no timestamp in the greeting)")
        return hashlib.md5(stamp[0] + secret.encode()).hexdigest().encode()

    def session(self, account=None, over=None, hidden=False):
        """A new session in the TRANSACTION state. Waits for a lock that a session before has not given back yet."""
        account = account or self.account
        give_up = time.monotonic() + 10
        while True:
            client = self.connect(over or self.facts.over, hidden)
            reply = self.try_login(client, account)
            if reply.ok:
                return client
            client.close()
            if reply.code == "AUTH" or time.monotonic() > min(give_up, self.deadline):
                raise Failed(f"login as {account.name} was answered with {reply!r}")
            time.sleep(0.1)

    # Maildrops.

    def clean(self, account=None):
        """Leaves the maildrop empty."""
        account = account or self.account
        account.content = None
        client = self.session(account, hidden=True)
        count, _ = client.stat()
        for number in range(1, count + 1):
            client.ok(b"DELE %d" % number)
        client.quit()
        account.content = ()

    def deliver(self, message, account=None):
        """One more message."""
        account = account or self.account
        if not self.target.injector:
            raise Skipped("the target has no way to deliver mail")
        account.content = None
        try:
            self.target.injector.deliver(account.mailbox(), message)
        except (InjectionError, OSError) as error:
            raise Failed(f"mail for the case could not be delivered: {error}") from None

    def fill(self, *messages, account=None):
        """Makes the maildrop hold just these messages. It is left alone if it is known to."""
        account = account or self.account
        if account.content == messages:
            return
        if messages and not self.target.injector:
            raise Skipped("the target has no way to deliver mail")
        self.clean(account)
        for message in messages:
            self.deliver(message, account)
        account.content = messages

    def open(self, *messages, account=None, over=None):
        """A session in the TRANSACTION state whose maildrop holds just these messages."""
        account = account or self.account
        self.fill(*messages, account=account)
        refilled = False
        give_up = time.monotonic() + 8
        while True:
            client = self.session(account, over)
            count, _ = client.stat()
            if count == len(messages):
                return client
            client.quit()
            if count > len(messages) and not refilled:  # somebody else's mail, or a deletion that did not happen
                refilled, account.content = True, None
                self.fill(*messages, account=account)
            elif time.monotonic() > min(give_up, self.deadline):
                account.content = None
                raise Failed(f"{len(messages)} messages were delivered, STAT counts {count}")
            else:
                time.sleep(0.1)

    def numbers(self, client, *messages):
        """The message numbers under which these messages are found."""
        count, _ = client.stat()
        stored = {number: client.retr(number) for number in range(1, count + 1)}
        numbers = []
        for message in messages:
            found = [number for number, text in stored.items() if same_message(text, message) and number not in numbers]
            self.check(found, f"RETR gives no message as it was delivered: {message[:60]!r}")
            numbers.append(found[0])
        return numbers

    def end(self):
        for client in self.clients:
            if client.deleted:
                for account in [self.account, *self.leased]:
                    account.content = None
            client.finish()
        for account in self.leased:
            account.lock.release()


def probe(target, timeout):
    """A first look. Raises Failed if the server can't be talked to at all."""
    facts = Facts()
    context = Context(target, facts, target.accounts[0], timeout, 60)
    try:
        if target.port:
            client = context.connect("plain")
            facts.greeting = client.greeting.line
            facts.plain = client.capabilities()
            client.close()
        ways = []
        if target.tls_port:
            ways = ["tls"]
        elif facts.plain and "STLS" in facts.plain:
            ways = ["stls"]
        for over in ways:
            client = context.connect(over)
            facts.greeting = facts.greeting or client.greeting.line
            facts.secure = client.capabilities()
            client.close()
        facts.timestamp = TIMESTAMP.search(facts.greeting)
        for over in (["plain"] if target.port else []) + ways:
            client = context.connect(over)
            reply = context.try_login(client, target.accounts[0])
            if reply.ok:
                facts.over = over
                facts.inside = client.capabilities()
                known = {**(facts.plain or {}), **(facts.secure or {}), **(facts.inside or {})}
                facts.top, facts.uidl = "TOP" in known, "UIDL" in known
                if not known:  # without CAPA a client has to try (RFC 2449 s5)
                    facts.uidl = client.command(b"UIDL").ok
                    if facts.uidl:
                        client.body()
                client.quit()
                return facts
            facts.login_error = f"{over}: {reply!r}"
            client.close()
        raise Failed(f"nobody can log in: {facts.login_error}")
    finally:
        context.end()
