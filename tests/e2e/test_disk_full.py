"""A full disk: new mail is put off, mail that is there is served, and space that comes back is used without a restart."""

import subprocess

import pytest

from poplar_server import DOMAIN, Server, make_message, without_trace


@pytest.fixture
def small_disk(directory, as_root):
    mount = directory / "disk"
    mount.mkdir()
    if subprocess.run([*as_root, "mount", "-t", "tmpfs", "-o", "size=96m,mode=0777", "poplar-test", mount]).returncode != 0:
        pytest.skip("may not mount a file system here")
    try:
        yield mount
    finally:
        subprocess.run([*as_root, "umount", "-l", mount], check=True)


def deliver(client, account, message):
    client.envelope("a@elsewhere.example", [account])
    client.data(message)
    return client.final_replies(1)[0]


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_a_full_disk_and_back(small_disk, directory, kind):
    home = directory / "home"
    home.mkdir()
    server = Server(home, data_dir=str(small_disk / "data"), storage={"segment_size": "16MiB", "min_free_space": "8MiB"})
    server.start()
    try:
        server.add_domain()
        account = server.add_user(f"u@{DOMAIN}")
        message = make_message("fill", 300_000)
        filler = small_disk / "filler"
        taken = 0
        client = getattr(server, kind)()
        client.hello()
        for _ in range(10):
            assert deliver(client, account, message)[0] == 250
            taken += 1
        with open(filler, "wb") as file:  # somebody else fills the disk
            block = b"\0" * 65536
            try:
                while True:
                    file.write(block)
                    file.flush()
            except OSError:
                pass

        refused = []
        for _ in range(60):
            code, lines = None, None
            code, lines = client.ask(b"MAIL FROM:<a@elsewhere.example>")
            if code == 250:
                client.expect(250, f"RCPT TO:<{account}>".encode())
                client.data(message)
                code, lines = client.final_replies(1)[0]
            if code == 250:
                taken += 1
            else:
                client.ask(b"RSET")
                refused.append((code, lines))
        assert refused, "the disk did not fill up"
        assert all(code == 452 and lines[0].startswith("4.3.1 ") for code, lines in refused), refused[:3]
        client.expect(250, b"NOOP")

        # POP serves, and deletes.
        with server.login(account) as pop:
            assert pop.stat()[0] == taken
            assert without_trace(pop.retr(1)) == message
            pop.ok(b"DELE 1")
            pop.quit()
        taken -= 1

        filler.unlink()
        code, lines = deliver(client, account, message)
        assert code == 250, lines
        taken += 1
        client.close()
        with server.login(account) as pop:
            assert pop.stat()[0] == taken
            assert without_trace(pop.retr(taken)) == message
            pop.quit()
        server.stop()
        server.start()
        assert [without_trace(octets) for _, octets in server.fetch_all(account)] == [message] * taken
        server.stop()
        assert server.run_cli("verify").returncode == 0
    finally:
        if server.process is not None:
            server.kill()
