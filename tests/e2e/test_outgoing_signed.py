"""Signatures of mail that really leaves: by submission and the queue to servers of several abilities, checked by dkimpy and OpenDKIM against keys that
were published as `relais dkim add` and `relais dns` say; forwarded mail with ARC and SRS; bounces that come back, and end there."""
import re
import subprocess

import dkim
import dns.resolver
import pytest

import relais
from internet import QUICK, internet  # noqa: F401
from sink import Sink

ADDRESSES = {"modern": "192.0.2.60", "old": "192.0.2.61", "global": "192.0.2.62"}
OFFERS = {"modern": ("PIPELINING", "8BITMIME", "SIZE 50000000"), "old": (), "global": ("8BITMIME", "SMTPUTF8")}
TYPE = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
HEAD = b"From: Ada <ada@example.test>\r\nTo: someone@elsewhere.test\r\nSubject: hello\r\n"
GREETINGS = "Grüße aus dem Café, bis morgen.\r\n".encode()
MESSAGES = {
    "plain": (HEAD + b"\r\nbody\r\n", []),
    "odd-lines": (b"Received: from x\r\n\tby y; z\r\n" + HEAD + b"\r\n.\r\n..dots \t\r\n" + b"x" * 990 + b"\r\n\r\n \r\n\r\n", []),
    "empty": (HEAD + b"\r\n", []),
    "eight-bit": (HEAD + TYPE + b"\r\n" + GREETINGS * 50, ["BODY=8BITMIME"]),
    "eight-bit-not-declared": (HEAD + b"\r\n" + GREETINGS, []),
    "eight-bit-label-only": (HEAD + TYPE + b"\r\nplain\r\n", ["BODY=8BITMIME"]),
    "eight-bit-part": (HEAD + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npre\r\n--b\r\n" + TYPE[19:] + b"\r\n"
                       + GREETINGS + b"\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--b--\r\nend\r\n", ["BODY=8BITMIME"]),
    "raw-header": ("From: Ädä <ada@example.test>\r\nTo: someone@elsewhere.test\r\nSubject: Grüße\r\n\r\nbody\r\n".encode(), []),
}


@pytest.fixture(scope="module")
def sinks(internet):  # noqa: F811
    made = {name: Sink(address, 25, OFFERS[name]) for name, address in ADDRESSES.items()}
    for name, address in ADDRESSES.items():
        internet.dns.add(f"{name}.test. MX 10 mx.{name}.test.", f"mx.{name}.test. A {address}")
    yield made
    for sink in made.values():
        sink.close()


def publish(internet, lines):  # noqa: F811
    """Lines of a zone file, as they were printed."""
    for line in lines:
        name, kind, data = line.split(" ", 2)
        assert kind == "IN", line
        internet.dns.add(f"{name} {data}")
    internet.dns.publish()


@pytest.fixture(scope="module")
def platform(internet, sinks, tmp_path_factory):  # noqa: F811
    """example.test with ada, whose keys are published as they were printed."""
    platform = internet.platform(tmp_path_factory.mktemp("platform") / "p", config=QUICK)
    printed = platform.run("dkim", "add", "example.test").stdout
    publish(internet, re.findall(r"^publish: (.*)$", printed, re.MULTILINE))
    platform.start()
    platform.add_account("ada")
    yield platform
    if platform.process.poll() is None:
        platform.stop()


@pytest.fixture
def lookup(internet):  # noqa: F811
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [internet.address("dns")]
    resolver.cache = None

    def answer(name, timeout=5):
        try:
            return b"".join(next(iter(resolver.resolve(name.decode(), "TXT"))).strings)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return None

    return answer


def submit(platform, recipients, message, options=(), sender="ada@example.test"):
    with platform.submission(sender) as client:
        client.ehlo()
        assert client.sendmail(sender, recipients, message, mail_options=list(options)) == {}


def arrived(sink, recipient):
    """The octets of the only message for this recipient, once it is there, its sender, and its MAIL command."""
    def find():
        return [(octets, sender, mail) for (sender, to, _), octets, mail in zip(sink.taken(), sink.octets, sink.mails) if recipient in to]
    found, = relais.wait_until(find, f"mail for {recipient}")
    return found


