"""Filters: scripts by the command line, what they do with mail that comes by LMTP and SMTP, and trials without a server."""

import json
import subprocess

import pytest

from poplar_server import BINARY, DOMAIN, CliError, make_message, without_trace

FRED = f"fred@{DOMAIN}"
JANE = f"jane@{DOMAIN}"


@pytest.fixture
def server(make_server):
    server = make_server()
    server.add_user(FRED)
    return server


def put(server, script, name="main", account=FRED):
    assert server.cli("sieve", "put", account, name, input=script)["valid"]
    server.cli("sieve", "activate", account, name)


def mail(server, *options, account=FRED):
    return server.cli("mail", "list", account, *options)["messages"]


def deliver(server, message, *recipients, sender="a@elsewhere.example"):
    """The replies to the end of the message, by LMTP."""
    with server.lmtp() as client:
        client.hello()
        client.expect(250, f"MAIL FROM:<{sender}>".encode())
        for recipient in recipients or (FRED,):
            client.expect(250, f"RCPT TO:<{recipient}>".encode())
        client.data(message)
        return [client.reply() for _ in recipients or (FRED,)]


def letter(subject, text="Text."):
    return f"From: Ann <ann@elsewhere.example>\r\nTo: {FRED}\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()


def test_scripts_are_put_listed_read_checked_and_deleted(server):
    script = 'require "fileinto";\nfileinto "Work"; # ä\n'
    assert server.cli("sieve", "put", FRED, "main", input=script) == {"valid": True, "errors": []}
    assert subprocess.run([BINARY, "--socket", server.config["admin_socket"], "sieve", "get", FRED, "main"],
                          capture_output=True, text=True, check=True).stdout == script
    (listed,) = server.cli("sieve", "list", FRED)["scripts"]
    assert listed["name"] == "main" and not listed["active"] and listed["octets"] == len(script.encode())
    server.cli("sieve", "activate", FRED, "main")
    assert server.cli("sieve", "list", FRED)["scripts"][0]["active"]
    with pytest.raises(CliError, match="active"):
        server.cli("sieve", "delete", FRED, "main")
    assert server.cli("sieve", "deactivate", FRED) == {"active": None}
    server.cli("sieve", "delete", FRED, "main")
    assert server.cli("sieve", "list", FRED)["scripts"] == []
    for command in (("get", "main"), ("activate", "main"), ("delete", "main")):
        with pytest.raises(CliError, match="no script"):
            server.cli("sieve", command[0], FRED, command[1])


@pytest.mark.parametrize("script,line,column,words", [
    ("keep\n", 2, 1, "missing"),
    ('fileinto "x";', 1, 1, '"fileinto"'),
    ('redirect "a@b.example";', 1, 1, "can't send mail"),
    ('require "vacation";\nvacation "away";', 2, 1, "can't answer"),
    ('require "enotify";\nif true { notify "mailto:a@b.example"; }', 2, 11, "can't send notifications"),
])
def test_a_script_that_can_not_run_is_refused_with_its_place(server, script, line, column, words):
    for command in (("put", FRED, "bad"), ("check", FRED)):
        done = subprocess.run([BINARY, "--socket", server.config["admin_socket"], "--json", "sieve", *command], input=script,
                              capture_output=True, text=True)
        assert done.returncode == 1
        (error,) = json.loads(done.stdout)["errors"]
        assert (error["line"], error["column"]) == (line, column) and words in error["message"]
    assert server.cli("sieve", "list", FRED)["scripts"] == []


def test_mail_is_filed_flagged_changed_and_dropped(server):
    server.cli("mailbox", "add", FRED, "Work")
    put(server, """require ["fileinto", "imap4flags", "mailbox", "copy", "editheader", "variables"];
        if header :matches "subject" "[*] *" { addheader "X-List" "${1}"; fileinto :create "Lists/${1}"; stop; }
        if header "subject" "work" { fileinto :flags ["\\\\Seen", "urgent"] "Work"; }
        elsif header "subject" "both" { fileinto :copy "Work"; }
        elsif header "subject" "nowhere" { fileinto "Nowhere"; }
        elsif header "subject" "spam" { discard; }
        elsif header "subject" "seen" { setflag "\\\\Seen"; }""")
    for subject in ("work", "both", "nowhere", "spam", "seen", "[news] one", "plain"):
        assert [code for code, _ in deliver(server, letter(subject))] == [250]
    assert [m["subject"] for m in mail(server)] == ["both", "nowhere", "seen", "plain"]
    work = mail(server, "--mailbox", "Work")
    assert [m["subject"] for m in work] == ["work", "both"]
    assert sorted(work[0]["flags"]) == ["seen", "urgent"] and work[1]["flags"] == []
    assert next(m for m in mail(server) if m["subject"] == "seen")["flags"] == ["seen"]
    (news,) = mail(server, "--mailbox", "Lists/news")
    shown = subprocess.run([BINARY, "--socket", server.config["admin_socket"], "mail", "show", FRED, news["unique_id"]],
                           capture_output=True, check=True).stdout
    assert b"X-List: news\r\n" in shown and shown.endswith(b"\r\n\r\nText.\r\n")
    server.cli("sieve", "deactivate", FRED)
    deliver(server, letter("spam"))
    assert mail(server)[-1]["subject"] == "spam"


