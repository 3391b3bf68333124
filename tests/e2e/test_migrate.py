"""Accounts move from real legacy servers while they are in use. A ledger holds what was acknowledged to whom; afterwards everything is there exactly once."""
import contextlib
import imaplib
import random
import re
import smtplib
import socket
import threading

import pytest

import legacy
import relais

FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "later")
CRASH_POINTS = ("copying.journaled", "copying.origin", "copying.importing", "copying.copied", "tailing.journaled", "cutover.journaled", "cutover.moving",
                "cutover.drained", "cutover.copied", "cutover.verified", "switching.journaled", "switching.open", "switching.placed", "switching.told",
                "native.journaled")


def message(key, size=300):
    head = f"From: someone@elsewhere.test\r\nSubject: {key}\r\nX-Key: {key}\r\n\r\n"
    return (head + "line\r\n" * (size // 6)).encode()


@contextlib.contextmanager
def made(directory, retry="1s", settings=""):
    """A platform that looks often at what has changed, and at mail that a platform without delivery (Courier) leaves waiting; not started."""
    platform = relais.Platform(directory).init()
    with open(platform.dir / "relais.toml", "a") as config:
        config.write(f'\n[migrate]\npause = "1s"\nretry = "{retry}"\n{settings}\n[queue]\nfirst_retry = "1s"\nlongest_retry = "2s"\n')
    try:
        yield platform
    finally:
        if platform.process and platform.process.poll() is None:
            platform.stop()


@pytest.fixture
def platform(tmp_path):
    with made(tmp_path / "p") as platform:
        yield platform.start()


def add_legacy(platform, server, host=None, port=None):
    """Courier knows no master: one password for all accounts stands for what its administrator would set up."""
    arguments = ["--imap", f"{host or server.host}:{port or server.imap_port}", "--tls", "none", "--learn-passwords"]
    if hasattr(server, "lmtp_port"):
        arguments += ["--lmtp", f"{server.host}:{server.lmtp_port}"]
    way = "cyrus" if server.name == "cyrus" else "authzid" if server.master_user else "format"
    arguments += ["--master", server.master_user or "all", "--master-way", way, "--master-password-stdin"] + (["--master-format", "%u"] if way == "format" else [])
    platform.run("legacy", "add", "old", *arguments, input=(server.master_password or legacy.PASSWORD) + "\n")


def add_account(platform, server, name, count=5):
    address = server.add_user(f"{name}@example.test")
    server.append(address, *(message(f"{name}-early-{i}") for i in range(count)))
    server.append(address, message(f"{name}-work"), mailbox=f"{server.prefix}Work", flags=r"(\Seen \Flagged)")
    platform.run("account", "add", address, "--legacy", "old")
    return address


def stage(platform, address):
    return platform.json("migrate", "status", address)


def placement(platform, address):
    return platform.json("account", "show", address)["placement"]


def content(client, mailbox):
    """UIDVALIDITY, and by UID: key and flags."""
    state, answer = client.select(f'"{mailbox}"', readonly=True)
    assert state == "OK", answer
    validity = client.untagged_responses["UIDVALIDITY"][0]
    found = {}
    state, answer = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (X-KEY)])")
    assert state == "OK", answer
    for part in answer:
        if isinstance(part, tuple):
            uid = int(re.search(rb"UID (\d+)", part[0])[1])
            flags = set(re.search(rb"FLAGS \(([^)]*)\)", part[0])[1].decode().split()) - {"\\Recent"}
            found[uid] = (part[1].decode().partition(":")[2].strip(), frozenset(flags))
    return validity, found


def mailboxes(client):
    names = [re.search(rb'\) "?.+?"? "?([^"]+)"?$', line)[1].decode() for line in client.list()[1] if b"\\Noselect" not in line]
    return sorted(names)


def everything(client):
    return {name: content(client, name) for name in mailboxes(client)}


