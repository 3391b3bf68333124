"""Mail that leaves: routes, the queue and its commands, forwarding, signing, traces; with a server beside the platform that takes or refuses."""
import smtplib
import socket
import time

import pytest

import relais
from sink import Sink

TEXT = "From: ada@example.test\r\nSubject: hello\r\nMessage-ID: <{}@example.test>\r\n\r\nbody\r\n"


@pytest.fixture
def sink():
    server = Sink()
    yield server
    server.close()


def dead_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def submit(platform, recipients, text, sender="ada@example.test"):
    with platform.submission(sender) as client:
        return client.sendmail(sender, recipients, text)


def kinds(traced):
    return [event["kind"] for event in traced["events"]]


def test_submitted_mail_is_signed_and_leaves(own_platform, sink):
    keys = own_platform.json("dkim", "add", "example.test")["keys"]
    assert {key["algorithm"] for key in keys} == {"rsa-sha256", "ed25519-sha256"}
    assert all(key["record"]["name"].endswith("._domainkey.example.test") for key in keys)
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{sink.port}")
    submit(own_platform, ["x@elsewhere.test", "ada@example.test"], TEXT.format("one"))
    relais.wait_until(sink.taken, "the message")
    (sender, recipients, text), = sink.taken()
    assert (sender, recipients) == ("ada@example.test", ["x@elsewhere.test"])
    assert text.count("DKIM-Signature:") == 2 and "Received: " in text
    relais.wait_until(lambda: own_platform.json("account", "show", "ada@example.test")["messages"] == 1, "the copy for ada")
    traced, = own_platform.json("trace", "<one@example.test>")["messages"]
    assert kinds(traced)[0] == "received" and {"queued", "relayed", "delivered"} <= set(kinds(traced))
    assert any("INBOX" in place for place in traced["now"])
    assert own_platform.json("trace", "X@Elsewhere.Test")["messages"][0]["id"] == traced["id"]
    assert own_platform.json("queue", "list")["messages"] == 0
    assert "relayed" in own_platform.run("trace", traced["id"]).stdout


def test_a_user_writes_under_its_own_name_only(own_platform):
    with own_platform.submission("ada@example.test") as client:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("ada@example.test", ["ada@example.test"], TEXT.format("two").replace("From: ada", "From: eve"))
        assert refused.value.smtp_code == 550 and b"5.7.1" in refused.value.smtp_error


def test_what_waits_can_be_listed_held_released_retried_and_dropped(own_platform, sink):
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{dead_port()}")
    submit(own_platform, ["x@elsewhere.test"], TEXT.format("one"))
    submit(own_platform, ["y@elsewhere.test"], TEXT.format("two"))

    def jobs(*args):
        return own_platform.json("queue", "list", *args)["jobs"]

    relais.wait_until(lambda: any(job["recipients"][0]["reply"] for job in jobs()), "a failed attempt")
    assert len(jobs()) == 2 and len(jobs("--recipient", "X@elsewhere.test")) == 1 and not jobs("--domain", "other.test")
    assert own_platform.run("queue", "hold", check=False).returncode == 2  # everything is only meant where --all says so
    assert own_platform.json("queue", "hold", "--recipient", "x@elsewhere.test")["jobs"] == 1
    assert [job["recipients"][0]["address"] for job in jobs("--held")] == ["x@elsewhere.test"]
    assert "x@elsewhere.test" in own_platform.run("queue", "show", jobs("--held")[0]["trace_id"]).stdout
    assert own_platform.json("queue", "why", "y@elsewhere.test")["why"]
    assert own_platform.json("queue", "destinations")["destinations"]

    # The same on the data, without a platform; and nothing is lost by a kill.
    own_platform.kill()
    assert len(jobs()) == 2
    assert own_platform.json("queue", "drop", "--recipient", "y@elsewhere.test")["jobs"] == 1
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{sink.port}")
    assert own_platform.json("route", "list")["routes"][0]["target"] == f"smtp://127.0.0.1:{sink.port}"
    own_platform.start()
    assert not sink.taken()
    assert own_platform.json("queue", "release", "--all")["jobs"] == 1
    relais.wait_until(sink.taken, "the released message, by the new route")
    assert [recipients for _, recipients, _ in sink.taken()] == [["x@elsewhere.test"]]
    relais.wait_until(lambda: not jobs(), "an empty queue")


def test_a_route_that_changes_takes_what_waits_along(own_platform, sink):
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{dead_port()}")
    submit(own_platform, ["x@elsewhere.test"], TEXT.format("one"))
    relais.wait_until(lambda: own_platform.json("queue", "list")["jobs"][0]["attempts"] > 0, "a failed attempt")
    waits = own_platform.json("queue", "list")["jobs"][0]["due"] - time.time()
    began = time.monotonic()
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{sink.port}")
    relais.wait_until(sink.taken, "the message by the new route")
    assert time.monotonic() - began < waits, "it has only been tried again as it would have been anyway"


def test_refused_mail_comes_back(own_platform, sink):
    sink.refuse["x@elsewhere.test"] = "550 5.1.1 nobody of that name"
    own_platform.run("route", "set", "elsewhere.test", f"smtp://127.0.0.1:{sink.port}")
    submit(own_platform, ["x@elsewhere.test"], TEXT.format("one"))
    relais.wait_until(lambda: own_platform.json("account", "show", "ada@example.test")["messages"] == 1, "the report")
    with own_platform.imap("ada@example.test") as client:
        client.select("INBOX")
        _, data = client.fetch("1", "(BODY[])")
        report = data[0][1].decode()
    assert "multipart/report" in report and "nobody of that name" in report and "Final-Recipient: rfc822; x@elsewhere.test" in report
    bounced = [message for message in own_platform.json("trace", "<one@example.test>")["messages"] if "bounced" in kinds(message)]
    assert len(bounced) == 1 and "notice" in kinds(bounced[0])


