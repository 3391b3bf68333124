"""Python's own smtplib, imaplib and poplib: a mail's way in and out."""
import email
import email.policy
import imaplib
import smtplib

import pytest

import mailbox_file
import relais

MESSAGE = (b"From: Eve <eve@remote.example>\r\nTo: ada@example.test\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\nMessage-ID: <1@remote.example>\r\n"
           b"Date: Thu, 01 Jan 2026 10:00:00 +0000\r\n\r\nHello Ada,\r\n.a line with a dot\r\n..two\r\n\r\nEve\r\n")


def inbox(platform, address):
    client = platform.imap(address)
    client.select("INBOX")
    return client


def body_of(octets):
    return octets.partition(b"\r\n\r\n")[2]


def test_smtp_in_imap_out(platform):
    platform.deliver("ada@example.test", MESSAGE)
    client = inbox(platform, "ada@example.test")
    kind, found = client.search(None, "HEADER", "Message-ID", "<1@remote.example>")
    assert kind == "OK" and found[0], found
    number = found[0].split()[-1]
    _, fetched = client.fetch(number, "(UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[])")
    whole = max((part[1] for part in fetched if isinstance(part, tuple)), key=len)  # ENVELOPE may hold literals too
    assert whole.endswith(MESSAGE)
    trace = whole[: -len(MESSAGE)].decode()
    assert trace.startswith("Return-Path: <eve@remote.example>\r\n") or "Return-Path: <ada@remote.example>" in trace
    assert "Delivered-To: ada@example.test\r\n" in trace and "Received: from client.example.net" in trace
    assert f"RFC822.SIZE {len(whole)}".encode() in b" ".join(part if isinstance(part, bytes) else part[0] for part in fetched)
    client.logout()


def test_the_same_octets_over_pop3(platform):
    platform.deliver("bob@example.test", MESSAGE)
    client = platform.pop3("bob@example.test")
    count, octets = client.stat()
    assert count >= 1 and octets > len(MESSAGE)
    _, lines, _ = client.retr(count)
    assert (b"\r\n".join(lines) + b"\r\n").endswith(MESSAGE)
    _, uidls, _ = client.uidl()
    assert len({line.split()[1] for line in uidls}) == count
    _, top, _ = client.top(count, 1)
    assert top[-1] == b"Hello Ada,"
    client.quit()


def test_pop3_deletes_at_quit_only(platform):
    address = platform.add_account("popper")
    for _ in range(3):
        platform.deliver(address, MESSAGE)
    client = platform.pop3(address)
    client.dele(1)
    client.dele(3)
    client.close()  # no QUIT: nothing is deleted
    client = relais.wait_until(lambda: try_pop3(platform, address), "the lock of the dropped session")
    assert client.stat()[0] == 3
    client.dele(1)
    client.dele(3)
    client.quit()
    client = platform.pop3(address)
    assert client.stat()[0] == 1
    client.quit()


def try_pop3(platform, address):
    import poplib
    try:
        return platform.pop3(address)
    except poplib.error_proto as error:
        assert b"IN-USE" in error.args[0], error
        return None


def test_unknown_recipient_is_refused_at_rcpt(platform):
    with platform.smtp() as client:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
            client.sendmail("eve@remote.example", ["nobody@example.test", "ada@elsewhere.example"], MESSAGE)
        assert refused.value.recipients["nobody@example.test"][0] == 550
        assert refused.value.recipients["ada@elsewhere.example"][0] in (550, 554)


def test_submission_needs_login_and_own_address(platform):
    with smtplib.SMTP_SSL("127.0.0.1", platform.port("submissions"), context=platform.tls_context()) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("ada@example.test", ["bob@example.test"], MESSAGE)
        assert refused.value.smtp_code == 530
    with platform.submission("ada@example.test") as client:
        client.sendmail("ada@example.test", ["bob@example.test"], MESSAGE.replace(b"eve@remote.example", b"ada@example.test", 1))
        with pytest.raises(smtplib.SMTPException):
            client.sendmail("bob@example.test", ["bob@example.test"], MESSAGE)
        client.rset()
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.sendmail("ada@example.test", ["someone@remote.example"], MESSAGE)


def test_starttls_on_every_port(platform):
    with smtplib.SMTP("127.0.0.1", platform.port("submission")) as client:
        client.starttls(context=platform.tls_context())
        client.login("ada@example.test", relais.PASSWORD)
    client = imaplib.IMAP4("127.0.0.1", platform.port("imap"))
    client.starttls(platform.tls_context())
    client.login("ada@example.test", relais.PASSWORD)
    client.logout()


def test_lmtp_answers_per_recipient(platform):
    wire = platform.connect("lmtp")
    wire.smtp_reply()
    for command, code in ((b"LHLO x", b"250"), (b"MAIL FROM:<eve@remote.example>", b"250"), (b"RCPT TO:<ada@example.test>", b"250"),
                          (b"RCPT TO:<nobody@example.test>", b"550"), (b"RCPT TO:<bob@example.test>", b"250"), (b"DATA", b"354")):
        wire.send(command + b"\r\n")
        assert wire.smtp_reply().startswith(code), command
    wire.send(mailbox_file.dot_stuffed(MESSAGE))
    assert wire.smtp_reply().startswith(b"250") and wire.smtp_reply().startswith(b"250")  # one for each accepted recipient


def test_append_store_copy_move_expunge(platform):
    address = platform.add_account("worker")
    client = platform.imap(address)
    assert client.create("Projekte/Gr&APwA3w-e")[0] == "OK"
    for n in range(5):
        kind, answer = client.append("INBOX", r"(\Seen $Label1)", None, MESSAGE.replace(b"<1@", b"<%d@" % n))
        assert kind == "OK" and b"APPENDUID" in answer[0]
    client.select("INBOX")
    assert client.uid("COPY", "1:2", "Projekte/Gr&APwA3w-e")[0] == "OK"
    assert client.uid("MOVE", "3", "Projekte/Gr&APwA3w-e")[0] == "OK"
    assert client.uid("STORE", "4", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert client.expunge()[0] == "OK"
    assert client.search(None, "ALL")[1][0].split() == [b"1", b"2", b"3"]
    client.select("Projekte/Gr&APwA3w-e")
    _, fetched = client.fetch("1:*", "(FLAGS BODY.PEEK[])")
    assert sum(1 for part in fetched if isinstance(part, tuple)) == 3
    assert all(b"$Label1" in part[0] and rb"\Seen" in part[0] for part in fetched if isinstance(part, tuple))
    client.logout()


def test_headers_are_parsed_for_the_envelope(platform):
    address = platform.add_account("envelope")
    message = email.message_from_bytes(MESSAGE)
    platform.deliver(address, message.as_bytes(policy=email.policy.SMTP))
    client = inbox(platform, address)
    _, fetched = client.fetch("1", "(ENVELOPE)")
    assert b'"<1@remote.example>"' in (fetched[0] if isinstance(fetched[0], bytes) else fetched[0][0] + fetched[1])
    client.logout()
