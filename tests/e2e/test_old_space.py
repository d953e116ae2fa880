"""Deleted mail gives its space back while the server serves. Measures how much is left, and how much is copied for that."""

import random
import time

from poplar_server import DOMAIN, PASSWORD, PATIENCE, SANITIZED, make_message, without_trace

ACCOUNTS = 6 if SANITIZED else 24
MESSAGES = 40
SPACE = 1.3       # the disk's octets over the live messages'
COPIED = 85 / 15  # octets copied for each that came back, at most: (100 - copy_dead_percent) / copy_dead_percent


def disk_octets(server):
    """The space of the log and of the large messages' files, as the file system counts it."""
    return sum(path.stat().st_blocks * 512 for part in ("log", "large") for path in (server.data / part).rglob("*") if path.is_file())


def test_space_of_deleted_mail_comes_back_while_mail_is_served(make_server):
    server = make_server(storage={"segment_size": "1MiB", "large_body": "64KiB", "retention": "0s", "expire_every": "200ms",
                                  "copy_every": "100ms", "copy_rate": "16MiB", "scrub_every": 0})
    rng = random.Random(1)
    accounts = [f"space{n}@{DOMAIN}" for n in range(ACCOUNTS)]
    for account in accounts:
        assert server.admin("POST", "/v1/accounts", {"address": account, "password_hash": "{PLAIN}" + PASSWORD})[0] == 201
    sent = {}
    with server.lmtp() as client:
        client.hello()
        for number in range(MESSAGES):  # each segment has a little of everybody's
            for account in accounts:
                name = f"{account}-{number}"
                sent[name] = make_message(name, rng.choice((1000, 5000, 20_000)) if rng.random() < 0.97 else 150_000)
                client.send_message("a@elsewhere.example", [account], sent[name])
    before = {account: server.fetch_all(account) for account in accounts}
    full = disk_octets(server)

    kept = {}
    for account in accounts:
        with server.login(account) as client:
            gone = {number for number in client.uidl() if rng.random() < 0.6}
            for number in gone:
                client.ok(b"DELE %d" % number)
            client.quit()
        kept[account] = [message for number, message in enumerate(before[account], 1) if number not in gone]
    live = sum(len(octets) for messages in kept.values() for _, octets in messages)

    # The space comes back by itself, while mail is delivered and fetched all the time.
    arrived = {account: [] for account in accounts}
    deadline = time.monotonic() + 60 * PATIENCE
    number = 0
    while True:
        storage = server.admin("GET", "/v1/status")[1]["storage"]
        account = accounts[number % ACCOUNTS]
        message = make_message(f"meanwhile-{number}", 2000)
        server.deliver(account, message)
        arrived[account].append(message)
        live += len(message)
        number += 1
        assert server.fetch_all(account)[:len(kept[account])] == kept[account], "moved, but the same"
        if storage["used_octets"] + storage["large_octets"] <= SPACE * live and storage["copying"]["state"] == "resting":
            break
        assert time.monotonic() < deadline, f"{storage} for {live} live octets"
    copied, freed = storage["copying"]["copied_octets"], storage["copying"]["freed_octets"]
    assert 0 < copied <= COPIED * freed, "copying is worth it"
    assert copied <= full - live, "nothing is copied twice over"
    text = server.run_cli("status").stdout
    assert "copying       resting; " in text and "space         " in text

    server.stop()  # gives back what was allocated ahead
    assert disk_octets(server) <= SPACE * live, (disk_octets(server), live, full)
    assert server.run_cli("verify").returncode == 0
    server.start()
    for account in accounts:
        now = server.fetch_all(account)
        assert now[:len(kept[account])] == kept[account]
        assert [without_trace(octets) for _, octets in now[len(kept[account]):]] == arrived[account]
