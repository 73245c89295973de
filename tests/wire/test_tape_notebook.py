"""In a notebook, what is not on a tape is said in some lines, without a stack."""

from __future__ import annotations

from tests.notebook import Notebook

RECORD = """
@pp.tool
def forecast(city):
    return f"rain in {city}"

with pp.trace_session("weather"):
    forecast("Paris")
"""
PROBLEM = """\
NotOnTape: This call of forecast is not on the tape of 'weather'. It differs from the closest one that is (- recorded, + asked now):
city
- "Paris"
+ "Rome\""""  # noqa: E501 - one line of it is that long


def test_a_tape_is_played_in_cells_and_a_problem_is_its_sentences_alone(nb: Notebook) -> None:
    assert nb.run(RECORD).status == "ok"
    again = nb.run("with pp.tape() as tape:\n    print(forecast('Paris'))\ntape")
    assert again.shown == ["rain in Paris\n", "Tape('weather', 0 of 0 exchanges, 1 of 1 tools played)"]
    assert nb.run("with pp.tape() as tape:\n    print(forecast('Paris'))\ntape").shown == again.shown
    failed = nb.run("with pp.tape('weather'):\n    forecast('Rome')")
    assert (failed.status, failed.shown) == ("error", [PROBLEM])
