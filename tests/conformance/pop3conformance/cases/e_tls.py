"""RFC 2595, STLS, and RFC 8314 with RFC 8997, TLS as it is used now."""

import ssl
import warnings

from ..messages import SHORT
from ..registry import Group
from ..wire import Closed, Failed, client_tls

case = Group("RFC 2595").case

_STATE = "The STLS command is only permitted in AUTHORIZATION state and the server remains in AUTHORIZATION state, even if client " \
         "credentials are supplied during the TLS negotiation."


@case("4-001", "MUST", "a server with STLS has CAPA",
      "If this is implemented, the POP3 extension mechanism [POP3EXT] MUST also be implemented to avoid the need for client probing of "
      "multiple commands.")
def _(t):
    t.need_port()
    client = t.connect("plain")
    reply = client.command(b"STLS")
    if not reply.ok:
        t.skip("STLS is refused")
    t.check(t.facts.plain is not None, "STLS is accepted, CAPA is refused")


@case("4-002", "MUST", "STLS that is accepted is announced", 'The capability name "STLS" indicates this command is present and permitted '
      'in the current state.')
def _(t):
    t.need_port()
    reply = t.connect("plain").command(b"STLS")
    if not reply.ok:
        t.skip("STLS is refused")
    t.check("STLS" in (t.facts.plain or {}), f"CAPA has {sorted(t.facts.plain or {})}")


@case("4-003", "MUST", "STLS, when announced, is accepted", 'The capability name "STLS" indicates this command is present and permitted '
      'in the current state.')
def _(t):
    t.need_stls()
    t.connect("plain").ok(b"STLS")


@case("4-004", "MUST", "the handshake begins right after STLS's reply, and commands work inside TLS",
      "A TLS negotiation begins immediately after the CRLF at the end of the +OK response from the server.")
def _(t):
    t.need_stls()
    t.connect("stls").multi(b"CAPA")


@case("4-005", "MUST", "the server does not greet again after the handshake",
      "further commands are under TLS layer [in the example; a reply comes only after a command: RFC 1939 s3]")
def _(t):
    t.need_stls()
    client = t.connect("stls")
    t.check(client.quiet(0.4), f"unasked: {bytes(client.input)!r}")


@case("4-006", "MUST", "after STLS the session is in the AUTHORIZATION state", _STATE)
def _(t):
    t.need_stls()
    t.connect("stls").err(b"STAT")


@case("4-007", "MUST", "after STLS a login succeeds and mail can be read", "<TLS negotiation, further commands are under TLS layer>")
def _(t):
    t.need_stls()
    t.open(SHORT).quit()
    client = t.session(over="stls")
    t.check(client.stat()[0] == 1, "STAT does not count the message")
    client.retr(1)


@case("4-008", "MUST", "STLS after login is refused", _STATE)
def _(t):
    t.need_stls()
    client = t.session(over="plain" if t.facts.over == "plain" else t.facts.over)
    client.err(b"STLS")
    client.ok(b"NOOP")


@case("4-009", "MUST", "STLS is not announced after login", "Announced states/Valid states: AUTHORIZATION state only. [s8]")
def _(t):
    t.need_capa()
    if t.facts.inside is None:
        t.skip("CAPA is refused after login")
    t.check("STLS" not in t.facts.inside, f"after login CAPA has {sorted(t.facts.inside)}")


def _inside_tls(number, over):
    @case(number, "MUST", f"STLS is not announced where it is refused: inside TLS ({'STLS' if over == 'stls' else 'implicit TLS'})",
          'The capability name "STLS" indicates this command is present and permitted in the current state.')
    def _(t):
        if over == "stls":
            t.need_stls()
        else:
            t.need_tls_port()
        client = t.connect(over)
        announced = "STLS" in (client.capabilities() or {})
        t.check(not announced or client.command(b"STLS").ok, "STLS is announced, and refused")


_inside_tls("4-010", "stls")
_inside_tls("4-011", "tls")


@case("4-012", "MUST", "STLS is announced without arguments", "CAPA tag: STLS; Arguments: none [s8]")
def _(t):
    t.need_stls()
    t.check(t.facts.plain["STLS"] == [], f"its arguments are {t.facts.plain['STLS']}")


@case("4-013", "MUST", "STLS is understood in lower case", "a case-insensitive keyword [RFC 1939 s3]")
def _(t):
    t.need_stls()
    t.connect("plain").ok(b"stls")


@case("4-014", "MUST", "a command sent in the clear behind STLS is not done inside TLS",
      "A TLS negotiation begins immediately after the CRLF at the end of the +OK response from the server. [What follows is TLS, never "
      "a command.]")
