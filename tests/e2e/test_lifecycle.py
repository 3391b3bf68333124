"""Starting, reloading and stopping: certificates, graceful stop, idle clients."""
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
    def get(path):
        with socket.create_connection(("127.0.0.1", own_platform.port("http"))) as http:
            http.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while more := http.recv(65536):
                answer += more
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    assert get("/health/live") [0] == 200
    assert get("/health/ready")[0] == 200
    assert get("/nonsense")[0] == 404
    own_platform.deliver("ada@example.test", b"Subject: x\r\n\r\nx\r\n")
    status, metrics = get("/metrics")
    assert status == 200 and "# TYPE relais_" in metrics


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
