"""The page's own files: HTML around its data, style and scripts."""

import html
import json
from importlib import resources
from pathlib import Path
from string import Template

ASSETS_FOLDER = resources.files(__package__)
GENERATOR = "distortion_removal listening page"
_ASSETS = (
  "page.css",
  "flac.js",
  "player.js",
  "table.js",
  "blind.js",
  "keys.js",
  "page.js",
)
# What could end the script element that holds the data, or a line of it.
_ESCAPES = {
  ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"
}


def write(folder: Path, data: dict, *, title: str) -> None:
  """Writes index.html and the files it needs, once the sounds are there."""
  for name in _ASSETS:
    (folder / name).write_bytes((ASSETS_FOLDER / name).read_bytes())
  template = Template((ASSETS_FOLDER / "page.html").read_text(encoding="utf-8"))
  text = template.substitute(
    title=html.escape(title), data=embedded(data), generator=GENERATOR
  )
  (folder / "index.html").write_text(text, encoding="utf-8")


def is_page(folder: Path) -> bool:
  """Whether a folder holds a page that `write` wrote."""
  try:
    with open(folder / "index.html", encoding="utf-8") as file:
      return f'content="{GENERATOR}"' in file.read(4096)
  except (OSError, UnicodeDecodeError):
    return False


def embedded(data: dict) -> str:
  """JSON that can stand in a script element, whatever names it holds."""
  text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
  return text.translate(_ESCAPES)
