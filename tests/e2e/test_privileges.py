"""The server is started as root for another user. That user's folders never lead root to files of root's, and commands that
root runs leave the store to its owner."""

import os
import pwd
import signal
import stat

import pytest

from poplar_server import DOMAIN, PATIENCE, make_message

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
USER = "nobody"


def own(path):
    entry = pwd.getpwnam(USER)
    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    return path


def owner(path):
    return pwd.getpwuid(os.lstat(path).st_uid).pw_name


@pytest.fixture
def theirs(directory):
    """A folder of the user that the server becomes."""
    directory.chmod(0o755)
    folder = directory / "theirs"
    folder.mkdir()
    return own(folder)


@pytest.fixture
def roots(directory):
    """A folder that is root's alone to write in."""
    folder = directory / "roots"
    folder.mkdir()
    return folder


def refused(server, code=78):
    server.spawn()
    assert server.process.wait(30 * PATIENCE) == code, server.log()
    server.process = None
    return server.log()


def test_the_log_is_opened_as_the_user_it_belongs_to(make_server, theirs, roots):
    secret = roots / "secret"
    secret.write_text("root's\n")
    secret.chmod(0o600)
    (theirs / "poplar.log").symlink_to(secret)
    said = refused(make_server(start=False, user=USER, log={"file": str(theirs / "poplar.log")}))
    assert "log.file: can't be opened: " in said and "ermission denied" in said
    assert secret.read_text() == "root's\n"


def test_a_log_in_a_folder_of_root_is_made_for_the_user(make_server, theirs, roots):
    log = roots / "poplar.log"
    make_server(start=False, user=USER, log={"file": str(log)}).spawn().wait_log_file(log)
    assert owner(log) == USER and stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_rotated_log_is_opened_anew_in_the_folder_made_for_it(make_server, roots):
    log = roots / "made" / "poplar.log"
    roots.parent.chmod(0o755)
    server = make_server(start=False, user=USER, log={"file": str(log)})
    own(server.key)  # which is read anew, too
    server.spawn().wait_log_file(log)
    assert owner(log.parent) == USER and owner(log) == USER
    log.rename(log.parent / "poplar.log.1")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log_file(log, "server.reloaded")


@pytest.mark.parametrize("key", ["listen", "admin_socket", "data_dir"])
def test_links_of_the_user_lead_root_nowhere(make_server, theirs, roots, key):
    own(theirs).joinpath("link").symlink_to(roots)
    path = theirs / "link" / "made"
    tables = {"listen": {"lmtp": [f"unix:{path}"]}} if key == "listen" else {key: str(path)}
    said = refused(make_server(start=False, user=USER, **tables))
    assert "ermission denied" in said and key in said
    assert list(roots.iterdir()) == []


def test_sockets_and_data_are_the_users_wherever_they_lie(make_server, theirs, roots):
    for folder in (theirs, roots):
        server = make_server(start=False, user=USER, admin_socket=str(folder / "admin.sock"), data_dir=str(folder / "data"),
                             listen={"lmtp": [f"unix:{folder}/lmtp.sock"]})
        server.lmtp_socket = folder / "lmtp.sock"
        server.start()
        for name, mode in (("admin.sock", 0o600), ("lmtp.sock", 0o666), ("data", 0o700)):
            assert owner(folder / name) == USER, name
            assert stat.S_IMODE(os.lstat(folder / name).st_mode) == mode, name
        server.add_domain()
        with server.lmtp(unix=True) as client:
            client.hello()
        server.stop()
        server.start()  # sockets that were left in root's folder do no harm
        server.stop()


def test_commands_of_root_leave_the_store_its_owners(make_server, theirs):
    server = make_server(user=USER)
    server.add_user(f"jane@{DOMAIN}")
    server.deliver(f"jane@{DOMAIN}", make_message("kept"))
    server.stop()
    for command in ("verify", "rebuild"):
        done = server.run_cli(command)
        assert done.returncode == 0, done.stderr
        assert f"going on as {USER}" in done.stderr
        foreign = [path for path in server.data.rglob("*") if owner(path) != USER or path.stat().st_mode & 0o077]
        assert not foreign, foreign
        server.start()
        assert len(server.fetch_all(f"jane@{DOMAIN}")) == 1
        server.stop()


def test_a_link_in_the_store_leads_root_nowhere(make_server, theirs, roots):
    server = make_server(user=USER)
    server.stop()
    index = server.data / "index"
    index.rename(server.data / "index.away")
    index.symlink_to(roots)
    assert server.run_cli("rebuild").returncode == 1
    assert list(roots.iterdir()) == []


def test_files_of_root_in_the_store_are_named(make_server, theirs):
    server = make_server(user=USER)
    server.stop()
    lost = next(path for path in (server.data / "index").iterdir() if path.name == "CURRENT")
    os.chown(lost, 0, 0)
    lost.chmod(0o600)
    assert f"{lost} belongs to root, not to {USER}" in refused(server, 1)
    assert f"{lost} belongs to root, not to {USER}" in server.run_cli("verify").stderr


def test_a_store_of_somebody_else_is_refused(make_server, theirs):
    server = make_server(start=False, user=USER)
    server.data.mkdir()
    said = refused(server)
    assert f"data_dir: {server.data} belongs to root, and the server runs as {USER}: chown -R {USER} {server.data}" in said
    assert "belongs to root" in server.run_cli("check-config").stderr
    own(server.data)
    del server.config["user"]
    assert f"belongs to {USER}, and the server would run as root: set user" in refused(server)


def test_a_first_start_warns_of_nothing(make_server, theirs):
    server = make_server(start=False, user=USER)
    done = server.spawn() and server.wait_ready() or server.run_cli("check-config")
    assert (done.returncode, done.stderr) == (0, "")
    server.stop()
    assert " warning " not in server.log() and " error " not in server.log(), server.log()
