"""RFC 2449, the extension mechanism, and RFC 3206, response codes."""

import re
import time

from ..messages import KINDS, SHORT, THREE
from ..registry import Group
from ..wire import unstuff

case = Group("RFC 2449").case

_CAPABILITY = "capability = capa-tag *(SP param) CRLF ;512 octets maximum; cchar = %x21-2D / %x2F-7F ;printable ASCII, excluding \".\""
_BOTH = "Capabilities available in the AUTHORIZATION state MUST be announced in both states."
_TEXT = 'The RESP-CODES capability indicates that any response text issued by this server which begins with an open square ' \
        'bracket ("[") is an extended response code'
_RESPONSE_CODE = re.compile(rb"\[[\x21-\x2e\x30-\x5c\x5e-\x7f]+(/[\x21-\x2e\x30-\x5c\x5e-\x7f]+)*\]")


def _inside(t):
    if t.facts.inside is None:
        t.skip("CAPA is refused after login: 5-002")
    return t.facts.inside


def _before(t):
    """Capabilities before login over the way that sessions take, to compare with those after it."""
    t.need_capa()
    return (t.facts.plain if t.facts.over == "plain" else t.facts.secure) or {}


# Lengths.

@case("4-001", "MUST", "a command of 255 octets is answered as a whole, and the session goes on",
      "Servers which support the CAPA command MUST support commands up to 255 octets.")
def _(t):
    t.need_capa()
    client = t.connect(t.facts.over)
    command = b"USER " + b"u" * 248
    client.command(command)
    t.check(client.quiet(0.2), f"more than one reply: {bytes(client.input)!r}")
    reply = client.command(b"CAPA")
    t.check(reply.ok, f"CAPA afterwards was answered with {reply!r}")


@case("4-002", "MUST", "a password that fills a command of 255 octets is checked, not refused for its length",
      "Servers which support the CAPA command MUST support commands up to 255 octets.")
def _(t):
    t.need("AUTH-RESP-CODE")  # only then the reply tells a wrong password from a refused line
    t.need("USER")
    client = t.connect(t.facts.over)
    client.ok(b"USER " + t.account.name.encode())
    reply = client.command(b"PASS " + b"p" * 248)
    t.check(reply.err and reply.code == "AUTH", f"PASS with 248 octets was answered with {reply!r}")


@case("4-003", "MUST", "the first line of a reply has at most 512 octets",
      "The maximum length of the first line of a command response (including the initial greeting) is unchanged at 512 octets")
def _(t):
    t.need_capa()
    client = t.connect()
    for command in (b"CAPA", b"Y" * 253, b"USER " + b"n" * 248):
        reply = client.command(command)
        t.check(len(reply.line + reply.end) <= 512, f"{len(reply.line)} octets")
        if command == b"CAPA":
            client.body()


# CAPA.

@case("5-001", "MUST", "CAPA is available before login",
      "It is available in both the AUTHORIZATION and TRANSACTION states.")
def _(t):
    t.need_capa()
    t.connect().multi(b"CAPA")


@case("5-002", "MUST", "CAPA is available after login", "It is available in both the AUTHORIZATION and TRANSACTION states.")
def _(t):
    t.need_capa()
    t.session().multi(b"CAPA")


@case("5-003", "MUST", "CAPA is understood in lower case", "a case-insensitive keyword [RFC 1939 s3]")
def _(t):
    t.need_capa()
    t.connect().multi(b"capa")


def _capa_lines(number, title, quote, good):
    @case(number, "MUST", title, quote)
    def _(t):
        t.need_capa()
        for client in (t.connect(), t.session()):
            for line in client.lines(b"CAPA"):
                t.check(good(line), f"a line of CAPA is {line!r}")


_capa_lines("5-004", "each line of CAPA is a tag of printable ASCII without a dot, and arguments after single spaces", _CAPABILITY,
            lambda line: re.fullmatch(rb"[\x21-\x2d\x2f-\x7f]+( [\x21-\x7e]+)*", line))
