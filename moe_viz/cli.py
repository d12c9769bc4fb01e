"""The command line: `serve` opens the lab, also where no command is named; without a browser, `train` a run into a folder, `verify` that
a folder's run can be reproduced, `export` its numbers; and for whoever serves others, `doctor` before it runs and `health` while it does.

Every knob is an option generated from its declaration in `moe_viz/spec`. torch is loaded only by the commands that train, and pandas only
by those that keep something, because the lab starts here, too.
Exit codes: 0 done, 1 the run diverged or could not be written (doctor, health: not fit), 2 bad arguments. `verify` says one of: identical
(0), confirmed (0: other machine, figures agree), refuted (1), cannot be compared (2).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from moe_viz import __version__, health
from moe_viz.health import ADDRESS
from moe_viz.spec import ROUTER_OPTIONS, TASK_OPTIONS, RunConfig, plain, problems
from moe_viz.spec.describe import allowed, is_number, is_plain_number, read, write


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the process's exit code."""
    parser = make_parser()
    args, rest = parser.parse_known_args((sys.argv[1:] if arguments is None else list(arguments)) or ["serve"])
    if args.name == "serve":
        args.flags = rest  # Streamlit's own, which it reads and refuses itself
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return args.command(args)
    except ValueError as error:
        print(f"{parser.prog} {args.name}: {plain(error)}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{parser.prog} {args.name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{parser.prog} {args.name}: stopped", file=sys.stderr)
        return 130


def make_parser() -> Parser:
    parser = Parser(
        prog="moe-viz" if Path(sys.argv[0]).stem == "moe-viz" else "python -m moe_viz",
        description="A live laboratory for Mixture-of-Experts routing, in a browser or without one.",
    )
    parser.add_argument("--version", action="version", version=f"moe_viz {__version__}")
    commands = parser.add_subparsers(dest="name", required=True, metavar="{serve,train,verify,export,doctor,health}")

    command = commands.add_parser(
        "serve",
        help="open the lab (the default)",
        allow_abbrev=False,
        usage="%(prog)s [--reload] [any flag of streamlit run]",
    )
    command.add_argument("--reload", action="store_true", help="start it anew when a source file changes")
    command.set_defaults(command=serve)

    usage = "%(prog)s [--router NAME] [--k K] [--steps N] [--out DIR] [any knob below]"
    command = commands.add_parser("train", help="train a run and record it", allow_abbrev=False, usage=usage)
    command.add_argument("--steps", type=_count, default=200, help="training steps (200)")
    command.add_argument(
        "--out", type=Path, default=Path("RUN"), help="folder for config, history, traces and model (RUN)"
    )
    command.add_argument("--log", type=Path, help="folder for TensorBoard event files (needs the extra `log`)")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    knobs = command.add_argument_group(
        "knobs", "Defaults are the task's own. Options of another router or task are refused."
    )
    for word, (info, owners) in words().items():
        knobs.add_argument(f"--{word.replace('_', '-')}", dest=f"knob_{word}", metavar="VALUE", default=argparse.SUPPRESS,
                           help=_help(word, info, owners))  # fmt: skip
    command.set_defaults(command=train)

    command = commands.add_parser("verify", help="play a run again and compare", allow_abbrev=False)
    command.add_argument(
        "run",
        type=Path,
        nargs="+",
        help="folder that train wrote, exported run, script (NAME.script.json), or receipts",
    )
    command.add_argument("--csv", type=Path, help="write what was found to this file, a line for each")
    command.add_argument("--device", help="another device than the script's")
    command.add_argument("--quiet", action="store_true", help="no progress bar")
    command.set_defaults(command=verify)

    command = commands.add_parser(
        "export", help="write a recorded run's history and traces as CSV or JSON", allow_abbrev=False
    )
    command.add_argument("run", type=Path, help="folder that train wrote")
    command.add_argument(
        "--format", choices=("csv", "json"), default="csv", help="csv (one file each) or json (one file)"
    )
    command.add_argument("--out", type=Path, help="folder to write to (the run's own)")
    command.set_defaults(command=export_run)

    command = commands.add_parser("doctor", help="check that this machine can serve the lab", allow_abbrev=False)
    command.add_argument("--port", type=_port, default=8501, help="port that the lab will use (8501)")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(command=doctor)

    command = commands.add_parser("health", help="ask a running lab how it is", allow_abbrev=False)
    command.add_argument("--url", default=ADDRESS, help=f"its health endpoint ({ADDRESS})")
    command.set_defaults(command=lambda args: health.report(args.url))
    return parser


# -- commands --------------------------------------------------------------------------------------------------------------


def serve(args: argparse.Namespace) -> int:
    """Serve the lab until it is stopped."""
    from moe_viz import launch

    return (launch.serve_and_reload if args.reload else launch.serve)(args.flags)


