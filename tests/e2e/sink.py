"""Another mail server, on a free port, that does as it is told."""
import socket
import threading


class Sink:
    """Takes mail and keeps it. `refuse` maps a recipient to the reply that it gets; `offers` are the extensions that it has."""

    def __init__(self, address="127.0.0.1", port=0, offers=("PIPELINING", "8BITMIME", "SIZE 50000000")):
        self.listener = socket.create_server((address, port))
        self.offers = tuple(offers)
        self.port = self.listener.getsockname()[1]
        self.messages = []  # (sender, [recipients], text)
        self.octets = []  # of the same messages
        self.mails = []  # their MAIL commands
        self.refuse = {}
        self.lock = threading.Lock()
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.open = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def taken(self):
        with self.lock:
            return list(self.messages)

    def _accept(self):
        while self.open:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        reader = connection.makefile("rb")

        def reply(text):
            connection.sendall(text.encode() + b"\r\n")

        mail, sender, recipients = "", None, []
        reply("220 sink.test ESMTP")
        try:
            for line in reader:
                command = line.decode(errors="replace").strip()
                verb = command.upper()
                if verb.startswith("EHLO"):
                    lines = ["sink.test", *self.offers]
                    reply("\r\n".join("250" + ("-" if i + 1 < len(lines) else " ") + line for i, line in enumerate(lines)))
                elif verb.startswith("MAIL"):
                    mail, sender, recipients = command, command[command.index("<") + 1:command.index(">")], []
                    reply("250 2.1.0 ok")
                elif verb.startswith("RCPT"):
                    recipient = command[command.index("<") + 1:command.index(">")]
                    answer = self.refuse.get(recipient, "250 2.1.5 ok")
                    if answer.startswith("250"):
                        recipients.append(recipient)
                    reply(answer)
                elif verb == "DATA":
                    if not recipients:
                        reply("554 5.5.1 no valid recipients")
                        continue
                    reply("354 go on")
                    text = b""
                    for part in reader:
                        if part == b".\r\n":
                            break
                        text += part[1:] if part.startswith(b".") else part
                    with self.lock:
                        self.mails.append(mail)
                        self.octets.append(text)
                        self.messages.append((sender, recipients, text.decode(errors="replace")))
                    reply("250 2.0.0 kept")
                elif verb == "RSET":
                    recipients = []
                    reply("250 2.0.0 reset")
                elif verb == "QUIT":
                    reply("221 2.0.0 bye")
                    break
                else:
                    reply("250 2.0.0 ok")
        except OSError:
            pass
        connection.close()
