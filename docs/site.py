"""What the site has besides the pages in this folder: those at the top of the repository, and a reference made from docstrings.

MkDocs calls these functions by their names. Links are written for the repository's own pages and turned here.
"""

import re
from pathlib import Path

from mkdocs.structure.files import File

TOP = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files, config):
    """Add pages."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=_turned((TOP / source).read_text(encoding="utf-8"))))
    rooms = _rooms()
    for room, modules in rooms.items():
        text = "\n\n".join([f"# {room}", *(f"::: {module}" for module in modules)])
        files.append(File.generated(config, f"reference/{room}.md", content=text))
    listed = "\n".join(f"- [{room}](reference/{room}.md)" for room in rooms)
    files.append(File.generated(config, "reference.md", content=f"# Reference\n\nMade from the docstrings.\n\n{listed}\n"))
    return files


def on_page_markdown(markdown, page, **_):
    """Links from the pages of this folder to those at the top."""
    if page.file.src_uri.startswith("reference/"):
        return markdown
    for source, target in PAGES.items():
        markdown = markdown.replace(f"](../{source}", f"]({target}")
    return markdown


def _turned(text):
    for source, page in PAGES.items():
        text = text.replace(f"]({source}", f"]({page}")
    return re.sub(r"\]\(docs/", "](", text)


def _rooms():
    """The modules of the package by the folder they lie in; the six calls first."""
    rooms = {"harness.api": ["harness.api"]}
    for path in sorted((TOP / "harness").rglob("*.py")):
        parts = path.relative_to(TOP).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if len(parts) > 2 or (len(parts) == 2 and path.name == "__init__.py"):
            rooms.setdefault(".".join(parts[:2]), []).append(".".join(parts))
    return rooms
