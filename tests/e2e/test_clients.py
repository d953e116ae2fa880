"""Real mail clients: fetchmail, getmail6, mpop, curl, mutt and poplib fetch; swaks and curl send.

Each client stores what it fetched in its own way; the helpers undo only that (mbox quoting, LF line ends).
"""

import mailbox
import os
import re
import shutil
import subprocess

import pytest

from poplar_server import DOMAIN, PASSWORD, PATIENCE, big_message, make_message, without_trace

# A password that every client's configuration takes without quoting rules of its own.
SIMPLE = "Sesame-123"
TRANSPORTS = ("plain", "stls", "tls")


@pytest.fixture
def account(server, request):
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:50]
    return server.add_user(f"{name}@{DOMAIN}", SIMPLE)


MESSAGES = [
    make_message("first", 800),
    make_message("second", 20_000),
    b"Subject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nlast\r\n",
    "Subject: Grüße\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n日本語 äöü\r\n".encode(),
]
# None of the clients here asks for UTF8 (RFC 6856): they get headers in ASCII.
RECEIVED = [message.replace("Grüße".encode(), b"=?UTF-8?Q?Gr=C3=BC=C3=9Fe?=") for message in MESSAGES]


@pytest.fixture
def filled(server, account):
    for message in MESSAGES:
        server.deliver(account, message)
    return account


def run(arguments, directory, codes=(0,), input=None):
    env = dict(os.environ, HOME=str(directory), LC_ALL="C.UTF-8")
    done = subprocess.run([str(a) for a in arguments], cwd=directory, env=env, capture_output=True, timeout=120 * PATIENCE, input=input,
                          stdin=subprocess.DEVNULL if input is None else None)
    assert done.returncode in codes, f"{arguments[0]} ended with {done.returncode}:\n" + \
        done.stdout.decode(errors="replace")[-3000:] + done.stderr.decode(errors="replace")[-3000:]
    return done


def lf(message):
    return message.replace(b"\r\n", b"\n")


def left(server, account):
    return [without_trace(octets) for _, octets in server.fetch_all(account, SIMPLE)]


# fetchmail: hands each message to a program, here one that stores it in a file. It adds a Received field of its own.

def fetchmail(server, account, directory, transport, *options):
    out = directory / "out"
    out.mkdir(exist_ok=True)
    store = directory / "store"
    store.write_text(f"#!/bin/sh\nexec cat > {out}/$(date +%s%N)\n")
    store.chmod(0o755)
    port = server.port["pop3s" if transport == "tls" else "pop3"]
    ssl = {"plain": "sslproto ''", "stls": "sslproto 'tls1.2+'", "tls": "ssl sslproto 'tls1.2+'"}[transport]
    config = directory / "fetchmailrc"
    config.write_text(f"poll localhost protocol POP3 port {port} uidl user '{account}' password '{SIMPLE}' "
                      f"{ssl} no sslcertck mda '{store}' {' '.join(options)}\n")
    config.chmod(0o700)
    before = set(out.iterdir())
    run(["fetchmail", "-f", config, "--idfile", directory / "ids", "--nodetach", "--nosyslog", "--pidfile", directory / "pid"],
        directory, codes=(0, 1))  # 1: there was no mail
    return [path.read_bytes() for path in sorted(set(out.iterdir()) - before)]


def check_fetchmail(got, messages):
    assert len(got) == len(messages)
    for copy, message in zip(got, messages):
        # Its own header rewriting touches the header; the body must be the same octet for octet.
        assert copy.split(b"\n\n", 1)[1] == lf(message).split(b"\n\n", 1)[1]
        assert re.search(rb"^Delivered-To: ", copy, re.M)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_fetchmail_fetches_and_deletes(server, filled, directory, need, transport):
    need("fetchmail")
    check_fetchmail(fetchmail(server, filled, directory, transport, "nokeep", "fetchall"), RECEIVED)
    assert left(server, filled) == []
    assert fetchmail(server, filled, directory, transport, "nokeep") == [], "an empty maildrop"


def test_fetchmail_leaves_mail_on_the_server_and_knows_what_it_has(server, filled, directory, need):
    need("fetchmail")
    check_fetchmail(fetchmail(server, filled, directory, "stls", "keep"), RECEIVED)
    assert left(server, filled) == MESSAGES
    assert fetchmail(server, filled, directory, "stls", "keep") == []
    server.deliver(filled, MESSAGES[0])
    check_fetchmail(fetchmail(server, filled, directory, "stls", "keep"), RECEIVED[:1])


