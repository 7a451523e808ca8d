#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""
usage: run_document.py DOCUMENT

Does what DOCUMENT says, in the current directory, in one shell, and compares what it prints with
what DOCUMENT says it does.

A literal block (after a line that ends in "::") whose first line begins with "# " is a dialogue
with a root shell: each line "# COMMAND" is entered, a "\\" at its end continues it, and the lines up
to the next one are what is printed. A literal block after the comment ".. file: NAME" is a file.
In what is printed

  <word>   is something without blanks that differs from one run to the next; the same word is the
           same text within one command's lines
  ...      on a line of its own is any number of lines

and blanks at the ends of lines do not count. Lines of a command that comes back at once ("&") may
still come while a later one runs: a command is done when all its lines are there.

The output is TAP.
"""
import os
import re
import subprocess
import sys
import time

# a slow machine must not matter to a test that passes
LIMIT = 120


def blocks(text):
    """(comment before it, lines) of each literal block"""
    lines = text.split('\n')
    comment = None
    i = 0
    while i < len(lines):
        line = lines[i]
        if line.startswith('.. ') and not line.rstrip().endswith('::'):
            comment = line[3:].strip()
        if not line.rstrip().endswith('::') or line.startswith('.. '):
            if line.strip() and not line.startswith('.. '):
                comment = None if not line.rstrip().endswith('::') else comment
            i += 1
            continue
        i += 1
        block = []
        while i < len(lines) and (not lines[i].strip() or lines[i].startswith((' ', '\t'))):
            block.append(lines[i])
            i += 1
        while block and not block[0].strip():
            block.pop(0)
        while block and not block[-1].strip():
            block.pop()
        if not block:
            continue
        indent = re.match(r'\s*', block[0]).group()
        yield comment, [line[len(indent):] if line.startswith(indent) else line.strip()
                        for line in block]
        comment = None


def dialogue(lines):
    """(command, lines that it prints) of each command"""
    command, printed = None, []
    more = False
    for line in lines:
        if more:
            command += '\n' + line
        elif line.startswith('# '):
            if command is not None:
                yield command, printed
            command, printed = line[2:], []
        else:
            printed.append(line.rstrip())
            continue
        more = line.endswith('\\')
    yield command, printed


def pattern(printed):
    """What is printed as a regular expression"""
    seen = set()
    parts = []
    for line in printed:
        if line == '...':
            parts.append(r'(?:.*\n)*?')
            continue
        expression = ''
        for piece in re.split(r'(<[a-z0-9_]+>)', line):
            if re.fullmatch(r'<[a-z0-9_]+>', piece):
                word = piece[1:-1]
                expression += r'(?P=%s)' % word if word in seen else r'(?P<%s>\S+)' % word
                seen.add(word)
            else:
                expression += re.escape(piece)
        parts.append(expression + r'[ \t]*\n')
    return re.compile(''.join(parts))


class Shell:
    def __init__(self):
        self.log = open('/proc/self/fd/%d' % os.memfd_create('log'), 'w+b', buffering=0)
        self.shell = subprocess.Popen(['/bin/bash', '--norc'], stdin=subprocess.PIPE,
                                      stdout=self.log, stderr=self.log, cwd=os.getcwd())
        self.read_from = 0
        self.number = 0

    def printed(self):
        text = os.pread(self.log.fileno(), 1 << 22, self.read_from).decode(errors='replace')
        return text

    def run(self, command, expected):
        """What it printed, and whether that is what was expected"""
        self.number += 1
        mark = '--- command %d is done ---\n' % self.number
        self.shell.stdin.write((command + '\necho "' + mark.strip() + '"\n').encode())
        self.shell.stdin.flush()
        until = time.monotonic() + LIMIT
        text = ''
        while time.monotonic() < until:
            text = self.printed()
            if mark in text and expected.fullmatch(text.replace(mark, '', 1)):
                break
            # nothing is to come any more: all that could has been printed
            if mark in text and not self.busy() and text == self.printed():
                break
            if self.shell.poll() is not None:
                break
            time.sleep(0.1)
        self.read_from += len(text.encode())
        text = text.replace(mark, '', 1)
        return text, mark is not None and expected.fullmatch(text) is not None

    def busy(self):
        """Has the shell children?"""
        with open('/proc/%d/task/%d/children' % (self.shell.pid, self.shell.pid)) as children:
            return children.read().strip() != ''

    def end(self):
        self.shell.stdin.close()
        self.shell.wait(LIMIT)


def main():
    with open(sys.argv[1]) as document:
        text = document.read()
    shell = Shell()
    count = failed = 0
    for comment, lines in blocks(text):
        if comment and comment.startswith('file: '):
            with open(comment[6:], 'w') as file:
                file.write('\n'.join(lines) + '\n')
            continue
        if not lines[0].startswith('# '):
            continue
        for command, printed in dialogue(lines):
            count += 1
            got, right = shell.run(command, pattern(printed))
            if not right:
                failed += 1
                for line in ['it printed:'] + got.rstrip('\n').split('\n') + \
                        ['the document says:'] + printed:
                    print('# ' + line)
            print('%sok %d - %s' % ('' if right else 'not ', count,
                                    command.split('\n')[0].replace('#', '\\#')), flush=True)
    shell.end()
    print('1..%d' % count)
    return 1 if failed or not count else 0


if __name__ == '__main__':
    sys.exit(main())
