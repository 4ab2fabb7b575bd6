"""Which mode and which applications are whose."""

from app.documents.policy import Caller, Mode, Policy

POLICY = Policy(
    Mode.LOG,
    {"api_key:1": Mode.OFF, "api_key:2": Mode.ID_ONLY, "partner": Mode.SAFELIST, "contact": Mode.OFF},
    {"api_key:1": frozenset({1}), "partner": frozenset({2}), "storefront_key:1": frozenset({3})},
)


def test_key_goes_before_its_kind_and_the_kind_before_the_default() -> None:
    modes = {
        (("api_key:1",), "partner"): Mode.OFF,
        (("api_key:3",), "partner"): Mode.SAFELIST,
        ((), "staff"): Mode.LOG,
        ((), "contact"): Mode.OFF,
    }
    assert {asked: POLICY.mode_of(Caller(*asked)) for asked in modes} == modes


def test_of_several_keys_the_strictest_counts() -> None:
    assert POLICY.mode_of(Caller(("api_key:1", "api_key:2"), "contact")) is Mode.ID_ONLY
    assert POLICY.mode_of(Caller(("api_key:1", "storefront_key:1"), "partner")) is Mode.OFF


def test_key_of_a_shop_loosens_what_its_visitors_are_held_to_and_nobody_else() -> None:
    """Anybody may read it in the page of the shop."""
    kinds = ("anonymous", "customer", "contact", "partner", "staff", "link")
    policy = Policy(Mode.OFF, {"storefront_key:1": Mode.LOG, **dict.fromkeys(kinds, Mode.ID_ONLY)})
    for kind in kinds:
        expected = Mode.LOG if kind in ("anonymous", "customer") else Mode.ID_ONLY
        keys = ("api_key:1", "storefront_key:1") if kind == "partner" else ("storefront_key:1",)
        assert policy.mode_of(Caller(keys, kind)) is expected, kind
        assert policy.mode_of(Caller(keys[:-1], kind)) is Mode.ID_ONLY, kind


def test_key_beside_a_token_tightens_alone() -> None:
    policy = Policy(Mode.SAFELIST, {"api_key:1": Mode.OFF, "api_key:2": Mode.ID_ONLY, "storefront_key:1": Mode.LOG})
    for kind in ("contact", "staff", "customer"):
        assert policy.mode_of(Caller(("api_key:1",), kind)) is Mode.SAFELIST
        assert policy.mode_of(Caller(("api_key:2",), kind)) is Mode.ID_ONLY
    assert policy.mode_of(Caller(("api_key:3", "api_key:1"), "partner")) is Mode.SAFELIST  # a partner's token
    assert policy.mode_of(Caller(("api_key:1", "api_key:1"), "partner")) is Mode.OFF
    assert policy.mode_of(Caller(("api_key:2", "storefront_key:1"), "customer")) is Mode.ID_ONLY


def test_applications_are_those_of_all_that_came() -> None:
    assert POLICY.applications_of(Caller(("api_key:1", "storefront_key:1"), "partner")) == {1, 2, 3}
    assert POLICY.applications_of(Caller((), "anonymous")) == frozenset()


def test_nothing_is_asked_for_while_all_modes_are_off() -> None:
    assert Policy().asks_for_nothing
    assert Policy(modes={"staff": Mode.OFF}).asks_for_nothing
    assert not Policy(Mode.LOG).asks_for_nothing
    assert not POLICY.asks_for_nothing
