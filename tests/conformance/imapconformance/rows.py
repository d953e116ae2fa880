"""The rows: letters that stand in a mailbox of their own, commands, and what must come of each."""

import dataclasses

PLAIN = (b"Date: Tue, 1 Dec 2026 23:30:00 -0500\r\nFrom: Ann <ann@example.test>\r\nTo: bob@example.test\r\n"
         b"Subject: plain\r\nMessage-ID: <plain@example.test>\r\nX-Empty:\r\n\r\nhello world\r\nsecond line\r\n")
MIXED = (b"From: a@example.test\r\nTo: group: b@example.test, c@example.test;\r\nSubject: mixed\r\nMIME-Version: 1.0\r\n"
         b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
         b"Content-Transfer-Encoding: base64\r\n\r\nR3LDvMOfZQ==\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
         b"From: in@example.test\r\nSubject: inner\r\n\r\ninside\r\n--b--\r\nepilogue\r\n")
OPEN_INSIDE = (b"Subject: open\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
               b"Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n\r\nx\r\n--out\r\n"
               b"Content-Type: image/png\r\n\r\ny\r\n--out--\r\n")
EIGHT_BIT = b"Subject: gr\xfc\xdfe\r\nFrom: a@example.test\r\n\r\nx\r\n"
HTML = b"Subject: html\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>caf&eacute; <b>bo</b>ld</p>\r\n"
REPLY = (b"Date: Wed, 2 Dec 2026 08:00:00 +0000\r\nFrom: bob@example.test\r\nSubject: Re: plain\r\nMessage-ID: <reply@example.test>\r\n"
         b"References: <plain@example.test>\r\n\r\nanswer\r\n")


@dataclasses.dataclass(frozen=True)
class Row:
    id: str
    title: str
    letters: tuple
    steps: tuple         # (command, status, patterns that some untagged response has, patterns that none has)
    needs: bytes = b""   # a capability


_rows = []


def row(section, title, letters, *steps, needs=b""):
    number = sum(one.id.startswith(section + "-") for one in _rows) + 1
    _rows.append(Row(f"{section}-{number:03}", title, letters, steps, needs))


def all_rows():
    return list(_rows)


def ok(command, *wanted, unwanted=()):
    return command, "OK", wanted, tuple(unwanted)


def bad(command):
    return command, "BAD", (), ()


def no(command):
    return command, "NO", (), ()


def refused(command):
    """NO or BAD: the RFC leaves it open."""
    return command, "NO|BAD", (), ()


def literal(octets):
    return rb"\{%d\}\r\n" % len(octets) + _escaped(octets)


def _escaped(octets):
    import re
    return re.escape(octets)


_HEADER = PLAIN[:PLAIN.index(b"\r\n\r\n") + 4]
_BODY = PLAIN[len(_HEADER):]

# Commands and their form.
for _command in (b"", b"XYZZY", b"NOOP x", b"CAPABILITY x", b"LOGOUT x", b"SELECT", b"SELECT ", b"SELECT a b", b"FETCH", b"FETCH 1",
                 b"FETCH 1 ()", b"FETCH 0 FLAGS", b"FETCH 1, FLAGS", b"FETCH ,1 FLAGS", b"FETCH 1: FLAGS", b"FETCH 1 FLAGS ",
                 b"FETCH  1 FLAGS", b"FETCH 1 FLAGS UID", b"FETCH 1 (FLAGS", b"FETCH 1 BODY[", b"FETCH 1 BODY[0]", b"FETCH 1 BODY[1.]",
                 b"FETCH 1 BODY[.1]", b"FETCH 1 BODY[MIME]", b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 BODY[HEADER.FIELDS ()]",
                 b"FETCH 1 BODY[]<0.0>", b"FETCH 1 BODY[]<1>", b"FETCH 1 NOSUCH", b"STORE 1 FLAGS", b"STORE 1 FLAGS (\\Seen",
                 b"STORE 1 \\Seen", b"COPY 1", b"SEARCH", b"SEARCH NOSUCH", b"SEARCH ALL ", b"SEARCH NOT", b"SEARCH OR SEEN",
                 b"SEARCH (SEEN", b"SEARCH ON 1-Foo-2026", b"SEARCH UID x", b"SEARCH LARGER x", b"SEARCH HEADER x",
                 b"UID", b"UID NOOP", b"UID FETCH", b"STATUS INBOX", b"STATUS INBOX ()", b"STATUS INBOX (NOSUCH)", b"LIST \"\"", b"CREATE",
                 b"RENAME a", b"EXPUNGE 1", b"CLOSE x", b"IDLE x"):
    row("RFC9051-7.1.3", f"{_command.decode()!r} is refused as bad", (PLAIN,), bad(_command), ok(b"NOOP"))
