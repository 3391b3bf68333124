"""Real clients from Debian: swaks, curl, mbsync, neomutt, fetchmail, getmail, msmtp."""
import os
import pathlib
import pty
import subprocess

import pytest

import relais


def run(*args, input=None, env=None, check=True):
    done = subprocess.run(list(map(str, args)), input=input, capture_output=True, text=True, env={**os.environ, **(env or {})})
    if check:
        assert done.returncode == 0, f"{args}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def run_in_terminal(*args, env):
    """For a program that insists on a terminal; what it draws comes back."""
    child, terminal = pty.fork()
    if child == 0:
        os.execvpe(args[0], list(map(str, args)), {**os.environ, **env})
    drawn = b""
    while True:
        try:
            drawn += os.read(terminal, 65536)
        except OSError:  # the program has ended and its end of the terminal is closed
            break
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0, drawn.decode(errors="replace")


@pytest.fixture
def user(platform, request):
    return platform.add_account(request.node.name.replace("_", "-").replace("test-", "")[:40])


def subjects(platform, address):
    client = platform.imap(address)
    client.select("INBOX")
    _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    client.logout()
    return [part[1].decode().strip().removeprefix("Subject: ") for part in data if isinstance(part, tuple)]


def test_swaks(platform, user):
    run("swaks", "--server", "127.0.0.1", "--port", platform.port("smtp"), "--from", "eve@remote.example", "--to", user, "--header", "Subject: by swaks")
    run("swaks", "--server", "127.0.0.1", "--port", platform.port("lmtp"), "--protocol", "LMTP", "--from", "eve@remote.example", "--to", user,
        "--header", "Subject: by lmtp")
    run("swaks", "--server", "127.0.0.1", "--port", platform.port("submission"), "-tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", relais.PASSWORD,
        "--from", user, "--to", user, "--header", "Subject: by submission")
    run("swaks", "--server", "127.0.0.1", "--port", platform.port("submissions"), "--tls-on-connect", "--auth", "LOGIN", "--auth-user", user,
        "--auth-password", relais.PASSWORD, "--from", user, "--to", user, "--header", "Subject: by submissions")
    done = run("swaks", "--server", "127.0.0.1", "--port", platform.port("submission"), "-tls", "--auth", "PLAIN", "--auth-user", user, "--auth-password", "wrong",
               "--from", user, "--to", user, check=False)
    assert done.returncode != 0 and "535" in done.stdout + done.stderr
    assert subjects(platform, user) == ["by swaks", "by lmtp", "by submission", "by submissions"]


def test_curl(platform, user, tmp_path):
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"From: eve@remote.example\r\nSubject: by curl\r\n\r\nHello\r\n")
    ca = ("--cacert", platform.dir / "tls" / "certificate.pem")
    run("curl", "-sS", f"smtp://127.0.0.1:{platform.port('smtp')}", "--mail-from", "eve@remote.example", "--mail-rcpt", user, "-T", mail)
    credentials = ("-u", f"{user}:{relais.PASSWORD}")
    run("curl", "-sS", "-k", *credentials, f"imaps://127.0.0.1:{platform.port('imaps')}/INBOX", "-T", mail)
    listed = run("curl", "-sS", "-k", *credentials, f"imaps://127.0.0.1:{platform.port('imaps')}/", "-X", 'LIST "" "*"').stdout
    assert "INBOX" in listed and "\\Sent" in listed
    one = run("curl", "-sS", "-k", *credentials, f"imaps://127.0.0.1:{platform.port('imaps')}/INBOX/;UID=1").stdout
    assert "Subject: by curl" in one and "Hello" in one
    assert "2 " in run("curl", "-sS", "-k", *credentials, f"pop3s://127.0.0.1:{platform.port('pop3s')}/").stdout
    assert "Subject: by curl" in run("curl", "-sS", *ca, "--ssl-reqd", *credentials, f"pop3://localhost:{platform.port('pop3')}/2").stdout


