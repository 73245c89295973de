"""What personal data looks like in text. Every number that has a check digit must pass it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_EDGE = r"(?:(?<![^\W_])|(?<=\\[bfnrt]))"  # a letter that ends an escape is not part of the word behind it
_END = r"(?![^\W_])"


class Kind(NamedTuple):
    """One kind of personal data: how it is written, and what a pattern cannot say about it."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = bool


def find(text: str, start: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield where personal data stands in a part of a text: start, end, kind."""
    for kind in KINDS:
        for found in kind.pattern.finditer(text, start, end):
            if kind.holds(found[0]):
                yield (*found.span(), kind.name)


def is_card(text: str) -> bool:
    """Tell the number of a payment card from other numbers: by its first digits, its length and the Luhn check.

    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = _digits(text)
    known = re.fullmatch(
        r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}|35\d{14}"
        r"|6(?:011|4[4-9]\d|5\d\d)\d{12}|62\d{14,17}",
        digits,
    )
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return bool(known) and sum(each - 9 * (each > 9) for each in doubled) % 10 == 0


def _is_phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15


def _is_iban(text: str) -> bool:
    code = text.replace(" ", "").replace("-", "")
    numbers = "".join(str(int(letter, 36)) for letter in code[4:] + code[:4])
    return int(numbers) % 97 == 1


def _is_address(text: str) -> bool:
    """Tell the address of a machine from a number with dots or colons, and from those that every machine has."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    named = address.version == 4 or sum(map(bool, text.split(":"))) > 2
    return named and not (address.is_loopback or address.is_unspecified or address.is_multicast)


def _is_spanish(text: str) -> bool:
    number = text.upper().replace("-", "").replace(" ", "")
    first = {"X": "0", "Y": "1", "Z": "2"}.get(number[0], number[0])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(first + number[1:-1]) % 23] == number[-1]


def _is_italian(text: str) -> bool:
    total = 0
    for place, sign in enumerate(text[:15]):
        value = int(sign) if sign.isdigit() else ord(sign) - 65
        total += value if place % 2 else ord("BAFHJNPRTVCESULDGIMOQKWZYX"[value]) - 65
    return chr(65 + total % 26) == text[15]


def _is_german(text: str) -> bool:
    digits = _digits(text)
    often = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return often[-1] in (2, 3) and often[-2] == 1 and (11 - product) % 10 == int(digits[10])


def _is_french(text: str) -> bool:
    number = re.sub(r"\s", "", text).replace("2A", "19").replace("2B", "18")
    return 97 - int(number[:13]) % 97 == int(number[13:])


def _is_brazilian(text: str) -> bool:
    digits = [int(digit) for digit in _digits(text)]
    checks = [
        sum(weight * digit for weight, digit in zip(range(size + 1, 1, -1), digits, strict=False)) * 10 % 11 % 10
        for size in (9, 10)
    ]
    return len(set(digits)) > 1 and digits[9:] == checks


def _is_indian(text: str) -> bool:
    """Apply Verhoeff's check: products in the dihedral group of the pentagon, each place permuted once more."""
    check = 0
    for place, digit in enumerate(reversed(_digits(text))):
        value = int(digit)
        for _ in range(place % 8):
            value = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)[value]
        check = _turned(check, value)
    return check == 0


def _turned(first: int, second: int) -> int:
    """Multiply in the dihedral group: 0 to 4 are rotations, 5 to 9 reflections."""
    if first < 5:
        return (first + second) % 5 if second < 5 else 5 + (first + second - 5) % 5
    return 5 + (first - 5 - second) % 5 if second < 5 else (first - second) % 5


def _digits(text: str) -> str:
    return "".join(sign for sign in text if sign.isdigit())


def _written(pattern: str) -> re.Pattern[str]:
    return re.compile(_EDGE + f"(?:{pattern})" + _END, re.ASCII)


_IBANS = """AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23
GL18GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24
PL28PS29PT25QA29RO24RS22SA24SC31SD18SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"""
_IBAN = "|".join(
    rf"{country}\d\d(?:[ -]?[A-Z0-9]){{{int(length) - 4}}}"
    for country, length in re.findall("([A-Z]+)([0-9]+)", _IBANS)
)

_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_NINO = r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?\d\d){3} ?[A-D]"
_NIR = r"[12] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d"
_ALONE = r"(?<!\d[ ./-])"
_ABROAD = r"(?:\+|00)[1-9]\d{0,2}[ ./-]?(?:\(\d{1,4}\)[ ./-]?)?\d{1,4}(?:[ ./-]?\d{2,4}){1,5}"

KINDS = (
    Kind("email", re.compile(_EDGE + r"[\w.%+'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")),
    Kind("card", _written(r"[2-6](?:[ -]?[0-9]){12,18}"), is_card),
    Kind("iban", _written(_IBAN), _is_iban),
    Kind("ip", _written(rf"(?<!\.){_BYTE}(?:\.{_BYTE}){{3}}(?!\.\d)"), _is_address),
    Kind("ip", _written(r"(?<!:)(?=[0-9a-fA-F]*:)[0-9a-fA-F:]{6,39}(?::\d{1,3}(?:\.\d{1,3}){3})?(?!:)"), _is_address),
    Kind("national-id", _written(r"(?!000|666|9)\d{3}([- ])(?!00)\d\d\1(?!0000)\d{4}")),  # USA
    Kind("national-id", _written(_NINO)),  # Britain
    Kind("national-id", _written(r"(?:[XYZxyz][- ]?\d{7}|\d{8})[- ]?[A-Za-z]"), _is_spanish),
    Kind("national-id", _written(r"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]"), _is_italian),
    Kind("national-id", _written(r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}"), _is_german),
    Kind("national-id", _written(_NIR), _is_french),
    Kind("national-id", _written(r"\d{3}\.?\d{3}\.?\d{3}-?\d\d"), _is_brazilian),
    Kind("national-id", _written(r"[2-9]\d{3} ?\d{4} ?\d{4}"), _is_indian),
    Kind("phone", _written(_ALONE + _ABROAD), _is_phone),
    Kind("phone", _written(_ALONE + r"(?:1[-. ])?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}")),
    Kind("phone", _written(_ALONE + r"(?:0\d(?:[ .]\d\d){4}|0\d{1,4}[ /-]\d{3,8}(?:[ -]\d{2,5})?)"), _is_phone),
)
"""The first that fits gives a piece of text its name."""