_capa_lines("5-005", "each line of CAPA has at most 512 octets",
            "Each capability line is limited to 512 octets (including the CRLF).", lambda line: len(line) <= 510)


@case("5-006", "MUST", "the list ends with a dot and CRLF, and nothing follows",
      'The capability list is terminated by a line containing a termination octet (".") and a CRLF pair.')
def _(t):
    t.need_capa()
    client = t.connect()
    client.multi(b"CAPA")
    t.check(client.quiet(0.2), f"octets after the end: {bytes(client.input)!r}")


# Capabilities that are announced before login are announced after it; STLS alone may not be (RFC 2595 s8).
_TAGS = ("TOP", "USER", "SASL", "RESP-CODES", "LOGIN-DELAY", "PIPELINING", "EXPIRE", "UIDL", "IMPLEMENTATION", "AUTH-RESP-CODE",
         "UTF8", "LANG")


def _both_states(number, tag, first):
    if first == "before":
        @case(number, "MUST", f"{tag}, announced before login, is announced after it", _BOTH)
        def _(t):
            if tag not in _before(t):
                t.skip(f"not announced before login: {tag}")
            t.check(tag in _inside(t), f"after login CAPA has {sorted(_inside(t))}")
    else:
        @case(number, "MUST", f"{tag}, announced after login, is announced before it", "Announced states / possible differences: both")
        def _(t):
            if tag not in _inside(t):
                t.skip(f"not announced after login: {tag}")
            t.check(tag in _before(t), f"before login CAPA has {sorted(_before(t))}")


for _n, _tag in enumerate(_TAGS):
    _both_states(f"5-{20 + _n:03}", _tag, "before")
    if _tag != "IMPLEMENTATION":  # "a server MAY chose to do so only in TRANSACTION state"
        _both_states(f"5-{40 + _n:03}", _tag, "after")


def _no_arguments(number, tag):
    @case(number, "MUST", f"{tag} is announced without arguments", f"CAPA tag: {tag} Arguments: none")
    def _(t):
        t.check(t.need(tag) == [], f"its arguments are {t.need(tag)}")


for _number, _tag in (("6.1-001", "TOP"), ("6.2-001", "USER"), ("6.4-001", "RESP-CODES"), ("6.6-001", "PIPELINING"),
                      ("6.8-001", "UIDL")):
    _no_arguments(_number, _tag)


@case("6.1-002", "MUST", "TOP, when announced, is available", "The TOP capability indicates the optional TOP command is available.")
def _(t):
    t.need("TOP")
    t.open(SHORT).multi(b"TOP 1 0")


@case("6.8-002", "MUST", "UIDL, when announced, is available", "The UIDL capability indicates that the optional UIDL command is supported.")
def _(t):
    t.need("UIDL")
    t.open(SHORT).multi(b"UIDL")


@case("6.2-002", "MUST", "USER, when announced, is not refused as unknown",
      "The USER capability indicates that the USER and PASS commands are supported, although they may not be available to all users.")
def _(t):
    t.need("USER")
    over = "plain" if "USER" in (t.facts.plain or {}) else t.secure()
    client = t.connect(over)
    client.ok(b"USER " + t.account.name.encode())
    client.ok(b"PASS " + t.account.password.encode())
    client.state = "transaction"


@case("6.3-001", "MUST", "SASL's arguments are mechanisms, the same before and after login",
      "Arguments: Supported SASL mechanisms; Announced states / possible differences: both / no")
def _(t):
    before = _before(t)
    if "SASL" not in before:
        t.skip("not announced before login: SASL")
    if "SASL" not in _inside(t):
        t.skip("not announced after login: 5-022")
    t.check(sorted(before["SASL"]) == sorted(_inside(t).get("SASL", [])), f"before: {before['SASL']}, after: {_inside(t).get('SASL')}")


@case("6.3-002", "MUST", "AUTH is available for each mechanism announced",
      "The SASL capability indicates that the AUTH command is available")
