"""Settings of the documentation site: ``pip install '.[docs]' && sphinx-build -W docs out``."""

import os
import sys
from pathlib import Path

import genmod

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "genmod"
author = "The authors of genmod"
version = release = genmod.__version__
html_title = f"genmod {version}"
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "site_math",
    "sphinx_copybutton",
    "site_links",
    "site_components",
    "site_kinds",
    "site_api",
]

exclude_patterns = ["_build", "_ext", "**.ipynb_checkpoints"]
nitpicky = False

# Pages.
myst_enable_extensions = ["dollarmath", "amsmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

# Tutorials are texts with cells, and a cell that fails stops the build. GENMOD_DOCS_NOTEBOOKS=0 leaves them unexecuted, for a
# look at the pages alone.
nb_execution_mode = "off" if os.environ.get("GENMOD_DOCS_NOTEBOOKS") == "0" else "cache"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
# A cell of a minute takes ten where much else runs; what hangs is to be found.
nb_execution_timeout = 3000
nb_merge_streams = True
# Bars of progress and notes: what is an error stops the build.
nb_output_stderr = "remove"
nb_execution_cache_path = str(HERE / "_build" / "notebooks")
# An error that a page shows is what it says, without the paths of the machine that made the site.
_PROFILE = HERE / "_build" / "ipython" / "profile_default"
_PROFILE.mkdir(parents=True, exist_ok=True)
(_PROFILE / "ipython_config.py").write_text(
    'get_config().InteractiveShell.xmode = "Minimal"\n', encoding="utf-8"
)
os.environ["IPYTHONDIR"] = str(_PROFILE.parent)

# The reference of Python names.
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Reference", "notes_style"), ("References", "notes_style")]
python_maximum_signature_line_length = 88
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries = False

# Looks: no file comes from elsewhere.
html_math_renderer = "mathml"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
html_theme_options = {
    # Half of the pages are made when the site is built, and have no source to link to.
    "footer_icons": [
        {"name": "Source", "url": "https://github.com/genmod-torch/genmod", "html": "Source", "class": ""}
    ],
    "light_css_variables": {"color-brand-primary": "#1f5fa8", "color-brand-content": "#1f5fa8"},
    "dark_css_variables": {"color-brand-primary": "#7db4f0", "color-brand-content": "#7db4f0"},
}
copybutton_prompt_text = r"^\$ |^>>> |^\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