class Sender(threading.Thread):
    """Mail arrives all the time: what was accepted is in the ledger."""

    def __init__(self, platform, addresses):
        super().__init__()
        self.platform, self.addresses = platform, addresses
        self.accepted = {address: set() for address in addresses}
        self.doubtful = {address: set() for address in addresses}  # the connection broke before the answer
        self.done = threading.Event()

    def run(self):
        number = 0
        while not self.done.is_set():
            address = self.addresses[number % len(self.addresses)]
            key = f"smtp-{number}"
            number += 1
            try:
                self.platform.deliver(address, message(key).decode())
                self.accepted[address].add(key)
            except smtplib.SMTPResponseException as refused:
                assert refused.smtp_code // 100 == 4, refused
            except smtplib.SMTPRecipientsRefused as refused:
                assert all(code // 100 == 4 for code, _ in refused.recipients.values()), refused
            except (OSError, smtplib.SMTPServerDisconnected):
                self.doubtful[address].add(key)
            self.done.wait(0.2)

    def stop(self):
        self.done.set()
        self.join()


class Reader(threading.Thread):
    """A client that appends, flags and expunges in INBOX, some things each second, and reconnects as often as it has to. What it was told is in its ledger."""

    def __init__(self, platform, address, seed):
        super().__init__()
        self.platform, self.address = platform, address
        self.dice = random.Random(seed)
        self.done = threading.Event()
        self.validity = None
        self.keys = {}        # by UID, as seen
        self.flags = {}       # by UID: what the last OK has made of them
        self.expunged = set()  # UIDs
        self.unsure = set()   # UIDs of which a change was not answered
        self.appended, self.maybe_appended = set(), set()
        self.logins = 0
        self.trouble = None
        self.number = 0

    def run(self):
        try:
            while not self.done.is_set():
                with contextlib.suppress(imaplib.IMAP4.abort, OSError):
                    self.session()
        except BaseException as trouble:  # told by stop()
            self.trouble = trouble

    def session(self):
        try:
            client = self.platform.imap(self.address)
        except imaplib.IMAP4.error as refused:
            assert "UNAVAILABLE" in str(refused) or isinstance(refused, imaplib.IMAP4.abort), refused
            return
        self.logins += 1
        with client:
            self.look(client)
            while not self.done.is_set():
                self.dice.choice((self.append, self.flag, self.flag, self.expunge, self.look))(client)
                self.done.wait(self.dice.random())

    def look(self, client):
        validity, found = content(client, "INBOX")
        assert self.validity in (None, validity), f"UIDVALIDITY changed: {self.validity} {validity}"
        self.validity = validity
        for uid, (key, flags) in found.items():
            assert self.keys.setdefault(uid, key) == key, f"UID {uid} was {self.keys[uid]} and is {key}"
            assert uid not in self.expunged, f"UID {uid} is back"
            if uid in self.flags and uid not in self.unsure:
                assert self.flags[uid] == flags, (uid, self.flags[uid], flags)
            self.flags[uid] = flags
            self.unsure.discard(uid)
        for uid in set(self.flags) - set(found):
            assert uid in self.unsure, f"UID {uid} has gone"
            self.expunged.add(uid)
            del self.flags[uid]
        client.select("INBOX")

    def append(self, client):
        key = f"appended-{self.number}"
        self.number += 1
        self.maybe_appended.add(key)
        state, answer = client.append("INBOX", "", None, message(key))
        if state == "OK":
            self.appended.add(key)
            self.maybe_appended.discard(key)

    def some(self):
        return self.dice.choice(sorted(set(self.flags) - self.unsure) or [0])

    def flag(self, client):
        if uid := self.some():
            flags = frozenset(self.dice.sample(FLAGS, self.dice.randrange(len(FLAGS) + 1)))
            self.unsure.add(uid)
            if client.uid("STORE", str(uid), "FLAGS", "(" + " ".join(flags) + ")")[0] == "OK":
                self.flags[uid] = flags
                self.unsure.discard(uid)

    def expunge(self, client):
        if len(self.flags) > 3 and (uid := self.some()):
            self.unsure.add(uid)
            all_deleted = {uid} | {other for other, flags in self.flags.items() if "\\Deleted" in flags}  # one may be left by a session that broke off
            self.unsure |= all_deleted
            if client.uid("STORE", str(uid), "+FLAGS", "(\\Deleted)")[0] == "OK" and client.expunge()[0] == "OK":
                self.expunged |= all_deleted
                self.flags = {other: flags for other, flags in self.flags.items() if other not in all_deleted}
                self.unsure -= all_deleted

    def stop(self):
        self.done.set()
        self.join()
        if self.trouble:
            raise self.trouble


def check_ledger(platform, address, reader, sender):
    """Every message that was accepted is there exactly once."""
    with platform.imap(address) as client:
        reader.look(client)
        keys = [key for key, _ in content(client, "INBOX")[1].values()]
    assert len(keys) == len(set(keys)), sorted(key for key in keys if keys.count(key) > 1)
    gone = {reader.keys[uid] for uid in reader.expunged}
    must = (sender.accepted[address] | reader.appended) - gone
    assert must <= set(keys), must - set(keys)
    name = address.partition("@")[0]
    may = must | sender.doubtful[address] | reader.maybe_appended | {f"{name}-early-{i}" for i in range(5)}
    assert set(keys) <= may, set(keys) - may


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server", **legacy.of_many_sessions(request.param)) as server:
        yield server


@pytest.fixture(scope="module")
def dovecot(tmp_path_factory):
    with legacy.dovecot(tmp_path_factory.mktemp("legacy") / "dovecot") as server:
        yield server


def test_copy(server, platform):
    add_legacy(platform, server)
    address = add_account(platform, server, f"copy-{server.name}")
    first = platform.json("migrate", "copy", address)
    assert (first["stage"], first["copied_messages"], first["failures"]) == ("tailing", 6, 0), first
    server.append(address, message("late"))
    again = platform.json("migrate", "copy", address)
    assert (again["copied_messages"], again["failures"]) == (7, 0), "only what is new goes over"
    assert placement(platform, address) == "legacy", "it lives where it did"
    assert re.search(rf"^address +{address}$", platform.run("migrate", "status", address).stdout, re.M)
    done = platform.run("migrate", "copy", "nobody@example.test", check=False)
    assert done.returncode == 1 and "no account" in done.stderr
    platform.stop()
    assert platform.run("migrate", "copy", address, check=False).returncode == 3, "it takes a running platform"
    assert platform.json("migrate", "status", address)["copied_messages"] == 7


def test_accounts_move_while_they_are_used(server, platform):
    seed = random.randrange(2**32)
    print("seed", seed)
    add_legacy(platform, server)
    addresses = [add_account(platform, server, f"{name}-{server.name}") for name in ("ada", "bob", "carol")]
    before = {}
    for address in addresses:
        with platform.imap(address) as client:
            before[address] = everything(client)
    sender = Sender(platform, addresses)
    readers = [Reader(platform, address, seed + i) for i, address in enumerate(addresses)]
    for thread in (sender, *readers):
        thread.start()
    try:
        relais.wait_until(lambda: all(reader.number > 1 or reader.trouble for reader in readers), "clients at work")
        platform.run("migrate", "plan", "old", "--canary", "1")
        waves = {wave["wave"]: wave for wave in platform.json("migrate", "status")["waves"]}
        assert {name: wave["accounts"] for name, wave in waves.items()} == {"old/canary": 1, "old/wave-1": 2}
        done = platform.run("migrate", "start", "old/canary", "--no-way-back", "--wait", check=False)
        assert done.returncode == 0, done.stdout + done.stderr + platform.run("migrate", "status").stdout
        assert sorted(placement(platform, address) for address in addresses) == ["legacy", "legacy", "shard"]
        done = platform.run("migrate", "start", "old/wave-1", "--no-way-back", "--wait", check=False)
        assert done.returncode == 0, done.stdout + done.stderr + platform.run("migrate", "status").stdout
        assert {placement(platform, address) for address in addresses} == {"shard"}
        moved = {reader: reader.logins for reader in readers}
        relais.wait_until(lambda: all(reader.logins > moved[reader] or reader.number > 6 or reader.trouble for reader in readers), "clients to go on")
    finally:
        sender.stop()
        for reader in readers:
            reader.done.set()
        for reader in readers:
            reader.join()
    for reader in readers:
        reader.stop()
    relais.wait_until(lambda: platform.json("queue", "list")["jobs"] == [], "mail that waited to arrive")
    for address, reader in zip(addresses, readers):
        assert sender.accepted[address]
        check_ledger(platform, address, reader, sender)
        with platform.imap(address) as client:
            after = everything(client)
        work = f"{server.prefix}Work"
        assert after[work] == before[address][work]
        assert set(after) >= set(before[address]), "clients see the names that they know"
        record = stage(platform, address)
        assert record["stage"] == "native" and record["freezes_ms"] and max(record["freezes_ms"]) <= 10_000, record
    status = platform.json("migrate", "status")
    assert [wave["state"] for wave in status["waves"]] == ["done", "done"]
    relais.wait_until(lambda: all(platform.json("account", "show", address)["password"] == "learned" for address in addresses), "passwords to be learned")
    server.stop()
    for address in addresses:  # nothing is asked there any more
        platform.imap(address).logout()
        platform.deliver(address, message("native").decode())
    server.start()


class StallingProxy(threading.Thread):
    """Passes octets on between Relais and a server; while `stall` says so it keeps what Relais says to it."""

    def __init__(self, server, stall):
        super().__init__(daemon=True)
        self.target = (server.host, server.imap_port)
        self.stall = stall
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                for source, sink, watched in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self.pass_on, args=(source, sink, watched), daemon=True).start()

    def pass_on(self, source, sink, watched):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                if watched:
                    relais.wait_until(lambda: not self.stall(), "the platform to be heard again")
                sink.sendall(octets)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_freeze_beyond_its_limit_is_released(dovecot, tmp_path):
    """The platform falls silent in the freeze: the account goes on where it was, and moves later."""
    address = "slow@example.test"
    silent = threading.Event()
    silent.set()
    with made(tmp_path / "p", retry="1h", settings='freeze_limit = "1s"') as platform:
        platform.start()
        proxy = StallingProxy(dovecot, lambda: silent.is_set() and placement(platform, address) == "moving")
        proxy.start()
        add_legacy(platform, dovecot, "127.0.0.1", proxy.port)
        add_account(platform, dovecot, "slow")
        with platform.imap(address) as client:
            before = content(client, "INBOX")
        platform.run("migrate", "start", address, "--no-way-back")
        record = relais.wait_until(lambda: (lambda r: r["attempts"] > 0 and r["stage"] == "tailing" and r)(stage(platform, address)), "the freeze to be released")
        assert record["error"], record
        assert placement(platform, address) == "legacy"
        with platform.imap(address) as client:
            assert content(client, "INBOX") == before
        platform.deliver(address, message("between").decode())
        silent.clear()
        platform.run("migrate", "retry", address)
        relais.wait_until(lambda: stage(platform, address)["stage"] == "native", "the account to move")
        relais.wait_until(lambda: platform.json("queue", "list")["jobs"] == [], "mail that waited to arrive")
        with platform.imap(address) as client:
            validity, found = content(client, "INBOX")
        assert validity == before[0] and {uid: found[uid] for uid in before[1]} == before[1]
        assert sorted(key for key, _ in found.values()) == sorted([key for key, _ in before[1].values()] + ["between"])
        proxy.listener.close()


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_kill_at_each_step(point, dovecot, platform, monkeypatch):
    add_legacy(platform, dovecot)
    address = add_account(platform, dovecot, "kill-" + point.replace(".", "-"))
    with platform.imap(address) as client:  # its password is known from here on
        before = everything(client)
    platform.stop()
    monkeypatch.setenv("RELAIS_CRASH_POINT", point)
    platform.start()
    platform.run("migrate", "start", address, "--no-way-back", check=False)
    assert platform.process.wait() == -9
    if point.startswith(("copying", "tailing", "cutover")):  # nothing was decided: it is served there
        dovecot.append(address, message("meanwhile"))
    monkeypatch.delenv("RELAIS_CRASH_POINT")
    platform.start()
    platform.deliver(address, message("after").decode())
    with contextlib.suppress(AssertionError):
        platform.run("migrate", "start", address, "--no-way-back")  # where the kill came before it was written down
    relais.wait_until(lambda: stage(platform, address)["stage"] == "native", "the account to move")
    relais.wait_until(lambda: platform.json("queue", "list")["jobs"] == [], "mail that waited to arrive")
    with platform.imap(address) as client:
        after = everything(client)
    validity, found = after["INBOX"]
    assert validity == before["INBOX"][0] and {uid: found[uid] for uid in before["INBOX"][1]} == before["INBOX"][1]
    assert after["Work"] == before["Work"]
    new = sorted(key for uid, (key, _) in found.items() if uid not in before["INBOX"][1])
    assert new in (["after"], ["after", "meanwhile"]), new
    assert placement(platform, address) == "shard"


