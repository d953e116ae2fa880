"""Behind HAProxy itself, with both versions of the PROXY protocol, its health checks and TLS that it passes on."""

import shutil
import subprocess
import time

import pytest

from poplar_server import DOMAIN, Pop3, Smtp, free_port

pytestmark = pytest.mark.skipif(not shutil.which("haproxy", path="/usr/sbin:/usr/bin"), reason="haproxy is not installed")

CONFIGURATION = """
global
    stats socket {folder}/haproxy.sock mode 600
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""
SERVICE = """
listen {name}
    bind 127.0.0.1:{front}
    server poplar 127.0.0.1:{behind} {send} check inter 50ms
"""


class Haproxy:
    """Ports of the proxy by service and version: `port["pop3", 2]`."""

    def __init__(self, folder, server):
        self.folder, self.port = folder, {}
        text = CONFIGURATION.format(folder=folder)
        for service in ("pop3", "pop3s", "smtp"):
            for version, send in ((1, "send-proxy"), (2, "send-proxy-v2")):
                self.port[service, version] = free_port()
                text += SERVICE.format(name=f"{service}-{version}", front=self.port[service, version],
                                       behind=server.port[service], send=send)
        (folder / "haproxy.cfg").write_text(text)
        self.process = subprocess.Popen(["/usr/sbin/haproxy", "-db", "-f", str(folder / "haproxy.cfg")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def connect(self, kind, service, version, **options):
        """A client of the proxy, which may still be starting."""
        until = time.monotonic() + 20
        while True:
            try:
                return kind(self.port[service, version], **options)
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture
def behind(make_server):
    networks = ["127.0.0.1"]
    return make_server(proxy_protocol={"pop3": networks, "pop3s": networks, "smtp": networks, "timeout": "2s"})


@pytest.fixture
def haproxy(behind, tmp_path):
    proxy = Haproxy(tmp_path, behind)
    yield proxy
    proxy.close()


@pytest.mark.parametrize("version", [1, 2])
def test_each_session_is_the_clients(behind, haproxy, version):
    fred = behind.add_user(f"fred@{DOMAIN}")
    with haproxy.connect(Smtp, "smtp", version, source="127.0.0.7") as client:
        client.hello()
        client.send_message("a@elsewhere.example", [fred], b"Subject: x\r\n\r\nx\r\n")
    with haproxy.connect(Pop3, "pop3", version, source="127.0.0.8") as client:
        client.login(fred)
        assert b"([127.0.0.7])" in client.retr(1)
        client.quit()
    with haproxy.connect(Pop3, "pop3s", version, source="127.0.0.9", tls=True) as client:
        client.login(fred)
        client.quit()
    behind.wait_log("peer=127.0.0.7")
    for address in ("127.0.0.8", "127.0.0.9"):
        behind.wait_log_match(rf"pop3\.login .*peer={address} ")


def test_its_health_checks_find_the_server_up_and_trouble_nobody(behind, haproxy):
    with haproxy.connect(Pop3, "pop3", 2) as client:
        client.quit()
    time.sleep(1)  # twenty checks of each service
    for (service, version) in haproxy.port:
        with haproxy.connect(Pop3 if "pop3" in service else Smtp, service, version,
                             **({"tls": True} if service == "pop3s" else {})):
            pass
    assert "net.proxy_header_refused" not in behind.log()
