"""A test that fails because no answer came says whose turn it was."""

import pytest

from clients.device import Device


def assert_tells(text, server, account):
    assert f"the server of {server.directory}" in text
    assert "worker-0" in text, "the server's threads"
    assert f"127.0.0.1:{server.port['pop3']}" in text or f":{server.port['pop3']:04X}" in text, "its connections"
    assert "pop3.login" in text and account in text, "its log"


def test_a_raw_client_that_waits_in_vain(server, account):
    with server.login(account) as client:
        patience = client.socket.gettimeout()
        client.socket.settimeout(0.5)
        with pytest.raises(TimeoutError) as failure:
            client.line()
        client.socket.settimeout(patience)
        assert_tells(str(failure.value), server, account)
        client.quit()


def test_a_program_that_does_not_end(server, account, directory):
    with server.login(account) as client:
        with pytest.raises(AssertionError) as failure:
            Device(server, account, "", directory / "device").run("sh", "-c", "echo began; sleep 1000; true", seconds=5)
        text = str(failure.value)
        assert_tells(text, server, account)
        assert "began" in text and "(sh) state" in text and "(sleep) state" in text, "the client, and what it waits for"
        client.quit()
