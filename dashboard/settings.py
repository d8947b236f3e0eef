"""All settings. The environment goes in, checked values come out; a bad one stops the start."""

import os
import secrets
import sys
import tempfile
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import dj_database_url
import pycountry

from dashboard.money import CURRENCIES

BASE_DIR = Path(__file__).resolve().parent.parent
TESTING = "pytest" in sys.modules
WEB = "dashboard.wsgi" in sys.modules  # this process answers requests: it is no command and no worker


def stop(name, problem):
    """End the start with one sentence naming the setting."""
    sys.exit(f"{name} {problem}")


def env(name, default="", *, check=None, problem="is not valid."):
    """A setting's text; check is a predicate, and may also say no by raising ValueError or LookupError."""
    value = os.environ.get(name, "").strip() or default
    try:
        good = check is None or check(value)
    except (ValueError, LookupError, OSError):
        good = False
    return value if good else stop(name, f"is {value!r}: {problem}")


def flag(name, default="0"):
    """A switch: 1 or 0, or the usual words for them."""
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    return words[env(name, default, check=lambda v: v.lower() in words, problem="use 1 or 0.").lower()]


def number(name, default, least=0):
    """A whole number of at least `least`."""
    problem = f"use a whole number of {least} or more."
    return int(env(name, default, check=lambda v: v.isdecimal() and int(v) >= least, problem=problem))


def days(name, default):
    """A number of days up to a year; 0 or an empty value says never."""
    if not os.environ.get(name, default).strip():
        return 0
    problem = "use a whole number of days from 0 to 365; 0 or nothing switches it off."
    return int(env(name, default, check=lambda v: v.isascii() and v.isdecimal() and int(v) <= 365, problem=problem))


