"""The report of an evaluation: `metrics.json`, charts as PNG files, and one HTML file that holds it all."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari_semclass.classify.figure import png
from napari_semclass.learn.charts import category_chart, confusion_chart, learning_curves, reliability_chart
from napari_semclass.learn.contact_sheet import Mistake, contact_sheet
from napari_semclass.learn.evaluate import Evaluation
from napari_semclass.learn.measure import CategoryScores, Scores
from napari_semclass.learn.metrics import percent
from napari_semclass.learn.shortcut import ShortcutCheck
from napari_semclass.names import printable
from napari_semclass.writing import json_text, replacing

METRICS_NAME, REPORT_NAME = "metrics.json", "report.html"
# Nothing is loaded from anywhere, and nothing in the page can run.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
       padding: 0 1rem; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin-bottom: 0.3rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.headline { font-size: 1.15rem; }
.warning { background: #fdf0e6; border-left: 4px solid #d55e00; padding: 0.6rem 1rem; }
.hint { color: #555; font-size: 0.9rem; } img { max-width: 100%; height: auto; display: block; margin: 0.5rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top;
         overflow-wrap: anywhere; }
"""


def write_report(evaluation: Evaluation, out: str | Path, epochs: Sequence[Mapping[str, Any]] = ()) -> Path:
    """Write all results into a folder, each file whole or not at all; return the path of the HTML report.

    Parameters
    ----------
    evaluation : Evaluation
    out : str or Path
        Folder; files of an earlier report in it are replaced.
    epochs : sequence of mappings, optional
        Of the training run, for its learning curves (see `learning_curves`).

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    out = Path(out)
    metrics = evaluation.metrics
    figures = {
        "confusion": confusion_chart(metrics.scores),
        "per_class": category_chart(metrics.scores),
        "reliability": reliability_chart(metrics.scores, metrics.temperature),
        "top_losses": contact_sheet(evaluation.mistakes),
    }
    if epochs:
        figures["learning_curves"] = learning_curves(epochs)
    charts = {name: png(figure) for name, figure in figures.items()}
    files = {f"{name}.png": content for name, content in charts.items()}
    files[METRICS_NAME] = (json_text(evaluation.to_json(), indent=1) + "\n").encode()
    files[REPORT_NAME] = printable(html_report(evaluation, charts)).encode()
    for name, content in files.items():
        with replacing(out / name) as temporary:
            temporary.write_bytes(content)
    return out / REPORT_NAME


def html_report(evaluation: Evaluation, charts: Mapping[str, bytes]) -> str:
    """One HTML page without links, with the charts (PNG files by name) in it."""
    card, metrics = evaluation.card, evaluation.metrics
    title = f"Evaluation of {card.title}"
    claim = evaluation.random_split
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="headline">{escape(headline(evaluation))}</p>',
        *(f'<p class="warning"><strong>Caution.</strong> {escape(text)}</p>' for text in evaluation.warnings),
        _overview([metrics.scores] if metrics.scores is metrics.per_image else [metrics.scores, metrics.per_image]),
        f"<p>{escape(claim if isinstance(claim, str) else claim.sentence())}</p>",
        "<h2>What is taken for what</h2>",
        _image(charts, "confusion", "Confusion matrix: rows are the truth, columns the answers"),
        "<h2>Category by category</h2>",
        '<p class="hint">Precision: how many of the answers with this name are right. Recall: how many of this '
        "category are found. F1 joins both. Categories at the top need more or better examples first.</p>",
        _image(charts, "per_class", "Precision, recall and F1 of each category"),
        _categories(metrics.scores),
        "<h2>Confidence</h2>",
        '<p class="hint">Where the curve follows the dashed line, answers given with 80 % confidence are right in '
        "80 % of the cases.</p>",
        _image(charts, "reliability", "Reliability before and after temperature scaling"),
        "<h2>Does it read the data bar?</h2>",
        *_shortcut(evaluation.shortcut),
        "<h2>Most confidently wrong</h2>",
        '<p class="hint">The most confident mistake of each picture, the worst first. Look here for wrong labels, '
        "too.</p>",
        _image(charts, "top_losses", "Tiles with wrong answers"),
        _mistakes(evaluation.mistakes),
    ]
    if "learning_curves" in charts:
        body += ["<h2>How it learned</h2>", _image(charts, "learning_curves", "Learning curves")]
    body += ["<h2>Notes</h2>", _list(evaluation.notes), "<h2>How this was made</h2>", _made(evaluation.made)]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{_STYLE}</style>'
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(body) + "\n</body></html>\n"


def headline(evaluation: Evaluation) -> str:
    """The result in one sentence."""
    scores = evaluation.metrics.scores
    return (
        f"{evaluation.card.name} is right on {percent(scores.accuracy.value)} of {_counted(scores)} (95 % interval "
        f"{percent(scores.accuracy.low)} to {percent(scores.accuracy.high)}); macro-F1 is {scores.macro_f1.value:.3f}."
    )


def _counted(scores: Scores) -> str:
    groups = f"{scores.groups:,} group{'' if scores.groups == 1 else 's'}"
    pictures = f"{scores.images:,} picture{'' if scores.images == 1 else 's'}"
    return f"{pictures} in {groups}" if scores.unit == "image" else f"{scores.n:,} tiles of {pictures} in {groups}"


def _overview(columns: Sequence[Scores]) -> str:
    rows = [
        ("number", [f"{scores.n:,}" for scores in columns]),
        ("accuracy", [str(scores.accuracy) for scores in columns]),
        ("macro-F1", [str(scores.macro_f1) for scores in columns]),
        ("macro precision", [str(scores.macro_precision) for scores in columns]),
        ("balanced accuracy (macro recall)", [str(scores.balanced_accuracy) for scores in columns]),
        ("calibration error", [f"{scores.after.error:.3f}" for scores in columns]),
        ("calibration error before temperature scaling", [f"{scores.before.error:.3f}" for scores in columns]),
    ]
    head = ["", *("whole pictures" if scores.unit == "image" else "tiles" for scores in columns)]
    return (
        _table(head, [[name, *values] for name, values in rows])
        + '<p class="hint">In brackets: 95 % intervals from a bootstrap over groups. A whole picture\'s answer is the '
        "mean over its tiles.</p>"
    )


def _categories(scores: Scores) -> str:
    rows = [[each.name, f"{each.support:,}", f"{each.groups:,}", *_shares(each)] for each in scores.categories]
    return _table(["category", f"{scores.word}s", "groups", "precision", "recall", "F1"], rows)


def _shares(each: CategoryScores) -> list[str]:
    shares = (each.precision, each.recall, each.f1)
    if each.groups > 1:
        return ["–" if share is None else str(share) for share in shares]
    return ["–" if share is None else f"{share.value:.3f}" for share in shares]  # one group: no interval to speak of


def _shortcut(check: ShortcutCheck) -> list[str]:
    """Figures with data bars masked, kept and alone, and by source."""
    body = [f"<p>{escape(text)}</p>" for text in check.sentences()]
    if check.bars is not None:
        ways = (("masked", check.bars.masked), ("kept", check.bars.kept), ("alone", check.bars.alone))
        rows = [
            [way, f"{one.n:,}", str(one.accuracy), str(one.macro_f1), str(one.balanced_accuracy)] for way, one in ways
        ]
        body += [
            '<p class="hint">The same pictures, whole, in three ways. A model that looks at the specimen is as good '
            "with the bar as without, and by the bar alone no better than always answering one category.</p>",
            _table(["data bar", "pictures", "accuracy", "macro-F1", "balanced accuracy"], rows),
        ]
    if len(check.sources) > 1:
        rows = [[one.source, f"{one.images:,}", f"{one.groups:,}", str(one.accuracy)] for one in check.sources]
        table = _table(["source", "pictures", "groups", "accuracy"], rows)
        body.append(f"<details><summary>Source by source</summary>{table}</details>")
    return body


def _mistakes(mistakes: Sequence[Mistake]) -> str:
    if not mistakes:
        return ""
    rows = [
        [each.file, f"{x0}–{x1}", f"{y0}–{y1}", each.truth, each.answer, f"{percent(each.confidence)}"]
        for each in mistakes
        for y0, x0, y1, x1 in [each.box]
    ]
    head = ["file", "x (px)", "y (px)", "truth", "answer", "confidence"]
    return f"<details><summary>The same as a table</summary>{_table(head, rows)}</details>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts, which are escaped here; the first column is a heading."""
    cells = "".join(f'<th scope="col">{escape(text)}</th>' for text in head)
    first = f"<tr>{cells}</tr>" if head else ""
    lines = [
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(text)}</td>" for text in row[1:])}</tr>'
        for row in rows
    ]
    return f'<div class="scroll"><table>{first}{"".join(lines)}</table></div>'


def _image(charts: Mapping[str, bytes], name: str, words: str) -> str:
    return f'<img alt="{escape(words)}" src="data:image/png;base64,{base64.b64encode(charts[name]).decode()}">'


def _list(texts: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _made(made: Mapping[str, Any]) -> str:
    rows = [
        [key, ", ".join(f"{name} {part}" for name, part in value.items()) if isinstance(value, Mapping) else f"{value}"]
        for key, value in made.items()
    ]
    return _table([], rows)
