"""Links of pages to files of the package lead to their listing in the site."""

from pathlib import PurePosixPath

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.osutil import relative_uri


class LinksToCode(SphinxPostTransform):
    """Before files are copied for a download, those that are listed are linked."""

    default_priority = 5
    formats = ("html",)

    def run(self, **kwargs) -> None:
        listed = getattr(self.env, "_viewcode_modules", {})
        here = PurePosixPath(self.env.docname).parent
        for node in list(self.document.findall(addnodes.download_reference)):
            path = _normal(here / node["reftarget"])
            module = path.removesuffix(".py").replace("/", ".")
            if path.endswith(".py") and listed.get(module):
                page = self.app.builder.get_target_uri(f"_modules/{path.removesuffix('.py')}")
                uri = relative_uri(self.app.builder.get_target_uri(self.env.docname), page)
                node.replace_self(nodes.reference("", "", *node.children, refuri=uri))


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            parts.pop()
        elif part not in (".", "/"):
            parts.append(part)
    return "/".join(parts)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_post_transform(LinksToCode)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
