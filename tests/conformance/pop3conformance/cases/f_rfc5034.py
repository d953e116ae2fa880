"""RFC 5034, the AUTH command, and the mechanisms with one message: PLAIN, LOGIN, EXTERNAL, OAUTHBEARER."""

import json
import re

from ..messages import SHORT
from ..registry import Group
from ..sasl import b64, start
from ..wire import client_tls

case = Group("RFC 5034").case

_BASE64 = "If the server cannot Base64 decode a client response, it MUST reject the AUTH command with an -ERR reply. [...] servers and " \
          "clients MUST reject (and not ignore) any character not explicitly allowed by the Base64 alphabet, and MUST reject any sequence " \
          "of Base64 characters that contains the pad character ('=') anywhere other than the end of the string"
_ENTERED = "Should the client successfully complete the exchange, the server issues a +OK reply. Additionally, upon success, the POP3 session " \
           "enters the TRANSACTION state."
_FAILED = "If an AUTH command fails, the client may try another authentication mechanism or present different credentials by issuing another " \
          "AUTH command (or by using one of the other POP3 authentication mechanisms). Likewise, the server MUST behave as if the client had " \
          "not issued the AUTH command."


def _plain(account, password=None, authorization=""):
    return f"{authorization}\0{account.name}\0{account.password if password is None else password}"


def _logged_in(client):
    client.state = "transaction"
    client.ok(b"STAT")


@case("3-001", "MUST", "SASL is announced after login too",
      "implementations MUST continue to include the SASL capability even after a successful AUTH command has been completed (even though no "
      "further AUTH commands may be issued).")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    t.check(start(client, "PLAIN", _plain(t.account), False).ok, "AUTH PLAIN is refused")
    client.state = "transaction"
    capabilities = client.capabilities() or {}
    t.check("SASL" in capabilities, f"after AUTH CAPA has {sorted(capabilities)}")


@case("3-002", "MUST", "mechanism names have 1 to 20 capital letters, digits, hyphens and underscores",
      'sasl-mech = 1*20mech-char; mech-char = UPPER-ALPHA / DIGIT / HYPHEN / UNDERSCORE [RFC 4422 s3.1]')
def _(t):
    for mechanism in t.need("SASL"):
        t.check(re.fullmatch("[A-Z0-9_-]{1,20}", mechanism), f"a mechanism is {mechanism!r}")


@case("4-001", "MUST", "PLAIN is there inside TLS",
      "To ensure interoperability, client and server implementations of this extension MUST implement the PLAIN SASL mechanism [RFC4616] "
      "running over TLS [RFC2595].")
def _(t):
    t.need("SASL")
    t.secure()
    t.check("PLAIN" in t.facts.mechanisms("tls"), f"inside TLS SASL has {t.facts.mechanisms('tls')}")


@case("4-002", "MUST", "AUTH with the initial response enters the TRANSACTION state", _ENTERED)
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    reply = start(client, "PLAIN", _plain(t.account), True)
    t.check(reply.ok, f"AUTH was answered with {reply!r}")
    _logged_in(client)


@case("4-003", "MUST", "AUTH without it gets an empty challenge: a plus, one space, nothing else",
      'In POP3, an empty server challenge is defined as a line with only a "+", followed by a single space. It MUST NOT contain any other data.')
def _(t):
    reply = t.connect(t.way_to("PLAIN")).command(b"AUTH PLAIN")
    t.check(reply.line == b"+ ", f"AUTH PLAIN was answered with {reply!r}")


@case("4-004", "MUST", "the response to the empty challenge enters the TRANSACTION state", _ENTERED)
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    t.check(client.command(b"AUTH PLAIN").more, "no challenge")
    client.ok(b64(_plain(t.account)))
    _logged_in(client)


@case("4-005", "MUST", "mechanism names and AUTH are understood in lower case",
      "Except as noted otherwise, all alphabetic characters are case-insensitive. [...] Implementations MUST accept these strings in a "
      "case-insensitive fashion. [s5]")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    client.ok(b"auth plain " + b64(_plain(t.account)))
    _logged_in(client)


@case("4-006", "MUST", "an unknown mechanism is refused",
      "If the requested authentication mechanism is not supported, the server rejects the AUTH command with an -ERR reply.")
