"""kill -9 of the running platform while mail leaves it: every message that was taken in (250) arrives, and a second time only where nobody could
have known that it had arrived.

What is allowed: a copy after one whose reply to the final dot the platform may not have recorded. The server at the other end knows: as long as
nothing more comes on that connection after its 250, the outcome may be unrecorded; the platform goes on only afterwards.
"""
import collections
import os
import random
import re
import smtplib
import threading
import time

import pytest

import relais
from counting_sink import FATE, CountingSink

ROUNDS = max(4, int(os.environ.get("RELAIS_CRASH_ROUNDS", "50")) // 8)
SENDERS = 6
SETTINGS = """
[smtp]
relay_from = ["127.0.0.0/8"]
account_messages_per_minute = 1000000
[sending]
messages_per_hour = 0
messages_per_day = 0
recipients_per_hour = 0
recipients_per_day = 0
[queue]
first_retry = "1s"
longest_retry = "2s"
concurrency = 5
"""


def make_platform(directory, sinks, accounts, storage=""):
    platform = relais.Platform(directory, init_args=["--shards", "2"]).init()
    config = platform.dir / "relais.toml"
    config.write_text(config.read_text().replace("[storage]\n", "[storage]\n" + storage, 1) + SETTINGS)
    platform.run("account", "import", "-", input="address,password_hash\n" + "".join(f"{name}@example.test,{{PLAIN}}secret\n" for name in accounts))
    for number, sink in enumerate(sinks):
        platform.run("route", "set", f"d{number}.test", f"smtp://127.0.0.1:{sink.port}")
    return platform


def check_copies(sinks, expected):
    """@param expected  (key, remote recipient) of every message that was acknowledged. @return how many arrived more than once"""
    came = collections.defaultdict(list)
    for sink in sinks:
        for copy in sink.taken():
            came[copy.key, copy.recipient].append(copy)
    missing = [delivery for delivery in expected if delivery not in came]
    assert not missing, f"lost: {missing[:5]} and {len(missing)} in all"
    for delivery, copies in came.items():
        for copy in copies[:-1]:
            assert not copy.settled, f"{delivery} was sent again after its outcome was recorded"
    return sum(len(copies) > 1 for copies in came.values())


def inbox_keys(platform, account, pattern):
    """How often each key is in an inbox."""
    with platform.imap(f"{account}@example.test", "secret") as client:
        client.select("INBOX")
        _, data = client.fetch("1:*", "(BODY.PEEK[])")
        texts = [part[1].decode(errors="replace") for part in data if isinstance(part, tuple)]
    return collections.Counter(match.group(1) for text in texts if (match := re.search(pattern, text)))


def drain(platform):
    """Until nothing is left; what rests after trouble is tried at once."""
    def empty():
        if platform.json("queue", "list")["messages"] == 0:
            return True
        platform.run("queue", "retry", "--all")
        return False
    relais.wait_until(empty, "an empty queue")


class Sender:
    """Hands mail over, by submission or as a machine that may relay, until the server is gone."""

    def __init__(self, index, sinks):
        self.index, self.sinks = index, sinks
        self.name = f"s{index}"
        self.acknowledged = {}  # key: recipients
        self.begun = set()
        self.serial = 0

    def connect(self, platform):
        return platform.submission(f"{self.name}@example.test", "secret") if self.index % 2 else platform.smtp()

    def recipients(self):
        domains = [f"d{random.randrange(self.sinks)}.test" for _ in range(random.choice((1, 1, 2, 3)))]
        recipients = [f"u{number}@{domain}" for number, domain in enumerate(domains)]
        if random.random() < 0.3:
            recipients.append(f"no{self.serial}@{random.choice(domains)}")
        if random.random() < 0.5:
            recipients.append("local@example.test")
        return recipients

    def work(self, platform, stop):
        try:
            client = self.connect(platform)
            while not stop.is_set():
                self.serial += 1
                key = f"k{self.index}.{self.serial}."
                recipients = self.recipients()
                filler = ("x" * 70 + "\r\n") * random.randrange(0, 60)
                self.begun.add(key)
                refused = client.sendmail(f"{self.name}@example.test", recipients,
                                          f"From: {self.name}@example.test\r\nSubject: {key}\r\nX-Key: {key}\r\n\r\n{filler}")
                assert not refused, refused
                self.acknowledged[key] = recipients
        except (OSError, smtplib.SMTPServerDisconnected):
            pass  # killed


def test_no_kill_loses_or_repeats_mail(tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)
    sinks = [CountingSink(), CountingSink(trouble=0.1), CountingSink(trouble=0.02)]
    senders = [Sender(index, len(sinks)) for index in range(SENDERS)]
    platform = make_platform(tmp_path / "p", sinks, ["local"] + [sender.name for sender in senders])
    try:
        for _ in range(ROUNDS):
            platform.start()
            stop = threading.Event()
            failures = []

            def work(sender):
                try:
                    sender.work(platform, stop)
                except BaseException as failure:  # noqa: BLE001 - handed to the test's own thread
                    failures.append(failure)
            threads = [threading.Thread(target=work, args=(sender,)) for sender in senders]
            for thread in threads:
                thread.start()
            time.sleep(random.uniform(0.1, 1.0))  # the instant of the kill is what this test is about
            platform.kill()
            stop.set()
            for thread in threads:
                thread.join()
            assert not failures, failures[0]
        platform.start()
        drain(platform)
        acknowledged = {key: to for sender in senders for key, to in sender.acknowledged.items()}
        assert len(acknowledged) > ROUNDS * 5
        remote = [(key, to) for key, recipients in acknowledged.items() for to in recipients if to.startswith("u")]
        twice = check_copies(sinks, remote)

        # The local recipient of a message that also leaves gets it once, whatever was killed.
        local = inbox_keys(platform, "local", r"X-Key: (\S+)")
        assert all(count == 1 for count in local.values()), [key for key, count in local.items() if count > 1]
        assert not [key for key, to in acknowledged.items() if "local@example.test" in to and key not in local]
        # Whom nobody takes is told of once.
        for sender in senders:
            told = inbox_keys(platform, sender.name, r"(?s)Final-Recipient: rfc822; no\S+.*?\r\nX-Key: (\S+)")
            assert all(count == 1 for count in told.values()), told
            failed = {key for key, to in sender.acknowledged.items() if any(one.startswith("no") for one in to)}
            assert failed <= told.keys(), failed - told.keys()
        platform.stop()
        assert platform.json("storage", "check")["problems"] == []
        print(f"{ROUNDS} kills, {len(acknowledged)} messages acknowledged, {len(remote)} to remote recipients, {twice} arrived more than once")
    finally:
        if platform.process:
            platform.kill()
        for sink in sinks:
            sink.close()


@pytest.mark.parametrize("step", FATE)
def test_a_kill_at_each_step_of_an_attempt(tmp_path, step):
    reached, killed = threading.Event(), threading.Event()

    def at_step(name):
        if name != step or killed.is_set():
            return False
        reached.set()
        killed.wait()
        return True
    sink = CountingSink(at_step=at_step)
    platform = make_platform(tmp_path / "p", [sink], ["local"])
    platform.start()
    try:
        with platform.submission("local@example.test", "secret") as client:
            client.sendmail("local@example.test", ["u1@d0.test", "u2@d0.test", "local@example.test"], "From: local@example.test\r\nX-Key: k\r\n\r\nx\r\n")
        reached.wait()
        platform.kill()
        killed.set()
        platform.start()
        drain(platform)
        check_copies([sink], [("k", "u1@d0.test"), ("k", "u2@d0.test")])
        # Before the final dot nothing was there to be repeated; with the reply not yet sent it is; in between both may be.
        copies = len(sink.taken())
        assert copies == 4 if step == "content" else copies in (2, 4) if step == "taken" else copies == 2
        assert inbox_keys(platform, "local", r"X-Key: (\S+)") == {"k": 1}
        platform.stop()
    finally:
        killed.set()
        if platform.process:
            platform.kill()
        sink.close()
