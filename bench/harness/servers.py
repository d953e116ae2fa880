"""The servers under measurement. Each has accounts user0@example.test, user1@..., all with the same password."""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/e2e"), str(ROOT / "tests/conformance")]

import peers  # noqa: E402
import poplar_server  # noqa: E402

BUILD = pathlib.Path(os.environ.get("POPLAR_BUILD", ROOT / "build/release"))
DOMAIN = "example.test"
PASSWORD = "password"
poplar_server.BINARY = pathlib.Path(os.environ.get("POPLAR_BINARY", BUILD / "poplar")).absolute()


def account(number):
    return f"user{number}@{DOMAIN}"


def end_cleanly_when_told():
    """SIGTERM and SIGHUP end the program as Ctrl-C does: servers stop, folders go."""
    def end(number, _frame):
        raise SystemExit(128 + number)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def allow_descriptors(count=65536):
    """For this process and what it starts; as many as allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(count, hard), hard):
        try:
            return resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        except (ValueError, OSError):
            continue


class Poplar:
    name = "poplar"
    title = "Poplar"

    def __init__(self, accounts, hashed=(), directory=None, **tables):
        """hashed: numbers of accounts whose password is stored as Argon2id; the others' as it is."""
        self.accounts, self.hashed = accounts, set(hashed)
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="poplar-bench-"))
        tables.setdefault("storage", {})
        tables["storage"].setdefault("segment_size", "256MiB")
        tables.setdefault("log", {})["level"] = "warning"
        tables.setdefault("limits", {}).setdefault("connections", 30000)
        self.server = poplar_server.Server(self.directory, **tables)

    def start(self):
        self.server.config["listen"]["pop3"] = [f"127.0.0.1:{self.server.port['pop3']}"]
        # "server.ready" is logged below the level of warnings: the port tells instead.
        self.spawn()
        with tempfile.NamedTemporaryFile("w", dir=self.directory) as users:
            users.writelines(f"{account(n)}:{{PLAIN}}{PASSWORD}\n" for n in range(self.accounts) if n not in self.hashed)
            users.flush()
            self.server.run_cli("user", "import", "--passwd-file", users.name, "--add-domains", timeout=3600)
        for number in sorted(self.hashed):
            self.server.add_user(account(number), PASSWORD)
        return self

    def spawn(self):
        """Starts the process; returns the seconds until it served."""
        begin = time.monotonic()
        self.server.spawn()
        while True:
            try:
                self.server.pop3().close()
                return time.monotonic() - begin
            except (OSError, EOFError):
                if self.server.process.poll() is not None:
                    raise RuntimeError(f"poplar ended:\n{self.server.log()}") from None
                time.sleep(0.002)

    def address(self, protocol, _content=None):
        return f"127.0.0.1:{self.server.port[protocol]}"

    def pids(self):
        return [self.server.process.pid]

    def stop(self):
        self.server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def version(self):
        return f'{poplar_server.run_poplar("version").stdout.strip()} (build/{poplar_server.BINARY.parent.name})'


class Null:
    """poplar-bench null: one process for each content of maildrops, started when it is first asked for."""

    name = "null"
    title = "does no work"

    def __init__(self, directory=None, threads=2):
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix="poplar-bench-null-"))
        self.threads = threads
        self.running = {}
        self.last = None

    def start(self):
        return self

    def _for(self, content):
        if content not in self.running:
            messages, size = content or (0, 4096)
            home = self.directory / f"{messages}-{size}"
            home.mkdir()
            certificate, key = poplar_server.make_certificate(home)
            process = subprocess.Popen(
                [BUILD / "poplar-bench", "null", "--pop3", "127.0.0.1:0", "--pop3s", "127.0.0.1:0", "--lmtp", "127.0.0.1:0",
                 "--certificate", certificate, "--key", key, "--sink", home / "sink", "--messages", str(messages),
                 "--size", str(size), "--threads", str(self.threads)], stdout=subprocess.PIPE, text=True)
            self.running[content] = process, json.loads(process.stdout.readline())
        self.last = content
        return self.running[content]

    def address(self, protocol, content=None):
        return self._for(content)[1][protocol][0]

    def pids(self):
        """Of the process whose address was asked for last."""
        return [self._for(self.last)[0].pid]

    def stop(self):
        for process, _ in self.running.values():
            process.send_signal(signal.SIGTERM)
            process.wait(10)
            process.stdout.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def version(self):
        return "poplar-bench null"


class PeerServer:
    """Another server, as tests/conformance/peers runs it."""

    def __init__(self, name, accounts, **options):
        self.name = name
        self.kind = name.partition("-")[0]
        if self.kind == "dovecot":
            options["format"] = name.partition("-")[2] or "maildir"
        everybody = [peers.Account(account(n), PASSWORD) for n in range(accounts)]
        self.peer = peers.PEERS[self.kind](accounts=everybody, tuned=True, **options)
        self.title = {"courier": "Courier", "cyrus": "Cyrus"}.get(self.kind) or f"Dovecot, {options['format']}"

    def start(self):
        try:
            self.peer.start()
        except BaseException:
            self.peer.stop()
            raise
        return self

    def address(self, protocol, _content=None):
        return f"{self.peer.host}:{self.peer.ports[protocol]}"

    def pids(self):
        return [process.pid for process in self.peer._processes]

    def stop(self):
        self.peer.stop()

    def version(self):
        return f"{self.kind} {self.peer.version()}"


NAMES = ("poplar", "null", "dovecot-maildir", "dovecot-sdbox", "dovecot-mdbox", "courier", "cyrus")


def make(name, accounts, hashed=()):
    if name == "poplar":
        return Poplar(accounts, hashed)
    if name == "null":
        return Null()
    return PeerServer(name, accounts)
