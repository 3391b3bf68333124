"""The command line: with a running platform and directly on the data, for people and for scripts."""
import base64
import crypt
import ctypes
import hashlib
import hmac
import imaplib
import json
import smtplib
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


# What other platforms have in their tables, each for the password "geheim" (made with doveadm pw, htpasswd, openssl passwd, slappasswd).
def existing_hashes():
    password, salt = b"geheim", b"saltsalt"

    def openssl(kind):
        return subprocess.run(["openssl", "passwd", kind, "-salt", "saltsalt", "geheim"], capture_output=True, text=True, check=True).stdout.strip()

    def argon2id(password, salt):
        encoded, size = ctypes.create_string_buffer(200), ctypes.c_size_t
        assert ctypes.CDLL("libargon2.so.1").argon2id_hash_encoded(2, 64, 1, password, size(len(password)), salt, size(len(salt)), size(32), encoded, size(200)) == 0
        return encoded.value.decode()

    def b64(octets):
        return base64.b64encode(octets).decode()

    def digest(name, tail=b""):
        return hashlib.new(name, password + tail).digest() + tail

    salted = hashlib.pbkdf2_hmac("sha256", password, salt, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    scram = f"4096,{b64(salt)},{b64(hashlib.sha256(client_key).digest())},{b64(hmac.digest(salted, b'Server Key', 'sha256'))}"
    return {
        "plain": "{PLAIN}geheim",
        "cleartext": "{CLEARTEXT}geheim",
        "md5-crypt": "{MD5-CRYPT}" + openssl("-1"),
        "md5-crypt-bare": openssl("-1"),
        "sha256-crypt": "{SHA256-CRYPT}" + openssl("-5"),
        "sha512-crypt": "{SHA512-CRYPT}" + openssl("-6"),
        "sha512-crypt-bare": openssl("-6"),
        "crypt": "{CRYPT}" + openssl("-6"),
        "blf-crypt": "{BLF-CRYPT}" + crypt.crypt("geheim", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)),
        "des-crypt": "{CRYPT}" + crypt.crypt("geheim", "ab"),
        "argon2id": "{ARGON2ID}" + argon2id(password, salt),
        "argon2id-bare": argon2id(password, salt),
        "ssha": "{SSHA}" + b64(digest("sha1", salt)),
        "ssha256": "{SSHA256}" + b64(digest("sha256", salt)),
        "ssha512": "{SSHA512}" + b64(digest("sha512", salt)),
        "ssha512-hex": "{SSHA512.HEX}" + digest("sha512", salt).hex(),
        "smd5": "{SMD5}" + b64(digest("md5", salt)),
        "sha": "{SHA}" + b64(digest("sha1")),
        "sha256": "{SHA256}" + b64(digest("sha256")),
        "sha512": "{SHA512}" + b64(digest("sha512")),
        "plain-md5": "{PLAIN-MD5}" + digest("md5").hex(),
        "ldap-md5": "{LDAP-MD5}" + b64(digest("md5")),
        "pbkdf2": "{PBKDF2}$1$saltsalt$1000$" + hashlib.pbkdf2_hmac("sha1", password, salt, 1000).hex(),
        "scram": "{SCRAM-SHA-256}" + scram,
    }


