"""The pages that people read: their links lead somewhere, their commands exist, their lines are short."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from infra.report_picture import LARGEST_BYTES, PICTURE

ROOT = Path(__file__).parents[2]
WIDTH = 100
PATTERNS = ("*.md", "docs/**/*.md", "services/*/README.md", "charts/*/README.md")
PAGES = sorted({str(path.relative_to(ROOT)) for pattern in PATTERNS for path in ROOT.glob(pattern)})
GENERATED = {"docs/configuration.md", "docs/datasets.md"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def prose(text):
    """Number and line of what is no code, no table and no line of links alone."""
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif is_code or line.startswith("    ") or line.lstrip().startswith("|"):
            continue
        elif LINK.sub("", line).strip(" ·,.:;-*"):
            yield number, line


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    targets = [target.split("#")[0] for target in LINK.findall(text_of(page)) if ":" not in target]
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", sorted(set(PAGES) - GENERATED))
def test_prose_is_wrapped(page):
    assert [(number, len(line)) for number, line in prose(text_of(page)) if len(line) > WIDTH] == []


@pytest.mark.parametrize("page", PAGES)
def test_targets_of_make_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text_of(page), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_modules_that_python_is_to_run_exist(page):
    named = re.findall(r"python -m ((?:infra|studies|services|benchmarks|cli|tests)\.[a-z_.]*[a-z_])", text_of(page))
    places = [ROOT / module.replace(".", "/") for module in named if not module.endswith(".triage")]
    assert [place for place in places if not (place.with_suffix(".py").exists() or place.is_dir())] == []


def test_prose_leaves_out_code_tables_and_links():
    page = "words\n```\ncode\n```\n    code\n| table |\n[a](b) · [c](d)\nwith [a](b)\n"
    assert [line for _, line in prose(page)] == ["words", "with [a](b)"]


def test_the_picture_of_the_report_is_small_and_shown():
    assert (ROOT / PICTURE).stat().st_size <= LARGEST_BYTES <= 300_000
    assert str(PICTURE) in LINK.findall(text_of("README.md"))


def test_the_license_is_named_alike_everywhere():
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert "Apache License" in text_of(project["license-files"][0])


def test_readme_and_citation_name_the_same_paper():
    paper = yaml.safe_load(text_of("CITATION.cff"))["preferred-citation"]
    assert paper["url"] in LINK.findall(text_of("README.md"))
    assert paper["title"] in " ".join(text_of("README.md").split())
