"""Many peers at once, each with an address of its own, and one user who only wants to poll."""

import statistics
import threading
import time

from poplar_server import DOMAIN, PATIENCE, make_message


def poll(server, address, source):
    begun = time.monotonic()
    with server.pop3(source=source) as client:
        client.login(address)
        client.stat()
        client.quit()
    return time.monotonic() - begun


def test_peers_are_told_apart_by_their_addresses(crowd, make_server):
    server = make_server(limits={"connections_per_peer": 1})
    first, second = crowd.sources(2)
    with server.pop3(source=first), server.pop3(source=second) as other:
        assert other.greeting.startswith(b"+OK")
        with server.pop3(source=first) as refused:
            assert refused.greeting.startswith(b"-ERR")


def test_a_flood_of_pop3_leaves_room_for_mail(crowd, make_server):
    server = make_server(limits={"connections": 80})
    held = []
    try:
        for source in crowd.sources(80):
            held.append(server.pop3(source=source))
            if not held[-1].greeting.startswith(b"+OK"):
                break
        assert held[-1].greeting == b"-ERR [SYS/TEMP] too many connections, try again later"
        with server.smtp() as smtp, server.lmtp() as lmtp:
            smtp.hello()
            lmtp.hello()
    finally:
        for client in held:
            client.close()


def test_a_poll_takes_its_turn_among_peers_that_always_have_another_command(crowd, make_server):
    """Each peer sends thousands of commands ahead, and each command is long work for the server."""
    server = make_server(auth={"allow_plaintext": "always"})
    address, busy = server.add_user(f"bystander@{DOMAIN}"), [server.add_user(f"busy{i}@{DOMAIN}") for i in range(8)]
    for i, name in enumerate(busy):
        server.deliver(name, make_message(f"m{i}", 60000))
    sources = crowd.sources(len(busy) + 1)
    poll(server, address, sources[-1])  # its password is remembered now

    clients = [server.pop3(source=source).login(name) for source, name in zip(sources, busy)]
    over = threading.Event()

    def ask_and_read(client):
        client.socket.settimeout(60 * PATIENCE)
        sender = threading.Thread(target=ask, args=(client,))
        sender.start()
        while not over.is_set() and client.socket.recv(1 << 20):
            pass
        client.socket.shutdown(2)
        sender.join()

    def ask(client):
        try:
            while not over.is_set():
                client.socket.sendall(b"TOP 1 1500\r\n" * 3000)
        except OSError:
            pass

    threads = [threading.Thread(target=ask_and_read, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        times = [poll(server, address, sources[-1]) for _ in range(20)]
    finally:
        over.set()
        for thread in threads:
            thread.join()
        for client in clients:
            client.close()
    # This test takes most of that time itself, because all its clients share one interpreter.
    assert statistics.median(times) < 1 * PATIENCE, times
    assert max(times) < 3 * PATIENCE, times