def _(t):
    t.need("SASL")
    t.connect().err(b"AUTH XYZZY")


@case("4-007", "MUST", "AUTH after login is refused", "The AUTH command may only be given during the AUTHORIZATION state.")
def _(t):
    t.need("SASL")
    client = t.session()
    client.err(b"AUTH PLAIN")
    client.ok(b"NOOP")


@case("4-008", "MUST", "a second AUTH after a successful one is refused",
      "After a successful AUTH command completes, a server MUST reject any further AUTH commands with an -ERR reply.")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    t.check(start(client, "PLAIN", _plain(t.account), False).ok, "AUTH PLAIN is refused")
    client.state = "transaction"
    client.err(b"AUTH PLAIN " + b64(_plain(t.account)))
    client.ok(b"NOOP")


@case("4-009", "MUST", "the client's * is answered with -ERR",
      'If the client wishes to cancel the authentication exchange, it issues a line with a single "*". If the server receives such a response, '
      'it MUST reject the AUTH command by sending an -ERR reply.')
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    t.check(client.command(b"AUTH PLAIN").more, "no challenge")
    client.err(b"*")


@case("4-010", "MUST", "after * another AUTH succeeds", _FAILED)
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    client.command(b"AUTH PLAIN")
    client.err(b"*")
    reply = start(client, "PLAIN", _plain(t.account), False)
    t.check(reply.ok, f"AUTH PLAIN was answered with {reply!r}")
    _logged_in(client)


@case("4-011", "MUST", "after * the session is in the AUTHORIZATION state", _FAILED)
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    client.command(b"AUTH PLAIN")
    client.err(b"*")
    client.err(b"STAT")


@case("4-012", "MUST", "wrong credentials are refused",
      "If the server is unable to authenticate the client, it MUST reject the AUTH command with an -ERR reply.")
def _(t):
    reply = start(t.connect(t.way_to("PLAIN")), "PLAIN", _plain(t.account, "not-" + t.account.password), False)
    t.check(reply.err, f"AUTH was answered with {reply!r}")


@case("4-013", "MUST", "after a refused AUTH another one succeeds, if the connection is left open", _FAILED)
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    start(client, "PLAIN", _plain(t.account, "not-" + t.account.password), False)
    if client.closes(0.3):
        return  # RFC 1939 s4: "the server may close the connection"
    reply = start(client, "PLAIN", _plain(t.account), False)
    t.check(reply.ok, f"AUTH was answered with {reply!r}")
    _logged_in(client)


@case("4-014", "MUST", "after a refused AUTH, USER and PASS succeed, if the connection is left open", _FAILED)
def _(t):
    t.need("USER")
    client = t.connect(t.way_to("PLAIN"))
    start(client, "PLAIN", _plain(t.account, "not-" + t.account.password), False)
    if client.closes(0.3):
        return
    client.ok(b"USER " + t.account.name.encode())
    client.ok(b"PASS " + t.account.password.encode())
    _logged_in(client)


@case("4-015", "MUST", "= is an empty initial response, which PLAIN refuses",
      'If the client needs to send a zero-length initial response, it MUST transmit the response as a single equals sign ("="). This indicates '
      'that the response is present, but contains no data.')
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    reply = client.command(b"AUTH PLAIN =")
    t.check(reply.err, f"AUTH PLAIN = was answered with {reply!r}")


@case("4-016", "MUST", "an empty response to the empty challenge is refused by PLAIN",
      "If the server is unable to authenticate the client, it MUST reject the AUTH command with an -ERR reply.")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    client.command(b"AUTH PLAIN")
    client.err(b"")


def _bad_base64(number, what, mangle, initial):
    @case(number, "MUST", f"base64 with {what} is refused, as {'initial response' if initial else 'response'}", _BASE64)
    def _(t):
        client = t.connect(t.way_to("PLAIN"))
        good = b64(_plain(t.account))
        if initial:
            client.err(b"AUTH PLAIN " + mangle(good))
        else:
            t.check(client.command(b"AUTH PLAIN").more, "no challenge")
            client.err(mangle(good))
        client.err(b"STAT")


