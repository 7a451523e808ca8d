#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: report.py [--check] OUTPUT-DIRECTORY FILE...

Reads the lines of JSON that bench/guest has printed into FILEs, and makes of them bench.json,
bench.txt (also printed) and bench-*.svg. The last table is what the project promises, PASS or
MISS each. Exit status 1 with --check when something is missed or was not measured.
"""

import json
import statistics
import sys
from html import escape

KINDS = {
    "T": "plain TCP, smc_ulp.ko not loaded",
    "A": "native AF_SMC",
    "I": "IPPROTO_SMC by BPF (fmod_ret)",
    "L": "LD_PRELOAD, as smc_run does",
    "U": "smc_ulp by setsockopt",
    "C": "smc_ulp by cgroup, 10,000 prefixes",
}
WORLDS = {
    "nosmc": "server is plain TCP",
    "declined": "server declines in CLC",
    "init": "policy refuses at attach",
    "connect": "policy refuses at connect",
    "listen": "policy refuses at listen",
    "child": "plain client of our listener",
}
CLOCK = [  # test, what, name
    ("stream", "64 KiB", "stream of 64 KiB"),
    ("rr", "1 B", "round trip 1 B"),
    ("rr", "64 B", "round trip 64 B"),
    ("rr", "4096 B", "round trip 4 KiB"),
    ("crr", "1 client", "connect, 1 request, close"),
    ("ncrr", "1 client", "the same, non-blocking"),
    ("crr", "8 clients", "the same, 8 threads"),
    ("accept", "64 clients", "64 clients, one accepts"),
    ("redis", "GET", "redis GET"),
    ("redis", "SET", "redis SET"),
    ("redis", "GET, 16 in flight", "redis GET, pipeline of 16"),
    ("redis", "SET, 16 in flight", "redis SET, pipeline of 16"),
    ("nginx", "keep-alive", "nginx, keep-alive"),
    ("nginx", "close", "nginx, a connection each"),
]
OURS = "UC"
CALLS = ["send", "recv", "server send", "server recv", "poll"]


def half_spread(values):
    if len(values) < 2:
        return None
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / abs(statistics.median(values) or 1)


class Figures:
    """All values measured, by device, world, kind, test and what."""

    def __init__(self, files):
        self.values, self.info, self.runs = {}, {}, []
        for name in files:
            with open(name, encoding="utf-8") as lines:
                for line in lines:
                    if line.startswith("{"):
                        self.add(json.loads(line))

    def add(self, row):
        if "part" in row:
            self.runs.append(row)
            return
        key = tuple(row[k] for k in ("device", "world", "kind", "test", "what"))
        self.values.setdefault(key, []).append(row["value"])
        self.info[key] = row

    def get(self, device, world, kind, test, what):
        """Median, or None."""
        values = self.values.get((device, world, kind, test, what))
        return statistics.median(values) if values else None

    def spread(self, device, world, kind, test, what):
        """Half of the distance between the quartiles, as a fraction of the median."""
        return half_spread(self.values.get((device, world, kind, test, what), []))

    def speed(self, device, kind, base, test, what, world="active", base_world="active"):
        """How many times as fast as base, and the spread of that; or None.

        Kinds are measured in turn: each round has a ratio of its own.
        """
        a = self.values.get((device, world, kind, test, what))
        b = self.values.get((device, base_world, base, test, what))
        if not a or not b:
            return None
        if self.info[(device, world, kind, test, what)]["unit"].endswith("/s"):
            ratios = [x / y for x, y in zip(a, b)]
        else:
            ratios = [y / x for x, y in zip(a, b)]
        return statistics.median(ratios), half_spread(ratios)

    def devices(self, test):
        return sorted({k[0] for k in self.values if k[3] == test and k[1] == "active"},
                      key=lambda d: ("smcd", "smcr", "none").index(d))


def fmt(value, sign=""):
    if value is None:
        return "-"
    return f"{value:{sign},.0f}" if sign or abs(value) >= 100 else f"{value:.3g}"


def ratio(pair):
    return "-" if pair is None else f"{pair[0]:.2f}" + plus_minus(pair[1])


def plus_minus(spread):
    return "" if spread is None else f" ±{spread * 100:.0f}%"


def table(out, title, head, rows):
    """A simple table of reStructuredText; the first column is text."""
    rows = [[str(c) for c in row] for row in rows]
    if not rows:
        return
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    rule = "  ".join("=" * w for w in widths)
    print(f"\n{title}\n\n{rule}", file=out)
    for n, row in enumerate([head] + rows):
        print("  ".join([row[0].ljust(widths[0])] +
                        [c.rjust(w) for c, w in zip(row[1:], widths[1:])]).rstrip(), file=out)
        if not n:
            print(rule, file=out)
    print(rule, file=out)


# --- tables --------------------------------------------------------------------


def clock_tables(fig, out):
    for device in fig.devices("rr"):
        for base in "TA":
            rows = []
            for test, what, name in CLOCK:
                pairs = [fig.speed(device, k, base, test, what) for k in KINDS if k != base]
                if any(pairs):
                    rows.append([name] + [ratio(p) for p in pairs])
            table(out, f"{device}: speed by the clock, {KINDS[base]} = 1 (medians, ± half the "
                  "distance of the quartiles)", ["work"] + [k for k in KINDS if k != base], rows)
        rows = []
        for world, text in WORLDS.items():
            for kind in "AU":
                base = world if world == "declined" else "active"
                pairs = [fig.speed(device, kind, "T", t, w, world, base)
                         for t, w in (("rr", "1 B"), ("crr", "1 client"))]
                if any(pairs):
                    rows.append([text, kind] + [ratio(p) for p in pairs])
        table(out, f"{device}: speed by the clock where nothing becomes SMC, TCP to the same "
              "server = 1", ["world", "kind", "round trip 1 B", "connect, 1 request, close"], rows)


def instruction_tables(fig, out):
    device = "smcd"

    def get(*key):
        return fig.get(device, *key)

    def less(a, b):
        return None if a is None or b is None else a - b

    rows = []
    for what in CALLS:
        values = [get("active", k, "msg", what) for k in KINDS]
        if any(values):
            rows.append([what] + [fmt(v, "-") for v in values] +
                        [fmt(less(values[4], values[1]), "+"), fmt(less(values[5], values[1]), "+")])
    table(out, "Instructions of a call over SMC-D, 1 byte (1 MiB buffers, 1 CPU, medians)",
          ["call"] + list(KINDS) + ["U - A", "C - A"], rows)
    rows = []
    for what in ("socket", "attach", "connect", "accept", "close", "server close"):
        values = [get("active", k, "conn", what) for k in KINDS]
        if any(values):
            rows.append([what] + [fmt(v, "-") for v in values])
    table(out, "Instructions of the calls that make and close a connection over SMC-D",
          ["call"] + list(KINDS), rows)
    rows = []
    for test, name in (("cycle", "blocking"), ("ncycle", "non-blocking connect")):
        values = [get("active", k, test, "connection") for k in KINDS]
        if any(values):
            rows.append([name] + [fmt(v, "-") for v in values] +
                        [f"{values[1] / v:.3f}" if v and values[1] else "-" for v in values[4:]])
    table(out, "Instructions of connect, request, close over SMC-D: both ends, workers included",
          ["connection"] + list(KINDS) + ["A / U", "A / C"], rows)
    rows = []
    for test, what, name in CLOCK:
        values = [get("stepped", k, test, what) for k in "TAU"]
        if all(values):
            more = [v / values[0] if test == "stream" else values[0] / v for v in values]
            rows.append([name] + [f"{v:.2f}" for v in more] + [f"{more[2] / more[1]:.3f}"])
    table(out, "Speed by instructions: two processes on one CPU, TCP = 1",
          ["work"] + list("TAU") + ["U against A"], rows)
    rows = []
    for world, text in WORLDS.items():
        for kind in "AUC":
            for test, name in (("cycle", ""), ("ncycle", ", non-blocking")):
                a = get(world, kind, test, "connection")
                b = get("declined" if world == "declined" else "active", "T", test, "connection")
                if a and b:
                    rows.append([text + name, kind, fmt(b), fmt(a), fmt(a - b, "+"), f"{b / a:.3f}"])
    table(out, "What does not become SMC: instructions of connect, request, close, against a TCP "
          "client of the same server", ["world", "kind", "TCP", "here", "extra", "speed"], rows)
    rows = []
    for world, text in WORLDS.items():
        for kind in "AUC":
            base = "declined" if world == "declined" else "active"
            extra = [less(get(world, kind, "msg", w), get(base, "T", "msg", w)) for w in CALLS]
            extra += [less(get(world, kind, "conn", w), get(base, "T", "conn", w))
                      for w in ("socket", "connect", "accept", "close", "server close")]
            extra.append(get(world, kind, "conn", "attach"))
            if any(v is not None for v in extra):
                rows.append([text, kind] + [fmt(v, "+") for v in extra])
    table(out, "The same by calls: extra instructions, medians (setsockopt: all of them)",
          ["world", "kind"] + CALLS + ["socket", "connect", "accept", "close", "server close",
                                       "setsockopt"], rows)
    rows = [[f"{int(k[1].split()[0]):,}", fmt(fig.get(*k)),
             fmt(get(k[1], "U", "conn", "connect"))]
            for k in fig.values if k[3] == "verdict"]
    table(out, "Verdict of by_port: instructions of its program for connect, and of a connect(2) "
          "refused by it", ["prefixes", "program", "connect(2)"], rows)


def memory_table(fig, out):
    rows = []
    for device in fig.devices("idle"):
        for test in ("attached", "idle"):
            for world in ["active"] + list(WORLDS):
                for kind in KINDS:
                    v = [fig.get(device, world, kind, test, w)
                         for w in ("slabs", "other memory", "smc_ulp_ctx")]
                    if v[0] is None:
                        continue
                    name = "socket, not connected" if test == "attached" else \
                        f"connection, {WORLDS.get(world, 'SMC active')}"
                    rows.append([name, kind, f"{v[0]:,.0f}", f"{v[1]:,.0f}", f"{v[2]:.2f}"])
    table(out, "Memory over SMC-D, bytes (both ends of a connection; 64 KiB buffers)",
          ["what", "kind", "slabs", "other memory", "ctx"], rows)


# --- promises --------------------------------------------------------------------


def promises(fig):
    """(promise, limit, measured, PASS/MISS/noise/-, source)

    noise: by the clock, and the limit is within the spread.
    """
    rows = []

    def add(text, limit, value, most, source="instructions", digits=0, spread=None):
        bound = ("<= " if most else ">= ") + f"{limit:g}"
        if value is None:
            rows.append((text, bound, None, "-", source))
            return
        verdict = "PASS" if (value <= limit if most else value >= limit) else "MISS"
        if source == "clock" and (spread is None or abs(value - limit) <= spread * value):
            verdict = "noise"
        rows.append((text, bound, f"{value:.{digits}f}" + plus_minus(spread), verdict, source))

    def less(a, b):
        return None if a is None or b is None else a - b

    def get(*key):
        return fig.get("smcd", *key)

    def worst(pairs):
        pairs = [p for p in pairs if p is not None]
        return max(pairs) if pairs else None

    for world in ("init", "connect", "listen", "nosmc", "declined"):
        base = "declined" if world == "declined" else "active"
        for kind in OURS:
            # 0 is promised; two runs of the same differ by as much
            extra = worst(less(get(world, kind, "msg", w), get(base, "T", "msg", w)) for w in CALLS)
            add(f"{WORLDS[world]}, {kind}: most extra per send, recv, poll against T", 4, extra, True)
    for world in ("init", "connect", "listen", "nosmc"):
        for kind in OURS:
            a = get(world, kind, "cycle", "connection")
            b = get("active", "T", "cycle", "connection")
            add(f"{WORLDS[world]}, {kind}: connect+request+close, extra against T", 1500,
                less(a, b), True)
            add(f"{WORLDS[world]}, {kind}: connect+request+close, speed against T", 0.98,
                b / a if a and b else None, False, digits=3)
    for call in CALLS:
        for kind in OURS:
            add(f"SMC active, {kind}: {call}, extra against A", 60,
                less(get("active", kind, "msg", call), get("active", "A", "msg", call)), True)
    for test, text, limit in (("cycle", "blocking", 0.98), ("ncycle", "non-blocking", 0.95)):
        for kind in OURS:
            a, b = (get("active", k, test, "connection") for k in (kind, "A"))
            add(f"SMC active, {kind}: connect+request+close, {text}, speed against A", limit,
                b / a if a and b else None, False, digits=3)
    for test, what, text, limit in (("stream", "64 KiB", "stream, speed", 0.99),
                                    ("rr", "1 B", "1 B round trip, time", 1.02)):
        for device in ("smcd", "smcr"):
            pair = fig.speed(device, "U", "A", test, what)
            add(f"SMC active, {device}: {text} against A", limit,
                pair and (pair[0] if test == "stream" else 1 / pair[0]), test == "rr", "clock", 2,
                    pair and pair[1])
        a, b = (get("stepped", k, test, what) for k in "UA")
        add(f"SMC active: {text} against A", limit, a / b if a and b else None, test == "rr",
            digits=3)
    for kind in OURS:
        add(f"plain child of our listener, {kind}: extra per accept", 300,
            less(get("child", kind, "conn", "accept"), get("active", "T", "conn", "accept")), True)
    counts = ("10000", "1000000")
    for count in counts:
        add(f"verdict, {int(count):,} prefixes", 1500,
            get(f"{count} prefixes", "U", "verdict", "connect"), True)
    flat = [get(f"{c} prefixes", "U", "verdict", "connect") for c in counts]
    add("verdict, 1,000,000 prefixes against 10,000", 1.1,
        flat[1] / flat[0] if all(flat) else None, True, digits=2)
    add("memory: attached, not connected: smc_ulp_ctx, bytes", 384,
        get("slab", "U", "slab", "smc_ulp_ctx"), True, "slab")
    for world in ("nosmc", "declined", "init", "connect", "listen"):
        for kind in OURS:
            # the listener of the test itself is attached in some
            add(f"memory: {WORLDS[world]}, {kind}: smc_ulp_ctx of a connection", 0.002,
                get(world, kind, "idle", "smc_ulp_ctx"), True, "slab", 3)
    for test, what, text, limit in (("stream", "64 KiB", "stream, speed", 1.5),
                                    ("rr", "1 B", "1 B round trip, time", 0.65)):
        a, b = (get("stepped", k, test, what) for k in "UT")
        add(f"SMC-D: {text} against T", limit, a / b if a and b else None, test == "rr", digits=3)
        pair = fig.speed("smcd", "U", "T", test, what)
        add(f"SMC-D: {text} against T", limit,
            pair and (pair[0] if test == "stream" else 1 / pair[0]), test == "rr", "clock", 2,
            pair and pair[1])
    return rows


# --- charts -----------------------------------------------------------------------

COLOURS = {"T": "#888888", "A": "#4878a8", "I": "#7aa6d0", "L": "#b0c8e0", "U": "#c8502d",
           "C": "#e89a6c"}


def chart(path, title, note, groups):
    """groups: [(name, [(kind, value, label)])]; the line is at 1."""
    groups = [g for g in groups if g[1]]
    if not groups:
        return
    most = max(v for _, bars in groups for _, v, _ in bars)
    left, width, bar, top = 250, 420, 15, 92
    scale = width / max(most * 1.05, 1.2)
    height = top + sum(len(b) * bar + 12 for _, b in groups) + 24
    kinds = [k for k in KINDS if any(k == b[0] for _, bars in groups for b in bars)]
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 110}" '
           f'height="{height}" font-family="sans-serif" font-size="12">',
           '<!-- SPDX-License-Identifier: GPL-2.0-only -->',
           f'<rect width="100%" height="100%" fill="white"/>'
           f'<text x="10" y="22" font-size="16" font-weight="bold">{escape(title)}</text>',
           f'<text x="10" y="40" fill="#555">{escape(note)}</text>']
    for i, kind in enumerate(kinds):
        x, y = 10 + i % 3 * 260, 60 + i // 3 * 16
        svg.append(f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{COLOURS[kind]}"/>'
                   f'<text x="{x + 15}" y="{y}">{kind}: {escape(KINDS[kind])}</text>')
    y = top
    for name, bars in groups:
        svg.append(f'<text x="{left - 30}" y="{y + len(bars) * bar / 2 + 4}" '
                   f'text-anchor="end">{escape(name)}</text>')
        for kind, value, label in bars:
            svg.append(f'<text x="{left - 8}" y="{y + 11}" text-anchor="end" '
                       f'fill="#555">{kind}</text>'
                       f'<rect x="{left}" y="{y + 1}" width="{value * scale:.1f}" '
                       f'height="{bar - 2}" fill="{COLOURS[kind]}"/>'
                       f'<text x="{left + value * scale + 5:.1f}" y="{y + 11}">'
                       f'{escape(label)}</text>')
            y += bar
        y += 12
    svg.append(f'<line x1="{left + scale:.1f}" x2="{left + scale:.1f}" y1="{top - 4}" y2="{y - 6}" '
               'stroke="black" stroke-dasharray="3,2"/>'
               f'<text x="{left + scale:.1f}" y="{y + 8}" text-anchor="middle">1</text></svg>')
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(svg) + "\n")


def charts(fig, directory):
    def bars(device, tests, base, kinds):
        for test, what, name in tests:
            found = []
            for kind in kinds:
                pair = fig.speed(device, kind, base, test, what)
                if pair:
                    found.append((kind, pair[0], ratio(pair)))
            yield name, found

    for device in fig.devices("rr"):
        for base, name in (("T", "tcp"), ("A", "native")):
            chart(f"{directory}/bench-{device}-{name}.svg",
                  f"{device}: how many times as fast as {KINDS[base].split(',')[0]}",
                  "by the clock, same guest, medians; longer is better",
                  list(bars(device, CLOCK, base, [k for k in KINDS if k != base])))
    groups = []
    for world, text in WORLDS.items():
        base = fig.get("smcd", "declined" if world == "declined" else "active", "T", "cycle",
                       "connection")
        found = []
        for kind in "AUC":
            value = fig.get("smcd", world, kind, "cycle", "connection")
            if base and value:
                found.append((kind, base / value, f"{base / value:.3f} ({value - base:+.0f})"))
        groups.append((text, found))
    chart(f"{directory}/bench-not-smc.svg",
          "What is not SMC: connect, 1 request, close; TCP to the same server = 1",
          "by instructions, exact; longer is better; in brackets: extra instructions", groups)
    groups = []
    for call in CALLS:
        base = fig.get("smcd", "active", "T", "msg", call)
        found = []
        for kind in KINDS:
            value = fig.get("smcd", "active", kind, "msg", call)
            if kind != "T" and base and value:
                found.append((kind, value / base, f"{value / base:.2f} ({value:.0f})"))
        groups.append((f"{call} of 1 B" if call != "poll" else call, found))
    chart(f"{directory}/bench-calls.svg", "Instructions of a call over SMC-D, TCP = 1",
          "1 CPU, exact; shorter is better; in brackets: instructions", groups)


def main():
    args = sys.argv[1:]
    check = "--check" in args
    args = [a for a in args if a != "--check"]
    if len(args) < 2:
        sys.exit(__doc__)
    directory, fig = args[0], Figures(args[1:])

    rows = promises(fig)
    with open(f"{directory}/bench.txt", "w", encoding="utf-8") as out:
        for run in fig.runs:
            print(f"{run['part']}: smc_ulp {run['version']}, Linux {run['kernel']}, {run['accel']}, "
                  f"{run['date']}, load of the host {run['load']} on {run['cpus']} CPUs", file=out)
        print(file=out)
        for kind, text in KINDS.items():
            print(f"{kind}  {text}", file=out)
        clock_tables(fig, out)
        instruction_tables(fig, out)
        memory_table(fig, out)
        table(out, "Promises", ["promise", "limit", "measured", "verdict", "by"],
              [[r[0], r[1], r[2] or "not measured", r[3], r[4]] for r in rows])
    with open(f"{directory}/bench.txt", encoding="utf-8") as text:
        print(text.read(), end="")
    with open(f"{directory}/bench.json", "w", encoding="utf-8") as out:
        json.dump({
            "runs": fig.runs,
            "kinds": KINDS, "worlds": {"active": "both ends ask for SMC", **WORLDS},
            "figures": [dict(zip(("device", "world", "kind", "test", "what"), key),
                             unit=fig.info[key]["unit"], median=fig.get(*key),
                             spread=fig.spread(*key), values=values)
                        for key, values in fig.values.items()],
            "promises": [dict(zip(("promise", "limit", "measured", "verdict", "by"), r))
                         for r in rows],
        }, out, indent=1)
    charts(fig, directory)
    if check and any(r[3] in ("MISS", "-") for r in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
