"""Starting, reloading and stopping: certificates, graceful stop, idle clients."""
import os
import pathlib
import socket
import ssl
import subprocess
import threading

import relais


def test_graceful_stop_finishes_a_message_in_flight(own_platform):
    wire = own_platform.connect("smtp")
    wire.smtp_reply()
    for command in (b"EHLO x", b"MAIL FROM:<>", b"RCPT TO:<ada@example.test>", b"DATA"):
        wire.send(command + b"\r\n")
        assert wire.smtp_reply()[:1] in b"23"
    wire.send(b"Subject: in flight\r\n\r\nfirst half\r\n")
    idle = own_platform.connect("imap")
    idle.line()
    idle.send(b'a LOGIN ada@example.test "%s"\r\nb SELECT INBOX\r\nc IDLE\r\n' % relais.PASSWORD.encode())
    idle.until(b"+ ")
    stopper = threading.Thread(target=own_platform.stop)
    stopper.start()
    assert idle.until(b"* BYE")
    assert idle.closed()

    def refused():
        try:
            socket.create_connection(("127.0.0.1", own_platform.port("smtp"))).close()
            return False
        except ConnectionRefusedError:
            return True
    relais.wait_until(refused, "the listeners to close")
    wire.send(b"second half\r\n.\r\n")
    assert wire.smtp_reply().startswith(b"250")
    wire.closed()
    stopper.join()
    own_platform.start()
    client = own_platform.imap("ada@example.test")
    assert client.select("INBOX")[1] == [b"1"]
    client.logout()


def test_large_messages_arrive_through_a_spool_of_the_platforms_own(own_platform):
    spool = own_platform.dir / "data" / "spool"
    assert spool.is_dir()

    def spooled():
        found = []
        for fd in pathlib.Path(f"/proc/{own_platform.process.pid}/fd").iterdir():
            try:
                found.append(os.readlink(fd))
            except FileNotFoundError:
                pass  # closed meanwhile
        return [name for name in found if name.startswith(str(spool.resolve()))]

    smtp = own_platform.connect("smtp")
    smtp.smtp_reply()
    for command in (b"EHLO x", b"MAIL FROM:<>", b"RCPT TO:<ada@example.test>", b"DATA"):
        smtp.send(command + b"\r\n")
        smtp.smtp_reply()
    smtp.send(b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 15_000)
    relais.wait_until(lambda: len(spooled()) == 1, "the spooled message")
    imap = own_platform.connect("imap")
    imap.line()
    imap.send(b'a LOGIN ada@example.test "%s"\r\nb APPEND INBOX {2000000+}\r\n' % relais.PASSWORD.encode() + b"x" * 1_000_000)
    relais.wait_until(lambda: len(spooled()) == 2, "the spooled APPEND")
    assert list(spool.iterdir()) == []  # they have no name: a crash leaves nothing behind
    smtp.send(b".\r\n")
    assert smtp.smtp_reply().startswith(b"250")
    imap.send(b"x" * 1_000_000 + b"\r\n")
    assert imap.until(b"b ")[-1].startswith(b"b OK")
    relais.wait_until(lambda: not spooled(), "the end of the spooled messages")


def test_the_spool_is_emptied_at_each_start(own_platform):
    own_platform.kill()
    spool = own_platform.dir / "data" / "spool"
    (spool / "spool-left1").write_bytes(b"half a message")
    own_platform.start()
    assert list(spool.iterdir()) == []
    own_platform.stop()
    spool.rmdir()  # as in a platform that an earlier version made
    own_platform.start()
    assert spool.is_dir()


def test_a_stop_while_administrative_commands_are_at_work(own_platform):
    """They read the data in other threads: the process ends cleanly all the same, and each command has its answer or says that it has none."""
    for n in range(30):
        own_platform.deliver("ada@example.test", b"Subject: %d\r\n\r\n" % n + (b"y" * 70 + b"\r\n") * 5_000)
    commands = [subprocess.Popen([relais.BINARY, "storage", "check", "--dir", str(own_platform.dir)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    own_platform.stop()
    for command in commands:
        out, err = command.communicate()
        assert command.returncode in (0, 3), (out, err)


def presented_certificate(platform):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", platform.port("imaps"))) as raw, context.wrap_socket(raw) as tls:
        return tls.getpeercert(binary_form=True)


def test_sighup_reloads_certificates(own_platform):
    before = presented_certificate(own_platform)
    session = own_platform.imap("ada@example.test")
    tls = own_platform.dir / "tls"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=new.example",
                    "-keyout", str(tls / "key.pem"), "-out", str(tls / "certificate.pem")], check=True, capture_output=True)
    own_platform.reload()
    relais.wait_until(lambda: presented_certificate(own_platform) != before, "the new certificate")
    assert session.noop()[0] == "OK"  # sessions that run go on


def test_a_reload_that_fails_leaves_the_old_configuration_running(own_platform):
    before = presented_certificate(own_platform)
    (own_platform.dir / "tls" / "certificate.pem").write_text("garbage")
    own_platform.reload()
    relais.wait_until(lambda: "event=reload_failed" in own_platform.log(), "the log line")
    assert presented_certificate(own_platform) == before


def test_old_tls_is_refused(own_platform):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with socket.create_connection(("127.0.0.1", own_platform.port("imaps"))) as raw, context.wrap_socket(raw):
            raise AssertionError("TLS 1.1 was accepted")
    except (ssl.SSLError, ConnectionError):
        pass


def test_health_and_metrics(own_platform):
    assert own_platform.http("/health/live")[0] == 200
    assert own_platform.http("/health/ready")[0] == 200
    assert own_platform.http("/nonsense")[0] == 404
    own_platform.deliver("ada@example.test", b"Subject: x\r\n\r\nx\r\n")
    status, metrics = own_platform.http("/metrics")
    assert status == 200 and "# TYPE relais_" in metrics
    assert own_platform.metric("relais_smtp_held_messages") == 0 and own_platform.metric("relais_smtp_unlisted_shards") == 0


def test_every_log_line_of_a_session_carries_its_id(own_platform):
    own_platform.deliver("ada@example.test", b"Subject: x\r\n\r\nx\r\n")
    lines = relais.wait_until(lambda: [line for line in own_platform.log().splitlines() if "proto=smtp" in line], "log lines of the session")
    assert all(" session=" in line for line in lines)


def test_trace_id_of_the_reply_is_in_the_log(own_platform):
    wire = own_platform.connect("smtp")
    wire.smtp_reply()
    for command in (b"HELO x", b"MAIL FROM:<>", b"RCPT TO:<ada@example.test>", b"DATA"):
        wire.send(command + b"\r\n")
        wire.smtp_reply()
    wire.send(b"Subject: x\r\n\r\n.\r\n")
    trace = wire.smtp_reply().split()[-1].decode()
    relais.wait_until(lambda: trace in own_platform.log(), "the trace id in the log")
