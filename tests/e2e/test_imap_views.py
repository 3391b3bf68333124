"""Several sessions change two mailboxes at once, at random: what each has been told is, at every moment, a view that a client can work with,
and once all is quiet it is the mailbox (RFC 9051 §7.5.1, RFC 7162 §3.2). A failure prints the seed: RELAIS_SEED=n repeats its choices."""
import os
import random
import re

import pytest

import relais

BOXES = ["INBOX", "Other"]
SHARED_FLAGS = ["\\Seen", "\\Deleted", "\\Flagged", "$Shared"]
MESSAGE = b"From: a@b.example\r\nSubject: x\r\n\r\nbody %d\r\n"


def numbers(text):
    """A sequence set without "*" as a list, in its order."""
    found = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = int(first), int(last or first)
        found += range(low, high + 1) if low <= high else range(low, high - 1, -1)
    return found


class View:
    """One session and what its client believes."""

    def __init__(self, platform, address, name, kind):
        self.platform, self.address, self.name, self.kind = platform, address, name, kind
        self.wire = None
        self.tags = 0
        self.heard = []
        self.connect()

    # ---- the connection
    def connect(self):
        self.wire = self.platform.connect("imap")
        self.wire.line()
        self.box, self.uids, self.flags, self.mod_seqs = None, [], {}, {}
        self.known_up_to = 0  # the mod-sequence from which to ask for what is new
        self.ask(f'LOGIN {self.address} "{relais.PASSWORD}"')
        if self.kind != "plain":
            self.ask("ENABLE " + {"rev2": "IMAP4rev2", "condstore": "CONDSTORE", "qresync": "QRESYNC"}[self.kind])

    @property
    def counts_mod_seqs(self):
        return self.kind in ("condstore", "qresync")

    def send(self, command, literal=None, forbids_expunge=False, silent=None):
        self.tags += 1
        self.tag = f"{self.name}{self.tags}"
        self.forbids_expunge, self.silent = forbids_expunge, silent
        self.told, self.code_mod_seq, self.seen_mod_seq, self.moved = [], None, 0, None
        octets = f"{self.tag} {command}".encode()
        if literal is not None:
            octets += b" {%d+}\r\n" % len(literal) + literal
        self.heard = self.heard[-40:] + ["C: " + octets.decode()]
        self.wire.send(octets + b"\r\n")

    def finish(self):
        """Reads to the tagged reply, believing all on the way."""
        while True:
            line = self.wire.line().decode()
            self.heard.append("S: " + line.rstrip())
            assert line.endswith("\r\n"), "closed"
            if line.startswith(self.tag + " "):
                break
            self.believe(line[2:-2])
        status = line[len(self.tag) + 1:-2]
        if code := re.search(r"\[HIGHESTMODSEQ (\d+)\]", status):
            self.code_mod_seq = int(code[1])
        if self.code_mod_seq is not None:
            self.known_up_to = self.code_mod_seq
        else:
            self.known_up_to = max(self.known_up_to, self.seen_mod_seq)
        if self.moved is not None:
            assert not self.moved & set(self.uids), "moved, but no EXPUNGE"
        if self.silent and not self.counts_mod_seqs:  # what others did to the same messages may have been told before or after
            for number, uid in enumerate(self.uids, 1):
                if (uid if self.silent["by_uid"] else number) in self.silent["chosen"]:
                    self.flags.pop(uid, None)
        return status

    def ask(self, command, **how):
        self.send(command, **how)
        status = self.finish()
        assert status.startswith("OK"), status
        return self.told

    # ---- belief
    def believe(self, line):
        self.told.append(line)
        if code := re.match(r"OK \[HIGHESTMODSEQ (\d+)\]", line):
            self.code_mod_seq = int(code[1])
        elif code := re.match(r"OK \[COPYUID \d+ (\S+) (\S+)\]", line):
            source, target = numbers(code[1]), numbers(code[2])
            assert len(source) == len(target) and (None in self.uids or set(source) <= set(self.uids)), line
            self.moved = set(source)
        elif count := re.match(r"(\d+) EXISTS$", line):
            assert int(count[1]) >= len(self.uids), line
            self.uids += [None] * (int(count[1]) - len(self.uids))
        elif number := re.match(r"(\d+) EXPUNGE$", line):
            assert self.kind != "qresync" and not self.forbids_expunge, line
            assert 1 <= int(number[1]) <= len(self.uids), line
            self.forget(self.uids.pop(int(number[1]) - 1))
        elif vanished := re.match(r"VANISHED (\(EARLIER\) )?(\S+)$", line):
            assert self.kind == "qresync" and (vanished[1] or not self.forbids_expunge), line
            for uid in numbers(vanished[2]):
                if vanished[1]:
                    assert uid not in self.uids, line
                else:
                    self.uids.pop(self.index_of(uid))
                self.forget(uid)
        elif fetched := re.match(r"(\d+) FETCH \((.*)\)$", line):
            self.believe_fetch(int(fetched[1]), fetched[2])

    def believe_fetch(self, number, items):
        assert 1 <= number <= len(self.uids), items
        uid, flags, mod_seq = (re.search(pattern, items) for pattern in (r"UID (\d+)", r"FLAGS \(([^)]*)\)", r"MODSEQ \((\d+)\)"))
        if uid:
            known = self.uids[number - 1]
            assert known in (None, int(uid[1])), (known, items)
            self.uids[number - 1] = int(uid[1])
            there = [u for u in self.uids if u is not None]
            assert there == sorted(set(there)), (there, items)
        if self.uids[number - 1] is None:
            return
        if mod_seq and not flags and self.silent and uid and int(uid[1]) in self.flags:  # RFC 7162 §3.1.3: how a .SILENT one is answered
            known = self.flags[int(uid[1])]
            self.flags[int(uid[1])] = known | self.silent["flags"] if self.silent["sign"] == "+" else known - self.silent["flags"]
        if flags:
            self.flags[self.uids[number - 1]] = frozenset(flags[1].split()) - {"\\Recent"}
        if mod_seq:
            assert flags is None or self.mod_seqs.get(self.uids[number - 1], 0) <= int(mod_seq[1]), items
            self.mod_seqs[self.uids[number - 1]] = int(mod_seq[1])
            self.seen_mod_seq = max(self.seen_mod_seq, int(mod_seq[1]))

    def index_of(self, uid):
        """Where a message lies whose UID the client may not have asked for yet: between those that it knows."""
        if uid in self.uids:
            return self.uids.index(uid)
        below = [i for i, known in enumerate(self.uids) if known is not None and known < uid]
        index = below[-1] + 1 if below else 0
        assert index < len(self.uids) and self.uids[index] is None, (uid, self.uids)
        return index

    def forget(self, uid):
        self.flags.pop(uid, None)
        self.mod_seqs.pop(uid, None)

    def select(self, box, how=""):
        self.uids, self.flags, self.mod_seqs = [], {}, {}
        told = self.ask(f"SELECT {box}{how}")
        self.box = box
        self.validity = next(re.search(r"UIDVALIDITY (\d+)", line)[1] for line in told if "UIDVALIDITY" in line)
        self.learn()

    def learn(self):
        """All UIDs and flags."""
        if self.uids:
            self.ask("FETCH 1:* (UID FLAGS MODSEQ)" if self.counts_mod_seqs else "FETCH 1:* (UID FLAGS)")

    def resynchronise(self):
        """The connection breaks; a QRESYNC client goes on from what it had."""
        box, since, validity = self.box, self.known_up_to, self.validity
        before = {uid: self.flags.get(uid) for uid in self.uids if uid is not None}
        complete = None not in self.uids
        self.wire.close()
        self.connect()
        self.uids, self.flags, self.mod_seqs = [], {}, {}
        told = self.ask(f"SELECT {box} (QRESYNC ({validity} {since}))")
        self.box, self.validity = box, validity
        gone = {uid for line in told if line.startswith("VANISHED (EARLIER) ") for uid in numbers(line.split()[2])}
        expected = {uid: flags for uid, flags in before.items() if uid not in gone}
        expected |= self.flags
        self.learn()
        for uid, flags in expected.items():
            assert uid in self.uids, f"{uid} is gone, and nobody said so"
            assert flags is None or flags == self.flags[uid], (uid, flags, self.flags[uid])
        if complete and before:  # whatever is new was told in a FETCH or lies above all that was known
            for uid in self.uids:
                assert uid in expected or uid > max(before), uid

    # ---- random commands
    def some_set(self, pick, by_uid):
        pool = [uid for uid in self.uids if uid] if by_uid else list(range(1, len(self.uids) + 1))
        if not pool:
            return None
        first, second = pick.choice(pool), pick.choice(pool)
        near = pool[min(pool.index(first) + 4, len(pool) - 1)]
        return pick.choice([f"{first}", f"{first}:{near}", f"{near}:{first}", f"{first},{second}"])

    def act(self, pick):
        """Sends one command; finish() reads its answer."""
        by_uid = pick.random() < 0.5
        some = self.some_set(pick, by_uid)
        uid = "UID " if by_uid else ""
        other = pick.choice(BOXES)
        strict = {"forbids_expunge": not by_uid}
        flag = pick.choice(SHARED_FLAGS)
        chance = pick.random()
        if chance < 0.22 or some is None:
            if pick.random() < 0.6:
                return self.send(pick.choice(["NOOP", "CHECK", "STATUS Other (MESSAGES)", "LIST \"\" *"]))
            return self.send(f"APPEND {self.box}", literal=MESSAGE % self.tags)
        if chance < 0.37:
            some = pick.choice([some, "1:*"])
            return self.send(f"{uid}FETCH {some} ({pick.choice(['UID', 'FLAGS', 'UID FLAGS', 'UID RFC822.SIZE'])})", **strict)
        if chance < 0.57:
            return self.send(f"{uid}STORE {some} {pick.choice(['+', '-', '+', ''])}FLAGS ({flag})", **strict)
        if chance < 0.62:
            sign = pick.choice("+-")
            silent = {"sign": sign, "flags": {f"own-{self.name}"}, "by_uid": by_uid, "chosen": set(numbers(some))}
            return self.send(f"{uid}STORE {some} {sign}FLAGS.SILENT (own-{self.name})", silent=silent, **strict)
        if chance < 0.66 and self.counts_mod_seqs:
            return self.send(f"{uid}STORE {some} (UNCHANGEDSINCE {self.known_up_to}) +FLAGS ({flag})", **strict)
        if chance < 0.74:
            return self.send(f"{uid}SEARCH {pick.choice(['ALL', 'DELETED', 'RETURN (SAVE) SEEN', '1:*', 'NOT BODY body'])}", **strict)
        if chance < 0.82 and len(self.uids) < 60:
            return self.send(f"{uid}COPY {some} {other}")
        if chance < 0.92:
            return self.send(f"{uid}MOVE {some} {other}")
        if chance < 0.96:
            return self.send(f"UID EXPUNGE {some}" if by_uid else "EXPUNGE")
        return self.send(f"{uid}FETCH $ (UID FLAGS)", **strict)


