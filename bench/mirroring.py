#!/usr/bin/env python3
"""How fast an account is copied from a Dovecot into a shard, durable and read back, and what a pass costs that finds nothing new.

Figures, medians of --repeat, each into a storage of its own:
  copy      messages per second of the first pass over an account of --messages × --size octets, for each number of connections in --sources (mailboxes are
            shared out among them: with more than one the messages lie in as many mailboxes)
  nothing   milliseconds of a pass over an unchanged account of --many messages
  verify    milliseconds of comparing it: counters, and all UIDs, flags, sizes and dates

Messages are put into the Maildir as files, and Dovecot has seen them once. The server is started as the tests start it (tests/e2e/legacy.py): this needs root,
and what `./dev deps` unpacks. One line of JSON per figure in --results; a table at the end.
"""
import argparse
import json
import os
import pathlib
import random
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))
import legacy  # noqa: E402

MASTER = ("proxied", legacy.MASTER, legacy.MASTER_PASSWORD)


def fill(server, user, mailboxes, messages, size):
    """Text that compresses as mail does, more or less."""
    words = [bytes(random.choices(b"etaoinshrdlu", k=random.randrange(2, 10))) for _ in range(3000)]
    server.add_user(user)
    with server.imap(user) as client:
        client.select()  # makes the folder
        names = ["INBOX", *(f"box{n}" for n in range(1, mailboxes))]
        for name in names[1:]:
            client.create(name)
    root = server.mail_path(user) / "Maildir"
    for name in names:
        folder = root if name == "INBOX" else root / f".{name}"
        for n in range(messages // mailboxes):
            head = f"From: a@b.test\r\nTo: {user}\r\nSubject: number {n}\r\nMessage-ID: <{n}.{name}@b.test>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n\r\n".encode()
            body = head + b"".join(b" ".join(random.choices(words, k=10)) + b"\r\n" for _ in range(size // 65))
            path = folder / "cur" / f"1700000000.M{n}P1.bench,S={len(body)},W={len(body)}:2,"
            path.write_bytes(body)
            os.chown(path, legacy.MAIL_USER, legacy.MAIL_USER)
    with server.imap(user) as client:
        for name in names:
            assert client.select(name, readonly=True)[1][0] == str(messages // mailboxes).encode()
            client.fetch("1:*", "(RFC822.SIZE INTERNALDATE FLAGS)")


def run(tool, server, user, store, *commands):
    way, master, password = MASTER
    done = subprocess.run([tool, server.host, str(server.imap_port), way, user, master, store, *map(str, commands)], input=(password + "\n").encode(),
                          capture_output=True)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0, lines[-1:]
    return lines


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tool", required=True, help="mirror_tool, in the tests folder of a build")
    options.add_argument("--messages", type=int, default=10_000)
    options.add_argument("--size", type=int, default=10_240)
    options.add_argument("--many", type=int, default=100_000)
    options.add_argument("--sources", default="1,2,4")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--dir", default=tempfile.gettempdir())
    options.add_argument("--results")
    options = options.parse_args()
    figures = {}

    def note(figure, value):
        figures.setdefault(figure, []).append(value)
        if options.results:
            with open(options.results, "a") as results:
                print(json.dumps({"suite": "mirroring", "server": "relais", "figure": figure, "value": value}), file=results)

    with tempfile.TemporaryDirectory(dir=options.dir, prefix="mirroring-") as place:
        place = pathlib.Path(place)
        place.chmod(0o755)
        with legacy.dovecot(place / "server") as server:
            for count in map(int, options.sources.split(",")):
                user = f"s{count}@example.test"
                fill(server, user, count, options.messages, options.size)
                for turn in range(options.repeat):
                    store = place / f"store-{count}-{turn}"
                    store.mkdir()
                    appended, milliseconds = re.fullmatch(r"pass \d+ (\d+) .* (\d+)", run(options.tool, server, user, store, "sources", count, "pass")[-1]).groups()
                    assert int(appended) == options.messages // count * count
                    note(f"copy, {count} connection{'s' * (count > 1)}, messages/s", int(appended) / int(milliseconds) * 1000)
            if options.many:
                user, store = "many@example.test", place / "store-many"
                store.mkdir()
                fill(server, user, 1, options.many, 200)
                run(options.tool, server, user, store, "pass")
                for _ in range(options.repeat):
                    lines = run(options.tool, server, user, store, "pass", "verify", "counters", "verify", "messages")
                    assert not [line for line in lines if line.startswith("differs")], lines[:10]
                    note(f"nothing new in {options.many}, ms", int(lines[0].split()[-1]))
                    for what, line in zip(("counters", "all"), lines[1:]):
                        note(f"verify {options.many}: {what}, ms", int(line.split()[-1]))

    for figure, values in figures.items():
        print(f"{figure:45}{statistics.median(values):12,.0f}   ({' '.join(f'{value:,.0f}' for value in values)})")


if __name__ == "__main__":
    main()
