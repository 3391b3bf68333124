"""Servers that accounts are moved away from, real ones: Dovecot, Cyrus, Courier, for tests of relaying, copying and moving.

    with legacy.dovecot(tmp_path / "old") as server:
        server.add_user("ada@example.test")
        server.deliver("ada@example.test", message)
        client = server.imap("ada@example.test")

Each server has a loopback address of its own (`host`) with free ports, a folder for everything that it writes, and namespaces of its own for mounts and
processes (root is needed): there the packages that `./dev deps` has unpacked lie over /usr, and who ends the first process ends all of them. Any number run at
once. The names of users are addresses, the same on each server.
"""
import base64
import contextlib
import hashlib
import imaplib
import os
import pathlib
import poplib
import random
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import internet as net
import relais
from certificates import Authority
from mta import connects

PASSWORD = relais.PASSWORD
MASTER, MASTER_PASSWORD = "mover", "master and commander"
MAIL_USER = net.MAIL_USER
USERS = {"dovecot": 61006, "dovenull": 61007, "courier": 61008, "cyrus": 61009, "vmail": MAIL_USER}
MAIL_GROUP = 8  # Debian's "mail", which Cyrus runs in
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
PLACE = pathlib.Path("/mnt")  # where a server sees its folder: it runs as users who cannot get into pytest's


