"""verify, rebuild, and data directories that are damaged, torn, newer or taken."""

import os
import shutil

import pytest

from poplar_server import DOMAIN, make_message, run_poplar, without_trace


@pytest.fixture
def filled(make_server):
    """A server with ten messages, one of them large; `messages` in order."""
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    messages = [make_message(f"verify-{n}", 3000) for n in range(9)] + [make_message("verify-large", 3_000_000)]
    for message in messages:
        server.deliver(account, message)
    return server, account, messages


def segments(server):
    return sorted((server.data / "log").rglob("*.seg"))


def find(path, needle):
    """The one offset of `needle` in a file."""
    octets = path.read_bytes()
    at = octets.find(needle)
    return at if at >= 0 and octets.find(needle, at + 1) < 0 else None


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        octet = file.read(1)
        file.seek(offset)
        file.write(bytes([octet[0] ^ 0x20]))


def test_a_sound_directory_verifies_stopped_and_running(filled):
    server, account, messages = filled
    running = server.run_cli("verify")
    assert running.returncode == 0, running.stdout + running.stderr
    server.stop()
    stopped = server.run_cli("verify")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    server.start()
    assert [without_trace(octets) for _, octets in server.fetch_all(account)] == messages


def test_a_damaged_body_is_named_and_never_served(filled):
    server, account, messages = filled
    before = server.fetch_all(account)
    server.stop()
    needle = b"X-Test-Name: verify-4\r\n"
    path, offset = next((path, at) for path in segments(server) if (at := find(path, needle)) is not None)
    flip(path, offset + 500)
    done = server.run_cli("verify")
    assert done.returncode != 0
    named = [line for line in (done.stdout + done.stderr).splitlines() if path.name in line]
    assert len(named) == 1, done.stdout + done.stderr
    server.start()
    running = server.run_cli("verify")
    assert running.returncode != 0 and path.name in running.stdout + running.stderr
    with server.login(account) as client:
        assert client.uidl() == {n: uid for n, (uid, _) in enumerate(before, 1)}
        for number, (_, octets) in enumerate(before, 1):
            if number != 5:
                assert client.retr(number) == octets
        assert client.command(b"RETR 5").startswith(b"-ERR [SYS/PERM]")
        assert client.retr(6) == before[5][1], "the session goes on"
        client.quit()


def test_a_damaged_large_body_is_named_and_not_served(filled):
    server, account, messages = filled
    server.stop()
    (path,) = [path for path in (server.data / "large").rglob("*") if path.is_file()]
    flip(path, 1_500_000)
    done = server.run_cli("verify")
    assert done.returncode != 0 and path.name in done.stdout + done.stderr
    server.start()
    with server.login(account) as client:
        assert client.command(b"RETR 10").startswith(b"-ERR [SYS/PERM]")
        assert without_trace(client.retr(1)) == messages[0]
        client.quit()


def test_rebuild_makes_the_index_anew(filled):
    server, account, messages = filled
    with server.login(account) as client:
        client.ok(b"DELE 3")
        client.quit()
    before = server.fetch_all(account)
    deleted = server.cli("mail", "deleted", account)
    server.stop()
    shutil.rmtree(server.data / "index")
    done = server.run_cli("rebuild")
    assert done.returncode == 0, done.stdout + done.stderr
    assert server.run_cli("verify").returncode == 0
    server.start()
    assert server.fetch_all(account) == before, "same messages, same unique-ids, same order, same accounts"
    assert server.cli("mail", "deleted", account) == deleted
    server.deliver(account, make_message("after"))
    after = server.fetch_all(account)
    assert after[:-1] == before and after[-1][0] not in {uid for uid, _ in before}


def test_rebuild_past_a_damaged_record_loses_nothing_else(filled):
    server, account, messages = filled
    before = server.fetch_all(account)
    server.stop()
    needle = b"X-Test-Name: verify-2\r\n"
    path, offset = next((path, at) for path in segments(server) if (at := find(path, needle)) is not None)
    flip(path, offset + 300)
    done = server.run_cli("rebuild")
    assert path.name in done.stdout + done.stderr
    server.start()
    with server.login(account) as client:
        now = client.uidl()
        served = {}
        for number, uid in now.items():
            if client.command(b"RETR %d" % number).startswith(b"+OK"):
                served[uid] = client.body()
        client.quit()
    assert {uid for uid, _ in before} - set(served) == {before[2][0]}


