#!/usr/bin/env python3
"""Mail that passes through: `smtp-source` → server → `smtp-sink`, for Relais and for Postfix, in the same run on the same machine.

Modes:
  intake  the server takes messages for hosts elsewhere and sends none: Relais' next hop refuses connections; Postfix puts everything on hold,
          which is the least it can do with a message
  relay   from the first connection of smtp-source to the last message at smtp-sink
  drain   as `intake`, then the way is opened: from there to the last message at smtp-sink

Both servers sync before they answer 250, as they do by default. What is counted as processor time is all of the server's processes, with those that
have ended, from before the first message to a second after the last; smtp-source and smtp-sink are not counted, but share the processors.
Postfix (3.7, of Debian) needs root. Each figure is taken on fresh data; servers take turns, so that both meet the same machine.

One line of JSON per figure in --results; a table of medians and ratios at the end.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SENDER = "ada@source.test"
RECIPIENT = "eve@elsewhere.test"
SETTLE = 1.0  # seconds behind the last message whose processor time still counts
TICKS = os.sysconf("SC_CLK_TCK")
USUAL_PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "lmtp": 24, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993, "http": 80}


MTAS = pathlib.Path(os.environ.get("RELAIS_MTAS") or pathlib.Path(__file__).resolve().parent.parent / "build/mtas")


def tool(name):
    """Installed where only root's PATH looks, or unpacked by `./dev deps`."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + f":/usr/sbin:/sbin:{MTAS}/usr/sbin")
    if not found:
        sys.exit(f"relay.py: no {name}; Debian's package postfix has it, and ./dev deps unpacks that")
    return found


def tool_environment():
    return os.environ | {"LD_LIBRARY_PATH": f"{MTAS}/usr/lib/postfix"}


# Below the range that the kernel hands out for outgoing connections: thousands of those leave their ports in TIME_WAIT.
def free_port(count=1):
    while True:
        first = random.randrange(10_000, 30_000)
        probes = []
        try:
            for port in range(first, first + count):
                probes.append(socket.socket())
                probes[-1].bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()


def processor_seconds(root):
    """User and system time of a process and all that it started, those included that have ended."""
    children, times = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            fields = pathlib.Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(entry))
        times[int(entry)] = sum(int(field) for field in fields[11:15])  # utime stime cutime cstime
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        total += times.get(process, 0)
        waiting += children.get(process, [])
    return total / TICKS


