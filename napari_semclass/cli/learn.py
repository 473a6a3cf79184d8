"""`semclass learn`: learns the marks of a project, as the Annotate tab does."""

import argparse

from napari_semclass.cli import output

_LEARN = """\
Learn the marks of a project that was made in the viewer (a folder that ends in .semclass): the same tiles, the same
network, the same figures as in the Annotate tab. It takes seconds, as only a new last layer is fitted.
"""


def add_learn(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `semclass learn` to the commands."""
    parser = commands.add_parser(
        "learn",
        help="learn the marks of a project from the viewer",
        description=_LEARN,
        epilog="Exit status: 0 the model is written, 2 nothing could be learned.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(func=learn)
    add = parser.add_argument
    add("project", metavar="PROJECT", help="folder of the project")
    add("--out", required=True, metavar="MODEL", help="model file to write (.safetensors), or a name to find it by")
    add("--model", metavar="NAME|FILE", help="network to learn on (default: the one chosen in the project)")
    add("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"), help="where to compute (default: auto)")
    add("--overwrite", action="store_true", help="replace a model that is there already")


def learn(options: argparse.Namespace) -> int:
    """Learn as the options say; return the exit status."""
    # Loaded when needed: --help must not wait for torch.
    from napari_semclass.annotate.learning import Looking, labelled_of_project, learn_labelled
    from napari_semclass.annotate.project import read_project
    from napari_semclass.classify.feature_cache import FeatureCache
    from napari_semclass.cli.arguments import model_file
    from napari_semclass.errors import OutputError
    from napari_semclass.model import load_model, save_model
    from napari_semclass.model.card import card_name
    from napari_semclass.names import text_of_path

    out = model_file(options.out)
    if out.exists() and not options.overwrite:
        raise OutputError(f"{out}: is there already; choose another --out, or use --overwrite.")
    project = read_project(options.project)
    base = load_model(options.model or project.model or "starter")
    labelled = labelled_of_project(project, options.project, base.card)
    for item in labelled.used:
        output.message(f"{item.name}: {labelled.counts()[item.number]:,} tiles")
    result = None
    with output.progress_bar() as shown:
        task = shown.add_task("looking at tiles", total=len(labelled))

        def told(news: Looking) -> None:
            shown.update(task, completed=news.done)

        steps = learn_labelled(
            labelled,
            base,
            name=card_name(text_of_path(out.stem)),
            title=text_of_path(out.stem)[:200],
            device=options.device,
            cache=FeatureCache.shared(),
        )
        while True:
            try:
                told(next(steps))
            except StopIteration as end:
                result = end.value
                break
    save_model(result.model.network, result.model.card, out, half=False, familiar=result.model.familiar)
    output.result(f"{result.sentence}\n{text_of_path(out)}")
    return 0