def test_mbsync_two_way_and_twice(platform, user, tmp_path):
    for n in range(20):
        platform.deliver(user, b"Subject: mail %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (n, n, n))
    client = platform.imap(user)
    client.create("Work/2026")
    client.append("Work/2026", r"(\Seen \Flagged)", None, b"Subject: in a folder\r\n\r\nx\r\n")
    mbsync = relais.Mbsync(platform, user, tmp_path)
    local = mbsync.local
    mbsync.sync()
    mails = sorted(path for path in (local / "INBOX").rglob("*") if path.is_file() and path.parent.name in ("new", "cur"))
    assert len(mails) == 20
    assert list((local / "Work" / "2026" / "cur").glob("*:2,FS"))

    # Nothing has changed, so the second run changes nothing, here or there.
    def picture():
        files = {str(path): path.stat().st_mtime_ns for path in local.rglob("*") if path.is_file() and path.parent.name in ("new", "cur")}
        status = [client.status(box, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)")[1] for box in ("INBOX", "Work/2026")]
        return files, status
    before = picture()
    mbsync.sync()
    assert picture() == before

    # Both ways: a flag set here, a mail made here, a mail deleted there.
    seen = next(path for path in (local / "INBOX" / "new").iterdir() if b"body 7" in path.read_bytes())  # not the one that is deleted there
    seen.rename(local / "INBOX" / "cur" / (seen.name.split(":")[0] + ":2,S"))
    (local / "INBOX" / "new" / "1.local.host").write_text("Subject: made here\n\nlocal body\n")
    client.select("INBOX")
    client.store("5", "+FLAGS", r"(\Deleted)")
    client.expunge()
    mbsync.sync()
    client.noop()
    assert len(client.search(None, "SEEN")[1][0].split()) == 1
    assert client.search(None, "SUBJECT", '"made here"')[1][0]
    mails = [path for path in (local / "INBOX").rglob("*") if path.is_file() and path.parent.name in ("new", "cur")]
    assert len(mails) == 20  # one deleted, one made
    before = picture()
    mbsync.sync()
    assert picture() == before
    client.logout()


def test_neomutt(platform, user, tmp_path):
    for n in range(3):
        platform.deliver(user, b"From: eve@remote.example\r\nSubject: for mutt %d\r\n\r\nbody\r\n" % n)
    rc = tmp_path / "muttrc"
    rc.write_text(f"""
set imap_user = "{user}"
set imap_pass = "{relais.PASSWORD}"
set folder = "imaps://127.0.0.1:{platform.port('imaps')}/"
set spoolfile = "+INBOX"
set ssl_verify_host = no
set ssl_verify_dates = no
set certificate_file = "{platform.dir}/tls/certificate.pem"
set header_cache = "{tmp_path}/cache"
set quit = yes
set delete = yes
set confirmappend = no
set confirmcreate = no
""")
    # Copy all to a new mailbox, flag the first, delete the second, sync, quit.
    run_in_terminal("neomutt", "-n", "-F", rc, "-e", 'push "<tag-pattern>~A<enter><tag-prefix><copy-message>=Kept<enter><first-entry><flag-message><next-entry><delete-message><sync-mailbox><quit>"',
        env={"TERM": "xterm", "HOME": str(tmp_path)})
    client = platform.imap(user)
    assert client.select("Kept")[1] == [b"3"]
    assert client.select("INBOX")[1] == [b"2"]
    assert len(client.search(None, "FLAGGED")[1][0].split()) == 1
    client.logout()


def test_fetchmail(platform, user, tmp_path):
    for n in range(3):
        platform.deliver(user, b"From: eve@remote.example\r\nSubject: for fetchmail %d\r\n\r\n.body\r\n" % n)
    for protocol, port in (("imap", platform.port("imaps")), ("pop3", platform.port("pop3s"))):
        inbox = tmp_path / f"{protocol}.mbox"
        rc = tmp_path / f"fetchmailrc-{protocol}"
        rc.write_text(f'poll 127.0.0.1 protocol {protocol} port {port} user "{user}" password "{relais.PASSWORD}" ssl no sslcertck fetchall '
                      f'{"keep" if protocol == "imap" else "nokeep"} mda "cat >> {inbox}; echo >> {inbox}"\n')
        rc.chmod(0o600)
        run("fetchmail", "-f", rc, "--nodetach", "--nosyslog", "--idfile", tmp_path / "ids", "--pidfile", tmp_path / "pid", env={"HOME": str(tmp_path), "FETCHMAILHOME": str(tmp_path)})
        assert inbox.read_text().count("Subject: for fetchmail") == 3
    client = platform.imap(user)
    assert client.select("INBOX")[1] == [b"0"]
    client.logout()


def test_getmail(platform, user, tmp_path):
    for n in range(3):
        platform.deliver(user, b"From: eve@remote.example\r\nSubject: for getmail %d\r\n\r\nbody\r\n" % n)
    for kind, port in (("SimplePOP3SSLRetriever", platform.port("pop3s")), ("SimpleIMAPSSLRetriever", platform.port("imaps"))):
        maildir = tmp_path / kind
        for folder in ("cur", "new", "tmp"):
            (maildir / folder).mkdir(parents=True)
        home = tmp_path / f"home-{kind}"
        home.mkdir()
        (home / "getmailrc").write_text(f"""
[retriever]
type = {kind}
server = 127.0.0.1
port = {port}
username = {user}
password = {relais.PASSWORD}
[destination]
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat > {maildir}/new/$$")
allow_root_commands = true
[options]
read_all = false
delete = false
""")
        run("getmail", f"--getmaildir={home}", env={"HOME": str(tmp_path)})
        assert len(list((maildir / "new").iterdir())) == 3
        run("getmail", f"--getmaildir={home}", env={"HOME": str(tmp_path)})
        assert len(list((maildir / "new").iterdir())) == 3  # leave on server: nothing is fetched again


def test_msmtp(platform, user, tmp_path):
    rc = tmp_path / "msmtprc"
    rc.write_text(f"""
account default
host localhost
port {platform.port('submission')}
tls on
tls_starttls on
tls_certcheck off
auth on
user {user}
password {relais.PASSWORD}
from {user}
""")
    rc.chmod(0o600)
    for mechanism in ("plain", "login", "scram-sha-256"):
        run("msmtp", "-C", rc, f"--auth={mechanism}", user, input=f"From: {user}\nSubject: by msmtp {mechanism}\n\nHello\n")
    assert subjects(platform, user) == ["by msmtp plain", "by msmtp login", "by msmtp scram-sha-256"]


def test_first_mail_of_the_readme(platform):
    """The README's commands exist and are those that these tests run."""
    readme = (pathlib.Path(__file__).resolve().parents[2] / "README.md").read_text()
    for command in ("swaks", "curl", "mbsync", "./dev run", "./dev test"):
        assert command in readme