row("RFC9051-2.2.1", "commands are in any case", (PLAIN,), ok(b"noop"), ok(b"fEtCh 1 flags", rb"FETCH \(FLAGS"))

# FETCH.
row("RFC9051-6.4.5", "FAST is FLAGS INTERNALDATE RFC822.SIZE", (PLAIN,), ok(b"FETCH 1 FAST", rb"RFC822\.SIZE %d\b" % len(PLAIN), rb"INTERNALDATE", rb"FLAGS"))
row("RFC9051-6.4.5", "ALL has ENVELOPE, FULL has BODY", (PLAIN,), ok(b"FETCH 1 ALL", rb"ENVELOPE"), ok(b"FETCH 1 FULL", rb"ENVELOPE", rb"BODY \("))
row("RFC9051-6.4.5", "a macro stands alone", (PLAIN,), bad(b"FETCH 1 (ALL)"), bad(b"FETCH 1 (UID FAST)"))
for _item, _answer in ((b"BODY[]", PLAIN), (b"BODY[HEADER]", _HEADER), (b"BODY[TEXT]", _BODY), (b"BODY[1]", _BODY),
                       (b"BODY[]<3.5>", PLAIN[3:8]), (b"BODY[TEXT]<6.999>", _BODY[6:]),
                       (b"BODY[HEADER.FIELDS (subject)]", b"Subject: plain\r\n\r\n"),
                       (b"BODY[HEADER.FIELDS (Subject X-Empty None)]", b"Subject: plain\r\nX-Empty:\r\n\r\n"),
                       (b"BODY[HEADER.FIELDS.NOT (Date From To Subject Message-ID)]", b"X-Empty:\r\n\r\n")):
    row("RFC9051-6.4.5", f"{_item.decode()} is what it says", (PLAIN,), ok(b"FETCH 1 " + _item.replace(b"BODY", b"BODY.PEEK"), literal(_answer)))
row("RFC9051-6.4.5", "beyond the end is an empty string", (PLAIN,), ok(b"FETCH 1 BODY.PEEK[]<99999.5>", rb'BODY\[\]<99999> (""|\{0\})'))
row("RFC9051-6.4.5", "BODY[] sets \\Seen and tells, BODY.PEEK[] does not", (PLAIN,),
    ok(b"FETCH 1 BODY.PEEK[]", rb"BODY\[\]", unwanted=[rb"Seen"]), ok(b"FETCH 1 FLAGS", unwanted=[rb"Seen"]),
    ok(b"FETCH 1 BODY[TEXT]"), ok(b"FETCH 1 FLAGS", rb"\\Seen"))
row("RFC9051-6.4.5", "UID FETCH always has UID", (PLAIN,), ok(b"UID FETCH 1:* FLAGS", rb"UID \d"))
row("RFC9051-6.4.5", "a UID that no message has is passed over", (PLAIN,), ok(b"UID FETCH 4000000000 FLAGS", unwanted=[rb"FETCH"]))
row("RFC9051-9", "`*` may be the smaller end", (PLAIN, REPLY), ok(b"UID FETCH 4000000000:* UID", rb"^\* 2 FETCH", unwanted=[rb"^\* 1 FETCH"]))
row("RFC9051-6.4.5.1", "parts have numbers", (MIXED,), ok(b"FETCH 1 BODY.PEEK[1]", literal(b"R3LDvMOfZQ==")),
    ok(b"FETCH 1 BODY.PEEK[2]", literal(b"From: in@example.test\r\nSubject: inner\r\n\r\ninside")),
    ok(b"FETCH 1 BODY.PEEK[2.HEADER]", literal(b"From: in@example.test\r\nSubject: inner\r\n\r\n")),
    ok(b"FETCH 1 BODY.PEEK[2.TEXT]", literal(b"inside")), ok(b"FETCH 1 BODY.PEEK[2.1]", literal(b"inside")))