def _(t):
    over = "plain" if t.facts.mechanisms("plain") else t.secure()
    mechanisms = t.facts.mechanisms(over)
    if not mechanisms:
        t.skip("not announced: SASL")
    for mechanism in mechanisms:
        client = t.connect(over)
        reply = client.command(b"AUTH " + mechanism.encode())
        if not reply.more and mechanism in ("EXTERNAL", "ANONYMOUS", "GSSAPI"):
            continue  # they may fail at once for want of credentials
        t.check(reply.more, f"AUTH {mechanism} was answered with {reply!r}")
        client.err(b"*")


# Response codes.

@case("8-001", "MUST", "a reply's text that begins with a bracket is a response code", _TEXT)
def _(t):
    t.need("RESP-CODES")
    replies = []
    client = t.connect(t.facts.over)
    replies += [client.command(command) for command in (b"XYZZY", b"STAT", b"USER nobody", b"PASS wrong")]
    inside = t.open(SHORT)
    replies += [inside.command(command) for command in (b"STAT", b"LIST 9", b"RETR 9", b"XYZZY", b"USER x", b"NOOP", b"RSET")]
    for reply in replies:
        if reply.text[:1] == b"[":
            t.check(_RESPONSE_CODE.match(reply.text), f"{reply.command!r} was answered with {reply!r}")


@case("8-002", "MUST", "a server that uses response codes announces RESP-CODES",
      "If a server supports extended response codes, it indicates this by including the RESP-CODES capability in the CAPA response.")
def _(t):
    t.need_capa()
    client = t.connect(t.facts.over)
    reply = client.command(b"USER " + t.account.name.encode())
    if reply.ok:
        reply = client.command(b"PASS not-" + t.account.password.encode())
    t.check(reply.text[:1] != b"[" or t.facts.announced("RESP-CODES"), f"a wrong password was answered with {reply!r}")


@case("8.1.2-001", "MUST", "IN-USE comes only after a right password",
      "It indicates the authentication was successful, but the user's maildrop is currently in use (probably by another POP3 client).")
def _(t):
    t.need("RESP-CODES")
    t.open(SHORT)
    second = t.connect(t.facts.over)
    second.timeout = 30
    second.command(b"USER " + t.account.name.encode())
    reply = second.command(b"PASS not-" + t.account.password.encode())
    t.check(reply.err and reply.code != "IN-USE", f"a wrong password was answered with {reply!r}")


@case("8.1.2-002", "MUST", "the refusal of a locked maildrop is not put down to the password",
      "clients often need to know more information about the cause of a failure in order to gracefully recover. [...] IN-USE "
      "indicates the authentication was successful, but the user's maildrop is currently in use")
def _(t):
    t.need("RESP-CODES")
    t.open(SHORT)
    second = t.connect(t.facts.over)
    second.timeout = 30
    reply = t.try_login(second, t.account)
    if reply.ok:
        t.skip("the server lets a second session in: RFC1939-4-004")
    t.check(reply.code != "AUTH", f"the right password was answered with {reply!r}")


# LOGIN-DELAY.

_DELAY = "LOGIN-DELAY capability: Arguments: minimum seconds between logins; optionally followed by USER in AUTHENTICATION state."


@case("6.5-001", "MUST", "LOGIN-DELAY's argument is a number of seconds, before login perhaps with USER", _DELAY)
def _(t):
    found = t.need("LOGIN-DELAY")
    t.check(len(found) in (1, 2) and found[0].isdigit() and found[1:] in ([], ["USER"]), f"LOGIN-DELAY {' '.join(found)}")


@case("6.5-002", "MUST", "after login LOGIN-DELAY is a number of seconds without USER", _DELAY)
def _(t):
    found = _inside(t).get("LOGIN-DELAY")
    if found is None:
        t.skip("not announced: LOGIN-DELAY")
    t.check(len(found) == 1 and found[0].isdigit(), f"LOGIN-DELAY {' '.join(found)}")


