"""docs/terminal.svg: what `headstart fit` shows, from a real run in a real terminal (tmux, which must be installed).

    python benchmarks/elpv_data.py .demo/photos && python benchmarks/picture_terminal.py .demo/photos --minutes 2

The picture fetches nothing: whatever fixed-width font there is draws it.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SOCKET = "headstart-picture"


def tmux(*arguments: str) -> str:
    """What tmux prints, on a socket of its own."""
    return subprocess.run(["tmux", "-L", SOCKET, *arguments], check=True, capture_output=True, text=True).stdout


def run(data: Path, command: str, width: int) -> str:
    """The terminal's text with its colours when the command is done."""
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / data.name).symlink_to(data.resolve())  # the picture names no path of this machine
        tool = Path(sys.executable).parent
        script = f"cd {scratch} && PATH={tool}:$PATH {command}; touch {scratch}/done; sleep 60"
        tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", "70", script)
        try:
            while not (Path(scratch) / "done").exists():
                time.sleep(1)
            time.sleep(1)
            return tmux("capture-pane", "-e", "-p", "-S", "-")
        finally:
            tmux("kill-server")


def picture(shown: str, command: str, width: int) -> str:
    """The text as an SVG without fonts of its own."""
    lines = [line.rstrip() for line in shown.rstrip().splitlines()]
    console = Console(record=True, width=width, file=io.StringIO(), highlight=False)
    console.print(Text.assemble(("$ ", "green"), (command, "bold")))
    console.print(Text.from_ansi("\n".join(lines)))
    made = console.export_svg(title="headstart", theme=MONOKAI, unique_id="headstart")
    made = re.sub(r"@font-face\s*\{.*?\}\s*", "", made, flags=re.DOTALL)
    return re.sub(r"font-family: [^;]*;", f"font-family: {FONTS};", made)


def main() -> None:
    """Run, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--width", type=int, default=104)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "terminal.svg")
    asked = parser.parse_args()
    if shutil.which("tmux") is None:
        sys.exit("tmux is needed: it is the terminal")
    command = f"headstart fit {asked.data.name}/ --minutes {asked.minutes:g}"
    asked.out.write_text(picture(run(asked.data, command, asked.width), command, asked.width), encoding="utf-8")
    print(f"{asked.out}: {asked.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
