"""The site: `sphinx-build -W -c docs . runs/site` from the root of the repository.

The root is the folder of sources, so that pages, notebooks and READMEs are read where they are, and
their links lead to the same places here and on GitHub.
"""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "zojax"
author = "The authors of zojax"
copyright = "the authors of zojax"
release = version = importlib.metadata.version("zojax")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "kept_results",
    "layers",
    "links_to_code",
    "mathml",
    "plain_docstrings",
]
root_doc = "docs/index"
include_patterns = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/**.md",
    "experiments/README.md",
    "experiments/launch/README.md",
    "experiments/assets/README.md",
    "notebooks/*.ipynb",
]
# Folders that need not be walked through.
exclude_patterns = [".*", "build", "dist", "runs", "tests", "zojax"]

html_theme = "furo"
html_title = "zojax"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_extra_path = ["_root"]
html_copy_source = False
html_show_sourcelink = False

nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

# Quotes in a docstring are often those of Python.
smartquotes = False
# Single backquotes are code in our docstrings.
default_role = "code"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
napoleon_use_ivar = True
napoleon_custom_sections = [("Warns", "params_style")]