@case("6.5-003", "MUST", "LOGIN-DELAY before login is the largest that any user may have",
      "the server MUST announce in AUTHENTICATION state the largest value which could be set for any user.")
def _(t):
    before, inside = _before(t).get("LOGIN-DELAY"), _inside(t).get("LOGIN-DELAY")
    if not before or not inside:
        t.skip("not announced in both states: LOGIN-DELAY")
    t.check(int(before[0]) >= int(inside[0]), f"before login {before}, after it {inside}")


@case("6.5-004", "SHOULD", "a LOGIN-DELAY that differs after login has USER before it",
      'The server SHOULD append the token "USER" to the LOGIN-DELAY parameter in AUTHENTICATION state, to inform the client that a '
      'more accurate value is available after authentication.')
def _(t):
    before, inside = _before(t).get("LOGIN-DELAY"), _inside(t).get("LOGIN-DELAY")
    if not before or not inside:
        t.skip("not announced in both states: LOGIN-DELAY")
    t.check(before[0] == inside[0] or before[1:] == ["USER"], f"before login {before}, after it {inside}")


def _delay(t):
    found = _inside(t).get("LOGIN-DELAY") or _before(t).get("LOGIN-DELAY")
    if not found:
        t.skip("not announced: LOGIN-DELAY")
    if found[0] == "0":
        t.skip("LOGIN-DELAY 0: nothing to enforce")
    return int(found[0])


@case("6.5-005", "SHOULD", "a login within the announced delay is refused",
      "Servers which advertise LOGIN-DELAY SHOULD enforce it.")
def _(t):
    _delay(t)
    t.open().quit()
    reply = t.try_login(t.connect(t.facts.over), t.account)
    t.check(reply.err, f"a login at once was answered with {reply!r}")


@case("6.5-006", "MUST", "a response code of that refusal is LOGIN-DELAY",
      "This occurs on an -ERR response to an AUTH, USER (see note), PASS or APOP command and indicates that the user has logged in "
      "recently and will not be allowed to login again until the login delay period has expired. [s8.1.1]")
def _(t):
    _delay(t)
    t.open().quit()
    reply = t.try_login(t.connect(t.facts.over), t.account)
    if reply.ok:
        t.skip("the delay is not enforced: 6.5-005")
    t.check(reply.code in (None, "LOGIN-DELAY"), f"a login at once was answered with {reply!r}")


@case("6.5-007", "MUST", "when the announced delay is over, a login is accepted",
      'the number of seconds after an "+OK" response to a PASS, APOP, or AUTH command before another authentication will be accepted.')
def _(t):
    delay = _delay(t)
    if delay > 8:
        t.skip("the delay is longer than eight seconds")
    t.open().quit()
    time.sleep(delay + 0.5)
    reply = t.try_login(t.connect(t.facts.over), t.account)
    t.check(reply.ok, f"a login after {delay} s was answered with {reply!r}")


@case("6.5-008", "SHOULD", "the refusal does not come at USER",
      "it is strongly recommended that the server not issue this response code to the USER command. [s8.1.1]")
def _(t):
    _delay(t)
    t.need("USER")
    t.open().quit()
    reply = t.connect(t.facts.over).command(b"USER " + t.account.name.encode())
    t.check(reply.code != "LOGIN-DELAY", f"USER was answered with {reply!r}")


# PIPELINING.

_PIPELINE = "If a server supports PIPELINING, it MUST process each command in turn."


@case("6.6-002", "MUST", "commands in one packet are answered in order", _PIPELINE)
def _(t):
    t.need("PIPELINING")
    client = t.open(*THREE)
    sizes = client.sizes()
    client.send(b"NOOP\r\nLIST 1\r\nLIST 2\r\nXYZZY\r\nLIST 3\r\nDELE 2\r\nLIST 2\r\nSTAT\r\nRSET\r\nSTAT\r\n")
    got = [client.reply() for _ in range(10)]
    t.check([reply.ok for reply in got] == [True, True, True, False, True, True, False, True, True, True], f"replies: {got}")
    t.check([got[n].line.split()[1:3] for n in (1, 2, 4)] == [[b"%d" % n, b"%d" % sizes[n]] for n in (1, 2, 3)], f"replies: {got}")
    t.check(got[7].line.split()[1] == b"2" and got[9].line.split()[1] == b"3", f"replies: {got}")