def _(t):
    t.need_stls()
    client = t.connect("plain")
    client.send(b"STLS\r\nXYZZY\r\n")
    if not client.reply().ok:
        t.skip("STLS is refused when something follows it: so nothing can be smuggled in")
    try:
        client.start_tls()
    except Failed:
        return  # the octets were taken for a broken handshake: nothing was done
    t.check(client.quiet(0.5), f"a reply to the smuggled command: {bytes(client.input)!r}")
    t.check(client.command(b"CAPA").ok, "CAPA inside TLS is refused")


@case("4-015", "MUST", "USER before STLS counts for nothing inside TLS",
      "PASS may only be given in the AUTHORIZATION state immediately after a successful USER command [RFC 1939 s7]")
def _(t):
    t.need_stls()
    client = t.connect("plain")
    client.command(b"USER " + t.account.name.encode())
    client.stls()
    client.err(b"PASS " + t.account.password.encode())


@case("4-017", "MUST", "a failed handshake harms nobody else", "<TLS negotiation, further commands are under TLS layer>")
def _(t):
    t.need_stls()
    client = t.connect("plain")
    client.ok(b"STLS")
    client.abort()
    t.connect("stls").multi(b"CAPA")


# RFC 8314.

case = Group("RFC 8314").case

_IMPLICIT = 'When a TCP connection is established for the "pop3s" service (default port 995), a TLS handshake begins immediately.'


@case("3.1-001", "MUST", "on the TLS port the handshake begins at once and the greeting comes inside", _IMPLICIT)
def _(t):
    t.need_tls_port()
    t.connect("tls")


@case("3.1-002", "MUST", "on the TLS port nothing is sent before the handshake", _IMPLICIT)
def _(t):
    t.need_tls_port()
    client = t.dial("tls")
    t.check(client.quiet(0.5), f"in the clear: {bytes(client.input)!r}")


@case("3.1-003", "MUST", "on the TLS port the session begins in the AUTHORIZATION state",
      "After the server sends an +OK greeting, the server and client MUST enter the AUTHORIZATION state, even if a client certificate was "
      "supplied during the TLS handshake.")
def _(t):
    t.need_tls_port()
    t.connect("tls").err(b"STAT")


@case("3.1-004", "MUST", "on the TLS port a login succeeds and mail can be read",
      "Once the TLS session is established, POP3 [RFC1939] protocol messages are exchanged as TLS application data for the remainder of the "
      "TCP connection.")
def _(t):
    t.need_tls_port()
    t.open(SHORT).quit()
    client = t.session(over="tls")
    t.check(client.stat()[0] == 1, "STAT does not count the message")
    client.retr(1)
    client.quit()


@case("3.1-005", "MUST", "on the TLS port a client that speaks no TLS gets no POP3 reply", _IMPLICIT)
def _(t):
    t.need_tls_port()
    client = t.dial("tls")
    client.send(b"CAPA\r\nQUIT\r\n" * 10)
    client.closes(1.5)
    t.check(b"+OK" not in client.input, f"in the clear: {bytes(client.input)!r}")


def _close_alert(number, what, how):
    @case(number, "SHOULD", f"the server ends TLS with a close alert after QUIT {what}",
          "When a client or server wishes to close the connection, it SHOULD initiate the exchange of TLS close alerts before TCP "
          "connection termination.")
    def _(t):
        t.need_tls_port()
        client = how(t)
        client.ok(b"QUIT")
        client.state = "closed"
        client.socket.settimeout(5)
        try:
            while client.socket.recv(1000):
                pass
        except ssl.SSLEOFError:
            t.check(False, "the TCP connection ends without a close alert")
        except (ConnectionError, ssl.SSLError) as error:
            t.check(False, f"the connection ends with: {error}")


_close_alert("3.4-001", "before login", lambda t: t.connect("tls"))
_close_alert("3.4-002", "after login", lambda t: t.session(over="tls"))


@case("4-001", "SHOULD", "there is a port with implicit TLS",
      "MSPs that support POP, IMAP, and/or Message Submission SHOULD provide and support instances of those services that use Implicit TLS.")
def _(t):
    t.need_tls_port()
    t.connect("tls").ok(b"QUIT")


@case("4-002", "SHOULD", "the port without implicit TLS has STLS",
      "For compatibility with existing MUAs and existing MUA configurations, MSPs SHOULD also, in the near term, provide instances of these "
      "services that support STARTTLS.")
def _(t):
    t.need_port()
    t.check("STLS" in (t.facts.plain or {}), f"CAPA has {sorted(t.facts.plain or {})}")


@case("4-003", "SHOULD", "STLS is announced only where it works",
      "However, servers SHOULD NOT advertise STARTTLS if the use of the STARTTLS command by a client is likely to fail")
def _(t):
    t.need_stls()
    t.connect("stls").ok(b"QUIT")