def address(text):
    """(host, port) of text such as 127.0.0.1:8000 or [::1]:8000; ValueError when it is not one."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.path or parts.username:
        raise ValueError(text)
    return parts.hostname, parts.port


def data_folder():
    """Where the database, the secret key and collected files live; readable by its owner alone."""
    if TESTING and "DATA_DIR" not in os.environ:
        return Path(tempfile.mkdtemp(prefix="counterfoil-test-"))
    folder = Path(env("DATA_DIR", str(BASE_DIR / "data"))).absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        stop("DATA_DIR", f"is {str(folder)!r}: that folder cannot be made ({error.strerror}).")
    return folder


def write_secret(path):
    """Make the key file once: whole or not at all, though several starts may race for it."""
    handle, draft = tempfile.mkstemp(dir=path.parent)  # mkstemp gives mode 0600
    with open(handle, "w") as file:
        file.write(secrets.token_urlsafe(50))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another start was first; its key is the key
    finally:
        os.unlink(draft)


def secret_key(path):
    """SECRET_KEY, or one made at the first start and kept in a file only its owner reads."""
    key = os.environ.get("SECRET_KEY", "")
    if not key:
        try:
            if not path.exists():
                write_secret(path)
            key = path.read_text().strip()
        except OSError as error:
            stop("SECRET_KEY", f"is not set, and the key file {path} cannot be used: {error.strerror}.")
    if len(key) < 32:
        stop("SECRET_KEY", "is too short: use at least 32 characters.")
    if len(set(key)) < 10 or key.startswith("django-insecure-"):
        stop("SECRET_KEY", "can be guessed: use random characters, or leave it out and one is made.")
    return key


DATA_DIR = data_folder()
DEBUG = flag("DEBUG")
SECRET_KEY = secret_key(DATA_DIR / "secret_key")
SECRET_KEY_FALLBACKS = os.environ.get("SECRET_KEY_FALLBACKS", "").replace(",", " ").split()  # keys there were before

ADDR = env("ADDR", "127.0.0.1:8000", check=address, problem="use an address and a port, such as 127.0.0.1:8000.")
BIND = address(ADDR)
WEB_WORKERS = number("WEB_WORKERS", "2", least=1)  # processes
WEB_THREADS = number("WEB_THREADS", "4", least=1)  # in each process
SITE_URL = env(
    "SITE_URL",
    f"http://{ADDR}".replace("//0.0.0.0", "//localhost").replace("//[::]", "//localhost"),
    check=lambda v: urlsplit(v).scheme in ("http", "https") and urlsplit(v).hostname and urlsplit(v).port != 0,
    problem="use the address people open, such as https://billing.example.com.",
).rstrip("/")
SECURE = SITE_URL.startswith("https://")  # other people use it: a live installation
if SECURE and DEBUG:
    stop("DEBUG", "is on, and SITE_URL is an https address other people open: errors would show settings and data. Unset it.")
ALLOWED_HOSTS = env("ALLOWED_HOSTS", f"{urlsplit(SITE_URL).hostname},localhost,127.0.0.1,[::1]").replace(" ", "").split(",")
if "*" in ALLOWED_HOSTS and not DEBUG:  # with DEBUG an https address was refused above
    stop("ALLOWED_HOSTS", "is '*': name the hosts this dashboard answers to.")
CSRF_TRUSTED_ORIGINS = [f"https://{urlsplit(SITE_URL).netloc}"] if SECURE else []
PROXIES = number("PROXIES", "0")  # how many proxies of ours stand in front and append to X-Forwarded-For

TIME_ZONE = env("TIME_ZONE", "UTC", check=ZoneInfo, problem="use a name such as Asia/Manila.")
ZONE = ZoneInfo(TIME_ZONE)
DEFAULT_CURRENCY = env("DEFAULT_CURRENCY", "USD", check=CURRENCIES.__contains__, problem="use an ISO 4217 code such as PHP.")
DEFAULT_COUNTRY = env(
    "DEFAULT_COUNTRY",
    "US",
    check=lambda v: v.isupper() and pycountry.countries.get(alpha_2=v),
    problem="use an ISO 3166 code such as PH.",
)
MERCHANT_NAME = env("MERCHANT_NAME", "Harbour & Pine", check=lambda v: len(v) <= 100, problem="use at most 100 characters.")
MERCHANT_EMAIL = env(
    "MERCHANT_EMAIL", "billing@example.com", check=lambda v: "@" in parseaddr(v)[1], problem="use an e-mail address."
)
LANGUAGE_CODE = "en"
USE_TZ = USE_I18N = True

# --- first start: read once, while the installation is empty ---------------------------------------
ADMIN_EMAIL = env("ADMIN_EMAIL", "admin@example.com", check=lambda v: "@" in parseaddr(v)[1], problem="use an e-mail address.")
ADMIN_PASSWORD = os.environ.get("ADMIN_PASSWORD", "")  # empty: a random one, printed once
SAMPLE = flag("SAMPLE", "1")  # fill test mode with sample data

# --- database -----------------------------------------------------------------------------------
DATABASE_HELP = "is not understood: use sqlite:///path/to/file or postgres://user:password@host:5432/name."


def database(url):
    """Django's description of DATABASE_URL, with the options each database needs here."""
    try:
        found = dj_database_url.parse(url)
    except (ValueError, KeyError, dj_database_url.UnknownSchemeError):
        stop("DATABASE_URL", DATABASE_HELP)
    options = {"django.db.backends.sqlite3": sqlite_options, "django.db.backends.postgresql": postgres_options}
    if found["ENGINE"] not in options or not found["NAME"]:
        stop("DATABASE_URL", DATABASE_HELP)
    found["OPTIONS"] = found.get("OPTIONS", {}) | options[found["ENGINE"]](found["NAME"])
    return found