@case("6.6-003", "MUST", "a whole session in one packet: login, reading, deletion, end", _PIPELINE)
def _(t):
    t.need("PIPELINING")
    t.need("USER")
    t.open(*THREE).quit()
    client = t.connect(t.facts.over)
    client.send(b"USER %s\r\nPASS %s\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n" % (t.account.name.encode(), t.account.password.encode()))
    client.deleted = True
    for what in ("USER", "PASS", "STAT", "RETR"):
        reply = client.reply()
        t.check(reply.ok, f"{what} was answered with {reply!r}")
    client.body()
    for what in ("DELE", "QUIT"):
        reply = client.reply()
        t.check(reply.ok, f"{what} was answered with {reply!r}")
    t.check(client.closes(5) and not client.input, "the connection does not end after QUIT")
    t.check(t.session().stat()[0] == 2, "the next session does not count two messages")


@case("6.6-004", "MUST", "several RETR in one packet give the messages in order", _PIPELINE)
def _(t):
    t.need("PIPELINING")
    client = t.open(*THREE)
    wanted = [client.retr(number) for number in (1, 2, 3)]
    client.send(b"RETR 3\r\nRETR 1\r\nRETR 2\r\n")
    got = []
    for _ in range(3):
        t.check(client.reply().ok, "a RETR is refused")
        got.append(unstuff(client.body()))
    t.check(got == [wanted[2], wanted[0], wanted[1]], "the messages come in another order")


@case("6.6-005", "MUST", "commands sent while a long reply is being received are answered after it",
      "there is also an advantage is sending new commands while still receiving the response to an earlier command")
def _(t):
    t.need("PIPELINING")
    client = t.open(KINDS["1 MB"])
    client.send(b"RETR 1\r\n")
    t.check(client.reply().ok, "RETR is refused")
    client.send(b"NOOP\r\nSTAT\r\n")
    client.body()
    t.check(client.reply().ok and client.reply().line.startswith(b"+OK 1 "), "NOOP and STAT are not answered in order")


@case("6.6-006", "MUST", "500 commands in one piece get 500 replies", _PIPELINE)
def _(t):
    t.need("PIPELINING")
    client = t.open()
    client.send(b"NOOP\r\nSTAT\r\n" * 250)
    for _ in range(250):
        t.check(client.reply().ok and client.reply().line.startswith(b"+OK 0 0"), "a reply is missing or another")
    t.check(client.quiet(0.2), "replies without commands")


@case("6.6-007", "MUST", "commands that arrive octet by octet are the same commands", "All commands are terminated by a CRLF pair. [RFC 1939 s3]")
def _(t):
    client = t.open(SHORT)
    for octet in b"NOOP\r\nLIST 1\r\nXYZZY\r\n":
        client.send(bytes([octet]))
        time.sleep(0.01)  # so that each octet travels alone
    t.check([client.reply().ok for _ in range(3)] == [True, True, False], "the replies are others")


@case("6.6-008", "MUST", "what follows QUIT in the packet is not done",
      "the server then releases any exclusive-access lock on the maildrop and closes the TCP connection. [RFC 1939 s6]")
def _(t):
    t.need("PIPELINING")
    client = t.open(SHORT)
    client.send(b"QUIT\r\nDELE 1\r\nQUIT\r\n")
    t.check(client.reply().ok, "QUIT is refused")
    t.check(client.closes(5) and not client.input, f"there are replies after QUIT's: {bytes(client.input)!r}")
    client.state = "closed"
    t.check(t.session().stat()[0] == 1, "the message is gone")


