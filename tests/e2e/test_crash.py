"""kill -9 in the middle of parallel work, again and again: nothing acknowledged is missing, nothing is there twice.

Fifty workers, each with an account of its own, deliver over SMTP and LMTP, APPEND, STORE, EXPUNGE and MOVE over IMAP, and keep a ledger of what
the server acknowledged. The server is killed at a random instant. After the restart each account must hold the ledger's state: as it was
before the one operation in flight, or as it is after it.
"""
import copy
import os
import random
import re
import socket
import threading
import time

import relais

WORKERS = 50
ROUNDS = int(os.environ.get("RELAIS_CRASH_ROUNDS", "50"))


class Gone(Exception):
    """The server was killed under us."""


class Line:
    """A blocking connection that turns every failure into Gone."""

    def __init__(self, port):
        try:
            self.socket = socket.create_connection(("127.0.0.1", port))
            self.file = self.socket.makefile("rb")
        except OSError as error:
            raise Gone from error

    def send(self, octets):
        try:
            self.socket.sendall(octets)
        except OSError as error:
            raise Gone from error

    def line(self):
        try:
            line = self.file.readline()
        except OSError as error:
            raise Gone from error
        if not line.endswith(b"\r\n"):
            raise Gone
        return line

    def read(self, n):
        try:
            data = self.file.read(n)
        except OSError as error:
            raise Gone from error
        if len(data) != n:
            raise Gone
        return data

    def close(self):
        self.file.close()
        self.socket.close()


class Smtp(Line):
    def __init__(self, port, lmtp):
        super().__init__(port)
        self.expect(b"220")
        self.command(b"LHLO x" if lmtp else b"EHLO x", b"250")

    def expect(self, code):
        while True:
            line = self.line()
            if line[3:4] != b"-":
                break
        assert line.startswith(code), line

    def command(self, text, code):
        self.send(text + b"\r\n")
        self.expect(code)

    def deliver(self, address, message):
        self.command(b"MAIL FROM:<a@remote.example>", b"250")
        self.command(b"RCPT TO:<%s>" % address.encode(), b"250")
        self.command(b"DATA", b"354")
        self.send(message + b".\r\n")
        self.expect(b"250")


class Imap(Line):
    def __init__(self, port, address):
        super().__init__(port)
        self.line()
        self.number = 0
        self.command(f"LOGIN {address} secret")

    def command(self, text, literal=None):
        """Sends a command, wants OK, returns the untagged lines (with literals inlined)."""
        self.number += 1
        tag = b"t%d" % self.number
        line = tag + b" " + text.encode()
        if literal is not None:
            line += b" {%d+}\r\n" % len(literal) + literal
        self.send(line + b"\r\n")
        lines = []
        while True:
            line = self.line()
            while match := re.search(rb"\{(\d+)\}\r\n$", line):
                line += self.read(int(match.group(1))) + self.line()
            if line.startswith(tag + b" "):
                assert line.startswith(tag + b" OK"), (text, line)
                return lines, line
            lines.append(line)