def test_waves_are_paused_and_resumed(dovecot, platform, tmp_path):
    add_legacy(platform, dovecot)
    addresses = [add_account(platform, dovecot, f"wave-{i}", 1) for i in range(4)]
    red = tmp_path / "accounts.csv"
    red.write_text("address,verdict\n" + "".join(f"{address},{'red' if i == 3 else 'green'}\n" for i, address in enumerate(addresses)))
    planned = platform.json("migrate", "plan", "old", "--csv", str(red), "--waves", "rest", "--window", "00:00-24:00")
    assert planned["left_out"] == 1 and [(wave["wave"], wave["accounts"]) for wave in planned["waves"]] == [("old/wave-1", 3)]
    assert placement(platform, addresses[0]) == "legacy"

    # Without consent to what cannot be taken back accounts are copied, and kept in step.
    platform.run("migrate", "start", "old/wave-1")
    relais.wait_until(lambda: all("no-way-back" in stage(platform, address)["error"] for address in addresses[:3]), "accounts to be ready")
    assert {stage(platform, address)["stage"] for address in addresses[:3]} == {"tailing"}
    platform.run("migrate", "pause")
    assert platform.json("migrate", "status", "old/wave-1")["waves"][0]["why"] == "by an administrator"
    assert platform.run("migrate", "start", "old/wave-1", "--no-way-back", check=False).returncode == 1, "it is paused"
    platform.run("migrate", "skip", addresses[1])
    platform.run("migrate", "resume", "old/wave-1")
    assert platform.run("migrate", "start", "old/wave-1", "--no-way-back", "--wait").returncode == 0
    assert [stage(platform, address)["stage"] for address in addresses[:3]] == ["native", "skipped", "native"]
    assert platform.run("migrate", "status", addresses[3], check=False).returncode == 1, "nothing was done about it"
    text = platform.run("migrate", "status").stdout
    assert ": 3 accounts, 2 native, 1 skipped" in text and "freeze p50" in text

    platform.run("migrate", "retry", addresses[1])
    platform.run("migrate", "start", addresses[1], "--no-way-back")
    relais.wait_until(lambda: stage(platform, addresses[1])["stage"] == "native", "the skipped account to move after all")
    for arguments in (["start", "old/none"], ["pause", "old/none"], ["retry", "old/none"], ["skip", "nobody@example.test"], ["start", "nobody@example.test"],
                      ["status", "old/none"], ["plan", "none"]):
        assert platform.run("migrate", *arguments, check=False).returncode == 1, arguments
    assert platform.run("migrate", "plan", "old", "--window", "1-2", check=False).returncode == 2
    platform.stop()
    assert ": 3 accounts, 3 native" in platform.run("migrate", "status").stdout
    assert platform.run("migrate", "start", addresses[3], check=False).returncode == 3


