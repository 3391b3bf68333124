"""What no well-behaved client sends: each gets the protocol's own reply, and others do not notice."""
import base64
import os
import socket
import time

import pytest

import relais

LOGIN = b'a LOGIN ada@example.test "%s"\r\n' % relais.PASSWORD.encode()
# Everything that some server somewhere has taken for the end of a message. RFC 5321 §4.1.1.4: only CRLF . CRLF is.
WRONG_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r.\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n"]


def smtp(platform, *commands, service="smtp"):
    wire = platform.connect(service)
    wire.smtp_reply()
    replies = []
    for command in commands:
        wire.send(command + b"\r\n")
        replies.append(wire.smtp_reply())
    return wire, replies


def memory_kb(platform):
    for line in open(f"/proc/{platform.process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1])


# A sanitizer keeps what was freed for a while, and shadows of everything.
MEMORY_BOUND_KB = 50_000 * (10 if os.environ.get("RELAIS_SANITIZE") else 1)


@pytest.mark.parametrize("end", WRONG_ENDS, ids=repr)
def test_no_smuggling(platform, end):
    address = platform.add_account("smuggle" + end.hex())
    wire, _ = smtp(platform, b"EHLO x", b"MAIL FROM:<a@remote.example>", b"RCPT TO:<%s>" % address.encode(), b"DATA")
    wire.send(b"Subject: outer\r\n\r\nouter" + end + b"MAIL FROM:<evil@remote.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: inner\r\n\r\ninner\r\n.\r\n" % address.encode())
    reply = wire.smtp_reply()
    assert reply[:1] in b"25", reply
    wire.send(b"NOOP\r\n")
    assert wire.smtp_reply().startswith(b"250")
    client = platform.imap(address)
    client.select("INBOX")
    count = len(client.search(None, "ALL")[1][0].split())
    assert count == (1 if reply.startswith(b"2") else 0)
    if b"\n" in end.replace(b"\r\n", b"") or b"\r" in end.replace(b"\r\n", b""):
        assert reply.startswith(b"5"), reply
    client.logout()


def test_smtp_commands_that_are_wrong(platform):
    wire, replies = smtp(platform, b"RCPT TO:<x@y>", b"FROB", b"MAIL FROM:<a@b> FROB=1", b"EHLO x", b"MAIL FROM:<a@b.example> FROB=1", b"MAIL FROM:a b",
                         b"RCPT TO:<ada@example.test>", b"DATA", b"VRFY ada", b"HELP", b"EHLO \0", b"X" * 100_000, b"BDAT x")
    codes = [reply[:3] for reply in replies]
    assert codes[0] == b"503" and codes[1] == b"500" and codes[4] == b"555" and codes[5] in (b"501", b"553")
    assert codes[6] == b"503" and codes[7] == b"503" and codes[8] == b"252" and codes[9] == b"214"
    assert codes[10][:1] == b"5" and codes[11] == b"500" and codes[12][:1] == b"5"
    assert wire.closed()  # how much of what follows BDAT is content can't be known


def test_100_000_recipients(platform):
    before = memory_kb(platform)
    wire, _ = smtp(platform, b"EHLO x", b"MAIL FROM:<a@remote.example>")
    too_many = 0
    for _ in range(100):
        wire.send(b"RCPT TO:<ada@example.test>\r\n" * 1000)
        for _ in range(1000):
            reply = wire.smtp_reply()
            if not reply:
                break
            assert reply[:3] in (b"250", b"452", b"421"), reply
            too_many += reply[:3] != b"250"
        if not reply:
            break
    assert too_many > 0
    assert memory_kb(platform) - before < MEMORY_BOUND_KB


def test_message_larger_than_announced_limit(platform):
    wire, replies = smtp(platform, b"EHLO x")
    limit = int(next(line for line in replies[0].splitlines() if b"SIZE" in line).split()[-1])
    wire.send(b"MAIL FROM:<> SIZE=%d\r\n" % (limit + 1))
    assert wire.smtp_reply().startswith(b"552")


def test_pipelined_garbage_after_starttls_is_discarded(platform):
    wire, _ = smtp(platform, b"EHLO x", service="submission")
    wire.send(b"STARTTLS\r\nMAIL FROM:<evil@remote.example>\r\nRCPT TO:<ada@example.test>\r\n")
    assert wire.smtp_reply().startswith(b"220")
    tls = platform.tls_context().wrap_socket(wire.socket)
    tls.sendall(b"NOOP\r\n")
    assert tls.recv(1000).startswith(b"250")
    tls.sendall(b"RCPT TO:<ada@example.test>\r\n")
    assert tls.recv(1000)[:3] in (b"503", b"530")
    for service, command, good in (("imap", b"a STARTTLS\r\nb LOGIN x y\r\n", b"a OK"), ("pop3", b"STLS\r\nUSER x\r\nPASS y\r\n", b"+OK")):
        wire = platform.connect(service)
        wire.line()
        wire.send(command)
        wire.until(good)
        tls = platform.tls_context().wrap_socket(wire.socket)
        tls.sendall(b"c NOOP\r\n" if service == "imap" else b"NOOP\r\n")
        answer = tls.recv(1000)
        assert b"b " not in answer and answer.count(b"\r\n") == 1, answer


def test_imap_garbage(platform):
    for octets, start in ((b"\r\n", b"* BAD"), (b"a\r\n", b"a BAD"), (b"a FROB\r\n", b"a BAD"), (b"a LOGIN x\r\n", b"a BAD"), (b'a LOGIN "x y\r\n', b"a BAD"),
                          (b"a SELECT INBOX\r\n", b"a "), (b"\xff\xfe\0\r\n", b"* BAD"), (b"a LOGIN {99999999}\r\n", b"a ")):
        wire = platform.connect("imap")
        wire.line()
        wire.send(octets)
        line = wire.line()
        assert line.startswith(start) and b" OK" not in line, (octets, line)
    wire = platform.connect("imap")
    wire.line()
    wire.send(LOGIN)
    wire.until(b"a OK")
    for octets in (b"b FETCH 1 FLAGS\r\n", b"b SELECT INBOX\0\r\n", b"b APPEND INBOX {99999999999}\r\n", b"b UID FETCH 0 FLAGS\r\n"):
        wire.send(octets)
        answer = wire.until(b"b ")[-1]
        assert answer[2:4] in (b"BA", b"NO"), (octets, answer)
    wire.send(b"b " + b"(" * 1_000_000 + b"\r\n")
    line = wire.line()
    assert b"BAD" in line or b"BYE" in line, line


def test_imap_deep_search_and_lists(platform):
    wire = platform.connect("imap")
    wire.line()
    wire.send(LOGIN + b"b SELECT INBOX\r\n")
    wire.until(b"b OK")
    wire.send(b"c SEARCH " + b"NOT " * 5000 + b"ALL\r\n")
    assert wire.until(b"c ")[-1][2:5] in (b"BAD", b"NO ", b"OK ")
    wire.send(b"d SEARCH " + b"(" * 5000 + b"ALL" + b")" * 5000 + b"\r\n")
    assert wire.until(b"d ")[-1][2:5] in (b"BAD", b"NO ", b"OK ")
    wire.send(b'e LIST "" "' + b"*%" * 200 + b'x"\r\n')
    wire.until(b"e ")


def test_pop3_garbage(platform):
    wire = platform.connect("pop3")
    assert wire.line().startswith(b"+OK")
    for octets in (b"FROB\r\n", b"STAT\r\n", b"\0\r\n", b"RETR 1\r\n", b"USER\r\n", b"X" * 5000 + b"\r\n", b"AUTH FROB\r\n"):
        wire.send(octets)
        assert wire.line().startswith(b"-ERR"), octets


def test_plain_text_on_a_tls_port(platform):
    for service in ("imaps", "pop3s", "submissions"):
        wire = platform.connect(service)
        wire.send(b"a LOGIN x y\r\n" * 10)
        assert wire.closed()


def test_what_is_no_handshake_after_starttls_ends_the_session(platform):
    for service, greeting, command, good in (("smtp", b"220", b"STARTTLS\r\n", b"220"), ("submission", b"220", b"STARTTLS\r\n", b"220"), ("lmtp", b"220", b"STARTTLS\r\n", b"220"),
                                             ("imap", b"*", b"a STARTTLS\r\n", b"a OK"), ("pop3", b"+OK", b"STLS\r\n", b"+OK")):
        wire = platform.connect(service)
        wire.until(greeting)
        wire.send(command)
        wire.until(good)
        wire.send(b"EHLO x\r\na LOGIN x y\r\nUSER ada\r\n" * 10)
        rest = b""
        while line := wire.line():
            rest += line
        assert b"250" not in rest and b"OK" not in rest, (service, rest)
    platform.imap("ada@example.test").logout()


def test_no_open_relay(platform):
    """Whatever the sender claims to be, and however the address is dressed up: mail for other domains is refused."""
    recipients = (b"<eve@remote.example>", b"<@example.test:eve@remote.example>", b"<eve%remote.example@example.test>", b"<remote.example!eve@example.test>",
                  b'<"eve@remote.example"@example.test>', b"<eve@[192.0.2.1]>", b"<eve@[127.0.0.1]>", b"<eve@example.test.remote.example>", b"<eve@localhost>",
                  b"<eve@xn--example.test>", b"<ada@example.test@remote.example>", b"<>", b"eve@remote.example")
    for service, hello in (("smtp", b"EHLO example.test"), ("lmtp", b"LHLO example.test")):
        for sender in (b"<>", b"<ada@example.test>", b"<eve@remote.example>"):
            wire, replies = smtp(platform, hello, b"MAIL FROM:" + sender, service=service)
            assert replies[1].startswith(b"250")
            for recipient in recipients:
                wire.send(b"RCPT TO:" + recipient + b"\r\n")
                assert wire.smtp_reply()[:1] == b"5", (service, sender, recipient)
            wire.send(b"DATA\r\n")
            assert wire.smtp_reply()[:1] == b"5"
    # Submission: nothing before a login, and only as oneself after it.
    _, replies = smtp(platform, b"EHLO x", b"MAIL FROM:<ada@example.test>", b"RCPT TO:<bob@example.test>", service="submission")
    assert replies[1].startswith(b"530") and replies[2].startswith(b"503")
    with platform.submission("ada@example.test") as client:
        assert client.mail("bob@example.test")[0] == 553
        assert client.mail("ada@example.test")[0] == 250
        assert client.rcpt("eve@remote.example")[0] == 550
        assert client.rcpt("bob@example.test")[0] == 250


def test_eight_bit_and_nul_in_headers_come_back_as_they_were(platform):
    address = platform.add_account("odd")
    message = b"Subject: Gr\xfc\xdfe \xff\xfe\r\nFrom: \xc3\xa9 <e@remote.example>\r\nX\xe4: y\r\nX-Nul: a\0b\r\nno colon\r\n\r\n\x80\0\r\n"
    wire, _ = smtp(platform, b"EHLO x", b"MAIL FROM:<a@remote.example>", b"RCPT TO:<%s>" % address.encode(), b"DATA")
    wire.send(message + b".\r\n")
    assert wire.smtp_reply().startswith(b"250")
    client = platform.imap(address)
    client.select("INBOX")
    status, fetched = client.fetch("1", "(ENVELOPE BODYSTRUCTURE)")
    assert status == "OK"
    # BODY[] may not hold NUL (RFC 3501 section 9): BINARY may.
    pop = platform.pop3(address)
    whole = b"\r\n".join(pop.retr(1)[1]) + b"\r\n"
    assert whole.endswith(message), whole
    pop.quit()
    client.logout()


def test_half_open_connections_do_not_disturb_others(platform):
    wires = [platform.connect(service) for _ in range(100) for service in ("smtp", "imap", "pop3", "imaps")]
    for wire in wires:
        wire.send(b"E")
    platform.imap("ada@example.test").logout()
    platform.deliver("ada@example.test", b"Subject: x\r\n\r\n")
    for wire in wires:
        wire.close()


def slowed(platform, service, source, user, password=b"wrong"):
    """One login attempt: how long its answer took."""
    wire = platform.connect(service, source)
    wire.line()
    began = time.monotonic()
    if service == "imap":
        wire.send(b'a LOGIN "%s" "%s"\r\n' % (user.replace(b"\\", b"\\\\").replace(b'"', b'\\"'), password))
        answer = wire.until(b"a ")[-1]
    elif service == "pop3":
        wire.send(b"USER %s\r\nPASS %s\r\n" % (user, password))
        wire.line()
        answer = wire.line()
    else:
        wire.send(b"EHLO x\r\n")
        wire.smtp_reply()
        wire.send(b"AUTH PLAIN " + base64.b64encode(b"\0" + user + b"\0" + password) + b"\r\n")
        answer = wire.smtp_reply()
    wire.close()
    assert password != b"wrong" or answer[:3] in (b"a N", b"-ER", b"535"), answer
    return time.monotonic() - began


@pytest.mark.parametrize("service", ["imap", "pop3", "submission"])
def test_wrong_passwords_slow_that_address_and_that_account(tmp_path, service):
    with relais.running(tmp_path / "p") as platform:
        for name in ("ada", "bob"):
            platform.add_account(name)
        # The account in all its spellings, from one address.
        for n in range(10):
            slowed(platform, service, "127.0.0.2", (b"ada@example.test", b"ADA", b'"a\\da"@Example.Test')[n % 3])
        assert platform.metric("relais_net_logins_slowed_total") is None
        assert slowed(platform, service, "127.0.0.2", b"bob") > 0.9  # that address
        assert slowed(platform, service, "127.0.0.3", b"ada") > 0.9  # that account
        assert slowed(platform, service, "127.0.0.4", b"ada", relais.PASSWORD.encode()) > 0.9  # a right guess waits as long
        assert platform.metric("relais_net_logins_slowed_total") == 3
        slowed(platform, service, "127.0.0.5", b"bob")
        assert platform.metric("relais_net_logins_slowed_total") == 3  # others do not wait


def test_others_do_not_notice_an_auth_flood(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        ada = platform.add_account("ada")
        floods = []
        for n in range(60):
            service = ("imap", "pop3", "submission")[n % 3]
            wire = platform.connect(service, "127.0.0.2")
            auth = base64.b64encode(b"\0nobody%d@example.test\0wrong" % n)
            wire.send({"imap": b"a LOGIN nobody%d wrong\r\n" % n, "pop3": b"USER nobody%d\r\nPASS wrong\r\n" % n,
                       "submission": b"EHLO x\r\nAUTH PLAIN " + auth + b"\r\n"}[service] * 20)
            floods.append(wire)
        before = memory_kb(platform)
        for _ in range(5):
            platform.deliver(ada, b"Subject: x\r\n\r\nx\r\n")
            client = platform.imap(ada)
            client.select("INBOX")
            client.logout()
        assert memory_kb(platform) - before < MEMORY_BOUND_KB
        for wire in floods:
            wire.close()
        platform.stop()  # at once: whoever waits for an answer is told


def test_ten_wrong_passwords_slow_the_next_ones(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        ada, bob = platform.add_account("ada"), platform.add_account("bob")

        def attempt(password):
            wire = platform.connect("imap")
            wire.line()
            began = time.monotonic()
            wire.send(b'a LOGIN %s "%s"\r\n' % (ada.encode(), password))
            answer = wire.until(b"a ")[-1]
            wire.close()
            return answer, time.monotonic() - began

        for _ in range(10):
            answer, _ = attempt(b"wrong")
            assert b"AUTHENTICATIONFAILED" in answer, answer
        answer, delay = attempt(b"wrong")
        assert delay > 0.9 and b" NO" in answer, (answer, delay)
        del bob


def test_auth_flood_in_one_session_is_ended(platform):
    wire, _ = smtp(platform, b"EHLO x", service="submission")
    wire.send(b"STARTTLS\r\n")
    wire.smtp_reply()
    wire.socket = platform.tls_context().wrap_socket(wire.socket)
    wire.send(b"EHLO x\r\n")
    wire.smtp_reply()
    for _ in range(50):
        try:
            wire.send(b"AUTH PLAIN " + base64.b64encode(b"\0nobody@example.test\0wrong") + b"\r\n")
            reply = wire.smtp_reply()
        except (BrokenPipeError, ConnectionError, OSError):
            reply = b""
        if not reply or reply.startswith(b"421"):
            return
        assert reply.startswith(b"535"), reply
    raise AssertionError("fifty wrong passwords in one session")