row("RFC9051-6.4.5.1", "MIME is a part's header", (MIXED,), ok(b"FETCH 1 BODY.PEEK[2.MIME]", literal(b"Content-Type: message/rfc822\r\n\r\n")))
row("RFC9051-6.4.5.1", "a part that is not there", (MIXED,), ok(b"FETCH 1 BODY.PEEK[3]", rb'BODY\[3\] (NIL|""|\{0\})'),
    ok(b"FETCH 1 BODY.PEEK[1.1]", rb'BODY\[1\.1\] (NIL|""|\{0\})'))
row("RFC9051-7.5.2", "an inner multipart without end swallows no outer part", (OPEN_INSIDE,),
    ok(b"FETCH 1 BODYSTRUCTURE", rb'(?i)"alternative".*"image" "png".*"mixed"'), ok(b"FETCH 1 BODY.PEEK[2]", literal(b"y")))
row("RFC9051-7.5.2", "8-bit octets of headers are kept", (EIGHT_BIT,), ok(b"FETCH 1 BODY.PEEK[HEADER]", rb"gr\xfc\xdfe"))
row("RFC9051-7.5.2", "Sender and Reply-To are From's where there are none", (PLAIN,),
    ok(b"FETCH 1 ENVELOPE", rb'(\(\("Ann" NIL "ann" "example\.test"\)\) ){3}\(\(NIL NIL "bob" "example\.test"\)\) NIL NIL NIL "<plain@'))
row("RFC9051-7.5.2", "a group has a beginning and an end", (MIXED,),
    ok(b"FETCH 1 ENVELOPE", rb'\(NIL NIL "group" NIL\)\(NIL NIL "b" "example\.test"\)\(NIL NIL "c" "example\.test"\)\(NIL NIL NIL NIL\)'))
row("RFC9051-7.5.2", "a message without a type is plain text in us-ascii", (PLAIN,),
    ok(b"FETCH 1 BODY", rb'(?i)BODY \("text" "plain" \("charset" "us-ascii"\) NIL NIL "7bit" %d 2\)' % len(_BODY)))
row("RFC3516-4.3", "BINARY is without its transfer encoding", (MIXED,), ok(b"FETCH 1 BINARY.PEEK[1]", rb"\{7\}\r\nGr\xc3\xbc\xc3\x9fe"),
    ok(b"FETCH 1 BINARY.SIZE[1]", rb"BINARY\.SIZE\[1\] 7\b"), bad(b"FETCH 1 BINARY[TEXT]"), needs=b"BINARY")
row("RFC8970-3.1", "a preview is text that people read", (PLAIN, HTML), ok(b"FETCH 1:2 PREVIEW", rb"hello world", rb"caf\xc3\xa9 bold"), needs=b"PREVIEW")
row("RFC8474-4.2", "MAILBOXID, EMAILID and THREADID are told", (PLAIN,), ok(b"FETCH 1 (EMAILID THREADID)", rb"EMAILID \("), needs=b"OBJECTID")
row("RFC8514-4.1", "SAVEDATE is told", (PLAIN,), ok(b"FETCH 1 SAVEDATE", rb"SAVEDATE"), needs=b"SAVEDATE")
row("RFC7162-3.1.4", "MODSEQ is told", (PLAIN,), ok(b"FETCH 1 MODSEQ", rb"MODSEQ \([1-9]"), needs=b"CONDSTORE")

# STORE, COPY, EXPUNGE.
row("RFC9051-6.4.6", "flags are set, added and taken away", (PLAIN,), ok(b"STORE 1 FLAGS (\\Seen)", rb"\\Seen"),
    ok(b"STORE 1 +FLAGS (\\Flagged kw)", rb"\\Flagged"), ok(b"STORE 1 -FLAGS \\Seen", rb"kw", unwanted=[rb"Seen"]),
    ok(b"FETCH 1 FLAGS", rb"Flagged", unwanted=[rb"Seen"]))
row("RFC9051-6.4.6", ".SILENT is silent", (PLAIN,), ok(b"STORE 1 +FLAGS.SILENT (\\Flagged)", unwanted=[rb"FETCH \(FLAGS"]), ok(b"FETCH 1 FLAGS", rb"Flagged"))
row("RFC9051-6.4.6", "\\Recent can't be set", (PLAIN,), refused(b"STORE 1 FLAGS (\\Nosuch)"))
row("RFC9051-6.4.3", "EXPUNGE removes what is \\Deleted", (PLAIN, REPLY), ok(b"STORE 1 +FLAGS.SILENT \\Deleted"), ok(b"EXPUNGE", rb"1 EXPUNGE"),
    ok(b"FETCH 1 BODY.PEEK[TEXT]", rb"answer"), refused(b"FETCH 2 FLAGS"))