# Each would be right if the server ignored or forgave what is wrong with it.
_MANGLED = (
    ("a character outside the alphabet", lambda good: good[:4] + b"!" + good[4:]),
    ("pad characters at the beginning", lambda good: b"====" + good),
    ("pad characters in the middle", lambda good: good[:4] + b"====" + good[4:]),
    ("one character too many", lambda good: good + b"A"),
    ("an incomplete last group", lambda good: good.rstrip(b"=") + b"A" * (-len(good.rstrip(b"=")) % 4 + 1)),
)
for _n, (_what, _mangle) in enumerate(_MANGLED):
    _bad_base64(f"4-{20 + _n:03}", _what, _mangle, False)
    _bad_base64(f"4-{30 + _n:03}", _what, _mangle, True)


@case("4-040", "MUST", "a response longer than a command may be is read as a whole",
      "Excepting the initial client response, these BASE64 strings may be of arbitrary length [...] This requirement is independent of any "
      "line-length limitations the client or server may have in other parts of its protocol implementation.")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    t.check(client.command(b"AUTH PLAIN").more, "no challenge")
    reply = client.command(b64(_plain(t.account, "x" * 255, "y" * 255)))
    t.check(reply.err, f"wrong credentials of 1000 octets were answered with {reply!r}")
    t.check(client.quiet(0.3), f"more than one reply: {bytes(client.input)!r}")


@case("4-041", "MUST", "AUTH opens no maildrop that another session has open", "acquires an exclusive-access lock on the maildrop [RFC 1939 s4]")
def _(t):
    way = t.way_to("PLAIN")
    t.open(SHORT)
    other = t.connect(t.facts.over)
    other.timeout = 30
    if t.try_login(other, t.account).ok:
        t.skip("the server lets any second session in: RFC1939-4-004")
    second = t.connect(way)
    second.timeout = 30
    reply = start(second, "PLAIN", _plain(t.account), False)
    t.check(reply.err, f"the second login was answered with {reply!r}")


@case("4-042", "MUST", "a challenge is base64 and nothing else",
      "This line MUST NOT contain any text other than the BASE64-encoded challenge.")
def _(t):
    over = "plain" if t.facts.mechanisms("plain") else t.secure()
    tried = 0
    for mechanism in t.facts.mechanisms(over):
        reply = t.connect(over).command(b"AUTH " + mechanism.encode())
        if reply.more:
            reply.challenge()
            tried += 1
    if not tried:
        t.skip("no mechanism begins with a challenge")


@case("4-043", "MUST", "AUTH without a mechanism opens no maildrop", "Arguments: mechanism: A string identifying a SASL authentication mechanism.")
def _(t):
    t.need("SASL")
    client = t.connect()
    reply = client.command(b"AUTH")
    if reply.ok:  # clients older than CAPA ask so for the list
        client.body()
    client.err(b"STAT")


# PLAIN.

case = Group("RFC 4616").case

_GRAMMAR = "message = [authzid] UTF8NUL authcid UTF8NUL passwd; authcid = 1*SAFE; passwd = 1*SAFE"


def _plain_refused(number, what, make, quote=_GRAMMAR):
    @case(number, "MUST", f"PLAIN is refused with {what}", quote)
    def _(t):
        client = t.connect(t.way_to("PLAIN"))
        name, password = t.account.name.encode(), t.account.password.encode()
        reply = start(client, "PLAIN", make(name, password), False)
        t.check(reply.err, f"the reply is {reply!r}")


_plain_refused("2-001", "no NUL", lambda name, password: name + password)
_plain_refused("2-002", "one NUL only", lambda name, password: name + b"\0" + password)
_plain_refused("2-003", "a third NUL", lambda name, password: b"\0" + name + b"\0" + password + b"\0")
_plain_refused("2-004", "an empty name", lambda name, password: b"\0\0" + password)
_plain_refused("2-005", "an empty password", lambda name, password: b"\0" + name + b"\0")
_plain_refused("2-006", "octets that are not UTF-8 in the password", lambda name, password: b"\0" + name + b"\0" + password + b"\xff\xfe")
_plain_refused("2-007", "octets that are not UTF-8 in the name", lambda name, password: b"\0\xc0\xaf" + name + b"\0" + password)
_plain_refused("2-008", "a wrong password", lambda name, password: b"\0" + name + b"\0not-" + password,
               "the server will verify the presented (in the message) authentication identity (authcid) and password (passwd)")
