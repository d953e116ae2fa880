"""Programs that send: swaks, the mail administrator's tool for trying a server, and curl."""

import subprocess

import pytest

from poplar_server import DOMAIN, PATIENCE, without_trace

MESSAGE = b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nlast\r\n"


def run(*arguments, code=0):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, timeout=60 * PATIENCE, stdin=subprocess.DEVNULL)
    assert done.returncode == code, (done.stdout + done.stderr).decode(errors="replace")[-3000:]
    return done.stdout


def copies(server, account):
    return [without_trace(octets) for _, octets in server.fetch_all(account)]


def test_curl_sends(server, account, directory, need):
    need("curl")
    file = directory / "message.eml"
    file.write_bytes(MESSAGE)
    run("curl", "-sS", "-k", "--ssl-reqd", f"smtp://localhost:{server.port['smtp']}", "--mail-from", "a@elsewhere.example",
        "--mail-rcpt", account, "-T", file)
    assert copies(server, account) == [MESSAGE]


@pytest.mark.parametrize("options", (["--protocol", "ESMTP"], ["--protocol", "LMTP"], ["-tls"], ["--pipeline"], ["--protocol", "SMTP"]),
                         ids=("esmtp", "lmtp", "tls", "pipeline", "smtp"))
def test_swaks_sends(server, account, directory, need, options):
    need("swaks")
    port = server.port["lmtp" if "LMTP" in options else "smtp"]
    file = directory / "message"
    file.write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    run("swaks", "--server", "127.0.0.1", "--port", port, "--from", "a@elsewhere.example", "--to", account,
        "--ehlo", "client.example", "--data", f"@{file}", *options)
    (copy,) = copies(server, account)
    assert copy.rstrip(b"\r\n") == MESSAGE.rstrip(b"\r\n")


def test_swaks_is_told_of_an_unknown_user(server, need):
    need("swaks")
    output = run("swaks", "--server", "127.0.0.1", "--port", server.port["smtp"], "--to", f"nobody@{DOMAIN}",
                 "--from", "a@elsewhere.example", "--ehlo", "client.example", code=24)
    assert b"550 5.1.1" in output