row("RFC9051-6.4.9", "UID EXPUNGE removes only what is named", (PLAIN, REPLY), ok(b"STORE 1:2 +FLAGS.SILENT \\Deleted"),
    ok(b"UID EXPUNGE 4000000000", unwanted=[rb"EXPUNGE"]), ok(b"EXPUNGE", rb"EXPUNGE"), needs=b"UIDPLUS")
row("RFC9051-6.4.7", "COPY to where nothing is says TRYCREATE", (PLAIN,), (b"COPY 1 nowhere/at/all", "NO", (rb"TRYCREATE",), ()))
row("RFC9051-6.3.3", "nothing changes in a mailbox that was only examined", (PLAIN,), ok(b"EXAMINE {mailbox}"), refused(b"STORE 1 +FLAGS \\Seen"),
    ok(b"FETCH 1 BODY[]"), ok(b"FETCH 1 FLAGS", unwanted=[rb"\\Seen"]), refused(b"MOVE 1 INBOX"), refused(b"EXPUNGE"))

# SEARCH.
for _key, _found in ((b"ALL", b"1 2"), (b"1", b"1"), (b"*", b"2"), (b"UID 1:*", b"1 2"), (b"SUBJECT RE:", b"2"), (b"FROM ann", b"1"),
                     (b"TO bob", b"1"), (b"BODY WORLD", b"1"), (b"TEXT plain", b"1 2"), (b"HEADER X-Empty \"\"", b"1"),
                     (b"HEADER Message-ID plain", b"1"), (b"NOT FROM ann", b"2"), (b"OR FROM ann FROM bob", b"1 2"), (b"(FROM ann SUBJECT plain)", b"1"),
                     (b"SENTON 1-Dec-2026", b"1"), (b"SENTSINCE 2-Dec-2026", b"2"), (b"SENTBEFORE 2-Dec-2026", b"1"), (b"UNSEEN", b"1 2"),
                     (b"SEEN", b""), (b"LARGER 169", b"1"), (b"SMALLER 10", b""), (b"BODY nowhere", b""), (b"SINCE \"1-Jan-2020\"", b"1 2"),
                     (b"BEFORE 1-Jan-2020", b""), (b"CHARSET UTF-8 SUBJECT plain", b"1 2"), (b"UNKEYWORD nokeyword", b"1 2")):
    row("RFC9051-6.4.4", f"SEARCH {_key.decode()}", (PLAIN, REPLY), ok(b"SEARCH " + _key, rb"^\* SEARCH" + (b" " + _found if _found else b"") + rb"$"))
row("RFC9051-6.4.4", "HTML is searched as text", (HTML,), ok(b'SEARCH CHARSET UTF-8 BODY {4+}\r\nbold', rb"^\* SEARCH 1$"), ok(b"SEARCH BODY eacute", rb"^\* SEARCH$"), needs=b"LITERAL+")
row("RFC9051-6.4.4", "encoded bodies are searched decoded", (MIXED,), ok(b"SEARCH BODY R3LDv", rb"^\* SEARCH$"), ok(b"SEARCH BODY inside", rb"^\* SEARCH 1$"))
row("RFC9051-6.4.4", "a charset that is not known is BADCHARSET", (PLAIN,), (b"SEARCH CHARSET x-nonsense ALL", "NO", (rb"BADCHARSET",), ()))
row("RFC4731-3.1", "RETURN (MIN MAX COUNT ALL)", (PLAIN, REPLY), ok(b"SEARCH RETURN (MIN MAX COUNT ALL) ALL", rb"ESEARCH .*MIN 1\b", rb"MAX 2\b", rb"COUNT 2\b", rb"ALL 1:2\b"), needs=b"ESEARCH")
row("RFC4731-3.1", "nothing found has COUNT alone", (PLAIN,), ok(b"SEARCH RETURN (MIN MAX COUNT) SEEN", rb"COUNT 0", unwanted=[rb"MIN", rb"MAX"]), needs=b"ESEARCH")
row("RFC5032-2", "OLDER and YOUNGER", (PLAIN,), ok(b"SEARCH YOUNGER 3600", rb"^\* SEARCH 1$"), ok(b"SEARCH OLDER 3600", rb"^\* SEARCH$"), bad(b"SEARCH YOUNGER 0"), needs=b"WITHIN")
row("RFC5182-2.1", "a result is saved and used", (PLAIN, REPLY), ok(b"SEARCH RETURN (SAVE) FROM bob"), ok(b"FETCH $ UID", rb"^\* 2 FETCH", unwanted=[rb"^\* 1 FETCH"]), needs=b"SEARCHRES")