def test_an_account_that_uses_pop3_is_not_switched_unasked(dovecot, platform):
    platform.run("legacy", "add", "old", "--imap", f"{dovecot.host}:{dovecot.imap_port}", "--pop3", f"{dovecot.host}:{dovecot.pop3_port}", "--tls", "none",
                 "--master", dovecot.master_user, "--master-way", "authzid", "--master-password-stdin", input=dovecot.master_password + "\n")
    address = add_account(platform, dovecot, "pop")
    client = platform.pop3(address)
    platform.run("migrate", "start", address, "--no-way-back")
    relais.wait_until(lambda: "POP3" in stage(platform, address)["error"], "the account to be ready but for that")
    client.quit()
    assert placement(platform, address) == "legacy"
    platform.run("migrate", "start", address, "--without-uidls")
    relais.wait_until(lambda: stage(platform, address)["stage"] == "native", "the account to move")


def test_a_journal_that_cannot_be_opened_keeps_nobody_else_from_being_served(tmp_path):
    with made(tmp_path / "p") as platform:
        journal = platform.dir / "data" / "migrate"
        journal.parent.mkdir(exist_ok=True)
        journal.write_text("no folder")
        platform.start()
        address = platform.add_account("ada")
        platform.deliver(address, message("here").decode())
        with platform.imap(address) as client:
            assert [key for key, _ in content(client, "INBOX")[1].values()] == ["here"]
        assert platform.run("migrate", "status", check=False).returncode != 0
        assert "no journal of moves" in platform.log()
        journal.unlink()
        assert platform.json("migrate", "status")["waves"] == [], "it takes no restart"
