#!/usr/bin/env python3
"""Opens many IMAP sessions over TLS, puts them into IDLE, and says what each costs the server. One JSON object on standard output."""
import argparse
import json
import os
import resource
import selectors
import socket
import ssl
import time


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))


class Session:
    """LOGIN, SELECT, IDLE, each sent when the answer to the one before is there."""

    def __init__(self, context, port, user, password):
        raw = socket.create_connection(("127.0.0.1", port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.setblocking(False)
        self.tls = context.wrap_socket(raw, do_handshake_on_connect=False)
        self.steps = [(b"* OK", f'a LOGIN "{user}" "{password}"\r\n'.encode()), (b"a OK", b"b SELECT INBOX\r\n"), (b"b OK", b"c IDLE\r\n"), (b"+", None)]
        self.shaken = False
        self.octets = b""

    def advance(self):
        """@return False once the session idles."""
        try:
            if not self.shaken:
                self.tls.do_handshake()
                self.shaken = True
            while True:
                got = self.tls.recv(65536)
                if not got:
                    raise SystemExit("closed by the server")
                self.octets += got
                wanted, then = self.steps[0]
                if not any(line.startswith(wanted) for line in self.octets.split(b"\r\n")[:-1]):
                    continue
                self.octets = b""
                self.steps.pop(0)
                if then is None:
                    return False
                self.tls.send(then)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--pid", type=int, required=True)
    options.add_argument("--conns", type=int, default=1000)
    options.add_argument("--users", type=int, default=100)
    options.add_argument("--settle", type=float, default=5)
    options.add_argument("--name", default="idle-tls")
    options.add_argument("--tag", action="append", default=[])
    args = options.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    selector = selectors.EpollSelector()
    idle, active, opened = [], 0, 0

    def user(n):
        return f"user{1 + n % args.users:04d}@example.test"

    def until_idle(target):
        nonlocal active, opened
        while len(idle) < target:
            while active < 64 and opened < target:
                session = Session(context, args.port, user(opened), "secret")
                selector.register(session.tls, selectors.EVENT_READ, session)
                opened += 1
                if session.advance():
                    active += 1
                else:  # the server was so quick that nothing had to be waited for
                    selector.unregister(session.tls)
                    idle.append(session)
            for key, _ in selector.select(10):
                if not key.data.advance():
                    selector.unregister(key.data.tls)
                    idle.append(key.data)
                    active -= 1

    until_idle(64)  # what the first sessions cause once is not theirs
    time.sleep(args.settle)
    before, base = pss_kb(args.pid), len(idle)
    began = time.perf_counter()
    until_idle(args.conns + base)
    open_s = time.perf_counter() - began
    time.sleep(args.settle)
    after = pss_kb(args.pid)
    print(json.dumps(dict(figure=args.name, **dict(t.split("=", 1) for t in args.tag), opened=args.conns, open_per_s=args.conns / open_s,
                          srv_pss_mb_before=before / 1024, srv_pss_mb_after=after / 1024, pss_kb_per_conn=(after - before) / args.conns)))
    os._exit(0)  # ten thousand orderly goodbyes are not what is measured


if __name__ == "__main__":
    main()
