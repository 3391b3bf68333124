"""IMAP sessions at real Dovecot, Cyrus and Courier that go on here, on the same connection, when their account moves: what clients count is what there is."""
import os
import random
import re
import socket
import subprocess
import threading

import pytest

import legacy
import relais

TOOL = os.environ["RELAIS_HANDOVER_TOOL"]
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft"]


def message(number):
    return f"From: someone@elsewhere.test\r\nSubject: number {number}\r\n\r\n{'line ' * (number % 50)}\r\n".encode()


class Front:
    """A frontend whose one account lives at a server, until it is moved."""

    def __init__(self, server, user):
        self.process = subprocess.Popen([TOOL, server.host, str(server.imap_port), user], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.user = user
        self.say(legacy.PASSWORD)
        self.port = int(self.answer().removeprefix("listening "))

    def say(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().decode().rstrip("\n")

    def wire(self):
        return relais.Wire(socket.create_connection(("127.0.0.1", self.port), timeout=240))

    def do(self, *commands):
        for command in commands:
            self.say(command)
            assert (answer := self.answer()) == "done", (command, answer)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.stdin.close()
        assert self.process.wait() == 0 or failure[0]
        self.process.stdout.close()


class Account:
    """One of a whole platform's."""

    def __init__(self, platform, user):
        self.platform, self.user = platform, user

    def wire(self):
        wire = self.platform.connect("imaps")
        wire.socket = self.platform.tls_context().wrap_socket(wire.socket)
        return wire


class Client:
    """Counts as a client must, and complains when it is told what cannot be."""

    def __init__(self, front):
        self.wire = front.wire()
        self.tags = 0
        self.uids = []  # by sequence number; None: not told yet
        self.flags = {}  # by UID, as last told
        self.lines = []  # untagged ones, all of them
        self.wire.line()
        self.command(f'LOGIN {front.user} "{legacy.PASSWORD}"')

    def begin(self, text):
        self.tags += 1
        self.wire.send(f"t{self.tags} {text}\r\n".encode())
        return f"t{self.tags}"

    def end(self, tag, may_expunge=True):
        while not (line := self.read(may_expunge)).startswith(f"{tag} "):
            pass
        assert line.startswith(f"{tag} OK"), line
        return line

    def command(self, text):
        return self.end(self.begin(text), may_expunge=not re.match("(FETCH|STORE|SEARCH) ", text))

    def read(self, may_expunge=True):
        line = self.wire.line().decode(errors="replace")
        assert line and not line.startswith("* BYE"), (line, self.lines)
        if line.startswith("* "):
            self.lines.append(line)
            self.count(line, may_expunge)
        return line

    def count(self, line, may_expunge):
        if found := re.match(r"\* (\d+) EXISTS", line):
            assert int(found[1]) >= len(self.uids)
            self.uids += [None] * (int(found[1]) - len(self.uids))
        elif found := re.match(r"\* (\d+) EXPUNGE", line):
            assert may_expunge
            self.flags.pop(self.uids.pop(int(found[1]) - 1), None)
        elif found := re.match(r"\* (\d+) FETCH \((.*)\)", line):
            at = int(found[1]) - 1
            if uid := re.search(r"\bUID (\d+)", found[2]):
                assert self.uids[at] in (None, int(uid[1])), (line, self.uids)
                self.uids[at] = int(uid[1])
            if (flags := re.search(r"FLAGS \(([^)]*)\)", found[2])) and self.uids[at]:
                self.flags[self.uids[at]] = set(flags[1].split()) - {"\\Recent"}

    def select(self, how="SELECT", mailbox="INBOX"):
        self.uids, self.flags = [], {}
        self.command(f'{how} "{mailbox}"')
        if self.uids:
            self.command("FETCH 1:* (UID FLAGS)")
            assert None not in self.uids

    def check(self):
        """After a NOOP it knows everything."""
        self.command("NOOP")
        uids, flags = list(self.uids), dict(self.flags)
        if uids:
            self.command("FETCH 1:* (UID FLAGS)")
        assert [uid for uid, known in zip(self.uids, uids) if known] == [uid for uid in uids if uid] and len(uids) == len(self.uids)
        assert {uid: self.flags[uid] for uid in flags} == flags

    def idle(self):
        tag = self.begin("IDLE")
        while not self.read().startswith("+"):
            pass
        return tag

    def logout(self):
        tag = self.begin("LOGOUT")
        assert [line.split()[:2] for line in self.wire.until(tag.encode())][-2:] == [[b"*", b"BYE"], [tag.encode(), b"OK"]]

    def done(self, tag):
        self.wire.send(b"DONE\r\n")
        self.end(tag)


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server", **legacy.of_many_sessions(request.param)) as server:
        yield server


def account(server, name, messages):
    user = server.add_user(f"{name}@example.test")
    if messages:
        server.append(user, *(message(n) for n in range(messages)))
    return user


def change(direct, chance, appended=True):
    """Another client at the server: mail goes, comes, and gets flags."""
    state, (numbers,) = direct.uid("SEARCH", "ALL")
    assert state == "OK"
    uids = numbers.decode().split()
    for uid in chance.sample(uids, min(len(uids), 5)):
        assert direct.uid("STORE", uid, chance.choice(["+FLAGS", "-FLAGS", "FLAGS"]), f"({chance.choice(FLAGS)})")[0] == "OK"
    for uid in chance.sample(uids, min(len(uids), 3)):
        direct.uid("STORE", uid, "+FLAGS", "(\\Deleted)")
    assert direct.expunge()[0] == "OK"
    for n in range(2 * appended):
        assert direct.append("INBOX", "", None, message(n))[0] == "OK"


def test_an_idle_hears_of_mail_that_comes_to_the_new_side(server):
    with Front(server, account(server, "idle", 4)) as front:
        client = Client(front)
        client.select()
        tag = client.idle()
        front.do("copy", "freeze", "copy", "switch", "deliver")
        while not client.read().startswith("* 5 EXISTS"):
            pass
        client.done(tag)
        client.check()
        assert len(client.uids) == 5 and sorted(client.uids) == client.uids
        client.logout()


@pytest.mark.parametrize("seed", range(4))
def test_what_clients_count_is_what_there_is(server, seed):
    chance = random.Random(seed)
    with Front(server, account(server, f"count{seed}", 40)) as front:
        direct = server.imap(front.user)
        direct.select("INBOX")
        clients = [Client(front) for _ in range(4)]
        for number, client in enumerate(clients):
            client.select("EXAMINE" if number == 3 else "SELECT")
        front.do("copy")
        change(direct, chance)
        clients[0].command("NOOP")
        tags = {client: client.idle() for client in clients[:2]}
        change(direct, chance)
        direct.logout()
        front.do("freeze", "copy", "switch")
        clients[2].command("FETCH 1:* (FLAGS)")  # no EXPUNGE may come here
        clients[2].command(f"UID STORE {clients[2].uids[5]} +FLAGS (\\Flagged)")
        front.do("deliver")
        for client, tag in tags.items():
            client.done(tag)
        for client in clients:
            client.check()
        assert len({tuple(uid for uid in client.uids) for client in clients}) == 1
        assert len({repr(sorted((uid, sorted(flags)) for uid, flags in client.flags.items())) for client in clients}) == 1
        clients[1].command(f"UID STORE {clients[1].uids[0]} +FLAGS.SILENT (\\Deleted)")
        clients[1].command("EXPUNGE")
        for client in clients:
            client.check()
            client.logout()


def test_released_nothing_has_been(server):
    with Front(server, account(server, "released", 6)) as front:
        direct = server.imap(front.user)
        direct.select("INBOX")
        idle, client = Client(front), Client(front)
        idle.select()
        client.select()
        tag = idle.idle()
        chance = random.Random(1)
        for _ in range(3):
            front.do("copy", "freeze")
            change(direct, chance)
            front.do("release")
            client.check()
        idle.done(tag)
        idle.check()
        front.do("copy", "freeze", "copy", "switch")
        direct.logout()
        for one in (idle, client):
            one.check()
            one.logout()


def test_a_literal_under_way_is_waited_for(server):
    with Front(server, account(server, "literal", 2)) as front:
        client = Client(front)
        client.select()
        content = message(30)
        tag = client.begin(f"APPEND INBOX {{{len(content)}}}")
        assert client.read().startswith("+")
        client.wire.send(content[:10])
        front.say("freeze")
        client.wire.send(content[10:] + b"\r\n")
        client.end(tag)
        assert front.answer() == "done"
        front.do("copy", "switch")
        client.check()
        assert len(client.uids) == 3
        client.logout()


def test_pipelining_all_the_time(server):
    with Front(server, account(server, "pipelining", 50)) as front:
        client = Client(front)
        client.select()
        enough = threading.Event()
        rounds = []

        def ask():
            while not enough.is_set() or len(rounds) < 20:
                tags = [client.begin("FETCH 1:* (UID FLAGS)") for _ in range(5)]
                for tag in tags:
                    client.end(tag, may_expunge=False)
                rounds.append(tags)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            front.do("copy", "freeze", "copy", "switch", "deliver")
            after = len(rounds)
            relais.wait_until(lambda: len(rounds) > after + 2 or not asking.is_alive(), "answers from the new side")
        finally:
            enough.set()
            asking.join()
        assert len(rounds) > after + 2
        client.check()
        assert len(client.uids) == 51
        client.logout()


def test_sort_has_been_used(server):
    with Front(server, account(server, "sort", 3)) as front:
        client = Client(front)
        client.select()
        tag = client.begin("SORT (SUBJECT) UTF-8 ALL")
        lines = client.wire.until(tag.encode())
        front.do("copy", "freeze", "copy", "switch")
        if lines[-1].startswith(f"{tag} OK".encode()):
            assert client.wire.line() == b"* BYE [UNAVAILABLE] the mailbox has been moved, connect again\r\n"
            assert client.wire.line() == b""
        else:
            client.check()


def test_the_whole_platform(server, tmp_path):
    user = account(server, "whole", 5)
    work = f"{server.prefix}Work"
    server.append(user, *(message(n) for n in range(3)), mailbox=work)
    with relais.running(tmp_path / "p") as platform:
        master = ["--master", server.master_user or "all", "--master-password-stdin", "--master-way",
                  "cyrus" if server.name == "cyrus" else "authzid" if server.master_user else "format"]
        master += [] if server.master_user else ["--master-format", "%u"]  # Courier knows no master
        platform.run("legacy", "add", "old", "--imap", f"{server.host}:{server.imap_port}", "--tls", "none", "--learn-passwords", *master,
                     input=(server.master_password or legacy.PASSWORD) + "\n")
        platform.run("account", "add", user, "--legacy", "old")
        idle, reader, outside = (Client(Account(platform, user)) for _ in range(3))
        idle.select()
        reader.select("EXAMINE", work)
        tag = idle.idle()
        done = platform.run("migrate", "start", user, "--no-way-back", "--wait", check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        platform.deliver(user, message(99).decode())
        while not idle.read().startswith("* 6 EXISTS"):
            pass
        idle.done(tag)
        outside.select("SELECT", work)
        outside.command("STORE 2 +FLAGS (\\Flagged)")
        for client in (idle, reader, outside):
            client.check()
            client.logout()
        assert reader.flags == outside.flags and "\\Flagged" in reader.flags[reader.uids[1]]
