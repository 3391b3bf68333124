#!/usr/bin/env python3
"""How long a client's page of fifty messages takes, at random places of a mailbox. One JSON object on standard output."""
import argparse
import json
import random
import socket
import statistics
import time

ITEMS = "(UID FLAGS ENVELOPE INTERNALDATE RFC822.SIZE)"


class Client:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.line()

    def line(self):
        while b"\r\n" not in self.buffer:
            got = self.socket.recv(1 << 16)
            if not got:
                raise SystemExit("closed by the server")
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def command(self, text):
        """Everything up to the tagged answer; no literals are expected in what this asks for."""
        self.socket.sendall(b"a " + text.encode() + b"\r\n")
        end = b"\r\na OK"
        out = b"\r\n" + self.buffer
        while end not in out or not out.endswith(b"\r\n"):
            if b"\r\na NO" in out or b"\r\na BAD" in out:
                raise SystemExit(f"{text}: {out[-200:]!r}")
            got = self.socket.recv(1 << 18)
            if not got:
                raise SystemExit("closed by the server")
            out += got
        self.buffer = b""
        return out


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--user", required=True)
    options.add_argument("--password", default="secret")
    options.add_argument("--secs", type=float, default=3)
    options.add_argument("--name", default="page")
    options.add_argument("--tag", action="append", default=[])
    args = options.parse_args()
    client = Client(args.port)
    client.command(f'LOGIN "{args.user}" "{args.password}"')
    selected = client.command("SELECT INBOX").split(b"\r\n")
    exists = next(int(l.split()[1]) for l in selected if l.endswith(b" EXISTS"))
    chance = random.Random(1)
    times, newest = [], []
    until = time.perf_counter() + args.secs
    while time.perf_counter() < until:
        first = chance.randint(1, max(1, exists - 49))
        before = time.perf_counter()
        answer = client.command(f"FETCH {first}:{min(exists, first + 49)} {ITEMS}")
        times.append(time.perf_counter() - before)
        if answer.count(b" FETCH (") != min(50, exists):
            raise SystemExit("a page lacks messages")
        before = time.perf_counter()
        client.command(f"FETCH {max(1, exists - 49)}:* {ITEMS}")
        newest.append(time.perf_counter() - before)
    client.command("LOGOUT")
    print(json.dumps(dict(figure=args.name, **dict(t.split("=", 1) for t in args.tag), mailbox_msgs=exists, pages=len(times),
                          page_p50_ms=statistics.median(times) * 1e3, page_mean_ms=statistics.mean(times) * 1e3,
                          newest_p50_ms=statistics.median(newest) * 1e3)))


if __name__ == "__main__":
    main()
