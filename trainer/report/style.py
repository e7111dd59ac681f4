"""How the page looks: plain CSS, light or dark as the reader's screen is, from a phone to a printer."""

from __future__ import annotations

from trainer.report.palette import DARK, LIGHT, variables

CSS = f"""
:root {{ color-scheme: light dark; {variables(LIGHT)}
  --page: #ffffff; --card: #f6f8fa; --quiet: #57606a; }}
@media (prefers-color-scheme: dark) {{
  :root {{ {variables(DARK)} --page: #0d1117; --card: #161b22; --quiet: #9198a1; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 66rem; padding: 1.5rem 1rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.35rem; margin: 0; }}
h2 {{ font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--faint); }}
p {{ max-width: 46rem; }}
.decision {{ font-size: 1.2rem; line-height: 1.45; margin: 1rem 0; padding: .9rem 1.1rem; max-width: none;
  background: var(--card); border-left: 6px solid var(--quiet); }}
.registered .decision {{ border-color: var(--similar); }}
.rejected .decision, .failed .decision {{ border-color: var(--bad); }}
.held .decision, .inconclusive .decision {{ border-color: var(--champion); }}
.quiet, figcaption, caption {{ color: var(--quiet); }}
dl {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: .75rem 2rem;
  margin: 0 0 1.5rem; }}
dt {{ color: var(--quiet); font-size: .85rem; }}
dd {{ margin: 0; }}
.pictures {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(27rem, 100%), 1fr)); gap: 1.5rem;
  align-items: start; }}
figure {{ margin: 0; }}
figure h3 {{ font-size: 1rem; margin: 0 0 .25rem; }}
figure svg {{ display: block; width: 100%; max-width: 34rem; height: auto; stroke-linejoin: round; }}
figure svg text {{ font-family: inherit; }}
figcaption {{ font-size: .875rem; margin-top: .4rem; max-width: 34rem; }}
.wide {{ overflow-x: auto; margin: 1rem 0; }}
.wide:focus-visible, summary:focus-visible {{ outline: 2px solid var(--challenger); outline-offset: 2px; }}
table {{ border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; overflow-wrap: normal; }}
caption {{ text-align: left; font-size: .875rem; padding-bottom: .4rem; }}
th, td {{ padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--faint); }}
tbody th {{ font-weight: 500; }}
.figures td, .figures thead th:not(:first-child) {{ text-align: right; }}
.texts td, .texts tbody th {{ overflow-wrap: anywhere; }}
.texts td:last-child {{ min-width: 12rem; }}
.neighbours td:last-child {{ min-width: 0; }}
.neighbours th {{ width: 2rem; }}
td.bad, .bad {{ color: var(--bad); font-weight: 600; }}
details {{ margin: .5rem 0; padding: .5rem .9rem; background: var(--card); }}
summary {{ cursor: pointer; }}
.neighbours {{ columns: 24rem; column-gap: 1.5rem; }}
.neighbours details {{ break-inside: avoid; margin: 0 0 .75rem; }}
.neighbours .wide {{ margin: .5rem 0 0; }}
.neighbours table {{ width: 100%; }}
.tag {{ font-size: .75rem; border: 1px solid currentColor; border-radius: .6rem; padding: 0 .4rem;
  white-space: nowrap; }}
.gone {{ color: var(--champion); }}
.new {{ color: var(--challenger); }}
@media print {{ details:not([open]) {{ display: none; }} }}
"""
