
#include "spdkio/report/html_page.hpp"

#include "spdkio/report/svg_chart.hpp"

namespace spdkio::tool {
namespace {

// Light values first; the dark ones stand twice, for the system's choice and for the button.
constexpr std::string_view style = R"css(
:root{color-scheme:light;--page:#f6f7f9;--card:#fff;--ink:#16191f;--soft:#5b6472;--line:#e3e6eb;--grid:#eceef2;
--c0:#2166d1;--c1:#c2560c;--c2:#0a8068;--c3:#a8368b;--c4:#8a6d00;--c5:#54657f;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;--page:#0f1217;--card:#171b22;--ink:#e8ebf0;
--soft:#98a2b3;--line:#29303a;--grid:#222831;--c0:#6ea6ff;--c1:#f2a05c;--c2:#43cbae;--c3:#e68acb;--c4:#dcbf4d;--c5:#a9b8d0;--bad:#ff8a80}}
:root[data-theme=dark]{color-scheme:dark;--page:#0f1217;--card:#171b22;--ink:#e8ebf0;
--soft:#98a2b3;--line:#29303a;--grid:#222831;--c0:#6ea6ff;--c1:#f2a05c;--c2:#43cbae;--c3:#e68acb;--c4:#dcbf4d;--c5:#a9b8d0;--bad:#ff8a80}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 56px}
header{display:flex;gap:16px;align-items:flex-start;margin-bottom:24px}
header div{flex:1}
h1{font-size:24px;line-height:1.25;margin:0 0 4px;letter-spacing:-.01em}
h2{font-size:16px;margin:36px 0 12px}
p{margin:0}.soft{color:var(--soft)}
button{font:inherit;font-size:13px;color:var(--soft);background:var(--card);border:1px solid var(--line);border-radius:6px;
padding:4px 10px;cursor:pointer}
button:hover{color:var(--ink)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-bottom:12px}
.tile,.card,.chart{background:var(--card);border:1px solid var(--line);border-radius:10px}
.tile{padding:14px 16px}
.tile span{display:block;font-size:13px;color:var(--soft)}
.tile b{display:block;font-size:24px;line-height:1.3;font-weight:600;letter-spacing:-.01em;white-space:nowrap}
.card{overflow-x:auto;padding:4px 0}
table{border-collapse:collapse;width:100%;font-size:14px}
th,td{padding:8px 14px;text-align:left;white-space:nowrap;border-bottom:1px solid var(--grid)}
tr:last-child td{border-bottom:0}
th{font-weight:500;color:var(--soft);font-size:13px}
.num{text-align:right;font-variant-numeric:tabular-nums}
.key td:first-child{color:var(--soft);width:220px}
.key td{white-space:normal;overflow-wrap:anywhere}
.meter{display:block;height:4px;border-radius:2px;background:var(--c0);margin-top:3px;margin-left:auto}
.bad{color:var(--bad)}
.alert{border:1px solid var(--bad);border-radius:10px;background:var(--card);color:var(--bad);padding:12px 16px;margin-bottom:12px}
.grid2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(460px,100%),1fr));gap:12px}
.chart{margin:0;padding:14px 14px 6px;min-width:0}
figcaption{display:flex;flex-wrap:wrap;gap:4px 16px;justify-content:space-between;font-size:14px;font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-weight:400;font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.plot{position:relative}
svg{display:block;width:100%;height:auto;touch-action:pan-y}
.grid{stroke:var(--grid)}.axis,.notch{stroke:var(--line)}
.tick{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
.line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.dashed{stroke-dasharray:6 4}
.area{stroke:none;opacity:.1}
.line.c0,.dot.c0{stroke:var(--c0)}.line.c1,.dot.c1{stroke:var(--c1)}.line.c2,.dot.c2{stroke:var(--c2)}
.line.c3,.dot.c3{stroke:var(--c3)}.line.c4,.dot.c4{stroke:var(--c4)}.line.c5,.dot.c5{stroke:var(--c5)}
.area.c0,.bar.c0,.dot.c0{fill:var(--c0)}.area.c1,.bar.c1,.dot.c1{fill:var(--c1)}.area.c2,.bar.c2,.dot.c2{fill:var(--c2)}
.area.c3,.bar.c3,.dot.c3{fill:var(--c3)}.area.c4,.bar.c4,.dot.c4{fill:var(--c4)}.area.c5,.bar.c5,.dot.c5{fill:var(--c5)}
i.c0{background:var(--c0)}i.c1{background:var(--c1)}i.c2{background:var(--c2)}
i.c3{background:var(--c3)}i.c4{background:var(--c4)}i.c5{background:var(--c5)}
.bar{opacity:.85}
.hover line{stroke:var(--soft);stroke-dasharray:3 3}
.tip{position:absolute;top:6px;pointer-events:none;background:var(--card);border:1px solid var(--line);border-radius:8px;
padding:6px 10px;font-size:13px;box-shadow:0 4px 16px rgb(0 0 0/.14);white-space:nowrap;z-index:1}
.tip b{display:block;font-weight:500;color:var(--soft)}
.tip i{display:inline-block;width:8px;height:8px;border-radius:2px;margin-right:6px}
.tip span{display:flex;gap:14px;justify-content:space-between}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
footer{margin-top:36px;font-size:13px;color:var(--soft)}
@media print{button{display:none}body{background:#fff}.chart,.card,.tile{break-inside:avoid}}
)css";

constexpr std::string_view script = R"js(
const root = document.documentElement;
document.getElementById('theme').onclick = () => {
  const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark';
};
for (const figure of document.querySelectorAll('figure.chart')) {
  const stops = JSON.parse(figure.querySelector('script').textContent);
  const plot = figure.querySelector('.plot'), svg = figure.querySelector('svg');
  const tip = figure.querySelector('.tip'), hover = figure.querySelector('.hover');
  if (!stops.length) continue;
  const make = (name, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    hover.append(node);
  };
  const leave = () => { tip.hidden = true; hover.replaceChildren(); };
  plot.onpointerleave = leave;
  plot.onpointermove = event => {
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const at = (event.clientX - box.left) / scale;
    let best = stops[0];
    for (const stop of stops) if (Math.abs(stop[0] - at) < Math.abs(best[0] - at)) best = stop;
    hover.replaceChildren();
    make('line', {x1: best[0], x2: best[0], y1: 14, y2: 226});
    tip.replaceChildren();
    const title = document.createElement('b');
    title.textContent = best[1];
    tip.append(title);
    for (const [name, text, y, color] of best[2]) {
      make('circle', {cx: best[0], cy: y, r: 4, class: 'dot c' + color});
      const row = document.createElement('span'), label = document.createElement('span'), mark = document.createElement('i');
      mark.className = 'c' + color;
      label.style.display = 'inline';
      label.append(mark, name);
      row.append(label, text);
      tip.append(row);
    }
    tip.hidden = false;
    const x = best[0] * scale, flip = x + tip.offsetWidth + 16 > box.width;
    tip.style.left = (flip ? x - tip.offsetWidth - 12 : x + 12) + 'px';
  };
}
)js";

}  // namespace

std::string html_page(std::string_view title, std::string_view body) {
  std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page += "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n";
  // Nothing may be fetched, whatever the text of a result says.
  page +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "script-src 'unsafe-inline'\">\n";
  page += "<title>" + escape_html(title) + "</title>\n<style>";
  page += style;
  page += "</style>\n</head>\n<body>\n<main>\n";
  page += body;
  page += "</main>\n<script>";
  page += script;
  page += "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace spdkio::tool
