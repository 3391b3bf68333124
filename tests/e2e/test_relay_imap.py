"""IMAP of accounts that still live on real Dovecot, Cyrus and Courier: nobody notices that we stand between."""
import imaplib
import re
import subprocess

import pytest

import legacy
import relais

ADA = "ada@example.test"
LINE = b"x" * 70 + b"\r\n"


def message(number, size=1):
    return b"From: someone@elsewhere.test\r\nSubject: message %d\r\nMessage-ID: <%d@elsewhere.test>\r\n\r\n" % (number, number) + LINE * size


def add_platform(platform, server, *more):
    tls = ["--tls", server.tls] + (["--ca-file", server.authority.certificate] if server.authority else [])
    platform.run("legacy", "add", server.name, "--imap", f"{server.host}:{server.imap_port}", *map(str, tls), *more)


def add_account(platform, server, address, *messages):
    server.add_user(address)
    if messages:
        server.append(address, *messages)
    platform.run("account", "add", address, "--legacy", server.name)


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def front(server, tmp_path_factory):
    with relais.running(tmp_path_factory.mktemp("front") / "p") as platform:
        add_platform(platform, server)
        add_account(platform, server, ADA, message(1), message(2, 4000), message(3, 20))
        platform.add_account("native")
        yield platform


def wire_to(front, address, password=relais.PASSWORD, source="127.0.0.1"):
    """A raw connection, logged in; and what the tagged OK said."""
    wire = front.connect("imaps", source=source)
    wire.socket = front.tls_context().wrap_socket(wire.socket)
    wire.line()
    wire.send(f'in LOGIN "{address}" "{password}"\r\n'.encode())
    return wire, wire.line()


def everything(client):
    """What a client can see of an INBOX."""
    state, counters = client.select("INBOX", readonly=True)
    assert state == "OK"
    validity = client.untagged_responses["UIDVALIDITY"]
    return counters, validity, client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])")


def test_the_mailbox_is_the_platforms(front, server):
    direct, relayed = server.imap(ADA), front.imap(ADA)
    assert everything(relayed) == everything(direct)
    assert relayed.list() == direct.list()
    assert relayed.uid("SEARCH", "SUBJECT", "message") == direct.uid("SEARCH", "SUBJECT", "message")
    direct.logout()
    assert relayed.logout()[0] == "BYE"


def test_capabilities(front, server):
    before = front.connect("imap")
    greeting = before.line()
    assert b"STARTTLS" in greeting and b"IMAP4rev1" in greeting and b"IMAP4rev2" not in greeting
    wire, answer = wire_to(front, ADA)
    told = set(re.search(rb"\[CAPABILITY ([^]]*)\]", answer)[1].decode().split())
    direct = server.imap(ADA)
    theirs = set(direct.capability()[1][0].decode().split())
    direct.logout()
    hidden = {word for word in theirs if word.startswith(("AUTH=", "COMPRESS=")) or word in ("STARTTLS", "LOGINDISABLED", "SASL-IR", "NOTIFY", "UNAUTHENTICATE")}
    assert {word.upper() for word in told} == {word.upper() for word in theirs - hidden} and "IMAP4rev1" in told
    wire.send(b"a CAPABILITY\r\nb STARTTLS\r\nc COMPRESS DEFLATE\r\nd LOGIN x y\r\n")
    lines = wire.until(b"d ")
    assert [line.split()[:2] for line in lines if not line.startswith(b"*")] == [[b"a", b"OK"], [b"b", b"BAD"], [b"c", b"NO"], [b"d", b"BAD"]]
    assert set(lines[0].decode().split()[2:]) == told


def test_who_lives_here_is_served_here(front):
    client = front.imap("native@example.test")
    assert client.select() == ("OK", [b"0"])
    client.logout()


def test_wrong_password(front):
    _, answer = wire_to(front, ADA, "wrong")
    assert answer.startswith(b"in NO [AUTHENTICATIONFAILED]")


def test_sasl_plain(front):
    client = imaplib.IMAP4_SSL(front.host, front.port("imaps"), ssl_context=front.tls_context())
    client.authenticate("PLAIN", lambda challenge: legacy.plain("", ADA, legacy.PASSWORD))
    assert client.select(readonly=True) == ("OK", [b"3"])
    client.logout()


def test_many_commands_in_one_write(front):
    wire = front.connect("imaps")
    wire.socket = front.tls_context().wrap_socket(wire.socket)
    noops = b"".join(b"n%d NOOP\r\n" % n for n in range(300))
    wire.send(f'in LOGIN {ADA} "{relais.PASSWORD}"\r\ns EXAMINE INBOX\r\nf FETCH 1:* BODY.PEEK[]\r\n'.encode() + noops + b"z LOGOUT\r\n")
    tagged = [line.split()[0] for line in wire.until(b"z OK") if re.match(rb"(in|s|f|n\d+|z) OK", line)]
    assert tagged == [b"in", b"s", b"f"] + [b"n%d" % n for n in range(300)] + [b"z"]


def test_idle(front, server):
    address = "idle@example.test"
    add_account(front, server, address, message(1))
    wire, _ = wire_to(front, address)
    wire.send(b"a SELECT INBOX\r\n")
    wire.until(b"a OK")
    wire.send(b"b IDLE\r\n")
    wire.until(b"+")
    server.append(address, message(2))
    if server.name != "courier":  # which looks for news once a minute
        wire.until(b"* 2 EXISTS")
    wire.send(b"DONE\r\nc NOOP\r\n")
    news = wire.until(b"b OK") + wire.until(b"c OK")
    assert server.name != "courier" or any(line.startswith(b"* 2 EXISTS") for line in news)


