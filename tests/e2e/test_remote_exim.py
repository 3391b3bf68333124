"""Relais and Exim send each other mail."""
import pytest

import relais
from internet import here, internet  # noqa: F401
from mta import Exim, our_inbox, remote_mta, submit, text, wait_for_ours, wait_for_report


@pytest.fixture(scope="module")
def exim(internet):  # noqa: F811
    with Exim(internet) as exim:
        yield exim


def ada(here):  # noqa: F811
    return lambda: our_inbox(here, "ada@example.test")


def test_there_and_back(here, exim):  # noqa: F811
    submit(here, ["carol@exim.test", "dave@exim.test"], text("there"))
    for user in ("carol", "dave"):
        message = exim.wait_for(user, "there")
        assert message["Return-Path"] == "<ada@example.test>" and message.get_content() == "hello\n"
        assert "TLS1.3" in message.get_all("Received")[0] and "mail.example.test" in message.get_all("Received")[0]

    exim.submit("carol@exim.test", ["ada@example.test", "bob@example.test"], text("back", "carol@exim.test"))
    for user in ("ada", "bob"):
        message = wait_for_ours(here, f"{user}@example.test", "back")
        assert message["Return-Path"] == "<carol@exim.test>" and "from mx.exim.test" in message.get_all("Received")[0]
    relais.wait_until(lambda: not exim.queue() and not here.json("queue", "list")["jobs"], "empty queues")


@pytest.mark.parametrize("recipient, subject, reason", [("nobody@exim.test", "refused at RCPT", "no such user"),
                                                        ("carol@exim.test", "unwanted after DATA", "nobody wants this")])
def test_refused_there(here, exim, recipient, subject, reason):  # noqa: F811
    submit(here, [recipient], text(subject))
    report = wait_for_report(ada(here), subject, "failed")
    assert report.message.get_content_type() == "multipart/report" and report.message.get_param("report-type") == "delivery-status"
    one, = report.recipients
    assert one["Final-Recipient"] == f"rfc822; {recipient}" and one["Status"].startswith("5.") and remote_mta(one) == "dns; mx.exim.test"
    assert one["Diagnostic-Code"].startswith("smtp; 550") and reason in one["Diagnostic-Code"]


@pytest.mark.parametrize("recipient, hops, subject", [("nobody@example.test", 0, "refused here at RCPT"), ("ada@example.test", 120, "refused here after DATA")])
def test_refused_here(here, exim, recipient, hops, subject):  # noqa: F811
    headers = "Received: by loop.test; Mon, 2 Feb 2026 00:00:00 +0000\r\n" * hops
    exim.submit("carol@exim.test", [recipient], text(subject, "carol@exim.test", headers=headers))
    report = wait_for_report(lambda: exim.inbox("carol"), subject, "failed")
    assert report.recipients[0]["Final-Recipient"] == f"rfc822;{recipient}" and remote_mta(report.recipients[0]) == "dns; mail.example.test"


def test_greylisted_there(here, exim):  # noqa: F811
    submit(here, ["grey@exim.test"], text("grey"))
    relais.wait_until(lambda: "greylisted" in str(here.json("queue", "why", "grey@exim.test")), "the reason")
    exim.come_in()
    exim.wait_for("grey", "grey")


def test_success_is_reported(here, exim):  # noqa: F811
    submit(here, ["carol@exim.test"], text("success there"), rcpt_options=["NOTIFY=SUCCESS"])
    report = wait_for_report(ada(here), "success there", "delivered")
    assert "mx.exim.test" in report.about_message["Reporting-MTA"]
    exim.submit("carol@exim.test", ["ada@example.test"], text("success here", "carol@exim.test"), ["RET=HDRS", "ENVID=x123"], ["NOTIFY=SUCCESS"])
    report = wait_for_report(lambda: exim.inbox("carol"), "success here", "delivered")
    assert report.about_message["Original-Envelope-Id"] == "x123" and report.recipients[0]["Final-Recipient"] == "rfc822; ada@example.test"


def test_unicode(here, exim):  # noqa: F811
    headers = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n"
    message = text("Grüße", headers=headers, body="Grüße\r\n").encode()
    submit(here, ["carol@exim.test"], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert exim.wait_for("carol", "Grüße").get_content() == "Grüße\n"
    exim.submit("carol@exim.test", ["ada@example.test"], text("Grüße zurück", "carol@exim.test", headers=headers, body="Grüße\r\n").encode(),
                ["SMTPUTF8", "BODY=8BITMIME"])
    assert wait_for_ours(here, "ada@example.test", "Grüße zurück").get_content() == "Grüße\r\n"


def test_a_big_message(here, exim):  # noqa: F811
    body = "".join(f"{number:070d}\r\n" for number in range(20_000_000 // 72))
    submit(here, ["carol@exim.test"], text("big there", body=body))
    same = exim.wait_for("carol", "big there").get_content() == body.replace("\r\n", "\n")
    assert same  # not compared here: pytest would show the difference
    exim.submit("carol@exim.test", ["bob@example.test"], text("big back", "carol@exim.test", body=body))
    same = wait_for_ours(here, "bob@example.test", "big back").get_content() == body
    assert same


def test_away_and_back(here, exim):  # noqa: F811
    exim.stop()
    submit(here, ["carol@exim.test"], text("waits"))
    relais.wait_until(lambda: any(job["attempts"] for job in here.json("queue", "list", "--domain", "exim.test")["jobs"]), "an attempt")
    exim.start()
    exim.wait_for("carol", "waits")

    here.stop()
    exim.submit("carol@exim.test", ["ada@example.test"], text("waits there", "carol@exim.test"))
    relais.wait_until(exim.queue, "mail that waits")
    here.start()
    wait_for_ours(here, "ada@example.test", "waits there")
