from app.cache import Cache


def test_the_least_recently_used_value_goes_first() -> None:
    cache = Cache(100)
    for key in "abc":
        cache.put(key, key.upper(), 30)
    assert cache.get("a") == "A"
    cache.put("d", "D", 30)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]
    assert (cache.count, cache.bytes) == (3, 90)


def test_as_many_values_go_as_a_new_one_weighs() -> None:
    cache = Cache(100)
    for key in range(10):
        cache.put(key, key, 10)
    cache.put("large", "large", 75)
    assert [cache.get(key) for key in (6, 7, 8, 9, "large")] == [None, None, 8, 9, "large"]
    assert cache.bytes == 95


def test_a_value_takes_the_place_and_the_weight_of_its_key() -> None:
    cache = Cache(100)
    cache.put("a", 1, 10)
    cache.put("b", 2, 10)
    cache.put("a", 3, 60)
    assert (cache.get("a"), cache.bytes, cache.count) == (3, 70, 2)
    cache.put("c", 4, 40)
    assert (cache.get("b"), cache.get("a"), cache.get("c")) == (None, 3, 4)


def test_a_value_above_the_limit_is_not_held_and_drives_nothing_out() -> None:
    cache = Cache(100)
    cache.put("a", 1, 60)
    cache.put("b", 2, 101)
    assert (cache.get("a"), cache.get("b"), cache.bytes) == (1, None, 60)
    cache.put("a", 3, 101)
    assert (cache.get("a"), cache.bytes, cache.count) == (None, 0, 0)
