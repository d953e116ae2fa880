"""CRAM-MD5 (RFC 2195), and SCRAM (RFC 5802, RFC 7677) with its channel bindings (RFC 5929, RFC 9266)."""

import hashlib
import hmac
import re
import ssl

from ..registry import Group
from ..sasl import Exporter, Scram, b64, scram_login, start, tls_server_end_point, tls_unique
from ..wire import client_tls

case = Group("RFC 2195").case

_CRAM = "The client makes note of the data and then responds with a string consisting of the user name, a space, and a 'digest'. [...] When the " \
        "server receives this client response, it verifies the digest provided."


def _challenge(t):
    client = t.connect(t.way_to("CRAM-MD5"))
    return client, client.command(b"AUTH CRAM-MD5").challenge(), t.secret_account()


def _digest(challenge, secret):
    return hmac.new(secret.encode(), challenge, "md5").hexdigest()


@case("2-001", "MUST", "the challenge is a message-id in angle brackets",
      "The syntax of the unencoded form must correspond to that of an RFC 822 'msg-id' [RFC822] as described in [POP3].")
def _(t):
    _, challenge, _ = _challenge(t)
    t.check(re.fullmatch(rb"<[^<>\s@]+@[^<>\s@]+>", challenge), f"the challenge is {challenge!r}")


@case("2-002", "MUST", "each challenge is another",
      "The data encoded in the first ready response contains an presumptively arbitrary string of random digits, a timestamp, and the "
      "fully-qualified primary host name of the server.")
def _(t):
    challenges = {_challenge(t)[1] for _ in range(4)}
    t.check(len(challenges) == 4, f"challenges: {challenges}")


@case("2-003", "MUST", "the right digest opens the maildrop",
      "If the digest is correct, the server should consider the client authenticated and respond appropriately.")
def _(t):
    client, challenge, account = _challenge(t)
    client.ok(b64(f"{account.name} {_digest(challenge, account.password)}"))
    client.state = "transaction"
    client.ok(b"STAT")


def _cram_refused(number, what, make, quote=_CRAM):
    @case(number, "MUST", f"CRAM-MD5 is refused with {what}", quote)
    def _(t):
        client, challenge, account = _challenge(t)
        client.err(b64(make(account, challenge)))
        client.err(b"STAT")


_cram_refused("2-004", "a wrong digest", lambda account, c: f"{account.name} {_digest(c, account.password + 'x')}")
_cram_refused("2-005", "a digest over other data", lambda account, c: f"{account.name} {_digest(b'<1.2@example.test>', account.password)}")
_cram_refused("2-006", "an unknown name", lambda account, c: f"nobody-{account.name} {_digest(c, account.password)}")
_cram_refused("2-007", "no digest", lambda account, c: account.name)
_cram_refused("2-008", "a digest that is cut", lambda account, c: f"{account.name} {_digest(c, account.password)[:16]}")
_cram_refused("2-009", "the digest of the challenge without angle brackets",
              lambda account, c: f"{account.name} {_digest(c[1:-1], account.password)}",
              "the digested text is the timestamp (including angle-brackets)")
_cram_refused("2-010", "an empty response", lambda account, c: "")


@case("2-011", "MUST", "CRAM-MD5 with an initial response is refused",
      "If the client uses an initial-response argument to the AUTH command with a SASL mechanism that does not support an initial client send, "
      "the server MUST reject the AUTH command with an -ERR reply. [RFC 5034 s4]")
def _(t):
    account = t.secret_account()
    t.connect(t.way_to("CRAM-MD5")).err(b"AUTH CRAM-MD5 " + b64(f"{account.name} {'0' * 32}"))


@case("2-012", "MUST", "CRAM-MD5 is cancelled by *", 'it MUST reject the AUTH command by sending an -ERR reply. [RFC 5034 s4]')
def _(t):
    client, _, _ = _challenge(t)
    client.err(b"*")
    client.err(b"STAT")


# SCRAM: the same cases for each hash.

_FIRST = "In response, the server sends a \"server-first-message\" containing the user's iteration count i and the user's salt, and appends its " \
         "own nonce to the client-specified one. [s5]"
_VERIFIES = "The server verifies the nonce and the proof, verifies that the authorization identity (if supplied by the client in the first " \
            "message) is authorized to act as the authentication identity"


