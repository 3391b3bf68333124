"""Mail servers of other makes, as the rest of the internet runs them: Postfix, Exim, OpenSMTPD. See internet.py for where they run."""
import email
import email.policy
import os
import pathlib
import signal
import smtplib
import socket
import subprocess

import internet as net
import relais

SUBMISSION = 587  # of all three: takes mail for everywhere from anyone


def connects(address, port):
    try:
        socket.create_connection((address, port)).close()
        return True
    except ConnectionRefusedError:
        return False


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.default)


def text(subject, sender="ada@example.test", body="hello\r\n", headers=""):
    return f"From: {sender}\r\nTo: someone@elsewhere.test\r\nSubject: {subject}\r\n{headers}\r\n{body}"


def our_inbox(platform, address):
    """The messages of an account here, oldest first, as octets."""
    with platform.imap(address) as client:
        if int(client.select("INBOX", readonly=True)[1][0]) == 0:
            return []
        return [part[1] for part in client.fetch("1:*", "(BODY.PEEK[])")[1] if isinstance(part, tuple)]


def wait_for_ours(platform, address, subject):
    """Waits for the message with this subject in an account here and returns it parsed."""
    def find():
        return next((message for message in map(parsed, our_inbox(platform, address)) if message["Subject"] == subject), None)
    return relais.wait_until(find, subject)


class Report:
    """A delivery status notification (RFC 3464): `text` for people, `recipients` as header-like fields, `original` header of what it is about."""

    def __init__(self, message):
        assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status", message
        people, status, original = message.iter_parts()
        self.message = message
        self.text = people.get_content()
        self.about_message, *self.recipients = status.iter_parts() if status.is_multipart() else [status]
        self.original = original.get_content() if original.get_content_type() == "message/rfc822" else parsed(original.get_content().encode()
                                                                                                             if isinstance(original.get_content(), str)
                                                                                                             else original.get_content())


def reports(messages, subject):
    """Those of the messages (octets) that report about the message with this subject."""
    found = [Report(message) for message in map(parsed, messages) if message.get_content_type() == "multipart/report"]
    return [report for report in found if report.original["Subject"] == subject]


def wait_for_report(inbox, subject, action):
    """Waits for the report with this action (RFC 3464 §2.3.3) about the message with this subject. `inbox()` gives the messages as octets."""
    def find():
        return next((report for report in reports(inbox(), subject) if any(one["Action"] == action for one in report.recipients)), None)
    return relais.wait_until(find, f"{action}: {subject}")


class Mta:
    """One server with mailboxes of USERS in `domain`; everybody else there is unknown."""
    USERS = ("carol", "dave")
    name = ""

    def __init__(self, internet, directory):
        self.internet = internet
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(mode=0o755)
        for parent in self.dir.parents:  # they read their files as users of their own
            if parent.stat().st_uid == os.getuid() and parent != pathlib.Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
        self.domain = f"{self.name}.test"
        self.host = f"mx.{self.domain}"
        self.address = internet.address(self.name)
        self.certificate = internet.authority.issue(self.host)
        self.process = None
        internet.dns.add(f"{self.domain}. MX 10 {self.host}.", f"{self.host}. A {self.address}")
        self.mail = self.dir / "mail"
        self.mail.mkdir()
        os.chown(self.mail, net.MAIL_USER, net.MAIL_USER)

    def write(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        return path

    def folder(self, name, owner):
        path = self.dir / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, net.USERS[owner], net.USERS[owner])
        return path

    def spawn(self, *arguments, ports=(25, SUBMISSION)):
        with open(self.dir / "output", "ab") as output:
            self.process = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        relais.wait_until(lambda: self.process.poll() is not None or all(connects(self.address, port) for port in ports), self.name)
        assert self.process.poll() is None, self.log()
        return self

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None

    def __enter__(self):
        self.internet.dns.publish()
        return self.start()

    def __exit__(self, *failure):
        self.stop()

    def log(self):
        """What the server has said so far."""
        return "".join(path.read_text(errors="replace") for path in (self.dir / "output", self.dir / "log") if path.exists())

    def submit(self, sender, recipients, message, mail_options=(), rcpt_options=()):
        with smtplib.SMTP(self.address, SUBMISSION, local_hostname="client.test") as client:
            return client.sendmail(sender, recipients, message, mail_options, rcpt_options)

    def inbox(self, user, domain=None):
        """The messages that a user has, oldest first, as octets."""
        new = self.mail / (domain or self.domain) / user / "new"
        return [path.read_bytes() for path in sorted(new.iterdir(), key=lambda path: path.stat().st_mtime_ns)] if new.is_dir() else []

    def wait_for(self, user, subject, domain=None):
        """Waits for the message with this subject and returns it parsed."""
        def find():
            return next((message for message in map(parsed, self.inbox(user, domain)) if message["Subject"] == subject), None)
        return relais.wait_until(find, subject)


POSTFIX_SERVICES = """
{address}:587 inet n - n - - smtpd -o mynetworks=0.0.0.0/0
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 1 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class Postfix(Mta):
    """`services`: further listeners, as address → options of smtpd. `domains`: further ones whose users are the same."""
    name = "postfix"

    def __init__(self, internet, directory, services=None, domains=(), settings=""):
        super().__init__(internet, directory)
        self.etc = self.dir / "etc"
        domains = [self.domain, *domains]
        users = "".join(f"{user}@{domain} {domain}/{user}/\n" for domain in domains for user in self.USERS)
        self.write("etc/users", users)
        self.write("etc/content", "/^Subject: .*unwanted/ REJECT 5.7.1 nobody wants this\n")
        self.folder("data", "postfix")
        (self.dir / "spool").mkdir()
        self.write("etc/main.cf", f"""
compatibility_level = 3.6
queue_directory = {self.dir}/spool
data_directory = {self.dir}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
shlib_directory = /usr/lib/postfix
meta_directory = {net.ROOT}/etc/postfix
maillog_file = {self.dir}/log
maillog_file_prefixes = {self.dir}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = {self.address}
inet_protocols = all
smtp_bind_address = {self.address}
myhostname = {self.host}
mydomain = {self.domain}
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
virtual_mailbox_domains = {" ".join(domains)}
virtual_mailbox_maps = texthash:{self.etc}/users
virtual_mailbox_base = {self.mail}
virtual_uid_maps = static:{net.MAIL_USER}
virtual_gid_maps = static:{net.MAIL_USER}
virtual_mailbox_limit = 0
message_size_limit = 60000000
hopcount_limit = 500
header_checks = regexp:{self.etc}/content
smtpd_tls_security_level = may
smtpd_tls_cert_file = {self.certificate.certificate}
smtpd_tls_key_file = {self.certificate.key}
smtpd_tls_received_header = yes
smtp_tls_security_level = may
smtp_tls_CAfile = {internet.authority.certificate}
smtp_tls_loglevel = 1
smtpd_tls_loglevel = 1
smtpd_client_connection_count_limit = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
in_flow_delay = 0
{settings}
""")
        listeners = "".join(f"{f'[{address}]' if ':' in address else address}:25 inet n - n - - smtpd {options}\n"
                            for address, options in {self.address: "", **(services or {})}.items())
        self.write("etc/master.cf", listeners + POSTFIX_SERVICES.format(address=self.address))

    def start(self):
        net.command("postfix", "-c", self.etc, "check")
        return self.spawn("/usr/lib/postfix/sbin/master", "-c", self.etc, "-d")

    def queue(self):
        return net.command("postqueue", "-c", self.etc, "-j").splitlines()

    def flush(self):
        net.command("postqueue", "-c", self.etc, "-f")
