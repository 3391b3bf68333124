#!/usr/bin/env python3
"""Refuses a broken include arrow, an impure proto/ folder and a file without its opening comment.

usage: tools/lint.py [ROOT]        exit 1 and one line per finding
"""
import pathlib
import re
import sys

# A folder may include those before it, never those after it.
LAYERS = ["base", "net", "message", "directory", "storage", "antispam", "smtp", "imap", "pop", "migrate", "admin", "bench", "tests"]
APART = {"smtp", "imap", "pop"}  # never include each other
NO_IO = {"base", "message"}
PURE = re.compile(r"boost/|openssl/|lmdb\.h|^thread$|^mutex$|base/clock\.h|base/log\.h|^net/|^storage/|^directory/")
IO = re.compile(r"boost/|openssl/ssl|lmdb\.h")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def layer_of(include):
    head = include.split("/")[0]
    return head if "/" in include and head in LAYERS else None


def is_test(path):
    return path.stem.endswith(("_test", "_fuzz")) or "testing" in path.stem


def check(root, path):
    relative = path.relative_to(root)
    folder = relative.parts[0]
    text = path.read_text(encoding="utf-8")
    if not text.startswith("//"):
        yield f"{relative}:1: a file starts with one comment line that says what it is for"
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        include = match.group(1)
        target = layer_of(include)
        where = f"{relative}:{number}"
        if target and target != folder:
            if LAYERS.index(target) > LAYERS.index(folder) and not (is_test(path) and target == "tests"):
                yield f"{where}: {folder}/ must not include {include}: {target}/ lies below it"
            if folder in APART and target in APART:
                yield f"{where}: {folder}/ and {target}/ never include each other"
            if folder == "migrate" and "/server/" in include:
                yield f"{where}: migrate/ may use proto/ and client/ of a protocol, not server/"
        if is_test(path):
            continue
        if "proto" in relative.parts and PURE.search(include):
            yield f"{where}: proto/ is pure: no {include}"
        if folder in NO_IO and IO.search(include):
            yield f"{where}: {folder}/ knows nothing of I/O: no {include}"


def sources(root):
    for folder in LAYERS:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cc"}:
                yield path


def check_rfcs(root):
    """docs/rfc.md has a row per RFC: what the code cites is listed there, and what is listed there is cited."""
    table = root / "docs" / "rfc.md"
    if not table.exists():
        return
    listed = set(re.findall(r"^\|\s*(?:RFC )?(\d{3,4})\s*\|", table.read_text(encoding="utf-8"), re.M))
    cited = {}
    for path in sources(root):
        for number in re.findall(r"RFC (\d{3,4})\b", path.read_text(encoding="utf-8")):
            cited.setdefault(number, path.relative_to(root))
    for number in sorted(set(cited) - listed, key=int):
        yield f"docs/rfc.md: RFC {number} is cited in {cited[number]} but has no row"
    for number in sorted(listed - set(cited), key=int):
        yield f"docs/rfc.md: RFC {number} has a row but no code cites it"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent).resolve()
    findings = [finding for path in sources(root) for finding in check(root, path)]
    findings.extend(check_rfcs(root))
    print("\n".join(findings) if findings else "lint: clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
