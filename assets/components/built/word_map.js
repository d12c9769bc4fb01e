// Made by bundles.js of assets/components/word_map, not by hand.
function f(t,e){let o=new WeakMap;return n=>{let r=n.parentElement.querySelector(".mv"),a=o.get(r);return a||o.set(r,a=T(t(r),r)),a.send=n.setStateValue,e(a,n.data),()=>requestAnimationFrame(()=>{r.isConnected||(a.stop(),o.delete(r))})}}function T(t,e){if(!t.recolour)return t;let o=matchMedia("(forced-colors: active)"),n=t.stop;return e.addEventListener("transitionend",r=>r.target.matches(".live")&&t.recolour()),o.addEventListener("change",t.recolour),t.stop=()=>{o.removeEventListener("change",t.recolour),n()},t}function i(t,e,o){let n=document.createElement(t);return e&&(n.className=e),o!==void 0&&(n.textContent=o),n}function g(t,e){let[o,n]=t.y<=e.y?[t,e]:[e,t],r=o.x+o.width/2,a=n.x+n.width/2;if(n.y<o.y+o.height){let s=Math.min(26,8+Math.abs(a-r)/12);return m(r,o.y,r,o.y-s,a,n.y-s,a,n.y)}let l=o.y+o.height,d=n.y,u=Math.max(12,(d-l)/2);return m(r,l,r,l+u,a,d-u,a,d)}function m(t,e,o,n,r,a,c,l){let[d,u,s,y,w,M,C,$]=[t,e,o,n,r,a,c,l].map(S=>+S.toFixed(1));return`M${d} ${u}C${s} ${y} ${w} ${M} ${C} ${$}`}var b=`/* What all views share: the page's own fonts and colours, what only screen readers see, and the sheet that is printed in a view's place. */
:host { display: block; }
.mv {
  --small: 0.8125rem;
  --ink: var(--st-text-color);
  --soft: color-mix(in srgb, var(--st-text-color) 78%, var(--st-background-color));
  --rule: color-mix(in srgb, var(--st-text-color) 18%, var(--st-background-color));
  --wash: color-mix(in srgb, var(--st-text-color) 6%, var(--st-background-color));
  --ground: var(--st-background-color);
  --accent: var(--st-primary-color);
  container-type: inline-size;
  font: 400 1rem/1.5 var(--st-font);
  color: var(--ink);
  font-variant-numeric: tabular-nums;
}
.mv * { box-sizing: border-box; }
/* its colours, which nobody sees, tell the view when the theme has changed: see mount.js */
.live { color: var(--st-text-color); background: var(--st-background-color); transition: color 1ms, background-color 1ms; }
.live { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.facts { color: var(--soft); font-size: var(--small); margin-right: auto; }
.paper { display: none; }
@media print {
  .mv:has(> .paper):not([data-drawing]) > :not(.paper) { display: none; }
  .mv:not([data-drawing]) > .paper { display: block; max-width: 100%; height: auto; max-height: 24cm; break-inside: avoid; }
}
/* A contrast theme: what is a key by its colour keeps it, all else takes the reader's colours, and what is chosen is not told by a shade. */
@media (forced-colors: active) {
  .mv:not([data-drawing]) { --ink: CanvasText; --soft: CanvasText; --rule: CanvasText; --wash: Canvas; --ground: Canvas; --accent: Highlight;
    color: CanvasText; background: Canvas; outline-color: Highlight; }
  .chip, .track, .fill, .tok, .switch::before { forced-color-adjust: none; }
  .track { border: 1px solid CanvasText; }
}
`;var v=`/* Topics below each other, their words in rows; lines run behind the words. */
nav { position: relative; }
svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; pointer-events: none; }
path { fill: none; stroke: var(--ink); stroke-opacity: 0.08; stroke-width: 1; }
path.of-pointed { stroke-opacity: 0.45; stroke-width: 1.5; }
path.of-chosen { stroke: var(--accent); stroke-opacity: 0.9; stroke-width: 2; }
.topics { position: relative; display: grid; gap: 1.3rem; }
h4 { width: fit-content; margin: 0 0 0.45rem; padding-inline-end: 0.4rem; background: var(--ground); font: 600 var(--small)/1.3 var(--st-font); color: var(--soft); }
ul { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 0; padding: 0; list-style: none; }
button { min-height: 2rem; padding: 0.2rem 0.7rem; border: 1px solid var(--rule); border-radius: 1rem; background: var(--ground); color: inherit; font: inherit; line-height: 1.3; cursor: pointer; }
button:hover { border-color: var(--ink); }
button:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
button.near { border-color: var(--accent); border-width: 2px; padding: calc(0.2rem - 1px) calc(0.7rem - 1px); }
button[aria-current] { background: var(--ink); border-color: var(--ink); color: var(--ground); font-weight: 600; }
@media (forced-colors: active) {
  path { stroke: CanvasText; }
  path.of-chosen { stroke: Highlight; }
  button[aria-current] { forced-color-adjust: none; background: Highlight; color: HighlightText; }
}
@media print { nav { break-inside: avoid; } }
`;var k="http://www.w3.org/2000/svg",R=640,L=f(z,O);function P(t){return L(t)}function z(t){let e={root:t,data:null,words:new Map,lines:[],pointed:null,sent:null};t.removeAttribute("style"),t.replaceChildren(i("style","",b+v)),e.nav=i("nav"),e.svg=document.createElementNS(k,"svg"),e.svg.setAttribute("aria-hidden","true"),e.topics=i("div","topics"),e.nav.append(e.svg,e.topics),t.append(e.nav);let o=new ResizeObserver(()=>e.data&&x(e));return o.observe(e.topics),e.topics.addEventListener("pointerover",n=>h(e,n.target.closest("button")?.dataset.word??null)),e.topics.addEventListener("pointerleave",()=>h(e,null)),e.topics.addEventListener("focusin",n=>h(e,n.target.closest("button")?.dataset.word??null)),e.topics.addEventListener("focusout",()=>h(e,null)),e.topics.addEventListener("click",n=>H(e,n.target.closest("button")?.dataset.word)),e.stop=()=>o.disconnect(),e}function O(t,e){let o=JSON.stringify([e.topics,e.lines]);t.data=e,t.nav.setAttribute("aria-label",e.labels.name),t.text!==o&&D(t,o),(t.sent===null||t.sent===e.chosen)&&(t.chosen=e.chosen),t.sent=null,x(t)}function D(t,e){t.text=e,t.words.clear(),t.topics.replaceChildren(...t.data.topics.map((o,n)=>{let r=i("section"),a=i("h4","",o.title),c=i("ul");a.id=`topic-${n}`,c.setAttribute("aria-labelledby",a.id);for(let{id:l,name:d}of o.words){let u=i("li"),s=i("button","",d);s.type="button",s.dataset.word=l,t.words.set(l,s),u.append(s),c.append(u)}return r.append(a,c),r})),t.lines=t.data.lines.map(([o,n])=>{let r=document.createElementNS(k,"path");return{from:o,to:n,path:r}}),t.svg.replaceChildren(...t.lines.map(({path:o})=>o))}function x(t){let e=t.topics.getBoundingClientRect(),o=new Map;t.svg.setAttribute("viewBox",`0 0 ${Math.max(1,e.width)} ${Math.max(1,e.height)}`);for(let[n,r]of t.words){let a=r.getBoundingClientRect();o.set(n,{x:a.left-e.left,y:a.top-e.top,width:a.width,height:a.height})}for(let{from:n,to:r,path:a}of t.lines)a.setAttribute("d",g(o.get(n),o.get(r)));p(t)}function h(t,e){t.pointed!==e&&(t.pointed=e,p(t))}function p(t){let e=new Set;for(let{from:o,to:n,path:r}of t.lines){let a=o===t.chosen||n===t.chosen,c=o===t.pointed||n===t.pointed;r.setAttribute("class",a?"of-chosen":c?"of-pointed":""),a&&e.add(o===t.chosen?n:o)}for(let[o,n]of t.words)o===t.chosen?n.setAttribute("aria-current","true"):n.removeAttribute("aria-current"),n.classList.toggle("near",e.has(o)),e.has(o)?n.setAttribute("aria-description",t.data.labels.near):n.removeAttribute("aria-description")}function H(t,e){if(!e||(t.chosen=t.sent=e,p(t),t.send("word",e),t.root.clientWidth>=R))return;let o=matchMedia("(prefers-reduced-motion: reduce)").matches;document.querySelector(".st-key-word_card")?.scrollIntoView({block:"start",behavior:o?"instant":"smooth"})}export{P as default};
