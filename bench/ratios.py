#!/usr/bin/env python3
"""ratios.py RESULTS.jsonl: Relais beside the best of the others, as a Markdown table: figure, Relais, peer, ratio, aim, met or not.

Medians over the runs that had the machine to themselves, where there are any. A row appears when Relais has the figure.
"""
import json
import statistics
import sys
from dataclasses import dataclass

RELAIS = "relais_driver"
DISTURBED = 0.5  # processors used by something else (the kernel's own writing takes up to about 0.3)


@dataclass(frozen=True)
class Row:
    what: str
    figure: str            # of the harness; "idle-*" and the like take the largest number there is
    value: str             # its field
    unit: str
    aim: float             # of the ratio; of the value itself where absolute
    less: bool = False     # the smaller the better
    absolute: bool = False
    rounds: str = ""       # "first" or "later" of several rounds in one run
    against: str = ""      # another figure of Relais instead of a peer's


ROWS = (
    Row("SMTP in, readable and durable, 16 connections, 10 KB", "smtp-c16-10k", "delivered_per_s", "messages/s", 15),
    Row("the same with one connection", "smtp-c1-10k", "delivered_per_s", "messages/s", 4),
    Row("server CPU per 1,000 delivered by SMTP", "smtp-c16-10k", "srv_cpu_s_per_1000", "s", 1 / 15, less=True),
    Row("LMTP, 16 connections, 10 KB", "lmtp-c16-10k", "accept_per_s", "messages/s", 6),
    Row("LMTP, all into one mailbox", "lmtp-c16-onebox", "accept_per_s", "messages/s", 8),
    Row("IMAP connect, LOGIN, SELECT, LOGOUT, 8 at a time", "login-c8", "sessions_per_s", "sessions/s", 4),
    Row("APPEND, 16 connections, LITERAL+, 10 KB", "append-c16-10k-litplus", "msgs_per_s", "messages/s", 4),
    Row("mixed reading and writing, 50 clients", "mixed-c50", "commands_per_s", "commands/s", 5),
    Row("FETCH of flags, envelope, structure, dates, sizes, 100,000 messages", "box100k.fetch-meta", "msgs_per_s", "messages/s", 3, rounds="later"),
    Row("… the first time, against later", "box100k.fetch-meta", "msgs_per_s", "messages/s", 0.9, rounds="first", against="box100k.fetch-meta"),
    Row("FETCH BODY.PEEK[HEADER.FIELDS (…)]", "box100k.fetch-headers", "msgs_per_s", "messages/s", 2, rounds="later"),
    Row("FETCH BODY.PEEK[], 4 KB", "box100k.fetch-body", "msgs_per_s", "messages/s", 1.5, rounds="later"),
    Row("FETCH BODY.PEEK[], 10 KB", "box10k.fetch-body", "msgs_per_s", "messages/s", 1.5, rounds="later"),
    Row("SELECT of 100,000 messages", "box100k.select", "time_ms", "ms", 1 / 2, less=True, rounds="later"),
    Row("FLAGS CHANGEDSINCE, 100 changed of 100,000", "box100k.changed-100", "time_ms", "ms", 1 / 2, less=True, rounds="later"),
    Row("POP3 login, UIDL, LIST, QUIT", "pop-login", "sessions_per_s", "sessions/s", 4),
    Row("POP3 login, UIDL, RETR of all (200 of 10 KB), QUIT", "pop-retr-all", "sessions_per_s", "sessions/s", 4),
    Row("… with the RETRs pipelined", "pop-retr-all-pipe", "sessions_per_s", "sessions/s", 4),
    Row("memory per idle IMAP connection", "idle-*", "pss_kb_per_conn", "KB", 4, less=True, absolute=True),
    Row("the same over TLS", "idle-tls-*", "pss_kb_per_conn", "KB", 20, less=True, absolute=True),
    Row("LMTP reply → EXISTS at an idle client, p50", "idle-*.notify", "reply_to_exists_p50_ms", "ms", 0.4, less=True, absolute=True),
    Row("a delivery with 1,000,000 messages in the mailbox, against 1,000", "deliver-large", "wall_s", "s per 2,000", 1.2, less=True, against="deliver-small"),
    Row("… server CPU", "deliver-large", "srv_cpu_s_per_1000", "s per 1,000", 1.2, less=True, against="deliver-small"),
    Row("a page FETCH with 1,000,000 messages, against 1,000", "page-large", "page_p50_ms", "ms", 1.2, less=True, against="page-small"),
    Row("… of the newest page", "page-large", "newest_p50_ms", "ms", 1.2, less=True, against="page-small"),
)


