"""packaging/fail2ban, by the real fail2ban-regex over a log that a server wrote: guesses count, nothing else does."""

import re
import shutil
import subprocess

import pytest

from poplar_server import DOMAIN, PASSWORD, ROOT

FILTER = ROOT / "packaging" / "fail2ban" / "filter.conf"
FRED = f"fred@{DOMAIN}"

pytestmark = pytest.mark.skipif(not shutil.which("fail2ban-regex"), reason="fail2ban is not installed")


def matched(log, directory):
    """The addresses of the lines that count, one for each."""
    (directory / "filter.d").mkdir(exist_ok=True)
    shutil.copy(FILTER, directory / "filter.d" / "poplar.conf")
    done = subprocess.run(["fail2ban-regex", "--config", str(directory), "--out", "ip", str(log), "poplar"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"[0-9a-fA-F.:]+", done.stdout)


def guess(server, name, password=b"wrong"):
    with server.pop3() as client:
        client.ok(b"USER " + name)
        assert client.command(b"PASS " + password).startswith(b"-ERR [AUTH]")


def test_guesses_count_and_names_cannot_pass_for_fields(make_server, directory):
    server = make_server(auth={"failure_delay": "0s"})
    server.add_user(FRED)
    for name in (FRED.encode(), b"nobody", b'x" mechanism=USER error=io', b"peer=192.0.2.7",
                 b"a peer=192.0.2.8 error=denied", b"back\\slash\\"):
        guess(server, name)
    server.wait_log_match(r"pop3\.auth_failed .*slash")
    with server.pop3() as client:
        client.login(FRED)
        client.quit()
    server.wait_log("pop3.login")
    server.cli("user", "set", FRED, "--second-factor", "required")
    guess(server, FRED.encode(), PASSWORD.encode())
    server.wait_log("error=second_factor")  # the password was right: nobody guessed
    assert matched(server.log_file, directory) == ["127.0.0.1"] * 6


def test_a_store_that_does_not_answer_is_nobodys_fault(directory):
    line = ("2026-12-01T00:00:00.000Z info pop3.auth_failed session=1-1 peer=192.0.2.1 name=fred mechanism=USER error={} "
            'reason="what"\n')
    log = directory / "made"
    log.write_text(line.format("io") + line.format("busy") + line.format("denied"))
    assert matched(log, directory) == ["192.0.2.1"]
