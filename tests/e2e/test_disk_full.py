"""A full disk: new mail is put off, mail that is there is served and deleted, and space that comes back is used without
a restart. The disk is a file system of 64 MB of its own: ext4 on a loop device, or tmpfs where that may not be had."""

import subprocess
import time

import pytest

from poplar_server import DOMAIN, Server, make_message, without_trace


def mount_small_disk(image, mount, as_root):
    """The kind of file system that is there now, or None."""
    image.write_bytes(b"")
    with open(image, "r+b") as file:
        file.truncate(64 << 20)
    made = subprocess.run(["/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", image], capture_output=True)
    if made.returncode == 0:
        if subprocess.run([*as_root, "mount", "-o", "loop", image, mount], capture_output=True).returncode == 0:
            subprocess.run([*as_root, "chmod", "0777", mount], check=True)
            return "ext4"
    options = ["-t", "tmpfs", "-o", "size=64m,mode=0777"]
    return "tmpfs" if subprocess.run([*as_root, "mount", *options, "poplar-test", mount]).returncode == 0 else None


@pytest.fixture
def small_disk(directory, as_root):
    mount = directory / "disk"
    mount.mkdir()
    kind = mount_small_disk(directory / "image", mount, as_root)
    if kind is None:
        pytest.skip("may not mount a file system here")
    print("the small disk is", kind)
    try:
        yield mount
    finally:
        subprocess.run([*as_root, "umount", "-l", mount], check=True)


def fill(path):
    """Another program takes all space there is, to the last octet."""
    with open(path, "ab", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                pass


def deliver(client, account, message):
    """The server's answer, be it to MAIL or to the message."""
    code, lines = client.ask(b"MAIL FROM:<a@elsewhere.example>")
    if code == 250:
        client.expect(250, f"RCPT TO:<{account}>".encode())
        client.data(message)
        code, lines = client.final_replies(1)[0]
    if code != 250:
        client.ask(b"RSET")
    return code, lines


def refused(reply):
    code, lines = reply
    return code == 452 and lines[0].startswith("4.3.1 ")


def health(server):
    return server.cli("status")["storage"]["health"]


@pytest.mark.parametrize("kind", ["smtp", "lmtp"])
def test_a_full_disk_and_back(small_disk, directory, kind):
    home = directory / "home"
    home.mkdir()
    storage = {"segment_size": "16MiB", "min_free_space": "8MiB", "reserved_space": "4MiB"}
    server = Server(home, data_dir=str(small_disk / "data"), storage=storage)
    server.start()
    try:
        server.add_domain()
        account = server.add_user(f"u@{DOMAIN}")
        small, large = make_message("small", 300_000), make_message("large", 1_500_000)  # in the log, in its own file
        filler, ballast = small_disk / "filler", small_disk / "ballast"
        ballast.write_bytes(b"\0" * (16 << 20))
        kept = []
        client = getattr(server, kind)()
        client.hello()
        for message in [small] * 10 + [large] * 2:
            assert deliver(client, account, message)[0] == 250
            kept.append(message)

        # Mail alone fills it up to min_free_space; then somebody else takes the rest.
        for message in [large, small] * 60:
            reply = deliver(client, account, message)
            if reply[0] != 250:
                break
            kept.append(message)
        assert refused(reply), reply
        fill(filler)
        for message in (small, large, small):
            reply = deliver(client, account, message)
            assert refused(reply), reply
        client.expect(250, b"NOOP")
        assert health(server) == "degraded"
        server.wait_log("store.trouble")

        # POP serves, and deletes; and so it does when the server is killed and started on the full disk.
        for restarted in (False, True):
            if restarted:
                client.close()
                server.kill()
                fill(filler)  # what the deletions gave back
                server.start()
                client = getattr(server, kind)()
                client.hello()
            with server.login(account) as pop:
                assert pop.stat()[0] == len(kept)
                for number in (1, 11):
                    assert without_trace(pop.retr(number)) == kept[number - 1]
                pop.ok(b"DELE 1")
                pop.ok(b"DELE 2")
                pop.quit()
            del kept[:2]
            fill(filler)
            with server.login(account) as pop:
                assert pop.stat()[0] == len(kept)
                pop.quit()
            reply = deliver(client, account, small)
            assert refused(reply), reply
            assert health(server) == "degraded"

        filler.unlink()
        ballast.unlink()
        with server.login(account) as pop:  # and of the mail some goes
            for number in range(1, len(kept), 2):
                pop.ok(b"DELE %d" % number)
            pop.quit()
        kept = kept[1::2] if len(kept) % 2 == 0 else kept[1::2] + kept[-1:]
        deadline = time.monotonic() + 30
        while health(server) != "ok" and time.monotonic() < deadline:
            time.sleep(0.1)
        assert health(server) == "ok"  # by itself: nobody has delivered
        server.wait_log("store.recovered")
        assert deliver(client, account, small)[0] == 250
        kept.append(small)
        client.close()
        with server.login(account) as pop:
            assert pop.stat()[0] == len(kept)
            assert without_trace(pop.retr(len(kept))) == small
            pop.quit()
        server.stop()
        server.start()
        assert [without_trace(octets) for _, octets in server.fetch_all(account)] == kept
        server.stop()
        assert server.run_cli("verify").returncode == 0
        assert (small_disk / "data/RESERVE").stat().st_blocks * 512 >= 4 << 20  # kept again
    finally:
        if server.process is not None:
            server.kill()


def test_a_start_without_any_room_says_so_and_changes_nothing(small_disk, directory):
    home = directory / "home"
    home.mkdir()
    server = Server(home, data_dir=str(small_disk / "data"), storage={"reserved_space": "1MiB", "min_free_space": "1MiB"})
    server.start()
    try:
        server.add_domain()
        account = server.add_user(f"u@{DOMAIN}")
        server.kill()
        (small_disk / "data/RESERVE").unlink()
        for name in ("filler", "more"):  # a second file takes what the first could not
            fill(small_disk / name)
        with pytest.raises(AssertionError, match="ended with 1:(.|\n)*No space left on device"):
            server.start()
        server.process = None
        (small_disk / "filler").unlink()
        server.start()
        with server.login(account) as pop:
            assert pop.stat()[0] == 0
            pop.quit()
        server.stop()
    finally:
        if server.process is not None:
            server.kill()
