# SPDX-License-Identifier: GPL-3.0-or-later
# SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
#
# Private to this collection: names and behaviour may change in any release.
"""The frame of the HTML report: style, filter script, and a policy that allows these two and nothing else. Pure.

The page works without the script too: then everything is shown and nothing can be filtered.
"""

from __future__ import annotations

import base64
import hashlib
import html

# State is told by a sign, a word and the kind of border; colour only repeats it.
STYLE = """
:root{color-scheme:light dark;--bg:#fff;--card:#f6f7f9;--ink:#1a1d23;--dim:#5b6270;--line:#d3d7de;
--fail:#b3151d;--warn:#8a5a00;--pass:#1b6e3c;--skip:#5b6270;--note:#5a3ea8;--track:#e3e6eb;--fill:#3d6fb6}
@media (prefers-color-scheme:dark){:root{--bg:#14161a;--card:#1d2026;--ink:#e8eaee;--dim:#a3abb8;--line:#3a404a;
--fail:#ff8a8a;--warn:#f0b64a;--pass:#6fd096;--skip:#a3abb8;--note:#b9a4ff;--track:#2c313a;--fill:#7fa9e6}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main,header{max-width:72rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.2rem}
h1{font-size:1.5rem;margin:0}
h2{font-size:1.15rem;margin:2.2rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}
p{margin:.4rem 0}
.dim{color:var(--dim)}
.fail{color:var(--fail)}.warn{color:var(--warn)}.pass{color:var(--pass)}.skip{color:var(--skip)}.note{color:var(--note)}
.verdict{font-size:1.1rem;font-weight:650;margin:.5rem 0}
.tiles{display:grid;list-style:none;padding:0;margin:1rem 0;
grid-template-columns:repeat(auto-fit,minmax(6.6rem,1fr));gap:.6rem}
.tiles li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .7rem}
.tiles b{display:block;font-size:1.6rem;line-height:1.2;font-variant-numeric:tabular-nums}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.5rem}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--line)}
tr:last-child>*{border-bottom:0}
thead th{background:var(--card);font-weight:600}
td.num,th.num{text-align:right;font-variant-numeric:tabular-nums}
.matrix th[scope=row]{position:sticky;left:0;background:var(--bg);font-weight:400;min-width:11rem;
overflow-wrap:anywhere}
.matrix thead th:first-child{position:sticky;left:0}
.matrix td{min-width:7rem}
.mark{display:inline-block;white-space:nowrap;padding:0 .4rem;margin:.1rem .15rem .1rem 0;border-radius:.4rem;
border:1px solid var(--line);font-size:.9rem}
.mark.more{border:3px double var(--fail);color:var(--fail);font-weight:700}
.mark.missing{border:2px dashed var(--warn);color:var(--warn);font-style:italic}
.mark.none{border-color:transparent;color:var(--dim)}
.legend>span{margin-right:1rem;white-space:nowrap}
details{margin:.5rem 0}summary{cursor:pointer;padding:.3rem 0}
@media screen and (max-width:40rem){.matrix thead{display:none}.matrix tr{display:block;padding:.4rem .6rem;
border-bottom:1px solid var(--line)}.matrix tr:last-child{border-bottom:0}
.matrix tr>*{display:block;border:0;padding:.1rem 0}
.matrix th[scope=row]{position:static}.matrix td:empty{display:none}.matrix td::before{content:attr(data-secret);
display:block;color:var(--dim);font-size:.85rem}}
.bars{display:grid;grid-template-columns:1fr;gap:.7rem;margin:.6rem 0}
.bars p{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;margin:0;font-size:.95rem}
.bars span:first-child{overflow-wrap:anywhere}
svg{display:block;width:100%;height:.7rem}
.track{fill:var(--track)}.fill{fill:var(--fill)}.fill.high{fill:var(--warn)}.fill.over{fill:var(--fail)}
.limit{stroke:var(--ink);stroke-width:.4}
.filter{display:flex;flex-wrap:wrap;gap:.5rem 1rem;align-items:center;margin:.6rem 0}
.filter input[type=search]{flex:1 1 14rem;font:inherit;padding:.35rem .6rem;border:1px solid var(--line);
border-radius:.4rem;background:var(--bg);color:var(--ink);min-width:0}
.filter label{white-space:nowrap}
.finding{border:1px solid var(--line);border-left:.5rem solid var(--skip);border-radius:.5rem;
padding:.5rem .8rem;margin:.6rem 0;background:var(--card);overflow-wrap:anywhere}
.finding.fail,.finding.warn,.finding.pass,.finding.skip,.finding.note{color:var(--ink)}
.finding.fail{border-left-style:double;border-left-color:var(--fail)}
.finding.warn{border-left-style:dashed;border-left-color:var(--warn)}
.finding.pass{border-left-color:var(--pass)}
.finding.note{border-left-style:dotted;border-left-color:var(--note)}
.finding h3{font-size:1rem;margin:0}
.finding code{font-size:.9em}
.finding ul{margin:.3rem 0;padding-left:1.2rem}
[hidden]{display:none!important}
footer{max-width:72rem;margin:2rem auto;padding:0 1rem;color:var(--dim);font-size:.9rem}
@media print{:root{--bg:#fff;--card:#fff;--ink:#000;--dim:#444;--line:#999;--fail:#8a0000;--warn:#6b4500;--pass:#0b4d26;
--skip:#444;--note:#3d2a80;--track:#ddd;--fill:#555}
body{font-size:11pt}.filter{display:none!important}.finding,.bars>div,tr{break-inside:avoid}.scroll{overflow:visible;border:0}
svg,.tiles li{print-color-adjust:exact;-webkit-print-color-adjust:exact}h2{break-after:avoid}}
"""

SCRIPT = """
(function () {
  "use strict";
  var box = document.getElementById("filter");
  if (!box) { return; }
  box.hidden = false;
  var words = box.querySelector("input[type=search]");
  var boxes = Array.from(box.querySelectorAll("input[type=checkbox]"));
  var left = document.getElementById("left");
  var cards = Array.from(document.querySelectorAll(".finding"));
  function apply() {
    var wanted = words.value.toLowerCase().split(/\\s+/).filter(Boolean);
    var states = boxes.filter(function (one) { return one.checked; }).map(function (one) { return one.value; });
    var shown = 0;
    cards.forEach(function (card) {
      var text = card.textContent.toLowerCase();
      var said = wanted.every(function (one) { return text.indexOf(one) >= 0; });
      var hit = said && states.indexOf(card.dataset.state) >= 0;
      card.hidden = !hit;
      shown += hit ? 1 : 0;
    });
    left.textContent = shown + " of " + cards.length + " shown";
  }
  box.addEventListener("input", apply);
  apply();
})();
"""


def page(title: str, body: str) -> str:
    """The whole document; `body` is HTML already, the title is not."""
    policy = (
        f"default-src 'none'; style-src {_digest(STYLE)}; script-src {_digest(SCRIPT)}; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
