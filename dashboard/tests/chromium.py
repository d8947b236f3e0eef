"""The Chromium that tests and drills open pages in: the one without windows where it is installed, for it is twice as fast."""

import shutil

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]


def find():
    """Where it is; None without it."""
    return next(filter(None, map(shutil.which, NAMES)), None)
