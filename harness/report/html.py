"""The report as one web page that needs nothing beside it."""

import base64
import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml

STYLE = """
body { max-width: 80rem; margin: 2rem auto; padding: 0 1.5rem; color: #1a1a1a; background: #fff;
       font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; }
h1, h2, h3 { line-height: 1.25; margin: 2.2rem 0 .8rem; }
h2 { border-bottom: 1px solid #ccc; padding-bottom: .3rem; }
div.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; white-space: nowrap; }
th { white-space: normal; }
thead th { border-bottom: 2px solid #333; vertical-align: bottom; }
tbody tr:hover { background: #f4f6f8; }
img { max-width: 100%; height: auto; }
code { font-size: .9em; background: #f2f2f2; padding: .1em .3em; border-radius: 3px; }
@media print { body { max-width: none; font-size: 10pt; } div.table { overflow: visible; }
               h2, h3 { break-after: avoid; } img, tr { break-inside: avoid; } }
"""


def page(text: str, folder: Path, pictures: list[str]) -> str:
    """Turn the report's markdown into HTML with its pictures inside.

    Parameters
    ----------
    text : str
        Markdown. HTML in it is shown and not obeyed.
    folder : Path
        What the addresses of pictures are relative to.
    pictures : list of str
        The addresses of the report's own pictures. No other is shown: a text of others must not bring a file in.
    """
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    own = {escapeHtml(each): _data_address(folder / each) for each in pictures}
    body = re.sub(r'<img src="([^"]*)"([^>]*)>', lambda found: _image(own.get(found[1]), found[2]), body)
    body = body.replace("<table>", '<div class="table"><table>').replace("</table>", "</table></div>")
    title = re.search(r"<h1>(.*?)</h1>", body)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title[1] if title else 'Report'}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def _image(address, rest):
    return f'<img src="{address}"{rest}>' if address else ""


def _data_address(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
