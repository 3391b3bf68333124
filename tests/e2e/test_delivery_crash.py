"""kill -9 while mail for several accounts is on its way: each message reaches all of them or none, once, and all of them where it was acknowledged."""
import os
import random
import re
import threading
import time
import urllib.request

import relais
from test_crash import Gone, Imap, Smtp, in_parallel

SENDERS = 16
ACCOUNTS = [f"r{index}@example.test" for index in range(5)]
ROUNDS = int(os.environ.get("RELAIS_CRASH_ROUNDS", "15"))


class Sender:
    def __init__(self, index):
        self.index = index
        self.serial = 0
        self.acknowledged = set()

    def work(self, platform, stop):
        lmtp = self.index % 2 == 1
        try:
            smtp = Smtp(platform.port("lmtp" if lmtp else "smtp"), lmtp)
            while not stop.is_set():
                self.serial += 1
                key = f"{self.index}.{self.serial}"
                smtp.command(b"MAIL FROM:<a@remote.example>", b"250")
                if lmtp:  # an alias for all of them: one recipient, one reply
                    smtp.command(b"RCPT TO:<all@example.test>", b"250")
                else:
                    for address in random.sample(ACCOUNTS, len(ACCOUNTS)):
                        smtp.command(b"RCPT TO:<%s>" % address.encode(), b"250")
                smtp.command(b"DATA", b"354")
                smtp.send(b"X-Key: %s\r\n\r\n%s.\r\n" % (key.encode(), (b"x" * 70 + b"\r\n") * random.randrange(150)))
                smtp.expect(b"250")
                self.acknowledged.add(key)
        except Gone:
            pass


def keys_of(platform, address):
    imap = Imap(platform.port("imap"), address)
    imap.command("SELECT INBOX")
    lines, _ = imap.command("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (X-KEY)]")
    imap.close()
    keys = [match.decode() for match in re.findall(rb"X-Key: (\S+)\r\n", b"".join(lines))]
    assert len(keys) == len(set(keys)), f"{address}: a message is there twice"
    return set(keys)


def settled(platform):
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.port('http')}/metrics") as page:
        text = page.read()
    return all(re.search(rb"^relais_smtp_%s 0$" % name, text, re.MULTILINE) for name in (b"unlisted_shards", b"open_intents"))


def test_all_of_them_or_none(tmp_path):
    seed = random.randrange(2**32)
    print("seed", seed)
    random.seed(seed)
    platform = relais.Platform(tmp_path / "p", init_args=["--shards", "3"]).init()
    platform.run("account", "import", "-", input="address,password_hash\n" + "".join(f"{address},{{PLAIN}}secret\n" for address in ACCOUNTS))
    platform.run("alias", "add", "all@example.test", *ACCOUNTS)
    senders = [Sender(index) for index in range(SENDERS)]
    for round_number in range(ROUNDS + 1):
        platform.start()
        relais.wait_until(lambda: settled(platform), "what the killed process left to be delivered")
        boxes = [keys_of(platform, address) for address in ACCOUNTS]
        for address, keys in zip(ACCOUNTS, boxes):
            assert keys == boxes[0], f"round {round_number}: {address} differs: {keys ^ boxes[0]}"
        lost = set().union(*(sender.acknowledged for sender in senders)) - boxes[0]
        assert not lost, f"round {round_number}: acknowledged and gone: {lost}"
        if round_number == ROUNDS:
            break
        stop = threading.Event()
        threads, failures = in_parallel(lambda sender: sender.work(platform, stop), senders)
        time.sleep(random.uniform(0.05, 0.5))  # the instant of the kill is what this test is about
        platform.kill()
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures, failures[0]
    platform.stop()
    print(f"{ROUNDS} kills, {len(boxes[0])} messages to {len(ACCOUNTS)} accounts each")
    assert len(boxes[0]) > ROUNDS * 5
