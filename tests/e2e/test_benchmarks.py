"""The benchmarks that are programs of their own, in small: what they start works, and their figures are of the messages that were sent."""
import json
import os
import pathlib
import subprocess
import sys

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"


def figures(script, directory, *arguments):
    done = subprocess.run([sys.executable, str(BENCH / script), "--dir", str(directory), "--results", str(directory / "results"), *arguments], capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in (directory / "results").read_text().splitlines()], done.stdout


def test_relay(tmp_path):
    taken, table = figures("relay.py", tmp_path, "--servers", "relais", "--connections", "3", "--sizes", "1024", "--count", "60")
    assert [(one["mode"], one["messages"]) for one in taken] == [("intake", 60), ("relay", 60), ("drain", 60)]
    assert all(one["seconds"] > 0 and one["processor"] >= 0 for one in taken)  # sixty messages may be no tick of the processor's clock
    assert all(f"{mode} " in table for mode in ("intake", "relay", "drain"))


def test_queued(tmp_path):
    fill = pathlib.Path(os.environ["RELAIS_BINARY"]).parents[1] / "bench" / "queue_fill"
    (empty, full), _ = figures("queued.py", tmp_path, "--count", "2000", "--destinations", "5", "--watch", "0", "--fill", str(fill))
    assert empty["messages"] == empty["listed"] == 0
    # smtp-sink ends with the message that it was started for: its reply to that one may be lost.
    assert full["messages"] == 2000 and 1990 <= full["listed"] <= 2000
    assert full["first_sent_seconds"] >= full["ready_seconds"] > 0 and full["later_kb"]["RssAnon"] > 0


def test_relaying(tmp_path):
    taken, table = figures("relaying.py", tmp_path, "--tls", "client", "--megabytes", "5", "--size", "100000", "--repeat", "1")
    assert {one["server"] for one in taken} == {"relais", "dovecot", "direct"}
    assert all(one["value"] > 0 for one in taken if "CPU" not in one["figure"])  # a few milliseconds may be no tick
    assert all(name in table for name in ("bodies, MB/s", "small, MB/s", "noop, µs"))
