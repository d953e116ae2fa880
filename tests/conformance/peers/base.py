"""What the peers have in common: a home of their own, ports that are free, accounts, and a clean end."""

import dataclasses
import json
import os
import pathlib
import random
import shutil
import smtplib
import signal
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"
DOMAIN = "example.test"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "poplar-peers"

_ports_given = set()


class PeerError(Exception):
    """A peer can't be started or is not what was asked for."""


@dataclasses.dataclass(frozen=True)
class Account:
    name: str  # as a client logs in
    password: str


def make_accounts(count):
    """`count` accounts with the names that all tools here use."""
    return [Account(f"user{n}@{DOMAIN}", f"secret-{n}") for n in range(1, count + 1)]


UTF8_ACCOUNT = Account(f"jörg@{DOMAIN}", "Schlüßel ½")  # for the cases about such names


def free_port():
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _ports_given:
            _ports_given.add(port)
            return port


def run(*command, input=None, **options):
    """Runs a helper program; PeerError with its output if it fails."""
    done = subprocess.run([str(part) for part in command], input=input, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL if input is None else None, **options)
    if done.returncode != 0:
        raise PeerError(f"{command[0]}: exit {done.returncode}: {done.stdout.decode('utf-8', 'replace')}")
    return done.stdout.decode("utf-8", "replace")


def unpacked(package):
    """The folder where a Debian package is unpacked that can't be installed beside another POP3 server."""
    version = run("apt-cache", "show", "--no-all-versions", package)
    version = next(line.split()[1] for line in version.splitlines() if line.startswith("Version:"))
    target = CACHE / f"{package}_{version.replace(':', '%')}"
    if not target.is_dir():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, cwd=work)
            run("dpkg-deb", "-x", next(pathlib.Path(work).glob("*.deb")), f"{work}/files")
            try:
                os.rename(f"{work}/files", target)
            except OSError:  # somebody else was quicker
                if not target.is_dir():
                    raise
    return target


def installed_version(package):
    return run("dpkg-query", "-W", "-f", "${Version}", package)


def process_tree(root):
    """The ids of a process and all its descendants."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    tree, todo = [], [root]
    while todo:
        pid = todo.pop()
        tree.append(pid)
        todo += children.get(pid, [])
    return tree


class Peer:
    """One POP3 server on loopback with data of its own, in a temporary folder that goes with it.

    with Dovecot(accounts=100, format="mdbox") as server:
        server.inject("user1@example.test", b"Subject: x\\r\\n\\r\\nbody\\r\\n")
        ... server.host, server.ports["pop3"], server.accounts[0].password, server.pids()

    accounts: how many (make_accounts), or a list of Account. tuned: settings for speed under load (many processes, no
    limits a client); without it the settings are those that follow the RFCs most closely.
    """

    name = ""       # the command line's word for it
    package = ""    # whose version names the release
    utf8 = True     # whether it can have an account whose name is not ASCII
    apop = False    # whether accounts can log in with APOP: the target then sets the last one aside for it

    def __init__(self, accounts=8, directory=None, tuned=False):
        self.accounts = make_accounts(accounts) if isinstance(accounts, int) else list(accounts)
        self.tuned = tuned
        self.host = HOST
        self.ports = {name: free_port() for name in self.protocols}
        self._own_directory = directory is None
        self.directory = pathlib.Path(directory or tempfile.mkdtemp(prefix=f"poplar-peer-{self.name}-"))
        self.directory.chmod(0o755)
        self._processes = []

    protocols = ("pop3", "pop3s", "lmtp")

    # Each peer has functions of its own for these.

    def configure(self):
        """Writes the configuration; called once by start()."""
        raise NotImplementedError

    def launch(self):
        """Starts the processes with _spawn()."""
        raise NotImplementedError

    def inject(self, account, message):
        """Delivers a message (CRLF line ends) to one account, by LMTP where the peer has it."""
        with smtplib.LMTP(self.host, self.ports["lmtp"], local_hostname="client.example.test") as lmtp:
            lmtp.sendmail("sender@elsewhere.example", [account], message)

    def injection(self):
        """How poplar-pop3-conformance delivers: the value of "inject" in its target file."""
        return {"lmtp": f"{self.host}:{self.ports['lmtp']}"}

    # The processes.

    def start(self):
        self.make_certificate()
        self.configure()
        self.launch()
        deadline = time.monotonic() + 30
        for name, port in self.ports.items():
            self._wait_port(name, port, deadline)
        return self

    def stop(self):
        for process in reversed(self._processes):
            tree = process_tree(process.pid)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._end(tree)
        self._processes = []
        if self._own_directory:
            shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def pids(self):
        """All of its processes as they are now."""
        return [pid for process in self._processes for pid in process_tree(process.pid)]

    def cpu_seconds(self):
        """CPU time that its processes have used, those that have ended and were waited for included."""
        ticks = 0
        for pid in self.pids():
            try:
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks += sum(map(int, fields[11:15]))  # utime, stime, and those of children: proc(5)
        return ticks / os.sysconf("SC_CLK_TCK")

    def version(self):
        return installed_version(self.package)

    def log(self):
        """What it has logged, for a message about a failure."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.directory.glob("*.log")))

    # The conformance suite is told this.

    def target(self):
        """The target file of poplar-pop3-conformance, as a value."""
        target = {"name": f"{self.name} {self.version()}", "host": self.host, "port": self.ports["pop3"],
                  "tls_port": self.ports["pop3s"], "inject": self.injection(),
                  "accounts": [dataclasses.asdict(account) for account in self.accounts]}
        if self.utf8:
            target["utf8"] = dataclasses.asdict(UTF8_ACCOUNT)
        if self.apop:
            account = self.accounts[-1]
            target["accounts"].pop()
            target["apop"] = {"name": account.name, "password": account.password, "secret": account.password}
        return target

    def write_target(self):
        path = self.directory / "target.json"
        path.write_text(json.dumps(self.target(), indent=1, ensure_ascii=False))
        return path

    # Helpers.

    def all_accounts(self):
        return [*self.accounts, UTF8_ACCOUNT] if self.utf8 else self.accounts

    def copy_programs(self, package, folder):
        """The programs of a package that is only unpacked, where the peer's own users can run them."""
        programs = self.directory / "programs"
        shutil.copytree(unpacked(package) / folder, programs)
        return programs

    def make_certificate(self):
        """certificate.pem and key.pem for localhost; both in chain.pem for those who want one file."""
        home = self.directory
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", home / "key.pem", "-out", home / "certificate.pem")
        (home / "chain.pem").write_text((home / "key.pem").read_text() + (home / "certificate.pem").read_text())

    def _spawn(self, *command, **options):
        with open(self.directory / f"{self.name}.log", "ab") as log:
            process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, **options)
        self._processes.append(process)
        return process

    def _wait_port(self, name, port, deadline):
        while True:
            if any(process.poll() is not None for process in self._processes):
                raise PeerError(f"{self.name} ended at once:\n{self.log()}")
            try:
                with socket.create_connection((self.host, port), 5):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise PeerError(f"{self.name} does not listen for {name}:\n{self.log()}") from None
                time.sleep(0.05)

    @staticmethod
    def _end(tree):
        """Ends what outlived its parent."""
        for wait, number in ((2, signal.SIGTERM), (2, signal.SIGKILL)):
            deadline = time.monotonic() + wait
            tree = [pid for pid in tree if pathlib.Path(f"/proc/{pid}").exists()]
            for pid in tree:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
            while tree and time.monotonic() < deadline:
                tree = [pid for pid in tree if pathlib.Path(f"/proc/{pid}").exists()]
                time.sleep(0.02)
