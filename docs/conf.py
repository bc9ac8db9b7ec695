"""How the site is built: see docs/contributing in CONTRIBUTING.md, and _ext/live_pages.py."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import hippodrome

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "hippodrome"
author = "The hippodrome developers"
copyright = "The hippodrome developers"  # noqa: A001
release = hippodrome.__version__
version = release

extensions = [
    "api_pages",
    "live_pages",
    "magic_options",
    "message_links",
    "repo_pages",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "_ext"]
repository_url = "https://github.com/hippodrome/hippodrome"
nitpicky = False
suppress_warnings: list[str] = []

# Pages that run, with `make docs RUN=how-to/*` only some of them.
live_pages_run = os.environ.get("RUN") or "*"
nb_execution_mode = "force"
nb_execution_timeout = 90
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True
os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "hippodrome-docs-mpl"))
os.environ["IPP_NONINTERACTIVE"] = "1"
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline", "substitution"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "alphabetical"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
default_role = "py:obj"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88

# Addresses that are not registered yet, and what pages start themselves.
linkcheck_ignore = [
    r"https://github\.com/hippodrome/",
    r"https://hippodrome\.readthedocs\.io/",
    r"https?://(localhost|127\.0\.0\.1)",
]
linkcheck_timeout = 20
linkcheck_anchors = False  # many are made by scripts

html_theme = "pydata_sphinx_theme"
html_title = "hippodrome"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ |In \[\d*\]: "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"


def _pages_that_do_not_run() -> list[str]:
    """Return the pages that RUN leaves out, as MyST-NB wants to know them."""
    from fnmatch import fnmatch

    files = [*HERE.rglob("*.md"), *HERE.rglob("*.ipynb")]
    names = {str(path.relative_to(HERE).with_suffix("")): path for path in files}
    return [
        str(path)
        for name, path in names.items()
        if not any(fnmatch(name, pattern) for pattern in live_pages_run.split(","))
    ]


nb_execution_excludepatterns = _pages_that_do_not_run()
