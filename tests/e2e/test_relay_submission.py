"""Submission of accounts that still live on a legacy platform: the platform knows the password, the mail goes our way."""
import smtplib

import pytest

import legacy
import relais

ADA = "ada@example.test"
MESSAGE = f"From: {ADA}\r\nTo: bob@example.test\r\nSubject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def front(tmp_path):
    with relais.running(tmp_path / "front") as platform:
        yield platform


def submits(front, password=relais.PASSWORD):
    with front.submission(ADA, password) as client:
        client.sendmail(ADA, "bob@example.test", MESSAGE)


def check(front, end):
    """The account is there, on platform `old`; `end` ends the platform."""
    front.add_account("bob")
    front.run("account", "add", ADA, "--legacy", "old")
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        submits(front, "wrong")
    assert refused.value.smtp_code == 535
    submits(front)
    with front.imap("bob@example.test") as client:
        assert client.select("INBOX")[1] == [b"1"]
    end()
    submits(front)  # remembered
    with pytest.raises(smtplib.SMTPAuthenticationError) as unknown:
        submits(front, "other")
    assert unknown.value.smtp_code == 454, "nobody can tell"


@pytest.mark.parametrize("service", ["imap", "pop3"])
@pytest.mark.parametrize("make", legacy.ALL, ids=lambda make: make.name)
def test_by_imap_or_pop3(front, make, service, tmp_path):
    with make(tmp_path / "old", tls="starttls") as old:
        old.add_user(ADA)
        front.run("legacy", "add", "old", f"--{service}", f"{old.host}:{getattr(old, service + '_port')}", "--tls", "starttls", "--ca-file",
                  str(old.authority.certificate))
        check(front, old.stop)


@pytest.mark.parametrize("service, tls", [("submission", "starttls"), ("submissions", "implicit")])
def test_by_submission(front, service, tls, tmp_path):
    old = relais.Platform(tmp_path / "old").init().start()
    try:
        old.add_account("ada")
        nobody = f"127.9.9.9:{relais.free_base_port()}"  # nothing listens there
        front.run("legacy", "add", "old", "--submission", f"{old.host}:{old.port(service)}", "--imap", nobody, "--tls", tls, "--no-verify")
        check(front, old.stop)
    finally:
        if old.process:
            old.stop()
