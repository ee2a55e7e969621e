"""Rows of data, and files of rows, that cannot be used as they are."""

import gzip
import json

from experiments.tasks import load_task
from tests.bad_inputs.case import BadInput

GOOD = '{"text": "x", "label": 0}\n'


def _file(name, content, message, **arguments):
    """One file of rows, text or bytes."""

    def prepare(folder):
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return lambda: load_task(str(path), **arguments)

    return BadInput(f"rows: {name} with {content[:40]!r}", prepare, message)


def _line(record, message, **arguments):
    """The third line of a file, behind an empty one; what is no text is written as JSON."""
    text = record if isinstance(record, str) else json.dumps(record)
    content = GOOD + "\n" + text + "\n" + GOOD
    case = _file("some.jsonl", content, rf"some\.jsonl, line 3: .*{message}", **arguments)
    return case._replace(name=f"row: {text[:60]}")


def _folder(message, task="{}", arguments=None, **files):
    """A folder of files; two underscores in a name stand for a dot."""

    def prepare(folder):
        for name, content in files.items():
            (folder / name.replace("__", ".")).write_text(content)
        return lambda: load_task(task.format(folder), **(arguments or {}))

    return BadInput(f"rows: {task} of {', '.join(files) or 'nothing'}", prepare, message)


def _task(name, message, **arguments):
    said = "".join(f", {key}={value!r}" for key, value in arguments.items())
    call = lambda folder: lambda: load_task(name, **arguments)  # noqa: E731
    return BadInput(f"task: {name}{said}", call, message)


_SPLITS = {f"{split}__jsonl": GOOD * 3 for split in ("train", "validation", "test")}

