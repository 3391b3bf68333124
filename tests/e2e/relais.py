"""A Relais platform in a scratch directory, for tests: init, serve, stop, kill, and the clients' view of it."""
import contextlib
import imaplib
import json
import os
import pathlib
import poplib
import random
import re
import signal
import smtplib
import socket
import ssl
import subprocess
import time

BINARY = os.environ["RELAIS_BINARY"]
USUAL_PORTS = {"smtp": 25, "submission": 587, "submissions": 465, "lmtp": 24, "pop3": 110, "pop3s": 995, "imap": 143, "imaps": 993, "http": 80}
PASSWORD = "correct horse"


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_base_port():
    while True:
        base = random.randrange(10_000, 31_000)  # below the range that the kernel hands out for outgoing connections
        if all(is_free(base + port) for port in USUAL_PORTS.values()):
            return base


class Platform:
    """`host`: the address of all listeners; on others than the usual one the ports are the usual ones."""

    def __init__(self, directory, domain="example.test", init_args=(), host="127.0.0.1"):
        self.dir = pathlib.Path(directory)
        self.host = host
        self.domain = domain
        self.init_args = list(init_args)
        self.process = None
        self.base_port = None
        self.limits = None

    # ---- life
    def init(self):
        self.base_port = free_base_port() if self.host == "127.0.0.1" else 0
        ports = ["--base-port", str(self.base_port)] if self.base_port else []
        self.run("init", str(self.dir), "--domain", self.domain, *ports, "--listen", self.host, *self.init_args, with_dir=False)
        return self

    def port(self, service):
        return 8080 if service == "http" and not self.base_port else self.base_port + USUAL_PORTS[service]

    def start(self, preexec=None):
        for attempt in range(5):
            begin = len(self.log()) if (self.dir / "serve.log").exists() else 0
            log = open(self.dir / "serve.log", "ab")
            self.process = subprocess.Popen([BINARY, "serve", str(self.dir)], stdout=subprocess.PIPE, stderr=log, text=True, preexec_fn=preexec)
            line = self.process.stdout.readline()
            if line.startswith("ready"):
                return self
            self.process.wait()
            if not self.base_port or "Address already in use" not in self.log()[begin:]:
                break
            self.change_ports()  # another test took one since they were chosen
        raise RuntimeError(f"serve did not become ready: {line!r}; log:\n{self.log()[-4000:]}")

    def change_ports(self):
        base = free_base_port()
        config = self.dir / "relais.toml"
        text = config.read_text()
        for usual in USUAL_PORTS.values():
            text = re.sub(rf"= {self.base_port + usual}$", f"= {base + usual}", text, flags=re.MULTILINE)
        config.write_text(text)
        self.base_port = base

    def stop(self):
        """A graceful stop; the exit code must be 0."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        if self.process:
            code = self.process.wait()
            self.process = None
            assert code == 0, f"serve ended with {code}; log:\n{self.log()[-4000:]}"

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        return (self.dir / "serve.log").read_text(errors="replace")

    # ---- administration
    def run(self, *args, input=None, with_dir=True, check=True):
        """One command of the command line; returns the finished process."""
        args = list(args)
        if with_dir:
            args += ["--dir", str(self.dir)]
        done = subprocess.run([BINARY, *args], input=input, capture_output=True, text=True)
        if check:
            assert done.returncode == 0, f"relais {' '.join(args)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *args, **kwargs):
        return json.loads(self.run(*args, "--json", **kwargs).stdout)

    def add_account(self, local, password=PASSWORD):
        address = f"{local}@{self.domain}"
        self.run("account", "add", address, "--password-stdin", input=password + "\n")
        return address

    # ---- clients
    def tls_context(self):
        context = ssl.create_default_context(cafile=str(self.dir / "tls" / "certificate.pem"))
        context.check_hostname = False
        return context

    def imap(self, address, password=PASSWORD, tls=True):
        client = (imaplib.IMAP4_SSL(self.host, self.port("imaps"), ssl_context=self.tls_context()) if tls
                  else imaplib.IMAP4(self.host, self.port("imap")))
        client.login(address, password)
        return client

    def pop3(self, address, password=PASSWORD):
        client = poplib.POP3_SSL(self.host, self.port("pop3s"), context=self.tls_context())
        client.user(address)
        client.pass_(password)
        return client

    def smtp(self):
        return smtplib.SMTP(self.host, self.port("smtp"), local_hostname="client.example.net")

    def lmtp(self):
        return smtplib.LMTP("127.0.0.1", self.port("lmtp"), local_hostname="client.example.net")

    def submission(self, address, password=PASSWORD):
        client = smtplib.SMTP_SSL(self.host, self.port("submissions"), context=self.tls_context())
        client.login(address, password)
        return client

    def deliver(self, recipient, message, sender="ada@remote.example"):
        with self.smtp() as client:
            client.sendmail(sender, recipient, message)

    def http(self, path):
        """GET on the administrative port: status and body."""
        with socket.create_connection(("127.0.0.1", self.port("http"))) as http:
            http.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := http.recv(65536):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def metric(self, name):
        """The value of a metric without labels; None while there is none."""
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return None

    def connect(self, service, source="127.0.0.1"):
        """A raw connection. `source`: any address of 127.0.0.0/8, to be another client than the rest of the test."""
        return Wire(socket.create_connection((self.host, self.port(service)), timeout=60, source_address=(source, 0)))


class Wire:
    """A raw connection, for what well-behaved clients never send."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = b""

    def send(self, octets):
        self.socket.sendall(octets)

    def line(self):
        """The next line with its CRLF, or what is left before the end of the stream."""
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            self.buffer += more
        line, newline, self.buffer = self.buffer.partition(b"\n")
        return line + newline

    def until(self, prefix):
        """Reads lines until one starts with prefix; returns them all."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if line.startswith(prefix):
                return lines
            assert line, f"closed before {prefix!r}; got {lines}"

    def smtp_reply(self):
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if not line or line[3:4] != b"-":
                return b"".join(lines)

    def closed(self):
        while self.line():
            pass
        return True

    def close(self):
        self.socket.close()


@contextlib.contextmanager
def running(directory, **kwargs):
    platform = Platform(directory, **kwargs).init().start()
    try:
        yield platform
    finally:
        if platform.process and platform.process.poll() is None:
            platform.stop()


def fill_disk(directory):
    """Something else eats what room there is, to the last octet. Returns its file."""
    path = pathlib.Path(directory) / "eater"
    with open(path, "wb") as eater:
        try:
            while True:
                eater.write(b"x" * 4096)
                eater.flush()
        except OSError:
            pass
    return path


class Mbsync:
    """mbsync (isync) with an account on one side and `local`, Maildirs below the folder `home`, on the other."""

    def __init__(self, platform, address, home):
        self.home, self.local, self.config = home, home / "local", home / "mbsyncrc"
        self.local.mkdir()
        self.config.write_text(f"""
IMAPStore remote
Host localhost
Port {platform.port('imaps')}
SSLType IMAPS
CertificateFile {platform.dir}/tls/certificate.pem
User {address}
Pass "{PASSWORD}"

MaildirStore local
Path {self.local}/
Inbox {self.local}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Expunge Both
SyncState *
""")

    def sync(self):
        done = subprocess.run(["mbsync", "-c", self.config, "all"], capture_output=True, text=True, env={**os.environ, "HOME": str(self.home)})
        assert done.returncode == 0, done.stdout + done.stderr


def wait_until(condition, what):
    """Polls: what is waited for happens in another process. ctest's own limit ends a wait that never does."""
    while True:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
