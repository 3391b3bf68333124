"""Relais and Postfix send each other mail: what arrives, what comes back, what waits."""
import smtplib
import socket
import threading

import pytest

import relais
from internet import here, internet  # noqa: F401
from mta import Postfix, our_inbox, remote_mta, reports, submit, text, wait_for_ours, wait_for_report

OLD, GREY, DEAD = "192.0.2.60", "192.0.2.61", "192.0.2.62"  # addresses: without extensions, greylisting, nobody there


class Greylisting(threading.Thread):
    """A policy service of Postfix: who comes for the first time is told to come again."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 10023))
        self.seen = set()
        self.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection.makefile("rw"),), daemon=True).start()

    def serve(self, stream):
        request = {}
        for line in stream:
            if line != "\n":
                key, _, value = line.rstrip("\n").partition("=")
                request[key] = value
                continue
            triplet = request["client_address"], request["sender"], request["recipient"]
            action = "DUNNO" if triplet in self.seen else "DEFER_IF_PERMIT 4.7.1 greylisted, come again"
            self.seen.add(triplet)
            stream.write(f"action={action}\n\n")
            stream.flush()
            request = {}


@pytest.fixture(scope="module")
def postfix(internet):  # noqa: F811
    greylisting = Greylisting()
    services = {OLD: "-o smtpd_tls_security_level=none -o smtpd_discard_ehlo_keywords=8bitmime,smtputf8,chunking,dsn,pipelining,size",
                GREY: "-o smtpd_recipient_restrictions=check_policy_service,inet:127.0.0.1:10023", internet.address6("postfix"): ""}
    hosts = {"old": OLD, "grey": GREY, "dead": DEAD}
    dns = internet.dns
    for name, address in hosts.items():
        dns.add(f"{name}.test. MX 10 mx.{name}.test.", f"mx.{name}.test. A {address}")
    dns.add("several.test. MX 10 mx.dead.test.", "several.test. MX 20 mx.nowhere.test.", "several.test. MX 30 mx.postfix.test.",
            "null.test. MX 0 .", f"implicit.test. A {internet.address('postfix')}", "six.test. MX 10 mx.six.test.",
            f"mx.six.test. AAAA {internet.address6('postfix')}", f"mx.six.test. A {DEAD}",
            "loop.test. MX 10 mail.example.test.", "self.test. MX 10 mx.self.test.", f"mx.self.test. A {internet.address('relais')}")
    with Postfix(internet, services, domains=["old.test", "grey.test", "several.test", "implicit.test", "six.test"]) as postfix:
        yield postfix
    greylisting.listener.close()


def ada(here):  # noqa: F811
    return lambda: our_inbox(here, "ada@example.test")


def kinds(here, query):  # noqa: F811
    return [event["kind"] for message in here.json("trace", query)["messages"] for event in message["events"]]


def test_there_and_back(here, postfix):  # noqa: F811
    submit(here, ["carol@postfix.test", "dave@postfix.test"], text("there", headers="Message-ID: <there@example.test>\r\n"))
    for user in ("carol", "dave"):
        message = postfix.wait_for(user, "there")
        assert message["Return-Path"] == "<ada@example.test>" and message.get_content() == "hello\n"
        assert "TLSv1.3" in message.get_all("Received")[0] and "from mail.example.test" in message.get_all("Received")[0]
    relais.wait_until(lambda: "nrcpt=2" in postfix.log(), "the entry of the arrival")  # one transaction for both
    assert kinds(here, "<there@example.test>")[-1] == "relayed"

    postfix.submit("carol@postfix.test", ["ada@example.test", "bob@example.test"], text("back", "carol@postfix.test"))
    for user in ("ada", "bob"):
        message = wait_for_ours(here, f"{user}@example.test", "back")
        assert message["Return-Path"] == "<carol@postfix.test>" and "from mx.postfix.test" in message.get_all("Received")[0]
    relais.wait_until(lambda: "Untrusted TLS connection established to mail.example.test" in postfix.log(), "the entry of the handshake")  # our certificate is self-signed
    relais.wait_until(lambda: not postfix.queue() and not here.json("queue", "list")["jobs"], "empty queues")


@pytest.mark.parametrize("recipient, subject, reason", [("nobody@postfix.test", "refused at RCPT", "User unknown"),
                                                        ("carol@postfix.test", "unwanted after DATA", "nobody wants this")])
def test_refused_there(here, postfix, recipient, subject, reason):  # noqa: F811
    submit(here, [recipient], text(subject))
    report = wait_for_report(ada(here), subject, "failed")
    assert report.message.get_content_type() == "multipart/report" and report.message.get_param("report-type") == "delivery-status"
    one, = report.recipients
    assert one["Final-Recipient"] == f"rfc822; {recipient}" and one["Status"].startswith("5.") and remote_mta(one) == "dns; mx.postfix.test"
    assert one["Diagnostic-Code"].startswith("smtp; 550") and reason in one["Diagnostic-Code"]
    words = " ".join(report.text.split())
    assert recipient in words and reason in words and "mx.postfix.test" in words
    assert report.message["Return-Path"] == "<>" and report.message["Auto-Submitted"] and report.message["To"] == "ada@example.test"


def test_some_recipients_refused_there(here, postfix):  # noqa: F811
    submit(here, ["carol@postfix.test", "nobody@postfix.test"], text("half"))
    postfix.wait_for("carol", "half")
    report = wait_for_report(ada(here), "half", "failed")
    assert [one["Final-Recipient"] for one in report.recipients] == ["rfc822; nobody@postfix.test"]


@pytest.mark.parametrize("recipient, hops, subject, status", [("nobody@example.test", 0, "refused here at RCPT", "5.1.1"),
                                                              ("ada@example.test", 120, "refused here after DATA", "5.4.6")])
def test_refused_here(here, postfix, recipient, hops, subject, status):  # noqa: F811
    headers = "Received: by loop.test; Mon, 2 Feb 2026 00:00:00 +0000\r\n" * hops
    postfix.submit("carol@postfix.test", [recipient], text(subject, "carol@postfix.test", headers=headers))
    report = wait_for_report(lambda: postfix.inbox("carol"), subject, "failed")
    one, = report.recipients
    assert one["Final-Recipient"] == f"rfc822; {recipient}" and one["Status"] == status and remote_mta(one) == "dns; mail.example.test"


def test_greylisted_there(here, postfix):  # noqa: F811
    submit(here, ["carol@grey.test"], text("grey", headers="Message-ID: <grey@example.test>\r\n"))
    postfix.wait_for("carol", "grey", "grey.test")
    events = [event for message in here.json("trace", "<grey@example.test>")["messages"] for event in message["events"]]
    assert any("greylisted" in event.get("reply", "") for event in events if event["kind"] in ("attempt", "deferred"))
    assert kinds(here, "<grey@example.test>")[-1] == "relayed"


def test_success_is_reported(here, postfix):  # noqa: F811
    submit(here, ["carol@postfix.test"], text("success there"), rcpt_options=["NOTIFY=SUCCESS,FAILURE"])
    report = wait_for_report(ada(here), "success there", "delivered")  # theirs
    assert report.message["Return-Path"] == "<>" and "mx.postfix.test" in report.about_message["Reporting-MTA"]
    assert len(reports(ada(here)(), "success there")) == 1

    submit(here, ["carol@old.test"], text("success of an old one"), rcpt_options=["NOTIFY=SUCCESS"])
    report = wait_for_report(ada(here), "success of an old one", "relayed")  # ours: the peer knows nothing of it (RFC 3461 §6.1)
    assert report.about_message["Reporting-MTA"] == "dns; mail.example.test"

    postfix.submit("carol@postfix.test", ["ada@example.test"], text("success here", "carol@postfix.test"), ["RET=HDRS", "ENVID=x123"], ["NOTIFY=SUCCESS"])
    report = wait_for_report(lambda: postfix.inbox("carol"), "success here", "delivered")
    assert report.about_message["Original-Envelope-Id"] == "x123" and report.recipients[0]["Final-Recipient"] == "rfc822; ada@example.test"


def test_eight_bits_and_unicode(here, postfix):  # noqa: F811
    body = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n"
    for domain, encoding in (("postfix.test", "8bit"), ("old.test", "base64")):
        submit(here, [f"carol@{domain}"], text(f"umlauts to {domain}", headers=body, body="Grüße\r\n").encode(), mail_options=["BODY=8BITMIME"])
        message = postfix.wait_for("carol", f"umlauts to {domain}", domain)
        assert message.get_content().splitlines() == ["Grüße"] and message["Content-Transfer-Encoding"] == encoding

    headers = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n"
    for domain in ("postfix.test", "old.test"):
        message = text(f"Grüße an {domain}", headers=headers, body="Grüße\r\n").encode()
        submit(here, [f"carol@{domain}"], message, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    assert postfix.wait_for("carol", "Grüße an postfix.test").get_content() == "Grüße\n"
    report = wait_for_report(ada(here), "Grüße an old.test", "failed")
    assert report.recipients[0]["Status"] == "5.6.7"

    postfix.submit("carol@postfix.test", ["ada@example.test"], text("Grüße zurück", "carol@postfix.test", headers=headers, body="Grüße\r\n").encode(),
                   ["SMTPUTF8", "BODY=8BITMIME"])
    assert wait_for_ours(here, "ada@example.test", "Grüße zurück").get_content() == "Grüße\r\n"


def test_a_big_message(here, postfix):  # noqa: F811
    body = "".join(f"{number:070d}\r\n" for number in range(20_000_000 // 72))
    submit(here, ["carol@postfix.test"], text("big there", body=body))
    same = postfix.wait_for("carol", "big there").get_content() == body.replace("\r\n", "\n")
    assert same  # not compared here: pytest would show the difference
    postfix.submit("carol@postfix.test", ["bob@example.test"], text("big back", "carol@postfix.test", body=body))
    same = wait_for_ours(here, "bob@example.test", "big back").get_content() == body
    assert same


@pytest.mark.parametrize("domain", ["several.test", "implicit.test", "six.test"])
def test_ways_to_a_host(here, postfix, domain):  # noqa: F811
    submit(here, [f"carol@{domain}"], text(f"to {domain}"))
    postfix.wait_for("carol", f"to {domain}", domain)


@pytest.mark.parametrize("domain, code, status", [("null.test", 556, "5.1.10"), ("no-such.test", 550, "5.1.2"), ("loop.test", 550, "5.4.6"),
                                                  ("self.test", 550, "5.4.6")])
def test_no_way_to_a_host(here, postfix, domain, code, status):  # noqa: F811
    """Refused while the sender is still there: no bounce."""
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        submit(here, [f"carol@{domain}"], text(f"to {domain}"))
    (said, words), = refused.value.recipients.values()
    assert said == code and words.decode().startswith(status + " ") and domain in words.decode()


def test_peer_away_and_back(internet, here, postfix):  # noqa: F811
    postfix.stop()
    try:
        submit(here, ["carol@postfix.test"], text("waits"))
        # The first attempt may meet a connection that rested, and hear of its end.
        relais.wait_until(lambda: "refused" in str(here.json("queue", "why", "carol@postfix.test")).lower(), "a refused connection")
    finally:
        postfix.start()
    postfix.wait_for("carol", "waits")

    here.stop()
    postfix.submit("carol@postfix.test", ["ada@example.test"], text("waits there", "carol@postfix.test"))
    relais.wait_until(postfix.queue, "mail that waits")
    here.start()
    wait_for_ours(here, "ada@example.test", "waits there")


def test_queue_commands(here, postfix):  # noqa: F811
    def jobs(*arguments):
        return here.json("queue", "list", *arguments)["jobs"]

    def tried(address):
        return relais.wait_until(lambda: next((job for job in jobs("--recipient", address) if job["attempts"]), None), "an attempt")

    for user in ("carol", "dave", "eve"):
        submit(here, [f"{user}@dead.test"], text(f"queue {user}", headers=f"Message-ID: <queue-{user}@example.test>\r\n"))
    tried("carol@dead.test")
    assert {job["recipients"][0]["address"] for job in jobs("--domain", "dead.test")} == {"carol@dead.test", "dave@dead.test", "eve@dead.test"}
    why = here.json("queue", "why", "carol@dead.test")["why"]
    assert "mx.dead.test" in str(why) and "efused" in str(why), why
    shown = here.run("queue", "show", jobs("--recipient", "carol@dead.test")[0]["trace_id"]).stdout
    assert "carol@dead.test" in shown and "mx.dead.test" in shown

    here.json("queue", "hold", "--recipient", "dave@dead.test")
    assert here.json("queue", "drop", "--recipient", "eve@dead.test")["jobs"] == 1
    assert here.json("queue", "retry", "--recipient", "carol@dead.test")["jobs"] == 1
    here.run("route", "set", "dead.test", "smtp://mx.postfix.test:25")
    report = wait_for_report(ada(here), "queue carol", "failed")  # it got there, where nobody is responsible for dead.test
    assert remote_mta(report.recipients[0]) == "dns; mx.postfix.test"
    assert [job["recipients"][0]["address"] for job in jobs("--domain", "dead.test")] == ["dave@dead.test"]
    here.run("route", "set", "dead.test", "smtp://mx.dead.test:25")
    assert here.json("queue", "release", "--recipient", "dave@dead.test")["jobs"] == 1
    here.run("route", "rm", "dead.test")
    here.json("queue", "drop", "--domain", "dead.test")
    assert not jobs("--domain", "dead.test")
    assert "dropped" in kinds(here, "<queue-eve@example.test>")
    assert {"received", "queued", "held", "released", "dropped"} <= set(kinds(here, "<queue-dave@example.test>"))
    assert {"received", "queued", "deferred", "bounced", "notice"} <= set(kinds(here, "<queue-carol@example.test>"))