# EXPIRE.

_EXPIRE = "EXPIRE capability: Arguments: server-guaranteed minimum retention days, or NEVER; optionally followed by USER in " \
          "AUTHENTICATION state"


def _days(argument):
    return float("inf") if argument.upper() == "NEVER" else int(argument)


@case("6.7-001", "MUST", "EXPIRE's argument is a number of days or NEVER, before login perhaps with USER", _EXPIRE)
def _(t):
    found = t.need("EXPIRE")
    t.check(found and re.fullmatch("[0-9]+|NEVER", found[0]) and found[1:] in ([], ["USER"]), f"EXPIRE {' '.join(found)}")


@case("6.7-002", "MUST", "after login EXPIRE is a number of days or NEVER, without USER", _EXPIRE)
def _(t):
    found = _inside(t).get("EXPIRE")
    if found is None:
        t.skip("not announced: EXPIRE")
    t.check(len(found) == 1 and re.fullmatch("[0-9]+|NEVER", found[0]), f"EXPIRE {' '.join(found)}")


@case("6.7-003", "MUST", "EXPIRE before login is the smallest that any user may have",
      "the server MUST announce in AUTHENTICATION state the smallest value which could be set for any user.")
def _(t):
    before, inside = _before(t).get("EXPIRE"), _inside(t).get("EXPIRE")
    if not before or not inside:
        t.skip("not announced in both states: EXPIRE")
    t.check(_days(before[0]) <= _days(inside[0]), f"before login {before}, after it {inside}")


@case("6.7-004", "SHOULD", "an EXPIRE that differs after login has USER before it",
      'The server SHOULD append the token "USER" to the EXPIRE parameter in AUTHENTICATION state')
def _(t):
    before, inside = _before(t).get("EXPIRE"), _inside(t).get("EXPIRE")
    if not before or not inside:
        t.skip("not announced in both states: EXPIRE")
    t.check(before[0] == inside[0] or before[1:] == ["USER"], f"before login {before}, after it {inside}")


@case("6.7-005", "MUST", "with any EXPIRE but 0, a message that was retrieved stays",
      "The argument to the EXPIRE capability indicates the minimum server retention period, in days, for messages on the server.")
def _(t):
    found = _inside(t).get("EXPIRE")
    if not found or found == ["0"]:
        t.skip("not announced: EXPIRE with days or NEVER")
    client = t.open(*THREE)
    for number in (1, 2, 3):
        client.retr(number)
    client.quit()
    t.check(t.session().stat()[0] == 3, "messages are gone")


# IMPLEMENTATION.

@case("6.9-001", "MUST", "IMPLEMENTATION has at least one token",
      "The argument to the IMPLEMENTATION capability consists of one or more tokens which identify the server.")
def _(t):
    found = _inside(t).get("IMPLEMENTATION", _before(t).get("IMPLEMENTATION"))
    if found is None:
        t.skip("not announced: IMPLEMENTATION")
    t.check(found and all(found), f"IMPLEMENTATION {found}")


@case("6.9-002", "MUST", "IMPLEMENTATION is the same before and after login",
      "Announced states / possible differences: both (optionally TRANSACTION only) / no")
def _(t):
    before, inside = _before(t).get("IMPLEMENTATION"), _inside(t).get("IMPLEMENTATION")
    if not before or not inside:
        t.skip("not announced in both states: IMPLEMENTATION")
    t.check(before == inside, f"before login {before}, after it {inside}")


# RFC 3206.

case = Group("RFC 3206").case

_AUTH = "The AUTH-RESP-CODE capability indicates that the server includes the AUTH response code with any authentication error caused " \
        "by a problem with the user's credentials."


@case("6-001", "MUST", "AUTH-RESP-CODE is announced without arguments", "CAPA tag: AUTH-RESP-CODE Arguments: none")
def _(t):
    t.check(t.need("AUTH-RESP-CODE") == [], f"its arguments are {t.need('AUTH-RESP-CODE')}")


