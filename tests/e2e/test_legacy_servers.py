"""The servers that accounts are moved away from do what tests of moving rely on."""
import imaplib
import poplib
import re
import ssl

import pytest

import legacy

MESSAGE = b"From: someone@elsewhere.test\r\nSubject: hello\r\nMessage-ID: <1@elsewhere.test>\r\n\r\nOne line.\r\n.two dots\r\n"
ADA, BOB = "ada@example.test", "bob@example.test"


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        server.add_user(ADA)
        yield server


def inbox(client):
    client.select("INBOX")
    return [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]


def test_login_and_a_wrong_password(server):
    server.imap(ADA).logout()
    server.pop3(ADA).quit()
    with pytest.raises(imaplib.IMAP4.error):
        server.imap(ADA, "wrong")
    with pytest.raises(poplib.error_proto):
        server.pop3(ADA, "wrong")


def test_a_new_password_holds_at_once(server):
    server.add_user("carol@example.test", "first")
    server.imap("carol@example.test", "first").logout()
    server.set_password("carol@example.test", "other")
    server.imap("carol@example.test", "other").logout()
    with pytest.raises(imaplib.IMAP4.error):
        server.imap("carol@example.test", "first")


def test_append_comes_back_octet_for_octet_by_imap_and_pop3(server):
    server.add_user(BOB)
    server.append(BOB, MESSAGE, flags=r"(\Seen)")
    with server.imap(BOB) as client:
        assert inbox(client) == [MESSAGE]
        assert b"\\Seen" in client.fetch("1", "(FLAGS)")[1][0]
    client = server.pop3(BOB)
    assert b"\r\n".join(client.retr(1)[1]) + b"\r\n" == MESSAGE
    assert len(client.uidl()[1]) == 1
    client.quit()


def test_mail_is_delivered(server):
    server.add_user("dave@example.test")
    server.deliver("dave@example.test", MESSAGE, MESSAGE.replace(b"hello", b"again"))
    with server.imap("dave@example.test") as client:
        assert sorted(re.search(rb"Subject: (\w+)", one)[1] for one in inbox(client)) == [b"again", b"hello"]


def test_master_as_authorization_identity(server):
    server.append(ADA, MESSAGE, mailbox=server.prefix + "Kept")
    if not server.master_user:  # Courier has none, and does not refuse: whoever shows another's identity beside his own is in his own account
        server.add_user("erin@example.test")
        with server.imap_connection() as client:
            client.authenticate("PLAIN", lambda _: legacy.plain(ADA, "erin@example.test", legacy.PASSWORD))
            assert client.select(server.prefix + "Kept")[0] == "NO"
        return
    with server.imap_as_master(ADA) as client:
        assert client.select(server.prefix + "Kept")[1] == [b"1"]
    with pytest.raises(imaplib.IMAP4.error):
        server.imap_connection().authenticate("PLAIN", lambda _: legacy.plain(ADA, server.master_user, "wrong"))


def test_qresync_where_it_is_offered(server):
    with server.imap(ADA) as client:
        offered = "QRESYNC" in client.capability()[1][0].decode().split()
        assert offered == server.has_qresync
        if not offered:
            return
        client.create("Synchronised")
        for _ in range(2):
            client.append("Synchronised", "", None, MESSAGE)
        client.enable("QRESYNC")
        client.select("Synchronised")
        validity, modseq = (int(client.response(code)[1][0]) for code in ("UIDVALIDITY", "HIGHESTMODSEQ"))
        client.store("1", "+FLAGS", r"(\Deleted)")
        client.expunge()
        client.unselect()
        client.untagged_responses.clear()
        assert client._simple_command("SELECT", f"Synchronised (QRESYNC ({validity} {modseq}))")[0] == "OK"
        assert client.untagged_responses["VANISHED"] == [b"(EARLIER) 1"]


def test_two_at_once_and_each_has_its_own_mail(server, tmp_path):
    with type(server)(tmp_path / "other") as other:
        other.add_user(ADA, "another password")
        other.append(ADA, MESSAGE)
        with pytest.raises(imaplib.IMAP4.error):
            server.imap(ADA, "another password")
        with other.imap(ADA) as client:
            assert len(inbox(client)) == 1
    server.imap(ADA).logout()  # the end of the other is not its own


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
@pytest.mark.parametrize("make", legacy.ALL, ids=lambda make: make.name)
def test_tls(make, tls, tmp_path):
    with make(tmp_path / "server", tls=tls) as server:
        server.add_user(ADA)
        server.append(ADA, MESSAGE)
        with server.imap(ADA) as client:
            assert isinstance(client.sock, ssl.SSLSocket)
            assert inbox(client) == [MESSAGE]
        client = server.pop3(ADA)
        assert client.stat()[0] == 1
        client.quit()
        if tls == "starttls":
            with pytest.raises(imaplib.IMAP4.error):
                imaplib.IMAP4(server.host, server.imap_port).login(ADA, legacy.PASSWORD)
            with pytest.raises(poplib.error_proto):
                poplib.POP3(server.host, server.pop3_port).user(ADA)


@pytest.mark.parametrize("end", ["stop", "kill"])
@pytest.mark.parametrize("make", legacy.ALL, ids=lambda make: make.name)
def test_ended_and_started_again(make, end, tmp_path):
    with make(tmp_path / "server") as server:
        server.add_user(ADA)
        server.append(ADA, MESSAGE)
        idle = server.imap(ADA)
        getattr(server, end)()
        with pytest.raises((OSError, imaplib.IMAP4.abort)):  # what the end of its processes looks like from here
            idle.noop()
            idle.noop()
        with pytest.raises(ConnectionRefusedError):
            server.imap_connection()
        server.start()
        with server.imap(ADA) as client:
            assert inbox(client) == [MESSAGE]


def test_dovecot_takes_a_master_in_the_user_name(tmp_path):
    with legacy.dovecot(tmp_path / "server", storage="sdbox") as server:
        server.add_user(ADA)
        server.append(ADA, MESSAGE)
        user = server.master_format.replace("%u", ADA).replace("%m", server.master_user)
        with server.imap(user, server.master_password) as client:
            assert inbox(client) == [MESSAGE]
        client = server.pop3(user, server.master_password)
        assert client.stat()[0] == 1
        client.quit()
        with pytest.raises(imaplib.IMAP4.error):
            server.imap(user, legacy.PASSWORD)


def test_dovecot_behind_the_proxy_protocol(tmp_path):
    config = "haproxy_trusted_networks = 127.0.0.0/8\n"
    with legacy.dovecot(tmp_path / "server", proxy=True, config=config) as server:
        server.add_user(ADA)
        wire = legacy.relais.Wire(legacy.socket.create_connection((server.host, server.imap_port)))
        wire.send(b"PROXY TCP4 192.0.2.99 192.0.2.1 4444 143\r\n")
        wire.until(b"* OK")
        wire.send(f'a LOGIN {ADA} "{legacy.PASSWORD}"\r\n'.encode())
        assert wire.until(b"a ")[-1].startswith(b"a OK")
        wire.close()
        legacy.relais.wait_until(lambda: "rip=192.0.2.99" in server.log(), "the login in its log")


def test_settings_change_the_view_of_names(tmp_path):
    with legacy.cyrus(tmp_path / "server", altnamespace="no", unixhierarchysep="no") as server:
        server.add_user(ADA)
        with server.imap(ADA) as client:
            client.create("INBOX.Sent")
            assert client.list()[1] == [rb'(\HasChildren) "." INBOX', rb'(\HasNoChildren) "." INBOX.Sent']