# SORT and THREAD.
for _by, _order in ((b"SUBJECT", b"1 2"), (b"REVERSE DATE", b"2 1"), (b"FROM", b"1 2"), (b"SIZE", b"2 1"), (b"ARRIVAL", b"1 2"), (b"CC", b"1 2")):
    row("RFC5256-3", f"SORT by {_by.decode()}", (PLAIN, REPLY), ok(b"SORT (" + _by + b") UTF-8 ALL", rb"^\* SORT " + _order + rb"$"), needs=b"SORT")
for _command in (b"SORT () UTF-8 ALL", b"SORT (NOSUCH) UTF-8 ALL", b"SORT (DATE) ALL", b"SORT (REVERSE) UTF-8 ALL", b"SORT (DATE) UTF-8"):
    row("RFC5256-3", f"{_command.decode()!r} is refused", (PLAIN,), refused(_command), needs=b"SORT")
row("RFC5256-3", "THREAD by references", (PLAIN, REPLY), ok(b"THREAD REFERENCES UTF-8 ALL", rb"^\* THREAD \(1 2\)$"), needs=b"THREAD=REFERENCES")
row("RFC5256-3", "THREAD by subject", (PLAIN, REPLY, MIXED), ok(b"THREAD ORDEREDSUBJECT UTF-8 ALL", rb"\(1 2\)"), needs=b"THREAD=ORDEREDSUBJECT")
row("RFC5256-3", "no messages, no threads", (PLAIN,), ok(b"THREAD REFERENCES UTF-8 SEEN", rb"^\* THREAD ?$"), needs=b"THREAD=REFERENCES")

# Subscriptions, and what is kept of mailboxes.
row("RFC9051-6.3.5", "a subscription outlives its mailbox", (PLAIN,), ok(b"CREATE {mailbox}/gone"), ok(b"SUBSCRIBE {mailbox}/gone"),
    ok(b"DELETE {mailbox}/gone"), ok(b"LSUB \"\" {mailbox}/*", rb"^\* LSUB .*/gone"), ok(b"UNSUBSCRIBE {mailbox}/gone"),
    ok(b"LSUB \"\" {mailbox}/*", unwanted=[rb"LSUB"]))
row("RFC5258-3.1", "a lost subscription is told as \\NonExistent", (PLAIN,), ok(b"CREATE {mailbox}/gone"), ok(b"SUBSCRIBE {mailbox}/gone"),
    ok(b"DELETE {mailbox}/gone"), ok(b"LIST (SUBSCRIBED) \"\" {mailbox}/*", rb"(?i)^\* LIST \([^)]*\\NonExistent[^)]*\) .*/gone"),
    ok(b"LIST \"\" {mailbox}/*", unwanted=[rb"gone"]), ok(b"UNSUBSCRIBE {mailbox}/gone"), needs=b"LIST-EXTENDED")
for _mailbox in (b"{mailbox}", b'""'):
    row("RFC5464-4.3", f"an annotation of {_mailbox.decode()} is kept, changed and removed", (PLAIN,),
        ok(b"SETMETADATA " + _mailbox + b" (/private/comment {3+}\r\none)"), ok(b"GETMETADATA " + _mailbox + b" /private/comment", rb'(?i)METADATA .*/private/comment ("one"|\{3\}\r\none)'),
        ok(b'SETMETADATA ' + _mailbox + b' (/PRIVATE/COMMENT "two")'),
        ok(b"GETMETADATA " + _mailbox + b" /private/comment", rb"two"), ok(b"SETMETADATA " + _mailbox + b" (/private/comment NIL)"),
        ok(b"GETMETADATA " + _mailbox + b" /private/comment", unwanted=[rb"two"]), needs=b"METADATA")
