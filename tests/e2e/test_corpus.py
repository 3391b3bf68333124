"""Real and malformed mail goes in over SMTP, LMTP and APPEND and comes back over IMAP and POP3 byte for byte."""
import imaplib
import mailbox_file
import poplib
import re

import pytest

import relais

imaplib._MAXLINE = poplib._MAXLINE = 100_000_000


@pytest.fixture(scope="module")
def corpus(request):
    """The project's own odd mails, and the shared corpus where it is there."""
    messages = mailbox_file.own_messages()
    shared = mailbox_file.shared_corpus()
    if shared is None:
        print("the shared corpus is not here: only the project's own messages are used")
        return messages
    return messages + list(mailbox_file.shared_messages(shared))


def send_all(client, address, messages):
    """Over one connection; returns for each message whether it was accepted."""
    accepted = []
    for message in messages:
        client.putcmd("MAIL FROM:<corpus@remote.example> BODY=8BITMIME")
        assert client.getreply()[0] == 250
        client.putcmd(f"RCPT TO:<{address}>")
        assert client.getreply()[0] == 250
        client.putcmd("DATA")
        assert client.getreply()[0] == 354
        client.send(mailbox_file.dot_stuffed(message))
        code, text = client.getreply()
        assert code in (250, 550, 554), (code, text, message[:200])
        accepted.append(code == 250)
    return accepted


def fetch_all(client, items):
    """Answers of UID FETCH 1:* as a list of (text, literals)."""
    kind, data = client.uid("FETCH", "1:*", items)
    assert kind == "OK", data
    return data


def stored(platform, address):
    """The messages as BINARY[] brings them; BODY[] is the same, but that no NUL may be in a literal (RFC 9051 §4.3.1)."""
    client = platform.imap(address)
    client.select("INBOX")
    exact, bodies = ([part[1] for part in fetch_all(client, f"({item}.PEEK[])") if isinstance(part, tuple)] for item in ("BINARY", "BODY"))
    client.logout()
    assert bodies == [octets.replace(b"\0", b"\x80") for octets in exact]
    return exact


def without_trace(octets, message):
    """The trace fields that delivery puts in front (RFC 5321 §4.4), checked and cut off."""
    if message and not octets.endswith(message):
        return octets
    trace = octets[: len(octets) - len(message)]
    assert re.fullmatch(rb"((Return-Path|Delivered-To|Received): [^\r\n]*\r\n([ \t][^\r\n]*\r\n)*)+", trace), trace
    return message


@pytest.mark.parametrize("way", ["smtp", "lmtp"])
def test_over_smtp_and_lmtp(platform, corpus, way):
    address = platform.add_account(f"corpus-{way}")
    lines = [message for message in corpus if mailbox_file.fits_smtp(message)]
    client = platform.smtp() if way == "smtp" else platform.lmtp()
    with client:
        client.ehlo()
        accepted = send_all(client, address, lines)
    assert all(accepted), [message[:100] for message, ok in zip(lines, accepted) if not ok]
    bodies = stored(platform, address)
    assert len(bodies) == len(lines)
    for message, body in zip(lines, bodies):
        assert without_trace(body, message) == message
    pop = platform.pop3(address)
    assert pop.stat()[0] == len(lines)
    for number, body in enumerate(bodies, 1):
        _, got, _ = pop.retr(number)
        assert b"\r\n".join(got) + b"\r\n" == body
    pop.quit()


def test_over_append(platform, corpus):
    address = platform.add_account("corpus-append")
    client = platform.imap(address)
    client.literal = None
    expected = []
    for message in corpus:
        kind, answer = append_exactly(client, message)
        if b"\0" in message:
            assert kind == "BAD", answer  # RFC 9051 §4.3.1: NUL only in literal8
            kind, answer = append_exactly(client, message, b"~")
        assert kind == "OK", (answer, message[:200])
        expected.append(message)
    bodies = stored(platform, address)
    assert bodies == expected
    client.select("INBOX")
    # Every message has an envelope and a structure that a client can read.
    answers = fetch_all(client, "(UID ENVELOPE BODYSTRUCTURE BODY INTERNALDATE RFC822.SIZE)")
    text = b"".join(part[0] + b"{lit}" if isinstance(part, tuple) else part for part in answers)
    assert text.count(b"ENVELOPE (") == len(expected) and text.count(b"BODYSTRUCTURE (") == len(expected)
    client.logout()


def append_exactly(client, message, literal=b""):
    """imaplib's append() rewrites line ends; this one does not. literal=b"~" for a literal8."""
    tag = client._new_tag()
    client.send(tag + b" APPEND INBOX %s{%d}\r\n" % (literal, len(message)))
    while True:
        line = client.readline()
        if line.startswith(b"+"):
            client.send(message + b"\r\n")
        if line.startswith(tag):
            return line.split()[1].decode(), line


def test_parts_add_up(platform):
    """BODY[n], BINARY and partial fetches of the project's own messages agree with the whole."""
    address = platform.add_account("parts")
    client = platform.imap(address)
    for message in mailbox_file.own_messages():
        if b"\0" not in message:
            assert append_exactly(client, message)[0] == "OK"
    client.select("INBOX")
    count = int(client.select("INBOX")[1][0])
    for number in range(1, count + 1):
        def fetch(item):
            kind, data = client.fetch(str(number), f"({item})")
            assert kind == "OK", data
            return next((part[1] for part in data if isinstance(part, tuple)), b"")
        whole, header, text = fetch("BODY.PEEK[]"), fetch("BODY.PEEK[HEADER]"), fetch("BODY.PEEK[TEXT]")
        assert header + text == whole
        assert fetch("BODY.PEEK[]<10.20>") == whole[10:30]
        part = fetch("BODY.PEEK[1]")
        assert part in whole
    client.logout()
