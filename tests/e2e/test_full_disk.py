"""A full disk: mail is refused with a temporary failure, nothing is lost, reading goes on, and service resumes when there is room."""
import os
import smtplib

import relais

MESSAGE = b"From: a@remote.example\r\nSubject: %d\r\n\r\n" + os.urandom(24 * 1024).hex().encode() + b"\r\n"


def test_full_disk(small_disk):
    platform = relais.Platform(small_disk / "p", init_args=["--shards", "1"]).init()
    config = platform.dir / "relais.toml"
    config.write_text(config.read_text().replace("[storage]\n", '[storage]\nmin_free = "8MB"\nsegment_size = "2MB"\n', 1))
    with open(small_disk / "ballast", "wb") as ballast:
        ballast.write(b"x" * (24 << 20))
    platform.start()
    try:
        fill_and_resume(platform, small_disk)
    finally:
        if platform.process:
            platform.kill()


def fill_and_resume(platform, small_disk):
    ada = platform.add_account("ada")
    accepted = 0
    with platform.smtp() as client:
        while True:
            try:
                client.sendmail("a@remote.example", ada, MESSAGE % accepted)
                accepted += 1
            except smtplib.SMTPResponseException as error:
                assert error.smtp_code in (451, 452), error
                break
            except smtplib.SMTPRecipientsRefused as error:
                assert {code for code, _ in error.recipients.values()} <= {451, 452}, error
                break
            assert accepted < 10_000
    assert accepted > 100
    eater = relais.fill_disk(small_disk)
    client = platform.imap(ada)
    assert client.select("INBOX")[1] == [str(accepted).encode()]
    kind, answer = client.append("INBOX", None, None, MESSAGE % 99999)
    assert kind == "NO", answer
    _, fetched = client.uid("FETCH", "1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert len([part for part in fetched if isinstance(part, tuple)]) == accepted
    pop = platform.pop3(ada)
    assert pop.stat()[0] == accepted
    pop.quit()

    platform.kill()  # and it comes back on a full disk, with all its mail
    platform.start()
    client = platform.imap(ada)
    assert client.select("INBOX")[1] == [str(accepted).encode()]

    # Room again: a file less, and the space of what users delete.
    eater.unlink()
    os.unlink(small_disk / "ballast")
    client.store("1:40", "+FLAGS", r"(\Deleted)")
    assert client.expunge()[0] == "OK"
    assert platform.json("storage", "compact", "--dead-share", "0.2")["freed_octets"] > 0

    def delivered():
        try:
            platform.deliver(ada, MESSAGE % 100_000)
            return True
        except smtplib.SMTPException:
            return False
    relais.wait_until(delivered, "room for mail")
    client.noop()
    client.select("INBOX")
    assert len(client.search(None, "ALL")[1][0].split()) == accepted - 40 + 1
    platform.stop()
    assert platform.json("storage", "check")["problems"] == []
