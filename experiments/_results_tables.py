"""Results as tables in Markdown: those of the pages, and all of them."""

import functools
import re
from collections.abc import Callable
from typing import Any

from experiments._markdown import markdown
from experiments._results import PROVENANCE, Results, Row
from experiments.papers import tables as _papers

_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_LAWS = {
    "packed signs": "packed signs",
    "gaussian": "gaussian",
    "factored rank 1": "factored, rank 1",
    "factored rank 4": "factored, rank 4",
    "naive": "the naive step",
}
_FORMS = {
    "plain list": "plain JAX, list of layers",
    "NNX list": "NNX, list of modules",
    "scanned OPT": "OPT, layers scanned",
}


def filled(text: str, results: Results) -> str:
    """A page with its tables drawn anew; one that has no rows stays as it is.

    Raises:
      KeyError: for a place whose name is no table's.
    """

    def drawn(place: re.Match[str]) -> str:
        table = TABLES[place[2]](results)
        return f"{place[1]}{table}\n{place[3]}" if table.count("\n") > 1 else place[0]

    return _PLACE.sub(drawn, text)


def _by_form(name: str, ratio: str) -> Callable[[Results], str]:
    """Forms of a model against laws."""

    def table(results: Results) -> str:
        found = {(row["form"], row["program"]): row[ratio] for row in results.rows(name)}
        rows = [
            [title, *(f"{found[form, law]:.2f}" for law in _LAWS)] for form, title in _FORMS.items()
        ]
        return markdown(["form", *_LAWS.values()], rows)

    return table


def _accelerators(results: Results) -> str:
    kinds = {"scanned OPT": "scanned", "plain list": "list"}
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in results.where("accelerators", size="1.3B", dtype="bfloat16"):
        if row["form"] in kinds:
            of_machine = found.setdefault((row["machine"], kinds[row["form"]]), {})
            of_machine[row["program"]] = row["peak / inference"]
    rows = [
        [*about, *(f"{peaks[law]:.2f}" for law in _LAWS)]
        for about, peaks in found.items()
        if peaks.keys() >= _LAWS.keys()
    ]
    order = ["TPU v5e", "TPU v6e", "H100"]
    rows.sort(key=lambda row: (order.index(row[0]), row[1] == "list"))
    return markdown(["", "layers", *_LAWS.values()], rows)


def _compile_times(results: Results) -> str:
    """Of what has the least that its parts take beside it, and of the naive step."""
    kinds, laws = {"scanned OPT": "scanned", "plain list": "list"}, ("packed signs", "gaussian")
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in results.where("accelerators", size="1.3B", dtype="bfloat16"):
        if row["form"] in kinds:
            of_machine = found.setdefault((row["machine"], kinds[row["form"]]), {})
            of_machine[row["program"]] = row
    rows = []
    for about, programs in sorted(found.items()):
        if all(programs.get(law, {}).get("least compile s") for law in laws):
            columns = ("compile s", "least compile s")
            seconds = [programs[law][column] for law in laws for column in columns]
            seconds.append(programs["naive"]["compile s"])
            rows.append([*about, *(f"{each:.0f}" for each in seconds)])
    return markdown(["", "layers", "signs", "least", "gaussian", "least", "the naive step"], rows)


def _peers(results: Results) -> str:
    rows = {row["program"]: row for row in results.rows("peers")}
    ours = [law for law in _LAWS if f"zojax, {law}" in rows]
    names = {
        "PyTorch, MeZO in place": "MeZO in place in PyTorch",
        "JAX, two perturbed copies": "the naive step in JAX",
        "evosax, OpenES": "OpenES of evosax",
    }

    def cells(program: str, title: str) -> list[str]:
        peak = rows[program]["peak / inference"]
        memory = "" if peak is None else f"{peak:.1f}"
        times = (rows[program]["ms"] / rows[f"zojax, {law}"]["ms"] for law in ours)
        return [title, *(f"{time:.2f}" for time in times), memory]

    header = ["", *(_LAWS[law] for law in ours), "memory over inference"]
    return markdown(header, [cells(*item) for item in names.items()])


def _compare(model: str, results: Results) -> str:
    """What every method came to on a model, the least loss first."""
    found = sorted(results.where("compare", model=model), key=lambda row: row["validation loss"])
    rows = [
        [
            row["method"],
            f"{row['learning rate']:g}{'*' if row['at the end of the grid'] else ''}",
            f"{row['updates']:,}",
            str(row["seeds"]),
            f"{row['validation loss']:.3f} ± {row['its deviation']:.3f}",
            f"{row['test accuracy']:.1%} ± {row['of the accuracy']:.1%}",
            _reached(row["evaluations to mezo's loss"]),
            f"{row['state / weights']:.2f}",
        ]
        for row in found
    ]
    header = ["method", "learning rate", "updates", "seeds", "validation loss", "test accuracy"]
    return markdown([*header, "evaluations to MeZO's loss", "state / weights"], rows)


