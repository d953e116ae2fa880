"""systemd's conventions, with and without systemd: readiness, socket activation, and the unit files."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

from poplar_server import BINARY, DOMAIN, ROOT, free_port, make_message


def test_readiness_reload_and_stop_are_notified(make_server, directory):
    path = directory / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(60)
        server = make_server(start=False)
        server.spawn(env=dict(os.environ, NOTIFY_SOCKET=str(path)))

        def next_with(word):
            while True:
                fields = manager.recv(65536).decode().splitlines()
                if word in fields:
                    return fields

        next_with("READY=1")
        with server.pop3() as client:  # ready means: connections are taken
            client.quit()
        server.process.send_signal(signal.SIGHUP)
        next_with("RELOADING=1")
        next_with("READY=1")
        server.process.send_signal(signal.SIGTERM)
        next_with("STOPPING=1")
        server.stop()


# Passes descriptors 3... to the program as systemd does (sd_listen_fds(3)); LISTEN_PID must be the program's own.
LAUNCHER = """
import os, sys
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_inherited_sockets_are_used(make_server):
    server = make_server(start=False)
    held = []
    for name in ("pop3", "smtp"):
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server.port[name] = listener.getsockname()[1]
        held.append(listener)
    del server.config["listen"]["pop3"], server.config["listen"]["smtp"]

    def pass_descriptors():
        copies = [os.dup(listener.fileno()) for listener in held]
        high = [os.dup2(fd, 50 + n, inheritable=True) for n, fd in enumerate(copies)]
        for n, fd in enumerate(high):
            os.dup2(fd, 3 + n, inheritable=True)
            os.close(fd)

    server.spawn(command=[sys.executable, "-c", LAUNCHER, *server.command()], close_fds=False, preexec_fn=pass_descriptors,
                 env=dict(os.environ, LISTEN_FDS="2", LISTEN_FDNAMES="pop3:smtp"))
    server.wait_ready()
    for listener in held:
        listener.close()
    server.add_domain()
    account = server.add_user(f"u@{DOMAIN}")
    with server.smtp() as client:
        client.hello()
        client.send_message("a@elsewhere.example", [account], make_message("inherited"))
    assert len(server.fetch_all(account)) == 1


def test_socket_activation_starts_it_at_the_first_connection(make_server, need):
    need("systemd-socket-activate")
    server = make_server(start=False)
    port = server.port["pop3"] = free_port()
    del server.config["listen"]["pop3"]
    sanitizers = [f"--setenv={name}" for name in os.environ if name.endswith("SAN_OPTIONS")]  # the rest it keeps back
    server.spawn(command=["systemd-socket-activate", f"--listen=127.0.0.1:{port}", "--fdname=pop3", *sanitizers, *server.command()])
    deadline = time.monotonic() + 30
    while True:
        try:
            client = server.pop3()
            break
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    client.quit()


def calls_of(group):
    """The system calls of one of systemd's groups, with those of the groups in it."""
    done = subprocess.run(["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True)
    words = [line.strip() for line in done.stdout.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
    return set().union(*(calls_of(word) if word.startswith("@") else {word} for word in words))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_lets_background_threads_make_way():
    allowed = set()
    for line in (ROOT / "packaging" / "poplar.service").read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            words = line.split("=")[1].lstrip("~").split()
            calls = set().union(*(calls_of(word) if word.startswith("@") else {word} for word in words))
            allowed = allowed - calls if "=~" in line else allowed | calls
    assert {"setpriority", "sched_setscheduler", "read"} <= allowed
    assert not {"setrlimit", "mbind", "chroot", "setuid"} & allowed


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_files_are_sound(directory):
    for name in ("poplar.service", "poplar.socket"):
        text = (ROOT / "packaging" / name).read_text().replace("/usr/bin/poplar", str(BINARY))
        (directory / name).write_text(text)
    for name in ("poplar.service", "poplar.socket"):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(directory / name)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        complaints = [line for line in done.stderr.splitlines() if "poplar" in line]
        assert not complaints, complaints
    security = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=20", str(directory / "poplar.service")],
                              capture_output=True, text=True)
    assert security.returncode == 0, security.stdout[-2000:]