def _version(number, level, over, version, wanted, title, quote):
    @case(number, level, f"{title} ({'STLS' if over == 'stls' else 'implicit TLS'})", quote)
    def _(t):
        if over == "stls":
            t.need_stls()
        else:
            t.need_tls_port()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                context = client_tls(version, legacy=not wanted)
        except (ValueError, ssl.SSLError):
            t.skip("this machine's TLS library can't offer that version")
        client = t.dial(over)
        if over == "stls":
            client.greet()
            client.ok(b"STLS")
        try:
            client.start_tls(context)
        except Closed as refused:
            if wanted:
                raise
            if "NO_PROTOCOLS_AVAILABLE" in str(refused) or "no protocols available" in str(refused).lower():
                t.skip("this machine's TLS library can't offer that version")
            return
        t.check(wanted, f"the server accepts {client.tls}")
        reply = client.command(b"CAPA") if over == "stls" else client.greet()
        t.check(reply.ok, f"inside TLS: {reply!r}")


_NEW = "Mail Access Servers and Mail Submission Servers MUST support TLS 1.2 or later."
_OLD = "As soon as practicable, MSPs currently supporting Secure Sockets Layer (SSL) 2.x, SSL 3.0, TLS 1.0, or TLS 1.1 SHOULD transition " \
       "their users to TLS 1.2 or later and discontinue support for those earlier versions of SSL and TLS. [as updated by RFC 8997 s3]"
_version("4-010", "MUST", "tls", None, True, "TLS 1.2 or later is accepted", _NEW)
_version("4-011", "MUST", "stls", None, True, "TLS 1.2 or later is accepted", _NEW)
_version("4-012", "SHOULD", "tls", ssl.TLSVersion.TLSv1, False, "TLS 1.0 is refused", _OLD)
_version("4-013", "SHOULD", "tls", ssl.TLSVersion.TLSv1_1, False, "TLS 1.1 is refused", _OLD)
_version("4-014", "SHOULD", "stls", ssl.TLSVersion.TLSv1, False, "TLS 1.0 is refused", _OLD)
_version("4-015", "SHOULD", "stls", ssl.TLSVersion.TLSv1_1, False, "TLS 1.1 is refused", _OLD)


@case("4.1-001", "MUST", "a server that refuses passwords in the clear does not tell whether they are right",
      "the server denying such access MUST NOT provide any indication over a cleartext channel of whether the user's authentication "
      "credentials were valid.")
def _(t):
    t.need_port()
    if t.facts.over == "plain":
        t.skip("this server accepts logins in the clear")
    replies = []
    for password in (t.account.password, "not-" + t.account.password):
        client = t.connect("plain")
        user = client.command(b"USER " + t.account.name.encode())
        last = client.command(b"PASS " + password.encode()) if user.ok else user
        replies.append((user.line, last.line))
        t.check(last.err, f"the login in the clear was answered with {last!r}")
    t.check(replies[0] == replies[1], f"right: {replies[0]}, wrong: {replies[1]}")


@case("4.2-001", "MUST", "no client certificate is asked for by a server that has no use for one",
      "Such servers MUST NOT request a client certificate during the TLS handshake unless the server is configured to accept some client "
      "certificates as sufficient for authentication")
def _(t):
    t.need_tls_port()
    if "external" in t.target.special:
        t.skip("the target has an account with a client certificate")
    context = client_tls(ssl.TLSVersion.TLSv1_2)
    asked = []
    if not hasattr(context, "_msg_callback"):
        t.skip("this Python does not show TLS messages")
    certificate_request = 13

    def look(_connection, _direction, _version, _content, message_type, _data):
        if message_type == certificate_request and getattr(message_type, "name", "") == "CERTIFICATE_REQUEST":
            asked.append(True)

    context._msg_callback = look
    t.connect("tls", context=context)
    t.check(not asked, "the handshake has a CertificateRequest")


@case("4.2-002", "MUST", "a client certificate that is sufficient for a login enables EXTERNAL",
      "If the server accepts the client's certificate as sufficient for authorization, it MUST enable the Simple Authentication and Security "
      "Layer (SASL) EXTERNAL mechanism [RFC4422].")
def _(t):
    t.need_tls_port()
    account = t.special("external")
    client = t.connect("tls", context=client_tls(certificate=account.extra["certificate"]))
    capabilities = client.capabilities() or {}
    t.check("EXTERNAL" in capabilities.get("SASL", []), f"SASL has {capabilities.get('SASL')}")


@case("4.2-003", "MUST", "a client certificate alone is no login",
      "the server and client MUST enter the AUTHORIZATION state, even if a client certificate was supplied during the TLS handshake. [s3.1]")
def _(t):
    t.need_tls_port()
    account = t.special("external")
    t.connect("tls", context=client_tls(certificate=account.extra["certificate"])).err(b"STAT")
