import json

import pytest
from explained import explanations, in_blocks

from xaibench.errors import Unknown, UsageError
from xaibench.export.formats import formats_by_name, write_formats


def test_what_was_written_and_what_it_is_of_are_said_beside_it(tmp_path):
    formats = formats_by_name(["scores", "modisco"])
    blocks = in_blocks(explanations(hypothetical=False), 2)
    written = write_formats(blocks, tmp_path / "new", formats, facts={"weights": "fold0"})
    about = json.loads((tmp_path / "new" / "about.json").read_text())
    assert about["method"] == "deeplift"
    assert about["weights"] == "fold0"
    assert about["formats"]["modisco"]["files"] == ["ohe.npz", "shap.npz"]
    assert "no hypothetical contributions" in about["formats"]["modisco"]["notes"][0]
    names = {path.name for each in written.values() for path in each.files}
    assert {path.name for path in (tmp_path / "new").iterdir()} == names | {"about.json"}


def test_an_unknown_format_is_named_with_the_nearest():
    with pytest.raises(Unknown, match="no exports named 'modsico'; did you mean 'modisco'"):
        formats_by_name(["scores", "modsico"])


def test_no_sequences_are_rejected(tmp_path):
    with pytest.raises(UsageError, match="expected explanations of one sequence or more, got none"):
        write_formats([], tmp_path, formats_by_name(["scores"]))
