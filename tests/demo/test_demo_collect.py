import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
collect = SimpleNamespace(**runpy.run_path(str(ROOT / "data" / "train" / "collect.py")))  # data/ is no package


def random_documents(seed: int, *lengths: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 4096, length).astype("<u4") for length in lengths]


def test_a_document_that_shares_a_run_is_found_and_only_it():
    reference = random_documents(0, 300, 400)
    documents = random_documents(1, 200, 200, 200, 200)
    documents[2][100:150] = reference[1][37:87]
    documents[3][100:149] = reference[1][37:86]  # one token short of a run
    assert collect.overlapping(documents, reference, run=50).tolist() == [False, False, True, False]


def test_a_run_at_either_end_of_a_document_is_found():
    reference = random_documents(0, 300)
    documents = random_documents(1, 200, 200)
    documents[0][:50] = reference[0][:50]
    documents[1][-50:] = reference[0][-50:]
    assert collect.overlapping(documents, reference, run=50).tolist() == [True, True]


def test_a_run_across_two_documents_does_not_count():
    reference = random_documents(0, 100)
    documents = [reference[0][:30], reference[0][30:60], random_documents(1, 80)[0]]
    assert not collect.overlapping(documents, reference, run=50).any()


def test_hashes_depend_on_the_run_and_not_on_its_place():
    tokens = random_documents(2, 1000)[0]
    tokens[700:760] = tokens[100:160]
    hashes = collect.run_hashes(tokens, run=50)
    assert len(hashes) == 951
    assert np.array_equal(hashes[700:711], hashes[100:111])
    assert len(np.unique(hashes)) == 951 - 11


def test_a_licence_header_is_cut_and_another_comment_is_not():
    assert collect.without_licence("# Copyright the authors\n#\n\nimport os\n") == "import os\n"
    assert collect.without_licence("# Fast path.\nimport os\n") == "# Fast path.\nimport os\n"


def test_collect_counts_what_each_rule_leaves_out(tmp_path: Path):
    library, packages = tmp_path / "library", tmp_path / "packages"
    for path, text in {
        library / "a.py": "library = 1\n",
        packages / "p/copy.py": "library = 1\n",
        packages / "p/one.py": "x = 1\n",
        packages / "p/two.py": "x = 1\n",
        packages / "p/tests/t.py": "y = 1\n",
        packages / "p/empty.py": "",
        packages / "q/m_pb2.py": "z = 1\n",
        packages / "r/long.py": "w = 1\n" * 20,
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    removed = collect.Removed()
    kept = collect.collect(packages, library, cap_bytes=100, removed=removed)
    assert [c.text for c in kept] == ["x = 1\n"]
    assert sorted(removed.counts.values()) == [1, 1, 1, 1, 1, 1]