def wait_until(condition, what, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come about in {seconds} s")
        time.sleep(0.005)


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


class Sink:
    """smtp-sink; it ends by itself when it has that many messages."""

    def __init__(self, port, count, host="127.0.0.1"):
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self.process = subprocess.Popen([tool("smtp-sink"), *user, "-M", str(count), f"{host}:{port}", "1024"], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, env=tool_environment())
        wait_until(lambda: listens(port) or self.process.poll() is not None, "smtp-sink")
        if self.process.poll() is not None:
            raise RuntimeError(f"smtp-sink does not run: is port {port} in use?")

    def wait(self, seconds):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.close()
            raise RuntimeError(f"messages have not arrived within {seconds} s") from None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def listens(port):
    """Without connecting: that would be a session of the sink."""
    wanted = f":{port:04X} "
    return any(wanted in line.split(" 00000000:0000 ")[0] + " " and " 0A " in line for line in open("/proc/net/tcp"))


def send(port, connections, count, size):
    subprocess.run([tool("smtp-source"), "-d", "-s", str(connections), "-m", str(count), "-l", str(size), "-f", SENDER, "-t", RECIPIENT,
                    f"127.0.0.1:{port}"], check=True, stdout=subprocess.DEVNULL, env=tool_environment())


class Relais:
    name = "relais"

    def __init__(self, directory, sink_port):
        self.directory = directory
        self.dir = directory / "platform"
        self.sink_port = sink_port
        self.binary = os.environ.get("RELAIS_BINARY") or str(pathlib.Path(__file__).resolve().parent.parent / "build/release/admin/relais")
        if not os.access(self.binary, os.X_OK):
            sys.exit(f"relay.py: no program {self.binary}; ./dev build makes it, or RELAIS_BINARY names it")

    def configure(self):
        base = free_port()
        self.admin("init", str(self.dir), "--domain", "here.test", "--base-port", str(base), in_dir=False)
        self.port = free_port()
        config = self.dir / "relais.toml"
        text = config.read_text()
        for key, usual in USUAL_PORTS.items():
            text = re.sub(rf"^{key} = {base + usual}$", f"{key} = {self.port if key == 'smtp' else 0}", text, flags=re.MULTILINE)
        config.write_text(text + '\n[smtp]\nrelay_from = ["127.0.0.1"]\n')

    def serve(self):
        for _ in range(5):
            if self.try_serve():
                return
            taken, self.port = self.port, free_port()  # by somebody, since it was chosen
            config = self.dir / "relais.toml"
            config.write_text(re.sub(rf"^smtp = {taken}$", f"smtp = {self.port}", config.read_text(), flags=re.MULTILINE))
        raise RuntimeError("relais did not start: " + (self.directory / "log").read_text()[-2000:])

    def try_serve(self):
        self.process = subprocess.Popen([self.binary, "serve", str(self.dir)], stdout=subprocess.PIPE, stderr=open(self.directory / "log", "ab"), text=True)
        self.root = self.process.pid
        if self.process.stdout.readline().startswith("ready"):
            return True
        self.process.wait()
        return False

    def start(self, hold):
        """For `hold` nothing is to be done: nobody listens at the next hop yet."""
        self.configure()
        self.admin("route", "set", "*", f"smtp://127.0.0.1:{self.sink_port}")
        self.serve()

    def admin(self, *args, in_dir=True):
        done = subprocess.run([self.binary, *args, *(["--dir", str(self.dir)] if in_dir else [])], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"relais {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def open_way(self):
        self.admin("queue", "retry", "--all")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {dir}/spool
data_directory = {dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
syslog_name = postfix-bench
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.here.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
local_recipient_maps =
smtpd_relay_restrictions = permit_mynetworks, reject
{hold}
relayhost = [127.0.0.1]:{sink}
disable_dns_lookups = yes
smtp_dns_support_level = disabled
smtp_tls_security_level =
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtputf8_enable = no
message_size_limit = 52428800
mailbox_size_limit = 0
default_process_limit = 200
in_flow_delay = 0
qmgr_message_active_limit = 100000
qmgr_message_recipient_limit = 100000
initial_destination_concurrency = 20
default_destination_concurrency_limit = 20
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix:
    """No syslog is needed: where there is none, Postfix writes no log, which is to its advantage."""
    name = "postfix"

    def __init__(self, directory, sink_port):
        if os.geteuid() != 0:
            sys.exit("relay.py: Postfix is started by root only; --servers relais does without")
        self.dir = directory
        self.sink_port = sink_port
        self.port = free_port()

    def start(self, hold):
        for folder in ("etc", "spool", "data"):
            (self.dir / folder).mkdir()
        shutil.chown(self.dir / "data", "postfix")
        self.dir.chmod(0o755)
        held = "smtpd_client_restrictions = check_client_access static:HOLD" if hold else ""
        (self.dir / "etc/main.cf").write_text(MAIN_CF.format(dir=self.dir, sink=self.sink_port, hold=held))
        (self.dir / "etc/master.cf").write_text(MASTER_CF.format(port=self.port))
        done = subprocess.run([tool("postfix"), "-c", str(self.dir / "etc"), "start"], capture_output=True, text=True)
        wait_until(lambda: answers(self.port), f"postfix ({done.stderr})")
        self.root = int((self.dir / "spool/pid/master.pid").read_text())

    def open_way(self):
        subprocess.run([tool("postsuper"), "-c", str(self.dir / "etc"), "-H", "ALL"], check=True, capture_output=True)
        subprocess.run([tool("postqueue"), "-c", str(self.dir / "etc"), "-f"], check=True, capture_output=True)

    def stop(self):
        subprocess.run([tool("postfix"), "-c", str(self.dir / "etc"), "stop"], capture_output=True)
        wait_until(lambda: not os.path.exists(f"/proc/{self.root}"), "postfix's end")


SERVERS = {server.name: server for server in (Relais, Postfix)}


def measure(server_class, mode, connections, size, count, seconds, scratch):
    """One figure on fresh data. @return how many messages, in what time, for what processor time"""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=server_class.name + "-", dir=scratch))
    sink_port = free_port()
    server = server_class(directory, sink_port)
    server.start(hold=mode != "relay")
    sink = None
    sent = 0

    def turn(messages):
        nonlocal sink, sent
        if mode == "relay":
            sink = Sink(sink_port, messages)
        began = time.monotonic()
        send(server.port, connections, messages, size)
        sent += messages
        if mode == "relay":
            sink.wait(600)
        return time.monotonic() - began

    try:
        if not count:
            # A first look warms processes and connections up, and tells how many messages fill the time.
            warm = max(connections * 4, 50)
            turn(warm)
            count = max(warm, int(warm * 4 / turn(warm * 4) * seconds))
        if mode == "drain":
            turn(count)
            time.sleep(SETTLE)
            count = sent
        before = processor_seconds(server.root)
        if mode == "drain":
            sink = Sink(sink_port, count)
            began = time.monotonic()
            server.open_way()
            sink.wait(600)
            took = time.monotonic() - began
        else:
            took = turn(count)
        time.sleep(SETTLE)
        used = processor_seconds(server.root) - before
    finally:
        if sink:
            sink.close()
        server.stop()
        if not os.environ.get("KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
    return {"messages": count, "seconds": took, "processor": used}


def table(figures):
    """Medians of the runs, and Relais against Postfix."""
    cases = {}
    for one in figures:
        case = cases.setdefault((one["mode"], one["connections"], one["size"]), {})
        rates, costs = case.setdefault(one["server"], ([], []))
        rates.append(one["messages"] / one["seconds"])
        costs.append(one["processor"] / one["messages"] * 1e6)
    print(f"{'mode':7} {'conns':>5} {'octets':>7}  " + "".join(f"{name + ' /s':>12} {'us CPU each':>12}  " for name in SERVERS) + f"{'speed':>7} {'CPU':>7}")
    for (mode, connections, size), case in cases.items():
        line = f"{mode:7} {connections:5} {size:7}  "
        medians = {name: (statistics.median(case[name][0]), statistics.median(case[name][1])) for name in SERVERS if name in case}
        for name in SERVERS:
            line += f"{medians[name][0]:12.0f} {medians[name][1]:12.0f}  " if name in medians else f"{'-':>12} {'-':>12}  "
        if len(medians) == len(SERVERS):
            ours, theirs = medians["relais"], medians["postfix"]
            line += f"{ours[0] / theirs[0]:6.1f}x  1/{theirs[1] / max(ours[1], 1):.1f}"
        print(line.rstrip())


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--servers", default="relais,postfix", help="of relais, postfix")
    arguments.add_argument("--modes", default="intake,relay,drain")
    arguments.add_argument("--connections", type=numbers, default=[1, 8, 32], help="of smtp-source, at one time")
    arguments.add_argument("--sizes", type=numbers, default=[4096], help="octets of a message")
    arguments.add_argument("--seconds", type=float, default=4.0, help="a figure shall take about that long")
    arguments.add_argument("--count", type=int, default=0, help="messages of a figure, in place of a time")
    arguments.add_argument("--repeat", type=int, default=1)
    arguments.add_argument("--dir", default=tempfile.gettempdir(), help="on the file system to measure")
    arguments.add_argument("--results", help="file that the figures are added to")
    chosen = arguments.parse_args()
    os.makedirs(chosen.dir, exist_ok=True)
    figures = []
    for mode in chosen.modes.split(","):
        for size in chosen.sizes:
            for connections in chosen.connections:
                for run in range(1, chosen.repeat + 1):
                    for name in chosen.servers.split(","):
                        figure = {"suite": "relay", "server": name, "mode": mode, "connections": connections, "size": size, "run": run}
                        figure |= measure(SERVERS[name], mode, connections, size, chosen.count, chosen.seconds, chosen.dir)
                        figures.append(figure)
                        line = json.dumps(figure)
                        print(line, file=sys.stderr, flush=True)
                        if chosen.results:
                            with open(chosen.results, "a") as results:
                                results.write(line + "\n")
    table(figures)


if __name__ == "__main__":
    main()
