"""A certificate authority of the tests' own."""
import hashlib
import pathlib
import re
import subprocess

KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def openssl(*arguments, **kwargs):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, **kwargs)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Certificate:
    def __init__(self, certificate, key):
        self.certificate = certificate
        self.key = key

    def tlsa(self, usage=3, selector=1, matching=1):
        """The data of a TLSA record for it (RFC 6698 §2.1), with SHA-256 of the key or of the whole certificate."""
        assert matching == 1
        whole = openssl("x509", "-in", self.certificate, "-outform", "DER")
        key = openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", self.certificate, "-pubkey", "-noout"))
        return f"{usage} {selector} 1 {hashlib.sha256(key if selector else whole).hexdigest()}"


class Authority(Certificate):
    def __init__(self, directory, name="Test Authority"):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, mode=0o755)
        self.issued = {}
        super().__init__(self.dir / "ca.pem", self.dir / "ca.key")
        openssl("req", "-x509", "-newkey", *KEY, "-nodes", "-days", "30", "-subj", f"/CN={name}",
                "-keyout", self.key, "-out", self.certificate)

    def issue(self, *names):
        """A certificate for host names and IPv4 addresses; the file with it has the chain."""
        stem = self.dir / names[0]
        key, request, certificate, extensions = (stem.with_name(stem.name + suffix) for suffix in (".key", ".csr", ".pem", ".ext"))
        openssl("req", "-newkey", *KEY, "-nodes", "-subj", f"/CN={names[0]}", "-keyout", key, "-out", request)
        extensions.write_text("subjectAltName=" + ",".join(("IP:" if re.fullmatch(r"[0-9.]+", name) else "DNS:") + name for name in names) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days", "30", "-extfile", extensions,
                "-out", certificate)
        with open(certificate, "ab") as chain:
            chain.write(self.certificate.read_bytes())
        self.issued[names[0]] = Certificate(certificate, key)
        return self.issued[names[0]]
