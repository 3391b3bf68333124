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


def submit(platform, recipients, message, sender="ada@example.test", mail_options=(), rcpt_options=()):
    """An account here sends mail."""
    with platform.submission(sender) as client:
        client.ehlo()
        client.sendmail(sender, recipients, message, mail_options, rcpt_options)


def remote_mta(recipient):
    """The name in a report's Remote-MTA, without the comment that may follow."""
    return recipient["Remote-MTA"].split(" (")[0]


class Report:
    """A delivery status notification (RFC 3464): `text` for people, `recipients` as header-like fields, `original` header of what it is about."""

    def __init__(self, message):
        people, status, original = message.iter_parts()
        self.message = message
        self.text = people.get_content()
        self.about_message, *self.recipients = status.iter_parts() if status.is_multipart() else [status]
        returned = original.get_content()
        self.original = returned if original.get_content_type() == "message/rfc822" else parsed(returned if isinstance(returned, bytes) else returned.encode())


def reports(messages, subject):
    """Those of the messages (octets) that report about the message with this subject."""
    kind = "message/delivery-status"
    found = [Report(message) for message in map(parsed, messages) if kind in [part.get_content_type() for part in message.iter_parts()]]
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

    def __init__(self, internet):
        self.internet = internet
        self.dir = internet.dir / self.name
        self.dir.mkdir(mode=0o755)
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
            self.process = subprocess.Popen([str(argument) for argument in arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            preexec_fn=net.die_with_us)
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
        return "".join(path.read_text(errors="replace") for path in (self.dir / "output", self.dir / "log") if path.is_file())

    def submit(self, sender, recipients, message, mail_options=(), rcpt_options=()):
        with smtplib.SMTP(self.address, SUBMISSION, local_hostname="client.test") as client:
            client.ehlo()
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

    def __init__(self, internet, services=None, domains=(), settings=""):
        super().__init__(internet)
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
smtp_tls_security_level = dane
smtp_dns_support_level = dnssec
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


class Exim(Mta):
    """`login_port`: there only who has logged in may send. `transport`: options of the outgoing one. `more`: sections at the end of its file."""
    name = "exim"

    def __init__(self, internet, login_port=SUBMISSION, transport="", more=""):
        super().__init__(internet)
        self.folder("mail", "Debian-exim")
        self.folder("spool", "Debian-exim")
        self.folder("log", "Debian-exim")
        users = ":".join(self.USERS)
        self.write("etc/exim4.conf", f"""
primary_hostname = {self.host}
spool_directory = {self.dir}/spool
log_file_path = {self.dir}/log/%slog
log_selector = +tls_cipher +tls_peerdn +received_recipients +8bitmime
pid_file_path = {self.dir}/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
deliver_drop_privilege = true
never_users =
keep_environment =
add_environment = PATH=/usr/bin
local_interfaces = {self.address}
daemon_smtp_ports = {" : ".join(map(str, sorted({25, SUBMISSION, login_port})))}
tls_advertise_hosts = *
tls_certificate = {self.certificate.certificate}
tls_privatekey = {self.folder("keys", "Debian-exim") / "key.pem"}
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 60M
dns_dnssec_ok = 1
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
chunking_advertise_hosts = *
allow_utf8_domains = true
received_headers_max = 500
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 3
qualify_domain = {self.domain}
queue_run_max = 1
acl_smtp_rcpt = rcpt
acl_smtp_data = data
domainlist local_domains = {self.domain}

begin acl
rcpt:
  accept authenticated = *
  accept condition = ${{if eq{{$received_port}}{{{SUBMISSION}}}}}
         control = submission/sender_retain
  deny condition = ${{if eq{{$received_port}}{{{login_port}}}}}
       message = 5.7.0 login first
  defer message = 4.7.1 greylisted, come again
        condition = ${{if and{{ {{eq{{$local_part}}{{grey}}}} {{!exists{{{self.dir}/come-in}}}} }}}}
  accept domains = +local_domains
         local_parts = {users}:grey
  deny domains = +local_domains
       message = 5.1.1 no such user
  deny message = 5.7.1 relaying denied
data:
  deny condition = ${{if match{{$h_Subject:}}{{unwanted}}}}
       message = 5.7.1 nobody wants this
  accept

begin routers
elsewhere:
  driver = dnslookup
  domains = !+local_domains
  transport = remote_smtp
  dnssec_request_domains = *
  no_more
here:
  driver = accept
  domains = +local_domains
  local_parts = {users}:grey
  transport = maildir

begin transports
remote_smtp:
  driver = smtp
  interface = {self.address}
  dnssec_request_domains = *
  tls_verify_certificates = {internet.authority.certificate}
{transport}
maildir:
  driver = appendfile
  directory = {self.mail}/$domain_data/$local_part_data
  maildir_format
  create_directory
  delivery_date_add
  envelope_to_add
  return_path_add

begin retry
* * F,1h,1s
{more}""")
        key = self.dir / "keys" / "key.pem"
        key.write_bytes(pathlib.Path(self.certificate.key).read_bytes())
        os.chown(key, net.USERS["Debian-exim"], net.USERS["Debian-exim"])

    def start(self):
        if not pathlib.Path("/etc/exim4/exim4.conf").exists():
            net.command("mount", "--bind", self.dir / "etc", "/etc/exim4")
        return self.spawn("exim4", "-bdf", "-q1s")

    def come_in(self):
        """From now on nobody is greylisted."""
        (self.dir / "come-in").touch()

    def queue(self):
        return net.command("exim4", "-bpr").splitlines()

    def log(self):
        return super().log() + "".join(path.read_text(errors="replace") for path in sorted((self.dir / "log").iterdir()))


# smtpd-filters(7): what has "unwanted" in its subject is refused at its end.
OPENSMTPD_FILTER = """#!/usr/bin/python3
import sys
unwanted = set()
for line in sys.stdin:
    if line == "config|ready\\n":
        print("register|filter|smtp-in|data-line", "register|filter|smtp-in|commit", "register|ready", sep="\\n", flush=True)
    if not line.startswith("filter|"):
        continue
    _, _, _, _, phase, session, token, *rest = line.rstrip("\\n").split("|", 7)
    if phase == "data-line":
        if rest[0].startswith("Subject:") and "unwanted" in rest[0]:
            unwanted.add(session)
        print("filter-dataline", session, token, rest[0], sep="|", flush=True)
    else:
        print("filter-result", session, token, "reject|550 5.7.1 nobody wants this" if session in unwanted else "proceed", sep="|", flush=True)
        unwanted.discard(session)
"""


class OpenSmtpd(Mta):
    name = "opensmtpd"
    """Offers STARTTLS, but cannot do it: Debian's build loses its key with this OpenSSL. As a client it can."""

    def __init__(self, internet):
        super().__init__(internet)
        key = self.write("key.pem", pathlib.Path(self.certificate.key).read_text())
        key.chmod(0o600)
        self.write("filter.py", OPENSMTPD_FILTER).chmod(0o755)
        self.config = self.write("smtpd.conf", f"""
pki {self.host} cert "{self.certificate.certificate}"
pki {self.host} key "{key}"
table users {{ {", ".join(f'"{user}@{self.domain}" = "peermail"' for user in self.USERS)} }}
table known {{ {", ".join(f'"{user}@{self.domain}"' for user in self.USERS)} }}
queue ttl 5d
smtp max-message-size 60M
filter "content" proc-exec "{self.dir}/filter.py"
listen on {self.address} port 25 tls pki {self.host} hostname {self.host} tag PUBLIC filter "content"
listen on {self.address} port {SUBMISSION} hostname {self.host} tag INSIDE
action "here" maildir "{self.mail}/{self.domain}/%{{rcpt.user}}" virtual <users>
action "elsewhere" relay helo {self.host} src {self.address}
match tag INSIDE from any for domain {self.domain} rcpt-to <known> action "here"
match tag PUBLIC from any for domain {self.domain} rcpt-to <known> action "here"
match tag PUBLIC from any for any reject
match tag INSIDE from any !for domain {self.domain} action "elsewhere"
match from local !for domain {self.domain} action "elsewhere"
match from local for domain {self.domain} action "here"
""")
        self.config.chmod(0o600)

    def start(self):
        spool = pathlib.Path("/var/spool/smtpd")
        if not spool.exists():
            spool.mkdir(mode=0o711)
        return self.spawn("smtpd", "-d", "-v", "-f", self.config)


class DovecotLmtp(Mta):
    """Takes mail by LMTP at port 24; no MX leads to it."""
    name = "dovecot"

    def __init__(self, internet):
        super().__init__(internet)
        self.write("users", "".join(f"{user}@{self.domain}:::::::\n" for user in self.USERS))
        self.config = self.write("dovecot.conf", f"""
base_dir = /run/dovecot
state_dir = {self.dir}/state
log_path = {self.dir}/log
protocols = lmtp
listen = {self.address}
ssl = no
default_internal_user = dovecot
default_internal_group = dovecot
default_login_user = dovenull
mail_location = maildir:{self.mail}/%d/%n
mail_uid = {net.MAIL_USER}
mail_gid = {net.MAIL_USER}
first_valid_uid = {net.MAIL_USER}
auth_username_format = %u
passdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
userdb {{
  driver = passwd-file
  args = {self.dir}/users
}}
service lmtp {{
  inet_listener lmtp {{
    address = {self.address}
    port = 24
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
""")

    def start(self):
        return self.spawn("dovecot", "-F", "-c", self.config, ports=[24])
