"""docs/coverage.md names a test for every requirement, and every test it names is there."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_database


ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = [f"R-{n}" for n in range(1, 69)]
ROW = re.compile(r"\| (R-\d+) \| (.*?) \| (.*?) \| (.*?) \|$")
TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def rows(text):
    """[(number, what, where, [(path, test)])] of the tables' rows."""
    found = [ROW.match(line) for line in text.splitlines() if line.startswith("| R-")]
    return [(m[1], m[2].strip(), m[3].strip(), TEST.findall(m[4])) if m else ("", "", "", []) for m in found]


def defined_in(path):
    """Names of the tests a file defines: functions of its module; nothing is imported or run."""
    tree = ast.parse((ROOT / path).read_text()) if (ROOT / path).is_file() else ast.Module([], [])
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def problems(text):
    """What is wrong with a coverage table, in words."""
    table = rows(text)
    numbers = [number for number, *_ in table]
    yield from (f"{number} is missing" for number in REQUIREMENTS if number not in numbers)
    yield from (f"{number} is there {numbers.count(number)} times" for number in {*numbers} if numbers.count(number) > 1)
    for number, what, where, named in table:
        if not (number in REQUIREMENTS and what and where and named):
            yield f"the row of {number or 'an unreadable line'} is not whole"
        yield from (f"{number}: {path}::{test} does not exist" for path, test in named if test not in defined_in(path))


def table():
    return (ROOT / "docs" / "coverage.md").read_text()


def test_every_requirement_names_a_test_that_exists():
    assert list(problems(table())) == []


def test_a_made_up_test_a_missing_and_an_empty_row_are_noticed():
    real = table()
    path, name = rows(real)[0][3][0]
    first = real.index("| R-7 |")
    without = real[:first] + real[real.index("\n", first) + 1 :]

    assert list(problems(real.replace(f"{path}::{name}`", f"{path}::test_nobody_wrote`", 1))) == [
        f"R-1: {path}::test_nobody_wrote does not exist"
    ]
    assert list(problems(without)) == ["R-7 is missing"]
    assert list(problems(re.sub(r"(\| R-9 \| .*?\| .*?\| ).*\|", r"\1 |", real))) == ["the row of R-9 is not whole"]
    assert list(problems(re.sub(r"(?m)^\| R-8 \|.*$", "| R-8 | |", real))) == [
        "R-8 is missing",
        "the row of an unreadable line is not whole",
    ]


def test_the_table_speaks_of_this_product_alone():
    assert not re.search(r"/work/|seed|spec\.md", table())