def verify(message, lookup, count=2):
    """All signatures hold, for dkimpy and, each alone, for OpenDKIM."""
    fields = re.findall(rb"^DKIM-Signature:.*?\r\n(?![ \t])", message, re.MULTILINE | re.DOTALL)
    assert len(fields) == count, message
    for index, field in enumerate(fields):
        assert dkim.DKIM(message).verify(idx=index, dnsfunc=lookup), (index, message)
        alone = message
        for other in fields[:index] + fields[index + 1:]:
            alone = alone.replace(other, b"", 1)
        done = subprocess.run(["opendkim-testmsg", "-C"], input=alone, capture_output=True)
        assert done.returncode == 0 and not done.stdout, (done.stdout, done.stderr, alone)
    return fields


@pytest.mark.parametrize("host", ["modern", "old"])
@pytest.mark.parametrize("name", MESSAGES)
def test_signatures_survive_the_way_out(platform, sinks, lookup, name, host):
    message, options = MESSAGES[name]
    recipient = f"{name}@{host}.test"
    submit(platform, [recipient], message, options)
    octets, _, _ = arrived(sinks[host], recipient)
    fields = verify(octets, lookup)
    assert {re.search(rb"a=([a-z0-9-]+);", field)[1] for field in fields} == {b"rsa-sha256", b"ed25519-sha256"}
    assert octets.isascii()
    if host == "old" and name == "eight-bit":
        assert b"=C3=BC" in octets or b"base64" in octets


def test_signatures_of_messages_in_utf8(platform, sinks, lookup):
    message = "From: Ädä <ada@example.test>\r\nTo: jürgen@global.test\r\nSubject: Grüße\r\n".encode() + TYPE + b"\r\n" + GREETINGS
    submit(platform, ["jürgen@global.test"], message, ["SMTPUTF8", "BODY=8BITMIME"])
    octets, _, mail = arrived(sinks["global"], "jürgen@global.test")
    assert "SMTPUTF8" in mail and message in octets
    verify(octets, lookup)
    # For a host that takes no SMTPUTF8 there is no way, and the sender hears of it.
    submit(platform, ["else@modern.test"], message, ["SMTPUTF8", "BODY=8BITMIME"])
    with platform.imap("ada@example.test") as client:
        def reports():
            client.select("INBOX")
            return client.search(None, "BODY", "5.6.7")[1][0].split()
        assert len(relais.wait_until(reports, "the report")) == 1
    assert not [to for _, to, _ in sinks["modern"].taken() if "else@modern.test" in to]


