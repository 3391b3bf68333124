"""An account on real servers as the mover reads it: listings, changes against a model under random changes, messages octet for octet, extras."""
import os
import random
import re
import subprocess

import pytest

import legacy

TOOL = os.environ["RELAIS_SOURCE_TOOL"]
ADA, BOB, CAROL = (f"{name}@example.test" for name in ("ada", "bob", "carol"))
NOTHING = "0/0/0/0"
FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "later"]


def message(number):
    return f"From: someone@elsewhere.test\r\nSubject: number {number}\r\n\r\n{'line ' * (number % 50)}\r\n".encode()


def read(server, user, *commands, ok=True):
    """The tool's output as lines. As the master, where there is one."""
    way, master, password = ("proxied", server.master_user, server.master_password) if server.master_user else ("plain", "", legacy.PASSWORD)
    done = subprocess.run([TOOL, server.host, str(server.imap_port), way, user, master, *map(str, commands)], input=(password + "\n").encode(), capture_output=True)
    lines = done.stdout.decode(errors="surrogateescape").splitlines()
    assert (done.returncode == 0) == ok, (lines, done.stderr)
    return lines


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        server.add_users([ADA, BOB, CAROL])
        yield server


def numbers(text):
    found = set()
    for part in [] if text == "-" else text.split(","):
        first, _, last = part.partition(":")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def everything(server, user, name):
    """UIDs with their flags."""
    return {int(uid): set(flags.split()) for uid, flags in (re.fullmatch(r"message (\d+) \d+ \d+ ?(.*)", line).groups() for line in read(server, user, "everything", name))}


def test_listing(server):
    prefix, separator = server.prefix, "." if server.prefix else "/"
    with server.imap(ADA) as client:
        separator = re.search(rb'\) "(.)" ', client.list()[1][0])[1].decode()
        for name in ("Work", f"Work{separator}2024", "Caf&AOk-"):
            assert client.create(f'"{prefix}{name}"')[0] == "OK"
        client.subscribe(f'"{prefix}Work{separator}2024"')
    server.append(ADA, message(1), message(2))
    lines = read(server, ADA, "list")
    listed = {name: (wire, state, words) for name, wire, state, words in (line[len("mailbox "):].split("|") for line in lines if line.startswith("mailbox "))}
    assert list(listed)[0] == "INBOX"
    assert {"INBOX", "Work", "Work/2024", "Caf\u00e9"} <= set(listed)
    wire, state, words = listed["Work/2024"]
    assert wire == f"{prefix}Work{separator}2024"
    assert words == " subscribed"
    assert re.fullmatch(r"[1-9]\d*/1/\d+/0", state)
    assert re.fullmatch(r"[1-9]\d*/3/\d+/2", listed["INBOX"][1])
    assert "subscription Work/2024" in lines
    assert not [line for line in lines if line.startswith("left ") or "problem" in line]


def test_changes_are_what_changed(server):
    """Random changes by another client; what the source tells of them makes the known state the new one."""
    seed = random.randrange(2**32)
    print("seed", seed)
    dice = random.Random(seed)
    name = server.prefix + "Busy"
    server.append(BOB, *map(message, range(20)), mailbox=name, flags=r"(\Flagged)")
    cursor, model = NOTHING, {}
    for _ in range(6):
        first, *rest = read(server, BOB, "changes", "Busy", cursor, ",".join(map(str, model)) or "-")
        words = dict(word.partition("=")[::2] for word in first.split()[2:])
        cursor = first.split()[1]
        assert ("restarted" in words) == (not model)
        for line in rest:
            uid, flags = re.fullmatch(r"changed (\d+) ?(.*)", line).groups()
            model[int(uid)] = set(flags.split())
        gone = numbers(words.get("vanished", "-")) | (set(model) - numbers(words["all"]) if "all" in words else set())
        model = {uid: flags for uid, flags in model.items() if uid not in gone}
        assert model == everything(server, BOB, "Busy"), seed
        assert int(cursor.split("/")[3]) == len(model)
        with server.imap(BOB) as client:
            client.select(f'"{name}"')
            for uid in dice.sample(sorted(model), 5):
                client.uid("STORE", str(uid), dice.choice(["+FLAGS", "-FLAGS", "FLAGS"]), f"({' '.join(dice.sample(FLAGS, 2))})")
            for uid in dice.sample(sorted(model), 2):
                client.uid("STORE", str(uid), "+FLAGS", r"(\Deleted)")
            client.expunge()
            for _ in range(dice.randrange(4)):
                client.append(f'"{name}"', rf"({dice.choice(FLAGS)})", None, message(dice.randrange(1000)))


def test_nothing_new_is_told_as_nothing(server):
    name = server.prefix + "Quiet"
    server.append(BOB, *map(message, range(5)), mailbox=name)
    cursor = read(server, BOB, "changes", "Quiet", NOTHING, "-")[0].split()[1]
    first, *rest = read(server, BOB, "changes", "Quiet", cursor, "1:5")
    assert first.split()[1] == cursor
    if server.has_qresync:
        assert (first, rest) == ("state " + cursor, [])


def test_a_mailbox_made_anew_begins_anew(server):
    name = server.prefix + "Again"
    server.append(BOB, message(1), mailbox=name)
    cursor = read(server, BOB, "changes", "Again", NOTHING, "-")[0].split()[1]
    old = cursor.split("/")[0]
    with server.imap(BOB) as client:
        client.delete(f'"{name}"')
    assert read(server, BOB, "everything", "Again", ok=False)[-1].startswith("error refused NONEXISTENT ")
    while True:  # Courier's UIDVALIDITY is the second in which the mailbox was made
        server.append(BOB, message(2), mailbox=name)
        first, *rest = read(server, BOB, "changes", "Again", cursor, "1")
        if first.split()[1].split("/")[0] != old:
            break
        with server.imap(BOB) as client:
            client.delete(f'"{name}"')
    assert "restarted" in first.split()
    assert [line.split()[1] for line in rest] == ["1"]


def test_messages_octet_for_octet_without_a_trace(server, tmp_path):
    sent = [message(number) for number in range(250)] + [message(7) + b"x" * 300 + b"\r\n" + b"long \xe4\r\n" * 50_000]
    server.append(CAROL, *sent, date='"05-Jan-2024 10:00:00 +0130"')
    lines = read(server, CAROL, "messages", "INBOX", "1:10,12:9999", tmp_path)
    assert len(lines) == len(sent) - 1
    for line in lines:
        kind, uid, size, date = line.split()[:4]
        octets = (tmp_path / uid).read_bytes()
        assert (kind, date, len(line.split())) == ("read", "1704443400", 4)  # no flags: nobody has seen it
        assert octets == sent[int(uid) - 1]
        assert int(size) == len(octets)
    assert not (tmp_path / "11").exists()
    assert everything(server, CAROL, "INBOX") == {uid: set() for uid in range(1, len(sent) + 1)}


def test_rights_of_others(server):
    with server.imap(ADA) as client:
        if b"ACL" not in client.capability()[1][0].split():
            assert not [line for line in read(server, ADA, "extras") if line.startswith("acl")]
            return
        client.create(f'"{server.prefix}Shared"')
        assert client.setacl(f'"{server.prefix}Shared"', BOB, "lr")[0] == "OK"
    assert [line for line in read(server, ADA, "extras") if line.startswith(f"acl Shared acl/{BOB} ")]