class Worker:
    """One account's ledger: message id -> (mailbox, flagged)."""

    def __init__(self, index):
        self.address = f"w{index}@example.test"
        self.ledger = {}
        self.after = {}    # the ledger if the operation in flight has happened
        self.operations = 0
        self.serial = 0
        self.index = index

    def message(self):
        self.serial += 1
        key = f"{self.index}.{self.serial}."  # no key is the beginning of another
        filler = "x" * 70 + "\r\n"
        body = filler * random.randrange(0, 150)
        return key, f"From: a@remote.example\r\nSubject: {key}\r\nX-Key: {key}\r\n\r\n{body}".encode()

    def work(self, platform, stop):
        try:
            smtp = Smtp(platform.port("lmtp" if self.index % 2 else "smtp"), self.index % 2 == 1)
            imap = Imap(platform.port("imap"), self.address)
            imap.command("SELECT INBOX")
            while not stop.is_set():
                self.after = copy.copy(self.ledger)
                random.choice((self.deliver, self.deliver, self.append, self.store, self.expunge, self.move))(smtp, imap)
                self.ledger = self.after
                self.operations += 1
        except Gone:
            pass

    def deliver(self, smtp, imap):
        key, message = self.message()
        self.after[key] = ("INBOX", False)
        smtp.deliver(self.address, message)

    def append(self, smtp, imap):
        key, message = self.message()
        self.after[key] = ("INBOX", False)
        imap.command("APPEND INBOX", message)

    def pick(self, imap):
        """A random message of the inbox and its UID."""
        keys = [key for key, (mailbox, _) in self.ledger.items() if mailbox == "INBOX"]
        if not keys:
            return None, None
        key = random.choice(keys)
        lines, _ = imap.command(f"UID SEARCH HEADER X-Key {key}")
        uids = [line.split()[2:] for line in lines if line.startswith(b"* SEARCH")][0]
        assert len(uids) == 1, (key, lines)
        return key, uids[0].decode()

    def store(self, smtp, imap):
        key, uid = self.pick(imap)
        if key:
            self.after[key] = ("INBOX", True)
            imap.command(f"UID STORE {uid} +FLAGS.SILENT (\\Flagged)")

    def expunge(self, smtp, imap):
        key, uid = self.pick(imap)
        if key:
            imap.command(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
            del self.after[key]
            imap.command(f"UID EXPUNGE {uid}")

    def move(self, smtp, imap):
        key, uid = self.pick(imap)
        if key:
            self.after[key] = ("Archive", self.ledger[key][1])
            imap.command(f"UID MOVE {uid} Archive")

    def state(self, platform):
        """What the account holds now, as a ledger."""
        found = {}
        imap = Imap(platform.port("imap"), self.address)
        for mailbox in ("INBOX", "Archive"):
            imap.command(f"SELECT {mailbox}")
            lines, _ = imap.command("UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[])")
            for line in lines:
                if b" FETCH (" not in line:
                    continue
                match = re.search(rb"X-Key: (\S+)\r\n", line)
                assert match, f"a message without its header in {mailbox}: {line[:300]!r}"
                key = match.group(1).decode()
                assert key not in found, f"{self.address}: message {key} is there twice"
                found[key] = (mailbox, b"\\Flagged" in line)
        imap.close()
        return found

    def check(self, platform):
        found = self.state(platform)
        assert found in (self.ledger, self.after), (
            f"{self.address}: missing {self.ledger.keys() - found.keys()}, unexpected {found.keys() - self.after.keys() - self.ledger.keys()}, "
            f"differing {[key for key in found if found[key] not in (self.ledger.get(key), self.after.get(key))]}")
        self.ledger = self.after = found


def in_parallel(function, workers):
    failures = []

    def run(worker):
        try:
            function(worker)
        except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    return threads, failures


def test_nothing_acknowledged_is_lost(tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)
    platform = relais.Platform(tmp_path / "p", init_args=["--shards", "2"]).init()
    workers = [Worker(index) for index in range(WORKERS)]
    rows = "address,password_hash\n" + "".join(f"{worker.address},{{PLAIN}}secret\n" for worker in workers)
    platform.run("account", "import", "-", input=rows)
    slowest = 0.0
    for round_number in range(ROUNDS):
        began = time.monotonic()
        platform.start()
        slowest = max(slowest, time.monotonic() - began)
        if round_number:
            threads, failures = in_parallel(lambda worker: worker.check(platform), workers)
            for thread in threads:
                thread.join()
            assert not failures, failures[0]
        stop = threading.Event()
        threads, failures = in_parallel(lambda worker: worker.work(platform, stop), workers)
        time.sleep(random.uniform(0.05, 0.5))  # the instant of the kill is what this test is about
        platform.kill()
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
        report = platform.run("storage", "check", "--json", check=False)
        assert report.returncode == 0, f"round {round_number}: {report.stdout}{report.stderr}"
    print(f"{ROUNDS} kills, {sum(worker.operations for worker in workers)} acknowledged operations, slowest restart {slowest:.2f} s")
    assert sum(worker.operations for worker in workers) > ROUNDS * 20
