"""Legacy platforms by commands: told of once, used at once, their secrets never shown."""
import pytest

import legacy
import relais

MESSAGE = "From: someone@elsewhere.test\r\nTo: {0}\r\nSubject: {1}\r\nMessage-ID: <{1}@elsewhere.test>\r\n\r\nhello\r\n"


@pytest.fixture
def platform(tmp_path):
    platform = relais.Platform(tmp_path / "relais").init().start()
    yield platform
    if platform.process:
        platform.stop()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    with legacy.dovecot(tmp_path_factory.mktemp("old") / "dovecot") as server:
        yield server


def add(platform, server, *more, name="old", lmtp=None):
    return platform.run("legacy", "add", name, "--imap", f"{server.host}:{server.imap_port}", "--pop3", f"{server.host}:{server.pop3_port}",
                        "--lmtp", lmtp or f"{server.host}:{server.lmtp_port}", "--tls", "none", *more)


def subjects(server, address):
    with server.imap(address) as client:
        client.select("INBOX", readonly=True)
        numbers = client.search(None, "ALL")[1][0].split()
        return [client.fetch(number, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1][0][1].decode().split()[1] for number in numbers]


def refused(platform, *args, **kwargs):
    done = platform.run(*args, check=False, **kwargs)
    assert done.returncode in (1, 2), done
    return done.stderr


def test_mail_goes_to_the_platform_the_moment_it_is_added(platform, old):
    address = old.add_user("ada@example.test")
    assert "no such legacy platform" in refused(platform, "account", "add", address, "--legacy", "old")
    nobody = relais.free_base_port()
    add(platform, old, lmtp=f"{old.host}:{nobody}")  # nothing listens there
    assert "added, legacy old" in platform.run("account", "add", address, "--legacy", "old").stdout
    platform.deliver(address, MESSAGE.format(address, "early"))
    waiting = platform.json("queue", "list")["jobs"]
    assert [job["destination"] for job in waiting] == ["legacy:old"]
    assert subjects(old, address) == []

    assert platform.run("legacy", "add", "old", "--imap", f"{old.host}:{old.imap_port}", "--lmtp", f"{old.host}:{old.lmtp_port}", "--tls", "none").stdout == "old replaced\n"
    relais.wait_until(lambda: platform.json("queue", "list")["jobs"] == [], "what waited to leave")
    assert subjects(old, address) == ["early"]
    platform.deliver(address, MESSAGE.format(address, "late"))
    assert subjects(old, address) == ["early", "late"], "relayed while the sender waited"

    platform.stop()
    platform.start()
    platform.deliver(address, MESSAGE.format(address, "again"))
    assert subjects(old, address) == ["early", "late", "again"]


def test_unknown_recipients_are_refused_from_the_first_day(platform, old):
    add(platform, old)
    address = old.add_user("known@example.test")
    old.add_user("notlisted@example.test")
    platform.run("account", "add", address, "--legacy", "old")
    with platform.smtp() as client:
        client.ehlo()
        client.mail("someone@elsewhere.test")
        assert client.rcpt(address)[0] == 250
        assert client.rcpt("notlisted@example.test")[0] == 550


def test_accounts_are_imported_with_their_names_there(platform, old, tmp_path):
    add(platform, old)
    rows = tmp_path / "accounts.csv"
    rows.write_text("address,legacy_user,quota\nbob@example.test,b17,1GB\ncarol@example.test,,\ncarol@example.test,,\n")
    done = platform.run("account", "import", "--legacy", "old", str(rows), check=False)
    assert done.returncode == 1 and "2 imported, 1 refused" in done.stdout and "line 4" in done.stdout
    bob = platform.json("account", "show", "bob@example.test")
    assert (bob["placement"], bob["legacy"], bob["came_from"], bob["legacy_user"]) == ("legacy", "old", "old", "b17")
    assert bob["quota_octets"] == 1 << 30 and bob["password"] == "none"
    assert "legacy_user" not in platform.json("account", "show", "carol@example.test")
    assert "--legacy" in refused(platform, "account", "add", "dora@example.test", "--legacy-user", "d1")
    assert "--password-stdin" in refused(platform, "account", "add", "dora@example.test", "--legacy", "old", "--password-stdin", input="x\n")


def test_a_platform_stays_while_accounts_name_it(platform, old):
    add(platform, old)
    platform.run("account", "add", "eve@example.test", "--legacy", "old")
    assert "eve@example.test" in refused(platform, "legacy", "rm", "old")
    platform.run("account", "rm", "eve@example.test")
    platform.run("legacy", "rm", "old")
    assert platform.json("legacy", "list")["platforms"] == []
    assert "no such legacy platform" in refused(platform, "legacy", "rm", "old")


def test_what_is_no_platform_is_refused(platform):
    for arguments, said in ((["Old", "--imap", "a.example:143"], "1 to 64"), (["old"], "IMAP or POP3"), (["old", "--imap", "a.example"], "port"),
                            (["old", "--imap", "a.example:143", "--tls", "ssl"], "starttls"), (["old", "--imap", "a b:143"], "not a host"),
                            (["old", "--imap", "a.example:143", "--smtp", "a.example:25", "--lmtp", "a.example:24"], "not by both"),
                            (["old", "--imap", "a.example:143", "--master", "m"], "--master-password-stdin"),
                            (["old", "--imap", "a.example:143", "--smtp", "a.example:25", "--ca-file", "/no/such/file"], "/no/such/file")):
        assert said in refused(platform, "legacy", "add", *arguments), arguments
    assert platform.run("legacy", "list").stdout.startswith("no legacy platforms")


def test_the_masters_password_is_never_shown(platform, old):
    secret = "8d1f5c0a-master"
    shown = [platform.run("legacy", "add", "old", "--imap", f"{old.host}:{old.imap_port}", "--lmtp", f"{old.host}:{old.lmtp_port},none", "--tls", "starttls",
                          "--no-verify", "--master", "mover", "--master-password-stdin", "--json", input=secret + "\n").stdout]
    row = platform.json("legacy", "list")["platforms"][0]
    assert row["master"] == {"user": "mover", "way": "format", "format": "%u*%m"}
    assert row["imap"] == {"address": f"{old.host}:{old.imap_port}", "tls": "starttls", "verify": False}
    assert row["lmtp"]["tls"] == "none"
    shown += [platform.run("legacy", "list").stdout, platform.run("legacy", "list", "--json").stdout]
    failed = platform.run("legacy", "add", "old", "--imap", "a b:1", "--master", "mover", "--master-password-stdin", input=secret + "\n", check=False)
    shown += [failed.stdout, failed.stderr, platform.log()]
    assert all(secret not in text for text in shown)
    platform.stop()
    for path in platform.dir.rglob("*"):
        if path.is_file() and secret.encode() in path.read_bytes():
            assert path.parent.name == "directory" and path.stat().st_mode & 0o077 == 0, path