CASES = [
    _line('{"text": "x", "label": 0', "not JSON .Expecting ',' delimiter, column"),
    _line("{'text': 'x'}", "not JSON .Expecting property name"),
    _line("[1, 2]", "not a JSON object"),
    _line("7", "not a JSON object"),
    _line("null", "not a JSON object"),
    _line("[" * 100_000, "nested too deeply"),
    _line('{"text": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    _line('{"text": "x", "label": ' + "9" * 5000 + "}", "not JSON that can be read .*digits"),
    _line('{"text": "half \\ud83d", "label": 0}', r"holds '\\ud83d', half of a character"),
    _line('{"text": "x", "label": 0, "options": ["a", "\\udc00"]}', r"holds '\\udc00', half"),
    _line({"label": 0}, 'field "text" is missing; the task needs it, and there is "label"'),
    _line({}, 'field "label" is missing; there is nothing'),
    _line({"text": 3, "label": 0}, 'field "text" must be a string; got 3'),
    _line({"text": None, "label": 0}, 'field "text" must be a string; got None'),
    _line({"text": ["x"], "label": 0}, r'field "text" must be a string; got \[\'x\'\]'),
    _line({"text": "x"}, 'field "label" is missing'),
    _line({"text": "x", "label": 2}, '"label" must be one of the options .* from 0 to 1; got 2'),
    _line({"text": "x", "label": -1}, "got -1"),
    _line({"text": "x", "label": "-1"}, "got '-1'"),
    _line({"text": "x", "label": "2"}, "got '2'"),
    _line({"text": "x", "label": 0.5}, "got 0.5"),
    _line({"text": "x", "label": float("nan")}, "got nan"),
    _line({"text": "x", "label": None}, "got None"),
    _line({"text": "x", "label": []}, r"got \[\]"),
    _line({"text": "x", "label": {"a": 1}}, r"got \{'a': 1\}"),
    _line({"text": "x", "label": ""}, "got ''"),
    _line({"text": "x", "label": "awful"}, r"\['terrible', 'great'\] .* got 'awful'"),
    _line({"text": "x", "label": 10**30}, "got 1000000"),
    _line({"text": "x", "label": True}, "got True", options=("a", "b", "c")),
    _line(
        {"text": "x", "label": 1},
        '1 is an index, of the option "2", but there is an option "1"',
        options=("1", "2", "3"),
    ),
    _line({"text": "x", "label": 0, "options": "ab"}, '"options" must be a list'),
    _line({"text": "x", "label": 0, "options": ["a"]}, "at least two strings"),
    _line({"text": "x", "label": 0, "options": []}, "at least two strings"),
    _line({"text": "x", "label": 0, "options": [1, 2]}, r"at least two strings; got \[1, 2\]"),
    _line({"text": "x", "label": 0, "options": None}, '"options" must be a list .* got None'),
    _line({"text": "x", "label": 0, "options": ["a", "a"]}, '"options" must all differ'),
    _line({"text": "x", "label": 0, "options": ["a", "a "]}, '"options" must all differ'),
    _line({"text": "x", "label": 0, "options": ["a", ""]}, '"options" must not hold an empty text'),
    _line({"text": "x", "label": 0, "options": ["a", "  "]}, "must not hold an empty text"),
    _file("some.jsonl", '{"text": "é"}'.encode("latin-1"), "line 1: not UTF-8 .*as UTF-8"),
    _file("some.jsonl", GOOD.encode("utf-16"), "line 1: not UTF-8 text"),
    _file("some.jsonl", b"\x89PNG\r\n\x1a\n\0", "line 1: not UTF-8 text"),
    _file("some.jsonl", "", r"some\.jsonl holds no examples"),
    _file("some.jsonl", b"\xef\xbb\xbf\n\n", r"some\.jsonl holds no examples"),
    _file("some.jsonl", GOOD * 2, "holds 2 examples; at least 3 are needed"),
    _file("some.json", "[]", r"some\.json holds no examples"),
    _file("some.json", "[{}, {}]", r'some\.json, entry 1: field "label" is missing'),
    _file("some.json", f"[{GOOD}, 7]", r"some\.json, entry 2: not a JSON object"),
    _file("some.json", f"[{GOOD},\n{GOOD}", r"some\.json: not JSON .*, line \d, column"),
    _file("some.json", "[" * 100_000, r"some\.json: JSON that is nested too deeply"),
    _file("some.json", '{"data": [1]}', r'some\.json, line 1: field "label" is missing'),
    _file("some.csv", "text,label\nx,0\nx,0,1\n", r"some\.csv, line 3: 3 cells, but .* 2 columns"),
    _file("some.csv", "text,label\nx\n", r"some\.csv, line 2: 1 cells, but the first line names 2"),
    _file("some.csv", "text;label\nx;0\n", r'line 2: field "label" is missing; .* "text;label"'),
    _file("some.csv", 'text,label\n"x,0\n', r"some\.csv, line 2: cells cannot be told apart"),
    _file("some.csv", "text,text\nx,0\n", r"line 1: the columns \['text', 'text'\] must have diff"),
    _file("some.csv", "text,label\nx,bad\n", r"some\.csv, line 2: \"label\" must be .* got 'bad'"),
    _file("some.csv", "text,label\n", r"some\.csv holds no examples"),
    _file("some.tsv", "text,label\nx,0\n", r'some\.tsv, line 2: field "label" is missing'),
    _file("some.jsonl.gz", GOOD, r"some\.jsonl\.gz cannot be unpacked by gzip"),
    _file(
        "some.csv.gz", gzip.compress(b"text,label\n", mtime=0)[:-4], r"csv\.gz cannot be unpacked"
    ),
    _file("some.jsonl.gz", gzip.compress(b"7\n", mtime=0), r"jsonl\.gz, line 1: not a JSON object"),
    _file("some.parquet", b"PAR1", r"some\.parquet cannot be read as parquet"),
    _folder(r"train\.jsonl is missing; .* \.csv"),
    _folder(r"test\.jsonl is missing", train__jsonl=GOOD, validation__jsonl=GOOD),
    _folder("holds train.jsonl and train.csv; keep one", train__csv="text,label\n", **_SPLITS),
    _folder(r"train\.jsonl is missing; .* named like it", task="sst2@{}", test__jsonl=GOOD),
    _folder(
        r'train\.csv, line 2: field "label" is missing',
        task="sst2_masked@{}",
        train__csv="sentence\nx\n",
        validation__csv="sentence\nx\n",
    ),
    _folder(
        r'train\.jsonl, line 1: "label" must be a number or a word; got None',
        task="sst2_masked@{}",
        train__jsonl='{"sentence": "x", "label": null}\n',
        validation__jsonl=GOOD,
    ),
    _task("imdb", r"task 'imdb' is unknown: neither one of \['boolq', .* nor a folder"),
    _task("sst2@nowhere", "task sst2@nowhere: there is no such folder"),
    _task("reviews@nowhere", "there is no such folder|is unknown"),
    _task("reviews", r"template must end in \{option\}", template="{text} It was"),
    _task("reviews", r"template .* hold it once", template="{option} or {option}"),
    _task("reviews", r"template .* cannot be read", template="{text {option}"),
    _task("reviews", r"template '\{text!r\} .* nothing but names", template="{text!r} {option}"),
    _task("reviews", r"template .* nothing but names", template="{text:>1000000000000} {option}"),
    _task("reviews", r"template .* nothing but names", template="{} {option}"),
    _task("reviews", r"template .* nothing but names", template="{0} {option}"),
    _task("reviews", r'field "text.x" is missing', template="{text.x} {option}"),
    _task("reviews", r"template .* half a character, '\\udcff'", template="\udcff {text} {option}"),
    _task("reviews", r"options must be at least two different words; got", options=("a",)),
    _task("reviews", r"options must be at least two different words", options=("a", "a")),
    _task("reviews", r"options must be at least two different words", options=("a", " a")),
    _task("reviews", r"options must be at least two different words", options=("a", "")),
    _task("reviews", r"options .* half a character, '\\udcff'", options=("a", "\udcff")),
    _task("reviews", "num_train must be at least 1; got 0", num_train=0),
    _task("reviews", "num_test must be at least 1; got -3", num_test=-3),
    _task("reviews", "data_seed must lie between 0 and .*; got -1", data_seed=-1),
    _task("sst2@sample", "leaves no examples for train; lower num_train", num_dev=500),
    _task("copa@sample", "options does not go with a task of the kind choice", options=("a", "b")),
]
