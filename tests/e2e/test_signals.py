"""SIGTERM drains, SIGHUP reloads, root's rights are given up."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import ssl
import struct
import threading
import time

import pytest

from poplar_server import DOMAIN, Pop3, make_certificate, make_message, to_toml, without_trace


def test_sigterm_says_goodbye_in_each_protocol(make_server):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    pop, smtp, lmtp = server.login(account), server.smtp(), server.lmtp()
    smtp.hello()
    lmtp.hello()
    server.process.send_signal(signal.SIGTERM)
    assert pop.closed().startswith(b"-ERR")
    assert smtp.closed().startswith(b"421 4.3.2 ")
    assert lmtp.closed().startswith(b"421 4.3.2 ")
    server.stop()
    with pytest.raises(OSError):
        server.pop3()


def test_sigterm_lets_a_message_under_way_finish(make_server):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    message = make_message("under way", 200_000)
    smtp = server.smtp()
    smtp.hello()
    smtp.envelope("a@elsewhere.example", [account])
    smtp.expect(354, b"DATA")
    stuffed = re.sub(rb"(?m)^\.", b"..", message) + b".\r\n"
    smtp.send(stuffed)
    server.process.send_signal(signal.SIGTERM)
    accepted = smtp.closed().startswith(b"250")
    server.stop()
    server.start()
    assert [without_trace(m) for _, m in server.fetch_all(account)] == ([message] if accepted else [])


def test_sigterm_in_the_middle_of_data_does_not_wait_for_ever(make_server):
    server = make_server(limits={"drain_time": "1s"})
    account = server.add_user(f"u@{DOMAIN}")
    smtp = server.smtp()
    smtp.hello()
    smtp.envelope("a@elsewhere.example", [account])
    smtp.expect(354, b"DATA")
    smtp.send(b"Subject: never ends\r\n")
    begin = time.monotonic()
    server.stop(seconds=20)
    assert time.monotonic() - begin < 20


def test_deletions_under_way_at_sigterm_are_all_or_none(make_server):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    for n in range(50):
        server.deliver(account, make_message(f"m{n}"))
    pop = server.login(account)
    for n in range(1, 41):
        pop.ok(b"DELE %d" % n)
    pop.send(b"QUIT\r\n")
    server.process.send_signal(signal.SIGTERM)
    answer = pop.closed()
    server.stop()
    server.start()
    left = len(server.fetch_all(account))
    assert left == 10 if answer.startswith(b"+OK") else left in (10, 50), (answer, left)


def served_certificate(server):
    with Pop3(server.port["pop3s"], tls=True) as client:
        return client.socket.getpeercert(binary_form=True)


def test_sighup_takes_a_new_certificate_and_keeps_sessions(make_server, directory):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    old = served_certificate(server)
    session = server.login(account)
    renewed = directory / "renewed"
    renewed.mkdir()
    certificate, key = make_certificate(renewed, "renewed.example")
    shutil.copy(certificate, server.certificate)
    shutil.copy(key, server.key)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("reload")
    deadline = time.monotonic() + 10
    while (new := served_certificate(server)) == old:
        assert time.monotonic() < deadline, "the old certificate is still served"
        time.sleep(0.05)
    assert new == ssl.PEM_cert_to_DER_cert(certificate.read_text())
    session.quit()


def test_sighup_with_a_broken_certificate_keeps_the_old_one(make_server):
    server = make_server()
    old = served_certificate(server)
    server.certificate.write_text("broken\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("tls.certificate")
    assert served_certificate(server) == old


def test_sighup_names_what_needs_a_restart(make_server):
    server = make_server()
    server.config["workers"] = 3
    server.config["log"] = {"level": "debug"}
    server.config_file.write_text(to_toml(server.config))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("workers")
    server.config["colour"] = "red"
    server.config_file.write_text(to_toml(server.config))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("colour")
    with server.pop3():
        pass


def test_the_log_is_opened_anew_after_rotation(make_server, directory):
    file = directory / "poplar.log"
    server = make_server(start=False, log={"file": str(file)})
    server.spawn()
    deadline = time.monotonic() + 60
    while not file.exists() or "server.ready" not in file.read_text():
        assert time.monotonic() < deadline and server.process.poll() is None
        time.sleep(0.05)
    file.rename(directory / "poplar.log.1")
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with server.pop3() as client:
        client.quit()
    deadline = time.monotonic() + 20
    while "pop3" not in file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sigpipe_and_resets_do_not_end_the_server(make_server):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    server.deliver(account, make_message("big", 3_000_000))

    def reset():
        client = server.pop3()
        client.ok(b"USER " + account.encode())
        client.send(b"PASS correct horse battery staple\r\nRETR 1\r\nRETR 1\r\nRETR 1\r\n")
        time.sleep(0.02)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    threads = [threading.Thread(target=reset) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with server.smtp() as smtp:
        smtp.hello()
    assert server.process.poll() is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root has rights to give up")
def test_root_binds_a_low_port_and_becomes_the_configured_user(make_server, directory):
    user = pwd.getpwnam("nobody")
    directory.chmod(0o755)
    server = make_server(start=False, user="nobody")
    for path in (server.directory, server.certificate, server.key):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.chmod(server.key, 0o600)
    low = next(port for port in range(700, 1000) if port_is_free(port))
    server.port["pop3"] = low
    server.config["listen"]["pop3"] = [f"127.0.0.1:{low}"]
    server.start()
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    fields = {line.split(":")[0]: line.split(":")[1].split() for line in status.splitlines() if ":" in line}
    assert fields["Uid"] == [str(user.pw_uid)] * 4 and fields["Gid"] == [str(user.pw_gid)] * 4
    assert set(fields["Groups"]) <= {str(user.pw_gid)}
    assert int(fields["CapEff"][0], 16) == 0 and int(fields["CapPrm"][0], 16) == 0
    server.add_domain()
    account = server.add_user(f"u@{DOMAIN}")
    server.deliver(account, make_message("low"))
    assert len(server.fetch_all(account)) == 1
    assert (server.data / "LOCK").stat().st_uid == user.pw_uid


def port_is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
