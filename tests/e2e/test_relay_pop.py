"""POP3 of accounts that still live on real Dovecot, Cyrus and Courier: nobody notices that we stand between."""
import os
import poplib
import re
import subprocess

import pytest

import legacy
import relais

MESSAGE = "From: someone@elsewhere.test\r\nTo: {0}\r\nSubject: message {1}\r\nMessage-ID: <{1}@elsewhere.test>\r\n\r\n.hello\r\n..\r\n{2}"
LINE = "x" * 70 + "\r\n"
ADA = "ada@example.test"


def add_platform(platform, server, *more, name=None):
    name = name or server.name
    tls = ["--tls", server.tls] + (["--ca-file", server.authority.certificate] if server.authority else [])
    platform.run("legacy", "add", name, "--pop3", f"{server.host}:{server.pop3_port}", *map(str, tls), *more)


def add_account(platform, server, address, *messages):
    server.add_user(address)
    server.deliver(address, *messages)
    platform.run("account", "add", address, "--legacy", server.name)


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def front(server, tmp_path_factory):
    with relais.running(tmp_path_factory.mktemp("front") / "p") as platform:
        add_platform(platform, server)
        add_account(platform, server, ADA, *(MESSAGE.format(ADA, n, LINE * size) for n, size in enumerate((3000, 1, 20))))
        platform.add_account("native")
        yield platform


def drop(client):
    """Everything that a POP3 client can see of a maildrop."""
    seen = (client.stat(), client.list()[1], client.uidl()[1], [client.retr(n + 1)[1] for n in range(client.stat()[0])], client.top(1, 1)[1])
    client.quit()
    return seen


def test_the_maildrop_is_the_platforms(front, server):
    direct = drop(server.pop3(ADA))
    relayed = drop(front.pop3(ADA))
    assert direct[0][0] == 3 and relayed == direct


def test_who_lives_here_is_served_here(front):
    client = front.pop3("native@example.test")
    assert client.stat() == (0, 0)
    client.quit()


def test_wrong_password(front):
    with pytest.raises(poplib.error_proto, match=r"-ERR \[AUTH\]"):
        front.pop3(ADA, "wrong")


def test_sasl_plain(front):
    client = poplib.POP3_SSL(front.host, front.port("pop3s"), context=front.tls_context())
    token = legacy.base64.b64encode(legacy.plain("", ADA, legacy.PASSWORD)).decode()
    assert client._shortcmd(f"AUTH PLAIN {token}").startswith(b"+OK")
    assert client.stat()[0] == 3
    client.quit()


def test_deletions_count_with_quit_alone(front, server):
    add_account(front, server, "del@example.test", *(MESSAGE.format("del", n, "") for n in range(3)))
    client = front.pop3("del@example.test")
    client.dele(1)
    client.close()
    client = wait_for_session(front, "del@example.test")
    assert client.stat()[0] == 3
    client.dele(2)
    client.quit()
    client = wait_for_session(front, "del@example.test")
    assert client.stat()[0] == 2
    client.quit()


def wait_for_session(front, address):
    """A server may hold the maildrop's lock until it has seen that the last session is over."""
    def attempt():
        try:
            return front.pop3(address)
        except poplib.error_proto as refused:
            assert b"[IN-USE]" in refused.args[0], refused
    return relais.wait_until(attempt, "the maildrop to be free")


