"""POP3 drops of real servers matched to their INBOXes: by the server's formula, else by order and size, else by headers; never wrong."""
import os
import re
import subprocess

import pytest

import legacy

TOOL = os.environ["RELAIS_UIDL_TOOL"]
ADA = "ada@example.test"


class Account:
    """One account read by IMAP and by POP3, as the mover does; nothing is left behind."""

    def __init__(self, server):
        imap = server.imap(ADA)
        imap.select("INBOX", readonly=True)
        self.validity = int(imap.response("UIDVALIDITY")[1][0])
        self.inbox, self.headers, self.bodies = [], {}, {}
        kind, rows = imap.fetch("1:*", "(UID RFC822.SIZE BODY.PEEK[HEADER])")
        for row in rows:
            if isinstance(row, tuple):
                uid, size = (int(re.search(word + rb" (\d+)", row[0])[1]) for word in (b"UID", b"RFC822.SIZE"))
                self.inbox.append((uid, size))
                self.headers[uid] = row[1]
        imap.logout()
        pop = server.pop3(ADA)
        self.uidls = [line.split(b" ", 1)[1] for line in pop.uidl()[1]]
        self.sizes = [int(line.split()[1]) for line in pop.list()[1]]
        self.tops = [b"\r\n".join(pop.top(n + 1, 0)[1]) + b"\r\n" for n in range(len(self.uidls))]
        pop.quit()
        # Each message has a number of its own in its header: that is the truth.
        numbers = {self.number(header): uid for uid, header in self.headers.items()}
        self.truth = [numbers[self.number(top)] for top in self.tops]

    @staticmethod
    def number(header):
        return int(re.search(rb"X-Number: (\d+)", header)[1])

    def match(self, uidls=None, headers=()):
        """@param headers  which to tell: places in the drop"""
        lines = [f"validity {self.validity}"]
        uids = {self.truth[i] for i in headers} | ({uid for uid, _ in self.inbox} if headers else set())
        lines += [f"message {uid} {size} {self.headers[uid].hex() if uid in uids else '-'}" for uid, size in self.inbox]
        for i, uidl in enumerate(uidls or self.uidls):
            lines.append(f"entry {self.sizes[i]} {uidl.hex()} {self.tops[i].hex() if i in headers else '-'}")
        done = subprocess.run([TOOL], input="\n".join(lines) + "\n", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return Answer(done.stdout)


class Answer:
    def __init__(self, text):
        rows = [line.split(" ") for line in text.splitlines()]
        self.uids = [int(row[1]) for row in rows if row[0] == "match"]
        self.ways = {row[2] for row in rows if row[0] == "match"}
        self.formula = next(row[1] for row in rows if row[0] == "formula")
        self.order = next(row[1] for row in rows if row[0] == "order")
        self.wanted = [int(row[1]) for row in rows if row[0] == "wanted"]
        self.findings = {row[1] for row in rows if row[0] == "finding"}


def fill(server, count=30):
    """Messages by IMAP and by delivery, a few expunged, many of one size."""
    server.add_user(ADA)
    for n in range(count):
        body = b"x" * (n if n % 3 else 5)
        server.append(ADA, b"Subject: one of many\r\nX-Number: %03d\r\n\r\n%s\r\n.dot\r\n" % (n, body))
    server.deliver(ADA, b"Subject: delivered\r\nX-Number: 998\r\n\r\nhello\r\n")
    imap = server.imap(ADA)
    imap.select("INBOX")
    imap.store("3,7,8", "+FLAGS", "\\Deleted")
    imap.expunge()
    imap.store("1:5", "+FLAGS", "\\Seen")
    imap.logout()
    server.deliver(ADA, b"Subject: delivered later\r\nX-Number: 999\r\n\r\nhello\r\n")


def pop3_uidl_format(text):
    return {"config": f"protocol pop3 {{\n  pop3_uidl_format = {text}\n}}\n"}


SERVERS = {
    "dovecot": (legacy.Dovecot, {}, "%08xu%08xv"),
    "dovecot-mdbox": (legacy.Dovecot, {"storage": "mdbox"}, "%08xu%08xv"),
    "dovecot-as-cyrus": (legacy.Dovecot, pop3_uidl_format("%v.%u"), "%v.%u"),
    "dovecot-as-courier": (legacy.Dovecot, pop3_uidl_format("UID%u-%v"), "UID%u-%v"),
    "dovecot-as-uw": (legacy.Dovecot, pop3_uidl_format("%08Xv%08Xu"), "%08xv%08xu"),
    "dovecot-uids": (legacy.Dovecot, pop3_uidl_format("%u"), "%u"),
    "dovecot-files": (legacy.Dovecot, pop3_uidl_format("%g"), ""),
    "cyrus": (legacy.Cyrus, {}, "%v.%u"),
    "courier": (legacy.Courier, {}, ""),
}


@pytest.mark.parametrize("which", SERVERS)
def test_every_message_is_found(tmp_path, which):
    make, settings, formula = SERVERS[which]
    with make(tmp_path / "server", **settings) as server:
        fill(server)
        account = Account(server)
    assert len(account.uidls) == len(account.inbox) == 29
    everything = range(len(account.uidls))

    told = account.match()
    assert told.formula == formula
    if formula:
        assert told.uids == account.truth and told.ways == {"formula"} and told.order == "uid" and not told.findings
    else:
        # What is not known yet is asked for, and nothing that is matched is wrong.
        assert all(found in (0, uid) for found, uid in zip(told.uids, account.truth))
        assert [i for i in everything if told.uids[i] == 0] == told.wanted
        told = account.match(headers=told.wanted)
        assert told.uids == account.truth and not told.wanted and not told.findings - {"pop3-order"}

    # The same drop with unique ids that mean nothing: its headers tell.
    strange = [b"%x" % (0xabcdef * (i + 7)) for i in everything]
    told = account.match(strange)
    assert told.formula == "" and all(found in (0, uid) for found, uid in zip(told.uids, account.truth))
    told = account.match(strange, headers=everything)
    assert told.uids == account.truth and not told.wanted
    assert told.order == ("uid" if account.truth == sorted(account.truth) else "own")
