"""Runs poplar-bench and returns what it says."""

import json
import mmap
import os
import pathlib
import subprocess
import sys
import tempfile

from .servers import BUILD, DOMAIN, PASSWORD

TOOL = BUILD / "poplar-bench"


class LoadError(Exception):
    pass


def run(work, *arguments, pids=(), timeout=1800):
    command = [str(TOOL), work, "--user", "user{}@" + DOMAIN, "--password", PASSWORD, "--json", *map(str, arguments)]
    for pid in pids:
        command += ["--pid", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if not done.stdout:
        raise LoadError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def touch_memory(octets=4 << 30):
    """The host of a virtual machine may take back memory that is free. Its first touch then costs several times the
    write that needs it, and which server has to pay is chance. So it is touched, and free again, before deliveries."""
    octets = min(octets, os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE // 2)
    mmap.mmap(-1, octets, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def fill(server, first, accounts, messages, size):
    """Puts `messages` messages of `size` octets into each of the accounts from number `first` on."""
    if server.name == "null":
        return
    if server.name == "courier":
        return fill_maildirs(server.peer, first, accounts, messages, size)
    missing = accounts * messages
    for _ in range(3):
        result = run("deliver", "-s", server.address("lmtp"), "-c", 64, "--first", first, "--accounts", accounts,
                     "--count", missing, "--size", size)
        missing -= result["operations"]
        if not missing:
            return
        if server.name == "poplar":
            break  # must not fail; Cyrus ends a connection with 421 now and then, and is sent as many again
        print(f"{server.name}: {missing} more, after {result['errors']}", file=sys.stderr)
    raise LoadError(f"{server.name}: could not fill maildrops: {result}")


def fill_maildirs(peer, first, accounts, messages, size):
    """Courier has no LMTP of its own: its Maildirs are written, with messages that poplar-bench has made."""
    import shutil
    with tempfile.TemporaryDirectory() as work:
        null = subprocess.Popen([TOOL, "null", "--pop3", "127.0.0.1:0", "--messages", "1", "--size", str(size)],
                                stdout=subprocess.PIPE, text=True)
        try:
            import poplar_server
            port = int(json.loads(null.stdout.readline())["pop3"][0].rpartition(":")[2])
            with poplar_server.Pop3(port) as client:
                client.login("x")
                message = client.retr(1).replace(b"\r\n", b"\n")
        finally:
            null.terminate()
            null.wait()
            null.stdout.close()
        source = pathlib.Path(work, "message")
        source.write_bytes(message)
        for number in range(first, first + accounts):
            folder = peer._home(f"user{number}@{DOMAIN}") / "Maildir/new"
            for i in range(messages):
                shutil.copy(source, folder / f"1700000000.M{i}P1.localhost")
                os.chown(folder / f"1700000000.M{i}P1.localhost", folder.stat().st_uid, folder.stat().st_gid)


def system_calls(server, *arguments, sessions=2000, work="poll"):
    """System calls a session, of all the server's processes (strace)."""
    import signal
    import time
    from peers.base import process_tree
    pids = [pid for root in server.pids() for pid in process_tree(root)]
    with tempfile.NamedTemporaryFile("r") as counts:
        tracer = subprocess.Popen(["strace", "-f", "-c", "-qq", "-U", "calls,name", "-o", counts.name,
                                   *[part for pid in pids for part in ("-p", str(pid))]], stderr=subprocess.DEVNULL)
        time.sleep(1 + len(pids) * 0.01)
        run(work, *arguments, "-n", sessions)
        os.kill(tracer.pid, signal.SIGINT)
        tracer.wait(20)
        rows = [line.split() for line in counts.read().splitlines()]
    calls = {row[1]: int(row[0]) / sessions for row in rows if len(row) == 2 and row[0].isdigit() and row[1] != "total"}
    return sum(calls.values()), dict(sorted(calls.items(), key=lambda item: -item[1]))
