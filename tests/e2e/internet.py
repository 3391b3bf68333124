"""A small internet for tests: a network of its own with documentation addresses, signed DNS, and mail servers of other makes on their usual ports.

Everything happens in a network and mount namespace that the test's thread enters (root is needed). The other servers are Debian packages that
`./dev deps` unpacks, because their packages exclude each other: their files are laid over /usr for this thread and what it starts alone.
"""
import contextlib
import ctypes
import os
import pathlib
import signal
import subprocess

import pytest

import relais
from certificates import Authority
from dns_server import DnsServer

ROOT = pathlib.Path(os.environ.get("RELAIS_MTAS") or pathlib.Path(__file__).resolve().parents[2] / "build" / "mtas")
CLONE_FS, CLONE_NEWNS, CLONE_NEWNET = 0x200, 0x20000, 0x40000000
MAIL_USER = 61000  # owns the other servers' mailboxes
USERS = {"postfix": 61001, "postdrop": 61002, "Debian-exim": 61003, "opensmtpd": 61004, "opensmtpq": 61005, "dovecot": 61006, "dovenull": 61007,
         "peermail": MAIL_USER}
IPV4, IPV6 = "192.0.2.", "2001:db8::"
HOSTS = {"relais": 10, "postfix": 20, "exim": 30, "opensmtpd": 40, "dovecot": 50, "dns": 53}
MORE_ADDRESSES = range(60, 90)  # for servers of single tests


def libc(function, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)} (these tests need root)")


def command(*arguments, **kwargs):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, **kwargs)
    assert done.returncode == 0, f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def die_with_us():
    """For a server's own process, before it becomes the server: nothing is left running, however the tests end."""
    libc("prctl", 1, signal.SIGTERM)  # PR_SET_PDEATHSIG


@contextlib.contextmanager
def own_namespace():
    """This thread, and what it starts, sees a network and mounts of its own."""
    before = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("net", "mnt")]
    folder = os.getcwd()
    libc("unshare", CLONE_NEWNS | CLONE_NEWNET)
    try:
        command("mount", "--make-rprivate", "/")
        yield
    finally:
        libc("unshare", CLONE_FS)  # a mount namespace is entered only by who shares no working directory with others
        for namespace in before:
            libc("setns", namespace, 0)
            os.close(namespace)
        os.chdir(folder)


class Internet:
    """`directory`: where all files of all servers are in truth. They see them at `dir`, since they run as users who cannot get into pytest's folders."""

    def __init__(self, directory):
        self.files = pathlib.Path(directory)
        self.dir = pathlib.Path("/mnt")
        self.authority = None
        self.dns = None

    def __enter__(self):
        assert (ROOT / "usr/sbin/postfix").exists(), f"{ROOT} has no mail servers: ./dev deps unpacks them"
        with contextlib.ExitStack() as stack:
            stack.enter_context(own_namespace())
            self.files.chmod(0o755)
            command("mount", "--bind", self.files, self.dir)
            self.authority = Authority(self.dir / "certificates")
            self.lay_files()
            self.add_addresses()
            self.dns = stack.enter_context(DnsServer(self.dir / "dns", self.address("dns")))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *failure):
        self.stack.__exit__(*failure)

    def lay_files(self):
        command("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={ROOT}/usr:/usr", "/usr")
        etc = self.dir / "etc"
        etc.mkdir(parents=True)
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin"), ("group", "{0}:x:{1}:")):
            known = [entry for entry in pathlib.Path("/etc", name).read_text().splitlines() if entry.split(":")[0] not in USERS]
            (etc / name).write_text("\n".join(known + [line.format(user, number) for user, number in USERS.items()]) + "\n")
        (etc / "resolv.conf").write_text(f"nameserver {self.address('dns')}\noptions edns0 trust-ad\n")
        (etc / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
        (etc / "exim4").mkdir()  # where Exim keeps its rights: it has none with a configuration in another place
        command("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={etc}:/etc", "/etc")
        lib = self.dir / "lib"
        (lib / "opensmtpd" / "empty").mkdir(parents=True)
        command("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lib}:/var/lib", "/var/lib")
        for folder in ("/var/spool", "/run"):
            mine = self.dir / folder.strip("/").replace("/", "-")
            mine.mkdir()
            command("mount", "--bind", mine, folder)

    def add_addresses(self):
        command("ip", "link", "set", "lo", "up")
        batch = []
        for number in [*HOSTS.values(), *MORE_ADDRESSES]:
            batch += [f"addr add {IPV4}{number}/32 dev lo", f"addr add {IPV6}{number:x}/128 dev lo nodad"]
        command("ip", "-batch", "-", input="\n".join(batch) + "\n")

    @staticmethod
    def address(host):
        return IPV4 + str(HOSTS.get(host, host))

    @staticmethod
    def address6(host):
        return f"{IPV6}{HOSTS.get(host, host):x}"

    def platform(self, directory, domain="example.test", config="", **kwargs):
        """A platform on the usual ports of its address, which asks our DNS. Not started."""
        platform = relais.Platform(directory, domain=domain, host=self.address("relais"), **kwargs).init()
        host = f"mail.{domain}"
        self.dns.add(f"{domain}. MX 10 {host}.", f"{host}. A {self.address('relais')}")
        with open(platform.dir / "relais.toml", "a") as file:
            file.write(f'\n[dns]\nforwarders = ["{self.address("dns")}"]\ntrust_anchor = "{self.dns.trust_anchor}"\nopen_zones = ["test."]\n'
                       f'\n[outbound]\nca_file = "{self.authority.certificate}"\n{config}')
        return platform


QUICK = f"""[queue]
source_address = "{IPV4}{HOSTS['relais']}"
first_retry = "1s"
longest_retry = "2s"

[smtp]
max_received = 60
"""  # waits of a test's length; and a loop is seen before the others see one


@pytest.fixture(scope="module")
def internet(tmp_path_factory):
    with Internet(tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture(scope="module")
def here(internet, tmp_path_factory):
    """Our platform: example.test with ada and bob, on good terms with the rest of the internet."""
    platform = internet.platform(tmp_path_factory.mktemp("platform") / "p", config=QUICK)
    internet.dns.publish()
    platform.start()
    try:
        for user in ("ada", "bob"):
            platform.add_account(user)
        yield platform
    finally:
        if platform.process and platform.process.poll() is None:
            platform.stop()
