"""DKIM and ARC beside other implementations: what Relais signs, dkimpy and OpenDKIM accept, and the other way round."""
import base64
import os
import pathlib
import random
import subprocess
import sys

import dkim
import pytest

import relais
from internet import ROOT
from milter import Milter

TOOL = os.environ.get("RELAIS_SIGNING_TOOL") or str(pathlib.Path(os.environ.get("RELAIS_BINARY", "build/dev/admin/relais")).parents[1] / "tests" / "signing_tool")
DOMAIN = "example.org"
NAMESPACE = os.path.join(os.path.dirname(__file__), "dns_namespace.py")

DATE = b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
MESSAGES = {
    "plain": DATE + b"From: Ann <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Hello\r\n"
    b"Message-ID: <m1@example.org>\r\n\r\nHello Bob\r\n",
    "folded": DATE + b"Received: from x\r\n\tby y; z\r\nFrom:  Ann\r\n  <ann@example.org>  \r\nTo: bob@example.net,\r\n\tcarol@example.net\r\nSubject:\r\n odd\t\r\n\r\n \t a  b \r\n\r\n\r\n",
    "empty": DATE + b"From: ann@example.org\r\n\r\n",
    "no-last-line-end": DATE + b"From: ann@example.org\r\nSubject: x\r\n\r\nbody",
    "only-line-ends": DATE + b"From: ann@example.org\r\n\r\n\r\n\r\n\r\n",
    "doubled": b"From: ann@example.org\r\nSubject: 1\r\nSubject: 2\r\nTo: a@b.test\r\nTo: c@d.test\r\n\r\nx\r\n",
    "eight-bit": DATE + "From: \u00c4nn <ann@example.org>\r\nSubject: \u00fc\r\n\r\nGr\u00fc\u00dfe\r\n".encode(),
    "long": DATE + b"From: ann@example.org\r\nReferences: " + b" ".join(b"<%d@example.org>" % i for i in range(300)) + b"\r\n\r\n" + b"line of text \r\n" * 20_000,
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """The command-line arguments of an RSA and an Ed25519 key, and the DNS that has both, as a file and as a dictionary."""
    folder = tmp_path_factory.mktemp("keys")
    records = {}
    arguments = {}
    for algorithm in ("rsa", "ed25519"):
        pem = folder / f"{algorithm}.pem"
        line = run("key", DOMAIN, algorithm, algorithm, str(pem)).decode()
        name, value = line.strip().split(" ", 1)
        records[name] = value
        arguments[algorithm] = [DOMAIN, algorithm, algorithm, str(pem)]
    dns = folder / "records"
    dns.write_text("".join(f"{name} {value}\n" for name, value in records.items()))
    return arguments, records, dns


def run(*arguments, message=b""):
    done = subprocess.run([TOOL, *arguments], input=message, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def lookup(records):
    def answer(name, timeout=5):
        return records.get(name.decode().rstrip("."), "").encode() or None

    return answer


def ours(message, dns):
    """(outcomes of the signatures, status of the chain) as Relais finds them."""
    lines = [line.split(" ") for line in run("verify", str(dns), message=message).decode().splitlines()]
    return [line[1] for line in lines if line[0] == "dkim"], next(line[1] for line in lines if line[0] == "arc")


def edwards_seed(pem):
    """What dkimpy wants of an Ed25519 key: the 32 octets in base64."""
    der = base64.b64decode("".join(line for line in pathlib.Path(pem).read_text().splitlines() if "-" not in line))
    return base64.b64encode(der[-32:])


@pytest.mark.parametrize("name", MESSAGES)
def test_dkimpy_accepts_ours(keys, name):
    arguments, records, dns = keys
    signed = run("sign", *arguments["rsa"], *arguments["ed25519"], message=MESSAGES[name])
    assert signed.endswith(MESSAGES[name]) and signed.startswith(b"DKIM-Signature: ")
    for index in (0, 1):
        checker = dkim.DKIM(signed)
        assert checker.verify(idx=index, dnsfunc=lookup(records)), (name, index)
    assert ours(signed, dns) == (["pass", "pass"], "none")


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])
def test_ours_accept_dkimpy(keys, name, form):
    arguments, _, dns = keys
    canonicalize = tuple(part.encode() for part in form.split("/"))
    for algorithm, key in (("rsa", pathlib.Path(arguments["rsa"][3]).read_bytes()), ("ed25519", edwards_seed(arguments["ed25519"][3]))):
        header = dkim.sign(MESSAGES[name], algorithm.encode(), DOMAIN.encode(), key, canonicalize=canonicalize, signature_algorithm=f"{algorithm}-sha256".encode())
        assert ours(header + MESSAGES[name], dns) == (["pass"], "none"), (name, form, algorithm)


def test_changed_messages_are_told_alike(keys):
    """Random changes of one octet: dkimpy and Relais agree whether the signature still holds."""
    arguments, records, dns = keys
    signed = run("sign", *arguments["ed25519"], message=MESSAGES["folded"])
    rng = random.Random(20260101)
    disagreements = []
    for _ in range(150):
        at = rng.randrange(len(signed))
        changed = signed[:at] + bytes([rng.choice(b" \tabxyz;=:0189,<>")]) + signed[at + 1 :]
        try:
            theirs = dkim.DKIM(changed).verify(dnsfunc=lookup(records))
        except dkim.MessageFormatError:
            theirs = None  # what is no header field to it is one that is not signed to us
        except (dkim.DKIMException, ValueError):  # the latter from its base64, for a signature that is none any more
            theirs = False
        mine = ours(changed, dns)[0] == ["pass"]
        if mine != theirs:
            disagreements.append((at, signed[max(0, at - 20) : at + 20], changed[at : at + 1], mine, theirs))
    # One of both may be stricter about what is malformed; none may take for good what the other finds changed.
    assert not [d for d in disagreements if d[3] and d[4] is False], disagreements
    assert len([d for d in disagreements if d[4]]) <= 3, disagreements


