"""The command line at a terminal, in pipes that break and with descriptors that are closed."""

import os
import pty
import select
import subprocess
import termios
import time

import pytest

from poplar_server import BINARY, DOMAIN, PATIENCE, make_message


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, server, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(BINARY, [str(BINARY), *arguments, "--config", str(server.config_file)])
        self.seen = b""

    def read_until(self, text):
        deadline = time.monotonic() + 20 * PATIENCE
        while text not in self.seen:
            assert select.select([self.fd], [], [], max(0, deadline - time.monotonic()))[0], self.seen
            self.seen += os.read(self.fd, 4096)
        _, self.seen = self.seen.split(text, 1)

    def answer(self, question, text):
        self.read_until(question)
        os.write(self.fd, text)

    def echoes(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def end(self):
        """The exit code and what was printed since the last answer."""
        try:
            while got := os.read(self.fd, 4096):
                self.seen += got
        except OSError:
            pass
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return code, self.seen.decode()


def test_a_password_is_asked_for_twice_and_not_shown(server, account):
    terminal = Terminal(server, "user", "password", account)
    terminal.answer(b"New password: ", "gehörtes Wort\n".encode())
    assert not terminal.echoes()
    terminal.answer(b"Again: ", "gehörtes Wort\n".encode())
    code, shown = terminal.end()
    assert code == 0 and "changed the password" in shown and "Wort" not in shown
    server.login(account, "gehörtes Wort").quit()


def test_passwords_that_differ_change_nothing(server, account):
    terminal = Terminal(server, "user", "password", account)
    terminal.answer(b"New password: ", b"one\n")
    terminal.answer(b"Again: ", b"two\n")
    code, shown = terminal.end()
    assert code == 1 and "differ" in shown
    server.login(account).quit()


def test_what_turns_a_line_around_is_shown_and_not_obeyed(server, account):
    subject, sender = "invoice\u202efdp.exe \u2066x\u2069\u200e\u061c", "\u202eexample.test"
    server.deliver(account, f"From: {sender}\r\nSubject: {subject}\r\n\r\nx\r\n".encode(), sender="a@elsewhere.example")
    shown = server.run_cli("mail", "list", account).stdout
    assert r"invoice\u202efdp.exe \u2066x\u2069\u200e\u061c" in shown and r"\u202eexample.test" in shown
    for output in (shown, server.run_cli("mail", "list", account, "--json").stdout):
        assert output.isascii(), output
    assert server.cli("mail", "list", account)["messages"][-1]["subject"] == subject


def test_ctrl_c_at_the_question_brings_the_echo_back(server, account):
    terminal = Terminal(server, "user", "password", account)
    keep = os.dup(terminal.fd)
    terminal.answer(b"New password: ", b"half\x03")
    os.waitpid(terminal.pid, 0)
    assert termios.tcgetattr(keep)[3] & termios.ECHO
    os.close(keep)


def test_an_import_at_a_terminal_shows_how_far_it_is(server, directory):
    file = directory / "passwd"
    file.write_text("".join(f"bar{n}@{DOMAIN}:\n" for n in range(12_000)))
    code, shown = Terminal(server, "user", "import", "--passwd-file", str(file)).end()
    assert code == 0 and "added 12000" in shown
    assert "100%" in shown and "a second" in shown and "[====" in shown


def test_what_is_not_utf8_is_refused_and_never_changed(server, account, directory):
    done = server.run_cli("user", "password", account, "--password-stdin", input=b"p\xe4ss\n")
    assert done.returncode == 1 and "UTF-8" in done.stderr
    file = directory / "passwd"
    file.write_bytes(b"latin@%s:{PLAIN}p\xe4ss\nl\xe4tin@%s:{PLAIN}x\n" % (DOMAIN.encode(), DOMAIN.encode()))
    done = server.run_cli("user", "import", "--passwd-file", file)
    assert done.returncode == 1 and f"{file}:1:" in done.stderr and f"{file}:2:" in done.stderr
    assert "added 0" in done.stdout


@pytest.mark.parametrize("command", [["user", "list"], ["user", "list", "--json"], ["status"], ["mail", "list"], ["mail", "show"]],
                         ids=" ".join)
def test_output_that_does_not_fit_is_a_failure(server, account, command):
    if command[0] == "mail":
        server.deliver(account, make_message("full"))
        command = [*command, account] + (["1"] if command[1] == "show" else [])
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BINARY, *command, "--config", server.config_file], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and b"standard output" in done.stderr


def test_closed_descriptors_are_not_taken_for_sockets_and_files(make_server):
    server = make_server(start=False, log={"level": "debug"})
    close = f'exec {BINARY} "$0" "$@" 0<&- 1>&- 2>&-'
    server.config_file.write_text("")
    server.spawn(command=["sh", "-c", close, "serve", "--config", str(server.config_file)])
    deadline = time.monotonic() + 30 * PATIENCE
    while server.run_cli("status").returncode != 0:
        assert time.monotonic() < deadline and server.process.poll() is None
        time.sleep(0.05)
    server.add_domain()
    account = server.add_user(f"u@{DOMAIN}")
    done = subprocess.run(["sh", "-c", close, "user", "list", "--config", server.config_file], check=False)
    assert done.returncode == 0
    server.deliver(account, make_message("closed"))
    server.stop()
    for path in server.data.rglob("*"):
        assert not path.is_file() or b"server.ready" not in path.read_bytes(), path
    server.start()
    assert len(server.fetch_all(account)) == 1
