"""Write tables and figure of the study where pages show them, from the rows in `docs/study`, or check that they are current.

`python -m infra.study_tables` writes; `python -m infra.study_tables --check` compares and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from markupsafe import Markup

from shared.pages.environment import STYLE_SHEET
from shared.pages.words import NOTHING, count, holds_zero, label, limits, percent, points
from studies.experiment.blocks import EXPERIMENTS, MORE_STEPS, OURS, PRIMARY_POOL, PRINTED, RANDOM, STEPS_SUFFIX
from studies.experiment.figures import budget_figure
from studies.experiment.results import read_results
from studies.experiment.sentence import remarks
from studies.experiment.settings import FULL, REPORTED
from studies.experiment.summary import summarise

Json = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent
#: `results` in it has the rows of the reported seeds, as `medq experiment` wrote them.
STUDY = ROOT / "docs" / "study"
#: Accuracy against the number of images.
PICTURE = ROOT / "docs" / "images" / "study.svg"
_WIDTH = 100
_FIGURES = (
    ("overall", "**all of test** (the endpoint)"),
    ("known", "what the base model knew"),
    ("weak", "what it knew little of"),
    ("left_out", "what it had never seen"),
    ("pool_mix", "the pool's own mix"),
)
#: What else one could choose images by, in plain words, by the name of its arm.
_OTHERS = MappingProxyType(
    {
        PRINTED: "the paper's rule as printed (Eq. 2)",
        f"{PRINTED}_near_5_percent": "the same rule, if 5 % of the pool counts as near",
        "uniform_capability": "near any failure, all capabilities alike",
        "shuffled_failures": "by failures, told wrongly which images failed",
        "novelty": "unlike what the base model was taught",
        "k_centre": "as unlike each other as can be (k-centre)",
        "uncertainty": "where the model is least sure (active learning)",
        "random_plus_dev": "at random, and as many more as dev has",
        "ideal": "never seen, by the truth: no rule finds more",
        f"{RANDOM}_clean": "at random, no label wrong",
        f"{OURS}_clean": "by failures, no label wrong",
    }
)
#: Where the primary comparison is made, in plain words, by the mix of its pool and the name of its arm.
_PLACES = MappingProxyType(
    {
        (PRIMARY_POOL, OURS): "as above",
        (PRIMARY_POOL, OURS + STEPS_SUFFIX): f"trained {MORE_STEPS} times as long",
        ("pool-10", OURS): "a pool with 10 % of it",
        ("pool-30", OURS): "a pool with 30 % of it",
        ("pool-uniform", OURS): "a pool with as much of it as test",
    }
)
_TYPES = "left_out_by_question_type"


def headline_table(summaries: Mapping[str, Json]) -> str:
    """The primary comparison: base, random drawing and drawing by failures, the two differences and the ratio."""
    pool = _primary(summaries["sample-efficiency"])
    arms = {arm["name"]: arm for arm in pool["arms"]}
    ours, random = arms[OURS], arms[RANDOM]
    head = (
        f"accuracy, mean of {ours['n_seeds']} seeds, E = {pool['enrichment']:.0f}",
        "before",
        "at random",
        "by failures",
        "by failures minus before",
        "by failures minus at random",
    )
    rows = [
        (
            name,
            *(percent(one["value"]) for one in (pool["base"][key], random["accuracy"][key], ours["accuracy"][key])),
            _gain(ours["over_base"][key]),
            _gain(ours["over_against"][key]),
        )
        for key, name in _FIGURES
    ]
    said = _paragraph(" ".join(filter(None, (_ratio(pool), _unended(ours["n_seeds"])))))
    return "\n\n".join(filter(None, (_table(head, rows), said, _others(arms), _places(summaries["sample-efficiency"]))))


def _others(arms: Mapping[str, Json]) -> str:
    """What other ways to choose images reached, as far as they were run."""
    head = ("chosen", "seeds", "all of test", "minus at random", "by failures minus it", "never seen, of those chosen")
    rows = [
        (
            words,
            arm["n_seeds"],
            percent(arm["accuracy"]["overall"]["value"]),
            _over_reference(arm),
            _gain(arm["ours_over"]["overall"]),
            percent(arm["draw"]["left_out"]),
        )
        for name, words in _OTHERS.items()
        if (arm := arms.get(name))
    ]
    lead = "Other ways to choose as many images, but where it says more:"
    return f"{lead}\n\n{_table(head, rows)}" if rows else ""


def _places(summary: Json) -> str:
    """The primary comparison in other pools and with longer training, as far as it was run."""
    head = ("where", "E", "seeds", "at random", "by failures", "by failures minus at random", "ratio")
    found = {(pool["mix"], ratio["ours"]): (pool, ratio) for pool in summary["pools"] for ratio in pool["ratios"]}
    rows = [_place(words, *found[place]) for place, words in _PLACES.items() if place in found]
    lead = "The same comparison where what the base model had never seen is more common, and with longer training:"
    return f"{_paragraph(lead)}\n\n{_table(head, rows)}" if len(rows) > 1 else ""


def _place(words: str, pool: Json, ratio: Json) -> tuple[object, ...]:
    arms = {arm["name"]: arm for arm in pool["arms"]}
    ours = arms[ratio["ours"]]
    reached = (percent(arm["accuracy"]["overall"]["value"]) for arm in (arms[ours["against"]], ours))
    return (
        words,
        f"{pool['enrichment']:.1f}",
        ratio["n"],
        *reached,
        _gain(ours["over_against"]["overall"]),
        ratio["text"],
    )


def _unended(n_seeds: int) -> str:
    """That the figures are not final, as long as they are not."""
    n = len(REPORTED)
    return "" if n_seeds >= n else f"**Not final**: {n_seeds} of the {n} reported seeds have ended."


def _ratio(pool: Json) -> str:
    (ratio, *_) = pool["ratios"]
    if ratio["value"] is None:
        needs = f"Even {ratio['most']:g} times as many random images did not reach what failures reached"
        return f"{needs}, at equal steps: the ratio is {ratio['text']}."
    needs = f"Random drawing needs {ratio['value_text']} times {ratio['limits_text']} as many images for the same"
    return f"{needs} accuracy, at equal steps ({ratio['least']:g} to {ratio['most']:g} times were run)."


def all_tables(summaries: Mapping[str, Json]) -> str:
    """Every arm of every experiment that has results, a table for each pool; then what each table cannot hold."""
    return "\n\n".join(part for name, summary in summaries.items() for part in _experiment(name, summary))


def _experiment(name: str, summary: Json) -> Iterator[str]:
    seeds = {block: numbers for block, numbers in summary["seeds"].items() if numbers}
    told = ", ".join(f"{block} {', '.join(map(str, numbers))}" for block, numbers in seeds.items())
    yield _paragraph(
        f"**`medq experiment {name}`.** Seeds by block: {told}. Guessing gives {percent(summary['guessing'])}."
    )
    for pool in summary["pools"]:
        yield _arms(pool)
        yield from map(_paragraph, remarks(pool))
        if types := _question_types(pool):
            yield types
    if summary["losses"]:
        lines = (f"{line.removeprefix('Lost: ')} (runs: {n})" for line, n in summary["losses"].items())
        yield "Lost on the way:\n\n" + "\n".join(map(_item, lines))


def _arms(pool: Json) -> str:
    head = (
        f"{pool['mix']}, E = {pool['enrichment']:.1f}",
        "images a round",
        "seeds",
        "overall",
        "minus base",
        "minus its reference",
        "contrast minus it",
        "known",
        "weak",
        "left out",
        "pool's mix",
        "left-out images drawn",
        "labels wrong",
    )
    base = ("base model", NOTHING, pool["base"]["overall"]["n"], _share(pool["base"]["overall"]))
    first = (*base, *[NOTHING] * 3, *_parts(pool["base"]), NOTHING, NOTHING)
    return _table(head, [first, *map(_arm, pool["arms"])])


def _arm(arm: Json) -> tuple[object, ...]:
    return (
        label(arm["name"]),
        count(arm["budget"]),
        arm["n_seeds"],
        _share(arm["accuracy"]["overall"]),
        _gain(arm["over_base"]["overall"]),
        _over_reference(arm),
        _gain(arm["ours_over"]["overall"]) if arm["ours_over"] else NOTHING,
        *_parts(arm["accuracy"]),
        percent(arm["draw"]["left_out"]),
        percent(arm["draw"]["wrong"]),
    )


def _over_reference(arm: Json) -> str:
    """How far an arm is above what it is compared with, which is named where it is not random drawing at budget 1."""
    if not arm["over_against"]:
        return NOTHING
    reference = "" if arm["against"] in ("", RANDOM) else f" ({label(arm['against'])})"
    return _gain(arm["over_against"]["overall"]) + reference


def _parts(accuracy: Json) -> tuple[str, ...]:
    return tuple(percent(accuracy[key]["value"]) for key in ("known", "weak", "left_out", "pool_mix"))


def _question_types(pool: Json) -> str:
    """Left-out cells by the type of question, of the base model and the two main arms; "" where either arm is missing."""
    arms = {arm["name"]: arm for arm in pool["arms"]}
    if not {OURS, RANDOM} <= arms.keys():
        return ""
    before = arms[OURS]["rounds"][0]["by"].get(_TYPES, {})
    models = {"base model": before, **{name: arms[name]["by"].get(_TYPES, {}) for name in (RANDOM, OURS)}}
    head = ("left-out cells, by type of question", *map(label, models))
    rows = [(label(kind), *(_share(of.get(kind)) for of in models.values())) for kind in sorted(before)]
    return _table(head, rows)


def _share(found: Json | None) -> str:
    return f"{percent(found['value'])} {limits(found)}".strip() if found else NOTHING


def _gain(found: Json) -> str:
    """A difference in points with its interval; one that holds zero says so."""
    if found["value"] is None:
        return NOTHING
    return f"{points(found['value'])} {limits(found)}".strip() + (" (holds 0)" if holds_zero(found) else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [f"| {' | '.join(map(str, line))} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])


def _paragraph(text: str) -> str:
    return textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _item(text: str) -> str:
    return textwrap.fill(f"- {text}", _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _primary(summary: Json) -> Json:
    found: Json = next(pool for pool in summary["pools"] if pool["is_primary"])
    return found


#: Page to what stands in it, made from the summaries of the experiments by name.
PARTS: Mapping[Path, Callable[[Mapping[str, Json]], str]] = MappingProxyType(
    {ROOT / "README.md": headline_table, ROOT / "docs" / "experiments.md": all_tables}
)
_BEGIN, _END = "<!-- study: made by `python -m infra.study_tables` -->", "<!-- study: end -->"


def summaries_of(folder: Path) -> dict[str, Json]:
    """What each experiment showed, by its name; those that have no results beside another's are left out."""
    found: dict[str, Json] = {}
    told: set[tuple[str, int]] = set()
    for name, blocks in EXPERIMENTS.items():
        results = read_results(folder, blocks, FULL.digest)
        made = {(one.block, one.seed) for one in results}
        if made - told:
            found[name] = summarise(name, results, FULL)
            told |= made
    return found