def train(args: argparse.Namespace) -> int:
    """Train and record; Ctrl-C ends the run after the present step and keeps what was reached."""
    config = config_of(
        {word.removeprefix("knob_"): read(text) for word, text in vars(args).items() if word.startswith("knob_")}
    )
    if args.out.exists() and not args.out.is_dir():
        raise ValueError(f"--out {args.out} is a file; it must be a folder")

    from moe_viz.records import recording
    from moe_viz.training import Trainer
    from moe_viz.training.files.event_log import EventLog
    from moe_viz.training.files.recording import record

    with EventLog(args.log) if args.log is not None else nullcontext() as log:
        trainer = Trainer(config)
        look = None if log is None else log.look
        recorded = record(trainer, args.steps, _stop_on_interrupt(), _bar(args.steps, args.quiet), look)
    recording.save(args.out, recorded)
    for stale in args.out.glob("trace-*.parquet"):
        if stale.stem.removeprefix("trace-") not in {str(trace.layer) for trace in recorded.snapshot.traces}:
            stale.unlink()  # an earlier run in this folder had more layers
    trainer.save(args.out / "model.safetensors", history=False)
    if trainer.state == "diverged":
        print(trainer.message, file=sys.stderr)
        return 1
    metric = recorded.snapshot.metrics["task_metric"]
    metric_text = "" if metric is None else f", {config.task.metric} {metric:.4g}"
    print(f"{recorded.snapshot.step} steps on {trainer.device}{metric_text}; written to {args.out}")
    return 0


def verify(args: argparse.Namespace) -> int:
    """Play runs again and compare each with what its file says; the gravest answer decides the exit code: refuted, cannot be compared."""
    missing = next((path for path in args.run if not path.exists()), None)
    if missing is not None:
        raise ValueError(f"{missing} is missing: a recorded run needs it, a folder, an exported file or a script")
    found = [_verified(path, args) for path in args.run]
    if args.csv is not None:
        import pandas as pd

        from moe_viz.records.table_files import without_formulas

        without_formulas(pd.DataFrame([row for _, row in found])).to_csv(args.csv, index=False)
    codes = {code for code, _ in found}
    return 1 if 1 in codes else max(codes)


def _verified(path: Path, args: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    """One file's exit code and its line of the table; prints the answer."""
    from moe_viz.lessons.receipt import HEAD, is_receipt
    from moe_viz.training.verify import verify as compared
    from moe_viz.verify_receipt import as_row, verify_receipt

    bar = _bar(0, args.quiet)

    def progress(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.n)

    receipt = None
    try:
        if path.is_file() and is_receipt(path.read_bytes()[: len(HEAD)]):
            verdict, receipt = verify_receipt(path, args.device, progress)
        else:
            verdict = compared(path, args.device, progress)
    finally:
        bar.close()
    name = f"{path}: " if len(args.run) > 1 else ""
    print(f"{name}{verdict.answer}: {verdict.words[0]}")
    for line in verdict.words[1:]:
        print(f"  {line}")
    return verdict.exit_code, as_row(path, verdict, receipt)


def export_run(args: argparse.Namespace) -> int:
    """Write history and traces in a format that other programs read."""
    from moe_viz.records import recording
    from moe_viz.records.export import export

    for path in export(recording.load(args.run), args.out or args.run, args.format):
        print(path)
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Check this machine and say what to do."""
    from moe_viz.doctor import report

    return report(args.port, args.json)


# -- arguments -------------------------------------------------------------------------------------------------------------


def words() -> dict[str, tuple[FieldInfo, list[str]]]:
    """Every knob of any router and task: its declaration, and who has it ([]: every run)."""
    declarations = {word: (info, []) for word, info in RunConfig.model_fields.items()}
    for registry in (ROUTER_OPTIONS, TASK_OPTIONS):
        for name, options in registry.items():
            for word, info in options.model_fields.items():
                if word != "name":
                    owners = declarations.setdefault(word, (info, []))[1]
                    owners.append(name)
    return declarations


def config_of(values: dict[str, Any]) -> RunConfig:
    """The config of flat words, texts included. Raises ValueError, naming the option, the value and what is allowed."""
    try:
        config = RunConfig.from_flat(values)
    except ValidationError as error:
        messages = []
        for word, value, what in problems(error):
            if "Extra inputs" in what:
                task = values.get("task", "domains")
                router = values.get("router", TASK_OPTIONS[task].run_defaults["router"]["name"])
                what = f"not a knob of router {router} or task {task}"
            elif word in words() and word in values:
                what = f"must be {allowed(words()[word][0])}"
            messages.append(f"--{word.replace('_', '-')} {write(value)}: {what}" if word in values else what)
        raise ValueError("; ".join(dict.fromkeys(messages))) from error
    for word, info in config.fields().items():
        text = values.get(word)
        if isinstance(text, str) and is_number(info) and not is_plain_number(text):
            raise ValueError(f"--{word.replace('_', '-')} {text}: must be {allowed(info)}")
    return config


def _help(word: str, info: FieldInfo, owners: list[str]) -> str:
    registry = {"task": TASK_OPTIONS, "router": ROUTER_OPTIONS}.get(word)
    values = ", ".join(registry) if registry else allowed(info)
    of = f" [{', '.join(owners)}]" if owners and len(owners) not in (len(ROUTER_OPTIONS), len(TASK_OPTIONS)) else ""
    return f"{info.title}: {info.description} ({values}){of}".replace("%", "%%")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= 10_000_000):
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 to 10,000,000")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text} must be a whole number from 1 to 65535")
    return int(text)


def _bar(steps: int, quiet: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=steps, unit="step", disable=quiet, dynamic_ncols=True)


def _stop_on_interrupt() -> Any:
    """A callable that is true once Ctrl-C was pressed; a second Ctrl-C ends at once."""
    pressed: list[int] = []

    def press(number: int, frame: Any) -> None:
        pressed.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, press)
    return lambda: bool(pressed)
