"""What a build of the site has to show, found by a parser of HTML: `python docs/check_site.py OUT`.

Every link within the site leads to a page and to a place in it, and every picture is there.
Equations are MathML, notebooks have their pictures, and every public name of zojax has its entry.
"""

import inspect
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import zojax


class Page(HTMLParser):
    """Links, places and numbers of elements of a page.

    Attributes:
      links: addresses in it, as written.
      places: what an address may end with.
      counts: of elements, by name.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = {"", "top"}
        self.counts: dict[str, int] = {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser for every element."""
        found = dict(attrs)
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


def dead_links(pages: dict[Path, Page]) -> list[str]:
    """Each as the page that has it and the address."""
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = pages.get(target)
            is_place = there is None or unquote(parts.fragment) in there.places
            if not target.exists() or not is_place:
                dead.append(f"{path}: {link}")
    return dead


def missing(pages: dict[Path, Page], out: Path) -> list[str]:
    """What should be on a page and is not."""
    found = []
    if not pages[out / "docs" / "concepts.html"].counts.get("math"):
        found.append("docs/concepts.html has no equation")
    for notebook in (out / "notebooks").glob("*.html"):
        if not pages[notebook].counts.get("img"):
            found.append(f"{notebook} has no picture")
    entries = set().union(*(page.places for page in pages.values()))
    for name, value in vars(zojax).items():
        is_public = not name.startswith("_") and not inspect.ismodule(value)
        if is_public and f"zojax.{name}" not in entries:
            found.append(f"zojax.{name} is on no page")
    return found


def main(out: Path) -> None:
    """Prints what was found, or what is wrong."""
    out = out.resolve()
    pages = {path: Page(path) for path in sorted(out.rglob("*.html"))}
    wrong = dead_links(pages) + missing(pages, out)
    if wrong:
        sys.exit("\n".join(wrong))
    num_links = sum(len(page.links) for page in pages.values())
    num_equations = sum(page.counts.get("math", 0) for page in pages.values())
    print(f"{len(pages)} pages, {num_links:,} links, {num_equations} equations")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
