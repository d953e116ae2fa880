"""The load tool against Poplar and against the server that does no work: it must count what happened and nothing else."""

import json
import signal
import subprocess

import pytest

import poplar_server
from poplar_server import DOMAIN, PASSWORD, Pop3

ACCOUNTS = 8


@pytest.fixture(scope="module")
def tool():
    path = poplar_server.BINARY.parent / "poplar-bench"
    if not path.is_file():
        pytest.skip("poplar-bench is not built")
    return path


def bench(tool, *arguments, code=0, password=PASSWORD):
    done = subprocess.run([tool, *map(str, arguments), "--user", "user{}@" + DOMAIN, "--password", password, "--json"],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def server(make_server):
    server = make_server()
    for number in range(ACCOUNTS):
        server.add_user(f"user{number}@{DOMAIN}")
    return server


def of(server, protocol="pop3", connections=4):
    return ["-s", f"127.0.0.1:{server.port[protocol]}", "--accounts", ACCOUNTS, "-c", connections, "--pid", server.process.pid]


def test_what_deliver_puts_there_drain_finds_octet_by_octet(tool, server):
    said = bench(tool, "deliver", *of(server, "lmtp"), "--mix", "-n", 5 * ACCOUNTS)
    assert said["operations"] == 5 * ACCOUNTS and said["failed"] == 0
    for way in ([], ["--window", 16], ["--tls", "stls"]):
        said = bench(tool, "drain", *of(server), "-n", ACCOUNTS, *way)
        assert (said["operations"], said["verified"], said["failed"]) == (5 * ACCOUNTS, 5 * ACCOUNTS, 0)
    # With one connection, which goes from maildrop to maildrop. Of several, a quick one could find its own empty again.
    said = bench(tool, "drain", *of(server, "pop3s", connections=1), "--tls", "tls", "--delete", "-n", ACCOUNTS)
    assert said["verified"] == 5 * ACCOUNTS
    with server.login(f"user0@{DOMAIN}") as client:
        assert client.stat() == (0, 0)


def test_smtp_with_many_recipients_and_a_new_connection_each_time(tool, server):
    said = bench(tool, "deliver", *of(server, "smtp"), "--smtp", "--recipients", 2, "--per-connection", 1, "--no-pipelining",
                 "--tls", "stls", "-n", 20)
    assert said["operations"] == 20 and said["failed"] == 0
    said = bench(tool, "drain", *of(server), "-n", ACCOUNTS)
    assert said["verified"] == 40


def test_polls_are_counted_and_cost_cpu(tool, server):
    said = bench(tool, "poll", *of(server), "--uidl", "--list", "-n", 200)
    assert said["operations"] == 200 and said["latency_us"]["count"] == 200
    assert said["server"]["cpu_us"] > 0
    said = bench(tool, "poll", *of(server, "pop3s"), "--tls", "tls", "--resume", "-n", 100)
    assert said["failed"] == 0
    assert said["tls"]["full"] + said["tls"]["resumed"] == 100


def test_refusals_are_errors_by_kind_and_not_operations(tool, server):
    said = bench(tool, "poll", *of(server), "-n", 4, code=1, password="wrong")
    assert said["operations"] == 0 and said["failed"] == 4
    assert all(kind.startswith("PASS: -ERR [AUTH]") for kind in said["errors"])


def test_a_message_of_others_is_told_apart(tool, server):
    server.deliver(f"user1@{DOMAIN}", b"Subject: not of the tool\r\n\r\n.dot\r\n")
    # With one connection: of several, a quick one could come to the message's maildrop again.
    said = bench(tool, "drain", *of(server, connections=1), "-n", ACCOUNTS)
    assert (said["verified"], said["unmarked"], said["failed"]) == (0, 1, 0)


def test_idle_connections_are_held(tool, server):
    said = bench(tool, "idle", *of(server), "-d", 0.2)
    assert said["connections"] == 4 and said["server"]["pss_after"] > 0


def test_mixed_work_at_a_rate(tool, server):
    said = bench(tool, "mixed", *of(server), "--mail-server", f"127.0.0.1:{server.port['lmtp']}", "-n", 100, "--rate", 200,
                 "--polls", 1, "--drains", 1, "--deliveries", 1)
    assert said["failed"] == 0 and said["verified"] > 0
    assert 0.45 <= said["seconds"]


def test_the_server_that_does_no_work(tool, directory):
    process = subprocess.Popen([tool, "null", "--pop3", "127.0.0.1:0", "--pop3s", "127.0.0.1:0", "--lmtp", "127.0.0.1:0",
                                "--sink", directory / "sink", "--messages", "3", "--size", "2000", "--threads", "2"],
                               stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(process.stdout.readline())
        where = ["--accounts", ACCOUNTS, "-c", 4]
        for address, tls in (("pop3", "plain"), ("pop3", "stls"), ("pop3s", "tls")):
            for window in (1, 8):
                said = bench(tool, "drain", "-s", ready[address][0], "--tls", tls, "-w", window, *where, "-n", 8)
                assert said["verified"] == 24 and said["failed"] == 0
        with Pop3(int(ready["pop3"][0].rpartition(":")[2])) as client:
            client.login("anybody")
            assert client.stat()[0] == 3 and len(client.uidl()) == 3
        said = bench(tool, "deliver", "-s", ready["lmtp"][0], "--size", 300_000, *where, "-n", 12)
        assert said["failed"] == 0
        stored = sum((directory / name).read_bytes().count(b"X-Poplar-Bench: ") for name in ("sink", "sink.1"))
        assert stored == 12
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        process.stdout.close()


@pytest.mark.parametrize("arguments", [["poll", "--accounts", "1", "-c", "2"], ["poll", "-s", "nonsense"], ["nothing"],
                                       ["deliver"], ["null", "--lmtp", "127.0.0.1:0"]])
def test_wrong_usage_is_refused(tool, arguments):
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=20)
    assert done.returncode != 0 and done.stderr + done.stdout