def test_lmtp_refuses_for_one_recipient_and_smtp_for_a_single_one(server):
    server.add_user(JANE)
    put(server, 'require "ereject"; ereject "Not today.\nNor tomorrow.";')
    replies = deliver(server, letter("x"), FRED, JANE)
    assert [code for code, _ in replies] == [550, 250]
    assert "Not today." in str(replies[0]) and "Nor tomorrow." in str(replies[0])
    assert mail(server) == [] and len(mail(server, account=JANE)) == 1

    def by_smtp(*recipients):
        with server.smtp() as client:
            client.hello()
            client.expect(250, b"MAIL FROM:<a@elsewhere.example>")
            for one in recipients:
                client.expect(250, f"RCPT TO:<{one}>".encode())
            client.data(letter("y"))
            return client.reply()[0]

    assert by_smtp(FRED) == 550 and mail(server) == []
    assert by_smtp(FRED, JANE) == 250, "one reply is for all: the others have got it"
    assert len(mail(server)) == 1 and len(mail(server, account=JANE)) == 2
    server.wait_log("delivery.not_rejected")


def test_a_script_that_fails_keeps_the_mail(server):
    put(server, 'require ["include", "editheader"]; addheader "X-A" "b"; include "none";')
    assert deliver(server, letter("kept"))[0][0] == 250
    kept, notice = mail(server)
    assert kept["subject"] == "kept" and notice["subject"] == "Your mail filter failed"
    server.wait_log("delivery.filter_failed")
    stored = [octets for _, octets in server.fetch_all(FRED)][0]
    assert without_trace(stored) == letter("kept")


def test_duplicates_are_remembered_across_a_kill(server):
    put(server, 'require "duplicate"; if duplicate { discard; }')
    message = b"Message-ID: <1@elsewhere.example>\r\n" + letter("once")
    assert deliver(server, message)[0][0] == 250
    server.kill()
    server.start()
    assert deliver(server, message)[0][0] == 250
    assert len(mail(server)) == 1


def test_an_acknowledged_filing_is_there_after_a_kill_as_a_whole(server):
    put(server, 'require ["fileinto", "mailbox", "copy"]; fileinto :copy :create "A"; fileinto :copy :create "B";')
    for n in range(20):
        assert deliver(server, letter(f"n{n}"))[0][0] == 250
    server.kill()
    server.start()
    expected = [f"n{n}" for n in range(20)]
    for mailbox in ("INBOX", "A", "B"):
        assert [m["subject"] for m in mail(server, "--mailbox", mailbox)] == expected


def trial(tmp_path, script, message=letter("hello"), *options):
    (tmp_path / "s.sieve").write_text(script)
    (tmp_path / "m.eml").write_bytes(message)
    done = subprocess.run([BINARY, "sieve", "test", tmp_path / "s.sieve", "--message", tmp_path / "m.eml", "--json",
                           *options], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_a_trial_tells_what_would_be_done(tmp_path):
    code, told = trial(tmp_path, 'require ["fileinto", "copy"]; fileinto :copy "A"; redirect :copy "x@y.example";')
    assert code == 0 and told["errors"] == [] and told["implicit_keep"] and not told["message_changed"]
    assert [(a["action"], a.get("mailbox"), a.get("address")) for a in told["actions"]] == [
        ("fileinto", "A", None), ("redirect", None, "x@y.example")]
    code, told = trial(tmp_path, "keep")
    assert code == 1 and told["errors"][0]["line"] == 1 and told["errors"][0]["column"] == 5
    code, told = trial(tmp_path, 'require "ihave"; error "no";')
    assert code == 0 and told["error"] == "no" and told["implicit_keep"] and told["actions"] == []


def test_a_trial_answers_once(tmp_path):
    script = 'require "vacation"; vacation :days 2 :subject "Away" "I am away.";'
    options = ("--from", "ann@elsewhere.example", "--to", FRED, "--seen", tmp_path / "seen")
    code, told = trial(tmp_path, script, letter("hi"), *options, "--now", "2026-12-20T10:00:00Z")
    (answer,) = told["actions"]
    assert (answer["action"], answer["address"], answer["subject"]) == ("vacation", "ann@elsewhere.example", "Away")
    assert "Auto-Submitted: auto-replied" in answer["message"] and answer["envelope_from"] == ""
    assert "Date: Sun, 20 Dec 2026" in answer["message"]
    for now, count in (("2026-12-21T10:00:00Z", 0), ("2026-12-22T10:00:01Z", 1)):
        assert len(trial(tmp_path, script, letter("hi"), *options, "--now", now)[1]["actions"]) == count
    assert trial(tmp_path, script, letter("hi"), "--from", "", "--to", FRED)[1]["actions"] == [], "the null sender"
