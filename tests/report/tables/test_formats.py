"""Tables as Markdown, LaTeX and CSV, character by character."""

import csv
import io
import shutil
import subprocess

import pytest

from distortion_removal.report.tables import formats
from distortion_removal.report.tables.formats import Section, Table

STAR = "\N{ASTERISK OPERATOR}"
TABLE = Table(
  name="small",
  caption="SI-SDR / dB ↑: 100 % of <b>",
  header=["method", "20 dB", "all"],
  sections=[
    Section("your data_set", [["a_b", "-1.50 ± 0.25", f"2 {STAR}"]]),
    Section("", [["[x]", "\N{EN DASH}", "n/a"]]),
  ],
  notes=['"all": both.', "p < 0.05"],
)


def test_markdown():
  assert formats.markdown(TABLE).splitlines() == [
    r"**SI-SDR / dB ↑: 100 % of \<b>**",
    "",
    "| method | 20 dB | all |",
    "| --- | ---: | ---: |",
    "| *your data_set* |  |  |",
    f"| a_b | -1.50 ± 0.25 | 2 {STAR} |",
    "| [x] | \N{EN DASH} | n/a |",
    "",
    '- "all": both.',
    "- p < 0.05",
  ]


def test_markdown_of_what_means_something_there():
  table = Table("a", "x", ["m|n", "b"], [Section("", [["*a*\n_b_", "`\\c"]])])
  assert formats.markdown(table).splitlines()[2:] == [
    r"| m\|n | b |",
    "| --- | ---: |",
    r"| \*a\* \_b\_ | \`\\c |",
  ]


def test_a_page_says_what_its_tables_share_once():
  other = Table("b", "other", ["method"], [], ["p < 0.05", "new"])
  page = formats.markdown_page("Title", [TABLE, other])
  assert page.startswith("## Title\n\n**SI-SDR")
  assert page.endswith("**other**\n\n| method |\n| --- |\n\n- new\n")
  assert page.count("p < 0.05") == 1


def test_latex():
  assert formats.latex(TABLE).splitlines() == [
    r"% Needs \usepackage{booktabs,graphicx}.",
    r"\begin{table}[tb]",
    r"\centering",
    r"\caption{SI-SDR / dB $\uparrow$: 100 \% of $<$b$>$}",
    r"\label{tab:small}",
    r"\footnotesize",
    r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
    r"\begin{tabular}{lrr}",
    r"\toprule",
    r"method & 20 dB & all \\",
    r"\midrule",
    r"\multicolumn{3}{l}{\emph{your data\_set}} \\",
    r"a\_b & $-$1.50 $\pm$ 0.25 & 2 $^{*}$ \\",
    r"\midrule",
    r"{}[x] & -- & n/a \\",
    r"\bottomrule",
    r"\end{tabular}}",
    r"\par\smallskip\raggedright ``all'': both.",
    r"\par\smallskip\raggedright p $<$ 0.05",
    r"\end{table}",
  ]


@pytest.mark.parametrize(
  ("text", "latex"),
  [
    (r"\ { } $ & # ^ _ ~ %", None),
    ("5 - 3 = -2, [-3.98], A-SPADE, 1e-05", None),
    ("Fréchet, Δ, \N{MULTIPLICATION SIGN}, 2², µ, \N{MINUS SIGN}", None),
    ("音楽 þ \x7f", "?? ? ?"),
    ("A-SPADE", "A-SPADE"),
    ("[-3.9, 10-20]", "[$-$3.9, 10-20]"),
    (r"a\b", r"a\textbackslash{}b"),
  ],
)
def test_latex_escape(text, latex):
  escaped = formats.latex_escape(text)
  if latex is not None:
    assert escaped == latex
  # Every special character has a backslash, or is ours.
  bare = escaped
  for known in sorted(formats._LATEX.values(), key=len, reverse=True):
    bare = bare.replace(known, "")
  assert not set(bare) & set("\\{}$&#^_~%<>|")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(tmp_path):
  odd = (
    "".join(chr(code) for code in range(32, 0x180))
    + f"音 {3 * STAR} ↑ ↓ \N{EN DASH} \N{MINUS SIGN} …"
  )
  table = Table("odd", odd, ["a", odd], [Section(odd, [["[x]", "*y"]])], [odd])
  document = "\n".join(
    [
      r"\documentclass{article}\usepackage{booktabs,graphicx}",
      r"\begin{document}",
      formats.latex(TABLE),
      formats.latex(table),
      r"\end{document}",
    ]
  )
  (tmp_path / "a.tex").write_text(document, encoding="utf-8")
  done = subprocess.run(
    ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"],
    cwd=tmp_path,
    capture_output=True,
    text=True,
    errors="replace",
  )
  assert done.returncode == 0, done.stdout
  assert "Output written on a.pdf" in done.stdout


def test_csv_is_in_full_and_has_nothing_for_nothing():
  third = 1 / 3
  rows = [{"b": third, "a": 'x,"y"'}, {"a": None, "b": float("nan"), "c": 2}]
  text = formats.csv_text(("a", "b", "c"), rows)
  header, first, second = csv.reader(io.StringIO(text))
  assert header == ["a", "b", "c"]
  assert first == ['x,"y"', repr(third), ""]
  assert float(first[1]) == third
  assert second == ["", "", "2"]