# getmail6: into a Maildir. It adds a Delivered-To and a Received field in front unless told not to.

def getmail(server, account, directory, transport, options):
    maildir = directory / "Maildir"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    user = ""
    if os.getuid() == 0:  # it refuses to deliver as root
        user = "user = nobody\n"
        directory.chmod(0o755)
        for path in (maildir, *maildir.iterdir()):
            shutil.chown(path, "nobody")
    kind = {"plain": "SimplePOP3Retriever", "tls": "SimplePOP3SSLRetriever"}[transport]
    port = server.port["pop3s" if transport == "tls" else "pop3"]
    (directory / "getmailrc").write_text(
        f"[retriever]\ntype = {kind}\nserver = localhost\nport = {port}\nusername = {account}\npassword = {SIMPLE}\n"
        f"[destination]\ntype = Maildir\npath = {maildir}/\n{user}"
        f"[options]\ndelivered_to = false\nreceived = false\nverbose = 2\n{options}\n")
    before = set((maildir / "new").iterdir())
    run(["getmail", f"--getmaildir={directory}", "--rcfile=getmailrc"], directory)
    return sorted(path.read_bytes() for path in set((maildir / "new").iterdir()) - before)


def without_trace_lf(copy):
    return lf(without_trace(copy.replace(b"\n", b"\r\n")))


@pytest.mark.parametrize("transport", ("plain", "tls"))
def test_getmail_fetches_and_deletes(server, filled, directory, need, transport):
    need("getmail")
    got = getmail(server, filled, directory, transport, "delete = true\nread_all = true")
    assert sorted(map(without_trace_lf, got)) == sorted(map(lf, RECEIVED))
    assert left(server, filled) == []
    assert getmail(server, filled, directory, transport, "delete = true") == []


def test_getmail_leaves_mail_on_the_server(server, filled, directory, need):
    need("getmail")
    assert len(getmail(server, filled, directory, "tls", "delete = false\nread_all = false")) == len(MESSAGES)
    assert getmail(server, filled, directory, "tls", "delete = false\nread_all = false") == []
    assert left(server, filled) == MESSAGES


# mpop: pipelines what it can.

