"""What a release is made of says the same everywhere: version, packages, tools."""

from __future__ import annotations

import re

import pytest
import yaml
from packaging.requirements import Requirement

from tests.helpers.paths import ROOT

tomllib = pytest.importorskip("tomllib", reason="Python 3.11 has it")

METADATA = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECIPE = yaml.safe_load((ROOT / "conda.recipe" / "recipe.yaml").read_text())
GATE = (ROOT / ".ci" / "run").read_text()
HOOKS = [
    hook
    for repo in yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repo["hooks"]
]
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())

#: Packages that have another name on conda-forge.
ON_CONDA = {
    "dask": "dask-core",
    "msgpack": "msgpack-python",
    "prometheus-client": "prometheus_client",
}
#: Extras that are a feature of the package; the others are for its development.
FEATURES = ("dashboard", "metrics", "uvloop", "s3", "gs", "abfs", "zstd")
#: Hooks of the package pre-commit-hooks.
OF_PRE_COMMIT = ("check-yaml", "end-of-file-fixer", "trailing-whitespace")


def on_conda(requirements):
    """Write requirements as a recipe does."""
    parsed = [Requirement(r) for r in requirements]
    return {f"{ON_CONDA.get(r.name, r.name)} {r.specifier}" for r in parsed}


def test_the_newest_release_of_the_changelog_is_this_one():
    headings = re.findall(
        r"^## (\S+)(?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(), flags=re.M
    )
    version, date = next(h for h in headings if h[0] != "Unreleased")
    assert version == METADATA["version"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)


def test_the_images_of_the_docs_are_of_this_release():
    files = [*ROOT.glob("docs/deploy/*"), *ROOT.glob("docs/*.md")]
    text = "".join(path.read_text() for path in files)
    tags = re.findall(r"\bleandask(?:-history)?:(\d[\w.]*)", text)
    assert len(tags) >= 4
    assert {*tags} == {METADATA["version"]}


def test_the_conda_recipe_has_the_version_and_requirements_of_the_package():
    assert RECIPE["context"]["version"] == METADATA["version"]
    assert f">={RECIPE['context']['python_min']}" == METADATA["requires-python"]
    python, *run = RECIPE["requirements"]["run"]
    assert python == "python >=${{ python_min }}"
    assert {*run} == on_conda(METADATA["dependencies"])
    extras = METADATA["optional-dependencies"]
    optional = [r for feature in FEATURES for r in extras[feature]]
    assert {*RECIPE["requirements"]["run_constraints"]} == on_conda(optional)


def test_the_conda_recipe_has_the_commands_of_the_package():
    commands = {f"{name} = {where}" for name, where in METADATA["scripts"].items()}
    assert {*RECIPE["build"]["python"]["entry_points"]} == commands


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_is_a_command_of_the_gate_or_of_the_dev_extra(hook):
    dev = [Requirement(r).name for r in METADATA["optional-dependencies"]["dev"]]
    if hook["id"] in OF_PRE_COMMIT:
        assert "pre-commit-hooks" in dev
    else:
        command = hook["entry"].removesuffix(" --force-exclude")
        assert re.search(rf"^ *{command}\b", GATE, flags=re.M)


def test_the_sessions_that_the_workflow_runs_exist():
    asked = WORKFLOW["jobs"]["nox"]["strategy"]["matrix"]["session"]
    source = (ROOT / "noxfile.py").read_text()
    defined = re.findall(r"^@nox\.session.*\n(?:@.*\n)*def (\w+)", source, flags=re.M)
    assert {*asked} <= {*defined}


@pytest.mark.parametrize("page", ["bug.md", "feature.md"])
def test_an_issue_template_has_what_github_needs(page):
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / page).read_text()
    _, head, body = re.split(r"^---$", text, maxsplit=2, flags=re.M)
    assert {*yaml.safe_load(head)} >= {"name", "about"}
    assert body.strip()