def test_large_literals_both_ways(front, server):
    address = "large@example.test"
    add_account(front, server, address)
    client = front.imap(address)
    sent = message(1, 60_000)
    assert client.append("INBOX", r"(\Seen)", None, sent)[0] == "OK"
    assert client.select()[1] == [b"1"]
    assert client.fetch("1", "BODY.PEEK[]")[1][0][1] == sent
    # A mailbox that is not there: whether the platform takes the octets or not, what follows is understood.
    assert client.append('"not there"', "", None, message(2, 1000))[0] == "NO"
    assert client.noop()[0] == "OK"
    client.logout()


def memory_of(process):
    with open(f"/proc/{process.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024


def test_a_slow_reader_costs_no_memory(front, server):
    address = "slow@example.test"
    size = 20_000
    add_account(front, server, address, *(message(n, size) for n in range(4)))
    wire, _ = wire_to(front, address)
    before = memory_of(front.process)
    wire.send(b"a EXAMINE INBOX\r\n" + b"".join(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % n for n in range(10)))
    heard = wire.until(b"f0 OK")  # the others come as far as there is room for them
    assert memory_of(front.process) - before < 24 * 2**20, "56 MB are on their way"
    for n in range(1, 10):
        heard += wire.until(b"f%d OK" % n)
    assert heard.count(LINE) == 10 * 4 * size


def test_curl(front):
    done = subprocess.run(["curl", "-sS", "--insecure", "--user", f"{ADA}:{relais.PASSWORD}", f"imaps://localhost:{front.port('imaps')}/INBOX;MAILINDEX=2"], capture_output=True)
    assert done.returncode == 0 and done.stdout == message(2, 4000), done.stderr


def test_mbsync_twice(front, server, tmp_path):
    address = "sync@example.test"
    add_account(front, server, address, *(message(n) for n in range(20)))
    server.append(address, message(99), mailbox=server.prefix + "Work")
    mbsync = relais.Mbsync(front, address, tmp_path)
    local = mbsync.local

    def sync():
        mbsync.sync()
        return {str(path): path.stat().st_mtime_ns for path in local.rglob("*") if path.is_file() and path.parent.name in ("new", "cur")}

    first = sync()
    assert len(first) == 21
    assert sync() == first
    (local / "INBOX" / "new" / "1.here").write_bytes(b"Subject: from here\n\nx\n")
    sync()
    client = server.imap(address)
    assert client.select()[1] == [b"21"]
    client.logout()


def test_the_platform_is_away(server, tmp_path):
    with relais.running(tmp_path / "front") as front, type(server)(tmp_path / "server") as other:
        add_platform(front, other)
        add_account(front, other, ADA, message(1))
        wire, _ = wire_to(front, ADA)
        wire.send(b"a NOOP\r\n")
        wire.until(b"a OK")
        other.kill()
        assert any(line.startswith(b"* BYE") for line in iter(wire.line, b""))  # its session ends with it
        _, answer = wire_to(front, ADA)
        assert answer.startswith(b"in NO [UNAVAILABLE]")
        other.start()
        client = front.imap(ADA)
        assert client.select()[1] == [b"1"]
        client.logout()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_on_both_sides(server, tls, tmp_path):
    with relais.running(tmp_path / "front") as front, type(server)(tmp_path / "server", tls=tls) as other:
        add_platform(front, other)
        add_account(front, other, ADA, message(1, 10_000))
        direct, relayed = other.imap(ADA), front.imap(ADA)
        assert everything(relayed) == everything(direct)
        # Another authority's certificate is no certificate.
        front.run("legacy", "add", other.name, "--imap", f"{other.host}:{other.imap_port}", "--tls", tls)
        _, answer = wire_to(front, ADA)
        assert answer.startswith(b"in NO [UNAVAILABLE]")


@pytest.mark.parametrize("way", ["id", "proxy"])
def test_dovecot_is_told_the_clients_address(way, tmp_path):
    trusted = {"id": {"config": "login_trusted_networks = 127.0.0.0/8\n"}, "proxy": {"config": "haproxy_trusted_networks = 127.0.0.0/8\n", "proxy": True}}
    with relais.running(tmp_path / "front") as front, legacy.dovecot(tmp_path / "server", **trusted[way]) as server:
        add_platform(front, server, "--forward", way)
        server.add_user(ADA)
        front.run("account", "add", ADA, "--legacy", server.name)
        wire, answer = wire_to(front, ADA, source="127.9.8.7")
        assert answer.startswith(b"in OK")
        wire.send(b"z LOGOUT\r\n")
        wire.until(b"z OK")
        relais.wait_until(lambda: re.search(f"Login: user=<{ADA}>.*rip=127.9.8.7", server.log()), "the login in its log")


def test_stopping_ends_idle_sessions(server, tmp_path):
    with relais.running(tmp_path / "own") as own:
        add_platform(own, server)
        address = "stop@example.test"
        add_account(own, server, address)
        wire, _ = wire_to(own, address)
        wire.send(b"a SELECT INBOX\r\n")
        wire.until(b"a OK")
        own.stop()
        assert wire.line().startswith(b"* BYE [UNAVAILABLE]")