def test_a_domain_with_other_letters_signs(platform, internet, sinks, lookup):  # noqa: F811
    platform.run("domain", "add", "bücher.test")
    platform.run("account", "add", "eva@bücher.test", "--password-stdin", input=relais.PASSWORD + "\n")
    keys = platform.json("dkim", "add", "bücher.test", "--algorithm", "ed25519")["keys"]
    publish(internet, [key["record"]["zone"] for key in keys])
    with platform.submission("eva@xn--bcher-kva.test") as client:
        client.ehlo()
        client.sendmail("eva@xn--bcher-kva.test", ["letters@modern.test"], b"From: eva@xn--bcher-kva.test\r\nSubject: x\r\n\r\nx\r\n")
        client.sendmail("eva@bücher.test", ["both@global.test"], "From: eva@bücher.test\r\nSubject: x\r\n\r\nx\r\n".encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    for octets in (arrived(sinks["modern"], "letters@modern.test")[0], arrived(sinks["global"], "both@global.test")[0]):
        field, = verify(octets, lookup, count=1)
        assert b"d=xn--bcher-kva.test;" in field


def test_rotation(platform, internet, sinks, lookup):  # noqa: F811
    def selectors(recipient):
        submit(platform, [recipient], HEAD + b"\r\nbody\r\n")
        octets, _, _ = arrived(sinks["modern"], recipient)
        return {re.search(rb"\ss=([^;]+);", field)[1].decode() for field in verify(octets, lookup)}

    before = {key["selector"]: key for key in platform.json("dkim", "list", "example.test")["keys"]}
    assert {key["state"] for key in before.values()} == {"active"}
    new = platform.json("dkim", "add", "example.test")["keys"]
    assert {key["state"] for key in new} == {"pending"} and not {key["selector"] for key in new} & set(before)
    assert selectors("before@modern.test") == set(before)
    publish(internet, [key["record"]["zone"] for key in new])
    relais.wait_until(lambda: all(lookup(key["record"]["name"].encode()) for key in new), "the new records")
    for key in new:
        platform.run("dkim", "activate", "example.test", key["selector"])
    for selector in before:
        assert platform.run("dkim", "rm", "example.test", selector, check=False).returncode == 1  # it signs
        assert "leave its record" in platform.run("dkim", "retire", "example.test", selector).stdout
    assert selectors("after@modern.test") == {key["selector"] for key in new}
    states = {row["name"]: row["why"] for row in platform.json("dns", "example.test")["records"] if "._domainkey." in row["name"]}
    assert len(states) == 4 and sum("retired" in why for why in states.values()) == 2
    for selector in before:
        platform.run("dkim", "rm", "example.test", selector)
    assert {key["selector"] for key in platform.json("dkim", "list", "example.test")["keys"]} == {key["selector"] for key in new}


def test_what_dns_prints_can_be_published(platform, internet):  # noqa: F811
    def rows():
        return platform.json("dns", "example.test")["records"]

    kinds = {(row["name"].split(".")[0], row["type"]) for row in rows()}
    assert {("example", "MX"), ("example", "TXT"), ("mail", "TXT"), ("_dmarc", "TXT"), ("_mta-sts", "TXT"), ("_smtp", "TXT"), ("_25", "TLSA"), ("_imaps", "SRV")} <= kinds
    text = platform.run("dns", "example.test").stdout  # the same at any time: what was printed yesterday can be published today
    missing = [row for row in rows() if row["state"] != "ok"]
    assert missing and all(row["published"] == [] and f"should be: {row['zone']}" in text for row in missing)
    publish(internet, [row["zone"] for row in missing])
    relais.wait_until(lambda: all(row["state"] == "ok" for row in rows()), "all records")
    assert all(row["secure"] for row in rows())  # the zone is signed
    assert "should be" not in platform.run("dns", "example.test").stdout
    # Two of what there may be one of are none.
    publish(internet, ['example.test. IN TXT "v=spf1 -all"'])
    spf = relais.wait_until(lambda: [row for row in rows() if row["state"] == "differs"], "the second record")
    assert [row["value"] for row in spf] == ["v=spf1 mx ~all"] and "one" in spf[0]["trouble"]
    internet.dns.remove('example.test. TXT "v=spf1 -all"')
    internet.dns.publish()


@pytest.fixture(scope="module")
def stranger(internet, tmp_path_factory):  # noqa: F811
    """A domain elsewhere that signs its mail with dkimpy. Mail for it goes to the sink called modern."""
    key = tmp_path_factory.mktemp("stranger") / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True, capture_output=True)
    public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], check=True, capture_output=True, text=True).stdout
    value = "".join(line for line in public.splitlines() if "-" not in line)
    internet.dns.add(f'sel._domainkey.remote.test. TXT "v=DKIM1; p={value[:200]}" "{value[200:]}"', "remote.test. MX 10 mx.modern.test.")
    internet.dns.publish()

    def write(body):
        message = b"From: ann@remote.test\r\nTo: away@example.test\r\nSubject: forwarded\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n" + body
        return dkim.sign(message, b"sel", b"remote.test", key.read_bytes()) + message

    return write


def chain(message, lookup):
    """(what dkimpy says of the chain, its sets' ARC-Authentication-Results, newest first)"""
    status, _, reason = dkim.ARC(message).verify(dnsfunc=lookup)
    fields = re.findall(rb"^ARC-Authentication-Results:.*?\r\n(?![ \t])", message, re.MULTILINE | re.DOTALL)
    return (status, reason), [re.sub(rb"\s+", b" ", field) for field in fields]


