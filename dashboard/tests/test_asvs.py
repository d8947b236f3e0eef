"""docs/asvs.md: every requirement of ASVS 5.0, levels 1 and 2, is there once, and what it names exists."""

import re
from functools import cache

import pytest

from dashboard.tests.test_coverage_table import ROOT, TEST
from dashboard.tests.test_coverage_table import defined_in as read

pytestmark = pytest.mark.one_database
defined_in = cache(read)  # a file is read once, however many rows name it

# Numbers and levels of the standard, a section to each word: 6.2:1-8 is 6.2.1 to 6.2.8.
LEVEL_1 = """
1.2:1-5 1.3:1-2 1.5:1 2.1:1 2.2:1-2 2.3:1 3.2:1-2 3.3:1 3.4:1-2 3.5:1-3 4.1:1 4.4:1 5.2:1-2 5.3:1-2
6.1:1 6.2:1-8 6.3:1-2 6.4:1-2 7.2:1-4 7.4:1-2 8.1:1 8.2:1-2 8.3:1 9.1:1-3 9.2:1 10.4:1-5 11.3:1-2 11.4:1
12.1:1 12.2:1-2 13.4:1 14.2:1 14.3:1 15.1:1 15.2:1 15.3:1
"""
LEVEL_2 = """
1.1:1-2 1.2:6-9 1.3:3-11 1.4:1-3 1.5:2 2.1:2-3 2.2:3 2.3:2-4 2.4:1 3.3:2-4 3.4:3-6 3.5:4-5 3.7:1-2 4.1:2-3 4.2:1
4.3:1-2 4.4:2-4 5.1:1 5.2:3 5.4:1-3 6.1:2-3 6.2:9-12 6.3:3-4 6.4:3-4 6.5:1-5 6.6:1-3 6.8:1-4 7.1:1-3 7.3:1-2 7.4:3-5
7.5:1-2 7.6:1-2 8.1:2 8.2:3 8.4:1 9.2:2-4 10.1:1-2 10.2:1-2 10.3:1-4 10.4:6-11 10.5:1-5 10.6:1-2 10.7:1-3 11.1:1-2
11.2:1-3 11.3:3 11.4:2-4 11.5:1 11.6:1 12.1:2-3 12.3:1-4 13.1:1 13.2:1-5 13.3:1-2 13.4:2-5 14.1:1-2 14.2:2-4 14.3:2-3
15.1:2-3 15.2:2-3 15.3:2-7 16.1:1 16.2:1-5 16.3:1-4 16.4:1-3 16.5:1-3 17.1:1 17.2:1-4 17.3:1-2
"""
ROW = re.compile(r"\| (\d+\.\d+\.\d+) \| ([12]) \| (.+?) \| (.+?) \|$")
COUNTS = re.compile(r"^\| ([12]) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) % \|$", re.M)
NO, NOT = "does not apply: ", "not met: "
LEAST = {1: 100, 2: 95}  # per cent of what applies that names a test


def numbered(text):
    """Numbers of a list such as 6.2:1-8."""
    for word in text.split():
        section, _, items = word.partition(":")
        first, _, last = items.partition("-")
        yield from (f"{section}.{n}" for n in range(int(first), int(last or first) + 1))


LEVELS = dict.fromkeys(numbered(LEVEL_1), 1) | dict.fromkeys(numbered(LEVEL_2), 2)


def rows(text):
    """[(number, level, what, proof)] of the tables' rows."""
    found = [ROW.match(line) for line in text.splitlines() if re.match(r"\| \d+\.", line)]
    return [(m[1], int(m[2]), m[3], m[4]) if m else ("", 0, "", "") for m in found]


def counts(table):
    """{level: (all, do not apply, proved, not met, per cent)}."""
    found = {}
    for level in LEAST:
        proofs = [proof for _number, its, _what, proof in table if its == level]
        no, missing = (sum(proof.startswith(word) for proof in proofs) for word in (NO, NOT))
        proved = len(proofs) - no - missing
        found[level] = (len(proofs), no, proved, missing, round(100 * proved / ((proved + missing) or 1), 1))
    return found


def problems(text):
    """What is wrong with the page, in words."""
    table = rows(text)
    numbers = [number for number, *_ in table]
    yield from (f"{number} is missing" for number in LEVELS if number not in numbers)
    yield from (f"{number} is there twice" for number in sorted({*numbers}) if numbers.count(number) > 1)
    for number, level, what, proof in table:
        if LEVELS.get(number) != level or not what:
            yield f"the row of {number or 'an unreadable line'} is not right"
        yield from unproved(number, proof)
    stated = {int(m[0]): (*map(int, m[1:5]), float(m[5])) for m in COUNTS.findall(text)}
    if stated != counts(table):
        yield f"the counts at the top are {stated}, and the tables have {counts(table)}"
    for level, (*_, share) in counts(table).items():
        if share < LEAST[level]:
            gone = [number for number, its, _what, proof in table if its == level and proof.startswith(NOT)]
            yield f"level {level}: {share} % is less than {LEAST[level]} %: {', '.join(gone)}"


def unproved(number, proof):
    named = TEST.findall(proof)
    if proof.startswith((NO, NOT)):
        if named or len(proof.split(": ", 1)[1]) < 3:
            yield f"{number}: a reason is words"
    elif not named:
        yield f"{number}: neither a test nor a reason"
    for path, test in named:
        if test not in defined_in(path):
            moved = next((f" (it is in {other} now)" for other in files_of_tests() if test in defined_in(other)), "")
            yield f"{number}: {path}::{test} does not exist{moved}"


@cache
def files_of_tests():
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("*/tests/test_*.py"))


def page():
    return (ROOT / "docs" / "asvs.md").read_text()


def test_the_list_is_the_standards():
    assert [list(LEVELS.values()).count(level) for level in (1, 2)] == [70, 183]


def test_every_requirement_is_proved_or_says_why_not():
    assert list(problems(page())) == []


def test_what_is_wrong_with_the_page_is_noticed():
    real = page()
    first = real.index("| 6.2.3 |")
    line = real[first : real.index("\n", first)]
    path, name = TEST.findall(line)[0]

    def said(text):
        return "; ".join(problems(text))

    assert f"6.2.3: {path}::test_nobody_wrote does not exist" in said(real.replace(line, line.replace(name, "test_nobody_wrote")))
    assert "6.2.3 is missing" in said(real.replace(line + "\n", ""))
    assert "6.2.3 is there twice" in said(real.replace(line, f"{line}\n{line}"))
    assert "the row of 6.2.3 is not right" in said(real.replace(line, line.replace("| 1 |", "| 2 |")))
    assert "6.2.3: neither a test nor a reason" in said(real.replace(line, "| 6.2.3 | 1 | Words | surely |"))
    gone = said(real.replace(line, "| 6.2.3 | 1 | Words | not met: later |"))
    assert "the counts at the top are" in gone
    assert re.search(r"level 1: 9\d\.\d % is less than 100 %: 6\.2\.3", gone)
