"""Mailboxes under the names that an account's clients have known elsewhere: "INBOX.Sent" is found where it was."""
import re

import pytest

import legacy
import relais

MESSAGE = b"Subject: hello\r\n\r\nbody\r\n"
OUR_OWN = ("Archive", "Drafts", "Junk", "Sent", "Trash")


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def listed(client, pattern, command="LIST"):
    """Separator and name of each."""
    kind, rows = client._simple_command(command, '""', quoted(pattern))
    assert kind == "OK", rows
    found = set()
    for row in client._untagged_response(kind, rows, command)[1]:
        if row is None:
            continue
        if isinstance(row, tuple):  # the name came as a literal
            row = row[0].rpartition(b" ")[0] + b" " + quoted(row[1].decode()).encode()
        separator, name = re.fullmatch(rb'\([^)]*\) (NIL|"(?:\\.|[^"])") (.*?)', row.rstrip()).groups()
        name = name.decode()
        if name.startswith('"'):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        found.add((separator.decode(), name))
    return found


def account_with_names(platform, local, prefix, separator):
    address = platform.add_account(local)
    client = platform.imap(address)
    for name in OUR_OWN:  # other platforms make none
        assert client.delete(name)[0] == "OK"
        assert client.unsubscribe(name)[0] == "OK"
    client.logout()
    platform.run("account", "names", address, "--prefix", prefix, "--separator", separator)
    return address


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


def test_imaplib(platform):
    address = account_with_names(platform, "dotted", "INBOX.", ".")
    client = platform.imap(address)
    assert ok(client.namespace()) == [b'(("INBOX." ".")) NIL NIL']
    ok(client.create("INBOX.Work.2026"))
    assert listed(client, "*") == {('"."', name) for name in ("INBOX", "INBOX.Work", "INBOX.Work.2026")}
    assert listed(client, "%") == {('"."', "INBOX")}
    ok(client.append("INBOX.Work.2026", r"(\Seen)", None, MESSAGE))
    ok(client.append("INBOX", None, None, MESSAGE))
    assert ok(client.status("INBOX.Work.2026", "(MESSAGES UIDNEXT)")) == [b"INBOX.Work.2026 (MESSAGES 1 UIDNEXT 2)"]
    ok(client.select("INBOX"))
    ok(client.copy("1", "INBOX.Work"))
    ok(client.rename("INBOX.Work", "INBOX.Play"))
    ok(client.subscribe("INBOX.Play.2026"))
    assert ('"."', "INBOX.Play.2026") in listed(client, "INBOX.Play*", "LSUB")
    assert ok(client.select("INBOX.Play.2026", readonly=True)) == [b"1"]
    kind, said = client.create("Elsewhere")
    assert kind == "NO" and said[0].startswith(b"[CANNOT]")
    ok(client.delete("INBOX.Play.2026"))
    client.logout()
    # The storage has its own names, and so has whoever administrates it.
    shown = platform.json("account", "show", address)
    assert sorted(row["name"] for row in shown["mailboxes"]) == ["INBOX", "Play"]
    assert shown["names"] == {"prefix": "INBOX.", "separator": ".", "example": "INBOX.Archive.2026"}
    assert "INBOX.Archive.2026" in platform.run("account", "show", address).stdout


def test_names_that_cannot_be_are_refused(platform):
    address = platform.add_account("refused")
    client = platform.imap(address)
    ok(client.create("v1.2"))
    for arguments, said in ((("--separator", "."), "v1.2"), (("--separator", "x"), "between levels"), (("--separator", ".."), "one character"),
                            (("--separator", ".", "--prefix", "INBOX"), "ends with"), ((), "separator")):
        done = platform.run("account", "names", address, *arguments, check=False)
        assert done.returncode != 0 and said in done.stdout + done.stderr, (arguments, done)
    assert "names" not in platform.json("account", "show", address)
    ok(client.rename("v1.2", "v1_2"))
    platform.run("account", "names", address, "--separator", ".")
    # Sessions that are open keep what they have told their client.
    assert ('"/"', "v1_2") in listed(client, "*")
    again = platform.imap(address)
    assert ('"."', "v1_2") in listed(again, "*")
    platform.run("account", "names", address, "--separator", "/")
    assert "names" not in platform.json("account", "show", address)
    client.logout()
    again.logout()


