"""Mail that goes another way than by MX: a smarthost that wants a login, LMTP, forwards; and what a sender hears while mail waits."""
import pytest

import relais
from internet import QUICK, internet  # noqa: F401
from mta import DovecotLmtp, Exim, Postfix, our_inbox, remote_mta, reports, submit, text, wait_for_ours, wait_for_report

DEAD = 62
SMARTHOST = 2525
AUTHENTICATORS = """
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_condition = ${if and{{eq{$auth2}{relais}}{eq{$auth3}{open sesame}}}}
  server_set_id = $auth2
  server_advertise_condition = ${if def:tls_in_cipher}
"""


@pytest.fixture(scope="module")
def here(internet, tmp_path_factory):  # noqa: F811
    config = QUICK.replace("[queue]\n", '[queue]\ndelay_notice = "1s"\n')
    platform = internet.platform(tmp_path_factory.mktemp("platform") / "p", config=config)
    internet.dns.add("dead.test. MX 10 mx.dead.test.", f"mx.dead.test. A {internet.address(DEAD)}")
    internet.dns.publish()
    platform.start()
    for user in ("ada", "bob"):
        platform.add_account(user)
    yield platform
    platform.stop()


@pytest.fixture(scope="module")
def exim(internet):  # noqa: F811
    with Exim(internet, login_port=SMARTHOST, more=AUTHENTICATORS) as exim:
        yield exim


@pytest.fixture(scope="module")
def postfix(internet):  # noqa: F811
    with Postfix(internet) as postfix:
        yield postfix


@pytest.fixture(scope="module")
def dovecot(internet):  # noqa: F811
    with DovecotLmtp(internet) as dovecot:
        yield dovecot


def ada(here):
    return lambda: our_inbox(here, "ada@example.test")


def test_a_smarthost_with_a_login(here, exim):
    """It takes mail for everywhere from who has logged in. With a wrong password, mail waits and does not bounce."""
    here.run("route", "set", "*", f"smtp://{exim.host}:{SMARTHOST}", "--auth", "relais:wrong")
    submit(here, ["carol@exim.test"], text("by the smarthost"))
    relais.wait_until(lambda: "535" in str(here.json("queue", "why", "carol@exim.test")), "the refusal of the wrong password")
    assert not exim.inbox("carol")
    assert "failed" not in [one["Action"] for report in reports(ada(here)(), "by the smarthost") for one in report.recipients]
    here.run("route", "set", "*", f"smtp://{exim.host}:{SMARTHOST}", "--auth", "relais:open sesame")
    exim.wait_for("carol", "by the smarthost")
    relais.wait_until(lambda: "A=plain:relais" in exim.log(), "the entry of the arrival")
    submit(here, ["carol@nowhere.test"], text("to nowhere"))
    report = wait_for_report(ada(here), "to nowhere", "failed")  # theirs: it is their look-up now
    assert "mx.exim.test" in report.about_message["Reporting-MTA"]
    here.run("route", "rm", "*")


def test_lmtp(here, dovecot):
    here.run("route", "set", dovecot.domain, f"lmtp://{dovecot.address}:24")
    submit(here, ["carol@dovecot.test", "dave@dovecot.test", "nobody@dovecot.test"], text("by LMTP", headers="Message-ID: <lmtp@example.test>\r\n"))
    for user in ("carol", "dave"):
        assert dovecot.wait_for(user, "by LMTP").get_content() == "hello\n"
    report = wait_for_report(ada(here), "by LMTP", "failed")
    assert [one["Final-Recipient"] for one in report.recipients] == ["rfc822; nobody@dovecot.test"]
    assert "User doesn't exist" in report.recipients[0]["Diagnostic-Code"]
    traced = [event for message in here.json("trace", "<lmtp@example.test>")["messages"] for event in message["events"]]
    delivered = [to for event in traced if event["kind"] == "delivered" and dovecot.address in event["host"] for to in event["to"]]
    assert sorted(delivered) == ["carol@dovecot.test", "dave@dovecot.test"]


def test_a_sender_hears_that_mail_waits(internet, here, postfix):  # noqa: F811
    submit(here, ["carol@dead.test"], text("slow"))
    report = wait_for_report(ada(here), "slow", "delayed")
    one, = report.recipients
    assert one["Status"].startswith("4.4.") and one["Will-Retry-Until"] and "carol@dead.test" in report.text
    here.run("route", "set", "dead.test", f"smtp://{postfix.host}")
    report = wait_for_report(ada(here), "slow", "failed")
    assert remote_mta(report.recipients[0]) == f"dns; {postfix.host}"
    assert sorted(one["Action"] for report in reports(ada(here)(), "slow") for one in report.recipients) == ["delayed", "failed"]


def test_forwards(here, postfix, exim):
    """From Postfix through an alias here to Exim, and the refusal all the way back."""
    here.run("alias", "add", "away@example.test", "carol@exim.test", "bob@example.test")
    here.run("alias", "add", "astray@example.test", "nobody@exim.test")
    postfix.submit("carol@postfix.test", ["away@example.test"], text("forward", "carol@postfix.test"))
    message = exim.wait_for("carol", "forward")
    assert message["Return-Path"].startswith("<SRS0=") and message["Return-Path"].endswith("@example.test>") and message["From"] == "carol@postfix.test"
    assert wait_for_ours(here, "bob@example.test", "forward")["Return-Path"] == "<carol@postfix.test>"

    postfix.submit("carol@postfix.test", ["astray@example.test"], text("forward astray", "carol@postfix.test"))
    report = wait_for_report(lambda: postfix.inbox("carol"), "forward astray", "failed")
    assert "nobody@exim.test" in report.recipients[0]["Final-Recipient"] and remote_mta(report.recipients[0]) == "dns; mx.exim.test"

    # A bounce that comes later goes to the SRS address, and from there to who has sent the message.
    postfix.submit("", [message["Return-Path"].strip("<>")], text("a late bounce", "mailer-daemon@exim.test"))
    assert postfix.wait_for("carol", "a late bounce")["Return-Path"] == "<>"
