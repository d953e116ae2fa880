"""A real Postfix in front, handing mail over by LMTP: an instance of its own, on loopback, with its own queue."""

import os
import pwd
import re
import shutil
import smtplib
import subprocess
import time

import pytest

from poplar_server import DOMAIN, PATIENCE, big_message, free_port, make_message, without_trace

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


class Postfix:
    def __init__(self, directory, as_root, transport):
        self.etc, self.queue, self.data = (directory / name for name in ("etc", "queue", "lib"))
        self.port, self.as_root, self.log = free_port(), as_root, directory / "maillog"
        for path in (self.etc, self.queue, self.data):
            path.mkdir()
        directory.chmod(0o755)
        (self.etc / "main.cf").write_text(f"""
compatibility_level = 3.6
myhostname = front.example.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
queue_directory = {self.queue}
data_directory = {self.data}
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {self.log}
maillog_file_prefixes = {directory}
multi_instance_enable = yes
multi_instance_name = postfix-poplar-test
virtual_mailbox_domains = {DOMAIN}
virtual_transport = lmtp:{transport}
local_recipient_maps =
smtpd_recipient_restrictions = permit_mynetworks, reject
smtputf8_enable = yes
message_size_limit = 50000000
mailbox_size_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
bounce_queue_lifetime = 0
alias_maps =
alias_database =
""")
        services = [
            f"127.0.0.1:{self.port} inet n - n - - smtpd",
            "pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 1 1 qmgr",
            "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce",
            "trace unix - - n - 0 bounce", "verify unix - - n - 1 verify", "flush unix n - n 1000? 0 flush",
            "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "relay unix - - n - - smtp", "error unix - - n - - error",
            "retry unix - - n - - error", "discard unix - - n - - discard", "local unix - n n - - local",
            "virtual unix - n n - - virtual", "lmtp unix - - n - - lmtp", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache",
            "tlsmgr unix - - n 1000? 1 tlsmgr", "postlog unix-dgram n - n - 1 postlogd", "showq unix n - n - - showq",
        ]
        (self.etc / "master.cf").write_text("\n".join(services) + "\n")
        subprocess.run([*as_root, "chown", "root:root", self.etc, self.queue, self.etc / "main.cf", self.etc / "master.cf"], check=True)
        subprocess.run([*as_root, "chown", "postfix", self.data], check=True)

    def run(self, program, *arguments):
        return subprocess.run([*self.as_root, shutil.which(program, path=PATH), "-c", str(self.etc), *arguments],
                              capture_output=True, timeout=60, text=True)

    def start(self):
        done = self.run("postfix", "start")
        assert done.returncode == 0, done.stdout + done.stderr + self.logged()
        deadline = time.monotonic() + 20
        while True:
            try:
                return smtplib.SMTP("127.0.0.1", self.port, timeout=5).quit()
            except OSError:
                assert time.monotonic() < deadline, self.logged()
                time.sleep(0.1)

    def stop(self):
        self.run("postfix", "stop")

    def logged(self):
        return subprocess.run([*self.as_root, "cat", self.log], capture_output=True, text=True, errors="replace").stdout

    def wait_log(self, pattern, count=1, seconds=30):
        deadline = time.monotonic() + seconds * PATIENCE
        while len(re.findall(pattern, self.logged())) < count:
            assert time.monotonic() < deadline, f"not {count} times {pattern!r} in:\n{self.logged()[-5000:]}"
            time.sleep(0.1)

    def send(self, sender, recipients, message, options=()):
        with smtplib.SMTP("127.0.0.1", self.port, timeout=60) as client:
            client.ehlo("client.example")
            return client.sendmail(sender, recipients, message, mail_options=options)


@pytest.fixture
def postfix(directory, as_root, server, request):
    if shutil.which("postfix", path=PATH) is None:
        # ./test installs it, unless that would remove the machine's own mail server; then it says so.
        assert shutil.which("sendmail", path=PATH), "postfix is not installed; ./test installs it"
        pytest.skip("another mail server is installed here: Postfix would replace it")
    pwd.getpwnam("postfix")
    transport = {"tcp": f"inet:127.0.0.1:{server.port['lmtp']}", "unix": f"unix:{server.lmtp_socket}"}[request.param]
    server.directory.chmod(0o755)  # Postfix's lmtp client runs as the user postfix
    instance = Postfix(directory, as_root, transport)
    try:
        instance.start()
        yield instance
    finally:
        instance.stop()
        subprocess.run([*as_root, "rm", "-rf", instance.queue, instance.etc, instance.data, instance.log], check=False)


@pytest.mark.parametrize("postfix", ["tcp", "unix"], indirect=True)
def test_postfix_hands_mail_over(server, account, postfix):
    second = server.add_user(f"second-{account}")
    messages = [make_message(f"postfix {n}", size) for n, size in enumerate((500, 5000, 80_000))] + [big_message("postfix big", 5_000_000)]
    for message in messages:
        assert postfix.send("a@elsewhere.example", [account, second], message) == {}
    postfix.wait_log(r"status=sent \(250 2\.\d\.\d ", count=2 * len(messages))
    for address in (account, second):
        copies = [octets for _, octets in server.fetch_all(address)]
        # Postfix adds Received and Message-ID or Date where they are missing; the bodies stay.
        assert sorted(copy.split(b"\r\n\r\n", 1)[1] for copy in copies) == sorted(m.split(b"\r\n\r\n", 1)[1] for m in messages)
        assert all(copy.startswith(b"Return-Path: <a@elsewhere.example>\r\n") for copy in copies)


@pytest.mark.parametrize("postfix", ["tcp"], indirect=True)
def test_postfix_bounces_unknown_users_alone(server, account, postfix):
    postfix.send("a@elsewhere.example", [account, f"nobody@{DOMAIN}"], make_message("half"))
    postfix.wait_log(rf"to=<nobody@{re.escape(DOMAIN)}>.*dsn=5\.1\.1, status=bounced")
    postfix.wait_log(rf"to=<{re.escape(account)}>.*status=sent")
    assert len(server.fetch_all(account)) == 1


@pytest.mark.parametrize("postfix", ["tcp"], indirect=True)
def test_postfix_waits_for_a_stopped_server(server, account, postfix):
    server.stop()
    message = make_message("later")
    postfix.send("a@elsewhere.example", [account], message)
    postfix.wait_log(r"status=deferred")
    server.start()
    postfix.wait_log(r"status=sent")
    (copy,) = [octets for _, octets in server.fetch_all(account)]
    assert copy.endswith(message.split(b"\r\n\r\n", 1)[1])


@pytest.mark.parametrize("postfix", ["unix"], indirect=True)
def test_postfix_hands_over_utf8_addresses(server, postfix):
    address = server.add_user(f"grün@{DOMAIN}")
    message = "Subject: Grüße\r\n\r\nätsch\r\n".encode()
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
        client.ehlo("client.example")
        client.sendmail("jürgen@elsewhere.example", [address], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    postfix.wait_log(r"status=sent")
    ((_, copy),) = server.fetch_all(address)
    assert copy.endswith("\r\n\r\nätsch\r\n".encode()) and "Subject: Grüße\r\n".encode() in copy
