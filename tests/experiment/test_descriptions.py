"""The descriptions of runs."""

from hypothesis import given
from hypothesis import strategies as st

from harness.experiment.descriptions import of_report, of_row


def test_published_values_stand_beside_the_means_and_nothing_is_made_up():
    told = {"dice_nuclei": 0.94, "dice_nuclei/n": 1.0, "seconds_training": 3.0}
    text = of_row("A row", told, {"dice_nuclei": 0.958, "jaccard": 0.8})
    assert text.splitlines()[0] == "A row" and text.splitlines()[4:] == ["| Dice, nuclei | 0.940 |  | 1 |  | 0.958 |"]
    assert of_row("A row", {"seeds": 0.0}, {"jaccard": 0.8}) == "A row"


def test_a_title_is_no_markdown():
    title = "![x](http://evil/x.png) <b>"
    for told in ({"seeds": 0.0}, {"jaccard": 0.8, "jaccard/n": 1.0}):
        assert of_row(title, told, {}).splitlines()[0] == r"!\[x\](http://evil/x.png) \<b\>"


@given(st.lists(st.text("ab|\n", max_size=400), max_size=9))
def test_a_run_is_described_by_whole_sections_of_its_report(sections):
    told = of_report("# Title\n" + "".join(f"\n## {n}\n{text}" for n, text in enumerate(sections)), "a", room=1000)
    assert len(told) <= 1000 + 6 * 9 and told.startswith("# Title\n")
    kept = told.count("\n## ")
    assert all(f"\n## {n}\n{text}" in told for n, text in enumerate(sections[:kept]))


def test_sections_with_pictures_are_left_out_of_a_description():
    told = of_report("# Title\n\n## One\n\n![a](b.png)\n\n## Two\n\ntext\n", "report/page.html")
    assert "`report/page.html`" in told
    assert "b.png" not in told and told.endswith("\n## Two\n\ntext\n")