def mpop(server, account, directory, transport, *options):
    maildir = directory / "mpop"
    for name in ("cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
    tls = {"plain": ["--tls=off"], "stls": ["--tls=on", "--tls-starttls=on", "--tls-certcheck=off"],
           "tls": ["--tls=on", "--tls-starttls=off", "--tls-certcheck=off"]}[transport]
    before = set((maildir / "new").iterdir())
    run(["mpop", "--file=/dev/null", "--host=localhost", f"--port={server.port['pop3s' if transport == 'tls' else 'pop3']}", *tls,
         "--auth=user" if transport != "stls" else "--auth=plain", f"--user={account}", f"--passwordeval=echo {SIMPLE}",
         "--pipelining=on", "--received-header=off", f"--uidls-file={directory}/uidls", f"--delivery=maildir,{maildir}", *options], directory)
    return sorted(path.read_bytes() for path in set((maildir / "new").iterdir()) - before)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_mpop_fetches_and_deletes(server, filled, directory, need, transport):
    need("mpop")
    got = mpop(server, filled, directory, transport, "--keep=off")
    assert sorted(map(without_trace_lf, got)) == sorted(map(lf, RECEIVED))
    assert left(server, filled) == []
    assert mpop(server, filled, directory, transport, "--keep=off") == []


def test_mpop_leaves_mail_on_the_server(server, filled, directory, need):
    need("mpop")
    assert len(mpop(server, filled, directory, "tls", "--keep=on")) == len(MESSAGES)
    assert mpop(server, filled, directory, "tls", "--keep=on") == []
    assert left(server, filled) == MESSAGES


# curl: keeps every octet, so these are exact to the line end.

def curl(server, account, directory, transport, path, *options):
    scheme, port = ("pop3s", "pop3s") if transport == "tls" else ("pop3", "pop3")
    upgrade = ["--ssl-reqd"] if transport == "stls" else []
    return run(["curl", "-sS", "-k", *upgrade, "-u", f"{account}:{SIMPLE}", *options, f"{scheme}://localhost:{server.port[port]}/{path}"],
               directory).stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_curl_byte_for_byte(server, filled, directory, need, transport):
    need("curl")
    assert len(curl(server, filled, directory, transport, "").split(b"\r\n")) >= len(MESSAGES)
    for number, message in enumerate(RECEIVED, 1):
        assert without_trace(curl(server, filled, directory, transport, number)) == message
    curl(server, filled, directory, transport, 1, "-X", "DELE", "-l")
    assert left(server, filled) == MESSAGES[1:]


def test_curl_thirty_megabytes(server, account, directory, need):
    need("curl")
    message = big_message("curl", 30_000_000)
    server.deliver(account, message)
    for transport in TRANSPORTS:
        assert without_trace(curl(server, account, directory, transport, 1)) == message


def test_curl_sends(server, account, directory, need):
    need("curl")
    file = directory / "message.eml"
    file.write_bytes(MESSAGES[2])
    run(["curl", "-sS", "-k", "--ssl-reqd", f"smtp://localhost:{server.port['smtp']}", "--mail-from", "a@elsewhere.example",
         "--mail-rcpt", account, "-T", file], directory)
    assert left(server, account) == [MESSAGES[2]]


# mutt: fetches from POP into its spool folder, an mbox.

@pytest.mark.parametrize("delete", ("yes", "no"))
def test_mutt_fetches_mail(server, filled, directory, need, delete):
    need("mutt")
    spool = directory / "spool"
    spool.touch()
    (directory / "muttrc").write_text(
        f'set pop_host="pop://localhost:{server.port["pop3"]}/"\nset pop_user="{filled}"\nset pop_pass="{SIMPLE}"\n'
        f"set pop_delete={delete}\nset pop_last=no\nset pop_authenticators=\"plain:user\"\nset ssl_starttls=no\nset ssl_force_tls=no\n"
        f'set spoolfile="{spool}"\nset folder="{directory}"\nset mbox_type=mbox\nset quit=yes\nset delete=no\nset move=no\n'
        "set header_cache=''\nset message_cachedir=''\nset wait_key=no\npush <fetch-mail><sync-mailbox><exit>\n")
    env = dict(os.environ, HOME=str(directory), TERM="xterm", LC_ALL="C.UTF-8")
    # It wants a terminal: script(1) gives it one.
    subprocess.run(["script", "-qec", f"mutt -n -F {directory}/muttrc -f {spool}", "/dev/null"], cwd=directory, env=env,
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * PATIENCE, check=True)
    box = mailbox.mbox(spool)
    bodies = [box.get_bytes(key).split(b"\n\n", 1)[1] for key in box.keys()]
    assert [re.sub(rb"(?m)^>(>*From )", rb"\1", body).rstrip(b"\n") for body in bodies] == \
        [lf(message).split(b"\n\n", 1)[1].rstrip(b"\n") for message in MESSAGES]
    assert left(server, filled) == ([] if delete == "yes" else MESSAGES)


# swaks: the mail administrator's tool for trying a server.

@pytest.mark.parametrize("options", (["--protocol", "ESMTP"], ["--protocol", "LMTP"], ["-tls"], ["--pipeline"], ["--protocol", "SMTP"]),
                         ids=("esmtp", "lmtp", "tls", "pipeline", "smtp"))
def test_swaks_sends(server, account, directory, need, options):
    need("swaks")
    port = server.port["lmtp" if "LMTP" in options else "smtp"]
    file = directory / "message"
    file.write_bytes(lf(MESSAGES[2]))
    run(["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", "a@elsewhere.example", "--to", account,
         "--ehlo", "client.example", "--data", f"@{file}", *options], directory)
    (copy,) = left(server, account)
    assert copy.rstrip(b"\r\n") == MESSAGES[2].rstrip(b"\r\n")


def test_swaks_is_told_of_an_unknown_user(server, directory, need):
    need("swaks")
    done = run(["swaks", "--server", "127.0.0.1", "--port", str(server.port["smtp"]), "--to", f"nobody@{DOMAIN}",
                "--from", "a@elsewhere.example", "--ehlo", "client.example"], directory, codes=(24,))
    assert b"550 5.1.1" in done.stdout
