"""The command line: with a running platform and directly on the data, for people and for scripts."""
import json
import subprocess

import pytest

import relais


@pytest.fixture(params=["running", "stopped"])
def either(request, tmp_path):
    """The same commands, once through the local socket and once directly on the data."""
    platform = relais.Platform(tmp_path / "p").init()
    if request.param == "running":
        platform.start()
    yield platform
    if platform.process:
        platform.stop()


def test_domains_accounts_aliases(either):
    either.run("domain", "add", "Second.Example")
    assert {row["domain"] for row in either.json("domain", "list")["domains"]} == {"example.test", "second.example"}
    ada = either.add_account("ada")
    either.run("account", "add", "bob@second.example")
    assert [row["address"] for row in either.json("account", "list", "--domain", "second.example")["accounts"]] == ["bob@second.example"]
    shown = either.json("account", "show", ada)
    assert shown["enabled"] and shown["has_password"] and shown["placement"] == "shard"
    assert {row["name"] for row in shown["mailboxes"]} >= {"INBOX"}
    either.run("alias", "add", "info@example.test", ada, "bob@second.example")
    assert either.json("alias", "list")["aliases"] == [{"address": "info@example.test", "targets": [ada, "bob@second.example"]}]
    either.run("account", "disable", ada)
    assert not either.json("account", "show", ada)["enabled"]
    either.run("account", "enable", ada)
    either.run("alias", "rm", "info@example.test")
    either.run("account", "rm", ada)
    assert either.run("account", "show", ada, check=False).returncode == 1
    assert either.run("domain", "rm", "second.example", check=False).returncode == 1  # bob is still there
    either.run("account", "rm", "bob@second.example")
    either.run("domain", "rm", "second.example")


def test_errors_say_what_to_do(either):
    for args, code in ((["account", "add", "ada@nowhere.example"], 1), (["account", "add", "not an address"], 2), (["account", "rm", "x@example.test"], 1),
                       (["frobnicate"], 2), (["account", "add"], 2), (["account", "list", "--frobnicate"], 2)):
        done = either.run(*args, check=False)
        assert done.returncode == code, (args, done)
        assert done.stderr.startswith("relais: ") and len(done.stderr) > 20, done.stderr
    done = either.run("account", "rm", "x@example.test", "--json", check=False)
    assert json.loads(done.stdout)["fault"] == "refused"


def test_import_of_existing_hashes(either):
    sha512 = subprocess.run(["openssl", "passwd", "-6", "geheim"], capture_output=True, text=True, check=True).stdout.strip()
    rows = f'address,password_hash,quota\nc1@example.test,{{SHA512-CRYPT}}{sha512},1GB\n"c2@example.test",{sha512},\nc3@example.test,{{PLAIN}}geheim,0\nbroken,x,0\n'
    done = either.run("account", "import", "-", "--json", input=rows, check=False)
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["imported"] == 3 and [row["line"] for row in result["failed"]] == [5]
    if not either.process:
        either.start()
    for n in (1, 2, 3):
        either.imap(f"c{n}@example.test", "geheim").logout()
        with pytest.raises(Exception):
            either.imap(f"c{n}@example.test", "Geheim")


def test_storage_commands(either):
    either.add_account("ada")
    assert either.json("storage", "check")["problems"] == []
    assert len(either.json("storage", "stats")["shards"]) >= 1
    assert either.json("storage", "compact")["freed_octets"] >= 0


def test_help_and_version(tmp_path):
    for args in (["help"], ["help", "account", "add"], ["account", "add", "--help"], ["version"], ["config", "defaults"]):
        done = subprocess.run([relais.BINARY, *args], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout, (args, done)
    assert subprocess.run([relais.BINARY, "help", "nonsense"], capture_output=True).returncode == 2


def test_init_refuses_what_is_there(tmp_path):
    (tmp_path / "file").write_text("mine")
    done = subprocess.run([relais.BINARY, "init", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1 and (tmp_path / "file").read_text() == "mine"


def test_two_platforms_never_share_a_directory(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        done = subprocess.run([relais.BINARY, "serve", str(platform.dir)], capture_output=True, text=True)
        assert done.returncode == 3 and "runs already" in done.stderr


def test_a_wrong_configuration_is_named_by_line(tmp_path):
    platform = relais.Platform(tmp_path / "p").init()
    config = platform.dir / "relais.toml"
    text = config.read_text()
    config.write_text(text + "\n[imap]\nfrobnicate = 1\n")
    done = platform.run("config", "check", check=False)
    line = (text + "\n[imap]\n").count("\n") + 1
    assert done.returncode == 1 and f"relais.toml:{line}" in done.stderr and "frobnicate" in done.stderr, done.stderr


def test_a_changed_password_ends_the_old_one_at_once(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        ada = platform.add_account("ada")
        platform.imap(ada).logout()
        platform.run("account", "passwd", ada, "--password-stdin", input="another\n")
        with pytest.raises(Exception):
            platform.imap(ada)
        platform.imap(ada, "another").logout()
        platform.run("account", "disable", ada)
        with pytest.raises(Exception):
            platform.imap(ada, "another")
