"""What TLS must prove before mail goes: DANE and MTA-STS, with real Postfix and Exim as peers, signed and unsigned zones, and a server of policies."""
import http.server
import ssl
import threading

import pytest

import relais
from internet import here, internet  # noqa: F401
from mta import Exim, Postfix, our_inbox, parsed, submit, text, wait_for_ours, wait_for_report

# Domains of Postfix by the number of their host's address: what certificate it shows, and what is in the DNS.
RIGHT, WRONG, LATE, AUTHORITY, NO_TLS, UNSIGNED, BOGUS, STRANGER = range(60, 68)
POLICIES = 80
HOSTS = {RIGHT: "dane-right.test", WRONG: "dane-wrong.test", LATE: "dane-late.test", AUTHORITY: "dane-authority.test", NO_TLS: "dane-no-tls.test",
         UNSIGNED: "dane.insecure", BOGUS: "dane.bogus"}
STS = ("sts-good.test", "sts-name.test", "sts-testing.test", "sts-list.test", "sts-no-policy.test")


class PolicyHandler(http.server.BaseHTTPRequestHandler):
    policies = {}

    def do_GET(self):
        policy = self.policies.get(self.headers["Host"].removeprefix("mta-sts.")) if self.path == "/.well-known/mta-sts.txt" else None
        self.send_response(200 if policy else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write((policy or "nothing here\n").encode())

    def log_message(self, *arguments):
        pass


def sts_policy(mode, host):
    return f"version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 86400\r\n"


@pytest.fixture(scope="module")
def policies(internet):  # noqa: F811
    """A web server with the domains' policies."""
    certificate = internet.authority.issue(*("mta-sts." + domain for domain in STS))
    server = http.server.ThreadingHTTPServer((internet.address(POLICIES), 443), PolicyHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    PolicyHandler.policies = {"sts-good.test": sts_policy("enforce", "mx.postfix.test"), "sts-name.test": sts_policy("enforce", "mx.stranger.test"),
                              "sts-testing.test": sts_policy("testing", "mx.stranger.test"), "sts-list.test": sts_policy("enforce", "mx.other.test")}
    yield PolicyHandler.policies
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def postfix(internet, policies):  # noqa: F811
    dns, services, shown = internet.dns, {}, {}
    for number, domain in HOSTS.items():
        shown[number] = internet.authority.issue(f"mx.{domain}")
        dns.add(f"{domain}. MX 10 mx.{domain}.", f"mx.{domain}. A {internet.address(number)}")
        services[internet.address(number)] = f"-o smtpd_tls_chain_files={shown[number].key},{shown[number].certificate}"
    services[internet.address(NO_TLS)] = "-o smtpd_tls_security_level=none"
    stranger = internet.authority.issue("somebody.else.test")
    services[internet.address(STRANGER)] = f"-o smtpd_tls_chain_files={stranger.key},{stranger.certificate}"
    other = internet.authority.issue("other.test").tlsa()
    for number, data in {RIGHT: shown[RIGHT].tlsa(), WRONG: other, LATE: other, NO_TLS: shown[NO_TLS].tlsa(), UNSIGNED: other, BOGUS: shown[BOGUS].tlsa(),
                         AUTHORITY: internet.authority.tlsa(2, 0)}.items():
        dns.add(f"_25._tcp.mx.{HOSTS[number]}. TLSA {data}")
    dns.add(f"mx.stranger.test. A {internet.address(STRANGER)}")
    for domain in STS:
        host = "mx.postfix.test" if domain in ("sts-good.test", "sts-list.test", "sts-no-policy.test") else "mx.stranger.test"
        dns.add(f"{domain}. MX 10 {host}.", f'_mta-sts.{domain}. TXT "v=STSv1; id=1"', f"mta-sts.{domain}. A {internet.address(POLICIES)}")
    with Postfix(internet, services, domains=[*HOSTS.values(), *STS]) as postfix:
        yield postfix


def arrived(postfix, domain, subject):
    return subject in [message["Subject"] for message in map(parsed, postfix.inbox("carol", domain))]


def waits(here, domain):  # noqa: F811
    """Why mail for the domain waits, once it was tried twice."""
    def tried_twice():
        return [job for job in here.json("queue", "list", "--domain", domain)["jobs"] if job["attempts"] > 1]
    jobs = relais.wait_until(tried_twice, f"two attempts for {domain}")
    return str(jobs) + str(here.json("queue", "why", f"carol@{domain}"))


@pytest.mark.parametrize("number", [RIGHT, AUTHORITY, UNSIGNED])
def test_dane_lets_go(here, postfix, number):  # noqa: F811
    domain = HOSTS[number]
    submit(here, [f"carol@{domain}"], text(f"to {domain}"))
    message = postfix.wait_for("carol", f"to {domain}", domain)
    assert "TLSv1.3" in message.get_all("Received")[0]


@pytest.mark.parametrize("number, reason", [(WRONG, "TLSA"), (NO_TLS, "STARTTLS"), (BOGUS, "DNS")])
def test_dane_keeps_back(here, postfix, number, reason):  # noqa: F811
    domain = HOSTS[number]
    submit(here, [f"carol@{domain}"], text(f"to {domain}"))
    assert reason in waits(here, domain)
    assert not arrived(postfix, domain, f"to {domain}")


def test_dane_put_right(internet, here, postfix):  # noqa: F811
    """What waited for a record that was wrong goes once it is right."""
    domain = HOSTS[LATE]
    submit(here, [f"carol@{domain}"], text("at last"))
    assert "TLSA" in waits(here, domain) and not arrived(postfix, domain, "at last")
    internet.dns.add(f"_25._tcp.mx.{domain}. TLSA {internet.authority.issued[f'mx.{domain}'].tlsa()}")  # beside the wrong one
    internet.dns.publish()
    postfix.wait_for("carol", "at last", domain)


def test_sts_lets_go(here, postfix):  # noqa: F811
    for domain in ("sts-good.test", "sts-testing.test", "sts-no-policy.test"):
        submit(here, [f"carol@{domain}"], text(f"to {domain}"))
        assert "TLSv1.3" in postfix.wait_for("carol", f"to {domain}", domain).get_all("Received")[0]


@pytest.mark.parametrize("domain, reason", [("sts-name.test", "hostname mismatch"), ("sts-list.test", "MTA-STS")])
def test_sts_keeps_back(here, postfix, domain, reason):  # noqa: F811
    submit(here, [f"carol@{domain}"], text(f"to {domain}"))
    assert reason in waits(here, domain)
    assert not arrived(postfix, domain, f"to {domain}")


def test_senders_may_ask_for_more_or_less(here, postfix):  # noqa: F811
    """RFC 8689: a message that requires TLS all the way goes to nobody who does not know the word; one that does not mind goes in spite of all policies."""
    submit(here, ["carol@postfix.test"], text("secret"), mail_options=["REQUIRETLS"])
    report = wait_for_report(lambda: our_inbox(here, "ada@example.test"), "secret", "failed")
    assert report.recipients[0]["Status"] == "5.7.30" and not arrived(postfix, postfix.domain, "secret")
    for domain in (HOSTS[WRONG], "sts-name.test"):
        submit(here, [f"carol@{domain}"], text("postcard", headers="TLS-Required: No\r\n"))
        postfix.wait_for("carol", "postcard", domain)


def test_others_verify_us(internet, here, postfix):  # noqa: F811
    """The TLSA records that `relais dns` prints let Postfix and Exim in by DANE; with a wrong one they keep their mail."""
    rows = [row for row in here.json("dns", "example.test")["records"] if row["type"] == "TLSA" and row["name"].startswith("_25.")]
    assert rows
    here.run("domain", "add", "wrong.test")
    here.run("account", "add", "ada@wrong.test", "--password-stdin", input=relais.PASSWORD + "\n")
    internet.dns.add(*(f"{row['name'].rstrip('.')}. TLSA {row['value']}" for row in rows), "wrong.test. MX 10 mx.wrong.test.",
                     f"mx.wrong.test. A {internet.address('relais')}", f"_25._tcp.mx.wrong.test. TLSA {internet.authority.tlsa()}")
    with Exim(internet, transport="  hosts_try_dane = *\n") as exim:
        for peer in (postfix, exim):
            peer.submit(f"carol@{peer.domain}", ["ada@example.test"], text(f"by DANE from {peer.name}", f"carol@{peer.domain}"))
            wait_for_ours(here, "ada@example.test", f"by DANE from {peer.name}")
        relais.wait_until(lambda: "Verified TLS connection established to mail.example.test" in postfix.log(), "the entry of the handshake")
        relais.wait_until(lambda: "CV=dane" in exim.log(), "the entry of the delivery")

        for peer in (postfix, exim):
            peer.submit(f"carol@{peer.domain}", ["ada@wrong.test"], text(f"late from {peer.name}", f"carol@{peer.domain}"))
        relais.wait_until(lambda: "no matching DANE TLSA records" in postfix.log(), "Postfix' refusal")
        relais.wait_until(lambda: "DANE attempt failed" in exim.log(), "Exim's refusal")
        assert not our_inbox(here, "ada@wrong.test")
        internet.dns.add(f"_25._tcp.mx.wrong.test. TLSA {rows[0]['value']}")  # beside the wrong one
        internet.dns.publish()
        for peer in (postfix, exim):
            wait_for_ours(here, "ada@wrong.test", f"late from {peer.name}")
