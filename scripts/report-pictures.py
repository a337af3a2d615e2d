#!/usr/bin/env python3
"""Looks at a report in headless Chromium: pictures of it wide and narrow, light and dark, and whatever it complains of.

    backfill demo --report=report.html && scripts/report-pictures.py report.html [folder]

Needs `chromium` on the PATH, which gets no network. Writes report-{1200,390}-{light,dark}.png into the folder, and ends
with 1 where the console has an error or anything was asked of the network. With --docs it writes docs/report.png, the
picture in the README, instead.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def chromium(*arguments, timeout=120):
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking",
                   f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)


def picture(page, file, width, height, dark):
    """Chromium's windows are at least 500 wide, so a narrow page stands in a frame."""
    with tempfile.NamedTemporaryFile("w", suffix=".html", dir=page.parent) as frame:
        frame.write(f'<!doctype html><style>body{{margin:0}}iframe{{border:0;width:{width}px;height:{height}px}}</style>'
                    f'<iframe src="{page.name}"></iframe>')
        frame.flush()
        theme = ["--blink-settings=preferredColorScheme=0"] if dark else ["--blink-settings=preferredColorScheme=1"]
        chromium(f"--window-size={width},{height}", f"--screenshot={file}", *theme, f"file://{frame.name}")


def complaints(page):
    """What the console says, and requests that are for anything but the file itself."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        said = chromium("--enable-logging=stderr", "--v=0", f"--log-net-log={log}", "--dump-dom", f"file://{page}").stderr
        found = [line for line in said.splitlines() if "CONSOLE" in line]
        events = json.loads(log.read_text() or "{}").get("events", [])
        urls = {str(event.get("params", {}).get("url", "")) for event in events}
        # Chromium asks its own maker for updates and dictionaries whatever page it shows.
        own = ("google", "gvt1.com")
        found += sorted(url for url in urls if url.startswith("http") and not any(it in url for it in own))
        return found


def main():
    arguments = [it for it in sys.argv[1:] if it != "--docs"]
    page = Path(arguments[0]).resolve()
    if "--docs" in sys.argv:
        picture(page, ROOT / "docs/report.png", 1000, 1500, False)
        return 0
    folder = Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    for width, height in [(1200, 6000), (390, 12000)]:
        for theme in ["light", "dark"]:
            picture(page, folder / f"report-{width}-{theme}.png", width, height, theme == "dark")
    found = complaints(page)
    print("\n".join(found) or "nothing on the console, nothing asked of the network")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