def compare(platform, address, views):
    """All is quiet: every view is the mailbox."""
    truth = {}
    for box in BOXES:
        fresh = View(platform, address, "fresh", "condstore")
        fresh.select(box)
        truth[box] = fresh
    for view in views:
        view.ask("NOOP")
        fresh = truth[view.box]
        assert len(view.uids) == len(fresh.uids), (view.name, view.uids, fresh.uids)
        for mine, real in zip(view.uids, fresh.uids):
            assert mine in (None, real), (view.name, view.uids, fresh.uids)
        for uid, flags in view.flags.items():
            assert flags == fresh.flags[uid], (view.name, uid, flags, fresh.flags[uid])
        for uid, mod_seq in view.mod_seqs.items():
            assert mod_seq == fresh.mod_seqs[uid], (view.name, uid, mod_seq, fresh.mod_seqs[uid])
        view.learn()
        assert view.uids == fresh.uids and view.flags == fresh.flags, view.name
    for fresh in truth.values():
        fresh.wire.close()


@pytest.mark.parametrize("round_number", range(3))
def test_views_agree(platform, round_number):
    seed = int(os.environ.get("RELAIS_SEED", random.randrange(1 << 30)))
    print(f"RELAIS_SEED={seed}")
    pick = random.Random(seed)
    address = platform.add_account(f"views{round_number}")
    kinds = ["plain", "qresync", "plain", "condstore", "rev2", "qresync"]
    views = [View(platform, address, chr(ord("a") + i), kind) for i, kind in enumerate(kinds)]
    views[0].ask("CREATE Other")
    for _ in range(30):
        views[0].ask(f"APPEND {pick.choice(BOXES)}", literal=MESSAGE % 0)
    for view in views:
        view.select(pick.choice(BOXES))
    try:
        for step in range(60):
            for _ in range(pick.randrange(1, 6)):
                busy = pick.sample(views, pick.randrange(1, len(views) + 1))
                for view in busy:
                    view.act(pick)
                for view in busy:
                    view.finish()
            if pick.random() < 0.3:
                view = pick.choice(views)
                if view.kind == "qresync":
                    view.resynchronise()
                else:
                    view.ask("UNSELECT")
                    view.select(pick.choice(BOXES))
            compare(platform, address, views)
    except AssertionError:
        for view in views:
            print(f"---- {view.name} ({view.kind}, {view.box})", *view.heard[-40:], sep="\n")
        raise
    for view in views:
        view.wire.close()
