"""Legacy platforms by commands: told of once, used at once, their secrets never shown."""
import json

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


def test_the_test_of_a_platform_dials_each_service(platform, old):
    address = old.add_user("tested@example.test")
    old.deliver(address, MESSAGE.format(address, "there"))
    master = ["--master", old.master_user, "--master-password-stdin"]
    services = ["--imap", f"{old.host}:{old.imap_port}", "--pop3", f"{old.host}:{old.pop3_port}", "--lmtp", f"{old.host}:{old.lmtp_port}", "--tls", "none"]
    platform.run("legacy", "add", "old", *services, *master, input=old.master_password + "\n")
    assert "no account is known to live there" in refused(platform, "legacy", "test", "old")
    platform.run("account", "add", address, "--legacy", "old")

    done = platform.run("legacy", "test", "old")
    assert "ready for a migration" in done.stdout and old.master_password not in done.stdout
    found = platform.json("legacy", "test", "old", address)
    assert found["good"] and found["account"] == address
    imap, pop3, lmtp = found["services"]
    assert (imap["service"], imap["tls"], imap["problems"]) == ("imap", "none", [])
    assert {"QRESYNC", "UIDPLUS", "IDLE"} <= set(imap["capabilities"]) and any("INBOX: 1 messages" in fact for fact in imap["facts"])
    assert "UIDL" in pop3["capabilities"] and "maildrop: 1 messages" in pop3["facts"]
    assert lmtp["facts"] == [f"takes mail for {address}"]
    assert old.imap(address).select("INBOX")[1] == [b"1"], "nothing has changed there"

    platform.run("legacy", "add", "old", *services, *master, input="another secret\n")
    done = platform.run("legacy", "test", "old", check=False)
    assert done.returncode == 1 and "something is missing" in done.stdout and "another secret" not in done.stdout + done.stderr + platform.log()
    found = platform.run("legacy", "test", "old", "--json", check=False)
    assert found.returncode == 1 and "AUTHENTICATIONFAILED" in found.stdout

    nobody = relais.free_base_port()
    platform.run("legacy", "add", "old", "--imap", f"{old.host}:{nobody}", "--lmtp", f"{old.host}:{nobody}", "--tls", "none", *master, input="x\n")
    done = platform.run("legacy", "test", "old", check=False)
    assert done.returncode == 1 and done.stdout.count("  ! ") == 2
    platform.run("legacy", "add", "old", "--imap", f"{old.host}:{old.imap_port}", "--tls", "none")
    done = platform.run("legacy", "test", "old", check=False)
    assert done.returncode == 1 and "no master user" in done.stdout and "takes no mail" in done.stdout


def test_the_test_of_a_platform_checks_its_certificates(platform, tmp_path):
    with legacy.dovecot(tmp_path / "tls", tls="starttls") as server:
        address = server.add_user("ada@example.test")
        services = ["--imap", f"{server.host}:{server.imap_port}", "--pop3", f"{server.host}:{server.pop3_port}", "--lmtp", f"{server.host}:{server.lmtp_port},none"]
        master = ["--master", server.master_user, "--master-way", "authzid", "--master-password-stdin"]

        def test(*more):
            platform.run("legacy", "add", "old", *services, *master, *more, input=server.master_password + "\n")
            return platform.run("legacy", "test", "old", address, check=False)

        platform.run("legacy", "add", "old", *services)
        platform.run("account", "add", address, "--legacy", "old")
        assert test().returncode == 1, "nobody knows who made that certificate"
        trusted = test("--ca-file", str(server.authority.certificate))
        assert trusted.returncode == 0 and "TLSv1" in trusted.stdout, trusted.stdout
        assert trusted.stdout.count("a user that cannot exist is refused") == 2, "by IMAP and POP3"
        assert test("--no-verify").returncode == 0


def test_a_cyrus_administrator_logs_in_as_its_users(platform, tmp_path):
    with legacy.cyrus(tmp_path / "cyrus") as server:
        address = server.add_user("ada@example.test")
        platform.run("legacy", "add", "cyrus", "--imap", f"{server.host}:{server.imap_port}", "--pop3", f"{server.host}:{server.pop3_port}",
                     "--lmtp", f"{server.host}:{server.lmtp_port}", "--tls", "none",
                     "--master", server.master_user, "--master-way", "cyrus", "--master-password-stdin", input=server.master_password + "\n")
        platform.run("account", "add", address, "--legacy", "cyrus")
        done = platform.run("legacy", "test", "cyrus", check=False)
        assert done.returncode == 0, done.stdout
        assert done.stdout.count("a user that cannot exist is refused") == 2, done.stdout
        with server.imap_connection() as client:
            client.login(server.admin_user, server.admin_password)
            mailboxes = [line.decode().split()[-1] for line in client.list()[1]]
        assert mailboxes == [f"user/{address}"], "it makes mailboxes at the first login"


@pytest.mark.parametrize("way", ["authzid", "cyrus"])
def test_a_master_whose_own_mailbox_opens_is_none(platform, tmp_path, way):
    with legacy.courier(tmp_path / "courier", tls="implicit") as server:
        address, master = server.add_user("ada@example.test"), server.add_user("mover@example.test")
        server.deliver(master, MESSAGE.format(master, "private"))
        platform.run("legacy", "add", "old", "--imap", f"{server.host}:{server.imap_port}", "--pop3", f"{server.host}:{server.pop3_port}", "--tls", "implicit",
                     "--ca-file", str(server.authority.certificate), "--master", master, "--master-way", way, "--master-password-stdin",
                     input=server.passwords[master] + "\n")
        platform.run("account", "add", address, "--legacy", "old")
        done = platform.run("legacy", "test", "old", "--json", check=False)
        assert done.returncode == 1, done.stdout
        services = {service["service"]: service for service in json.loads(done.stdout)["services"]}
        assert any("INBOX: 1 messages" in fact for fact in services["imap"]["facts"]), "Courier ignores whom the master asks for"
        for name in ("imap", "pop3"):
            assert ["cannot exist: what opens is the master's own mailbox" in problem for problem in services[name]["problems"]] == [True], services[name]