_plain_refused("2-009", "an unknown name", lambda name, password: b"\0nobody-" + name + b"\0" + password,
               "the server will verify the presented (in the message) authentication identity (authcid) and password (passwd)")
_plain_refused("2-010", "an unknown authorization identity", lambda name, password: b"nobody-" + name + b"\0" + name + b"\0" + password,
               "and it will verify that the authentication credentials permit the client to act as the (presented or derived) authorization "
               "identity (authzid).")


@case("2-011", "MUST", "PLAIN is refused with another account as authorization identity",
      "it will verify that the authentication credentials permit the client to act as the (presented or derived) authorization identity (authzid).")
def _(t):
    others = [account for account in t.target.accounts if account is not t.account]
    if not others:
        t.skip("the target has one account only")
    reply = start(t.connect(t.way_to("PLAIN")), "PLAIN", _plain(t.account, authorization=others[0].name), False)
    t.check(reply.err, f"the reply is {reply!r}")


@case("2-012", "MUST", "PLAIN accepts the name itself as authorization identity", "If both steps succeed, the user is authenticated.")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    reply = start(client, "PLAIN", _plain(t.account, authorization=t.account.name), False)
    t.check(reply.ok, f"the reply is {reply!r}")
    _logged_in(client)


@case("2-013", "MUST", "PLAIN derives the authorization identity when none is given",
      "When no authorization identity is provided, the server derives an authorization identity")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    reply = start(client, "PLAIN", _plain(t.account), False)
    t.check(reply.ok, f"the reply is {reply!r}")
    _logged_in(client)


@case("2-014", "MUST", "a name, an identity and a password of 255 octets each are read, and refused as wrong",
      "Servers MUST be capable of accepting authzid, authcid, and passwd productions up to and including 255 octets.")
def _(t):
    client = t.connect(t.way_to("PLAIN"))
    reply = start(client, "PLAIN", b"a" * 255 + b"\0" + b"b" * 255 + b"\0" + b"c" * 255, False)
    t.check(reply.err, f"the reply is {reply!r}")
    if t.facts.announced("AUTH-RESP-CODE"):
        t.check(reply.code == "AUTH", f"not taken for wrong credentials: {reply!r}")
    t.check(client.quiet(0.2), f"more than one reply: {bytes(client.input)!r}")


# LOGIN.

case = Group("draft-murchison-sasl-login").case

_EXCHANGE = 'The server issues the string "User Name" in challenge, and receives a client response. [...] The server then issues the string ' \
            '"Password" in challenge, and receives a client response.'


@case("2.2-001", "MUST", "LOGIN asks for the name and the password, and opens the maildrop", _EXCHANGE)
def _(t):
    client = t.connect(t.way_to("LOGIN"))
    client.command(b"AUTH LOGIN").challenge()
    client.command(b64(t.account.name)).challenge()
    client.ok(b64(t.account.password))
    _logged_in(client)


@case("2.2-002", "MUST", "LOGIN's challenges are those of the draft",
      _EXCHANGE + ' Note: There is at least one widely deployed client which requires that the challenge strings transmitted by the server be '
      '"Username:" and "Password:" respectively. For this reason, server implementations MAY send these challenge strings')
def _(t):
    client = t.connect(t.way_to("LOGIN"))
    first = client.command(b"AUTH LOGIN").challenge().rstrip(b"\0")
    second = client.command(b64(t.account.name)).challenge().rstrip(b"\0")
    t.check((first, second) in ((b"User Name", b"Password"), (b"Username:", b"Password:")), f"challenges: {first!r}, {second!r}")


@case("2.2-003", "MUST", "LOGIN refuses a wrong password",
      "The server must verify that the authorization authenticator permits login as the authorization identity.")
def _(t):
    client = t.connect(t.way_to("LOGIN"))
    client.command(b"AUTH LOGIN").challenge()
    client.command(b64(t.account.name)).challenge()
    client.err(b64("not-" + t.account.password))


