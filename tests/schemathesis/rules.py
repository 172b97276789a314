"""Rules of a request that docs/openapi.json cannot state. A request that breaks one is refused though it
is valid against its schema. Each has its reason; anything else is a fault of the document.
"""

import re

# (path, field, code of the refusal): why.
RULES = [
    (r"/api/v2/.*", "cursor", "malformed", "a cursor is signed, for one list of one caller"),
    (r".*", "(from|to|start_date|end_date)", ".*", "a day must be in the calendar"),
    (r"/api/v2/stats", "zone", "malformed", "a zone must be in the database of time zones"),
    (r"/api/v2/.*", "[a-z_]*", "wrong_type", "1.0 is an integer to JSON Schema, and not to v2"),
    (r".*", "(name|room_name|title|memo|default_reason)", ".*", "at least one character is visible"),
    (r".*/(drops|products|campaigns)", "(opens_at|closes_at|starts_at)", ".*", "compared with the clock"),
    (r".*/drops", "(waiting|slots|amount|shuffle_s)", "out_of_range", "compared with each other"),
    (r".*/products", "(min_investment|max_per_investor|min_raise|target)", ".*", "likewise"),
    (r"/api/v2/keys", "expires_at", "out_of_range", "compared with the clock"),
    (r"/api/v2/keys", "ips", "invalid", "each is an address or a range, of IPv4 or IPv6"),
    (r"/api/v2/sprays", "amount", "out_of_range", "at least a unit for each recipient"),
    (r"/api/v1/spray", "body", "value_error", "likewise"),
    (r"/api/v2/sprays/\{token\}", "X-ROOM-ID", "missing", "required with a token, not with an id"),
    (r"/api/v2/rooms", r"members(\[\])?", ".*", "no member twice"),
]


def is_beyond_the_schema(path, field, code):
    matches = re.fullmatch
    return any(
        matches(its_path, path) and matches(its_field, field) and matches(its_code, code)
        for its_path, its_field, its_code, _ in RULES
    )
