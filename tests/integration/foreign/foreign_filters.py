"""What filters mean, written once more from server/filter/README.md, and filters to try it on."""

import datetime
import re

_TIME = re.compile(r"\d{4}-\d\d-\d\d([Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?")
_BOUNDS = (("lt", lambda a, b: a < b), ("lte", lambda a, b: a <= b),
           ("gt", lambda a, b: a > b), ("gte", lambda a, b: a >= b))


def time_of(text):
    """The moment, or None."""
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:  # 30 February
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)


def values_at(node, names):
    """Whether the names lead somewhere, and the values there."""
    if isinstance(node, list):
        found = [values_at(element, names) for element in node]
        return (not names or any(exists for exists, _ in found),
                [value for _, values in found for value in values])
    if not names:
        return True, [node]
    if isinstance(node, dict) and names[0] in node:
        return values_at(node[names[0]], names[1:])
    return False, []


def _within(bounds, value, read=lambda bound: bound):
    return all(holds(value, read(getattr(bounds, name))) for name, holds in _BOUNDS
               if bounds.HasField(name))


def _is_integer(value):
    return isinstance(value, int) and not isinstance(value, bool) and -2**63 <= value < 2**63


def _match(match, value):
    kind = match.WhichOneof("match_value")
    if kind == "keyword":
        return isinstance(value, str) and value == match.keyword
    if kind == "integer":
        return _is_integer(value) and value == match.integer
    if kind == "boolean":
        return isinstance(value, bool) and value == match.boolean
    if kind.endswith("keywords"):
        listed, of_type = getattr(match, kind).strings, isinstance(value, str)
    else:
        listed, of_type = getattr(match, kind).integers, _is_integer(value)
    return of_type and (value in listed) != kind.startswith("except")


def _condition(condition, number, payload):
    test = condition.WhichOneof("test")
    if test == "has_id":
        return number in condition.has_id.num
    if test == "filter":
        return matches(condition.filter, number, payload)
    exists, values = values_at(payload, condition.key.replace("[]", "").split("."))
    present = [value for value in values if value is not None]
    if test == "exists":
        return exists
    if test == "is_null":
        return None in values
    if test == "is_empty":
        return not present
    if test == "values_count":
        return _within(condition.values_count, len(present))
    if test == "match":
        return any(_match(condition.match, value) for value in present)
    if test == "prefix":
        return any(isinstance(v, str) and v.startswith(condition.prefix) for v in present)
    if test == "datetime_range":
        times = [time_of(value) for value in present]
        return any(_within(condition.datetime_range, time, time_of) for time in times if time)
    bounds = getattr(condition, test)  # of numbers; Python compares integers and floats exactly
    return any(_within(bounds, value) for value in present
               if isinstance(value, (int, float)) and not isinstance(value, bool))


def matches(filter_, number, payload):
    def holds(condition):
        return _condition(condition, number, payload)
    return (all(map(holds, filter_.must)) and not any(map(holds, filter_.must_not))
            and (not filter_.should or any(map(holds, filter_.should))))


LARGE = (2**53, 2**53 + 1, 2**63 - 1, -2**63)
WORDS = ("a", "ab", "b", "\u00e9", "\u00e9\U0001f600", "")
TIMES = ("2024-02-29", "2024-02-29T05:30:00+05:30", "2024-02-28T23:59:59.999999Z",
         "2024-03-01T00:00:00.000001Z", "2024-02-30")


def random_value(random):
    return random.choice([
        None, True, False, -0.0, 0.5, 1e300, 2**64 - 1, random.randrange(-3, 4),
        random.choice(LARGE), random.choice(WORDS), random.choice(TIMES)])


def random_payload(random):
    payload = {}
    for key in ("k", "i", "f", "d", "b", "none"):
        if random.randrange(4):
            payload[key] = (random_value(random) if random.randrange(3)
                            else [random_value(random) for _ in range(random.randrange(4))])
    payload["o"] = [{"p": random_value(random)}, {"p": [random_value(random)]}]
    return payload


def _bounds(random, message, values):
    for name, _ in random.sample(_BOUNDS, random.randrange(1, 3)):
        setattr(message, name, random.choice(values))


def random_filter(random, filters, depth):
    filter_ = filters.Filter()
    for clause in (filter_.must, filter_.should, filter_.must_not):
        for _ in range(random.randrange(3)):
            _fill(random, filters, clause.add(), depth)
    return filter_


def _fill(random, filters, condition, depth):
    test = random.choice([field.name for field in
                          filters.Condition.DESCRIPTOR.oneofs_by_name["test"].fields])
    if test == "filter" and depth > 0:
        condition.filter.CopyFrom(random_filter(random, filters, depth - 1))
        return
    if test in ("has_id", "filter"):
        condition.has_id.num.extend(random.sample(range(300), 200))
        return
    condition.key = random.choice(("k", "i", "f", "d", "b", "none", "o.p", "o[].p"))
    if test == "match":
        kind = random.choice([field.name for field in
                              filters.Match.DESCRIPTOR.oneofs_by_name["match_value"].fields])
        if kind == "boolean":
            condition.match.boolean = random.randrange(2) == 0
        elif "keyword" in kind:
            some = random.sample(WORDS + TIMES, 2)
            if kind == "keyword":
                condition.match.keyword = some[0]
            else:
                getattr(condition.match, kind).strings.extend(some)
        else:
            some = random.sample(tuple(range(-3, 4)) + LARGE, 3)
            if kind == "integer":
                condition.match.integer = some[0]
            else:
                getattr(condition.match, kind).integers.extend(some)
    elif test == "range":
        _bounds(random, condition.range, (-1.0, -0.0, 0.5, 2.0, 2.0**53, 2.0**63, 1e300))
    elif test == "integer_range":
        _bounds(random, condition.integer_range, (-1, 0, 2) + LARGE)
    elif test == "datetime_range":
        _bounds(random, condition.datetime_range, TIMES[:-1])
    elif test == "values_count":
        _bounds(random, condition.values_count, (0, 1, 2, 3))
    elif test == "prefix":
        condition.prefix = random.choice(("a", "\u00e9", "2024-02"))
    else:
        setattr(condition, test, True)