row("RFC5464-4.2.2", "DEPTH has those below", (PLAIN,), ok(b'SETMETADATA {mailbox} (/private/vendor/x/a "1" /private/vendor/x/a/b "2")'),
    ok(b"GETMETADATA (DEPTH 1) {mailbox} /private/vendor/x", rb"x/a ", unwanted=[rb"a/b"]),
    ok(b"GETMETADATA (DEPTH infinity) {mailbox} /private/vendor/x", rb"a/b"), needs=b"METADATA")
row("RFC5464-4.2.1", "MAXSIZE leaves out what is larger", (PLAIN,), ok(b'SETMETADATA {mailbox} (/private/comment "four")'),
    ok(b"GETMETADATA (MAXSIZE 3) {mailbox} /private/comment", rb"\[METADATA LONGENTRIES 4\]", unwanted=[rb"four"]), needs=b"METADATA")
for _command in (b"GETMETADATA {mailbox}", b"GETMETADATA {mailbox} /private/%", b"GETMETADATA {mailbox} /private//x", b"GETMETADATA {mailbox} comment",
                 b"SETMETADATA {mailbox} /private/comment x", b"SETMETADATA {mailbox} (/private/comment)", b"SETMETADATA {mailbox} ()"):
    row("RFC5464-5", f"{_command.decode()!r} is refused", (PLAIN,), refused(_command), ok(b"NOOP"), needs=b"METADATA")
row("RFC5464-4.3", "a mailbox that is not there has none", (PLAIN,), no(b'SETMETADATA {mailbox}/nowhere (/private/comment "x")'),
    no(b"GETMETADATA {mailbox}/nowhere /private/comment"), needs=b"METADATA")

# APPEND of several, of parts, and in the place of another.
row("RFC3502-6.3.11", "several messages are appended by one command", (PLAIN,),
    ok(b"APPEND {mailbox} {3+}\r\nabc (\\Flagged) {4+}\r\ndefg", rb"^\* 3 EXISTS$"), ok(b"FETCH 2:3 FLAGS", rb"^\* 3 FETCH .*Flagged"),
    ok(b"FETCH 2 FLAGS", unwanted=[rb"Flagged"]), needs=b"MULTIAPPEND")
row("RFC3502-6.3.11", "their UIDs are told as a set", (PLAIN,), ok(b"APPEND {mailbox} {3+}\r\nabc {4+}\r\ndefg", rb"OK \[APPENDUID [1-9]\d* 2:3\]"), needs=b"MULTIAPPEND")
row("RFC3502-6.3.11", "a message without octets takes all of them back", (PLAIN,), no(b"APPEND {mailbox} {3+}\r\nabc {0+}\r\n"),
    ok(b"NOOP", unwanted=[rb"EXISTS"]), ok(b"STATUS {mailbox} (MESSAGES)", rb"MESSAGES 1\b"), needs=b"MULTIAPPEND")
for _rest in (b" ", b" x", b" (", b" (\\Seen)", b" NIL {1+}\r\nx"):
    row("RFC3502-6.3.11", f"{_rest.decode()!r} behind a message is refused", (PLAIN,), bad(b"APPEND {mailbox} {3+}\r\nabc" + _rest),
        ok(b"STATUS {mailbox} (MESSAGES)", rb"MESSAGES 1\b"), needs=b"MULTIAPPEND")
_SUBJECT = b"Subject: plain\r\n\r\n"
row("RFC4469-3", "a message is made of parts of others and of text", (PLAIN,),
    ok(b"APPEND {mailbox} CATENATE (URL \"/{mailbox}/;UID=1/;SECTION=HEADER.FIELDS%20(Subject)\" TEXT {5+}\r\nnew\r\n URL \"/{mailbox}/;UID=1/;SECTION=TEXT\")"),
    ok(b"FETCH 2 BODY.PEEK[]", literal(_SUBJECT + b"new\r\n" + _BODY)), needs=b"CATENATE")
row("RFC4469-3", "a URL in the selected mailbox needs no name", (PLAIN,), ok(b"APPEND {mailbox} CATENATE (URL \";UID=1\")"),
    ok(b"FETCH 2 BODY.PEEK[]", literal(PLAIN)), needs=b"CATENATE")
