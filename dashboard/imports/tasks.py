"""What the worker does for imports."""

from django.tasks import task


@task
def check(run_id):
    from dashboard.imports import runs

    runs.check_rows(run_id)


@task
def apply(run_id):
    from dashboard.imports import runs

    runs.apply_rows(run_id)