def test_forwarded_mail_has_a_sender_that_comes_back(own_platform, sink):
    own_platform.run("alias", "add", "away@example.test", "x@elsewhere.test", "ada@example.test")
    own_platform.run("route", "set", "*", f"smtp://127.0.0.1:{sink.port}")
    own_platform.deliver("away@example.test", "Subject: x\r\n\r\nbody\r\n", sender="sender@remote.test")
    relais.wait_until(sink.taken, "the forward")
    sender, recipients, text = sink.taken()[0]
    assert sender.startswith("SRS0=") and sender.endswith("@example.test") and recipients == ["x@elsewhere.test"]
    assert "Delivered-To: away@example.test" in text
    own_platform.deliver(sender, "Subject: bounce\r\n\r\n", sender="")
    relais.wait_until(lambda: len(sink.taken()) == 2, "the bounce")
    assert sink.taken()[1][:2] == ("", ["sender@remote.test"])
    with pytest.raises(smtplib.SMTPRecipientsRefused):  # it has been here
        with own_platform.smtp() as client:
            client.sendmail("sender@remote.test", ["nobody@remote.test"], text)


def test_strangers_cannot_relay(own_platform):
    with own_platform.smtp() as client:
        client.ehlo()
        client.mail("a@b.test")
        code, text = client.rcpt("x@elsewhere.test")
        assert code == 550 and b"5.7.1" in text


@pytest.fixture(params=["running", "stopped"])
def either(request, tmp_path):
    platform = relais.Platform(tmp_path / "p").init()
    if request.param == "running":
        platform.start()
    yield platform
    if platform.process:
        platform.stop()


def test_commands_with_and_without_a_platform(either):
    shown = either.json("route", "set", "Example.NET", "smtp://relay.example:587", "--auth", "user:secret", "--tls", "verify")
    assert shown["domain"] == "example.net" and "secret" not in str(shown)
    row, = either.json("route", "list")["routes"]
    assert (row["target"], row["tls"], row["user"]) == ("smtp://relay.example:587", "verify", "user") and "secret" not in str(row)
    assert either.run("route", "set", "example.net", "gopher://x", check=False).returncode == 2
    assert either.run("route", "rm", "other.example", check=False).returncode == 1
    either.run("route", "rm", "example.net")
    assert either.json("route", "list")["routes"] == []

    first = either.json("dkim", "add", "example.test", "--algorithm", "rsa")["keys"][0]
    assert first["state"] == "active" and first["record"]["value"].startswith("v=DKIM1")
    second = either.json("dkim", "add", "example.test", "--algorithm", "rsa", "--selector", "next")["keys"][0]
    assert second["state"] == "pending"
    assert either.run("dkim", "rm", "example.test", first["selector"], check=False).returncode == 1
    either.run("dkim", "activate", "example.test", "next")
    either.run("dkim", "retire", "example.test", first["selector"])
    either.run("dkim", "rm", "example.test", first["selector"])
    assert [key["selector"] for key in either.json("dkim", "list", "example.test")["keys"]] == ["next"]

    assert either.json("queue", "list")["jobs"] == []
    assert either.run("queue", "show", "nothing", check=False).returncode == 1
    assert either.json("queue", "retry", "--all")["jobs"] == 0
    assert either.json("queue", "why", "ada@example.test")["why"] == []
    assert either.json("trace", "nobody@example.test")["messages"] == []
    assert either.run("trace", "x", "--since", "yesterday", check=False).returncode == 2
    assert either.json("sending", "list")["accounts"] == []
    either.add_account("ada")
    either.run("sending", "forgive", "ada@example.test")


def test_dns_says_what_to_publish(tmp_path):
    platform = relais.Platform(tmp_path / "p").init()
    with open(platform.dir / "relais.toml", "a") as config:
        # Answered from here: no name server is asked.
        config.write('\n[dns]\nresolv_conf = ""\ntrust_anchor = ""\nlocal_data = [\n'
                     '"example.test. MX 10 mail.example.test.", "example.test. TXT \\"v=spf1 mx -all\\"", "mail.example.test. A 192.0.2.1",\n'
                     '"_dmarc.example.test. TXT \\"something else\\""]\n')
    platform.run("dkim", "add", "example.test", "--algorithm", "ed25519")
    report = platform.json("dns", "example.test")
    rows = {(row["name"], row["type"]): row for row in report["records"]}
    assert rows["example.test", "MX"]["state"] == "ok" and rows["example.test", "MX"]["published"] == ["10 mail.example.test"]
    assert rows["example.test", "TXT"]["state"] == "ok"
    assert rows["_dmarc.example.test", "TXT"]["value"].startswith("v=DMARC1")
    assert any(name.endswith("._domainkey.example.test") for name, _ in rows)
    tlsa = [row for row in report["records"] if row["type"] == "TLSA"]
    assert tlsa and tlsa[0]["value"].startswith("3 1 1 ") and len(tlsa[0]["value"]) == 6 + 64
    assert ("_imaps._tcp.example.test", "SRV") in rows
    assert report["addresses"] == ["192.0.2.1"]
