#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""usage: profile.py DIRECTORY [ROWS]

Makes tables of what bench/guest profile and bench/insns.c have left in DIRECTORY: in which
functions the instructions of a connection are executed, and what one kind executes more than
another. Numbers are exact, for each connection: instructions of the function itself, and how
often it was called (entered at its first instruction).
"""

import bisect
import collections
import re
import sys

PAIRS = [  # world and kind, against
    ("nosmc U", "active T", "server is plain TCP, setsockopt, no policy"),
    ("connect U", "active T", "by_port refuses at connect, setsockopt"),
    ("connect C", "active T", "by_port refuses at connect, cgroup"),
    ("nosmc C", "active T", "server is plain TCP, cgroup, by_port allows"),
    ("active U", "active A", "SMC, setsockopt at both ends; against native AF_SMC"),
]
GROUPS = [  # of the kernel's functions, by name; the first that matches
    ("scheduler, workers, waiting", r"sched|queue_work|process_one_work|worker|kthread|pool|psi_|"
     r"(en|de)queue|pick_|update_(load|curr|se|cfs|min|dl)|avg_vruntime|wake|ttwu|place_entity|"
     r"finish_task|__switch_to|set_next|put_prev|prepare_to|finish_wait|wait_for|vruntime|"
     r"cpu_util|select_task|runqueue|rebalance|hrtick|_clock|switch_mm|idle_cpu|resched"),
    ("memory: slabs, pages, clearing", r"kmem|kmalloc|kfree|slab|memset|alloc_pages|free_page|"
     r"clear_page|rmqueue|vmalloc|memcg|___cache"),
    ("RCU", r"rcu"),
    ("BPF", r"bpf|trie_|htab|ringbuf|migrate_(en|dis)able|nofault|mono_fast"),
    ("inodes and files of sockets", r"inode|evict|iput|xa_|xas_|map_id|fsnotify|sockfs|d_alloc|"
     r"file|fput|dput|dentry|security_(inode|file)|fdget"),
    ("locks, bottom halves", r"_raw_|local_bh|lock_sock|release_sock|mutex|spin|list_(add|del)"),
    ("timers, time", r"timer|ktime|tsc|jiffies|clockevents|tick_"),
    ("TCP, IP, loopback", r"tcp|inet|ip_|fib_|dst_|rt_|nf_|skb|dev_|net_|loopback|neigh|udp|"
     r"eth_|route|flow|napi|backlog"),
    ("other sockets' code", r"sock|sk_|__sys_|x64_sys|aa_|apparmor|security|syscall|entry_|strncpy|"
     r"strcmp|check_object|check_stack|module_"),
]
IDLE = ("idle", "halt", "nohz", "cpuidle")


class Symbols:
    def __init__(self, name):
        found = {}
        with open(name, encoding="utf-8") as lines:
            for line in lines:
                address, symbol, *module = line.split()
                # of several names the first is that of the function itself
                found.setdefault(int(address, 16), (symbol, "".join(module).strip("[]")))
        self.addresses = sorted(found)
        self.names = [found[a] for a in self.addresses]

    def find(self, address):
        """(name, module) of the function there, and where it begins."""
        if address < 1 << 63:
            return ("program and C library", "user"), None
        i = bisect.bisect(self.addresses, address) - 1
        return self.names[i], self.addresses[i]


def read(directory):
    """{world and kind: {(name, module): [instructions, calls]}}, each of one connection."""
    profiles, cache = {}, {}
    with open(f"{directory}/counted", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            world, kind, connections, name = line.split()
            if name not in cache:
                cache[name] = Symbols(f"{directory}/{name}")
            profile = collections.defaultdict(lambda: [0, 0])
            with open(f"{directory}/insns.{number}", encoding="utf-8") as blocks:
                for block in blocks:
                    address, size, times = block.split()
                    symbol, begin = cache[name].find(int(address, 16))
                    entry = profile[symbol]
                    entry[0] += int(size) * int(times) / int(connections)
                    if begin == int(address, 16):
                        entry[1] += int(times) / int(connections)
            profiles[f"{world} {kind}"] = profile
    return profiles


def group(name, module):
    if module:
        return {"user": "program and C library", "bpf": "BPF"}.get(module, module)
    return next((text for text, words in GROUPS if re.search(words, name)), "others")


def by_group(profile):
    sums = collections.Counter()
    for symbol, (instructions, _) in profile.items():
        sums[group(*symbol)] += instructions
    return sums


def compare(title, a, b, rows):
    """What b has more than a."""
    total = [sum(v[0] for v in p.values()) for p in (a, b)]
    print(f"\n{title}\n{total[1]:,.0f} instructions, {total[1] - total[0]:+,.0f}\n")
    groups = [by_group(p) for p in (a, b)]
    for name in sorted(groups[0] | groups[1], key=lambda g: groups[0][g] - groups[1][g]):
        if abs(groups[1][name] - groups[0][name]) >= 0.5:
            print(f"  {groups[1][name] - groups[0][name]:+9,.0f}  {name}")
    print(f"\n  {'extra':>9}  {'without':>9}  {'with':>9}  {'calls':>6}  {'extra':>6}  function")
    none = [0, 0]
    table = [(b.get(s, none)[0] - a.get(s, none)[0], s) for s in set(a) | set(b)]
    table.sort(key=lambda row: (-abs(row[0]), row[1]))
    for extra, symbol in table[:rows]:
        before, after = a.get(symbol, none), b.get(symbol, none)
        if abs(extra) < 0.5:
            break
        print(f"  {extra:+9,.0f}  {before[0]:9,.0f}  {after[0]:9,.0f}  {after[1]:6.2f}  "
              f"{after[1] - before[1]:+6.2f}  {symbol[0]}" +
              (f" [{symbol[1]}]" if symbol[1] not in ("", "user") else ""))
    rest = sum(extra for extra, _ in table[rows:])
    print(f"  {rest:+9,.0f}  {len(table[rows:])} others" if table[rows:] else "")


def summary(pairs):
    """A simple table of reStructuredText: extra instructions by group, for each pair."""
    sums = [(by_group(a), by_group(b)) for _, _, a, b in pairs]
    extra = {name: [b[name] - a[name] for a, b in sums] for name in
             {n for a, b in sums for n in a | b}}
    names = sorted(extra, key=lambda n: -max(abs(v) for v in extra[n]))
    rows = [[n] + [f"{v:+,.0f}" for v in extra[n]] for n in names
            if any(abs(v) >= 10 for v in extra[n])]
    rows.append(["all"] + [f"{sum(b.values()) - sum(a.values()):+,.0f}" for a, b in sums])
    head = ["extra instructions"] + [what for what, _, _, _ in pairs]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    rule = "  ".join("=" * w for w in widths)
    lines = ["  ".join([row[0].ljust(widths[0])] +
                       [c.rjust(w) for c, w in zip(row[1:], widths[1:])]) for row in [head] + rows]
    print("\n" + "\n".join([rule, lines[0], rule] + lines[1:] + [rule]))


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    profiles = read(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) == 3 else 60
    for profile in profiles.values():   # waiting costs nothing
        for symbol in [s for s in profile if any(word in s[0] for word in IDLE)]:
            del profile[symbol]
    print("Where the instructions of connect, request, close go: each connection, both ends, exact")
    pairs = [(what, f"=== {title}: {what} against {base}", profiles[base], profiles[what])
             for what, base, title in PAIRS if what in profiles and base in profiles]
    summary(pairs)
    for _, title, a, b in pairs:
        compare(title, a, b, rows)


if __name__ == "__main__":
    main()
