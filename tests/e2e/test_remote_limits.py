"""Peers that set limits: all mail arrives, once, and nothing bounces for a reason that goes away."""
import collections
import threading

import pytest

import relais
from internet import here, internet  # noqa: F401
from mta import Exim, Postfix, our_inbox, parsed, reports, submit, text, wait_for_report

FEW_CONNECTIONS, FEW_RECIPIENTS, FEW_ERRORS, SMALL = 60, 61, 62, 63
HOSTS = {FEW_CONNECTIONS: ("few-connections.test", "-o smtpd_client_connection_count_limit=1"),
         FEW_RECIPIENTS: ("few-recipients.test", "-o smtpd_recipient_limit=5 -o smtpd_recipient_overshoot_limit=1000"),
         FEW_ERRORS: ("few-errors.test", "-o smtpd_hard_error_limit=4 -o smtpd_soft_error_limit=100"),
         SMALL: ("small.test", "-o message_size_limit=20000")}
MESSAGES = 60


@pytest.fixture(scope="module")
def postfix(internet):  # noqa: F811
    for number, (domain, _) in HOSTS.items():
        internet.dns.add(f"{domain}. MX 10 mx.{domain}.", f"mx.{domain}. A {internet.address(number)}")
    services = {internet.address(number): options for number, (_, options) in HOSTS.items()}
    domains = [domain for domain, _ in HOSTS.values()]
    with Postfix(internet, services, domains, "recipient_delimiter = +\nsmtpd_client_event_limit_exceptions =\n") as postfix:
        yield postfix


@pytest.fixture(scope="module")
def exim(internet):  # noqa: F811
    with Exim(internet) as exim:
        yield exim


def subjects(messages):
    return collections.Counter(message["Subject"] for message in map(parsed, messages))


def submit_many(here, domain):  # noqa: F811
    def some(start):
        with here.submission("ada@example.test") as client:
            for number in range(start, MESSAGES, 6):
                client.sendmail("ada@example.test", [f"carol@{domain}"], text(f"number {number}"))
    threads = [threading.Thread(target=some, args=(start,)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


EACH_ONCE = {f"number {number}": 1 for number in range(MESSAGES)}


def test_few_connections(here, postfix):  # noqa: F811
    """421 to all connections but one."""
    domain = HOSTS[FEW_CONNECTIONS][0]
    submit_many(here, domain)
    relais.wait_until(lambda: not here.json("queue", "list")["jobs"], "an empty queue")
    relais.wait_until(lambda: len(postfix.inbox("carol", domain)) >= MESSAGES, "the mail")
    assert subjects(postfix.inbox("carol", domain)) == EACH_ONCE
    assert not our_inbox(here, "ada@example.test")


def test_few_messages_on_a_connection(here, exim):  # noqa: F811
    """Exim takes three, and says 421 to the fourth MAIL."""
    submit_many(here, exim.domain)
    relais.wait_until(lambda: not here.json("queue", "list")["jobs"], "an empty queue")
    relais.wait_until(lambda: len(exim.inbox("carol")) >= MESSAGES, "the mail")
    assert subjects(exim.inbox("carol")) == EACH_ONCE
    assert not our_inbox(here, "ada@example.test")


def test_few_recipients(here, postfix):  # noqa: F811
    """452 to the sixth recipient: the others get the message in other transactions."""
    domain = HOSTS[FEW_RECIPIENTS][0]
    recipients = [f"carol+{number}@{domain}" for number in range(23)]
    submit(here, recipients, text("to many"))
    relais.wait_until(lambda: len(postfix.inbox("carol", domain)) >= len(recipients), "the mail")
    assert {message["X-Original-To"] for message in map(parsed, postfix.inbox("carol", domain))} == set(recipients)
    assert len(postfix.inbox("carol", domain)) == len(recipients) and not our_inbox(here, "ada@example.test")


def test_few_errors(here, postfix):  # noqa: F811
    """Postfix closes the connection after four recipients that it does not know; whom it has not judged yet are tried again."""
    domain = HOSTS[FEW_ERRORS][0]
    unknown = [f"nobody{number}@{domain}" for number in range(10)]
    submit(here, [*unknown, f"carol@{domain}"], text("to some", "bob@example.test"), sender="bob@example.test")
    relais.wait_until(lambda: not here.json("queue", "list")["jobs"], "an empty queue")
    assert len(relais.wait_until(lambda: postfix.inbox("carol", domain), "the mail")) == 1
    failed = collections.Counter()

    def all_reported():
        failed.clear()
        failed.update(one["Final-Recipient"] for report in reports(our_inbox(here, "bob@example.test"), "to some") for one in report.recipients)
        return len(failed) == len(unknown)

    relais.wait_until(all_reported, "reports")
    assert failed == {f"rfc822; {address}": 1 for address in unknown}


def test_small_messages_only(here, postfix):  # noqa: F811
    """What SIZE says is too large comes back at once, without being sent first (RFC 1870 §6.1)."""
    domain = HOSTS[SMALL][0]
    submit(here, [f"carol@{domain}"], text("too large", "bob@example.test", body="0123456789\r\n" * 10_000), sender="bob@example.test")
    report = wait_for_report(lambda: our_inbox(here, "bob@example.test"), "too large", "failed")
    assert report.recipients[0]["Status"] == "5.3.4"
    submit(here, [f"carol@{domain}"], text("small enough"))
    postfix.wait_for("carol", "small enough", domain)
    assert len(postfix.inbox("carol", domain)) == 1
