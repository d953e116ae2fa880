"""Large messages and large maildrops, in bounded memory."""

import random
import re

import pytest

from poplar_server import DOMAIN, SANITIZED, big_message, make_message, without_trace

SIZE = 30_000_000
# The allocator of a sanitizer keeps freed memory for a while on purpose.
GROWTH = (400 if SANITIZED else 60) << 20


@pytest.fixture(scope="module")
def message():
    return big_message("thirty megabytes", SIZE)


def by_smtp(server, account, message):
    with server.smtp() as client:
        client.hello()
        client.send_message("a@elsewhere.example", [account], message, f"SIZE={len(message)}")


def by_lmtp(server, account, message):
    server.deliver(account, message)


def by_bdat(server, account, message):
    with server.smtp() as client:
        client.hello()
        client.envelope("a@elsewhere.example", [account])
        chunk = 1 << 20
        for at in range(0, len(message), chunk):
            part = message[at:at + chunk]
            client.send(b"BDAT %d%s\r\n" % (len(part), b" LAST" if at + chunk >= len(message) else b"") + part)
            assert client.reply()[0] == 250


def by_one_bdat_over_tls(server, account, message):
    with server.smtp() as client:
        client.hello()
        client.starttls()
        client.hello()
        client.envelope("a@elsewhere.example", [account])
        client.send(b"BDAT %d LAST\r\n" % len(message))
        client.send(message)
        assert client.reply()[0] == 250


@pytest.mark.parametrize("way", [by_smtp, by_lmtp, by_bdat, by_one_bdat_over_tls])
def test_thirty_megabytes_byte_for_byte(server, account, message, way):
    server.deliver(account, make_message("first"))
    server.fetch_all(account)  # warm
    before = server.rss()
    way(server, account, message)
    for connect in (server.pop3, server.pop3s):
        with connect() as client:
            client.login(account)
            size = client.listing()[2]
            got = client.retr(2)
            assert len(got) == size
            assert without_trace(got) == message
            assert client.multi(b"TOP 2 1").endswith(b"\r\n\r\nblock 0\r\n") or b"block" in client.multi(b"TOP 2 3")
            client.quit()
    assert server.rss() - before < GROWTH


def test_ten_at_once_do_not_sit_in_memory(server, message):
    accounts = [server.add_user(f"large{n}@{DOMAIN}") for n in range(10)]
    before = server.rss()
    clients = [server.lmtp() for _ in accounts]
    stuffed = re.sub(rb"(?m)^\.", b"..", message)[:8_000_000] + b"\r\n.\r\n"
    for client, account in zip(clients, accounts):
        client.hello()
        client.envelope("a@elsewhere.example", [account])
        client.expect(354, b"DATA")
    for at in range(0, len(stuffed), 1 << 18):
        for client in clients:
            client.send(stuffed[at:at + (1 << 18)])
    for client in clients:
        assert client.reply()[0] == 250
        client.close()
    assert server.rss() - before < GROWTH


def test_fifty_thousand_messages_in_one_maildrop(make_server):
    count = 10_000 if SANITIZED else 50_000
    server = make_server()
    account = server.add_user(f"many@{DOMAIN}")
    # Some connections at once, so that deliveries share syncs; the window keeps the server busy.
    def connect():
        clients = [server.lmtp() for _ in range(16)]
        for client in clients:
            client.hello()
        return clients

    clients = connect()
    transaction = b"MAIL FROM:<a@elsewhere.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % account.encode()
    for begin in range(0, count, len(clients)):
        if begin % (len(clients) * 1000) == 0 and begin:  # a connection takes a thousand messages
            for client in clients:
                client.expect(221, b"QUIT")
            clients = connect()
        batch = clients[:count - begin]
        for client in batch:
            client.send(transaction)
        for n, client in enumerate(batch, begin):
            assert [client.reply()[0] for _ in range(3)] == [250, 250, 354]
            client.send(b"Subject: %d\r\n\r\nmessage %d\r\n.\r\n" % (n, n))
        for client in batch:
            assert client.reply()[0] == 250
    for client in clients:
        client.close()

    with server.login(account, timeout=60) as client:
        assert client.stat()[0] == count
        sizes = client.listing()
        before = client.uidl()
        assert list(sizes) == list(before) == list(range(1, count + 1))
        assert sum(sizes.values()) == client.stat()[1]
        assert len(set(before.values())) == count
        numbers = set()
        for n in random.Random(7).sample(range(1, count + 1), 50):
            got = client.retr(n)
            assert len(got) == sizes[n]
            numbers.add(int(re.search(rb"message (\d+)\r\n\Z", got)[1]))
        assert len(numbers) == 50
        keep = set(range(1, count + 1, 1000))
        client.send(b"".join(b"DELE %d\r\n" % n for n in sizes if n not in keep))
        for _ in range(count - len(keep)):
            assert client.line().startswith(b"+OK")
        assert client.stat()[0] == len(keep)
        client.quit()
    server.stop()
    server.start()
    with server.login(account) as client:
        assert list(client.uidl().values()) == [before[n] for n in sorted(keep)]
        client.quit()
