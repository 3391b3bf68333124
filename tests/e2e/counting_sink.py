"""A mail server that counts: which message came how often, and whether the client can know that it was taken."""
import random
import socket
import threading
import time

FATE = ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "content", "taken")  # the steps of an attempt, in order


class Copy:
    """One message that came whole, for one recipient."""

    def __init__(self, key, recipient, sender):
        self.key, self.recipient, self.sender = key, recipient, sender
        self.replied = False  # 250 was sent
        self.settled = False  # … and heard: the client went on, which it does only once it has recorded what became of the message


class CountingSink:
    """Takes mail and keeps count by the field X-Key.

    `trouble` is the share of steps at which it misbehaves: slow, 4xx, or the connection closed, also after the final dot when it has the message
    already. A recipient whose local part begins with "no" is refused for good. `at_step(step)` is called at every step, before its reply, with
    the connection's thread: what it waits for, the client waits for; True from it closes the connection.
    """

    def __init__(self, trouble=0.0, at_step=None):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self.port = self.listener.getsockname()[1]
        self.trouble = trouble
        self.at_step = at_step or (lambda step: False)
        self.lock = threading.Lock()
        self.copies = []
        self.connections = 0
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.open = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def taken(self, key=None):
        """The copies so far, in the order in which they came."""
        with self.lock:
            return [copy for copy in self.copies if key in (None, copy.key)]

    def _accept(self):
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            _Session(self, connection).run()
        except OSError:
            pass
        connection.close()


class _Session:
    def __init__(self, sink, connection):
        self.sink, self.connection = sink, connection
        self.reader = connection.makefile("rb")
        self.unsettled = []

    def reply(self, text):
        self.connection.sendall(text.encode() + b"\r\n")

    def step(self, name, good):
        """Answers one step. True: the connection is to be closed. The reply may be another than the good one: self.good tells."""
        self.good = True
        if self.sink.at_step(name):
            return True
        if random.random() < self.sink.trouble:
            choice = random.choice(("slow", "later", "close"))
            if choice == "close":
                return True
            if choice == "later":
                self.good = False
                self.reply("421 4.3.2 too busy" if name in ("greeting", "EHLO") else "451 4.3.0 not now")
                return name in ("greeting", "EHLO")
            time.sleep(random.uniform(0, 0.1))
        self.reply(good)
        return False

    def run(self):
        if self.step("greeting", "220 sink.test ESMTP"):
            return
        sender, recipients = None, []
        for line in self.reader:
            with self.sink.lock:  # it goes on: whatever was taken on this connection is recorded
                for copy in self.unsettled:
                    copy.settled = copy.replied
                self.unsettled = []
            command = line.decode(errors="replace").strip()
            verb = command[:4].upper()
            if verb == "EHLO":
                if self.step("EHLO", "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000"):
                    return
            elif verb == "MAIL":
                if self.step("MAIL", "250 2.1.0 ok"):
                    return
                sender, recipients = (address_of(command), []) if self.good else (None, [])
            elif verb == "RCPT":
                if sender is None:
                    self.reply("503 5.5.1 MAIL first")
                elif address_of(command).startswith("no"):
                    self.reply("550 5.1.1 nobody of that name")
                elif self.step("RCPT", "250 2.1.5 ok"):
                    return
                elif self.good:
                    recipients.append(address_of(command))
            elif verb == "DATA":
                if not recipients:
                    self.reply("503 5.5.1 no valid recipients")
                    continue
                if self.step("DATA", "354 go on"):
                    return
                if self.good and self.content(sender, recipients):
                    return
                sender = None
            elif verb == "QUIT":
                self.reply("221 2.0.0 bye")
                return
            else:
                sender = None
                self.reply("250 2.0.0 ok")

    def content(self, sender, recipients):
        """The message and the reply to its final dot. True: close."""
        key = None
        for part in self.reader:
            if part == b".\r\n":
                break
            if part.startswith(b"X-Key: ") and key is None:
                key = part[7:].decode().strip()
        else:
            return True
        trouble = random.random() < self.sink.trouble
        if trouble and random.random() < 0.3:
            self.reply("451 4.3.0 not now")
            return False
        with self.sink.lock:
            self.unsettled = [Copy(key, recipient, sender) for recipient in recipients]
            self.sink.copies += self.unsettled
        if self.sink.at_step("content"):
            return True
        if trouble:
            if random.random() < 0.5:
                return True  # it has the message, and never says so
            time.sleep(random.uniform(0, 0.1))
        with self.sink.lock:  # from here on the client may know
            for copy in self.unsettled:
                copy.replied = True
        self.reply("250 2.0.0 kept")
        return self.sink.at_step("taken")


def address_of(command):
    return command[command.index("<") + 1:command.index(">")]
