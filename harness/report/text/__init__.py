"""The report as one Markdown text, made from its `Content`."""

from harness.core.markdown import code, escape, to_markdown
from harness.experiment.results import runs_of
from harness.experiment.session import CONTAMINATED
from harness.report.content import Content
from harness.report.figures import Picture
from harness.report.text import details, findings, paper

__all__ = ["document"]


def document(content: Content, pictures: list[Picture]) -> str:
    """The whole report.

    Parameters
    ----------
    content : harness.report.content.Content
    pictures : list of harness.report.figures.Picture
        In the folder `figures` beside the text.
    """
    parts = [
        _head(content),
        paper.tables(content),
        paper.times(content),
        findings.protocol(content),
        findings.claims(content),
        findings.margins(content),
        findings.noise(content),
        findings.why(content),
        details.outlines(content),
        details.sensitivity(content),
        details.quality(content),
        details.errors(content),
        details.transfer(content),
        _figures(content, pictures),
        _runs(content),
    ]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def _head(content):
    again = " Scored again from the stored predictions." if content.recomputed else ""
    name = content.dataset.name
    return (
        f"# {escape(name)}, profile {escape(content.profile)}\n\n"
        f"{len(content.dataset.splits['test'])} test fields of {code(name)} (digest {code(content.dataset.digest[:16])}), "
        f"{_count_runs(content)}.{again}{_contaminated(content)}"
    )


def _contaminated(content):
    said = {text for run in runs_of(content.results) if (text := run.tags.get(f"harness.{CONTAMINATED}"))}
    return f"\n\n**The test split is contaminated**: {escape('; '.join(sorted(said)))}." if said else ""


def _count_runs(content):
    runs = sum(len(result.runs) for result in content.done)
    return f"{len(content.done)} of {len(content.results)} rows done, in {runs} run{'s' * (runs != 1)}"


def _figures(content, pictures):
    parts = [f"### {escape(each.title)}\n\n{each.about}\n\n![{escape(each.title)}](figures/{each.name})" for each in pictures]
    if parts and not content.dataset.at_hand:
        parts.insert(0, f"Pictures of fields are left out: the images of {code(content.dataset.name)} were not at hand.")
    return "\n\n".join(["## Figures", *parts]) if parts else ""


def _runs(content):
    frame = content.run_details
    if frame.empty:
        return "## Runs\n\nNone is finished."
    keys = ["row", "seed", "run_id", "spec_hash"]
    shared = [name for name in frame if frame[name].nunique(dropna=False) == 1 and name not in keys]
    text = frame.drop(columns=shared).fillna("").map(escape)
    for name in ("run_id", "spec_hash"):
        text[name] = frame[name].map(code)
    common = "".join(f"- {name}: {escape(frame[name].iloc[0])}\n" for name in shared if frame[name].iloc[0])
    about = f"The same for all of them:\n\n{common}\n" if common else ""
    return f"## Runs\n\n{about}" + to_markdown(text, ("row", "run_id", "spec_hash", "stages"))