@case("2.2-004", "MUST", "LOGIN refuses an unknown name, after the password",
      _EXCHANGE)
def _(t):
    client = t.connect(t.way_to("LOGIN"))
    client.command(b"AUTH LOGIN").challenge()
    client.command(b64("nobody-" + t.account.name)).challenge()
    client.err(b64(t.account.password))


def _login_cancelled(number, step):
    @case(number, "MUST", f"LOGIN is cancelled by * in place of the {step}",
          'If the client wishes to cancel the authentication exchange, it issues a line with a single "*". [RFC 5034 s4]')
    def _(t):
        client = t.connect(t.way_to("LOGIN"))
        client.command(b"AUTH LOGIN").challenge()
        if step == "password":
            client.command(b64(t.account.name)).challenge()
        client.err(b"*")
        client.err(b"STAT")


_login_cancelled("2.2-005", "name")
_login_cancelled("2.2-006", "password")


@case("1-001", "MUST", "LOGIN is announced only where PLAIN or USER is",
      "The LOGIN SASL mechanism MUST NOT be advertised or used in any configuration that prohibits the PLAIN mechanism or plaintext LOGIN (or "
      "USER/PASS) command that sends passwords in the clear.")
def _(t):
    t.way_to("LOGIN")
    for capabilities in (t.facts.plain, t.facts.secure):
        if capabilities and "LOGIN" in capabilities.get("SASL", []):
            t.check("PLAIN" in capabilities["SASL"] or "USER" in capabilities, f"SASL has {capabilities['SASL']}, and there is no USER")


# EXTERNAL.

case = Group("RFC 4422").case


def _with_certificate(t):
    account = t.special("external")
    client = t.connect(t.secure(), context=client_tls(certificate=account.extra["certificate"]))
    if "EXTERNAL" not in (client.capabilities() or {}).get("SASL", []):
        t.skip("not announced: SASL EXTERNAL, with a client certificate")
    return client, account


def _external(number, what, authorization, with_initial, good):
    @case(number, "MUST", f"EXTERNAL {'succeeds' if good else 'is refused'} with {what}",
          "If empty, the client is requesting to act as the identity the server has associated with the client's credentials. If non-empty, "
          "the client is requesting to act as the identity represented by the string. [A.1]")
    def _(t):
        client, account = _with_certificate(t)
        reply = start(client, "EXTERNAL", authorization(account.name), with_initial)
        t.check(reply.ok if good else reply.err, f"the reply is {reply!r}")
        if good:
            _logged_in(client)


_external("A.1-001", "an empty identity as initial response", lambda name: "", True, True)
_external("A.1-002", "an empty identity after the empty challenge", lambda name: "", False, True)
_external("A.1-003", "the account's own identity", lambda name: name, True, True)
_external("A.1-004", "another identity", lambda name: "nobody-" + name, True, False)


@case("A.1-005", "MUST", "EXTERNAL without credentials of that kind is refused",
      "The exchange fails if - the client has not established its credentials via external means")
def _(t):
    t.need("SASL")
    client = t.connect(t.secure())
    reply = client.command(b"AUTH EXTERNAL =")
    t.check(reply.err, f"AUTH EXTERNAL was answered with {reply!r}")


@case("A.1-006", "MUST", "EXTERNAL is cancelled by *", 'it MUST reject the AUTH command by sending an -ERR reply. [RFC 5034 s4]')
def _(t):
    client, _ = _with_certificate(t)
    client.command(b"AUTH EXTERNAL").challenge()
    client.err(b"*")
    client.err(b"STAT")


# OAUTHBEARER.

case = Group("RFC 7628").case


def _bearer(name, token, extra="", header=True):
    return f"{f'n,a={name},' if header else 'n,,'}\x01host=mx.example.test\x01port=995\x01{extra}auth=Bearer {token}\x01\x01"


def _oauth(t):
    over = t.way_to("OAUTHBEARER")
    return t.connect(over), t.special("oauth")


@case("3-001", "MUST", "OAUTHBEARER is announced inside TLS only", "TLS MUST be used for OAUTHBEARER to protect the bearer token")
def _(t):
    t.way_to("OAUTHBEARER")
    t.need_port()
    t.check("OAUTHBEARER" not in t.facts.mechanisms("plain"), f"in the clear SASL has {t.facts.mechanisms('plain')}")