def _scram_cases(group, base, mechanism, hash_name):
    case = Group(group).case

    def number(section, n):
        return f"{section}-{base + n:03}"

    def begin(t, **options):
        account = t.secret_account()
        client = t.connect(t.way_to(mechanism))
        return client, Scram(hash_name, account.name, account.password, **options), account

    def first(t, **options):
        client, scram, account = begin(t, **options)
        scram.read(start(client, mechanism, scram.first(), False).challenge())
        return client, scram, account

    def finish(t, client, final, good):
        reply = client.command(b64(final))
        if reply.more:
            text = reply.challenge()
            if not good:
                t.check(text.startswith(b"e="), f"the exchange should fail, the server says {text!r}")
            reply = client.command(b"")
        t.check(reply.ok if good else reply.err, f"the reply is {reply!r}")
        if good:
            client.state = "transaction"
        else:
            client.err(b"STAT")

    @case(number("5", 1), "MUST", f"{mechanism}: the right proof opens the maildrop, and the server's signature is right",
          "The client then authenticates the server by computing the ServerSignature and comparing it to the value sent by the server.")
    def _(t):
        client, scram, _ = begin(t)
        reply = scram_login(client, mechanism, scram)
        t.check(reply.ok, f"the reply is {reply!r}")
        client.ok(b"STAT")

    @case(number("5", 2), "MUST", f"{mechanism}: the first message may come as initial response",
          'Nothing in SCRAM prevents either sending the client-first message with the SASL authentication request [...] ("initial client response") '
          '[s3]')
    def _(t):
        client, scram, _ = begin(t)
        reply = start(client, mechanism, scram.first(), True)
        t.check(reply.more, f"AUTH was answered with {reply!r}")
        scram.read(reply.challenge())
        finish(t, client, scram.final(), True)

    @case(number("5", 3), "MUST", f"{mechanism}: the server's signature comes before +OK",
          "SCRAM sends additional data with success. [s5.2] Note that POP3 does not allow for additional data to be sent with a message indicating a "
          "successful outcome [RFC 5034 s4]")
    def _(t):
        client, scram, _ = first(t)
        final = scram.final()
        reply = client.command(b64(final))
        scram.verify(reply.challenge())
        client.ok(b"")
        client.state = "transaction"

    @case(number("5.1", 4), "MUST", f"{mechanism}: the server's nonce continues the client's",
          "the client supplies an initial value in its first message, and the server augments that value with its own nonce in its first response.")
    def _(t):
        _, scram, _ = first(t)
        t.check(scram.server_nonce.startswith(scram.nonce) and len(scram.server_nonce) > len(scram.nonce),
                f"client: {scram.nonce!r}, server: {scram.server_nonce!r}")

    @case(number("5.1", 5), "MUST", f"{mechanism}: each exchange has another nonce of the server",
          "It is important that this value be different for each authentication")
    def _(t):
        own = set()
        for _ in range(3):
            _, scram, _ = first(t)
            own.add(scram.server_nonce[len(scram.nonce):])
        t.check(len(own) == 3, f"nonces: {own}")

    @case(number("5.1", 6), "SHOULD", f"{mechanism}: at least 4096 iterations",
          "servers SHOULD announce a hash iteration-count of at least 4096.")
    def _(t):
        _, scram, _ = first(t)
        t.check(scram.iterations >= 4096, f"{scram.iterations} iterations")

    def refused(n, section, what, quote, act):
        @case(number(section, n), "MUST", f"{mechanism}: {what} is refused", quote)
        def _(t):
            act(t)

    def bad_final(**options):
        def act(t):
            client, scram, _ = first(t)
            arguments = {key: value(scram) if callable(value) else value for key, value in options.items()}
            finish(t, client, scram.final(**arguments), False)
        return act

    refused(10, "5", "a wrong proof", _VERIFIES, bad_final(proof_error=True))
    refused(11, "5.1", "another nonce than the server's in the last message",
            "The server MUST verify that the nonce sent by the client in the second message is the same as the one sent by the server in its first "
            "message.", bad_final(nonce=lambda scram: scram.server_nonce + "x"))
    refused(12, "5.1", "the client's nonce alone in the last message",
            "The server MUST verify that the nonce sent by the client in the second message is the same as the one sent by the server",
            bad_final(nonce=lambda scram: scram.nonce))
    refused(13, "6", "another GS2 header in c= than in the first message",
            'The server MUST always validate the client\'s "c=" field.', bad_final(channel=b"y,,"))
    refused(14, "6", "channel binding data in c= without p=",
            'The server MUST always validate the client\'s "c=" field.', bad_final(channel=b"n,,data"))

    def bad_first(change):
        def act(t):
            client, scram, account = begin(t)
            reply = start(client, mechanism, change(scram), False)
            if reply.more:
                text = reply.challenge()
                if not text.startswith(b"e="):  # a server may go on so as not to tell, and fail at the end
                    scram.first_bare = change(scram).decode().split(",", 2)[2]
                    scram.read(text)
                    reply = client.command(b64(scram.final()))
                    if reply.more:
                        t.check(reply.challenge().startswith(b"e="), "the exchange should fail")
                        reply = client.command(b"")
                else:
                    reply = client.command(b"")
            t.check(reply.err, f"the reply is {reply!r}")
        return act

    refused(15, "5", "a first message that begins with none of n, y, p",
            'Note that the client\'s first message will always start with "n", "y", or "p"; otherwise, the message is invalid and authentication MUST '
            'fail.', bad_first(lambda scram: b"x,," + scram.first_bare.encode()))
    refused(16, "5.1", "a name with = that is not =2C or =3D",
            "If the server receives a username that contains '=' not followed by either '2C' or '3D', then the server MUST fail the authentication.",
            bad_first(lambda scram: f"n,,n={scram.name}=41,r={scram.nonce}".encode()))
    refused(17, "5.1", "a mandatory extension",
            "m: This attribute is reserved for future extensibility. In this version of SCRAM, its presence in a client or a server message MUST cause "
            "authentication failure", bad_first(lambda scram: f"n,,m=ext,{scram.first_bare}".encode()))
    refused(18, "5", "an unknown name", _VERIFIES,
            bad_first(lambda scram: f"n,,n=nobody-{scram.name},r={scram.nonce}".encode()))
    refused(19, "7", "a first message without a nonce", 'client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]',
            bad_first(lambda scram: f"n,,n={scram.name}".encode()))

    @case(number("5.1", 20), "MUST", f"{mechanism}: unknown optional extensions are ignored",
          "Unknown optional extensions MUST be ignored upon receipt.")
    def _(t):
        client, scram, _ = begin(t)
        scram.first_bare += ",x=unknown"
        scram.read(start(client, mechanism, scram.first(), False).challenge())
        finish(t, client, scram.final(extension=",z=more"), True)

    @case(number("5", 21), "MUST", f"{mechanism}: the account's own name is accepted as authorization identity", _VERIFIES)
    def _(t):
        account = t.secret_account()
        client, scram, _ = begin(t, gs2=f"n,a={account.name.replace('=', '=3D').replace(',', '=2C')},")
        reply = scram_login(client, mechanism, scram)
        t.check(reply.ok, f"the reply is {reply!r}")

    @case(number("5", 22), "MUST", f"{mechanism}: another authorization identity is refused", _VERIFIES)
    def _(t):
        client, scram, _ = begin(t, gs2="n,a=nobody,")
        reply = scram_login(client, mechanism, scram)
        t.check(reply.err, f"the reply is {reply!r}")

    @case(number("5", 23), "MUST", f"{mechanism}: * cancels it after the first message",
          'it MUST reject the AUTH command by sending an -ERR reply. [RFC 5034 s4]')
    def _(t):
        client, _, _ = first(t)
        client.err(b"*")
        client.err(b"STAT")

    @case(number("5.1", 24), "MUST", f"{mechanism}: if the server tells of a failure in its last message, it is an error attribute",
          'If the server-final-message is sent on authentication failure, then the "e" attribute MUST be included.')
    def _(t):
        client, scram, _ = first(t)
        reply = client.command(b64(scram.final(proof_error=True)))
        t.check(reply.err or reply.challenge().startswith(b"e="), f"the reply is {reply!r}")

    # With channel binding.

    plus = mechanism + "-PLUS"

    def bound(t, version=None):
        """A connection inside TLS where -PLUS is offered, and the account."""
        account = t.secret_account()
        client = t.connect(t.secure(), context=client_tls(version))
        if plus not in [name.upper() for name in (client.capabilities() or {}).get("SASL", [])]:
            t.skip(f"not announced: SASL {plus}" + (" over TLS 1.2" if version else ""))
        return client, account

    @case(number("6", 40), "MUST", f"{plus} is announced with {mechanism}",
          "Servers that support the use of channel binding SHOULD advertise both the non-PLUS (SCRAM-<hash-function>) and PLUS-variant; If the server "
          "supports channel binding, it will advertise both the \"bare\" and \"plus\" versions of whatever mechanisms it supports [s4]")
    def _(t):
        client, _ = bound(t)
        found = (client.capabilities() or {}).get("SASL", [])
        t.check(mechanism in found, f"SASL has {found}")

    @case(number("6", 41), "MUST", f"{plus} is not announced without TLS",
          'The "-PLUS" suffix is used only when the server supports channel binding to the external channel. [s4]')
    def _(t):
        t.need_port()
        if not t.facts.mechanisms("plain"):
            t.skip("not announced in the clear: SASL")
        t.check(plus not in t.facts.mechanisms("plain"), f"in the clear SASL has {t.facts.mechanisms('plain')}")

    @case(number("6", 42), "MUST", f"{mechanism} with the flag y is refused by a server that offers {plus}",
          'If the flag is set to "y" and the server supports channel binding, the server MUST fail authentication.')
    def _(t):
        client, account = bound(t)
        reply = scram_login(client, mechanism, Scram(hash_name, account.name, account.password, gs2="y,,"))
        t.check(reply.err, f"the reply is {reply!r}")

    @case(number("6", 43), "MUST", f"{plus} with an unknown channel binding is refused",
          'If the channel binding flag was "p" and the server does not support the indicated channel binding type, then the server MUST fail '
          'authentication.')
    def _(t):
        client, account = bound(t)
        scram = Scram(hash_name, account.name, account.password, gs2="p=tls-xyzzy,,", binding=b"x" * 32)
        reply = scram_login(client, plus, scram)
        t.check(reply.err, f"the reply is {reply!r}")

    def with_unique(t):
        client, account = bound(t, ssl.TLSVersion.TLSv1_2)
        return client, Scram(hash_name, account.name, account.password, gs2="p=tls-unique,,", binding=tls_unique(client))

    @case(number("6.1", 45), "MUST", f"{plus} with tls-unique succeeds over TLS 1.2",
          'Servers MUST implement the "tls-unique" [RFC5929] channel binding type, if they implement any channel binding. [RFC 9266 s3 changes that for '
          'TLS 1.3 only]')
    def _(t):
        client, scram = with_unique(t)
        reply = scram_login(client, plus, scram)
        t.check(reply.ok, f"the reply is {reply!r}")

    @case(number("6.1", 46), "MUST", f"{plus} with another connection's tls-unique is refused",
          'The server MUST always validate the client\'s "c=" field. [s6]')
    def _(t):
        client, account = bound(t, ssl.TLSVersion.TLSv1_2)
        _, scram = with_unique(t)
        reply = scram_login(client, plus, scram)
        t.check(reply.err, f"the reply is {reply!r}")

    binding_case = Group("RFC 9266").case

    def with_exporter(t):
        exporter = Exporter()
        try:
            account = t.secret_account()
            client = t.connect(t.secure(), context=exporter.context)
            binding = exporter.binding(client)
        finally:
            exporter.close()
        if binding is None:
            t.skip("no TLS 1.3 with this server and this machine's TLS library")
        if plus not in [name.upper() for name in (client.capabilities() or {}).get("SASL", [])]:
            t.skip(f"not announced: SASL {plus}")
        return client, Scram(hash_name, account.name, account.password, gs2="p=tls-exporter,,", binding=binding)

    @binding_case(number("3", 1), "MUST", f"{plus} with tls-exporter succeeds over TLS 1.3",
                  'Implementations that support channel binding over TLS 1.3 MUST implement "tls-exporter".')
    def _(t):
        client, scram = with_exporter(t)
        reply = scram_login(client, plus, scram)
        t.check(reply.ok, f"the reply is {reply!r}")

    @binding_case(number("2", 2), "MUST", f"{plus} with another connection's tls-exporter is refused",
                  "uniquely identifying the specific TLS connection [s4.1]")
    def _(t):
        client, _ = with_exporter(t)
        _, scram = with_exporter(t)
        reply = scram_login(client, plus, scram)
        t.check(reply.err, f"the reply is {reply!r}")

    end_point_case = Group("RFC 5929").case

    def end_point(t):
        client, account = bound(t)
        binding = tls_server_end_point(client)
        if binding is None:
            t.skip("tls-server-end-point is not defined for this server's certificate")
        return client, Scram(hash_name, account.name, account.password, gs2="p=tls-server-end-point,,", binding=binding)

    @end_point_case(number("4", 2), "MUST", f"{plus} with tls-server-end-point is checked against the server's certificate",
                    "The hash of the TLS server's certificate [RFC5280] as it appears, octet for octet, in the server's Certificate message.")
    def _(t):
        client, scram = end_point(t)
        if not scram_login(client, plus, scram).ok:
            t.skip("the server does not support tls-server-end-point (it need not)")
        client.quit()
        client, scram = end_point(t)
        scram.binding = hashlib.sha256(b"another certificate").digest()
        reply = scram_login(client, plus, scram)
        t.check(reply.err, f"the reply is {reply!r}")


_scram_cases("RFC 5802", 0, "SCRAM-SHA-1", "sha1")
_scram_cases("RFC 7677", 100, "SCRAM-SHA-256", "sha256")
