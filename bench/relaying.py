#!/usr/bin/env python3
"""What it costs to stand between clients and a legacy server: Relais' IMAP relay and Dovecot's own proxy, in front of the same Dovecot, in the same run.

Figures, each for every way of TLS (none; `client`: between client and relay; `both`: also between relay and server):
  bodies  messages of --size octets are fetched until --megabytes have come: processor seconds of the relay per GB, and the wall clock's
  small   as bodies, with messages of 4 KB
  noop    round trip of a NOOP, median of 2,000; `direct` has it without anything between

What is counted as processor time is all of a relay's processes; the server and the client are not, but share the processors. Relays take turns. Dovecot's
login processes serve many sessions each (service_count = 0), which is its fast way. The peers are started as the tests start them (tests/e2e/legacy.py);
so this needs root, and what `./dev deps` unpacks. One line of JSON per figure in --results; a table of medians at the end.
"""
import argparse
import json
import os
import pathlib
import socket
import ssl
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/e2e"))
import legacy  # noqa: E402
import relais  # noqa: E402

USER = "ada@example.test"
TICKS = os.sysconf("SC_CLK_TCK")
LINE = 2000  # octets that the last line of an answer has at most
RELAYS = ("relais", "dovecot")


def processor_seconds(pid):
    """Of a process and all below it, with those that have ended."""
    fields, children = {}, {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields[int(entry.name)] = entry.joinpath("stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
    for number, values in fields.items():
        children.setdefault(int(values[1]), []).append(number)
    waiting, total = [pid], 0
    while waiting:
        number = waiting.pop()
        total += sum(int(field) for field in fields[number][11:15])  # utime stime cutime cstime
        waiting += children.get(number, [])
    return total / TICKS


class Client:
    def __init__(self, host, port, implicit_tls):
        self.socket = socket.create_connection((host, port))
        if implicit_tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.buffer = memoryview(bytearray(1 << 20))
        self.socket.recv_into(self.buffer)
        self.serial = 0
        self.ask(f'LOGIN {USER} "{legacy.PASSWORD}"')
        self.ask("EXAMINE INBOX")

    def ask(self, command):
        """Returns how many octets came."""
        self.serial += 1
        tag = b"t%d" % self.serial
        self.socket.sendall(tag + b" " + command.encode() + b"\r\n")
        total, end = 0, b""
        while True:
            got = self.socket.recv_into(self.buffer)
            assert got, f"closed in {command}"
            total += got
            end = (end + bytes(self.buffer[max(0, got - LINE):got]))[-LINE:]
            if end.endswith(b"\r\n") and (answer := end.rstrip().rpartition(b"\n")[2]).startswith(tag):
                assert answer.startswith(tag + b" OK"), answer
                return total


class Relay:
    """How a client gets to the server, and what is in between."""

    def __init__(self, name, host, port, pid):
        self.name, self.host, self.port, self.pid = name, host, port, pid

    def client(self, implicit_tls):
        return Client(self.host, self.port, implicit_tls)

    def fetch(self, implicit_tls, uids, octets):
        client = self.client(implicit_tls)
        client.ask(f"UID FETCH {uids} (BODY.PEEK[])")  # what is read first from the disk
        before, began, done = processor_seconds(self.pid), time.monotonic(), 0
        while done < octets:
            done += client.ask(f"UID FETCH {uids} (BODY.PEEK[])")
        wall = time.monotonic() - began
        return (processor_seconds(self.pid) - before) / done * 1e9, done / wall / 1e6


def noop(client):
    times = []
    for _ in range(2000):
        began = time.perf_counter()
        client.ask("NOOP")
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def dovecot_proxy(directory, server, tls):
    """A Dovecot that takes any password and relays the session to `server`, which checks it."""
    secure = " starttls=any-cert" if tls == "both" else ""
    return legacy.dovecot(directory, tls="none" if tls == "none" else "implicit", config=f"""
service imap-login {{
  service_count = 0
  process_min_avail = 2
}}
passdb {{
  driver = static
  args = proxy=y host={server.host} port={server.imap_port} nopassword=y{secure}
}}
""")


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--megabytes", type=int, default=500)
    options.add_argument("--size", type=int, default=1 << 20, help="octets of a message of `bodies`")
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--tls", default="none,client,both")
    options.add_argument("--dir", default=tempfile.gettempdir())
    options.add_argument("--results")
    options = options.parse_args()
    figures = {}

    def note(tls, relay, figure, value):
        figures.setdefault((tls, figure), {}).setdefault(relay, []).append(value)
        if options.results:
            with open(options.results, "a") as results:
                print(json.dumps({"suite": "relaying", "server": relay, "tls": tls, "figure": figure, "value": value}), file=results)

    for tls in options.tls.split(","):
        with tempfile.TemporaryDirectory(dir=options.dir, prefix="relaying-") as place:
            place = pathlib.Path(place)
            place.chmod(0o755)
            with (legacy.dovecot(place / "server", tls="starttls" if tls == "both" else "none") as server, dovecot_proxy(place / "proxy", server, tls) as proxy,
                  relais.running(place / "front") as front):
                server.add_user(USER)
                head = b"From: a@b.test\r\nSubject: s\r\n\r\n"
                line = b"x" * 70 + b"\r\n"
                server.append(USER, *[head + line * (options.size // 72)] * 16, *[head + line * 56] * 2000)
                more = ["--tls", server.tls] + (["--ca-file", str(server.authority.certificate)] if server.authority else [])
                front.run("legacy", "add", "old", "--imap", f"{server.host}:{server.imap_port}", *more)
                front.run("account", "add", USER, "--legacy", "old")
                relays = [Relay("relais", front.host, front.port("imap" if tls == "none" else "imaps"), front.process.pid),
                          Relay("dovecot", proxy.host, proxy.imap_port, proxy.process.pid)]
                for turn in range(options.repeat):
                    for relay in relays if turn % 2 == 0 else reversed(relays):
                        for figure, uids in (("bodies", "1:16"), ("small", "17:2016")):
                            cost, rate = relay.fetch(tls != "none", uids, options.megabytes * 1_000_000)
                            note(tls, relay.name, f"{figure}, CPU s/GB", cost)
                            note(tls, relay.name, f"{figure}, MB/s", rate)
                        note(tls, relay.name, "noop, µs", noop(relay.client(tls != "none")))
                if tls != "both":
                    note(tls, "direct", "noop, µs", noop(Client(server.host, server.imap_port, False)))

    print(f"{'TLS':8}{'figure':20}{'relais':>12}{'dovecot':>12}{'ratio':>8}")
    for (tls, figure), values in figures.items():
        ours, theirs = (statistics.median(values[name]) for name in RELAYS)
        direct = f"   direct: {statistics.median(values['direct']):.3g}" if "direct" in values else ""
        ratio = f"{ours / theirs:.2f}" if theirs else ""
        print(f"{tls:8}{figure:20}{ours:12.3g}{theirs:12.3g}{ratio:>8}{direct}")


if __name__ == "__main__":
    main()
