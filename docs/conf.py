"""The site: ``pip install ".[docs]" && sphinx-build -W docs build/docs``."""

from __future__ import annotations

import os
from importlib import metadata

project = "leandask"
copyright = "leandask's authors"  # Sphinx's own name
release = metadata.version("leandask")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
]
exclude_patterns = ["deploy/**"]
html_theme = "dask_sphinx_theme"
html_title = "leandask"
# Headings are linked to as GitHub makes their anchors.
myst_heading_anchors = 4
# A numpydoc section lists the members; a page of each would say the same again.
numpydoc_show_class_members = False
autodoc_typehints = "none"
# Links to files beside the docs, which are read on GitHub: the benchmarks, the README.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
# Without a network the build links to nothing outside.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "distributed": ("https://distributed.dask.org/en/stable", None),
    }
    if os.environ.get("READTHEDOCS")
    else {}
)
