#!/usr/bin/env python3
"""How a platform starts with many queued messages, and what memory it needs for them.

bench/queue_fill puts them there, for destinations of which all but one refuse connections: nothing but the queue is at work. The one listens, so that
the time of the first message to leave is seen too. A platform with an empty queue is started beside it, for comparison.
One line of JSON per platform.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import relay


def memory(process):
    """Octets of a process: its own, and pages of the files that it has mapped, which are the kernel's to take back."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return {kind: int(re.search(rf"^{kind}:\s+(\d+) kB", status, re.MULTILINE)[1]) for kind in ("RssAnon", "RssFile")}


class Platform:
    def __init__(self, directory, destinations):
        self.server = relay.Relais(directory, relay.free_port())
        self.server.configure()
        self.ways = []
        for number in range(destinations):
            host = f"127.9.{number // 250}.{number % 250 + 1}:{self.server.sink_port}"
            self.server.admin("route", "set", f"d{number}.test", f"smtp://{host}")
            self.ways.append(f"smtp:{host}=d{number}.test")

    def fill(self, program, count, shards):
        done = subprocess.run([program, str(self.server.dir / "data"), str(shards), str(count), *self.ways], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)["seconds"]

    def measure(self, count, watch):
        sink = relay.Sink(self.server.sink_port, 1, host="127.9.0.1") if count else None
        began = time.monotonic()
        try:
            self.server.serve()
            figure = {"messages": count, "ready_seconds": time.monotonic() - began, "at_ready_kb": memory(self.server.root)}
            if sink:
                sink.wait(600)
                figure["first_sent_seconds"] = time.monotonic() - began
            time.sleep(watch)
            figure["later_kb"] = memory(self.server.root)
            figure["listed"] = json.loads(self.server.admin("queue", "list", "--json"))["messages"]
            return figure
        finally:
            if sink:
                sink.close()
            self.server.stop()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=1_000_000)
    arguments.add_argument("--destinations", type=int, default=200)
    arguments.add_argument("--shards", type=int, default=2)
    arguments.add_argument("--watch", type=float, default=10, help="seconds until the second look at the memory")
    arguments.add_argument("--dir", default=tempfile.gettempdir())
    arguments.add_argument("--fill", default=str(pathlib.Path(__file__).resolve().parent.parent / "build/release/bench/queue_fill"), help="the program queue_fill")
    arguments.add_argument("--results", help="file that the figures are added to")
    chosen = arguments.parse_args()
    for count in (0, chosen.count):
        directory = pathlib.Path(tempfile.mkdtemp(prefix="queued-", dir=chosen.dir))
        try:
            platform = Platform(directory, chosen.destinations)
            filled = platform.fill(chosen.fill, count, chosen.shards) if count else 0
            figure = {"suite": "queued", "destinations": chosen.destinations, "fill_seconds": filled} | platform.measure(count, chosen.watch)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        line = json.dumps(figure)
        print(line, flush=True)
        if chosen.results:
            with open(chosen.results, "a") as results:
                results.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
