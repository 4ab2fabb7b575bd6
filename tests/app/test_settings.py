from pathlib import Path

import pytest

from app.settings import SECRETS, Limits, Settings, SettingsError

GOOD = {"DATABASE_URL": "postgresql://user:password@db.test/waybill", "TOKEN_SECRET": "s" * 32}


def test_settings_take_their_defaults() -> None:
    settings = Settings.from_env(GOOD)
    assert (settings.host, settings.port, settings.development) == ("127.0.0.1", 8000, False)
    assert settings.limits == Limits()


def test_settings_name_every_fault_at_once_and_no_value() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env(
            {"TOKEN_SECRET": "short", "PORT": "99999", "LIMIT_DEPTH": "deep", "DEVELOPMENT": "yes", "EXECUTOR": "fast"}
        )
    assert str(refused.value).splitlines() == [
        "DATABASE_URL is required",
        "TOKEN_SECRET must have at least 32 bytes",
        "PORT must be a whole number from 1 to 65535",
        "DEVELOPMENT must be 0 or 1",
        "EXECUTOR must be compiled or reference",
        "LIMIT_DEPTH must be a whole number from 1 to 100000000",
    ]


@pytest.mark.parametrize(("former", "name"), [("plan", "compiled"), ("plain", "reference")])
def test_settings_say_how_an_executor_is_called_now(former: str, name: str) -> None:
    with pytest.raises(SettingsError, match=f"EXECUTOR must be .* {former} is called {name} now"):
        Settings.from_env({**GOOD, "EXECUTOR": former})
    assert Settings.from_env({**GOOD, "EXECUTOR": name}).executor == name


def test_settings_do_not_print_secrets() -> None:
    printed = repr(Settings.from_env(GOOD))
    assert "password" not in printed
    assert "s" * 32 not in printed


def test_settings_take_no_redis_without_its_scheme() -> None:
    with pytest.raises(SettingsError, match="REDIS_URL must start with redis://"):
        Settings.from_env({**GOOD, "REDIS_URL": "localhost:6379"})
    assert "secret" not in repr(Settings.from_env({**GOOD, "REDIS_URL": "redis://:secret@redis.test"}))


def test_settings_pass_a_dsn_of_several_hosts_on_untouched() -> None:
    dsn = "postgresql://a.test:5432,b.test:5433/waybill?target_session_attrs=read-write"
    assert Settings.from_env({**GOOD, "DATABASE_URL": dsn}).database_url == dsn


@pytest.mark.parametrize(
    ("key", "good", "bad", "rule"),
    [
        ("POOL_WAIT_SECONDS", "2.5", "0", "a number of seconds from 0.1 to 600"),
        ("POOL_QUEUE", "10", "0", "a whole number from 1 to 1000000"),
        ("STATEMENT_CACHE", "0", "-1", "a whole number from 0 to 100000"),
        ("CACHE_BYTES", "1000000", "999999", "a whole number from 1000000 to 100000000000"),
        ("WORKERS", "4", "257", "a whole number from 0 to 256"),
        ("SLOW_STATEMENT", "0.5", "0", "a number of seconds from 0.001 to 3600"),
        ("TRACES", "0.01", "1.1", "a number from 0 to 1"),
        ("DEADLINE", "30", "1e3", "a number of seconds from 0.1 to 3600"),
        ("DEADLINE", "0.5", "nan", "a number of seconds from 0.1 to 3600"),
    ],
)
def test_settings_bound_what_may_be_waited_for(key: str, good: str, bad: str, rule: str) -> None:
    assert getattr(Settings.from_env({**GOOD, key: good}), key.lower()) == float(good)
    with pytest.raises(SettingsError, match=f"{key} must be {rule}"):
        Settings.from_env({**GOOD, key: bad})


def test_settings_take_an_address_to_listen_at_and_do_not_print_it() -> None:
    settings = Settings.from_env({**GOOD, "LISTEN_URL": "postgresql://user:secret@db.test/waybill"})
    assert settings.listen_url == "postgresql://user:secret@db.test/waybill"
    assert "secret" not in repr(settings)
    with pytest.raises(SettingsError, match="LISTEN_URL must start with postgresql://"):
        Settings.from_env({**GOOD, "LISTEN_URL": "db.test"})


def test_settings_guard_metrics_by_a_token_that_nobody_guesses() -> None:
    settings = Settings.from_env({**GOOD, "METRICS_TOKEN": "a-token-of-mine-1"})
    assert settings.metrics_token == "a-token-of-mine-1"
    assert "a-token" not in repr(settings)
    with pytest.raises(SettingsError, match="METRICS_TOKEN must have at least 16 bytes"):
        Settings.from_env({**GOOD, "METRICS_TOKEN": "short"})


def test_settings_share_metrics_in_a_directory_that_is_there(tmp_path: Path) -> None:
    assert Settings.from_env({**GOOD, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}).prometheus_multiproc_dir == tmp_path
    with pytest.raises(SettingsError, match="PROMETHEUS_MULTIPROC_DIR names no directory"):
        Settings.from_env({**GOOD, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "missing")})


def test_settings_limits_are_read_by_their_names() -> None:
    assert Settings.from_env({**GOOD, "LIMIT_PAGE": "50"}).limits.page == 50


