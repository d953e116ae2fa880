"""Tells whose turn it is when nothing moves: what servers, their connections and a client do, for a failure's text.

If a connection has nothing queued at either end (Recv-Q, Send-Q), the side that received last has to go on: lastsnd and
lastrcv are the milliseconds since then. Octets in a program's own Recv-Q wait for that program.
"""

import pathlib
import shutil
import subprocess
import weakref

_servers = weakref.WeakSet()
_LOG_LINES = 60


def watch(server):
    """describe() includes this server from now on, while its process runs."""
    _servers.add(server)


def describe(client=None):
    """`client`: the process id of the program that waits."""
    parts = []
    if client:
        parts += ["-- the client", *_processes(client)]
    for server in sorted(_servers, key=lambda server: str(server.directory)):
        if server.process is None or server.process.poll() is not None:
            continue
        ports = sorted(server.port.values())
        parts += [f"-- the server of {server.directory}, listening on {server.port}", *_processes(server.process.pid),
                  "-- its connections", _connections(ports), "-- its threads", _backtraces(server.process.pid),
                  f"-- the last of its log, {server.log_file}", *server.log().splitlines()[-_LOG_LINES:]]
    return "\n".join(parts)


def _read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace").strip()
    except OSError as error:
        return f"({error.strerror})"


def _stat(path):
    """The name of a process or a thread, in brackets, and the fields behind it; None if it is gone."""
    head, bracket, rest = _read(path / "stat").rpartition(") ")
    return (head.partition(" ")[2] + ")", rest.split()) if bracket else None


def _processes(pid):
    """Each thread of a process and of its children: what it is in, and what it has had of the processor."""
    lines = []
    for task in sorted(pathlib.Path(f"/proc/{pid}/task").glob("*"), key=lambda task: int(task.name)):
        if stat := _stat(task):
            name, fields = stat
            lines.append(f"{pid} {name} state {fields[0]}, {fields[11]} + {fields[12]} ticks; waits in {_read(task / 'wchan')}; "
                         f"system call {_read(task / 'syscall')}")
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        if (stat := _stat(process)) and stat[1][1] == str(pid):
            lines += ["  " + line for line in _processes(int(process.name))]
    return lines


def _run(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"({error})"
    return done.stdout.strip() or done.stderr.strip()


def _connections(ports):
    if shutil.which("ss"):
        ends = " or ".join(f"sport = :{port} or dport = :{port}" for port in ports)
        return _run("ss", "-tnpi", f"( {ends} )")
    wanted = {f"{port:04X}" for port in ports}
    return "\n".join(line for name in ("tcp", "tcp6") for line in _read(f"/proc/net/{name}").splitlines()
                     if wanted & {end.rpartition(":")[2] for end in line.split()[1:3]})


def _backtraces(pid):
    if shutil.which("gdb"):
        return _run("gdb", "-batch", "-nx", "-p", str(pid), "-ex", "set pagination off", "-ex", "thread apply all backtrace 16")
    return "\n".join(f"{task.name}:\n{_read(task / 'stack')}" for task in sorted(pathlib.Path(f"/proc/{pid}/task").glob("*")))
