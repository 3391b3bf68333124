"""Relais and OpenSMTPD send each other mail."""
import pytest

import relais
from internet import here, internet  # noqa: F401
from mta import OpenSmtpd, our_inbox, remote_mta, submit, text, wait_for_ours, wait_for_report


@pytest.fixture(scope="module")
def opensmtpd(internet):  # noqa: F811
    with OpenSmtpd(internet) as opensmtpd:
        yield opensmtpd


def ada(here):  # noqa: F811
    return lambda: our_inbox(here, "ada@example.test")


def test_there_and_back(here, opensmtpd):  # noqa: F811
    submit(here, ["carol@opensmtpd.test", "dave@opensmtpd.test"], text("there"))
    for user in ("carol", "dave"):
        message = opensmtpd.wait_for(user, "there")
        assert message.get_content() == "hello\n" and "mail.example.test" in message.get_all("Received")[0]
    relais.wait_until(lambda: "SSL library error" in opensmtpd.log(), "the failed handshake")  # STARTTLS is offered and fails; what asks for no TLS goes without

    opensmtpd.submit("carol@opensmtpd.test", ["ada@example.test", "bob@example.test"], text("back", "carol@opensmtpd.test"))
    for user in ("ada", "bob"):
        message = wait_for_ours(here, f"{user}@example.test", "back")
        assert message["Return-Path"] == "<carol@opensmtpd.test>" and "from mx.opensmtpd.test" in message.get_all("Received")[0]
    relais.wait_until(lambda: not here.json("queue", "list")["jobs"], "an empty queue")


def test_refused_there(here, opensmtpd):  # noqa: F811
    submit(here, ["nobody@opensmtpd.test"], text("refused at RCPT"))
    report = wait_for_report(ada(here), "refused at RCPT", "failed")
    one, = report.recipients
    assert one["Final-Recipient"] == "rfc822; nobody@opensmtpd.test" and remote_mta(one) == "dns; mx.opensmtpd.test"
    assert one["Diagnostic-Code"].startswith("smtp; 550")


def test_refused_there_after_data(here, opensmtpd):  # noqa: F811
    submit(here, ["carol@opensmtpd.test"], text("unwanted after DATA"))
    report = wait_for_report(ada(here), "unwanted after DATA", "failed")
    assert "nobody wants this" in report.recipients[0]["Diagnostic-Code"]


@pytest.mark.parametrize("recipient, hops, subject", [("nobody@example.test", 0, "refused here at RCPT"), ("ada@example.test", 90, "refused here after DATA")])
def test_refused_here(here, opensmtpd, recipient, hops, subject):  # noqa: F811
    headers = "Received: by loop.test; Mon, 2 Feb 2026 00:00:00 +0000\r\n" * hops
    opensmtpd.submit("carol@opensmtpd.test", [recipient], text(subject, "carol@opensmtpd.test", headers=headers))
    report = wait_for_report(lambda: opensmtpd.inbox("carol"), subject, "failed")
    assert recipient in report.recipients[0]["Final-Recipient"] and ("no such mailbox" in report.text or "mail loop" in report.text)


def test_success_is_reported(here, opensmtpd):  # noqa: F811
    submit(here, ["carol@opensmtpd.test"], text("success there"), rcpt_options=["NOTIFY=SUCCESS"])
    report = wait_for_report(ada(here), "success there", "delivered")
    assert "mx.opensmtpd.test" in report.about_message["Reporting-MTA"]
    opensmtpd.submit("carol@opensmtpd.test", ["ada@example.test"], text("success here", "carol@opensmtpd.test"), [], ["NOTIFY=SUCCESS"])
    report = wait_for_report(lambda: opensmtpd.inbox("carol"), "success here", "delivered")
    assert report.recipients[0]["Final-Recipient"] == "rfc822; ada@example.test"


def test_a_big_message(here, opensmtpd):  # noqa: F811
    body = "".join(f"{number:0990d}\r\n" for number in range(20_000_000 // 992))
    submit(here, ["carol@opensmtpd.test"], text("big there", body=body))
    same = opensmtpd.wait_for("carol", "big there").get_content() == body.replace("\r\n", "\n")
    assert same  # not compared here: pytest would show the difference
    opensmtpd.submit("carol@opensmtpd.test", ["bob@example.test"], text("big back", "carol@opensmtpd.test", body=body))
    same = wait_for_ours(here, "bob@example.test", "big back").get_content() == body
    assert same


def test_away_and_back(here, opensmtpd):  # noqa: F811
    opensmtpd.stop()
    submit(here, ["carol@opensmtpd.test"], text("waits"))
    relais.wait_until(lambda: any(job["attempts"] for job in here.json("queue", "list", "--domain", "opensmtpd.test")["jobs"]), "an attempt")
    opensmtpd.start()
    opensmtpd.wait_for("carol", "waits")
