import { escapeText } from './charts.ts';
import type { HeatMap, TimedMove } from './report-data.ts';

/** Marks of moves that are drawn; more would cover the map. */
const MARKS_MAX = 2_000;

/**
 * The heat map as a canvas, its shades in the page. The scale is viridis (Smith & van der Walt 2015): even in lightness, so that
 * it reads without colours, and the same on light and dark ground.
 */
export function heatMapHtml(map: HeatMap, moves: readonly TimedMove[], startMs: number): string {
  const { rowCount, columnCount, partitionsPerRow, hoursPerColumn, queriesMax } = map;
  const marks = moves
    .slice(0, MARKS_MAX)
    .map(({ partition, atMs }) => [
      Math.floor(partition / partitionsPerRow),
      Math.floor((atMs - startMs) / 3_600_000 / hoursPerColumn),
    ]);
  const facts = { rowCount, columnCount, partitionsPerRow, hoursPerColumn, queriesMax, startMs, marks };
  const shades = Buffer.from(map.shades).toString('base64');
  const label = `Load of ${rowCount} rows of partitions over ${columnCount} columns of hours`;
  return `<div class="map"><canvas id="heat" width="${columnCount}" height="${rowCount}" role="img" aria-label="${escapeText(label)}"></canvas>
<canvas id="marks" width="1920" height="768" aria-hidden="true"></canvas></div>
<p id="cell" class="small">${rowCount === 1 ? 'one row' : `${rowCount} rows`}, partition 0 at the top; dark is idle, bright ${Math.round(queriesMax)} queries an hour; a ring is a move of the predictive policy.</p>
<script>
const facts=${JSON.stringify(facts).replaceAll('<', '\\u003c')};
const shades=Uint8Array.from(atob("${shades}"),c=>c.charCodeAt(0));
${DRAWING}
</script>`;
}

/** Runs in the reader's browser: no module, nothing fetched. */
const DRAWING = `const stops=[[68,1,84],[59,82,139],[33,145,140],[94,201,98],[253,231,37]];
const shadeOf=s=>{const at=s/255*4,i=Math.min(3,Math.floor(at)),f=at-i;return [0,1,2].map(k=>Math.round(stops[i][k]+f*(stops[i+1][k]-stops[i][k])))};
const heat=document.getElementById('heat'),pen=heat.getContext('2d'),image=pen.createImageData(facts.columnCount,facts.rowCount);
shades.forEach((s,i)=>{const [r,g,b]=shadeOf(s);image.data.set([r,g,b,255],4*i)});
pen.putImageData(image,0,0);
const over=document.getElementById('marks').getContext('2d');over.strokeStyle='#fff';over.lineWidth=2;
for(const [row,column] of facts.marks){over.beginPath();over.arc((column+.5)/facts.columnCount*1920,(row+.5)/facts.rowCount*768,7,0,7);over.stroke()}
const cell=document.getElementById('cell'),legend=cell.textContent;
heat.parentElement.addEventListener('mousemove',e=>{const box=heat.getBoundingClientRect();
const column=Math.floor((e.clientX-box.left)/box.width*facts.columnCount),row=Math.floor((e.clientY-box.top)/box.height*facts.rowCount);
const s=shades[row*facts.columnCount+column];if(s===undefined)return;
const at=new Date(facts.startMs+column*facts.hoursPerColumn*3600000).toISOString().slice(0,16).replace('T',' ');
cell.textContent='partition '+row*facts.partitionsPerRow+', '+at+' UTC: about '+Math.round((s/255)**2*facts.queriesMax)+' queries an hour'});
heat.parentElement.addEventListener('mouseleave',()=>{cell.textContent=legend});`;