@case("3.1-001", "MUST", "a valid token opens the maildrop",
      "1. Client sends a valid and correct initial client response. 2. Server responds with a successful authentication. [s3]")
def _(t):
    client, account = _oauth(t)
    reply = start(client, "OAUTHBEARER", _bearer(account.name, account.extra["token"]), False)
    t.check(reply.ok, f"the reply is {reply!r}")
    _logged_in(client)


@case("3.1-002", "MUST", "unknown keys are ignored", "Unknown key/value pairs MUST be ignored by the server.")
def _(t):
    client, account = _oauth(t)
    reply = start(client, "OAUTHBEARER", _bearer(account.name, account.extra["token"], extra="xyzzy=plugh\x01"), False)
    t.check(reply.ok, f"the reply is {reply!r}")
    _logged_in(client)


@case("3.1-003", "MUST", 'the word "Bearer" is understood in any case',
      'Note to implementers: The SASL OAuth method names are case insensitive. One example uses "Bearer" but that could as easily be "bearer", '
      '"BEARER", or "BeArEr". [s4]')
def _(t):
    client, account = _oauth(t)
    text = _bearer(account.name, account.extra["token"]).replace("Bearer", "bEaReR")
    reply = start(client, "OAUTHBEARER", text, False)
    t.check(reply.ok, f"the reply is {reply!r}")
    _logged_in(client)


def _error(t, reply):
    """The JSON of a failed exchange."""
    text = reply.challenge()
    try:
        return json.loads(text)
    except ValueError:
        t.check(False, f"the error is not JSON: {text!r}")


@case("3.2.2-001", "MUST", "a wrong token is answered with JSON that has a status",
      "For a failed authentication, the server returns an error result in JSON [RFC7159] format and fails the authentication. The error result "
      "consists of the following values: status (REQUIRED)")
def _(t):
    client = t.connect(t.way_to("OAUTHBEARER"))
    error = _error(t, start(client, "OAUTHBEARER", _bearer(t.account.name, "not.a.token"), False))
    t.check(isinstance(error, dict) and isinstance(error.get("status"), str) and error["status"], f"the error is {error!r}")


@case("3.2.2-002", "MUST", "the status is a registered error code",
      'Valid error codes are defined in the IANA "OAuth Extensions Error Registry" as specified in the OAuth 2.0 core specification.')
def _(t):
    client = t.connect(t.way_to("OAUTHBEARER"))
    error = _error(t, start(client, "OAUTHBEARER", _bearer(t.account.name, "not.a.token"), False))
    t.check(error.get("status") in ("invalid_token", "invalid_request", "insufficient_scope"), f"the error is {error!r}")


def _error_finished(number, what, response):
    @case(number, "MUST", f"after the error, {what} ends the exchange with -ERR",
          "The client MUST then send either an additional client response consisting of a single %x01 (control A) character to the server in "
          "order to allow the server to finish the exchange or a SASL abort message")
    def _(t):
        client = t.connect(t.way_to("OAUTHBEARER"))
        t.check(start(client, "OAUTHBEARER", _bearer(t.account.name, "not.a.token"), False).more, "there is no error message")
        client.err(response)
        client.err(b"STAT")


_error_finished("3.2.3-001", "a control A", b"AQ==")
_error_finished("3.2.3-002", "*", b"*")


def _oauth_refused(number, what, make):
    @case(number, "MUST", f"a client response {what} is refused", 'client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep; auth (REQUIRED)')
    def _(t):
        client, account = _oauth(t)
        reply = start(client, "OAUTHBEARER", make(account.name, account.extra["token"]), False)
        if reply.more:
            reply = client.command(b"AQ==")
        t.check(reply.err, f"the reply is {reply!r}")


_oauth_refused("3.1-004", "without the key auth", lambda name, token: f"n,a={name},\x01host=mx.example.test\x01\x01")
_oauth_refused("3.1-005", "without a GS2 header", lambda name, token: f"auth=Bearer {token}\x01\x01")
_oauth_refused("3.1-006", "for another account", lambda name, token: _bearer("nobody-" + name, token))