def sqlite_options(path):
    """A writer waits its turn (IMMEDIATE) instead of failing half-way; a commit is on the disk (FULL)."""
    if not Path(path).absolute().parent.is_dir():
        stop("DATABASE_URL", f"names a file in {str(Path(path).absolute().parent)!r}, which is not a folder.")
    pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA cache_size=-64000; PRAGMA temp_store=MEMORY;"
    return {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": pragmas.format("OFF" if TESTING else "FULL")}


def postgres_options(_name):
    """Connections are pooled in each process; no lock or forgotten transaction waits for ever, no page asks for long."""
    pool = {"min_size": 1, "max_size": number("DATABASE_POOL", "8", least=1), "timeout": 10}
    limits = {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"} | ({"statement_timeout": "10s"} if WEB else {})
    return {"pool": pool, "options": " ".join(f"-c {name}={limit}" for name, limit in limits.items())}


DATABASE_URL = env("DATABASE_URL", f"sqlite:///{DATA_DIR / 'counterfoil.sqlite3'}")
DATABASES = {"default": database(DATABASE_URL)}
POSTGRES = DATABASES["default"]["ENGINE"].endswith("postgresql")
if TESTING and not POSTGRES:  # a file, as in real life: threads of a race test lock each other as processes do
    DATABASES["default"]["TEST"] = {"NAME": str(DATA_DIR / "test.sqlite3")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"  # third-party tables only: ours have public ids

# --- applications -------------------------------------------------------------------------------
INSTALLED_APPS = [
    "dashboard",
    "customers",
    "billing",
    "billing.gateways.sandbox",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django_filters",
    "django_tables2",
    "django_tasks_db",
]
MIDDLEWARE = [
    "dashboard.middleware.RequestId",
    "dashboard.logs.AccessLog",
    "dashboard.middleware.ApiSpeaksJson",
    "dashboard.middleware.SecurityHeaders",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "dashboard.middleware.PagesTakeForms",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "dashboard.middleware.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "dashboard.middleware.StaffSession",
    "dashboard.second_step.SecondStep",
    "dashboard.middleware.NoCardNumbersInAddresses",
    "dashboard.middleware.Trouble",
]
ROOT_URLCONF = "dashboard.urls"
WSGI_APPLICATION = "dashboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "dashboard.pages.shell",
            ],
            "builtins": ["dashboard.templatetags.ui"],
        },
    }
]
FORM_RENDERER = "dashboard.forms.Renderer"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# --- sign-in ------------------------------------------------------------------------------------
AUTH_USER_MODEL = "dashboard.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["dashboard.hashing.TakesTurns", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]  # Argon2id, and old ones
if TESTING:  # a real hash costs half a second of a core; the tests make thousands
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("email", "name")},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "dashboard.accounts.NoOwnNames"},
    {"NAME": "dashboard.accounts.MostLength"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "dashboard.accounts.Adapter"
ACCOUNT_FORMS = {"login": "dashboard.accounts.SignIn", "reset_password": "dashboard.accounts.ForgotPassword"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": "5/5m/key", "reset_password": "10/m/ip,5/h/key"}  # else: throttle.py
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = None
MFA_ADAPTER = "dashboard.accounts.MFAAdapter"
MFA_RECOVERY_CODES_SHOW_ONCE = True  # kept hashed
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody signs up by themselves: an invitation or a reset reached the address
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_FORMS = {
    "activate_totp": "dashboard.accounts.ActivateCodes",
    "add_webauthn": "dashboard.passkeys.AddForm",
    "authenticate_webauthn": "dashboard.passkeys.SecondStepForm",
    "login_webauthn": "dashboard.passkeys.SignInForm",
    "reauthenticate_webauthn": "dashboard.passkeys.ConfirmForm",
}
MFA_PASSKEY_LOGIN_ENABLED = True  # with the phone's or key's own lock instead of a password
MFA_TOTP_ISSUER = "Counterfoil"
ALLAUTH_TRUSTED_PROXY_COUNT = PROXIES

ROLES = ("admin", "manager", "support", "reporting")


def roles(text):
    """Role names of a list such as admin,manager; all and none are words for it. LookupError for another name."""
    names = {"all": ROLES, "none": ()}.get(text.lower(), tuple(name.strip().lower() for name in text.split(",")))
    if set(names) - set(ROLES):
        raise LookupError(text)
    return names


REQUIRE_SECOND_STEP = roles(
    env(
        "REQUIRE_SECOND_STEP",
        "admin,manager" if SECURE else "none",
        check=lambda v: roles(v) is not None,
        problem="use all, none, or roles separated by commas: admin, manager, support, reporting.",
    )
)
STEP_UP_REFUND = number("STEP_UP_REFUND", "100000")  # minor units of DEFAULT_CURRENCY; a larger refund asks who it is

SESSION_ENGINE = "dashboard.sessions"
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "dashboard.errors.csrf_failure"
SESSION_COOKIE_AGE = 12 * 3600  # absolute; the idle limit is below
SESSION_IDLE_SECONDS = number("SESSION_IDLE_MINUTES", "30", least=1) * 60

# --- security headers (trust model §4) -----------------------------------------------------------
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
    "object-src": ["'none'"],
}
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE and PROXIES else None
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
IMPORT_MAX_BYTES = number("IMPORT_MAX_MB", "5", least=1) * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "dashboard.imports.uploads.SizeLimit",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

# --- static files, cache, tasks, mail, logs --------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
_static = (
    "django.contrib.staticfiles.storage.StaticFilesStorage"
    if DEBUG or TESTING
    else "whitenoise.storage.CompressedManifestStaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": _static},
}
WHITENOISE_USE_FINDERS, WHITENOISE_ALLOW_ALL_ORIGINS = DEBUG or TESTING, False
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}  # shared by workers
_tasks = "django.tasks.backends.immediate.ImmediateBackend" if TESTING else "django_tasks_db.DatabaseBackend"
TASKS = {"default": {"BACKEND": _tasks}}


