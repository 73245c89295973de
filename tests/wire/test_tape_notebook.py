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


def test_a_tape_is_played_in_a_cell_and_a_problem_is_its_sentences_alone(nb: Notebook) -> None:
    assert nb.run(RECORD).status == "ok"
    assert nb.run("with pp.tape() as tape: print(forecast('Paris'))\ntape").text == "rain in Paris"
    failed = nb.run("with pp.tape('weather'): forecast('Rome')")
    assert failed.status == "error"
    assert failed.traceback == [
        "NotOnTape: This call of forecast is not on the tape of 'weather'. It differs from the closest one that is"
        ' (- recorded, + asked now):\ncity\n- "Paris"\n+ "Rome"'
    ]