@pytest.mark.parametrize("kind", ["plain", "eight-bit"])
def test_forwarded_mail_is_sealed(platform, sinks, lookup, stranger, kind):
    platform.run("alias", "add", f"{kind}@example.test", f"x-{kind}@modern.test")
    platform.run("alias", "add", f"again-{kind}@example.test", f"y-{kind}@modern.test")
    message = stranger(b"body\r\n" if kind == "plain" else GREETINGS)
    with platform.smtp() as client:
        client.ehlo()
        client.sendmail("ann@remote.test", [f"{kind}@example.test"], message, mail_options=["BODY=8BITMIME"])
    octets, sender, _ = arrived(sinks["modern"], f"x-{kind}@modern.test")
    assert message in octets and sender.startswith("SRS0=") and sender.endswith("@example.test")
    status, results = chain(octets, lookup)
    assert status == (dkim.CV_Pass, "success") and len(results) == 1
    assert b"i=1; mail.example.test;" in results[0] and b"dkim=pass" in results[0] and b"header.d=remote.test" in results[0]
    assert dkim.DKIM(octets).verify(dnsfunc=lookup)
    # Through us once more: the chain grows. The signature is looked at again, by the next set.
    with platform.smtp() as client:
        client.ehlo()
        client.sendmail(sender, [f"again-{kind}@example.test"], octets, mail_options=["BODY=8BITMIME"])
    octets, again, _ = arrived(sinks["modern"], f"y-{kind}@modern.test")
    status, results = chain(octets, lookup)
    assert status == (dkim.CV_Pass, "success") and len(results) == 2 and b"arc=pass" in results[0] and again == sender
    # Whoever changes it is found out.
    assert chain(octets.replace(b"Subject: forwarded", b"Subject: for sale"), lookup)[0][0] == dkim.CV_Fail


def test_bounces_find_back_and_end_there(platform, sinks, stranger):
    modern = sinks["modern"]
    modern.refuse["gone@modern.test"] = "550 5.1.1 nobody of that name"
    platform.run("alias", "add", "left@example.test", "gone@modern.test")
    platform.deliver("left@example.test", stranger(b"body\r\n").decode(), sender="bounce-me@remote.test")
    report, sender, _ = arrived(modern, "bounce-me@remote.test")  # our report about the forward that failed, to who wrote
    assert sender == "" and b"nobody of that name" in report and b"multipart/report" in report
    assert b"left@example.test" in report

    # A bounce from behind the alias, to the address that we had given it, reaches the same.
    platform.run("alias", "add", "kept@example.test", "kept@modern.test")
    platform.deliver("kept@example.test", stranger(b"body\r\n").decode(), sender="later@remote.test")
    _, rewritten, _ = arrived(modern, "kept@modern.test")
    platform.deliver(rewritten, "From: mailer-daemon@modern.test\r\nSubject: returned\r\n\r\nfull\r\n", sender="")
    returned, sender, _ = arrived(modern, "later@remote.test")
    assert sender == "" and b"Subject: returned" in returned

    # Where that is refused too it ends: nobody is told, nothing stays.
    modern.refuse["nobody@remote.test"] = "550 5.1.1 nobody of that name"
    platform.deliver("kept@example.test", stranger(b"other\r\n").decode(), sender="nobody@remote.test")
    rewritten = relais.wait_until(lambda: [sender for sender, to, _ in modern.taken() if sender.startswith("SRS0=") and "nobody" in sender], "the forward")[0]
    before = len(modern.taken())
    platform.deliver(rewritten, "From: mailer-daemon@modern.test\r\nMessage-ID: <twice@modern.test>\r\nSubject: returned\r\n\r\nfull\r\n", sender="")

    def story():
        found = platform.json("trace", "<twice@modern.test>")["messages"]
        kinds = [event["kind"] for message in found for event in message["events"]]
        return kinds if {"bounced", "dropped"} & set(kinds) else None

    assert "notice" not in relais.wait_until(story, "the end of the bounce")
    relais.wait_until(lambda: platform.json("queue", "list")["messages"] == 0, "an empty queue")
    assert len(modern.taken()) == before
    # Whoever makes up such an address is sent away.
    with platform.smtp() as client:
        client.ehlo()
        client.mail("")
        code, text = client.rcpt(rewritten.replace("=remote.test=", "=victim.test="))
        assert code == 550, text
