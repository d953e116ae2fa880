"""Filters: scripts by the command line, what they do with mail that comes by LMTP and SMTP, and trials without a server."""

import contextlib
import json
import subprocess

import pytest

from outbound_world import wait_empty, wait_until
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
    assert server.cli("sieve", "put", FRED, "main", input=script) == {"valid": True, "errors": [], "warnings": []}
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


def test_what_is_probably_not_meant_is_told(server):
    (warning,) = server.cli("sieve", "check", FRED, input="stop;\nkeep;\n")["warnings"]
    assert (warning["line"], warning["column"]) == (2, 1) and '"stop" of line 1' in warning["message"]
    done = subprocess.run([BINARY, "--socket", server.config["admin_socket"], "sieve", "put", FRED, "main"],
                          input="stop;\nkeep;\n", capture_output=True, text=True)
    assert done.returncode == 0 and "warning: line 2, column 1" in done.stderr and "put main" in done.stdout


@pytest.mark.parametrize("script,line,column,words", [
    ("keep\n", 2, 1, "missing"),
    ('fileinto "x";', 1, 1, '"fileinto"'),
    ('redirect "nobody";', 1, 1, "address"),
    ('require "enotify";\nif true { notify "tel:1"; }', 2, 11, "tel"),
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


def test_lmtp_refuses_for_one_recipient_and_smtp_for_a_single_one(sending):
    server = sending.poplar
    server.add_user(JANE)
    put(server, 'require "ereject"; ereject "Not today.\nNor tomorrow.";')
    replies = deliver(server, letter("x"), FRED, JANE)
    assert [code for code, _ in replies] == [550, 250]
    assert "Not today." in str(replies[0]) and "Nor tomorrow." in str(replies[0])
    assert mail(server) == [] and len(mail(server, account=JANE)) == 1

    def by_smtp(*recipients):
        with server.smtp() as client:
            client.hello()
            client.expect(250, f"MAIL FROM:<{ANN}>".encode())
            for one in recipients:
                client.expect(250, f"RCPT TO:<{one}>".encode())
            client.data(letter("y"))
            return client.reply()[0]

    assert by_smtp(FRED) == 550 and mail(server) == []
    assert by_smtp(FRED, JANE) == 250, "one reply is for all: the others have got it"
    assert mail(server) == [] and len(mail(server, account=JANE)) == 2
    (told,) = sending.elsewhere.wait(1)
    assert told.sender == "" and told.recipients == (ANN,), "the sender hears of it by mail"
    assert b"Not today." in told.data and b"report-type=disposition-notification" in told.data


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


def test_a_trial_explains_each_test(tmp_path):
    script = 'if header :contains "subject" "ell" {\n    discard;\n}\nstop;\nkeep;\n'
    code, told = trial(tmp_path, script, letter("hello"), "--explain")
    assert code == 0 and told["trace"] == ['1:4: header: true, because "hello" contains "ell"', "2:5: discard", "4:1: stop"]
    assert [(one["line"], one["column"]) for one in told["warnings"]] == [(5, 1)]


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


# The administrator's scripts.


def common(server, place, name, script):
    assert server.cli("sieve", "common", "put", place, name, input=script)["valid"]


def test_scripts_of_the_administrator_run_around_those_of_users(server):
    for place in ("before", "after"):
        for name in ("all", DOMAIN):
            common(server, place, name, f'require "editheader"; addheader :last "X-Ran" "{place} {name}";')
    put(server, 'require "editheader"; addheader :last "X-Ran" "fred";')
    deliver(server, letter("one"))
    (octets,) = (octets for _, octets in server.fetch_all(FRED))
    ran = [line[7:].decode() for line in octets.split(b"\r\n") if line.startswith(b"X-Ran: ")]
    assert ran == ["before all", f"before {DOMAIN}", "fred", f"after {DOMAIN}", "after all"]
    assert [(one["place"], one["name"]) for one in server.cli("sieve", "common", "list")["scripts"]] == [
        ("before", "all"), ("before", DOMAIN), ("after", "all"), ("after", DOMAIN)]
    server.stop()
    server.start()
    deliver(server, letter("two"))
    assert server.fetch_all(FRED)[1][1].count(b"X-Ran: ") == 5, "they are stored"
    for place in ("before", "after"):
        for name in ("all", DOMAIN):
            server.cli("sieve", "common", "delete", place, name)
    deliver(server, letter("three"))
    assert server.fetch_all(FRED)[2][1].count(b"X-Ran: ") == 1


def test_users_include_scripts_of_the_library(server):
    put(server, 'require "include"; include :global "lists"; include :optional :global "none";')
    deliver(server, letter("early"))
    assert sorted(m["subject"] for m in mail(server)) == ["Your mail filter failed", "early"]
    common(server, "library", "lists", 'require ["fileinto", "mailbox"]; fileinto :create "Lists";')
    deliver(server, letter("late"))
    assert [m["subject"] for m in mail(server, "--mailbox", "Lists")] == ["late"]


def test_a_script_of_the_administrator_that_fails_is_told_in_the_log_alone(server):
    common(server, "before", "all", 'require "include"; include :global "gone";')
    put(server, 'require ["fileinto", "mailbox"]; fileinto :create "Work";')
    deliver(server, letter("one"))
    assert [m["subject"] for m in mail(server, "--mailbox", "Work")] == ["one"] and mail(server) == []
    server.wait_log_match("delivery.common_script_failed.*before/all.*gone")


def test_scripts_of_the_administrator_are_checked(server):
    done = subprocess.run([BINARY, "--socket", server.config["admin_socket"], "sieve", "common", "put", "before", "all"],
                          input="keep", capture_output=True, text=True)
    assert done.returncode == 1 and "line 1" in done.stderr
    for words, why in ((("put", "never", "all"), "no place"), (("put", "before", "typo.example"), "no domain"),
                       (("get", "before", "all"), "no script"), (("delete", "after", "all"), "no script")):
        with pytest.raises(CliError, match=why):
            server.cli("sieve", "common", *words, input="keep;")


# Mail that is there already.


def events(server, *words):
    done = subprocess.run([BINARY, "--socket", server.config["admin_socket"], "--json", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


OLD = """require ["fileinto", "mailbox", "imap4flags", "copy", "duplicate", "vacation", "editheader"];
if duplicate { discard; stop; }
if header "subject" "move" { fileinto :create "Work"; }
elsif header "subject" "copy" { fileinto :create :copy :flags "\\\\Flagged" "Work"; }
elsif header "subject" "drop" { discard; }
elsif header "subject" "seen" { addflag "\\\\Seen"; }
elsif header "subject" "away" { redirect "x@far.example"; }
elsif header "subject" "edit" { addheader "X-A" "b"; }
elsif header "subject" "none" { fileinto "None"; }
"""


def test_a_script_runs_over_mail_that_is_there(outbound):
    server = outbound.server()
    server.add_user(FRED)
    subjects = ["move", "copy", "drop", "seen", "away", "edit", "none", "keep"]
    for subject in subjects:
        deliver(server, letter(subject))
    before = {m["subject"]: m["unique_id"] for m in mail(server)}
    assert server.cli("sieve", "put", FRED, "old", input=OLD)["valid"]
    dry = events(server, "sieve", "run", FRED, "--script", "old", "--dry-run")
    assert [m["subject"] for m in mail(server)] == subjects, "nothing is done"
    with pytest.raises(CliError):
        server.cli("mail", "list", FRED, "--mailbox", "Work")
    ran = events(server, "sieve", "run", FRED, "--script", "old", "--mailbox", "INBOX")
    assert ran == dry, "and told the same"
    told = {one["message"]: (one.get("done"), one.get("skipped")) for one in ran if one["type"] == "message"}
    assert told == {
        before["move"]: (["fileinto Work"], None),
        before["copy"]: (["copy to Work", "flags \\Flagged"], None),
        before["drop"]: (["discard"], None),
        before["seen"]: (["flags \\Seen"], None),
        before["away"]: (None, ["redirect x@far.example"]),
        before["edit"]: (None, ["a change of the message"]),
        before["none"]: (None, ["fileinto None: there is no such mailbox"]),
    }
    assert ran[-1]["type"] == "done" and ran[-1]["looked_at"] == 8 and ran[-1]["discarded"] == 1
    assert [m["subject"] for m in mail(server)] == ["copy", "seen", "away", "edit", "none", "keep"]
    assert [m["subject"] for m in mail(server, "--mailbox", "Work")] == ["move", "copy"]
    assert {m["subject"]: m["unique_id"] for m in mail(server, "--mailbox", "Work")}["move"] == before["move"]
    server.cli("mail", "restore", FRED, before["drop"])
    assert "drop" in [m["subject"] for m in mail(server)]
    server.wait_log("admin.script_run")
    wait_empty(server)
    for words, why in ((("--script", "none"), "no script"), (("--script", "old", "--mailbox", "None"), "no mailbox")):
        with pytest.raises(CliError, match=why):
            server.cli("sieve", "run", FRED, *words)


def test_old_mail_is_archived_by_its_year(server):
    for subject in ("one", "two"):
        deliver(server, letter(subject))
    assert events(server, "archive", FRED, "--older", "1d", "--to", "Archive/{year}")[-1]["moved"] == 0
    assert len(mail(server)) == 2
    for words in (("--to", "Archive/{year}"), ("--older", "1s", "--to", "Archive/{years}"), ("--older", "1s", "--to", "")):
        with pytest.raises(CliError):
            server.cli("archive", FRED, *words)
    assert len(mail(server)) == 2


# What leaves.

ANN, FAR = "ann@elsewhere.example", "bob@far.example"


@pytest.fixture
def sending(outbound):
    """A server whose queue finds the hosts of far.example and elsewhere.example."""
    outbound.far, outbound.elsewhere = outbound.sink("far.example"), outbound.sink("elsewhere.example")
    outbound.poplar = outbound.server(forward={"srs_domain": "fwd.example.test"})
    outbound.poplar.add_user(FRED)
    return outbound


def header_of(taken):
    return taken.data.split(b"\r\n\r\n", 1)[0]


def test_redirect_goes_on_with_a_sender_that_bounces_find_their_way_by(sending):
    server = sending.poplar
    put(server, f'redirect "{FAR}";')
    assert deliver(server, letter("on"), sender=ANN)[0][0] == 250
    (taken,) = sending.far.wait(1)
    assert taken.recipients == (FAR,) and mail(server) == []
    assert taken.sender.startswith("SRS0=") and taken.sender.endswith("=elsewhere.example=ann@fwd.example.test")
    assert taken.data.endswith(letter("on"))
    assert f"Delivered-To: {FRED}".encode() in header_of(taken) and b"Return-Path" not in header_of(taken)
    with server.smtp() as client:  # what far.example would do
        client.hello()
        client.send_message("", [taken.sender], letter("bounce"))
        client.expect(250, b"MAIL FROM:<>")
        forged = taken.sender.replace("=ann@", "=eve@")
        client.expect(550, f"RCPT TO:<{forged}>".encode())
        client.expect(250, b"RSET")
        client.expect(250, b"MAIL FROM:<eve@elsewhere.example>")
        client.expect(550, f"RCPT TO:<{taken.sender}>".encode())  # no way for anything but bounces
    (bounce,) = sending.elsewhere.wait(1)
    assert bounce.sender == "" and bounce.recipients == (ANN,)


def test_a_copy_that_comes_back_goes_no_further(sending):
    server = sending.poplar
    put(server, f'redirect "{FAR}";')
    deliver(server, letter("round"), sender=ANN)
    (taken,) = sending.far.wait(1)
    assert deliver(server, taken.data, sender=ANN)[0][0] == 250
    assert [m["subject"] for m in mail(server)] == ["round"]
    server.wait_log("delivery.forward_loop")
    assert len(sending.far.taken) == 1


def test_an_alias_that_leads_elsewhere_has_such_a_sender_too(sending):
    server = sending.poplar
    server.cli("alias", "add", f"team@{DOMAIN}", FRED, FAR)
    deliver(server, letter("team"), f"team@{DOMAIN}", sender=ANN)
    (taken,) = sending.far.wait(1)
    assert taken.sender.endswith("=elsewhere.example=ann@fwd.example.test")
    assert [m["subject"] for m in mail(server)] == ["team"]


def test_redirect_to_an_account_here_is_brought_there(sending):
    server = sending.poplar
    server.add_user(JANE)
    put(server, f'require "copy"; redirect :copy "{JANE}";')
    deliver(server, letter("both"), sender=ANN)
    wait_until(lambda: mail(server, account=JANE), "no copy")
    assert [m["subject"] for m in mail(server)] == [m["subject"] for m in mail(server, account=JANE)] == ["both"]
    wait_empty(server)


def test_redirect_to_an_alias_here_that_leads_elsewhere_goes_there(sending):
    server = sending.poplar
    server.cli("alias", "add", f"away@{DOMAIN}", FAR)
    put(server, f'redirect "away@{DOMAIN}";')
    deliver(server, letter("on and on"), sender=ANN)
    (taken,) = sending.far.wait(1)
    assert taken.recipients == (FAR,) and taken.data.endswith(letter("on and on"))
    assert mail(server) == []
    wait_empty(server)


def test_vacation_answers_once_and_remembers_over_a_kill(sending):
    server = sending.poplar
    put(server, 'require ["vacation", "fcc"]; vacation :subject "Away" :fcc "Sent" "Gone.";')
    server.cli("mailbox", "list", FRED)
    assert deliver(server, letter("hi"), sender=ANN)[0][0] == 250
    (answer,) = sending.elsewhere.wait(1)
    assert answer.sender == "" and answer.recipients == (ANN,)
    assert b"Subject: Away" in answer.data and b"Auto-Submitted: auto-replied" in answer.data and b"Gone." in answer.data
    assert [m["subject"] for m in mail(server, "--mailbox", "Sent")] == ["Away"]
    server.kill()
    server.start()
    deliver(server, letter("again"), sender=ANN)
    deliver(server, b"List-Id: <x.elsewhere.example>\r\n" + letter("list"), sender="x@elsewhere.example")
    deliver(server, letter("null"), sender="")
    wait_empty(server)
    assert len(sending.elsewhere.taken) == 1 and len(mail(server)) == 4


def test_notify_sends_mail(sending):
    server = sending.poplar
    put(server, f'require "enotify"; notify :message "New mail" "mailto:{FAR}";')
    deliver(server, letter("hi"), sender=ANN)
    (taken,) = sending.far.wait(1)
    assert b"Subject: New mail" in taken.data and b"Auto-Submitted: auto-notified" in taken.data
    assert len(mail(server)) == 1


def test_forward_and_vacation_stay_apart_from_the_users_script(sending):
    server = sending.poplar
    put(server, 'require "fileinto"; if header "subject" "spam" { fileinto "Junk"; } elsif header "subject" "no" { discard; }')
    server.cli("mailbox", "list", FRED)
    assert server.cli("forward", FRED, "--to", FAR, "--keep") == {"to": [FAR], "keep": True}
    assert server.cli("forward", "show", FRED) == {"to": [FAR], "keep": True}
    server.cli("vacation", FRED, "--from", "2020-01-01", "--to", "2099-12-31", "--subject", "Away", input="Gone.\n.\n")
    shown = server.cli("vacation", "show", FRED)
    assert shown == {"from": "2020-01-01", "to": "2099-12-31", "subject": "Away", "text": "Gone.\n.\n"}
    assert [one["name"] for one in server.cli("sieve", "list", FRED)["scripts"]] == ["main"]
    for subject in ("spam", "no", "yes"):
        deliver(server, letter(subject), sender=ANN)
    (on,), (answer,) = sending.far.wait(1), sending.elsewhere.wait(1)
    assert b"Subject: yes" in on.data and b"Subject: Away" in answer.data
    assert [m["subject"] for m in mail(server)] == ["yes"]
    server.cli("vacation", FRED, "--from", "2090-01-01", input="Later.\n")
    server.cli("forward", FRED, "--to", FAR)
    deliver(server, letter("more"), sender="eve@elsewhere.example")
    assert b"Subject: more" in sending.far.wait(2)[1].data
    wait_empty(server)
    assert len(sending.elsewhere.taken) == 1 and [m["subject"] for m in mail(server)] == ["yes"]
    server.cli("forward", "off", FRED)
    server.cli("vacation", "off", FRED)
    with pytest.raises(CliError, match="nowhere"):
        server.cli("forward", "show", FRED)
    deliver(server, letter("last"), sender="eve@elsewhere.example")
    assert [m["subject"] for m in mail(server)] == ["yes", "last"]
    for wrong in (("--to", "nobody"), ()):
        with pytest.raises(CliError):
            server.cli("forward", FRED, *wrong)
    with pytest.raises(CliError, match="no day"):
        server.cli("vacation", FRED, "--from", "soon", input="x")


def test_what_is_redirected_and_filed_arrives_once_after_a_kill(sending):
    server = sending.poplar
    put(server, f'require ["fileinto", "copy", "mailbox"]; fileinto :create "Work"; redirect :copy "{FAR}";')
    sending.far.replies["MAIL"] = "450 4.2.1 later"
    expected = [f"n{n}" for n in range(5)]
    for subject in expected:
        assert deliver(server, letter(subject), sender=ANN)[0][0] == 250
    server.kill()
    sending.far.replies.clear()
    server.start()
    taken = sending.far.wait(len(expected))
    wait_empty(server)
    assert len(sending.far.taken) == len(expected)
    assert sorted(one.data.split(b"Subject: ")[1].split(b"\r\n")[0].decode() for one in taken) == expected
    assert [m["subject"] for m in mail(server, "--mailbox", "Work")] == expected and mail(server) == []


def test_what_only_goes_on_is_remembered_so_that_it_goes_on_once(sending):
    server = sending.poplar
    put(server, f'redirect "{FAR}";')
    for _ in range(2):  # the same octets twice, each to its end: two messages
        assert deliver(server, letter("on"), sender=ANN)[0][0] == 250
    wait_empty(server)
    assert len(sending.far.taken) == 2 and mail(server) == []


def test_two_accounts_that_redirect_to_each_other_end(sending):
    server = sending.poplar
    server.add_user(JANE)
    put(server, f'redirect "{JANE}";')
    server.cli("forward", JANE, "--to", FRED)
    deliver(server, letter("round"), sender=ANN)
    wait_until(lambda: mail(server), "the message is kept by nobody")
    wait_empty(server)
    assert [m["subject"] for m in mail(server)] == ["round"] and mail(server, account=JANE) == []


def test_messages_at_the_same_time_are_answered_once(sending):
    server = sending.poplar
    server.cli("vacation", FRED, "--subject", "Away", input="Gone.\n")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.lmtp()) for _ in range(8)]
        for n, client in enumerate(clients):
            client.hello()
            client.expect(250, f"MAIL FROM:<{ANN}>".encode())
            client.expect(250, f"RCPT TO:<{FRED}>".encode())
            client.expect(354, b"DATA")
            client.send(letter(f"n{n}"))
        for client in clients:
            client.send(b".\r\n")
        assert [client.reply()[0] for client in clients] == [250] * len(clients)
    sending.elsewhere.wait(1)
    wait_empty(server)
    assert len(mail(server)) == 8 and len(sending.elsewhere.taken) == 1


def test_an_answer_takes_no_fields_from_the_message_that_it_answers(sending):
    server = sending.poplar
    server.cli("vacation", FRED, input="Gone.\n")
    message = letter("=?utf-8?q?a=0D=0ABcc:_x=40far.example=0D=0A=0D=0Ab?=")
    message = b"Message-ID: <1@elsewhere.example>\r\n Bcc: <x@far.example>\r\n" + message
    assert deliver(server, message, sender=ANN)[0][0] == 250
    (answer,) = sending.elsewhere.wait(1)
    names = [line.split(b":")[0] for line in header_of(answer).split(b"\r\n") if line[:1] not in b" \t"]
    assert b"Bcc" not in names and names.count(b"Subject") == 1 and names.count(b"To") == 1
    wait_empty(server)
    assert sending.far.taken == []


def test_more_redirects_than_the_limit_keep_the_mail(sending):
    server = sending.poplar
    with pytest.raises(CliError, match="5 addresses at most"):
        server.cli("forward", FRED, *(word for n in range(6) for word in ("--to", f"x{n}@far.example")))
    put(server, "".join(f'redirect "x{n}@far.example";' for n in range(6)))
    assert deliver(server, letter("many"), sender=ANN)[0][0] == 250
    wait_empty(server)
    assert sorted(m["subject"] for m in mail(server)) == ["Your mail filter failed", "many"] and sending.far.taken == []
    put(server, f'redirect "{FAR}";')
    server.cli("forward", FRED, "--to", FAR)
    deliver(server, letter("one"), sender=ANN)
    sending.far.wait(1)
    wait_empty(server)
    assert [one.recipients for one in sending.far.taken] == [(FAR,)]
