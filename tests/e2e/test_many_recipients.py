"""A message to many accounts of ours takes its space on the disk about once."""

import os

import pytest

from poplar_server import DOMAIN, big_message, without_trace

MANY = 1000
# Octets that an account has of its own for each message: its trace fields, its record, its place in the index.
OWN = 1200


def disk_octets(folder):
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
            except FileNotFoundError:
                pass  # the index replaces its files
    return total


@pytest.fixture(scope="module")
def crowd(server):
    names = [f"u{n:04}@{DOMAIN}" for n in range(MANY)]
    accounts = [{"address": name, "password_hash": "{PLAIN}p"} for name in names]
    status, reply = server.admin("POST", "/v1/accounts/import", {"accounts": accounts})
    assert status == 200 and reply["added"] == MANY, reply
    assert server.admin("POST", "/v1/aliases", {"address": f"all@{DOMAIN}", "targets": names})[0] == 201
    return server, names


@pytest.mark.parametrize("size,times", [(3_000, 5), (100_000, 3), (1_000_000, 3), (3_000_000, 2)])
def test_an_alias_of_a_thousand_takes_the_space_of_one(crowd, size, times):
    server, names = crowd
    before = disk_octets(server.data)
    messages = [big_message(f"to all {size} {n}", size) for n in range(times)]
    for message in messages:
        server.deliver(f"all@{DOMAIN}", message)
    grown = disk_octets(server.data) - before
    assert grown <= 1.2 * sum(map(len, messages)) + times * MANY * OWN + (64 << 20)
    for name in (names[0], names[-1]):
        got = [without_trace(octets) for _, octets in server.fetch_all(name, "p")]
        assert got[-times:] == messages


def test_who_deletes_it_deletes_it_for_nobody_else(crowd):
    server, names = crowd
    message = big_message("for all of us", 500_000)
    server.deliver(f"all@{DOMAIN}", message)
    with server.login(names[0], "p") as client:
        client.ok(b"DELE %d" % client.stat()[0])
        client.quit()
    server.admin("DELETE", f"/v1/accounts/{names[1]}?purge=yes")
    assert without_trace(server.fetch_all(names[2], "p")[-1][1]) == message
    server.stop()
    assert server.run_cli("verify").returncode == 0
    server.start()
    assert without_trace(server.fetch_all(names[2], "p")[-1][1]) == message