def end_with_us():
    """For the process that holds a server's namespaces: it, and with it everything in them, ends however the tests end."""
    net.libc("prctl", 1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def plain(authorize, user, password):
    """The response of SASL PLAIN (RFC 4616 §2), for imaplib and poplib."""
    return f"{authorize}\0{user}\0{password}".encode()


PATIENCE = 20  # seconds for a server to end by itself; then it is made to


class Syslog(threading.Thread):
    """Takes what servers log, since some can log nowhere else."""

    def __init__(self, path, log):
        super().__init__(daemon=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.chdir(path.parent):  # the path may be longer than a socket's name
            self.socket.bind(path.name)
        path.chmod(0o666)
        self.path = path
        self.file = open(log, "ab", buffering=0)

    def run(self):
        while line := self.socket.recv(65536):
            self.file.write(line.partition(b">")[2].rstrip(b"\n\0") + b"\n")

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last, contextlib.chdir(self.path.parent):
            last.sendto(b"", self.path.name)
        self.join()
        self.socket.close()
        self.file.close()


class Server:
    """What the three have in common.

    tls: of IMAP and POP3: "none"; "starttls": logins without it are refused; "implicit": from the first octet on. The certificate, good for `host` and for
    `localhost`, is of `authority`.
    """
    name = ""
    programs = ()  # below /usr
    ports = ("imap", "pop3", "lmtp")
    own_settings = ()  # folders of /etc that it writes to
    prefix = ""  # of the names of all mailboxes but INBOX
    has_qresync = True
    master_user = MASTER
    master_password = MASTER_PASSWORD
    stop_signal = signal.SIGTERM

    def __init__(self, directory, tls="none"):
        for program in self.programs:
            assert (net.ROOT / "usr" / program).exists(), f"{net.ROOT} has no {program}: ./dev deps unpacks it"
        assert tls in ("none", "starttls", "implicit")
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True)
        self.dir.chmod(0o755)
        self.tls = tls
        self.host = "127." + ".".join(str(random.randrange(1, 255)) for _ in range(3))  # nobody else's, whatever ports others use
        self.passwords = {}
        self.process = None
        self.authority = None
        self.certificate = None
        self.syslog = None
        self.choose_ports()
        if tls != "none":
            self.authority = Authority(self.dir / "certificates")
            self.certificate = self.authority.issue("localhost", self.host)
            self.certificate.key.chmod(0o644)

    def choose_ports(self):
        probes = [socket.socket() for _ in self.ports]
        for name, probe in zip(self.ports, probes):
            probe.bind((self.host, 0))
            setattr(self, name + "_port", probe.getsockname()[1])
        for probe in probes:
            probe.close()

    # ---- files
    def write(self, name, text, mode=0o644, owner=0, group=0):
        """Replaces a file of the server's folder in one step."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.chmod(mode)
        os.chown(new, owner, group)
        new.rename(path)
        return PLACE / name

    def folder(self, name, owner, group=None, mode=0o755):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)
        os.chown(path, owner, owner if group is None else group)
        return PLACE / name

    def inside(self, path):
        """How the server calls a file of its folder."""
        return PLACE / pathlib.Path(path).relative_to(self.dir)

    def lay_files(self):
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/usr/sbin/nologin"), ("group", "{0}:x:{1}:")):
            known = [entry for entry in pathlib.Path("/etc", name).read_text().splitlines() if entry.split(":")[0] not in USERS]
            self.write(f"etc/{name}", "\n".join(known + [line.format(user, number) for user, number in USERS.items()]) + "\n")
        for folder in ("dev", "run", "lib"):
            (self.dir / folder).mkdir(exist_ok=True)
        for device in DEVICES:
            (self.dir / "dev" / device).touch()
        for name, target in (("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            with contextlib.suppress(FileExistsError):
                (self.dir / "dev" / name).symlink_to(target)

    # ---- life
    def commands(self):
        """Shell commands that end by becoming the server."""
        raise NotImplementedError

    def start(self):
        self.lay_files()
        (self.dir / "dev" / "log").unlink(missing_ok=True)
        self.syslog = Syslog(self.dir / "dev" / "log", self.dir / "syslog")
        self.syslog.start()
        usr = f"lowerdir={net.ROOT}/usr:/usr"
        script = f"""set -e
mount --bind {self.dir} {PLACE}
for device in {" ".join(DEVICES)}; do mount --bind /dev/$device {PLACE}/dev/$device; done
mount --rbind {PLACE}/dev /dev
mount -t overlay overlay -o lowerdir={PLACE}/etc:/etc /etc
{"".join(f"mount --bind {PLACE}/etc/{name} /etc/{name}" for name in self.own_settings)}
mount --bind {PLACE}/run /run
mount --bind {PLACE}/lib /var/lib
grep -q '{usr}' /proc/mounts || mount -t overlay overlay -o {usr} /usr
cd /
{self.commands()}
"""
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child", "bash", "-c", script],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output, preexec_fn=end_with_us,
                                            start_new_session=True)  # Cyrus, told to stop, tells its process group
        ports = [getattr(self, name + "_port") for name in self.ports]
        relais.wait_until(lambda: self.process.poll() is not None or all(connects(self.host, port) for port in ports), self.name)
        if self.process.poll() is not None:
            self.end()
            raise RuntimeError(f"{self.name} did not start:\n{self.log()[-4000:]}")
        return self

    @property
    def pid(self):
        """Of the server's first process, as seen from here."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])

    def signal(self, number):
        os.kill(self.pid, number)

    def end(self):
        if self.process:
            self.process.wait()
            self.process = None
        if self.syslog:
            self.syslog.close()
            self.syslog = None

    def stop(self):
        """As an administrator stops it. start() starts it again, on the same ports, with what it has."""
        if self.process:
            if self.process.poll() is None:
                self.signal(self.stop_signal)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:  # Cyrus' master may wait for a child that never ends
                self.signal(signal.SIGKILL)
            self.end()

    def kill(self):
        """All its processes at once, without a chance to tidy up."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.end()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.kill_if_running()
            raise

    def kill_if_running(self):
        if self.process:
            self.kill()

    def __exit__(self, *failure):
        self.stop()

    def inside_command(self, *arguments):
        return [str(argument) for argument in ("nsenter", "--target", self.pid, "--mount", "--pid", "--", *arguments)]

    def run(self, *arguments, **kwargs):
        """A command in the server's namespaces, with its programs."""
        return net.command(*self.inside_command(*arguments), **kwargs)

    def log(self):
        """What the server has said so far."""
        return "".join(path.read_text(errors="replace") for path in (self.dir / "output", self.dir / "log", self.dir / "syslog") if path.is_file())

    # ---- accounts
    def add_user(self, address, password=PASSWORD):
        """Or gives a user another password. Either holds when it returns."""
        self.add_users([address], password)
        return address

    set_password = add_user

    def add_users(self, addresses, password=PASSWORD):
        self.passwords |= dict.fromkeys(addresses, password)
        self.store_users(addresses)

    def store_users(self, changed):
        raise NotImplementedError

    def deliver(self, address, *messages):
        """Mail arrives for the account. Messages are octets with CRLF, or text."""
        with self.lmtp() as client:
            for message in messages:
                client.sendmail("someone@elsewhere.test", address, message)

    def append(self, address, *messages, mailbox="INBOX", flags="", date=None):
        """Messages (octets with CRLF) by APPEND; makes the mailbox where it is missing. `date` as imaplib takes it; now, where there is none."""
        with self.imap(address) as client:
            if mailbox != "INBOX":
                client.create(mailbox)
            for message in messages:
                state, answer = client.append(mailbox, flags, date or time.time(), message)
                assert state == "OK", answer

    # ---- clients
    def tls_context(self):
        return ssl.create_default_context(cafile=str(self.authority.certificate))

    def imap_connection(self):
        """Not logged in."""
        if self.tls == "implicit":
            return imaplib.IMAP4_SSL(self.host, self.imap_port, ssl_context=self.tls_context())
        client = imaplib.IMAP4(self.host, self.imap_port)
        if self.tls == "starttls":
            client.starttls(self.tls_context())
        return client

    def imap(self, address, password=None):
        client = self.imap_connection()
        client.login(address, password or self.passwords[address])
        return client

    def pop3_connection(self):
        """Not logged in."""
        if self.tls == "implicit":
            return poplib.POP3_SSL(self.host, self.pop3_port, context=self.tls_context())
        client = poplib.POP3(self.host, self.pop3_port)
        if self.tls == "starttls":
            client.stls(self.tls_context())
        return client

    def pop3(self, address, password=None):
        client = self.pop3_connection()
        client.user(address)
        client.pass_(password or self.passwords[address])
        return client

    def lmtp(self):
        return smtplib.LMTP(self.host, self.lmtp_port, local_hostname="client.example.net")

    def imap_as_master(self, address):
        """SASL PLAIN: the account is the authorization identity, the master the authentication identity."""
        client = self.imap_connection()
        client.authenticate("PLAIN", lambda challenge: plain(address, self.master_user, self.master_password))
        return client


class Dovecot(Server):
    """Dovecot 2.3. Master logins: as authorization identity, and as `user*mover` (master_format).

    storage: "maildir", "sdbox", "mdbox", or a mail_location.  proxy: IMAP and POP3 begin with a PROXY header.
    config: text behind our configuration; what it sets again counts.
    """
    name = "dovecot"
    programs = ("sbin/dovecot", "lib/dovecot/imap", "lib/dovecot/pop3", "lib/dovecot/lmtp")
    master_format = "%u*%m"

    def __init__(self, directory, tls="none", storage="maildir", proxy=False, config=""):
        super().__init__(directory, tls)
        self.changes = 0
        location = {"maildir": "maildir:~/Maildir", "sdbox": "sdbox:~/sdbox", "mdbox": "mdbox:~/mdbox"}.get(storage, storage)
        self.folder("mail", MAIL_USER)
        self.write("masters", f"{MASTER}:{{PLAIN}}{MASTER_PASSWORD}\n")
        self.store_users([])

        def listener(protocol, secure):
            port = getattr(self, protocol + "_port") if secure == (tls == "implicit") else 0
            options = ("    ssl = yes\n" if secure else "") + ("    haproxy = yes\n" if proxy else "")
            return f"  inet_listener {protocol}{'s' if secure else ''} {{\n    port = {port}\n{options}  }}\n"

        encryption = "ssl = no\n" if tls == "none" else (f"ssl = required\nssl_cert = <{self.inside(self.certificate.certificate)}\n"
                                                         f"ssl_key = <{self.inside(self.certificate.key)}\n")
        services = "".join(f"service {protocol}-login {{\n{listener(protocol, False)}{listener(protocol, True)}}}\n" for protocol in ("imap", "pop3"))
        self.config = self.write("dovecot.conf", f"""
base_dir = /run/dovecot
state_dir = /var/lib/dovecot
log_path = {PLACE}/log
protocols = imap pop3 lmtp
listen = {self.host}
{encryption}disable_plaintext_auth = {"no" if tls == "none" else "yes"}
auth_mechanisms = plain login
auth_failure_delay = 0
auth_master_user_separator = *
auth_username_format = %Lu
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
default_vsz_limit = 1024 M
mail_location = {location}
mail_fsync = never
mail_max_userip_connections = 1000
first_valid_uid = {MAIL_USER}
namespace inbox {{
  inbox = yes
}}
passdb {{
  driver = passwd-file
  master = yes
  args = {PLACE}/masters
}}
passdb {{
  driver = passwd-file
  args = username_format=%u {PLACE}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {PLACE}/users
  default_fields = uid={MAIL_USER} gid={MAIL_USER} home={PLACE}/mail/%u
}}
{services}service lmtp {{
  inet_listener lmtp {{
    port = {self.lmtp_port}
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{config}""")

    def commands(self):
        return f"exec dovecot -F -c {self.config}"

    def store_users(self, changed):
        # Dovecot reads the file again where its size or its second is another (the size always is), but looks once in a second only.
        self.changes += 1
        self.write("users", "".join(f"{user}:{{PLAIN}}{password}::::::\n" for user, password in self.passwords.items()) + "#" * self.changes + "\n")
        if self.process:
            relais.wait_until(lambda: all(self.accepts(address) for address in changed), "users to be known")

    def accepts(self, address):
        return subprocess.run(self.inside_command("doveadm", "-c", self.config, "auth", "test", address, self.passwords[address]), capture_output=True).returncode == 0

    def mail_path(self, address):
        """The account's home."""
        return self.dir / "mail" / address


class Cyrus(Server):
    """Cyrus 3.6. The master is a proxy user: SASL PLAIN with the account as authorization identity.

    settings: of imapd.conf; they come before ours. altnamespace="no", unixhierarchysep="no" is the view of names that it had for long.
    """
    name = "cyrus"
    programs = ("lib/cyrus/bin/master", "lib/cyrus/bin/imapd", "lib/cyrus/bin/pop3d", "sbin/saslpasswd2")
    domain = "cyrus.test"  # of users without one
    admin_user, admin_password = "cyrusadmin", "king of the hill"
    stop_signal = signal.SIGTERM

    def __init__(self, directory, tls="none", **settings):
        super().__init__(directory, tls)
        for folder in ("conf", "conf/db", "conf/socket", "conf/log", "mail", "proc", "lock", "sieve"):
            self.folder(folder, USERS["cyrus"], MAIL_GROUP)
        ours = {
            "configdirectory": f"{PLACE}/conf",
            "partition-default": f"{PLACE}/mail",
            "defaultpartition": "default",
            "proc_path": f"{PLACE}/proc",
            "mboxname_lockpath": f"{PLACE}/lock",
            "idlesocket": f"{PLACE}/conf/socket/idle",
            "notifysocket": f"{PLACE}/conf/socket/notify",
            "lmtpsocket": f"{PLACE}/conf/socket/lmtp",
            "sieveusehomedir": "no",
            "sievedir": f"{PLACE}/sieve",
            "cyrus_user": "cyrus",
            "admins": self.admin_user,
            "proxyservers": MASTER,
            "virtdomains": "userid",
            "defaultdomain": "internal.test",
            "altnamespace": "yes",
            "unixhierarchysep": "yes",
            "allowplaintext": "yes" if tls == "none" else "no",
            "sasl_pwcheck_method": "auxprop",
            "sasl_auxprop_plugin": "sasldb",
            "sasl_sasldb_path": f"{PLACE}/conf/sasldb2",
            "sasl_mech_list": "PLAIN LOGIN",
            "autocreate_quota": "0",
            "autocreate_post": "yes",
            "duplicatesuppression": "no",
            "failedloginpause": "0",
            "popminpoll": "0",
            "servername": self.domain,
            "skiplist_unsafe": "yes",
        }
        if tls != "none":
            ours |= {"tls_server_cert": self.inside(self.certificate.certificate), "tls_server_key": self.inside(self.certificate.key)}
        self.write("imapd.conf", "".join(f"{key}: {value}\n" for key, value in (ours | settings).items()))
        secure = " -s" if tls == "implicit" else ""
        programs = "/usr/lib/cyrus/bin"

        def service(name, program, port):
            return f'  {name} cmd="{programs}/{program} -C {PLACE}/imapd.conf" listen="{self.host}:{port}" proto="tcp4" prefork=0\n'

        self.write("cyrus.conf", f"""START {{
  recover cmd="{programs}/ctl_cyrusdb -C {PLACE}/imapd.conf -r"
}}
SERVICES {{
{service("imap", "imapd" + secure, self.imap_port)}{service("pop3", "pop3d" + secure, self.pop3_port)}{service("lmtp", "lmtpd -a", self.lmtp_port)}}}
DAEMON {{
  idled cmd="{programs}/idled -C {PLACE}/imapd.conf"
}}
EVENTS {{
  checkpoint cmd="{programs}/ctl_cyrusdb -C {PLACE}/imapd.conf -c" period=30
}}
""")

    def commands(self):
        return f"exec /usr/lib/cyrus/bin/master -D -C {PLACE}/imapd.conf -M {PLACE}/cyrus.conf -p {PLACE}/master.pid -l 1024"

    def start(self):
        super().start()
        for user, password in ((MASTER, MASTER_PASSWORD), (self.admin_user, self.admin_password)):
            self.store_password(user, self.domain, password)
        return self

    def store_password(self, user, realm, password):
        self.run("saslpasswd2", "-p", "-c", "-f", f"{PLACE}/conf/sasldb2", "-u", realm, user, input=password)
        os.chown(self.dir / "conf" / "sasldb2", USERS["cyrus"], MAIL_GROUP)

    def store_users(self, changed):
        for address in changed:
            user, _, domain = address.partition("@")
            self.store_password(user, domain, self.passwords[address])


class Courier(Server):
    """Courier's imapd and pop3d. There is no master user and no LMTP; deliver() puts files into the Maildir, as its delivery agents do.

    settings: of the environment that its configuration files make.
    """
    name = "courier"
    programs = ("bin/imapd", "lib/courier/courier/courierpop3d", "lib/courier/courier-authlib/authdaemond", "sbin/makeuserdb")
    ports = ("imap", "pop3")
    own_settings = ("courier",)
    prefix = "INBOX."
    has_qresync = False
    master_user = master_password = None

    def __init__(self, directory, tls="none", **settings):
        super().__init__(directory, tls)
        self.settings = settings
        self.delivered = 0
        self.folder("mail", MAIL_USER)
        self.folder("run/courier", USERS["courier"])
        self.folder("run/courier/authdaemon", USERS["courier"])
        self.write("etc/courier/authdaemonrc", 'authmodulelist="authuserdb"\nauthmodulelistorig="authuserdb"\ndaemons=3\nauthdaemonvar=/run/courier/authdaemon\n'
                   'DEBUG_LOGIN=0\nDEFAULTOPTIONS=""\nLOGGEROPTS=""\n')
        if self.certificate:
            pem = self.certificate.key.read_text() + self.certificate.certificate.read_text()
            self.write("server.pem", pem, 0o600, USERS["courier"])

    def environment(self):
        both = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "AUTHMODULES": "authdaemon", "MAXDAEMONS": "100", "MAXPERIP": "100",
                "TLS_CERTFILE": f"{PLACE}/server.pem", "TLS_PROTOCOL": "TLSv1.2+", "TLS_VERIFYPEER": "NONE", "COURIERTLS": "/usr/bin/couriertls",
                "DEFDOMAIN": "", "MAILDIRPATH": "Maildir"}
        imap = {"IMAP_CAPABILITY": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION",
                "IMAP_CAPABILITY_TLS": "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA AUTH=PLAIN IDLE ACL ACL2=UNION",
                "IMAP_EMPTYTRASH": "", "IMAP_TRASHFOLDERNAME": "Trash", "IMAP_MOVE_EXPUNGE_TO_TRASH": "0", "IMAP_USELOCKS": "1", "IMAP_KEYWORDS": "1",
                "IMAP_ACL": "1", "IMAP_IDLE_TIMEOUT": "60", "IMAP_UMASK": "022", "IMAP_ULIMITD": "1000000"}
        pop3 = {"POP3AUTH": "PLAIN", "POP3AUTH_TLS": "PLAIN"}
        # Its processes hear of changes and of the end of each other's locks through a file monitor, gam_server, whose socket is named by user and by
        # this, for the whole machine: another Courier's monitor cannot see our files.
        both["GAM_CLIENT_ID"] = self.host
        if self.tls == "starttls":
            both |= {"IMAP_STARTTLS": "YES", "IMAP_TLS_REQUIRED": "1", "POP3_STARTTLS": "YES", "POP3_TLS_REQUIRED": "1"}
        if self.tls == "implicit":
            both |= {"IMAP_TLS": "1", "POP3_TLS": "1", "POP3_TLS_REQUIRED": "0"}
        return both | imap | pop3 | self.settings

    def commands(self):
        lib = "/usr/lib/courier/courier"
        tls = "/usr/bin/couriertls -server -tcpd " if self.tls == "implicit" else ""
        listen = f"couriertcpd -address={self.host} -maxprocs=100 -maxperip=100 -nodnslookup -noidentlookup"
        exports = "\n".join(f"export {key}='{value}'" for key, value in self.environment().items())
        # The shell is the first process: it collects those whose parents have gone, and ends with the first of the three that ends.
        return f"""{exports}
trap 'exit 0' TERM
/usr/lib/courier/courier-authlib/authdaemond &
authdaemond=$!
until [ -S /run/courier/authdaemon/socket ]; do kill -0 $authdaemond; sleep 0.02; done
{listen} {self.imap_port} {tls}{lib}/imaplogin /usr/bin/imapd Maildir &
{listen} {self.pop3_port} {tls}{lib}/courierpop3login {lib}/courierpop3d Maildir &
wait -n
"""

    def start(self):
        super().start()
        if self.passwords:
            self.make_userdb()
        return self

    def store_users(self, changed):
        for address in changed:
            home = self.mail_path(address)
            for path in (home, *(home / "Maildir" / folder for folder in ("", "cur", "new", "tmp"))):
                path.mkdir(exist_ok=True)
                os.chown(path, MAIL_USER, MAIL_USER)
        self.make_userdb()

    def make_userdb(self):
        def line(user, password):
            digest = hashlib.sha256(password.encode()).digest()
            home = PLACE / "mail" / user
            return f"{user}\tuid={MAIL_USER}|gid={MAIL_USER}|home={home}|mail={home}/Maildir|systempw={{SHA256}}{base64.b64encode(digest).decode()}\n"
        self.write("etc/courier/userdb", "".join(line(user, password) for user, password in self.passwords.items()), 0o600)
        self.run("makeuserdb")

    def mail_path(self, address):
        """The account's home."""
        return self.dir / "mail" / address

    def deliver(self, address, *messages):
        maildir = self.mail_path(address) / "Maildir"
        for message in messages:
            octets = message.encode() if isinstance(message, str) else message
            self.delivered += 1
            name = f"{int(time.time())}.M{self.delivered:06}P{os.getpid()}.courier.test"
            draft = maildir / "tmp" / name
            draft.write_bytes(octets.replace(b"\r\n", b"\n"))
            os.chown(draft, MAIL_USER, MAIL_USER)
            draft.rename(maildir / "new" / name)


dovecot, cyrus, courier = Dovecot, Cyrus, Courier
ALL = (Dovecot, Cyrus, Courier)


def of_many_sessions(make):
    """Settings for tests in which sessions of one mailbox are busy at the same time. Courier's wait for each other's locks through its file monitor, which
    misses the end of one now and then: then a session says nothing for two minutes. (Without locks it does not survive every RENAME, so only there.)"""
    return {"IMAP_USELOCKS": "0"} if make is Courier else {}
