"""poplar backup and poplar restore: under load, killed in it, on a full target, tampered with, put back and served."""

import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
from poplar_server import BINARY, DOMAIN, PATIENCE, CliError, Server, big_message, make_message, to_toml, without_trace

JANE, JOE = f"jane@{DOMAIN}", f"joe@{DOMAIN}"


@pytest.fixture
def server(make_server):
    server = make_server()
    server.add_user(JANE)
    server.add_user(JOE)
    return server


@pytest.fixture
def folder(directory):
    return directory / "backups"


def restored(directory, folder, name="restored", *options):
    """A server on what the last backup holds; with accounts and passwords of its own."""
    home = directory / name
    home.mkdir()
    server = Server(home)
    server.config_file.write_text(to_toml(server.config))
    done = server.run_cli("restore", folder, *options)
    assert done.returncode == 0, done
    return server


def texts(server, address):
    return [(unique_id, without_trace(octets)) for unique_id, octets in server.fetch_all(address)]


def test_a_backup_is_restored_and_served(server, folder, directory):
    sent = [make_message(f"m{n}", 3000) for n in range(30)] + [big_message("large", 2_000_000)]
    for message in sent:
        server.deliver(JANE, message)
    answer = server.cli("backup", folder)
    assert answer["type"] == "done" and answer["files"] > 5
    assert folder.stat().st_mode & 0o777 == 0o700 and (folder / answer["name"]).stat().st_mode & 0o777 == 0o700
    server.wait_log("backup.done")
    before = texts(server, JANE)
    assert [text for _, text in before] == sent
    server.deliver(JANE, make_message("later"))

    other = restored(directory, folder)
    other.start()
    try:
        assert texts(other, JANE) == before  # unique-ids too, by the password as it was
        assert other.run_cli("verify").returncode == 0
        other.deliver(JANE, make_message("after the restore"))
        assert len(other.fetch_all(JANE)) == len(before) + 1
    finally:
        other.stop()


def test_backups_cost_what_is_new_and_old_ones_go(server, folder):
    for n in range(20):
        server.deliver(JANE, big_message(f"a{n}", 900_000))
    first = server.cli("backup", folder)
    second = server.cli("backup", folder)
    assert second["octets"] > 16 << 20 and second["copied_octets"] < second["octets"] / 2
    third = server.cli("backup", f"{folder}/", "--keep", "2")
    assert third["forgotten"] == 1
    listed = [one["name"] for one in server.cli("backup", folder, "--list")["backups"]]
    assert listed == [second["name"], third["name"]] and first["name"] not in listed
    assert server.run_cli("backup", folder, "--verify").returncode == 0
    # What was removed and forgotten in the store is still in the backup.
    server.cli("user", "remove", JANE)
    assert server.run_cli("backup", folder, "--verify").returncode == 0


def test_unique_ids_made_after_a_restore_were_never_made_before(server, folder, directory):
    """The same backup put back twice, and the server that goes on: three that deliver at the same places."""
    server.deliver(JANE, make_message("in all"))
    server.cli("backup", folder)
    others = [restored(directory, folder, f"again{n}") for n in range(2)]
    for other in others:
        other.start()
    try:
        made = []
        for one in (server, *others):
            for n in range(5):
                one.deliver(JANE, make_message(f"new{n}"))
            ids = [unique_id for unique_id, _ in one.fetch_all(JANE)]
            assert len(ids) == 6
            made += ids[1:]
        assert len(set(made)) == 15
    finally:
        for other in others:
            other.stop()


def load(server, stop, sent):
    number = 0
    while not stop.is_set():
        message = big_message(f"n{number}", 200_000) if number % 5 == 0 else make_message(f"n{number}", 5000)
        try:
            server.deliver(JOE, message)
        except (OSError, EOFError, AssertionError):
            return
        sent.append(message)
        number += 1


def test_a_backup_under_load_has_all_that_was_acknowledged(server, folder, directory):
    stop, sent = threading.Event(), []
    thread = threading.Thread(target=load, args=(server, stop, sent))
    thread.start()
    try:
        for n in range(3):
            time.sleep(0.3)
            acknowledged = len(sent)
            server.cli("backup", folder)
            other = restored(directory, folder, f"load{n}")
            other.start()
            try:
                found = [text for _, text in texts(other, JOE)]
                assert len(found) >= acknowledged > 0
                assert found == sent[:len(found)] or found[:-1] == sent[:len(found) - 1]
                assert other.run_cli("verify").returncode == 0
            finally:
                other.stop()
    finally:
        stop.set()
        thread.join()


