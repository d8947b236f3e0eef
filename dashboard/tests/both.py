"""The whole suite, once on SQLite and once on PostgreSQL: what `./run test` runs. Arguments go to pytest.

Every test runs on SQLite. Those marked `one_database` are left out on PostgreSQL: walks through pages in a browser on
which no money moves (conftest.py marks those outside billing), and files that ask no database (by hand). With an -m of
the caller's, all that it chooses runs on both.

PostgreSQL is the server of DATABASE_URL when that names one, else a throwaway cluster. Without either, the
suite runs on SQLite alone and says so; under CI=true that is a failure.
"""

import os
import subprocess
import sys
from contextlib import nullcontext

from dashboard.tests import pgtemp

CI = os.environ.get("CI", "").lower() in ("1", "true")
NOTHING_CHOSEN = 5  # pytest's exit code
NO_POSTGRES = "PostgreSQL was not found: no DATABASE_URL names one, and there is no initdb to start one with"


def run_both(arguments):
    """Run the suite on both databases; the exit code for the shell."""
    given = os.environ.pop("DATABASE_URL", "")
    results = {"SQLite": run_on("SQLite", None, arguments)}
    server = nullcontext(given) if given.startswith("postgres") else pgtemp.cluster() if pgtemp.find_binaries() else None
    if server:
        with server as url:
            results["PostgreSQL"] = run_on("PostgreSQL", url, [*arguments, *second(arguments)])
            if results["PostgreSQL"] == NOTHING_CHOSEN and not results["SQLite"]:
                results["PostgreSQL"] = 0  # all that was asked for is marked one_database
    return tell(results)


def run_on(name, url, arguments):
    print(f"\n=== {name} ===", flush=True)
    environment = os.environ | ({"DATABASE_URL": url} if url else {})
    return subprocess.call([sys.executable, "-m", "pytest", "-q", "-rfEs", *workers(arguments), *arguments], env=environment)


def second(arguments):
    """What the second run leaves out, unless the caller chooses by marks."""
    if any(a.startswith("-m") for a in arguments):
        return []
    print("\nLeft out on PostgreSQL: the tests marked one_database, which ran on SQLite.", flush=True)
    return ["-m", "not one_database"]


def workers(arguments):
    """Test processes that take work from each other: one for each processor, two to six, unless the caller says how many.

    None beside the caller's own process where it looks closely at something.
    """
    own = any(a.startswith(("-n", "--numprocesses", "--pdb", "-s", "--trace")) for a in arguments)
    return [] if own else ["-n", str(max(2, min(os.cpu_count() or 2, 6))), "--dist", "worksteal"]


def tell(results):
    """Print one line for each database; 0 only when all of them passed."""
    print()
    for name, code in results.items():
        print(f"{name}: {'passed' if code == 0 else f'FAILED (pytest exit code {code})'}")
    if "PostgreSQL" not in results:
        print(f"PostgreSQL: NOT TESTED. {NO_POSTGRES}.", file=sys.stderr)
        return 1 if CI else int(any(results.values()))
    return int(any(results.values()))


if __name__ == "__main__":
    try:
        sys.exit(run_both(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
