"""The other end of a milter: gives it a message as a mail server does, and takes the header fields that it adds."""
import socket
import struct

ALL_ACTIONS = 0x1FF
LEADING_SPACE = 0x100000  # values of header fields come with the space behind the colon


class Milter:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._send(b"O" + struct.pack("!III", 6, ALL_ACTIONS, LEADING_SPACE))
        answer = self._read()
        assert answer[:1] == b"O", answer
        self.protocol = struct.unpack("!III", answer[1:13])[2]
        self.space = bool(self.protocol & LEADING_SPACE)

    def close(self):
        self.socket.close()

    def _send(self, packet):
        self.socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _exactly(self, count):
        octets = b""
        while len(octets) < count:
            more = self.socket.recv(count - len(octets))
            assert more, "the milter has closed the connection"
            octets += more
        return octets

    def _read(self):
        return self._exactly(struct.unpack("!I", self._exactly(4))[0])

    def _step(self, packet):
        self._send(packet)
        answer = self._read()
        assert answer in (b"c", b"a"), (packet[:80], answer)

    def added(self, message, sender):
        """The fields that it adds in front, with CRLF."""
        self._step(b"C" + b"localhost\0" + b"4" + struct.pack("!H", 25) + b"127.0.0.1\0")
        self._step(b"Hlocalhost\0")
        self._step(b"M<" + sender.encode() + b">\0")
        self._step(b"R<someone@example.net>\0")
        header, _, body = message.partition(b"\r\n\r\n")
        for field in header.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n"):
            name, _, value = field.partition(b":")
            if not self.space:
                value = value.removeprefix(b" ")
            self._step(b"L" + name + b"\0" + value + b"\0")
        self._step(b"N")
        for begin in range(0, len(body), 60_000):
            self._step(b"B" + body[begin : begin + 60_000])
        self._send(b"E")
        fields = []
        while (answer := self._read())[:1] not in (b"a", b"c"):
            assert answer[:1] in (b"i", b"h"), answer
            name, value, _ = answer[5 if answer[:1] == b"i" else 1 :].split(b"\0")
            fields.append(name + (b":" if self.space else b": ") + value.replace(b"\n", b"\r\n") + b"\r\n")
        return b"".join(reversed(fields))