@case("6-002", "MUST", "a wrong password for PASS is answered with [AUTH]", _AUTH)
def _(t):
    t.need("AUTH-RESP-CODE")
    t.need("USER")
    client = t.connect(t.facts.over)
    client.ok(b"USER " + t.account.name.encode())
    reply = client.err(b"PASS not-" + t.account.password.encode())
    t.check(reply.code == "AUTH", f"PASS was answered with {reply!r}")


@case("6-003", "MUST", "an unknown name is answered with [AUTH]", _AUTH)
def _(t):
    t.need("AUTH-RESP-CODE")
    t.need("USER")
    client = t.connect(t.facts.over)
    reply = client.command(b"USER nobody-" + t.account.name.encode())
    if reply.ok:
        reply = client.err(b"PASS " + t.account.password.encode())
    t.check(reply.code == "AUTH", f"the reply is {reply!r}")


@case("6-004", "MUST", "wrong credentials for AUTH PLAIN are answered with [AUTH]", _AUTH)
def _(t):
    import base64
    t.need("AUTH-RESP-CODE")
    client = t.connect(t.way_to("PLAIN"))
    client.command(b"AUTH PLAIN").challenge()
    reply = client.err(base64.b64encode(f"\0{t.account.name}\0not-{t.account.password}".encode()))
    t.check(reply.code == "AUTH", f"AUTH was answered with {reply!r}")


@case("6-005", "MUST", "wrong credentials for APOP are answered with [AUTH]", _AUTH)
def _(t):
    t.need("AUTH-RESP-CODE")
    if not t.facts.timestamp:
        t.skip("not announced: APOP (no timestamp in the greeting)")
    account = t.special("apop")
    reply = t.connect().err(b"APOP %s %s" % (account.name.encode(), b"0" * 32))
    t.check(reply.code == "AUTH", f"APOP was answered with {reply!r}")


@case("6-006", "MUST", "an error that is not about credentials has no [AUTH]",
      "AUTH-RESP-CODE assures the client that only errors with the AUTH code are caused by credential problems. [s5]")
def _(t):
    t.need("AUTH-RESP-CODE")
    client = t.connect(t.facts.over)
    for command in (b"XYZZY", b"STAT", b"RETR 1"):
        reply = client.err(command)
        t.check(reply.code != "AUTH", f"{command!r} was answered with {reply!r}")


@case("5-001", "SHOULD", "a server that says [AUTH] announces AUTH-RESP-CODE",
      "Servers which include the AUTH response code with any authentication failure SHOULD support the CAPA command [POP3-EXT] and "
      "SHOULD include the AUTH-RESP-CODE capability in the CAPA response.")
def _(t):
    client = t.connect(t.facts.over)
    reply = client.command(b"USER " + t.account.name.encode())
    if reply.ok:
        reply = client.err(b"PASS not-" + t.account.password.encode())
    if reply.code != "AUTH":
        t.skip("the server does not say [AUTH]")
    t.check(t.facts.announced("AUTH-RESP-CODE"), f"PASS was answered with {reply!r}")


@case("5-002", "SHOULD", "USER is not answered with [AUTH]",
      "It is strongly RECOMMENDED that the server not issue this response code to the USER command.")
def _(t):
    client = t.connect(t.facts.over)
    reply = client.command(b"USER nobody-" + t.account.name.encode())
    t.check(reply.code != "AUTH", f"USER was answered with {reply!r}")


@case("4-001", "MUST", "a wrong password is not put down to a system error",
      "The SYS response code announces that a failure is due to a system error, as opposed to the user's credentials or an external "
      "condition.")
def _(t):
    t.need("RESP-CODES")
    client = t.connect(t.facts.over)
    reply = client.command(b"USER " + t.account.name.encode())
    if reply.ok:
        reply = client.err(b"PASS not-" + t.account.password.encode())
    t.check((reply.code or "").split("/")[0] != "SYS", f"a wrong password was answered with {reply!r}")
