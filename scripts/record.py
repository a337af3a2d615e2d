#!/usr/bin/env python3
"""Records a real demo run in a real terminal and draws what stood there: docs/run.svg and docs/summary.svg.

    cargo build --release && scripts/record.py [path of the program]

Needs tmux. The screens are what `tmux capture-pane` holds at two moments of one run: while both tracks are at work,
and at its end. Nothing is made up; the numbers differ a little from run to run.
"""

import html
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS = 100, 26
CELL, LINE, MARGIN = 8.4, 19, 16
SOCKET = "backfill-record"
COLOURS = {32: "#3fb950", 33: "#d29922", 36: "#39c5cf"}
TEXT, DIM, GROUND = "#e6edf3", "#8b949e", "#0d1117"


def tmux(*arguments):
    return subprocess.run(["tmux", "-L", SOCKET, *arguments], check=True, capture_output=True, text=True).stdout


def screen():
    return tmux("capture-pane", "-e", "-p", "-t", "demo")


def wait(seconds, until):
    """The first screen for which `until` holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lines = screen()
        if until(re.sub(r"\x1b\[[0-9;]*m", "", lines)):
            return lines
        time.sleep(0.2)
    sys.exit(f"not seen within {seconds} s:\n{screen()}")


def width(text):
    """Columns that a text takes."""
    return sum(0 if unicodedata.combining(c) or c == "\ufe0f" else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


class Pen:
    """What the escapes have set so far; a line begins as the one before it ended."""

    def __init__(self):
        self.colour, self.dim = None, False

    def pieces(self, line):
        """The texts of a line, each with its colour."""
        for code, text in re.findall(r"(?:\x1b\[([0-9;]*)m)?([^\x1b]*)", line):
            for number in map(int, filter(None, code.split(";"))):
                if number == 0:
                    self.colour, self.dim = None, False
                elif number == 39:
                    self.colour = None
                elif number in (2, 22):
                    self.dim = number == 2
                elif number in COLOURS:
                    self.colour = number
            if text:
                yield text, COLOURS.get(self.colour, DIM if self.dim else TEXT)


def draw(lines, path, title):
    """One text element a piece, each begun at its own column, so that no font's widths matter."""
    lines = lines.rstrip("\n").split("\n")
    across, down = COLUMNS * CELL + 2 * MARGIN, len(lines) * LINE + 2 * MARGIN + 14
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across:.0f} {down}" width="{across:.0f}" height="{down}"'
        ' font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14">',
        f"<title>{html.escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{GROUND}"/>',
        *(f'<circle cx="{MARGIN + 4 + 18 * i}" cy="14" r="5" fill="{c}"/>' for i, c in enumerate(["#ff5f57", "#febc2e", "#28c840"])),
    ]
    pen = Pen()
    for row, line in enumerate(lines):
        column, y = 0, MARGIN + 26 + row * LINE
        for text, colour in pen.pieces(line):
            # The bars are lines: a font's own would leave gaps between the characters.
            for part in re.findall(r"━+|─+|[^━─]+", text):
                x = MARGIN + column * CELL
                if part[0] in "━─":
                    height = 4 if part[0] == "━" else 1.5
                    out.append(f'<rect x="{x:.1f}" y="{y - 5 - height / 2:.1f}" width="{width(part) * CELL:.1f}" height="{height}" fill="{colour}"/>')
                elif part.strip():
                    shown = part.lstrip(" ")
                    start = x + (len(part) - len(shown)) * CELL
                    shown = shown.rstrip(" ")
                    out.append(f'<text x="{start:.1f}" y="{y}" fill="{colour}" textLength="{width(shown) * CELL:.1f}" xml:space="preserve">{html.escape(shown)}</text>')
                column += width(part)
    out.append("</svg>")
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(out) + "\n")
    print(path.relative_to(ROOT))


def main():
    program = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/release/backfill").resolve()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "backfill").symlink_to(program)
        tmux("new-session", "-d", "-s", "demo", "-x", str(COLUMNS), "-y", str(ROWS), "-c", folder, "-e", "TERM=xterm-256color", "bash --norc")
        try:
            tmux("send-keys", "-t", "demo", "export PATH=$PWD:$PATH PS1='$ '; clear; backfill demo --faults 0.05 --batch-size 25", "Enter")
            percent = re.compile(r"(dome|goldsky) ━+─* +(\d+)\.\d%")
            at_work = wait(300, lambda text: len(found := percent.findall(text)) == 2 and min(int(p) for _, p in found) >= 20)
            draw("\n".join(at_work.split("\n")[-16:]), ROOT / "docs/run.svg", "backfill demo while both tracks are at work")
            end = wait(900, lambda text: "SUMMARY" in text and re.search(r"\n\$ *$", text.rstrip("\n")))
            # The command's answer up to what it says of going for real.
            lines = end.split("\n")
            first = next(i for i, line in enumerate(lines) if "SUMMARY" in line)
            last = next(i for i, line in enumerate(lines) if line.startswith("all "))
            draw("\n".join(lines[first : last + 1]), ROOT / "docs/summary.svg", "the summary at the end of a run")
        finally:
            subprocess.run(["tmux", "-L", SOCKET, "kill-server"], check=False, capture_output=True)


if __name__ == "__main__":
    main()
