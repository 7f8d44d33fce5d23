import json

from benchmarks.frameworks import main


def row(dtype, op, error, floors, passed=True):
    epsilons = error / {"float64": 2.0**-52, "float32": 2.0**-23}[dtype]
    return {
        "version": "torch 9",
        "dtype": dtype,
        "op": op,
        "error": error,
        "epsilons": epsilons,
        "floors": floors,
        "model": op.startswith("sasrec"),
        "passed": passed,
    }


def test_the_page_has_the_worst_op_and_the_worst_model_of_each_dtype(tmp_path):
    float64 = [
        row("float64", "relu", 2.0**-52, 0.5),
        row("float64", "softmax", 2.0**-50, 4.0),
        row("float64", "sasrec.embed", 2.0**-49, 2.0),
    ]
    float32 = [
        row("float32", "softmax", 2.0**-22, 1.0),
        row("float32", "sasrec.embed", 2.0**-13, 900.0, passed=False),
    ]
    for name, rows in (("a.json", float64), ("b.json", float32)):
        (tmp_path / name).write_text(json.dumps(rows), encoding="utf-8")
    out = tmp_path / "page.md"
    main([str(tmp_path / "a.json"), str(tmp_path / "b.json"), "--out", str(out)])
    assert out.read_text(encoding="utf-8").splitlines()[-1] == (
        "| torch 9 | 3 passed | 8.9e-16 (4 ε) | 1.8e-15 (8 ε) | 4.0 "
        "| 1 of 2 passed | 2.4e-07 (2 ε) | 1.2e-04 (1024 ε) | 900.0 |"
    )