def page_with(text: str, part: str) -> str:
    """A page with this between its marks.

    Raises:
        ValueError: It does not have both of them.
    """
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError(f"The page lacks the marks {_BEGIN} and {_END}.")
    return f"{before}{begin}\n\n{part}\n\n{end}{after}"


def picture(drawing: Markup) -> str:
    """A chart as a file of its own, in the colours of the pages."""
    style = Markup('xmlns="http://www.w3.org/2000/svg" style="background: var(--surface)"><style>{}</style><title>')
    head, _, rest = drawing.partition("><title>")
    return f"{head} {style.format(STYLE_SHEET.read_text(encoding='utf-8'))}{rest}\n"


def files_of(summaries: Mapping[str, Json]) -> Iterator[tuple[Path, str]]:
    """Each file that shows the study, and what it has to hold."""
    for page, make in PARTS.items():
        yield page, page_with(page.read_text(encoding="utf-8"), make(summaries))
    yield PICTURE, picture(budget_figure(_primary(summaries["sample-efficiency"])))


def main() -> None:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare with what is committed, write nothing")
    is_check = parser.parse_args().check
    summaries = summaries_of(STUDY)
    for path, made in files_of(summaries):
        if not is_check:
            path.write_text(made, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != made:
            sys.stderr.write(f"{path.name} has other figures of the study: run `python -m infra.study_tables`.\n")
            raise SystemExit(1)


if __name__ == "__main__":
    main()