def test_settings_allow_no_origin_by_default() -> None:
    assert Settings.from_env(GOOD).allowed_origins == ()


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("https://shop.example.org", ("https://shop.example.org",)),
        (
            "https://a.test, http://localhost:3000 ,https://b.test:8443",
            ("https://a.test", "http://localhost:3000", "https://b.test:8443"),
        ),
        ("http://127.0.0.1:8080,http://[::1]:3000", ("http://127.0.0.1:8080", "http://[::1]:3000")),
        (
            "https://xn--bcher-kva.example,capacitor://localhost",
            ("https://xn--bcher-kva.example", "capacitor://localhost"),
        ),
        ("http://a.test:443,https://a.test:80", ("http://a.test:443", "https://a.test:80")),
    ],
)
def test_settings_read_origins_as_browsers_write_them(text: str, origins: tuple[str, ...]) -> None:
    assert Settings.from_env({**GOOD, "ALLOWED_ORIGINS": text}).allowed_origins == origins


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "null",
        "shop.example.org",
        "https://",
        "https://*.example.org",
        "https://shop.example.org/",
        "https://shop.example.org/path",
        "https://shop.example.org?",
        "https://Shop.example.org",
        "HTTPS://shop.example.org",
        "https://shop.example.org:443",
        "http://shop.example.org:80",
        "https://shop.example.org:0",
        "https://shop.example.org:65536",
        "https://shop.example.org:",
        "https://user@shop.example.org",
        "https://bücher.example",
        "https://shop.example.org\nx",
        "https://shop..example.org",
        "https://a.test https://b.test",
        ",",
    ],
)
def test_settings_take_nothing_else_for_an_origin(text: str) -> None:
    for given, place in ((text, 1), (f"https://a.test,{text}", 2)):
        with pytest.raises(
            SettingsError, match=f"ALLOWED_ORIGINS must be origins .* number {place} is none"
        ) as refused:
            Settings.from_env({**GOOD, "ALLOWED_ORIGINS": given})
        assert "test" not in str(refused.value)


@pytest.mark.parametrize("key", SECRETS)
def test_every_secret_may_stand_in_a_file_or_among_credentials(key: str, tmp_path: Path) -> None:
    value = f"{'redis' if key == 'REDIS_URL' else 'postgresql'}://user:password@db.test/of-more-than-thirty-two-bytes"
    environ = {name: text for name, text in GOOD.items() if name != key}
    file = tmp_path / key.lower()
    file.write_text(f"{value}\n")
    for given in ({f"{key}_FILE": str(file)}, {"CREDENTIALS_DIRECTORY": str(tmp_path)}):
        settings = Settings.from_env(environ | given)
        assert getattr(settings, key.lower()) == value
        assert settings.secret_files == {key: file}
        assert "password" not in repr(settings)
        file.write_text(f"{value}/new")
        assert settings.current(key) == f"{value}/new"
        file.write_bytes(b"\xff")
        assert settings.current(key) == value
        file.write_text(f"{value}\n")
    assert getattr(Settings.from_env(environ | given | {key: f"{value}/own"}), key.lower()) == f"{value}/own"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TOKEN_SECRET": "s" * 32, "TOKEN_SECRET_FILE": "{file}"}, "TOKEN_SECRET and TOKEN_SECRET_FILE are both set"),
        ({"TOKEN_SECRET_FILE": "{file}.none"}, "TOKEN_SECRET_FILE cannot be read: No such file or directory"),
        ({"TOKEN_SECRET_FILE": "{file}"}, "TOKEN_SECRET must have at least 32 bytes"),
        ({"TOKEN_SECRET_PREVIOUS": "short"}, "TOKEN_SECRET_PREVIOUS must have at least 32 bytes"),
        ({"CREDENTIALS_DIRECTORY": "{folder}"}, "the credential token_secret: Is a directory"),
    ],
)
def test_secret_that_cannot_be_had_is_named(given: dict[str, str], said: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("short")
    (tmp_path / "folder" / "token_secret").mkdir(parents=True)
    named = {key: text.format(file=file, folder=tmp_path / "folder") for key, text in given.items()}
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({"DATABASE_URL": GOOD["DATABASE_URL"], **named})
    assert said in str(refused.value)
    assert str(tmp_path) not in str(refused.value)


def test_replicas_are_named_in_one_url_or_several() -> None:
    text = "postgresql://user:secret@one.test,two.test/waybill,postgresql://user:secret@three.test/waybill"
    settings = Settings.from_env({**GOOD, "READ_DATABASE_URL": text, "READ_LAG_SECONDS": "0.5"})
    assert (settings.read_database_url, settings.read_lag_seconds) == (text, 0.5)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("db.test", "must start with postgresql://"),
        ("postgresql://one.test,/waybill", "must name each server before the path, with commas between"),
        (f"postgresql://{','.join(map(str, range(17)))}/waybill", "must name 16 servers at most, not 17"),
    ],
)
def test_what_names_no_replicas_is_refused(text: str, fault: str) -> None:
    with pytest.raises(SettingsError, match=f"READ_DATABASE_URL {fault}"):
        Settings.from_env({**GOOD, "READ_DATABASE_URL": text})