row("RFC4469-3", "\\Seen is not set by it", (PLAIN,), ok(b"APPEND {mailbox} CATENATE (URL \"/{mailbox}/;UID=1\")"), ok(b"FETCH 1 FLAGS", unwanted=[rb"Seen"]), needs=b"CATENATE")
for _url in (b"/{mailbox}/;UID=99", b"/{mailbox}/nowhere/;UID=1", b"/{mailbox}/;UID=1/;SECTION=9", b"/{mailbox}", b"http://example.test/", b"/{mailbox};UIDVALIDITY=1/;UID=1"):
    row("RFC4469-4.1", f"{_url.decode()} is BADURL", (PLAIN,), (b'APPEND {mailbox} CATENATE (URL "' + _url + b'")', "NO", (rb"NO \[BADURL ",), ()),
        ok(b"NOOP", unwanted=[rb"EXISTS"]), needs=b"CATENATE")
for _parts in (b"()", b"(TEXT)", b"(URL)", b"(TEXT {1+}\r\nx", b"TEXT {1+}\r\nx", b"(URL a URL)"):
    row("RFC4469-5", f"CATENATE {_parts.decode()!r} is refused", (PLAIN,), bad(b"APPEND {mailbox} CATENATE " + _parts), ok(b"NOOP", unwanted=[rb"EXISTS"]), needs=b"CATENATE")
row("RFC8508-3.2", "a message takes the place of another", (PLAIN, REPLY), ok(b"REPLACE 1 {mailbox} (\\Draft) {3+}\r\nabc", rb"1 EXPUNGE"),
    ok(b"FETCH 1:2 (FLAGS BODY.PEEK[TEXT])", rb"answer", rb"Draft"), ok(b"STATUS {mailbox} (MESSAGES)", rb"MESSAGES 2\b"), needs=b"REPLACE")
row("RFC8508-4.3", "APPENDUID comes before the EXPUNGE", (PLAIN,), ok(b"UID REPLACE 1 {mailbox} {3+}\r\nabc", rb"^\* OK \[APPENDUID [1-9]\d* 2\]"), needs=b"REPLACE")
row("RFC8508-3.4", "nothing is lost if the new one can't be stored", (PLAIN,), (b"REPLACE 1 {mailbox}/nowhere {3+}\r\nabc", "NO", (rb"TRYCREATE",), ()),
    no(b"REPLACE 1 {mailbox} {0+}\r\n"), ok(b"FETCH 1 BODY.PEEK[]", literal(PLAIN)), needs=b"REPLACE")
for _command in (b"REPLACE 1:2 {mailbox} {1+}\r\nx", b"REPLACE 0 {mailbox} {1+}\r\nx", b"REPLACE 9 {mailbox} {1+}\r\nx", b"REPLACE 1 {mailbox}",
                 b"REPLACE 1 {mailbox} {1+}\r\nx {1+}\r\ny", b"UID REPLACE 99 {mailbox} {1+}\r\nx"):
    row("RFC8508-5", f"{_command.decode()!r} is refused", (PLAIN, REPLY), refused(_command), ok(b"STATUS {mailbox} (MESSAGES)", rb"MESSAGES 2\b"), needs=b"REPLACE")

# Parts of results.
for _range, _answer in ((b"1:2", rb"\(1:2 1:2\)"), (b"2:2", rb"\(2:2 2\)"), (b"3:2", rb"\((3:2|2:3) 2:3\)"), (b"-1:-2", rb"\(-1:-2 2:3\)"),
                        (b"3:9", rb"\(3:9 3\)"), (b"4:9", rb"\(4:9 NIL\)"), (b"-4:-9", rb"\(-4:-9 NIL\)")):
    row("RFC9394-3.1", f"PARTIAL {_range.decode()}", (PLAIN, REPLY, MIXED), ok(b"SEARCH RETURN (PARTIAL " + _range + b") ALL", rb"ESEARCH .*PARTIAL " + _answer), needs=b"PARTIAL")
row("RFC9394-3.2", "a part that is saved", (PLAIN, REPLY, MIXED), ok(b"SEARCH RETURN (SAVE PARTIAL -1:-1 MIN) ALL"),
    ok(b"FETCH $ UID", rb"^\* 1 FETCH", rb"^\* 3 FETCH", unwanted=[rb"^\* 2 FETCH"]), needs=b"PARTIAL")