def _reached(evaluations: float | None) -> str:
    return "not reached" if evaluations is None else f"{evaluations:,.0f}"


def _costs(results: Results) -> str:
    rows = [
        [
            row["method"],
            str(row["evaluations"]),
            f"{row['step / plain']:.2f}",
            "" if row["bound"] is None else f"{row['bound']:.2f}",
            f"{row['peak / inference']:.2f}",
            f"{row['state / weights']:.2f}",
        ]
        for row in results.rows("methods")
    ]
    header = ["method", "loss evaluations", "step / as many plain losses", "the least of it"]
    return markdown([*header, "peak / inference", "state / weights"], rows)


def _real_text(results: Results) -> str:
    """Every run: two learning rates a method."""
    rows = [
        [
            row["model"],
            row["method"],
            f"{row['learning rate']:g}",
            f"{row['loss evaluations']:,}",
            f"{row['validation loss before']:.3f} → {row['after']:.3f}",
            f"{row['test accuracy before']:.1%} → {row['test accuracy after']:.1%}",
        ]
        for row in results.rows("real_text")
    ]
    header = ["model", "method", "learning rate", "loss evaluations", "validation loss"]
    return markdown([*header, "test accuracy"], rows)


def _synthetic(results: Results) -> str:
    """The logarithm of the final loss: estimators and rules against functions."""
    found = {
        (row["estimator"], row["rule"], row["function"]): row["ln_final"]
        for row in results.rows("synthetic")
    }
    functions = list(dict.fromkeys(function for _, _, function in found))
    kinds = dict.fromkeys((estimator, rule) for estimator, rule, _ in found)
    rows = [[*kind, *(f"{found[*kind, function]:.2f}" for function in functions)] for kind in kinds]
    return markdown(["estimator", "rule", *functions], rows)


def _attack(results: Results) -> str:
    """Mean queries of the attacks, and the share that succeeded: methods against laws."""
    found = {
        (row["estimator"], row["rule"], row["directions"]): row for row in results.rows("attack")
    }
    laws = list(dict.fromkeys(law for *_, law in found))
    kinds = dict.fromkeys((estimator, rule) for estimator, rule, _ in found)

    def cell(row: Row | None) -> str:
        if row is None:
            return ""
        mark = "*" if row["at the end of the grid"] else ""
        spread = f"{row['mean queries']:.0f} ± {row['deviation over seeds']:.0f}"
        return f"{spread}, {row['succeeded']:.0%}{mark}"

    rows = [[*kind, *(cell(found.get((*kind, law))) for law in laws)] for kind in kinds]
    return markdown(["estimator", "rule", *laws], rows)


def _control(results: Results) -> str:
    """What methods reached where there is no gradient."""
    rows = [
        [
            row["problem"],
            row["method"],
            f"{row['learning rate']:g}{'*' if row['at the end of the grid'] else ''}",
            row["score"],
            f"{row['before']:.3f}",
            f"{row['after']:.3f} ± {row['deviation']:.3f}",
        ]
        for row in results.rows("control")
    ]
    return markdown(["problem", "method", "learning rate", "score", "before", "after"], rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "memory": _by_form("memory", "peak / inference"),
    "speed": _by_form("speed", "step / two forwards"),
    "accelerators": _accelerators,
    "compile_times": _compile_times,
    "peers": _peers,
    "compare": functools.partial(_compare, "opt-reviews"),
    "compare_digits": functools.partial(_compare, "runs/digits/vit"),
    "costs": _costs,
    "real_text": _real_text,
    "synthetic": _synthetic,
    "attack": _attack,
    "control": _control,
    **_papers.TABLES,
}


def all_rows(results: Results) -> str:
    """Every row of every file, with what it was found with; a section for each file."""
    parts: list[str] = []
    for name in results.names:
        parts.append(f"## {name}\n")
        parts += [_section(rows) for rows in _alike(results.rows(name))]
    return "\n".join(parts)


def _alike(rows: list[Row]) -> list[list[Row]]:
    """Rows with the same columns, found with the same versions."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((*_columns(row), _provenance(row)), []).append(row)
    return list(groups.values())


def _section(rows: list[Row]) -> str:
    columns = _columns(rows[0])
    cells = [[_shown(row[column]) for column in columns] for row in rows]
    return f"{_provenance(rows[0])}\n\n{markdown(columns, cells)}\n"


def _columns(row: Row) -> list[str]:
    """Curves and other lists are for figures, and folders for nobody."""
    hidden = (*PROVENANCE, "out")
    return [key for key, value in row.items() if key not in hidden and not isinstance(value, list)]


def _provenance(row: Row) -> str:
    versions = {**row, **row.get("versions", {})}
    names = [name for name in ("python", "jax", "flax", "optax") if versions.get(name)]
    cores = f", {row['cores']} cores" if "cores" in row else ""
    found = ", ".join(f"{name} {versions[name]}" for name in names)
    return f"On {row.get('device', 'cpu')}{cores}, with {found}:"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return shown.replace("|", "\\|")