def test_a_server_killed_in_a_backup_leaves_the_last_one(server, folder, directory):
    for n in range(30):
        server.deliver(JANE, big_message(f"k{n}", 900_000))
    server.cli("backup", folder)
    kept = texts(server, JANE)
    for delay in (0.005, 0.02, 0.05, 0.1):
        for n in range(4):
            server.deliver(JOE, big_message(f"more{n}", 900_000))
        client = subprocess.Popen([str(BINARY), "backup", str(folder), "--config", str(server.config_file)],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(delay)
        server.kill()
        client.communicate(timeout=60 * PATIENCE)
        assert server.run_cli("backup", folder, "--verify").returncode == 0
        server.start()
        assert texts(server, JANE) == kept
    server.cli("backup", folder)
    assert not list(folder.glob("incomplete-*"))
    other = restored(directory, folder)
    other.start()
    try:
        assert texts(other, JANE) == kept
    finally:
        other.stop()


def test_a_restore_goes_over_nothing(server, folder, directory):
    server.deliver(JANE, make_message("one"))
    server.cli("backup", folder)
    done = server.run_cli("restore", folder)
    assert done.returncode == 1 and "running server" in done.stderr, done
    done = server.run_cli("restore", folder, "--force")
    assert done.returncode == 1 and "running server" in done.stderr, done
    server.deliver(JANE, make_message("two"))
    server.stop()
    done = server.run_cli("restore", folder)
    assert done.returncode == 1 and "--force" in done.stderr, done
    done = server.run_cli("restore", folder, "--dry-run")
    assert done.returncode == 1 and "--force" in done.stdout, done
    trial = server.cli("restore", folder, "--dry-run", "--force")
    assert trial["empty"] is False and trial["would_restore"] in os.listdir(folder), trial
    done = server.run_cli("restore", folder, "--force")
    assert done.returncode == 0 and "replaced-" in done.stdout, done
    server.start()
    assert len(server.fetch_all(JANE)) == 1
    assert len(list(server.data.glob("replaced-*/log/0/*.seg"))) == 1


def test_a_backup_that_was_tampered_with_is_named(server, folder, directory):
    server.deliver(JANE, make_message("one"))
    name = server.cli("backup", folder)["name"]
    segment = folder / name / "data/log/0/0000000001.seg"
    octets = bytearray(segment.read_bytes())
    octets[len(octets) // 2] ^= 1
    segment.write_bytes(octets)
    done = server.run_cli("backup", folder, "--verify")
    assert done.returncode == 1 and name in done.stdout and "0000000001.seg" in done.stdout, done
    home = directory / "tampered"
    home.mkdir()
    other = Server(home)
    other.config_file.write_text(to_toml(other.config))
    done = other.run_cli("restore", folder)
    assert done.returncode == 1 and "0000000001.seg" in done.stderr and "nothing was restored" in done.stderr, done
    assert not (other.data / "FORMAT").exists()


def test_the_time_of_a_backup_can_be_said(server, folder, directory):
    names = []
    for n in range(2):
        server.deliver(JANE, make_message(f"m{n}"))
        names.append(server.cli("backup", folder)["name"])
        time.sleep(1.1)
    first = names[0]
    at = f"{first[:4]}-{first[4:6]}-{first[6:8]}T{first[9:11]}:{first[11:13]}:{first[13:15]}Z"
    other = restored(directory, folder, "earlier", "--at", at)
    other.start()
    try:
        assert len(other.fetch_all(JANE)) == 1
    finally:
        other.stop()
    done = other.run_cli("restore", folder, "--at", "2001-01-01")
    assert done.returncode == 1 and "the first backup" in done.stderr, done
    done = other.run_cli("restore", folder, "--at", "yesterday")
    assert done.returncode == 2, done


def test_a_folder_that_can_not_be_written_is_said(server, folder, directory):
    with pytest.raises(CliError, match="data directory"):
        server.cli("backup", server.data / "backups")
    with pytest.raises(CliError, match="no backup was made"):
        server.cli("backup", "/proc/backups")
    server.wait_log("backup.failed")
    done = server.run_cli("restore", directory / "nowhere")
    assert done.returncode == 1 and done.stderr, done


def test_a_copy_of_a_live_directory_says_what_to_do(server, directory, make_server):
    for n in range(10):
        server.deliver(JANE, big_message(f"c{n}", 900_000))
    server.stop()
    server.start()  # the index has tables on the disk now
    server.deliver(JANE, make_message("more"))
    copy = make_server(start=False)
    shutil.copytree(server.data, copy.data)
    # Parts of different moments: the log as it was before the index.
    last = sorted((copy.data / "log/0").glob("*.seg"))[-1]
    os.truncate(last, 4096)
    for table in (copy.data / "index").glob("*.sst"):
        table.unlink()
        break
    copy.spawn()
    deadline = time.monotonic() + 30 * PATIENCE
    while "poplar rebuild" not in copy.log():
        assert time.monotonic() < deadline, copy.log()
        time.sleep(0.05)
    assert "copy" in copy.log() and "poplar backup" in copy.log(), copy.log()
    if copy.process.poll() is None:
        copy.process.send_signal(signal.SIGKILL)
    copy.process.wait()
    copy.process = None


# One account, mailbox or message out of a backup, while the server runs.

def described(server, address, mailbox="INBOX"):
    return [(one["unique_id"], one["octets"], sorted(one["flags"]), one["received"])
            for one in server.cli("mail", "list", address, "--mailbox", mailbox)["messages"]]


@pytest.fixture
def server_that_forgets(make_server):
    server = make_server(storage={"expire_every": "1s"})
    server.add_user(JANE)
    return server


@pytest.fixture
def lost(server_that_forgets, folder):
    """Jane's mail with a mailbox and flags, backed up; then three messages are gone for ever, one was deleted, and one
    came."""
    server = server_that_forgets
    for n in range(6):
        server.deliver(JANE, make_message(f"m{n}", 3000))
    server.deliver(JANE, big_message("large", 2_000_000))
    server.cli("mailbox", "add", JANE, "Lists")
    ids = [one[0] for one in described(server, JANE)]
    server.cli("mail", "flag", JANE, ids[0], "--add", "seen", "--add", "Invoice")
    for unique_id in ids[4:6]:
        server.cli("mail", "move", JANE, unique_id, "Lists")
    before = described(server, JANE), described(server, JANE, "Lists"), texts(server, JANE)
    server.cli("backup", folder)
    server.cli("user", "set", JANE, "--retention", "0s")
    for unique_id in (ids[0], ids[6], before[1][0][0]):
        server.cli("mail", "remove", JANE, unique_id)
    deadline = time.monotonic() + 30 * PATIENCE
    while server.cli("mail", "deleted", JANE)["messages"]:
        assert time.monotonic() < deadline, "the deleted messages are not forgotten"
        time.sleep(0.2)
    server.cli("user", "set", JANE, "--retention", "30d")
    server.cli("mail", "remove", JANE, ids[1])
    server.deliver(JANE, make_message("later"))
    return before


def test_what_an_account_lost_comes_back_while_the_server_runs(server_that_forgets, folder, lost):
    server = server_that_forgets
    inbox, lists, _ = lost
    entries = sorted(path.name for path in folder.iterdir())
    dry = server.cli("restore", folder, "--account", JANE, "--dry-run")
    assert dry["would_store"] == 3 and dry["there"] == 3 and dry["deleted_since"] == [inbox[1][0]], dry
    assert len(described(server, JANE)) == 3
    done = server.run_cli("restore", folder, "--account", JANE)
    assert done.returncode == 1 and "3 messages came back, 3 there already" in done.stdout, done
    assert f"{inbox[1][0]}  deleted " in done.stdout and "--force" in done.stdout, done
    back = {one[0]: one for one in described(server, JANE)}
    assert back[inbox[0][0]] == inbox[0] and back[inbox[4][0]] == inbox[4] and inbox[1][0] not in back
    assert sorted(described(server, JANE, "Lists")) == sorted(lists)
    forced = server.cli("restore", folder, "--account", JANE, "--force")
    assert forced["stored"] == 0 and forced["undeleted"] == 1, forced
    assert {one[0] for one in described(server, JANE)} >= {one[0] for one in inbox}
    again = server.cli("restore", folder, "--account", JANE)
    assert again["stored"] == 0 and again["there"] == 7 and again["deleted_since"] == [], again
    assert sorted(path.name for path in folder.iterdir()) == entries
    assert server.run_cli("backup", folder, "--verify").returncode == 0
    assert server.run_cli("verify").returncode == 0


def test_a_mailbox_or_a_message_comes_back_alone(server_that_forgets, folder, lost):
    server = server_that_forgets
    inbox, lists, whole = lost
    one = server.cli("restore", folder, "--account", JANE, "--message", inbox[4][0])
    assert one["stored"] == 1
    assert dict(texts(server, JANE))[inbox[4][0]] == dict(whole)[inbox[4][0]]
    boxed = server.cli("restore", folder, "--account", JANE, "--mailbox", "Lists")
    assert boxed["stored"] == 1 and sorted(described(server, JANE, "Lists")) == sorted(lists)
    for more, text in ((("--message", "none"), "no message none"), (("--mailbox", "none"), "no mailbox none")):
        done = server.run_cli("restore", folder, "--account", JANE, *more)
        assert done.returncode == 1 and text in done.stderr, done
    done = server.run_cli("restore", folder, "--account", f"nobody@{DOMAIN}")
    assert done.returncode == 1 and "nobody" in done.stderr, done


def test_a_removed_account_comes_back_with_its_password(server_that_forgets, folder, lost):
    server = server_that_forgets
    inbox, lists, whole = lost
    server.cli("user", "remove", JANE)
    done = server.cli("restore", folder, "--account", JANE)
    assert done["account_made"] and done["stored"] == 7 and done["unique_ids_new"] == [], done
    assert texts(server, JANE) == whole  # by the password as it was
    assert described(server, JANE) == inbox and described(server, JANE, "Lists") == lists


def test_imap_clients_take_no_new_message_for_one_of_before_a_restore(server, folder, directory):
    server.deliver(JANE, make_message("one"))
    server.cli("mailbox", "add", JANE, "Lists")

    def validity(of):
        return {one["name"]: one["uid_validity"] for one in of.cli("mailbox", "list", JANE)["mailboxes"]}
    server.cli("backup", folder)
    server.deliver(JANE, make_message("lost"))
    before = validity(server)
    other = restored(directory, folder)
    other.start()
    try:
        after = validity(other)
        assert after.keys() == before.keys() and all(after[name] > before[name] for name in before), (before, after)
        assert len(other.fetch_all(JANE)) == 1
    finally:
        other.stop()
