"""Guesses from many addresses, and who may still log in."""

import concurrent.futures
import itertools
import time

import pytest

import netns
from poplar_server import DOMAIN, PATIENCE, PASSWORD

_numbers = itertools.count(1)
HOME, SECOND_HOME, ABROAD, *STRANGERS = netns.sources(400)
BOB, CAROL = f"bob@{DOMAIN}", f"carol@{DOMAIN}"


def login(server, name, password, source):
    """The reply to PASS; a good login is ended again."""
    with server.pop3(source=source, timeout=120) as client:
        client.ok(b"USER " + name.encode())
        reply = client.command(b"PASS " + password.encode()).decode()
        if reply.startswith("+OK"):
            client.quit()
        return reply


def guess(server, attempts):
    """Logs in with [(name, source)] and a wrong password, each time another one, many at a time; the replies."""
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda attempt: login(server, attempt[0], f"guess {next(_numbers)}", attempt[1]), attempts))


@pytest.fixture
def server(crowd, make_server):
    server = make_server(auth={"allow_plaintext": "always", "longest_delay": "800ms"})
    for address in (BOB, CAROL):
        server.add_user(address)
    return server


def test_strangers_lock_nobody_out_of_where_they_are_at_home_also_when_the_server_starts_again(server):
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK")  # with a hash
    assert login(server, BOB, PASSWORD, SECOND_HOME).startswith("+OK")  # remembered
    everywhere = [(BOB, stranger) for stranger in STRANGERS[:60]]
    refused = guess(server, everywhere)
    assert {reply[:15] for reply in refused} <= {"-ERR [AUTH] wro", "-ERR [SYS/TEMP]"}
    for end in (server.stop, server.kill, None):
        for home in (HOME, SECOND_HOME):
            assert login(server, BOB, PASSWORD, home).startswith("+OK")
        assert not login(server, BOB, "wrong", ABROAD).startswith("+OK")
        if end:
            end()
            server.start()
            guess(server, everywhere)


def test_who_shares_an_address_with_a_guesser_gets_in_and_is_never_told_that_the_password_is_wrong(server):
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK")
    guess(server, [(f"user{i}@{DOMAIN}", HOME) for i in range(40)])
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK"), "he was here before"
    reply = login(server, CAROL, PASSWORD, HOME)
    assert reply.startswith(("+OK", "-ERR [SYS/TEMP]")), "she was not: she may have to wait"
    time.sleep(0.8)  # the longest delay, with nobody else waiting
    assert login(server, CAROL, PASSWORD, HOME).startswith("+OK")


def test_guesses_at_an_account_from_where_it_is_at_home_only_delay_it(server):
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK")
    guess(server, [(BOB, HOME)] * 60)
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK"), "it takes a turn"
    assert login(server, CAROL, PASSWORD, HOME).startswith("+OK")


def test_a_first_login_is_not_held_back_by_guesses_from_hundreds_of_addresses_or_by_one_user(server):
    variants = ["".join(("\u00ad" if bits >> i & 1 else "") + letter for i, letter in enumerate(PASSWORD[:8])) + PASSWORD[8:]
                for bits in range(1, 200)]

    def attack(i):
        if i % 2:
            return login(server, f"user{i}@{DOMAIN}", f"guess {i}", STRANGERS[i % len(STRANGERS)])
        return login(server, CAROL, variants[i // 2 % len(variants)], ABROAD)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        attacks = [pool.submit(attack, i) for i in range(600)]
        time.sleep(0.3)
        begun = time.monotonic()
        assert login(server, BOB, PASSWORD, HOME).startswith("+OK")
        took = time.monotonic() - begun
        for one in attacks:
            one.result()
    assert took < 10 * PATIENCE, "each of them had taken a hash once: half a minute"


def blocked(server):
    """{limit: [(account, from)]} of what is held up at present."""
    limits = {}
    for one in server.cli("blocked", "list")["blocked"]:
        limits.setdefault(one["limit"], []).append((one["account"], one["from"]))
    return limits


def test_a_telephone_with_the_old_password_holds_up_nobody(server):
    for _ in range(15):
        assert login(server, BOB, "of last year", ABROAD).startswith("-ERR [AUTH]")
    assert login(server, BOB, PASSWORD, ABROAD).startswith("+OK")
    assert blocked(server) == {}


def test_one_password_tried_at_everybody_is_slowed_down_and_told(server):
    names = [f"user{i}@{DOMAIN}" for i in range(9)] + [BOB]
    for name, source in zip(names, STRANGERS):
        assert login(server, name, "123456", source).startswith("-ERR [AUTH]")
    server.wait_log_match(r"auth\.guessing peer=\S+ network=\S+/24 limit=password ")
    limits = blocked(server)
    assert set(limits) == {"password"} and limits["password"][0][1].endswith(".0/24")
    server.cli("user", "password", CAROL, "--password-stdin", input="123456\n")
    begun = time.monotonic()
    login(server, CAROL, "123456", STRANGERS[20])
    assert time.monotonic() - begun > 0.09, "even the right one takes a turn: an eighth of the longest delay at least"


def test_one_account_tried_from_everywhere_is_told_and_can_be_released(crowd, make_server):
    server = make_server(auth={"allow_plaintext": "always", "longest_delay": "800ms", "failures_per_account": 20})
    server.add_user(BOB)
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK")
    guess(server, [(BOB, stranger) for stranger in STRANGERS[:60]])
    server.wait_log_match(r"auth\.guessing .*limit=account .*name=" + BOB)
    assert (BOB, "") in blocked(server)["account"]
    shown = server.run_cli("blocked", "list").stdout
    assert "NEXT ATTEMPT IN" in shown and BOB in shown
    assert login(server, BOB, PASSWORD, HOME).startswith("+OK"), "at home nobody notices"
    assert server.cli("blocked", "clear", BOB)["released"] >= 1
    assert "account" not in blocked(server)
    server.wait_log(f"admin.blocked_cleared who={BOB}")


def test_an_address_can_be_released(server):
    for i in range(20):
        login(server, f"user{i}@{DOMAIN}", f"guess {i}", ABROAD)
    assert ("", ABROAD) in blocked(server)["peer"]
    assert server.cli("blocked", "clear", ABROAD)["released"] == 1
    begun = time.monotonic()
    assert login(server, BOB, PASSWORD, ABROAD).startswith("+OK")
    assert blocked(server) == {} and time.monotonic() - begun < 2 * PATIENCE


def test_a_restart_forgets_no_limit(server):
    """The attack: wait until the server is started again, and guess on."""
    for i in range(20):
        login(server, f"user{i}@{DOMAIN}", f"guess {i}", ABROAD)
    server.stop()
    server.start()
    assert blocked(server) == {"peer": [("", ABROAD)]}
