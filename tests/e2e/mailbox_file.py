"""Test mail: the project's own, and the large shared corpus where it is there."""
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def shared_corpus():
    root = pathlib.Path(os.environ.get("RELAIS_SHARED") or ROOT.parent / "shared")
    return root / "corpus" if (root / "corpus").is_dir() else None


def crlf(octets):
    """Line ends as on the wire: a bare CR or LF becomes CRLF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def own_messages():
    return [crlf(path.read_bytes()) for path in sorted((ROOT / "tests" / "mail").glob("*.eml"))]


def torture(corpus):
    for path in sorted((corpus / "torture").rglob("*")):
        if path.is_file() and path.suffix not in {".json", ".md", ".txt"} and path.name not in {"LICENSE", "COPYING"}:
            yield crlf(path.read_bytes())


def shared_messages(corpus):
    """The torture set whole, and a sample of the real mail (all of it with RELAIS_WHOLE_CORPUS=1)."""
    yield from torture(corpus)
    step = 1 if os.environ.get("RELAIS_WHOLE_CORPUS") else 10
    with tempfile.TemporaryDirectory() as scratch:
        for archive in sorted([*(corpus / "real").glob("*.tar.zst"), *(corpus / "spam").glob("*.tar.zst")]):
            subprocess.run(["tar", "--zstd", "-xf", str(archive), "-C", scratch], check=True)
        for path in [path for path in sorted(pathlib.Path(scratch).rglob("*")) if path.is_file()][::step]:
            yield crlf(path.read_bytes())


def fits_smtp(message):
    """DATA carries lines (RFC 5321 §2.3.7): a message without a final line end gets one in transit, so it can't come back the same."""
    return message.endswith(b"\r\n")


def dot_stuffed(message):
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + b".\r\n"
