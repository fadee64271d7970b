/** The page and its style. No text of the cluster is ever part of it: everything is put in by the page's own modules. */

export const PAGE_HTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Foreshard</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/page/style.css">
<script type="module" src="APP_MODULE"></script>
</head>
<body>
<header>
<h1>Foreshard</h1>
<p id="summary" role="status" aria-live="polite"></p>
<div id="switches"></div>
</header>
<main id="main" tabindex="-1"></main>
<div id="notice" role="alert"></div>
<noscript>The dashboard needs JavaScript. <code>foreshard status</code>, <code>proposal</code> and <code>migrations</code> print the same.</noscript>
</body>
</html>
`;

export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#ffffff, #14171c);
  --raised: light-dark(#f4f6f8, #1d2229);
  --ink: light-dark(#1b2028, #e8ebef);
  --quiet: light-dark(#525c69, #a9b3c0);
  --line: light-dark(#c9d1da, #3a434f);
  --accent: light-dark(#0b5cad, #7ab8f5);
  --warn: light-dark(#8a3b00, #ffb26b);
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: 0.5rem 1.5rem; align-items: baseline; padding: 0.75rem 1.25rem; border-bottom: 1px solid var(--line); }
h1 { font-size: 1.15rem; margin: 0; }
h2 { font-size: 1rem; margin: 0 0 0.5rem; }
header p { margin: 0; color: var(--quiet); flex: 1; }
main { display: grid; gap: 1rem; padding: 1rem 1.25rem; grid-template-columns: repeat(auto-fit, minmax(26rem, 1fr)); }
main:focus { outline: none; }
section { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 0.9rem 1rem; min-width: 0; }
section.wide { grid-column: 1 / -1; }
button, input, select { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: 4px; padding: 0.25rem 0.65rem; }
button { cursor: pointer; }
button.main { background: var(--accent); color: var(--ground); border-color: var(--accent); }
button:disabled { opacity: 0.5; cursor: default; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.scroll { overflow-x: auto; max-height: 24rem; overflow-y: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.25rem 0.6rem 0.25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--quiet); font-weight: 600; }
td.number, th.number { text-align: right; }
.quiet { color: var(--quiet); }
.warn { color: var(--warn); }
.row { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; margin: 0.5rem 0; }
.heat { position: relative; }
.heat canvas { display: block; width: 100%; height: 26rem; image-rendering: pixelated; touch-action: none; border: 1px solid var(--line); }
.heat .over { position: absolute; inset: 0; pointer-events: none; width: 100%; height: 26rem; }
.legend { display: flex; gap: 0.5rem; align-items: center; color: var(--quiet); font-size: 0.85rem; }
.legend canvas { width: 10rem; height: 0.8rem; border: 1px solid var(--line); }
.charts { display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); }
.charts figure { margin: 0; }
.charts svg { width: 100%; height: 6rem; display: block; background: var(--ground); border: 1px solid var(--line); }
figcaption { font-size: 0.85rem; color: var(--quiet); }
svg .zone { fill: var(--line); opacity: 0.35; }
svg .band { fill: var(--accent); opacity: 0.22; }
svg .before { fill: none; stroke: var(--quiet); stroke-dasharray: 3 2; vector-effect: non-scaling-stroke; }
svg .after { fill: none; stroke: var(--accent); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
svg .capacity { stroke: var(--warn); vector-effect: non-scaling-stroke; }
progress { width: 8rem; accent-color: var(--accent); }
#notice { position: fixed; bottom: 1rem; left: 1.25rem; right: 1.25rem; pointer-events: none; }
#notice p { background: var(--ink); color: var(--ground); padding: 0.5rem 0.9rem; border-radius: 4px; display: inline-block; margin: 0; }
.login { max-width: 30rem; }
.login input { width: 100%; margin: 0.5rem 0; }
dialog { color: inherit; background: var(--raised); border: 1px solid var(--line); border-radius: 6px; max-width: 34rem; }
`;
