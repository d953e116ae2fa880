"""Behind a proxy: a connection from a trusted network names its client, and is treated as that client's."""

import ipaddress
import ssl
import struct
import time

import pytest

from poplar_server import DOMAIN, Lmtp, Pop3, Smtp, client_tls, free_port

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def text(client, port=4321):
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {'2001:db8::1' if ':' in client else '203.0.113.1'} {port} 110\r\n".encode()


def binary(client, port=4321, command=1, more=b""):
    address = ipaddress.ip_address(client)
    other = ipaddress.ip_address("2001:db8::1" if address.version == 6 else "203.0.113.1")
    body = address.packed + other.packed + struct.pack("!HH", port, 110) + more
    family = 0x21 if address.version == 6 else 0x11
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack("!H", len(body)) + body


def proxied(server, header, protocol="pop3", kind=Pop3, **options):
    """A client behind a proxy on this machine; its greeting has come."""
    client = kind(server.port[protocol], greeting=False, **options)
    client.send(header)
    client.greeting = client.line()
    return client


@pytest.fixture
def behind(make_server):
    return make_server(proxy_protocol={"pop3": ["127.0.0.1"], "pop3s": ["127.0.0.1"], "smtp": ["127.0.0.0/8"],
                                       "timeout": "1s"},
                       limits={"connections_per_peer": 2})


@pytest.mark.parametrize("header", [text("192.0.2.7"), text("2001:db8::7"), binary("192.0.2.7"), binary("2001:db8::7"),
                                    binary("192.0.2.7", more=b"\x04\x00\x03abc")])
def test_the_client_is_whom_the_proxy_names(behind, header):
    address = "2001:db8::7" if b"2001" in header or len(header) > 44 else "192.0.2.7"
    with proxied(behind, header) as client:
        assert client.greeting.startswith(b"+OK")
        client.quit()
    behind.wait_log(f"peer={address}")


def test_the_header_may_drip_in_and_the_first_command_may_stand_right_behind_it(behind):
    with Pop3(behind.port["pop3"], greeting=False) as client:
        for octet in text("192.0.2.7"):
            client.send(bytes([octet]))
            time.sleep(0.002)
        assert client.line().startswith(b"+OK")
    with proxied(behind, text("192.0.2.7") + b"CAPA\r\n") as client:
        assert client.line().startswith(b"+OK")
        assert b"STLS" in client.body()


def test_limits_count_the_client_and_not_the_proxy(behind):
    with proxied(behind, text("192.0.2.7")), proxied(behind, binary("192.0.2.7")):
        with proxied(behind, text("192.0.2.7")) as third:
            assert third.greeting.startswith(b"-ERR [SYS/TEMP]")
            assert third.closed() == b""
        with proxied(behind, text("192.0.2.8")) as other:
            assert other.greeting.startswith(b"+OK")


def test_a_client_behind_a_proxy_on_this_machine_is_not_this_machine(behind):
    behind.add_user(f"fred@{DOMAIN}")
    for header in (text("192.0.2.7"), b"PROXY UNKNOWN\r\n"):
        with proxied(behind, header) as client:
            client.err(b"USER fred@example.test")
    for header in (text("127.0.0.1"), binary("127.0.0.1", command=0)):
        with proxied(behind, header) as client:
            client.ok(b"USER fred@example.test")


def test_the_header_comes_before_tls(behind):
    """Even if it comes in the same TCP segment."""
    with Pop3(behind.port["pop3s"], greeting=False) as client:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_tls().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.send(text("192.0.2.9") + outgoing.read())
        received = b""
        while not received.endswith(b"\r\n"):
            try:
                received += tls.read(1000) if tls.version() and tls.cipher() else tls.do_handshake() or b""
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    client.send(outgoing.read())
                received_now = client.socket.recv(1 << 16)
                assert received_now, "the server closed the connection"
                incoming.write(received_now)
        assert received.startswith(b"+OK")
    behind.wait_log("peer=192.0.2.9")


