"""What an account may send: under its own names, with a header in order, in bounds that the administrator sees and sets, later, in time, by urgency."""
import re
import smtplib
import socket

import pytest

import relais
from sink import Sink


@pytest.fixture(scope="module")
def sink():
    server = Sink(offers=("PIPELINING", "8BITMIME", "DSN", "DELIVERBY", "MT-PRIORITY"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def platform(sink, tmp_path_factory):
    with relais.running(tmp_path_factory.mktemp("platform") / "p") as platform:
        platform.add_account("ada")
        platform.add_account("bob")
        platform.run("alias", "add", "sales@example.test", "ada@example.test")
        platform.run("alias", "add", "team@example.test", "ada@example.test", "bob@example.test")
        platform.run("route", "set", "*", f"smtp://127.0.0.1:{sink.port}")
        yield platform


def message(headers="From: ada@example.test", body="body"):
    return headers.replace("\n", "\r\n") + "\r\nSubject: x\r\n\r\n" + body + "\r\n"


def attempt(platform, sender="ada@example.test", recipients=("x@elsewhere.test",), text=None, options=()):
    """The last reply to a submission by ada: of the command that was refused, or to its end."""
    with platform.submission("ada@example.test") as client:
        client.ehlo()
        code, reply = client.mail(sender, list(options))
        for recipient in recipients:
            if code == 250:
                code, reply = client.rcpt(recipient)
        if code == 250:
            try:
                code, reply = client.data(text or message())
            except smtplib.SMTPDataError as refused:
                code, reply = refused.smtp_code, refused.smtp_error
        return code, reply.decode()


def arrived(sink, recipient):
    def find():
        return [text for (_, to, text) in sink.taken() if recipient in to]
    return relais.wait_until(find, f"mail for {recipient}")[0]


OWN = ["ada@example.test", "Ada@Example.Test", "ada+news@example.test", "sales@example.test"]
OTHERS = ["bob@example.test", "team@example.test", "ada@elsewhere.test", "nobody@example.test"]


def test_the_envelope_is_the_users_own(platform):
    for address in OWN:
        assert attempt(platform, sender=address)[0] == 250, address
    for address in OTHERS:
        code, reply = attempt(platform, sender=address)
        assert code == 553 and reply.startswith("5.7.1 "), address
    assert attempt(platform, sender="")[0] == 250  # RFC 8098 section 3: answers of mail programs have no sender, and From is looked at all the same
    assert attempt(platform, sender="", text=message("From: bob@example.test"))[0] == 550


def test_what_readers_see_is_the_users_own(platform):
    for address in OWN:
        assert attempt(platform, text=message(f"From: Me <{address}>"))[0] == 250, address
    for address in OTHERS:
        for field in (f"From: {address}", f"From: ada@example.test, {address}", f'From: "ada@example.test" <{address}>', f"From: ada@example.test\nSender: {address}",
                      f"From: undisclosed: {address};", f"from :\n {address}"):
            code, reply = attempt(platform, text=message(field))
            assert code == 550 and reply.startswith(("5.7.1 ", "5.6.0 ")), (field, reply)
    for odd in ("From: ada@example.test\nFrom: bob@example.test", "From: <ada@example.test", "From: ada@example.test bob@example.test", "From: bob@example.test\x00",
                "From: ada@example.test\nSender: <bob@example.test", "From: ada@example.test\nSender: ada@example.test (\\) bob@example.test"):
        assert attempt(platform, text=message(odd))[0] == 550, odd


def test_the_header_is_put_in_order(platform, sink):
    text = message("From: ada@example.test\nBcc: hidden@elsewhere.test,\n other@elsewhere.test\nResent-Bcc: third@elsewhere.test\nTo: order@elsewhere.test")
    assert attempt(platform, recipients=["order@elsewhere.test", "hidden@elsewhere.test"], text=text)[0] == 250
    sent = arrived(sink, "order@elsewhere.test")
    assert [to for _, to, _ in sink.taken() if "hidden@elsewhere.test" in to]
    header = sent.partition("\r\n\r\n")[0]
    assert not re.search("bcc|hidden|other@|third@", header, re.IGNORECASE)
    assert len(re.findall(r"^Message-ID: <\S+@\S+>\r$", header, re.MULTILINE | re.IGNORECASE)) == 1
    assert len(re.findall(r"^Date: \w{3}, ", header, re.MULTILINE)) == 1
    # What is there stays.
    own = "From: ada@example.test\nMessage-ID: <mine@example.test>\nDate: Thu, 1 Jan 2026 00:00:00 +0000\nTo: kept@elsewhere.test"
    assert attempt(platform, recipients=["kept@elsewhere.test"], text=message(own))[0] == 250
    assert message(own) in arrived(sink, "kept@elsewhere.test")
    # Without From: the sender's.
    assert attempt(platform, sender="sales@example.test", recipients=["none@elsewhere.test"], text=message("To: none@elsewhere.test"))[0] == 250
    assert "From: <sales@example.test>\r\n" in arrived(sink, "none@elsewhere.test")


def test_later_in_time_and_by_urgency(platform, sink):
    code, reply = attempt(platform, options=["HOLDFOR=3600"], recipients=["later@elsewhere.test"])
    assert code == 250
    shown = platform.json("queue", "list", "--recipient", "later@elsewhere.test")["jobs"]
    assert len(shown) == 1 and shown[0]["due"] - shown[0]["arrival"] == 3600 and shown[0]["attempts"] == 0
    assert platform.json("queue", "why", "later@elsewhere.test")["why"]
    assert platform.json("queue", "retry", "--recipient", "later@elsewhere.test")["jobs"] == 1  # the administrator may send it at once
    arrived(sink, "later@elsewhere.test")
    assert attempt(platform, options=["HOLDFOR=99999999"])[1].startswith("5.5.4 ")
    assert attempt(platform, options=["HOLDFOR=0"])[0] == 501
    assert attempt(platform, options=["BY=0;R"])[0] == 501
    assert attempt(platform, options=["BY=60;R", "HOLDFOR=120"])[0] == 501
    assert attempt(platform, options=["MT-PRIORITY=10"])[0] == 501
    assert attempt(platform, options=["BY=3600;RT", "MT-PRIORITY=3"], recipients=["soon@elsewhere.test"])[0] == 250
    arrived(sink, "soon@elsewhere.test")
    mail = next(mail for (_, to, _), mail in zip(sink.taken(), sink.mails) if "soon@elsewhere.test" in to)
    assert "MT-PRIORITY=3" in mail and re.search(r"BY=3[56]\d\d;RT", mail)
    with platform.submission("ada@example.test") as client:
        client.ehlo()
        assert client.mail("ada@example.test", ["MT-PRIORITY=9"]) == (250, b"2.3.6 4 is the priority")


def dead_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_time_to_deliver_that_runs_out(platform):
    """BY with R returns the message when it can no longer be in time; BY with N says so and goes on."""
    platform.run("route", "set", "dead.test", f"smtp://127.0.0.1:{dead_port()}")
    before = platform.json("account", "show", "ada@example.test")["messages"]
    assert attempt(platform, options=["BY=1;R"], recipients=["r@dead.test"])[0] == 250
    assert attempt(platform, options=["BY=1;N"], recipients=["n@dead.test"])[0] == 250
    relais.wait_until(lambda: platform.json("account", "show", "ada@example.test")["messages"] == before + 2, "two reports")
    with platform.imap("ada@example.test") as client:
        client.select("INBOX")
        reports = [part[1].decode() for part in client.fetch(f"{before + 1}:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]
    told = {re.search(r"Final-Recipient: rfc822; (\S+)", report)[1]: re.search(r"Action: (\w+)", report)[1] for report in reports}
    assert told == {"r@dead.test": "failed", "n@dead.test": "delayed"}
    assert [job["recipients"][0]["address"] for job in platform.json("queue", "list", "--domain", "dead.test")["jobs"]] == ["n@dead.test"]


@pytest.fixture
def limited(tmp_path, sink):
    platform = relais.Platform(tmp_path / "p").init()
    with open(platform.dir / "relais.toml", "a") as config:
        config.write("\n[sending]\nmessages_per_hour = 3\nmessages_per_day = 5\nrecipients_per_hour = 4\nrecipients_per_day = 100\n")
    platform.start()
    platform.add_account("ada")
    platform.run("route", "set", "*", f"smtp://127.0.0.1:{sink.port}")
    yield platform
    if platform.process.poll() is None:
        platform.stop()


def set_limits(platform, **limits):
    config = platform.dir / "relais.toml"
    text = config.read_text()
    for name, value in limits.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    config.write_text(text)
    before = platform.log().count("event=reloaded")
    platform.reload()
    relais.wait_until(lambda: platform.log().count("event=reloaded") > before, "the new limits")


def test_a_stolen_password_sends_little(limited):
    assert limited.json("sending", "list")["accounts"] == []
    for _ in range(3):
        assert attempt(limited)[0] == 250
    code, reply = attempt(limited)
    assert code == 450 and reply.startswith("4.7.1 ") and "3 messages an hour" in reply
    # Refused transactions take nothing from it, and a restart forgives nothing.
    limited.stop()
    limited.start()
    assert attempt(limited)[0] == 450
    report, = limited.json("sending", "list")["accounts"]
    assert report["address"] == "ada@example.test" and report["messages_hour"] == 3 and report["refused"] >= 2
    assert "ada@example.test" in limited.run("sending", "list").stdout
    relais.wait_until(lambda: "event=sending-limit" in limited.log() and "address=ada@example.test" in limited.log(), "the event in the log")
    assert limited.metric("relais_antispam_sending_refused_total") >= 1
    limited.run("sending", "forgive", "ada@example.test")
    assert attempt(limited)[0] == 250
    # Recipients: those within the limit get it, the others hear why.
    with limited.submission("ada@example.test") as client:
        client.ehlo()
        client.mail("ada@example.test")
        replies = [client.rcpt(f"r{i}@elsewhere.test") for i in range(5)]
        assert [code for code, _ in replies] == [250, 250, 250, 450, 450] and b"4 recipients an hour" in replies[-1][1]
        assert client.data(message())[0] == 250
    # Over the day it is final.
    set_limits(limited, messages_per_hour=100, messages_per_day=2, recipients_per_hour=100)
    code, reply = attempt(limited)
    assert code == 550 and reply.startswith("5.7.1 ") and "2 messages a day" in reply
    traced = limited.json("trace", "ada@example.test")["messages"]
    assert any("sending limit" in event.get("detail", "") for found in traced for event in found["events"])