SETTINGS = {"dovecot-dots": (legacy.Dovecot, {"config": "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}\n"}), "dovecot": (legacy.Dovecot, {}),
            "cyrus": (legacy.Cyrus, {}), "cyrus-dots": (legacy.Cyrus, {"unixhierarchysep": "no"}),
            "cyrus-inbox": (legacy.Cyrus, {"unixhierarchysep": "no", "altnamespace": "no"}), "courier": (legacy.Courier, {})}


@pytest.mark.parametrize("which", SETTINGS)
def test_lists_are_those_of_the_platform(platform, tmp_path, which):
    make, settings = SETTINGS[which]
    with make(tmp_path / "old", **settings) as server:
        server.add_user("ada@example.test")
        there = server.imap("ada@example.test")
        said = ok(there.namespace())[0].decode()
        prefix, separator = re.match(r'\(\("([^"]*)" "(.)"', said).groups()
        address = account_with_names(platform, which, prefix, separator)
        here = platform.imap(address)
        assert ok(here.namespace())[0].decode().startswith(f'(("{prefix}" "{separator}")')
        for client in (there, here):
            for levels in (["Work"], ["Work", "2026"], ["Work", "2026", "Q1"], ["Entw&APw-rfe"], ["Entw&APw-rfe", "&U,BTFw-"], ["tom & co".replace("&", "&-")], ["Spam"]):
                name = quoted(prefix + separator.join(levels))
                ok(client.create(name))
                ok(client.subscribe(name))
            ok(client.unsubscribe(quoted(prefix + "Spam")))
            ok(client.subscribe("INBOX"))
        for pattern in ("*", "%", prefix + "%", prefix + "W%", prefix + "Work" + separator + "%", prefix + "%" + separator + "%", "*Q1", prefix + "Entw&APw-*", "INBOX", "Work"):
            assert listed(here, pattern) == listed(there, pattern), pattern
        assert listed(here, "*", "LSUB") == listed(there, "*", "LSUB")
        here.logout()
        there.logout()


def test_mbsync(platform, tmp_path):
    address = account_with_names(platform, "syncing", "INBOX.", ".")
    client = platform.imap(address)
    ok(client.create("INBOX.Work.2026"))
    ok(client.append("INBOX.Work.2026", r"(\Seen \Flagged)", None, b"Subject: in a folder\r\n\r\nx\r\n"))
    for n in range(5):
        platform.deliver(address, b"Subject: mail %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n" % (n, n, n))
    mbsync = relais.Mbsync(platform, address, tmp_path)
    local, sync = mbsync.local, mbsync.sync

    def mails(box):
        return [path for path in box.rglob("*") if path.is_file() and path.parent.name in ("new", "cur")]

    def picture():
        files = {str(path): path.stat().st_mtime_ns for path in mails(local)}
        return files, [ok(client.status(box, "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)")) for box in ("INBOX", "INBOX.Work.2026")]

    sync()
    assert len(mails(local / "INBOX")) == 5
    # The prefix is the namespace's, so it is none of the folder's name.
    assert list((local / "Work" / "2026" / "cur").glob("*:2,FS"))
    before = picture()
    sync()
    assert picture() == before
    # A folder made here becomes one there, below the prefix.
    for folder in ("cur", "new", "tmp"):
        (local / "New" / "Box" / folder).mkdir(parents=True)
    (local / "New" / "Box" / "new" / "1.local.host").write_text("Subject: made here\n\nlocal body\n")
    sync()
    assert ok(client.status("INBOX.New.Box", "(MESSAGES)")) == [b"INBOX.New.Box (MESSAGES 1)"]
    before = picture()
    sync()
    assert picture() == before
    client.logout()
