"""Accounts on real servers mirrored into the storage, while clients change them; in the end both are the same, octet for octet."""
import os
import random
import re
import subprocess
import threading

import pytest

import legacy
import mailbox_file

TOOL = os.environ["RELAIS_MIRROR_TOOL"]
ADA, BOB, CAROL, DORA = (f"{name}@example.test" for name in ("ada", "bob", "carol", "dora"))
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "$Forwarded", "later"]


def message(number):
    return f"From: someone@elsewhere.test\r\nSubject: number {number}\r\n\r\n{'line ' * (number % 50)}\r\n".encode()


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        server.add_users([ADA, BOB, CAROL, DORA])
        yield server


def differences(lines):
    return [line for line in lines if line.startswith("differs ")]


class Mirror:
    def __init__(self, server, user, store):
        self.server, self.user, self.store = server, user, store
        store.mkdir()

    def run(self, *commands):
        """The tool's output as lines. As the master, where there is one."""
        server = self.server
        way, master, password = ("proxied", server.master_user, server.master_password) if server.master_user else ("plain", "", legacy.PASSWORD)
        done = subprocess.run([TOOL, server.host, str(server.imap_port), way, self.user, master, self.store, *map(str, commands)],
                              input=(password + "\n").encode(), capture_output=True)
        lines = done.stdout.decode(errors="surrogateescape").splitlines()
        assert done.returncode == 0, (lines, done.stderr)
        return lines

    def settled(self):
        """A pass while nobody changes anything, verification of everything, and a pass that finds nothing to do. @return what the first one has found"""
        lines = self.run("pass", "verify", "digests")
        differs = differences(lines)
        if self.server.name == "courier" and differs:  # mailboxes that are made within a second have the same UIDVALIDITY there: no pass can tell them apart
            names = sorted({line.split(" ", 2)[2].split("|")[0] for line in differs})
            again = self.run(*(word for name in names for word in ("anew", name)), "pass", "verify", "digests")
            assert differences(again) == [], (differs, again)
        else:
            assert differs == [], lines
        last = self.run("pass")[-1]
        appended, _, flags, expunged, postponed = map(int, last.split()[2:7])
        assert (appended, flags, expunged, postponed) == (0, 0, 0, 0), last
        return [line for line in lines if line.startswith("finding ")]

    def held(self, mailbox, folder):
        """By UID: flags, date, octets."""
        folder.mkdir(exist_ok=True)
        out = {}
        for line in self.run("messages", mailbox, folder):
            uid, date, flags = re.fullmatch(r"message (\d+) \d+ (\d+) -?\d+ ?(.*)", line).groups()
            out[int(uid)] = (set(flags.split()), int(date), (folder / uid).read_bytes())
        return out


def seen_by_a_client(server, user, wire):
    """UIDVALIDITY, UIDNEXT, and by UID: flags, date, octets, as the server tells them to another client."""
    with server.imap(user) as client:
        status = client.status(f'"{wire}"', "(UIDVALIDITY UIDNEXT)")[1][0].decode()
        validity, after = (int(re.search(rf"{word} (\d+)", status)[1]) for word in ("UIDVALIDITY", "UIDNEXT"))
        client.select(f'"{wire}"', readonly=True)
        out = {}
        for part in client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]:
            if isinstance(part, tuple):
                last, octets = part
                words = last.decode()
                out[int(re.search(r"UID (\d+)", words)[1])] = [words, octets]
            elif out:
                list(out.values())[-1][0] += part.decode()  # Cyrus tells flags behind the body
    def parsed(words, octets):
        flags = set(re.search(r"FLAGS \((.*?)\)", words)[1].split()) - {"\\Recent"}
        date = legacy.imaplib.Internaldate2tuple(re.search(r'INTERNALDATE ".*?"', words)[0].encode())
        return flags, int(legacy.time.mktime(date)), octets
    return validity, after, {uid: parsed(*told) for uid, told in out.items()}


def quoted(name):
    return f'"{name}"'