@pytest.mark.parametrize("octets", [b"CAPA\r\n", b"PROXY TCP4 192.0.2.7\r\n", b"\x16\x03\x01", SIGNATURE + b"\x21\x41\x00\x00", b""])
def test_a_connection_of_a_proxy_without_a_header_is_closed_without_a_word(behind, octets):
    """At the latest when the time for the header is over."""
    with Pop3(behind.port["pop3"], greeting=False, timeout=10) as client:
        client.send(octets)
        assert client.closed() == b""
    behind.wait_log("net.proxy_header_refused service=pop3 peer=127.0.0.1")


def test_others_may_not_name_a_client(crowd, make_server):
    server = make_server(proxy_protocol={"pop3": ["192.0.2.0/30"], "smtp": ["192.0.2.0/30"]})
    with server.pop3(source="192.0.2.9") as client:
        client.err(text("198.51.100.1")[:-2])
        client.quit()
    server.wait_log("peer=192.0.2.9")
    with server.smtp(source="192.0.2.9") as client:
        assert client.ask(text("198.51.100.1")[:-2])[0] == 500
    with proxied(server, text("198.51.100.1"), source="192.0.2.1") as client:
        client.quit()
    server.wait_log("peer=198.51.100.1")


def test_mail_shows_the_client_in_its_trace(behind):
    fred = behind.add_user(f"fred@{DOMAIN}")
    with proxied(behind, text("192.0.2.7"), "smtp", Smtp) as client:
        client.hello()
        client.send_message("a@elsewhere.example", [fred], b"Subject: x\r\n\r\nx\r\n")
    behind.wait_log("peer=192.0.2.7")
    with proxied(behind, text("127.0.0.1")) as client:
        client.login(fred)
        assert b"from client.example ([192.0.2.7])" in client.retr(1)


def test_a_front_server_says_for_whom_it_speaks(crowd, make_server):
    server = make_server(smtp={"xclient_networks": ["192.0.2.1"]}, lmtp={"xclient_networks": ["192.0.2.0/24"]})
    fred = server.add_user(f"fred@{DOMAIN}")
    for kind, protocol in ((Smtp, "smtp"), (Lmtp, "lmtp")):
        with kind(server.port[protocol], source="192.0.2.1") as front:
            assert any(line.startswith("XCLIENT ") for line in front.hello())
            front.expect(220, b"XCLIENT ADDR=198.51.100.9 PORT=4321 NAME=[UNAVAILABLE]")
            front.hello()
            front.send_message("a@elsewhere.example", [fred], b"Subject: x\r\n\r\nx\r\n")
            front.expect(221, b"QUIT")
    messages = [octets for _, octets in server.fetch_all(fred)]
    assert len(messages) == 2 and all(b"([198.51.100.9])" in octets for octets in messages)
    assert server.log().count("peer=198.51.100.9") == 4
    with server.smtp(source="192.0.2.2") as stranger:
        assert not any(line.startswith("XCLIENT") for line in stranger.hello())
        stranger.expect(550, b"XCLIENT ADDR=198.51.100.9")


TLS_FACTS = b"\x20\0\x29\x03\0\0\0\0" + b"\x21\0\x07TLSv1.3" + b"\x23\0\x17TLS_AES_128_GCM_SHA256\n"


def at(port, header, kind=Pop3, **options):
    """A client behind a proxy at a port of its own; its greeting has come."""
    client = kind(port, greeting=False, **options)
    client.send(header)
    client.greeting = client.line()
    return client


@pytest.fixture
def listeners(crowd, make_server):
    """A server with a port for proxies alone, for POP3 and SMTP, and one for front servers beside the usual ones."""
    ports = {name: free_port() for name in ("pop3", "smtp", "front")}
    proxies = ["192.0.2.0/30"]
    server = make_server(proxy_protocol={"timeout": "1s"}, listener=[
        {"protocol": "pop3", "address": f"127.0.0.1:{ports['pop3']}", "proxy_protocol": proxies},
        {"protocol": "smtp", "address": f"127.0.0.1:{ports['smtp']}", "proxy_protocol": proxies, "xclient": ["198.51.100.7"]},
        {"protocol": "smtp", "address": f"127.0.0.1:{ports['front']}", "xclient": ["192.0.2.9"]}])
    server.extra = ports
    return server