def test_an_interrupted_rebuild_is_made_again_before_anything_else(filled):
    server, account, _ = filled
    before = server.fetch_all(account)
    server.stop()
    # So a rebuild leaves it that died after it had made the index, and before it had counted the accounts.
    (server.data / "index.old").mkdir()
    for command in ("serve", "verify"):
        done = run_poplar(command, "--config", server.config_file)
        assert done.returncode != 0 and "poplar rebuild" in done.stderr, (command, done.stderr)
    done = server.run_cli("rebuild")
    assert done.returncode == 1 and "did not come to its end" in done.stdout, done.stdout + done.stderr
    assert not (server.data / "index.old").exists()
    assert server.run_cli("rebuild").returncode == 0
    server.start()
    server.deliver(account, make_message("after"))
    now = server.fetch_all(account)
    assert now[:-1] == before
    assert not now[-1][0].startswith(before[0][0][:8]), "a new generation of unique-ids: the accounts were repaired"


def test_rebuild_needs_a_stopped_server(filled):
    server, account, _ = filled
    done = server.run_cli("rebuild")
    assert done.returncode != 0 and done.stderr.strip()
    assert len(server.fetch_all(account)) == 10


def test_a_torn_tail_is_cut_silently(filled):
    server, account, messages = filled
    before = server.fetch_all(account)
    server.kill()
    path = segments(server)[-1]
    # A crash in the middle of a write: the last record's end is missing.
    octets = path.read_bytes()
    end = len(octets.rstrip(b"\0"))
    with open(path, "r+b") as file:
        file.seek(end)
        file.write(os.urandom(700)[:700] if end + 700 <= len(octets) else b"torn")
    server.start()
    assert "corrupt" not in server.log() and "damaged" not in server.log()
    assert server.fetch_all(account) == before
    server.deliver(account, make_message("after the tear"))
    server.kill()
    server.start()
    assert len(server.fetch_all(account)) == 11
    server.stop()
    assert server.run_cli("verify").returncode == 0


def test_a_second_server_on_the_same_directory_is_refused(filled):
    server, account, _ = filled
    other = server.directory / "second.toml"
    text = server.config_file.read_text().replace("admin.sock", "second.sock").replace("lmtp.sock", "lmtp2.sock")
    for port in server.port.values():
        text = text.replace(f":{port}\"", ":0\"")
    other.write_text(text)
    done = run_poplar("serve", "--config", other)
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("poplar: ")]
    assert len(said) == 1 and str(server.data) in said[0], done.stderr
    assert len(server.fetch_all(account)) == 10, "the first one is not disturbed"


def test_a_newer_format_is_refused_and_not_touched(filled):
    server, _, _ = filled
    server.stop()
    text = (server.data / "FORMAT").read_text()
    newer = [line for line in text.splitlines(keepends=True) if line.startswith("mark")]
    (server.data / "FORMAT").write_text("poplar-store 999\n" + "".join(newer))
    before = {path: path.stat().st_mtime_ns for path in server.data.rglob("*") if path.name != "LOCK"}
    for command in ("serve", "verify", "rebuild"):
        done = run_poplar(command, "--config", server.config_file)
        assert done.returncode != 0 and "999" in done.stderr, (command, done.stderr)
    assert {path: path.stat().st_mtime_ns for path in server.data.rglob("*") if path.name != "LOCK"} == before


def test_an_older_copy_put_back_gives_no_unique_id_out_again(make_server):
    server = make_server()
    account = server.add_user(f"u@{DOMAIN}")
    server.deliver(account, make_message("one"))
    server.stop()
    shutil.copytree(server.data, server.data.with_name("backup"), symlinks=True)
    seen = set()
    for number in range(3):
        server.start()
        for n in range(3):
            server.deliver(account, make_message(f"after-{number}-{n}"))
        with server.login(account) as client:
            first, *later = client.uidl().values()
            client.quit()
        assert len(later) == 3 and not seen & set(later), "what a client has seen is another message now"
        assert all(1 <= len(uid) <= 70 for uid in later)
        seen |= {first, *later}
        assert len(seen) == 1 + 3 * (number + 1), "an old message keeps its own"
        server.stop()
        shutil.rmtree(server.data)
        shutil.copytree(server.data.with_name("backup"), server.data, symlinks=True)


def test_mail_for_an_account_that_was_removed_meanwhile_is_refused(make_server):
    for purge in ("", "?purge=yes"):
        server = make_server()
        gone = server.add_user(f"gone@{DOMAIN}")
        other = server.add_user(f"other@{DOMAIN}")
        with server.lmtp() as client:
            client.hello()
            client.envelope("a@b.example", [gone, other])
            assert server.admin("DELETE", f"/v1/accounts/{gone}{purge}")[0] == 200
            server.add_user(gone)  # the address is somebody else's now
            assert client.command(b"DATA").startswith(b"354")
            client.send(b"Subject: late\r\n\r\nx\r\n.\r\n")
            (refused, lines), (taken, _) = client.final_replies(2)
            assert (refused, taken) == (550, 250) and "5.1.1" in str(lines)
        assert server.fetch_all(gone) == [] and len(server.fetch_all(other)) == 1
        done = server.run_cli("verify")
        assert done.returncode == 0, done.stdout + done.stderr