row("RFC9394-3.3", "UID FETCH of the last", (PLAIN, REPLY, MIXED), ok(b"UID FETCH 1:* FLAGS (PARTIAL -1:-2)", rb"^\* 2 FETCH", rb"^\* 3 FETCH", unwanted=[rb"^\* 1 FETCH"]), needs=b"PARTIAL")
for _range in (b"0:1", b"1:*", b"1", b"-1:2", b"1:-2", b""):
    row("RFC9394-4", f"PARTIAL {_range.decode()!r} is refused", (PLAIN,), bad(b"SEARCH RETURN (PARTIAL " + _range + b") ALL"), needs=b"PARTIAL")
row("RFC9394-3.1", "PARTIAL stands beside no ALL", (PLAIN,), bad(b"SEARCH RETURN (ALL PARTIAL 1:2) ALL"), needs=b"PARTIAL")

# Compression, and UIDs alone.
row("RFC4978-3", "all behind the OK is compressed", (PLAIN,), ok(b"COMPRESS DEFLATE"), ok(b"FETCH 1 BODY.PEEK[]", literal(PLAIN)), refused(b"COMPRESS DEFLATE"),
    ok(b"NOOP"), needs=b"COMPRESS=DEFLATE")
row("RFC4978-3", "an unknown mechanism is bad", (PLAIN,), bad(b"COMPRESS NOSUCH"), bad(b"COMPRESS"), ok(b"NOOP"), needs=b"COMPRESS=DEFLATE")
row("RFC9586-3.1", "no message number is told", (PLAIN, REPLY), ok(b"ENABLE UIDONLY", rb"ENABLED.*UIDONLY"), ok(b"UID FETCH 1:* FLAGS", rb"^\* 1 UIDFETCH", rb"^\* 2 UIDFETCH"),
    ok(b"UID STORE 1 +FLAGS (\\Deleted)", rb"^\* 1 UIDFETCH"), ok(b"UID EXPUNGE 1", rb"^\* VANISHED 1$"), ok(b"UID SEARCH RETURN (ALL) ALL", rb"ESEARCH .*UID ALL 2$"), needs=b"UIDONLY")
for _command in (b"FETCH 1 FLAGS", b"STORE 1 FLAGS ()", b"SEARCH ALL", b"UID SEARCH 1", b"UID SEARCH NOT *", b"COPY 1 INBOX", b"MOVE 1 INBOX"):
    row("RFC9586-3", f"{_command.decode()!r} is refused then", (PLAIN,), ok(b"ENABLE UIDONLY"), (_command, "BAD", (rb"\[UIDREQUIRED\]",), ()), needs=b"UIDONLY")

# Events. They are the session's own here, which a server may tell of or not.
row("RFC5465-3", "events are wanted, and not any more", (PLAIN,), ok(b"NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (mailboxes INBOX (MessageNew MessageExpunge))"),
    ok(b"UID FETCH 1 FLAGS", rb"FETCH"), ok(b"NOTIFY NONE"), ok(b"NOOP", unwanted=[rb"EXISTS"]), needs=b"NOTIFY")
row("RFC5465-3", "SET STATUS tells how all are", (PLAIN,), ok(b"CREATE {mailbox}/x"), ok(b"NOTIFY SET STATUS (subtree {mailbox} (MessageNew MessageExpunge))", rb"^\* STATUS .*/x .*MESSAGES 0"),
    ok(b"DELETE {mailbox}/x"), needs=b"NOTIFY")
row("RFC5465-3", "an event that there is not is BADEVENT", (PLAIN,), (b"NOTIFY SET (personal (MailboxName NoSuchEvent))", "NO", (rb"\[BADEVENT \(.*MessageNew.*\)\]",), ()), needs=b"NOTIFY")
row("RFC5465-3", "a message that comes to the selected mailbox is told with its items", (PLAIN,), ok(b"NOTIFY SET (selected (MessageNew (UID) MessageExpunge))"),
    ok(b"APPEND {mailbox} {3+}\r\nabc", rb"^\* 2 EXISTS$"), ok(b"NOOP"), needs=b"NOTIFY")
for _command in (b"NOTIFY", b"NOTIFY SET", b"NOTIFY SET (selected (MessageNew))", b"NOTIFY SET (selected (FlagChange))", b"NOTIFY SET (selected (MailboxName))",
                 b"NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", b"NOTIFY SET (selected NONE) (selected NONE)", b"NOTIFY SET (subtree (MailboxName))", b"NOTIFY NONE x"):
    row("RFC5465-8", f"{_command.decode()!r} is refused", (PLAIN,), bad(_command), ok(b"NOOP"), needs=b"NOTIFY")