def test_a_listener_of_its_own_is_for_its_proxies_alone(listeners):
    port = listeners.extra["pop3"]
    for header in (text("198.51.100.1"), binary("198.51.100.1")):
        with at(port, header, source="192.0.2.1") as client:
            assert client.greeting.startswith(b"+OK")
            client.quit()
    listeners.wait_log("peer=198.51.100.1")
    for octets in (text("198.51.100.2"), b"CAPA\r\n", b""):
        with Pop3(port, greeting=False, source="192.0.2.9") as stranger:
            try:
                stranger.send(octets)
            except OSError:
                pass
            assert stranger.closed() == b"", "nobody goes round the proxy"
    listeners.wait_log("net.not_a_proxy service=pop3 peer=192.0.2.9")
    assert "peer=198.51.100.2" not in listeners.log()
    with Pop3(port, greeting=False, source="192.0.2.1", timeout=10) as silent:
        assert silent.closed() == b"", "the time for the header is over"
    listeners.wait_log("net.proxy_header_refused service=pop3 peer=192.0.2.1")
    with listeners.pop3(source="192.0.2.1") as direct:
        direct.err(text("198.51.100.1")[:-2])  # the usual port knows no proxies


def test_what_a_proxy_says_of_tls_is_logged_and_opens_nothing(listeners):
    """The attack: a client behind a proxy that terminates TLS must not get what only a TLS connection to us may have."""
    fred = listeners.add_user(f"fred@{DOMAIN}")
    with at(listeners.extra["pop3"], binary("198.51.100.1", more=TLS_FACTS), source="192.0.2.1") as client:
        client.err(b"USER " + fred.encode())  # no password over a connection that is not encrypted for us
        client.ok(b"CAPA")
        assert b"EXTERNAL" not in client.body()
        client.err(b"AUTH EXTERNAL =")
        client.quit()
    listeners.wait_log_match(r"net\.proxy_tls service=pop3 peer=198\.51\.100\.1 proxy=192\.0\.2\.1 tls=TLSv1\.3 "
                             r"cipher=TLS_AES_128_GCM_SHA256\? certificate=yes")
    listeners.wait_log_match(r"pop3\.end .*peer=198\.51\.100\.1")


def test_the_proxy_itself_may_look_whether_the_server_is_there(listeners):
    for header in (binary("198.51.100.1", command=0), b"PROXY UNKNOWN\r\n"):
        with at(listeners.extra["pop3"], header, source="192.0.2.2") as client:
            assert client.greeting.startswith(b"+OK")
            client.quit()
    assert listeners.log().count("pop3.end") == 0 or "peer=198.51.100.1" not in listeners.log()
    listeners.wait_log_match(r"pop3\.end .*peer=192\.0\.2\.2")


def test_a_listener_of_its_own_has_its_own_front_servers(listeners):
    with at(listeners.extra["smtp"], text("198.51.100.7"), Smtp, source="192.0.2.1") as front:
        assert any(line.startswith("XCLIENT ") for line in front.hello()), "behind the proxy, too"
    with Smtp(listeners.extra["front"], source="192.0.2.9") as front:
        assert any(line.startswith("XCLIENT ") for line in front.hello())
        front.expect(220, b"XCLIENT ADDR=198.51.100.99 LOGIN=fred")
        assert not any("AUTH" in line for line in front.hello())
    with Smtp(listeners.extra["front"], source="192.0.2.8") as other:
        assert not any(line.startswith("XCLIENT") for line in other.hello()), "but it may send mail"
    with listeners.smtp(source="192.0.2.9") as usual:
        assert not any(line.startswith("XCLIENT") for line in usual.hello())
