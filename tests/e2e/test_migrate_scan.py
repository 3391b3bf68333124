"""`relais migrate scan`: what accounts on real legacy servers have, and what will be hard to move; nothing changes there."""
import csv
import io
import re

import pytest

import legacy
import relais

ADA, BOB, CAROL = (f"{name}@example.test" for name in ("ada", "bob", "carol"))


def message(number, size=400):
    head = f"From: someone@elsewhere.test\r\nSubject: number {number}\r\n\r\n"
    return (head + "x" * 70 + "\r\n" + "line\r\n" * (size // 6)).encode()


def add_legacy(platform, server, name="old", **master):
    """Courier knows no master: one password for all accounts stands for what its administrator would set up."""
    way = master or ({"user": server.master_user, "password": server.master_password, "way": "cyrus" if server.name == "cyrus" else "authzid"} if server.master_user
                     else {"user": "all", "password": legacy.PASSWORD, "way": "format"})
    arguments = ["--imap", f"{server.host}:{server.imap_port}", "--tls", "none",
                 "--master", way["user"], "--master-way", way["way"], "--master-password-stdin"]
    platform.run("legacy", "add", name, *arguments, *(["--master-format", "%u"] if way["way"] == "format" else []), input=way["password"] + "\n")


def seen_there(server, address):
    """What a client can see of the account that a reader might have changed."""
    with server.imap(address) as client:
        names = sorted(line.decode() for line in client.list()[1])
        state = []
        for name in ("INBOX", server.prefix + "Work"):
            client.select(f'"{name}"', readonly=True)
            state.append(client.fetch("1:*", "(UID FLAGS)")[1])
            state.append([part for part in client.status(f'"{name}"', "(MESSAGES UIDNEXT UIDVALIDITY RECENT UNSEEN)")[1]])
        return names, state


@pytest.fixture(scope="module", params=legacy.ALL, ids=lambda make: make.name)
def server(request, tmp_path_factory):
    with request.param(tmp_path_factory.mktemp("legacy") / "server") as server:
        server.add_users([ADA, BOB, CAROL])
        server.append(ADA, *(message(i) for i in range(12)))
        server.append(ADA, message(20, 60_000), message(21, 90_000), mailbox=server.prefix + "Work", flags=r"(\Seen)")
        server.append(BOB, message(1), flags=r"(\Flagged)")
        yield server


@pytest.fixture(scope="module")
def listed(server, platform):
    add_legacy(platform, server, server.name)
    for address in (ADA, BOB, CAROL):
        if platform.run("account", "show", address, check=False).returncode == 0:
            platform.run("account", "rm", address)
        platform.run("account", "add", address, "--legacy", server.name)
    return platform


def verdict(codes):
    """Of these accounts there is nothing to say; but on a machine that is busy enough a freeze would be noticed."""
    return "amber" if "long-freeze" in codes else "green"


def test_scan(server, listed):
    before = seen_there(server, ADA)
    done = listed.run("migrate", "scan", server.name, "--json")
    assert seen_there(server, ADA) == before, "nothing has changed there"
    result = relais.json.loads(done.stdout)
    assert result["failed"] == [] and not result["stopped"]
    rows = {row["address"]: row for row in result["accounts"]}
    assert set(rows) == {ADA, BOB, CAROL}
    ada = rows[ADA]
    assert ada["messages"] == 14 and ada["mailboxes"] >= 2
    sizes = [len(message(i)) for i in range(12)] + [len(message(20, 60_000)), len(message(21, 90_000))]
    assert ada["octets"] == sum(sizes) and ada["largest_octets"] == max(sizes)
    assert ada["messages_per_day"] == 0.5 and abs(ada["octets_per_day"] - sum(sizes) / 28) < 1
    assert ada["copy_seconds"] > 0 and ada["freeze_ms"] >= 50
    for row in rows.values():
        assert row["verdict"] == verdict([finding["code"] for finding in row["findings"]]), row["findings"]
    assert rows[CAROL]["messages"] == 0
    codes = {finding["code"] for finding in ada["findings"]}
    assert ("slow-delta" in codes) == (not server.has_qresync)
    totals = result["totals"]
    assert (totals["accounts"], totals["green"] + totals["amber"], totals["messages"]) == (3, 3, 15)
    assert totals["octets"] == sum(row["octets"] for row in rows.values())

    text = listed.run("migrate", "scan", server.name, ADA).stdout
    assert re.search(rf"^{ADA} +(green|amber) +{ada['mailboxes']} +14 ", text, re.M)
    assert re.search("1 accounts: (1 green, 0 amber|0 green, 1 amber), 0 red; 0 not read", text)
    rows = list(csv.DictReader(io.StringIO(listed.run("migrate", "scan", server.name, "--csv").stdout)))
    assert sorted((row["address"], row["messages"]) for row in rows) == [(ADA, "14"), (BOB, "1"), (CAROL, "0")]
    assert all(row["verdict"] == verdict(row["findings"].split()) for row in rows)


def test_scan_without_a_running_platform(server, listed):
    listed.stop()
    try:
        result = listed.json("migrate", "scan", server.name, BOB)
    finally:
        listed.start()
    assert [(row["address"], row["messages"]) for row in result["accounts"]] == [(BOB, 1)]


@pytest.fixture
def own(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        yield platform


def test_what_will_be_hard(own, tmp_path):
    """Findings of a Dovecot: shared mailboxes, rights of others, keywords, quotas."""
    config = """
mail_plugins = acl quota
namespace inbox {
  inbox = yes
  separator = /
}
namespace shared {
  type = shared
  separator = /
  prefix = shared/%%u/
  location = maildir:/mnt/mail/%%u/Maildir
  list = children
  subscriptions = no
}
plugin {
  acl = vfile
  acl_user = %u
  acl_shared_dict = file:/mnt/mail/shared-mailboxes
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=1M
}
protocol imap {
  mail_plugins = acl imap_acl quota imap_quota
}
"""
    with legacy.dovecot(tmp_path / "server", config=config) as server:
        server.add_users([ADA, BOB])
        server.append(ADA, message(1), mailbox="Team")
        with server.imap(ADA) as client:
            assert client.setacl("Team", BOB, "lrs")[0] == "OK"
            client.create("Tagged")
            client.append("Tagged", "", None, message(2))
            client.append("Tagged", "", None, message(3))
            client.select("Tagged")
            for first in (0, 30):
                assert client.store(str(1 + first // 30), "+FLAGS", "(" + " ".join(f"word{i}" for i in range(first, first + 30)) + ")")[0] == "OK"
            client.create("Caf&AOk-")
            client.create("Cafe&AwE-")
        add_legacy(own, server)
        own.run("account", "add", ADA, "--legacy", "old")
        own.run("account", "add", BOB, "--legacy", "old", "--quota", "1KB")
        server.append(BOB, message(4, 5_000))

        done = own.run("migrate", "scan", "old", "--json")
        rows = {row["address"]: row for row in relais.json.loads(done.stdout)["accounts"]}
        ada = {(finding["code"], finding.get("mailbox")) for finding in rows[ADA]["findings"]}
        assert ("shared-by-user", "Team") in ada and ("keywords-dropped", "Tagged") in ada, ada
        assert any(code == "name-clash" for code, _ in ada) and rows[ADA]["verdict"] == "red"
        bob = {(finding["code"], finding.get("mailbox")) for finding in rows[BOB]["findings"]}
        assert ("above-quota", None) in bob and ("shared-mailbox", f"shared/{ADA}/Team") in bob, bob
        assert rows[BOB]["verdict"] == "amber"
        text = own.run("migrate", "scan", "old").stdout
        assert text.index(ADA) < text.index(BOB), "the worst come first"
        assert f"{BOB}: amber: has 1 MB" in text


def test_accounts_that_cannot_be_read(own, tmp_path):
    with legacy.dovecot(tmp_path / "server") as server:
        server.add_users([ADA, CAROL])
        server.append(ADA, message(1))
        add_legacy(own, server)
        for address in (ADA, BOB, CAROL):
            own.run("account", "add", address, "--legacy", "old")
        done = own.run("migrate", "scan", "old", "--json", check=False)
        assert done.returncode == 1
        result = relais.json.loads(done.stdout)
        assert [row["address"] for row in result["accounts"]] == [ADA, CAROL] and not result["stopped"]
        assert [row["address"] for row in result["failed"]] == [BOB] and result["failed"][0]["error"], "nobody there"
        assert f"{BOB}: not read: " in own.run("migrate", "scan", "old", check=False).stdout
        assert f"{BOB},failed," in own.run("migrate", "scan", "old", "--csv", check=False).stdout
        assert own.run("migrate", "scan", "old", "nobody@example.test", check=False).returncode == 1

        # A wrong password of the master is not tried on everybody.
        add_legacy(own, server, user=server.master_user, password="another secret", way="authzid")
        rows = tmp_path / "accounts.csv"
        rows.write_text("address\n" + "".join(f"user{i}@example.test\n" for i in range(60)))
        own.run("account", "import", "--legacy", "old", str(rows))
        done = own.run("migrate", "scan", "old", "--json", check=False)
        result = relais.json.loads(done.stdout)
        assert done.returncode == 1 and result["stopped"] and len(result["failed"]) == 50
        assert "another secret" not in done.stdout + done.stderr + own.log()


def test_what_cannot_be_scanned(own):
    done = own.run("migrate", "scan", "nowhere", check=False)
    assert done.returncode == 1 and "no legacy platform" in done.stderr
    own.run("legacy", "add", "old", "--imap", "192.0.2.1:143")
    done = own.run("migrate", "scan", "old", ADA, check=False)
    assert done.returncode == 1 and "no master user" in done.stderr
    assert own.run("migrate", "scan", "old", "--connections", "0", check=False).returncode == 2