class Clients(threading.Thread):
    """Another client of the account, at work until it is stopped."""

    def __init__(self, server, user, seed):
        super().__init__(daemon=True)
        self.server, self.user, self.dice = server, user, random.Random(seed)
        with server.imap(user) as client:
            self.separator = re.search(rb'\) "(.)" ', client.list()[1][0])[1].decode()
        self.number = 0
        self.ended = threading.Event()
        self.failure = None

    def name(self):
        return self.server.prefix + self.dice.choice(["A", "B", "C", f"A{self.separator}x", f"B{self.separator}y"])

    def leaf(self):
        """One that has no others below it. Of parents that go, Courier's server ends (RENAME: "Not a directory"), and Dovecot lists names that it denies."""
        return self.server.prefix + self.dice.choice(["C", f"A{self.separator}x", f"B{self.separator}y"])

    def act(self, client):
        """One thing that a client does. A server may refuse: the mailbox is not there, or is there already."""
        dice = self.dice
        name = dice.choice([self.name(), "INBOX"])
        kind = dice.randrange(20)
        if kind == 0:
            client.create(quoted(self.name()))
        elif kind == 1:
            client.delete(quoted(self.leaf()))
        elif kind == 2:
            client.rename(quoted(self.leaf()), quoted(self.server.prefix + f"renamed{dice.randrange(3)}"))
        elif kind == 3:
            (client.subscribe if dice.random() < 0.5 else client.unsubscribe)(quoted(self.name()))
        elif kind < 10:
            for _ in range(dice.randrange(1, 4)):
                self.number += 1
                flags = f"({' '.join(dice.sample(FLAGS, 2))})"
                client.append(quoted(name), flags, '"05-Jan-2024 10:00:00 +0130"' if dice.random() < 0.5 else None, message(self.number))
        elif client.select(quoted(name))[0] == "OK":
            there = client.uid("SEARCH", "ALL")[1][0].split()
            if there and kind < 17:
                client.uid("STORE", dice.choice(there).decode(), dice.choice(["+FLAGS", "-FLAGS", "FLAGS"]), f"({' '.join(dice.sample(FLAGS, 2))})")
            elif there:
                client.uid("STORE", dice.choice(there).decode(), "+FLAGS", r"(\Deleted)")
                client.expunge()
            client.unselect() if "UNSELECT" in client.capabilities else client.close()

    def work(self, steps):
        with self.server.imap(self.user) as client:
            for _ in range(steps):
                self.act(client)

    def run(self):
        try:
            with self.server.imap(self.user) as client:
                while not self.ended.is_set():
                    self.act(client)
        except BaseException as failure:  # told by the test
            self.failure = failure


def test_an_account_under_change(server, tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    mirror = Mirror(server, ADA, tmp_path / "store")
    clients = Clients(server, ADA, seed)
    clients.work(60)
    for _ in range(3):
        mirror.settled()
        clients.work(25)
    clients.start()
    for _ in range(4):
        mirror.run("sources", 2, "pass")
    clients.ended.set()
    clients.join()
    assert clients.failure is None, clients.failure
    mirror.settled()
    listed = dict(line[len("mailbox "):].split("|") for line in mirror.run("list") if line.startswith("mailbox "))
    assert "INBOX" in listed
    for name, counters in listed.items():
        wire = name if name == "INBOX" else server.prefix + name.replace("/", clients.separator)
        validity, after, told = seen_by_a_client(server, ADA, wire)
        assert counters.split()[:3] == [str(validity), str(after), str(len(told))], name
        assert mirror.held(name, tmp_path / name.replace("/", "_")) == told, name
    with server.imap(ADA) as client:
        subscribed = {re.search(rb'"?([^" ]+)"?$', line)[1].decode() for line in client.lsub()[1] if line}
    wires = {name if name == "INBOX" else server.prefix + name.replace("/", clients.separator)
             for name in (line[len("subscription "):] for line in mirror.run("list") if line.startswith("subscription "))}
    assert wires == subscribed


def test_nothing_new_costs_nothing(server, tmp_path):
    mirror = Mirror(server, BOB, tmp_path / "store")
    server.append(BOB, *map(message, range(5)), mailbox=server.prefix + "Quiet")
    mirror.settled()
    looked_into = int(mirror.run("pass")[-1].split()[1])
    assert looked_into == 0 if server.has_qresync else looked_into > 0


def test_odd_messages_octet_for_octet(server, tmp_path):
    """The project's own and the torture set."""
    messages = mailbox_file.own_messages()
    corpus = mailbox_file.shared_corpus()
    if corpus:
        messages += mailbox_file.torture(corpus)
    messages = [one for one in messages if b"\0" not in one]
    with server.imap(CAROL) as client:
        taken = sum(client.append("INBOX", r"(\Seen)", '"05-Jan-2024 10:00:00 +0130"', one)[0] == "OK" for one in messages)
    assert taken > 0.8 * len(messages)
    mirror = Mirror(server, CAROL, tmp_path / "store")
    mirror.settled()
    legacy.imaplib._MAXLINE = 100_000_000
    told = seen_by_a_client(server, CAROL, "INBOX")[2]
    held = mirror.held("INBOX", tmp_path / "held")
    assert len(held) == taken
    assert held == told


def test_a_mailbox_that_is_made_anew(server, tmp_path):
    mirror = Mirror(server, DORA, tmp_path / "store")
    name = server.prefix + "Again"
    server.append(DORA, *map(message, range(3)), mailbox=name)
    mirror.settled()
    before = seen_by_a_client(server, DORA, name)[0]
    while True:  # Courier's UIDVALIDITY is the second in which the mailbox was made
        with server.imap(DORA) as client:
            client.delete(quoted(name))
        server.append(DORA, message(7), mailbox=name)
        if seen_by_a_client(server, DORA, name)[0] != before:
            break
    assert [line.split("|")[0] for line in mirror.settled()] == ["finding uidvalidity-changed Again"]
    assert len(mirror.held("Again", tmp_path / "held")) == 1
