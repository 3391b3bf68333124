"""A full disk and mail that leaves: new mail hears 452 4.3.1, what is queued survives and goes out once there is room, and what was sent but
cannot be recorded is not sent again."""
import os
import smtplib
import threading
import time

import pytest

import relais
from counting_sink import CountingSink
from test_queue_crash import drain, make_platform

BODY = os.urandom(8 * 1024).hex()


@pytest.fixture
def place(small_disk):
    """The small file system with room for the queue, and a platform that is stopped whatever happens."""
    class Place:
        disk = small_disk
        platform = None

        def start(self, sink):
            self.platform = make_platform(small_disk / "p", [sink], ["ada"], storage='min_free = "8MB"\nsegment_size = "2MB"\n')
            self.platform.start()
            return self.platform
    place = Place()
    yield place
    if place.platform and place.platform.process:
        place.platform.kill()


def submit(platform, first, count):
    with platform.submission("ada@example.test", "secret") as client:
        for number in range(first, first + count):
            client.sendmail("ada@example.test", ["u@d0.test"], f"From: ada@example.test\r\nX-Key: k{number}\r\n\r\n{BODY}\r\n")


def until_refused(platform, first):
    """Submits until the platform knows that the disk is full, and says so before it has the message. Returns how many it took before."""
    taken = 0
    while True:
        try:
            submit(platform, first + taken, 1)
            taken += 1
        except smtplib.SMTPRecipientsRefused as refused:
            (code, text), = refused.recipients.values()
            assert code == 452 and text.startswith(b"4.3.1 "), (code, text)
            return taken
        except smtplib.SMTPDataError as refused:
            assert refused.smtp_code == 452 and refused.smtp_error.startswith(b"4.3.1 "), refused


def counts(sink):
    return sorted(copy.key for copy in sink.taken())


class Effort:
    """How much of one processor the platform has used since."""

    def __init__(self, platform):
        self.stat = f"/proc/{platform.process.pid}/stat"
        self.began, self.used = time.monotonic(), self._used()

    def _used(self):
        with open(self.stat) as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def share(self):
        return (self._used() - self.used) / (time.monotonic() - self.began)


def test_what_is_queued_waits_for_room(place):
    opened = threading.Event()
    sink = CountingSink(at_step=lambda step: not opened.is_set())
    platform = place.start(sink)
    submit(platform, 0, 40)
    eater = relais.fill_disk(place.disk)
    accepted = 40 + until_refused(platform, 40)

    platform.kill()  # and it comes back on the full disk, with all that it had taken
    platform.start()
    assert platform.json("queue", "list")["messages"] == accepted
    connections = sink.connections
    opened.set()
    assert platform.run("queue", "retry", "--all", check=False).returncode != 0  # that could not be recorded
    effort = Effort(platform)
    time.sleep(3)  # to measure: it waits, it does not try and try
    assert effort.share() < 0.5 and sink.connections <= connections + 1 and not sink.taken()

    eater.unlink()
    drain(platform)
    assert counts(sink) == sorted(f"k{number}" for number in range(accepted))
    platform.stop()
    assert platform.json("storage", "check")["problems"] == []
    sink.close()


def test_an_outcome_that_cannot_be_recorded_is_not_repeated(place):
    released = threading.Event()
    sink = CountingSink(at_step=lambda step: step == "content" and not released.wait())
    platform = place.start(sink)
    submit(platform, 0, 10)
    relais.wait_until(sink.taken, "messages whose reply is awaited")
    eater = relais.fill_disk(place.disk)
    accepted = 10 + until_refused(platform, 10)
    released.set()

    def unrecorded():
        return platform.metric("relais_queue_unrecorded_total")
    before = relais.wait_until(unrecorded, "an outcome that cannot be recorded")
    effort = Effort(platform)
    sent = counts(sink)
    relais.wait_until(lambda: unrecorded() >= before + 3 * len(sent), "some more tries")
    assert effort.share() < 0.5
    assert counts(sink) == sent and len(sent) == len(set(sent))
    assert platform.json("queue", "list")["messages"] == accepted

    eater.unlink()
    drain(platform)
    assert counts(sink) == sorted(f"k{number}" for number in range(accepted))
    platform.stop()
    sink.close()