def mailer(url):
    """Django's description of MAIL_URL: console: prints mail, smtp: speaks STARTTLS if it signs in, smtps: TLS."""
    if url.scheme == "console":
        return {"BACKEND": "dashboard.mail_console.EmailBackend"}
    options = {
        "host": url.hostname,
        "port": url.port or (465 if url.scheme == "smtps" else 587),
        "username": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "use_ssl": url.scheme == "smtps",
        "use_tls": url.scheme == "smtp" and bool(url.username),
        "timeout": 10,
    }
    return {"BACKEND": "django.core.mail.backends.smtp.EmailBackend", "OPTIONS": options}


def good_mail_url(text):
    url = urlsplit(text)
    return url.scheme == "console" or (url.scheme in ("smtp", "smtps") and url.hostname and url.port != 0)


MAIL_URL = env("MAIL_URL", "console:")
try:
    if not good_mail_url(MAIL_URL):
        raise ValueError
except ValueError:  # without the value: it may hold a password
    stop("MAIL_URL", "is not understood: use smtp://user:password@host:587, smtps://… or console:.")
if SECURE and MAIL_URL.startswith("console:"):
    stop("MAIL_URL", "is console:, and SITE_URL is an https address other people open: no mail would leave. Name a mail server.")
MAILERS = {"default": mailer(urlsplit(MAIL_URL))}
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env(
    "MAIL_FROM",
    f'"{MERCHANT_NAME.replace(chr(34), chr(39))}" <{MERCHANT_EMAIL}>',
    check=lambda v: "@" in parseaddr(v)[1],
    problem="use an e-mail address, or Name <address>.",
)
REMIND_DAYS_BEFORE = days("REMIND_DAYS_BEFORE", "5")  # a statement's reminder before it is due …
REMIND_DAYS_AFTER = days("REMIND_DAYS_AFTER", "5")  # … and the one when it is overdue
SUBSCRIPTION_RETRY_DAYS = [  # after each failed charge of an invoice; with the last one it is given up
    int(n)
    for n in env(
        "SUBSCRIPTION_RETRY_DAYS",
        "3,5,7",
        check=lambda v: all(n.strip().isascii() and n.strip().isdecimal() and 0 < int(n) <= 90 for n in v.split(",")),
        problem="use whole numbers of days from 1 to 90, separated by commas.",
    ).split(",")
]
PERSONAL_DATA_DAYS = number("PERSONAL_DATA_DAYS", "180", least=30)  # of mails, imports …: see dashboard.retention
RETENTION_YEARS = number("RETENTION_YEARS", "10", least=1)  # documents of an erased customer keep their names so long
API_REQUESTS_PER_MINUTE = number("API_REQUESTS_PER_MINUTE", "1200", least=4)  # of one key; a quarter of them at once
LOG_LEVEL = env(
    "LOG_LEVEL",
    "INFO" if SECURE else "WARNING",  # INFO holds a line for each request
    check="DEBUG INFO WARNING ERROR".split().__contains__,
    problem="use DEBUG, INFO, WARNING or ERROR.",
)
LOG_FORMAT = env("LOG_FORMAT", "json" if SECURE else "line", check=("line", "json").__contains__, problem="use line or json.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "dashboard.middleware.RequestIdFilter"}},
    "formatters": {"line": {"()": "dashboard.logs.Lines"}, "json": {"()": "dashboard.logs.JsonLines"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["request_id"]}},
    "loggers": {  # Django's own handlers would print lines a second time, and with what was searched for
        "django": {"handlers": []},
        "django.server": {"handlers": ["console"], "propagate": False},
        "gunicorn.error": {"handlers": ["console"], "propagate": False},
        "fontTools": {"level": "WARNING"},  # INFO is how long each table of a font takes
        "fpdf": {"level": "WARNING"},
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