def arc_set(message, arguments):
    """One more ARC set by dkimpy, whose cv= is what the message's Authentication-Results field says of arc."""
    key = pathlib.Path(arguments["rsa"][3]).read_bytes()
    fields = dkim.arc_sign(message, b"rsa", DOMAIN.encode(), key, b"mx.example.org")
    return b"".join(fields) + message


def test_dkimpy_accepts_our_chains(keys):
    arguments, records, dns = keys
    message = run("sign", *arguments["rsa"], message=MESSAGES["plain"])
    for instance in range(1, 4):
        message = run("seal", str(dns), "mx.example.org; spf=pass smtp.mailfrom=ann@example.org; dkim=pass header.d=example.org; arc=none", *arguments["rsa"], message=message)
        cv, results, reason = dkim.ARC(message).verify(dnsfunc=lookup(records))
        assert cv == dkim.CV_Pass, (instance, reason)
        assert len(results) == instance
        assert ours(message, dns) == (["pass"], "pass")
    cv, _, _ = dkim.ARC(message.replace(b"Hello Bob", b"Hello Rob")).verify(dnsfunc=lookup(records))
    assert cv == dkim.CV_Fail
    assert ours(message.replace(b"Hello Bob", b"Hello Rob"), dns) == (["fail"], "fail")


def test_our_validator_accepts_dkimpy_chains(keys):
    arguments, _, dns = keys
    message = b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=ann@example.org; arc=none\r\n" + MESSAGES["plain"]
    for instance in range(1, 4):
        message = arc_set(message, arguments)
        assert message.startswith(b"ARC-Seal: i=%d;" % instance), message[:200]
        assert ours(message, dns)[1] == "pass", message
        # What the next handler finds: dkimpy takes cv= from there.
        message = message.replace(b"\nAuthentication-Results: mx.example.org; spf=pass smtp.mailfrom=ann@example.org; arc=none", b"\nAuthentication-Results: mx.example.org; arc=pass", 1)
    # And mixed: ours on top of theirs.
    message = run("seal", str(dns), "mx.example.org; arc=pass", *arguments["ed25519"], message=message)
    assert ours(message, dns)[1] == "pass"


ONCE = [name for name in MESSAGES if name != "doubled"]  # OpenDKIM refuses fields that should come once and come twice


@pytest.fixture(scope="module", params=["rsa", "ed25519"])
def opendkim(request, keys, tmp_path_factory):
    """OpenDKIM as mail servers run it, signing with one of the keys."""
    arguments, _, _ = keys
    folder = tmp_path_factory.mktemp("opendkim")
    # Its Ed25519 signatures over headers in the simple form are wrong: dkimpy does not take them either.
    form = {"rsa": "simple/relaxed", "ed25519": "relaxed/simple"}[request.param]
    (folder / "opendkim.conf").write_text(
        f"Mode s\nDomain {DOMAIN}\nSelector {request.param}\nKeyFile {arguments[request.param][3]}\nSignatureAlgorithm {request.param}-sha256\n"
        f"Canonicalization {form}\nSocket local:{folder}/socket\nInternalHosts 127.0.0.1\nRequireSafeKeys no\nSyslog no\nBackground no\n"
        "DNSTimeout 5\nTemporaryDirectory /tmp\n")
    process = subprocess.Popen([ROOT / "usr/sbin/opendkim", "-f", "-x", str(folder / "opendkim.conf")], stderr=subprocess.PIPE)
    try:
        relais.wait_until(lambda: process.poll() is not None or (folder / "socket").exists(), "opendkim")
        assert process.poll() is None, process.stderr.read()
        yield str(folder / "socket")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("name", [name for name in ONCE if name != "no-last-line-end"])  # no mail server hands such a message on
def test_ours_accept_opendkim(keys, opendkim, name):
    milter = Milter(opendkim)
    field = milter.added(MESSAGES[name], f"ann@{DOMAIN}")
    milter.close()
    assert field.startswith(b"DKIM-Signature:"), field
    assert ours(field + MESSAGES[name], keys[2])[0] == ["pass"], field


def test_sha1_is_worth_nothing(keys):
    """All that opendkim-testmsg signs with. RFC 8301 section 3.1: verifiers must not take it, whatever it says."""
    arguments, _, dns = keys
    command = ["opendkim-testmsg", "-C", "-d", DOMAIN, "-s", "rsa", "-k", arguments["rsa"][3]]
    done = subprocess.run(command, input=MESSAGES["plain"], capture_output=True)
    assert done.returncode == 0 and b"a=rsa-sha1" in done.stdout, done.stderr
    assert ours(done.stdout, dns)[0] == ["policy"], done.stdout[:1000]


@pytest.mark.parametrize("name", ONCE)
def test_opendkim_accepts_ours(keys, name):
    """OpenDKIM asks the system's resolver: it gets a network and a resolv.conf of its own, where a small server has our records."""
    arguments, _, dns = keys
    for algorithm in ("rsa", "ed25519"):
        signed = run("sign", *arguments[algorithm], message=MESSAGES[name])
        command = ["unshare", "-mn" if os.geteuid() == 0 else "-rmn", sys.executable, NAMESPACE, str(dns), "opendkim-testmsg"]
        done = subprocess.run(command, input=signed, capture_output=True)
        assert done.returncode == 0 and not done.stdout, (algorithm, done.stdout, done.stderr)
        changed = signed.replace(DATE, DATE.replace(b"Thu", b"Fri"))
        done = subprocess.run(command, input=changed, capture_output=True)
        assert done.returncode != 0, "the check itself does not tell a changed message"