def test_import_of_every_scheme(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        hashes = existing_hashes()
        rows = "email,password\n" + "".join(f'{name}@example.test,"{value}"\n' for name, value in hashes.items())
        file = tmp_path / "accounts.csv"
        file.write_text(rows)
        assert platform.json("account", "import", str(file)) == {"imported": len(hashes), "failed": []}
        for name in hashes:
            with pytest.raises(imaplib.IMAP4.error):
                platform.imap(f"{name}@example.test", "gehei")
            platform.imap(f"{name}@example.test", "geheim").logout()
        # Again: each row says why it was not taken.
        done = platform.run("account", "import", str(file), "--json", check=False)
        assert done.returncode == 1
        result = json.loads(done.stdout)
        assert result["imported"] == 0 and len(result["failed"]) == len(hashes) and "exists already" in result["failed"][0]["error"]


def test_import_says_what_is_wrong(either):
    for text, code, named in (("", 2, "empty"), ("name,hash\na,b\n", 2, "address"), ("address,quota\na@example.test,much\n", 2, "line 2"),
                              ('address\n"a@example.test\n', 2, "line 2"), ("address,password_hash\na@example.test,{ROT13}x\n", 1, "ROT13"),
                              ("address,password_hash\na@example.test,{SSHA}short\n", 1, "SSHA"), ("address,password_hash\na@example.test,geheim\n", 1, "{PLAIN}")):
        done = either.run("account", "import", "-", input=text, check=False)
        assert done.returncode == code and named in done.stdout + done.stderr, (text, done)
    assert either.run("account", "import", "/does/not/exist.csv", check=False).returncode == 1
    assert either.json("account", "list")["accounts"] == []


def test_every_command_speaks_json(either):
    for args, wanted in ((["domain", "add", "b.example"], {"domain": "b.example", "added": True}),
                         (["account", "add", "ada@b.example", "--password-stdin"], {"address": "ada@b.example", "has_password": True}),
                         (["account", "list"], {}),
                         (["account", "show", "ada@b.example"], {"enabled": True}),
                         (["account", "passwd", "ada@b.example", "--password-stdin"], {"changed": True}),
                         (["account", "quota", "ada@b.example", "1GB"], {"quota_octets": 1 << 30}),
                         (["account", "disable", "ada@b.example"], {"enabled": False}),
                         (["account", "enable", "ada@b.example"], {"enabled": True}),
                         (["alias", "add", "@b.example", "ada@b.example"], {"added": True}),
                         (["alias", "list", "--domain", "b.example"], {"aliases": [{"address": "@b.example", "targets": ["ada@b.example"]}]}),
                         (["domain", "list"], {}),
                         (["alias", "rm", "@b.example"], {"removed": True}),
                         (["account", "rm", "ada@b.example"], {"removed": True}),
                         (["domain", "rm", "b.example"], {"removed": True}),
                         (["storage", "check"], {"problems": []}), (["storage", "stats"], {}), (["storage", "compact"], {}), (["config", "check"], {"valid": True})):
        answer = either.json(*args, input="a good password\n")
        assert wanted.items() <= answer.items(), (args, answer)
    for args in (["version"], ["help"], ["help", "account", "add"], ["config", "defaults"]):
        json.loads(either.run(*args, "--json", with_dir=False).stdout)
    # And so do their refusals.
    for args, code in ((["domain", "add", "example.test"], 1), (["domain", "rm", "nowhere.example"], 1), (["account", "passwd", "x@example.test", "--password-stdin"], 1),
                       (["account", "disable", "x@example.test"], 1), (["account", "quota", "x@example.test", "1"], 1), (["alias", "rm", "x@example.test"], 1),
                       (["alias", "add", "x@nowhere.example", "y@example.test"], 1), (["alias", "add", "x@example.test", "no address"], 2)):
        done = either.run(*args, "--json", input="a good password\n", check=False)
        error = json.loads(done.stdout)
        assert done.returncode == code and error["error"] and error["fault"] in ("refused", "syntax"), (args, done)
    for args in (["account", "add", "y@example.test", "--password-stdin"], ["account", "passwd", "y@example.test", "--password-stdin"]):
        assert "empty" in either.run(*args, input="\n", check=False).stderr
    assert either.run("account", "show", "y@example.test", check=False).returncode == 1


def test_a_directory_that_is_no_platform(tmp_path):
    for args in (["account", "list", "--dir", str(tmp_path)], ["serve", str(tmp_path)]):
        done = subprocess.run([relais.BINARY, *args], capture_output=True, text=True)
        assert done.returncode == 1 and "relais init" in done.stderr, done
    done = subprocess.run([relais.BINARY, "account", "list"], capture_output=True, text=True, env={"PATH": "/usr/bin"})
    assert done.returncode == 2 and "--dir" in done.stderr, done


def delivered(platform, account):
    client = platform.imap(account)
    count = int(client.select("INBOX")[1][0])
    client.logout()
    return count


def test_aliases_catch_all_and_tags_in_use(tmp_path):
    with relais.running(tmp_path / "p") as platform:
        ada, bob = platform.add_account("ada"), platform.add_account("bob")
        message = b"Subject: x\r\n\r\nx\r\n"
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            platform.deliver("anybody@example.test", message)
        platform.run("alias", "add", "both@example.test", ada, bob)
        platform.run("alias", "add", "@example.test", bob)
        for recipient, to_ada, to_bob in (("ada+news@example.test", 1, 0), ("ADA+a+b@Example.Test", 1, 0), ("anybody@example.test", 0, 1),
                                          ("anybody+tag@example.test", 0, 1), ("both@example.test", 1, 1), ("both+x@example.test", 1, 1)):
            before = delivered(platform, ada), delivered(platform, bob)
            platform.deliver(recipient, message)
            assert (delivered(platform, ada) - before[0], delivered(platform, bob) - before[1]) == (to_ada, to_bob), recipient
        platform.run("alias", "rm", "@example.test")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            platform.deliver("anybody@example.test", message)


def test_init_takes_a_numeric_address_alone(tmp_path):
    done = subprocess.run([relais.BINARY, "init", str(tmp_path / "p"), "--listen", "mail.example.test"], capture_output=True, text=True)
    assert done.returncode == 2 and "numeric" in done.stderr and not (tmp_path / "p").exists()


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