def test_fetchmail_takes_everything_once(front, server, tmp_path):
    address = "fetch@example.test"
    add_account(front, server, address, *(MESSAGE.format(address, n, "body\r\n") for n in range(5)))
    inbox, rc = tmp_path / "inbox", tmp_path / "rc"
    rc.write_text(f'poll 127.0.0.1 protocol pop3 port {front.port("pop3s")} uidl user "{address}" password "{relais.PASSWORD}" ssl no sslcertck keep '
                  f'mda "cat >> {inbox}; echo >> {inbox}"\n')
    rc.chmod(0o600)
    command = ["fetchmail", "-f", str(rc), "--nodetach", "--nosyslog", "--idfile", str(tmp_path / "ids"), "--pidfile", str(tmp_path / "pid")]
    environment = {**os.environ, "HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(line for line in inbox.read_text().splitlines() if line.startswith("Subject:")) == [f"Subject: message {n}" for n in range(5)]
    again = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert again.returncode == 1, "1: there was nothing new; " + again.stdout + again.stderr
    assert inbox.read_text().count("Subject: message") == 5


def test_many_commands_in_one_write(front):
    wire = front.connect("pop3")
    wire.send(b"STLS\r\n")
    wire.until(b"+OK begin")
    wire.socket = front.tls_context().wrap_socket(wire.socket)
    wire.send(f"USER {ADA}\r\nPASS {relais.PASSWORD}\r\nSTAT\r\nUIDL 1\r\nRETR 2\r\nQUIT\r\n".encode())
    assert wire.line().startswith(b"+OK") and wire.line() == b"+OK logged in\r\n"
    assert wire.line().startswith(b"+OK 3 ") and wire.line().startswith(b"+OK 1 ") and wire.line().startswith(b"+OK")
    wire.until(b".\r\n")
    assert wire.line().startswith(b"+OK") and wire.line() == b""


def test_the_platform_is_away(server, tmp_path):
    with relais.running(tmp_path / "front") as front, type(server)(tmp_path / "server") as other:
        add_platform(front, other)
        add_account(front, other, ADA, MESSAGE.format(ADA, 1, ""))
        idle = front.pop3(ADA)
        assert idle.stat()[0] == 1
        other.kill()
        with pytest.raises((poplib.error_proto, OSError)):  # its session ends with it
            idle.noop()
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            front.pop3(ADA)
        other.start()
        client = wait_for_session(front, ADA)
        assert client.stat()[0] == 1
        client.quit()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_tls_on_both_sides(server, tls, tmp_path):
    with relais.running(tmp_path / "front") as front, type(server)(tmp_path / "server", tls=tls) as other:
        add_platform(front, other)
        add_account(front, other, ADA, MESSAGE.format(ADA, 1, LINE * 10_000))
        assert drop(front.pop3(ADA)) == drop(other.pop3(ADA))
        # Another authority's certificate is no certificate; and a platform that wants TLS gets no password without it.
        front.run("legacy", "add", other.name, "--pop3", f"{other.host}:{other.pop3_port}", "--tls", tls)
        with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
            front.pop3(ADA)
        if tls == "starttls":
            front.run("legacy", "add", other.name, "--pop3", f"{other.host}:{other.pop3_port}", "--tls", "none")
            with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/TEMP\]"):
                front.pop3(ADA)


@pytest.mark.parametrize("way", ["id", "proxy"])
def test_dovecot_is_told_the_clients_address(way, tmp_path):
    trusted = {"id": {"config": "login_trusted_networks = 127.0.0.0/8\n"}, "proxy": {"config": "haproxy_trusted_networks = 127.0.0.0/8\n", "proxy": True}}
    with relais.running(tmp_path / "front") as front, legacy.dovecot(tmp_path / "server", **trusted[way]) as server:
        add_platform(front, server, "--forward", way)
        server.add_user(ADA)
        front.run("account", "add", ADA, "--legacy", server.name)
        wire = front.connect("pop3s", source="127.9.8.7")
        wire.socket = front.tls_context().wrap_socket(wire.socket)
        wire.send(f"USER {ADA}\r\nPASS {relais.PASSWORD}\r\nQUIT\r\n".encode())
        assert b"+OK logged in\r\n" in wire.until(b"+OK Logging out")
        relais.wait_until(lambda: re.search(f"Login: user=<{ADA}>.*rip=127.9.8.7", server.log()), "the login in its log")


def test_stopping_ends_idle_sessions(server, tmp_path):
    with relais.running(tmp_path / "front") as own:
        add_platform(own, server)
        address = "stop@example.test"
        add_account(own, server, address, MESSAGE.format(address, 1, ""))
        client = own.pop3(address)
        assert client.stat()[0] == 1
        own.stop()
        with pytest.raises((poplib.error_proto, OSError)):
            client.noop()
