"""Our IMAP client against real servers: logins in all ways, lists, messages octet for octet, changes, refusals."""
import imaplib
import os
import re
import subprocess

import pytest

import legacy
import mailbox_file

TOOL = os.environ["RELAIS_IMAP_CLIENT_TOOL"]
MESSAGE = b"From: someone@elsewhere.test\r\nSubject: hello\r\nMessage-ID: <1@elsewhere.test>\r\n\r\nOne line.\r\n"
ADA, BOB, CAROL, DAVE = (f"{name}@example.test" for name in ("ada", "bob", "carol", "dave"))


class Client:
    """One run of the tool against a server."""

    def __init__(self, server):
        self.server = server
        self.ca = str(server.authority.certificate) if server.authority else "-"
        self.host = "localhost" if server.authority else server.host

    def spawn(self, *commands, user=ADA, password=legacy.PASSWORD, way="plain", master="", host=None, ca=None):
        arguments = [host or self.host, self.server.host, self.server.imap_port, self.server.tls, ca or self.ca, way, user, master, *commands]
        process = subprocess.Popen([TOOL, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", errors="surrogateescape")
        process.stdin.write(password + "\n")
        process.stdin.close()
        return process

    def run(self, *commands, ok=True, **how):
        """Its output as lines."""
        process = self.spawn(*commands, **how)
        lines = process.stdout.read().splitlines()
        assert (process.wait() == 0) == ok, lines
        return lines

    def error(self, *commands, **how):
        return self.run(*commands, ok=False, **how)[-1]


@pytest.fixture(scope="module", params=[(make, tls) for make in legacy.ALL for tls in ("none", "starttls", "implicit")],
                ids=lambda param: f"{param[0].name}-{param[1]}")
def client(request, tmp_path_factory):
    make, tls = request.param
    with make(tmp_path_factory.mktemp("legacy") / "server", tls=tls) as server:
        server.add_users([ADA, BOB, CAROL, DAVE])
        yield Client(server)


def value(line, word):
    assert line.startswith(word + " "), line
    return line[len(word) + 1:]


def test_logins(client):
    server = client.server
    assert "IMAP4REV1" in value(client.run("capabilities")[0], "capabilities").split()
    assert client.run("select", "INBOX", way="login")[0].startswith("selected 0 ")
    for way in ("plain", "login"):
        assert client.error(way=way, password="wrong").startswith("error refused AUTHENTICATIONFAILED ")
        if not isinstance(server, legacy.Courier):  # that one takes five seconds for each refusal
            assert client.error(way=way, user="nobody@example.test").startswith("error refused AUTHENTICATIONFAILED ")
            assert client.error(way=way, password='w"r\\o ng\t\x01').startswith("error refused AUTHENTICATIONFAILED ")
    if server.master_user:
        assert client.run("select", "INBOX", way="proxied", master=server.master_user, password=server.master_password)[0].startswith("selected 0 ")
        assert client.error(way="proxied", master=server.master_user, password="wrong").startswith("error refused AUTHENTICATIONFAILED ")
    if isinstance(server, legacy.Dovecot):
        for way in ("plain", "login"):
            assert client.run("select", "INBOX", way=way, user=f"{ADA}*{server.master_user}", password=server.master_password)[0].startswith("selected 0 ")


def test_any_octets_in_a_password(client):
    if isinstance(client.server, legacy.Dovecot):
        return  # its file of users has no way to write them
    for password in ("caf\u00e9 \u20ac", ' "quoted\\" '):
        client.server.set_password(BOB, password)
        for way in ("plain", "login"):
            assert client.run("select", "INBOX", user=BOB, password=password, way=way)[0].startswith("selected 0 ")


def test_certificates(client):
    if client.server.tls == "none":
        assert "IMAP4REV1" in client.run("capabilities")[0]
        return
    assert client.error("capabilities", host="other.test").startswith("error temporary TLS TLS failed: certificate-host-mismatch")
    assert "IMAP4REV1" in client.run("capabilities", host="other.test", ca="-")[0]


def test_mailboxes(client):
    server = client.server
    wire_names = {"Caf\u00e9": "Caf&AOk-", "R & D": "R &- D", "a'(b) {3}": "a'(b) {3}"}
    with server.imap(ADA) as other:
        names = [name for name, wire in wire_names.items() if other.create(f'"{server.prefix}{wire}"')[0] == "OK"]
    assert len(names) >= 2  # Cyrus has its own view of what a name may hold
    listed = {line.split("|")[1]: line for line in (value(line, "mailbox") for line in client.run("list"))}
    for name in names:
        assert server.prefix + name in listed
        wire = listed[server.prefix + name].split("|")[0]
        assert client.run("status", wire)[0].startswith("status ")
        assert client.run("select", wire)[0].startswith("selected 0 ")
    assert client.error("select", server.prefix + "absent").startswith("error refused ")


def test_odd_messages_come_octet_for_octet(client, tmp_path):
    """The project's own and the torture set; on one kind of TLS each, so that it does not take long."""
    server = client.server
    messages = [message for message in mailbox_file.own_messages() if b"\0" not in message]
    corpus = mailbox_file.shared_corpus()
    if corpus and server.tls == {"dovecot": "implicit", "cyrus": "none", "courier": "starttls"}[server.name]:
        messages += [message for message in mailbox_file.torture(corpus) if b"\0" not in message]
    with server.imap(CAROL) as other:
        taken = [message for message in messages if other.append("INBOX", r"(\Seen)", None, message)[0] == "OK"]
        assert len(taken) > 0.8 * len(messages)
        other.select("INBOX", readonly=True)
        imaplib._MAXLINE = 100_000_000
        held = {int(re.search(rb"UID (\d+)", head)[1]): octets for head, octets in filter(lambda part: isinstance(part, tuple), other.uid("FETCH", "1:*", "BODY.PEEK[]")[1])}
    lines = client.run("select", "INBOX", "fetch", tmp_path, user=CAROL)
    assert lines[0].startswith(f"selected {len(taken)} ")
    assert len(lines) == 1 + len(taken)
    for line, appended in zip(lines[1:], taken, strict=True):
        uid, size, flags, date = re.fullmatch(r"message (\d+) (\d+) \((.*)\) (\d+)", line).groups()
        got = (tmp_path / uid).read_bytes()
        assert got == held[int(uid)]
        assert len(got) == int(size)
        assert "\\Seen" in flags
        if isinstance(server, legacy.Courier):  # a message ends with a line end there
            assert got in (appended, appended + b"\r\n")
        elif not isinstance(server, legacy.Cyrus):  # that one writes X for octets above 127 in headers
            assert got == appended


def test_append_search_store_expunge(client, tmp_path):
    (tmp_path / "small").write_bytes(MESSAGE)
    (tmp_path / "large").write_bytes(MESSAGE + b"line \xe4\r\n" * 200_000)
    inbox = ["append", "INBOX", "\\Flagged", tmp_path / "small", "append", "INBOX", "", tmp_path / "large", "select", "INBOX"]
    lines = client.run(*inbox, "search", "FLAGGED", "search", "ALL", "store", "1", "+FLAGS (\\Deleted)", "expunge", "1:2", "search", "ALL",
                       "fetch", tmp_path, user=DAVE)
    validity = re.fullmatch(r"appended (\d+) 1", lines[0])[1]
    assert lines[1] == f"appended {validity} 2"
    assert re.match(f"selected 2 {validity} [03] ", lines[2])  # Courier tells no UIDNEXT here
    assert lines[3:8] == ["found 1", "found 1:2", "modified ", "expunged", "found 2"]
    assert (tmp_path / "2").read_bytes() == (tmp_path / "large").read_bytes()
    assert client.error("append", client.server.prefix + "absent", "", tmp_path / "small", user=DAVE).startswith("error refused TRYCREATE ")


def test_changes_by_qresync(client, tmp_path):
    server = client.server
    if not server.has_qresync:
        assert client.error("since", "INBOX", 1, 1).startswith("error refused ")
        return
    mailbox = server.prefix + "Changing"
    server.append(ADA, *[MESSAGE] * 5, mailbox=mailbox)
    _, validity, _, mod_seq = value(client.run("select", mailbox)[0], "selected").split()
    assert int(mod_seq) > 0
    assert client.run("since", mailbox, validity, mod_seq) == ["since "]
    client.run("select", mailbox, "store", "2", "+FLAGS (\\Deleted)", "expunge", "2", "store", "4", "+FLAGS (\\Answered $Later)")
    vanished, *changed = value(client.run("since", mailbox, validity, mod_seq)[0], "since").split(" ")
    assert vanished == "2"
    assert [set(one.replace(":", ",").split(",")) - {"\\Recent"} for one in changed] == [{"4", "\\Answered", "$Later"}]


def test_idle_hears_of_mail(client):
    if isinstance(client.server, legacy.Courier):
        return  # looks once a minute only
    waiting = client.spawn("select", "INBOX", "idle", user=BOB, password=client.server.passwords[BOB])
    assert waiting.stdout.readline().startswith("selected ")
    assert waiting.stdout.readline() == "idling\n"
    client.server.append(BOB, MESSAGE)
    assert waiting.stdout.readline() == "heard\n"
    assert waiting.wait() == 0
    waiting.stdout.close()


def test_a_server_that_dies_is_away_and_not_refusing(tmp_path):
    with legacy.dovecot(tmp_path / "server") as server:
        server.add_user(ADA)
        client = Client(server)
        waiting = client.spawn("select", "INBOX", "idle")
        assert waiting.stdout.readline().startswith("selected ")
        assert waiting.stdout.readline() == "idling\n"
        server.kill()
        assert re.match(r"error closed (UNAVAILABLE|bye)? ", waiting.stdout.readline())
        assert waiting.wait() == 1
        waiting.stdout.close()
        assert client.error("list").startswith("error temporary ")
