"""Tables as Markdown, LaTeX and CSV."""

import shutil
import subprocess

import pytest

from distortion_removal.report.tables.table import (
  RowGroup,
  Table,
  latex,
  latex_escape,
  markdown,
  markdown_page,
)

STAR = "\N{ASTERISK OPERATOR}"
TABLE = Table(
  name="small",
  caption="SI-SDR / dB ↑: 100 % of <b>",
  header=["method", "20 dB", "all"],
  sections=[
    RowGroup("your data_set", [["a_b", "-1.50 ± 0.25", f"2 {STAR}"]]),
    RowGroup("", [["[x]", "\N{EN DASH}", "n/a"]]),
  ],
  notes=['"all": both.', "p < 0.05"],
)


def test_markdown():
  assert markdown(TABLE).splitlines() == [
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
  table = Table("a", "x", ["m|n", "b"], [RowGroup("", [["*a*\n_b_", "`\\c"]])])
  lines = markdown(table).splitlines()
  assert lines[2] == r"| m\|n | b |"
  assert lines[4] == r"| \*a\* \_b\_ | \`\\c |"


def test_a_page_says_what_its_tables_share_once():
  other = Table("b", "other", ["method"], [], ["p < 0.05", "new"])
  page = markdown_page("Title", [TABLE, other])
  assert page.startswith("## Title\n\n**SI-SDR")
  assert page.endswith("**other**\n\n| method |\n| --- |\n\n- new\n")
  assert page.count("p < 0.05") == 1


def test_latex():
  lines = latex(TABLE).splitlines()
  for line in (
    r"\caption{SI-SDR / dB $\uparrow$: 100 \% of $<$b$>$}",
    r"\begin{tabular}{lrr}",
    r"\multicolumn{3}{l}{\emph{your data\_set}} \\",
    r"a\_b & $-$1.50 $\pm$ 0.25 & 2 $^{*}$ \\",
    r"{}[x] & -- & n/a \\",  # After a line's end a bracket is an option.
    r"\par\smallskip\raggedright ``all'': both.",
  ):
    assert line in lines
  assert lines.count(r"\midrule") == 2


@pytest.mark.parametrize(
  ("text", "expected"),
  [
    (r"{}$&#%_", r"\{\}\$\&\#\%\_"),
    ("a^b~c<|>", r"a\textasciicircum{}b\textasciitilde{}c$<$$|$$>$"),
    ("Fréchet, Δ, 2² µ", r"Fréchet, $\Delta$, 2$^{2}$ $\mu$"),
    ("音楽 þ \x7f", "?? ? ?"),
    ("[-3.9, 10-20], A-SPADE", "[$-$3.9, 10-20], A-SPADE"),
    (r"a\b", r"a\textbackslash{}b"),
  ],
)
def test_latex_escape(text, expected):
  assert latex_escape(text) == expected


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="needs pdflatex")
def test_latex_compiles(tmp_path):
  odd = "".join(map(chr, range(32, 0x180)))
  odd += "音 ↑ ↓ \N{EN DASH} \N{MINUS SIGN} …"
  table = Table("odd", odd, ["a", odd], [RowGroup(odd, [["[x]", "*y"]])], [odd])
  head = r"\documentclass{article}\usepackage{booktabs,graphicx}"
  lines = [head, r"\begin{document}", latex(TABLE), latex(table)]
  document = "\n".join([*lines, r"\end{document}"])
  (tmp_path / "a.tex").write_text(document, encoding="utf-8")
  command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
  done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
  assert done.returncode == 0, done.stdout
  assert (tmp_path / "a.pdf").is_file()
