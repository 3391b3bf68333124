"""Passwords that only a legacy platform knows: asked for there, by submission, and learned."""
import smtplib

import pytest

import legacy
import relais


@pytest.fixture
def old(tmp_path):
    with legacy.dovecot(tmp_path / "dovecot") as server:
        yield server


@pytest.fixture
def platform(tmp_path, old):
    platform = relais.Platform(tmp_path / "relais").init().start()
    platform.run("legacy", "add", "old", "--imap", f"{old.host}:{old.imap_port}", "--pop3", f"{old.host}:{old.pop3_port}", "--lmtp",
                 f"{old.host}:{old.lmtp_port}", "--tls", "none", "--learn-passwords")
    yield platform
    if platform.process:
        platform.stop()


def login_code(platform, address, password):
    try:
        platform.submission(address, password).quit()
        return 235
    except smtplib.SMTPAuthenticationError as refused:
        return refused.smtp_code


def known(platform, address):
    return platform.json("account", "show", address)["password"]


def test_submission_of_an_account_that_lives_on_the_platform(platform, old):
    address = old.add_user("ada@example.test", "of yesterday")
    platform.run("account", "add", address, "--legacy", "old")
    assert login_code(platform, address, "a guess") == 535
    assert known(platform, address) == "none"
    with platform.submission(address, "of yesterday") as client:
        client.sendmail(address, [address], f"From: {address}\r\nTo: {address}\r\nSubject: to myself\r\n\r\nx\r\n")
    relais.wait_until(lambda: known(platform, address) == "learned", "the password to be learned")
    relais.wait_until(lambda: old.imap(address).select("INBOX")[1] == [b"1"], "the message to arrive at the platform")
    old.set_password(address, "of today")
    assert login_code(platform, address, "of today") == 235, "the platform is the judge, whatever was learned"
    assert login_code(platform, address, "a guess") == 535


def test_a_platform_that_is_away_is_no_wrong_password(platform, old):
    address = old.add_user("ada@example.test", "secret")
    platform.run("account", "add", address, "--legacy", "old")
    old.stop()
    assert login_code(platform, address, "secret") == 454
    old.start()
    assert login_code(platform, address, "secret") == 235


def test_a_platform_without_imap_is_asked_by_pop3(platform, old):
    platform.run("legacy", "add", "old", "--pop3", f"{old.host}:{old.pop3_port}", "--tls", "none")
    address = old.add_user("ada@example.test", "secret")
    platform.run("account", "add", address, "--legacy", "old")
    assert login_code(platform, address, "secret") == 235
    assert login_code(platform, address, "a guess") == 535
    assert known(platform, address) == "none", "nobody asked for it to be learned"