def load(path):
    """peer -> figure -> results"""
    figures = {}
    for text in open(path):
        try:
            r = json.loads(text)
        except ValueError:
            continue
        figures.setdefault(r.get("peer", ""), {}).setdefault(r.get("figure", ""), []).append(r)
    return figures


def matches(pattern, figure):
    if "*" not in pattern:
        return pattern == figure
    head, tail = pattern.split("*")
    middle = figure[len(head):len(figure) - len(tail) if tail else None]
    return figure.startswith(head) and figure.endswith(tail) and middle.isdigit()


def median(figures, pattern, row, rounds):
    """(median, runs, whether something else used the machine) or None"""
    names = [f for f in figures if matches(pattern, f)]
    if not names:
        return None
    name = max(names, key=lambda f: int("".join(c for c in f if c.isdigit()) or 0)) if "*" in pattern else names[0]
    found = [r for r in figures[name] if isinstance(r.get(row.value), (int, float))]
    if rounds:
        found = [r for r in found if (r.get("round", 1) == 1) == (rounds == "first")] or found
    if not found:
        return None
    calm = [r for r in found if r.get("other_cpus", 0) < DISTURBED or r.get("wall_s", 1) < 0.05]
    return statistics.median(r[row.value] for r in calm or found), len(calm or found), not calm


def best_peer(figures, row):
    best = None
    for peer, of_peer in figures.items():
        if peer == RELAIS:
            continue
        got = median(of_peer, row.figure, row, row.rounds)
        if got and (best is None or (got[0] < best[1][0]) == row.less):
            best = (peer, got)
    return best


def show(value):
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"


def show_aim(row):
    sign = "≤" if row.less else "≥"
    if row.absolute:
        return f"{sign} {show(row.aim)} {row.unit}"
    return f"{sign} 1/{round(1 / row.aim)}" if row.less and row.aim < 1 else f"{sign} {row.aim:g}×"


def line(figures, row):
    mine = median(figures.get(RELAIS, {}), row.figure, row, row.rounds)
    if mine is None:
        return None
    if row.against:
        other = median(figures[RELAIS], row.against, row, "later" if row.rounds else "")
        name = "itself"
    else:
        best = best_peer(figures, row)
        name, other = best if best else ("", None)
    ratio = mine[0] / other[0] if other and other[0] else None
    judged = mine[0] if row.absolute else ratio
    met = "" if judged is None else "yes" if (judged <= row.aim if row.less else judged >= row.aim) else "no"
    mark = " (disturbed)" if mine[2] or (other and other[2]) else ""
    shown = "" if ratio is None else f"1/{1 / ratio:.1f}" if row.less and ratio < 0.67 else f"{ratio:.2f}×"
    peer = f"{name} {show(other[0])}" if other else "not measured"
    return f"| {row.what} | {show(mine[0])} {row.unit}{mark} | {peer} | {shown} | {show_aim(row)} | {met} |"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    figures = load(sys.argv[1])
    lines = [text for text in (line(figures, row) for row in ROWS) if text]
    if not lines:
        sys.exit("ratios: no figures of Relais in " + sys.argv[1])
    print("\n| what | Relais | best peer | ratio | aim | met |\n|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
