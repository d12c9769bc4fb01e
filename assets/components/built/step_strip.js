// Made by bundles.js of assets/components/step_strip, not by hand.
function C(t,e){let n=new WeakMap;return r=>{let o=r.parentElement.querySelector(".mv"),a=n.get(o);return a||n.set(o,a=j(t(o),o)),a.send=r.setStateValue,e(a,r.data),()=>requestAnimationFrame(()=>{o.isConnected||(a.stop(),n.delete(o))})}}function j(t,e){if(!t.recolour)return t;let n=matchMedia("(forced-colors: active)"),r=t.stop;return e.addEventListener("transitionend",o=>o.target.matches(".live")&&t.recolour()),n.addEventListener("change",t.recolour),t.stop=()=>{n.removeEventListener("change",t.recolour),r()},t}function R(t){let e=t.map(U);return n=>e[n%e.length]}function U(t){let e=/^#([0-9a-f]{6}|[0-9a-f]{3})/i.exec(t);if(e)return(e[1].length===3?[...e[1]].map(o=>o+o):e[1].match(/../g)??[]).map(o=>parseInt(o,16));let n=t.match(/[\d.]+/g);return n&&n.length>=3?n.slice(0,3).map(Number):[128,128,128]}function A([t,e,n],r){return`rgba(${Math.round(t)},${Math.round(e)},${Math.round(n)},${r.toFixed(3)})`}function V(t){let[e,n,r]=t.map(o=>(o/=255)<=.04045?o/12.92:((o+.055)/1.055)**2.4);return .2126*e+.7152*n+.0722*r}function S(t){return V(t)>.18?"#000":"#fff"}function g(t,e,n){let r=document.createElement(t);return e&&(r.className=e),n!==void 0&&(r.textContent=n),r}function b(t,e){t.textContent!==e&&(t.textContent=e)}var K={token:_,scores:T,choice:Q,slot:X,expert:Y,sum:Z,gradient:T};function O(t,e){return e>0?K[t.name](t,e):[]}var h=(t,e,n,r,o,a={})=>({tag:"rect",className:t,x:e,y:n,width:r,height:o,...a}),x=(t,e,n,r,o)=>({tag:"line",className:t,x1:e,y1:n,x2:r,y2:o});function v(t,e,n,r,o){let a=Math.max(0,...t),i=Math.min(0,...t),l=a-i||1,s=n+a/l*r,c=e/t.length,d=c>3?c-1:c;return[...t.map((m,f)=>{let p=Math.abs(m)/l*r;return h("bar",f*c,m<0?s:s-p,d,p,o(f))}),x("zero",0,s,e,s)]}function _({bars:t},e){return t.length?v(t,e,2,36,()=>({})):[]}function T({bars:t,experts:e,chosen:n},r){if(!t.length)return[];let o=r/t.length,a=27,i=Math.max(o,5),l=c=>(c+.5)*o,s=n.map(c=>h("chosen",l(c)-i/2,.75,i,a-1.5));return[...v(t,r,2,a-4,c=>({expert:e[c]})),...s,...J(n,l,r)]}function J(t,e,n){let r=[];for(let o of t){let a=String(o+1),i=4*a.length,l=Math.min(n-i,Math.max(i,e(o)));r.every(s=>Math.abs(s.x-l)>=i+s.half+1)&&r.push({x:l,half:i,text:a})}return r.map(({x:o,text:a})=>({tag:"text",className:"foot",x:o,y:38,text:a}))}function Q({order:t,chosen:e,more:n},r){let o=Math.max(1,Math.floor((r+2)/18)),a=2*o,i=t;if(t.length>a||n){let s=t.filter(u=>!e.includes(u)),c=Math.max(0,a-1-e.length),d=new Set([...e.slice(0,a-1),...s.slice(0,c)]);i=t.filter(u=>d.has(u))}return[...i.map(s=>[s,String(s+1)]),...i.length<t.length||n?[[null,"…"]]:[]].flatMap(([s,c],d)=>{let u=d%o*18,m=1+Math.floor(d/o)*18,f={tag:"text",className:s===null?"rest":"chip-text",x:u+16/2,y:m+16/2+4,expert:s,text:c};if(s===null)return[f];let p=e.includes(s);return p||(f.className="other-text"),[h(p?"chip":"other",u+.75,m+.75,16-1.5,16-1.5,{expert:s}),f]})}var H=(t,e)=>(40-e*9-(e-1)*2)/2+t*11;function X({queues:t},e){return t.flatMap(({expert:n,place:r,asked:o,kept:a,capacity:i},l)=>{let s=H(l,t.length),c=Math.max(o,i??0,r+1),d=(e-2)/c,u=D=>1+D*d,m=Math.min(o,i??o),f=Math.max(3,d),p=Math.min(e-1-f,u(r));return[h("served",u(0),s,m*d,9,{expert:n}),...o>m?[h("overflow",u(m),s,(o-m)*d,9)]:[],...i===null?[]:[h("buffer",u(0),s,i*d,9),x("end",u(i),s-3,u(i),s+9+3)],...a?[h("place",p,s-2,f,13)]:[x("cross",p+f/2-4,s,p+f/2+4,s+9),x("cross",p+f/2+4,s,p+f/2-4,s+9)]]})}function Y({parts:t},e){return t.flatMap(({expert:n,share:r},o)=>{let a=H(o,t.length);return[h("served",1,a,r*(e-2),9,{expert:n}),h("buffer",1,a,e-2,9)]})}function Z({parts:t,bars:e},n){let r=t.reduce((s,{share:c})=>s+Math.max(0,c),0),o=(n-2)/Math.max(1,r),a=1,i=t.map(({expert:s,share:c})=>{let d=h("served",a,1,Math.max(0,c)*o,9,{expert:s});return a+=d.width,d}),l=t.length?[h("buffer",1,1,n-2,9)]:[];return[...i,...l,...e.length?v(e,n,13,26,()=>({})):[]]}function E(t,e,n,r){let o=r>0?Math.min(1,Math.max(0,n/r)):0;return t+o*(e-t)}function P(t,e){return(t.filter(({top:r})=>r<=e).at(-1)??t[0])?.name??null}function W(){return{card:null,held:!1}}function I(t,e){Object.assign(t,{card:e,held:!0})}function y(t){t.held=!1}function $(t,e){!t.held&&e!==null&&(t.card=e)}var L=`/* What all views share: the page's own fonts and colours, what only screen readers see, and the sheet that is printed in a view's place. */
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
`;var z=`/* Seven stations side by side at every width; where they are narrow, what the lit one says stands in one line below them. */
.mv { background: var(--st-background-color); padding: 0.25rem 0; border-bottom: 1px solid var(--rule); }
ol { display: grid; grid-template-columns: repeat(7, minmax(0, 1fr)); gap: 0.9rem; margin: 0; padding: 0; list-style: none; }
li { position: relative; min-width: 0; }
li + li::before { content: "→" / ""; position: absolute; inset-inline-start: -0.9rem; width: 0.9rem; top: 50%; translate: 0 -50%; text-align: center; color: var(--soft); font-size: 0.75rem; }
li:dir(rtl)::before { scale: -1 1; }
button { display: block; width: 100%; padding: 4px; border: 1px solid var(--rule); border-radius: 0.4rem; background: transparent; color: inherit; font: inherit; text-align: start; cursor: pointer; }
button:hover { background: var(--wash); }
button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
button[aria-current] { border-color: var(--ink); box-shadow: inset 0 -3px 0 var(--st-primary-color); background: var(--wash); }
button[aria-current] .title { font-weight: 600; }
.title, .figure { display: block; font-size: var(--small); line-height: 1.3; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.figure { color: var(--soft); }
.now { display: none; margin: 0.15rem 0 0; min-height: 1.3em; line-height: 1.3; font-size: var(--small); }
svg { display: block; width: 100%; height: 40px; overflow: visible; }
.bar { fill: var(--soft); }
.zero { stroke: var(--ink); stroke-opacity: 0.5; }
.chosen { fill: none; stroke: var(--ink); stroke-width: 1.5; rx: 2px; }
.foot { fill: var(--ink); font-size: 12px; text-anchor: middle; }
.chip, .other { rx: 3px; }
.chip { stroke: var(--ink); stroke-width: 1.5; }
.other { fill-opacity: 0.25; }
.chip-text, .other-text, .rest { font-size: 12px; text-anchor: middle; }
.chip-text { font-weight: 600; }
.other-text, .rest { fill: var(--ink); }
.buffer { fill: none; stroke: var(--ink); stroke-opacity: 0.6; }
.overflow { fill: none; stroke: var(--ink); stroke-dasharray: 2 2; }
.end { stroke: var(--ink); stroke-width: 2; }
.place { fill: var(--ink); stroke: var(--st-background-color); }
.cross { stroke: var(--ink); stroke-width: 2; }
@container (max-width: 720px) {
  ol { gap: 0.35rem; }
  li + li::before { display: none; }
  .title, .figure { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .now { display: block; }
}
@media (forced-colors: active) {
  .bar:not([style]), .place { fill: CanvasText; }
  .foot, .other-text, .rest { fill: CanvasText; }
  .zero, .chosen, .chip, .buffer, .overflow, .end, .cross { stroke: CanvasText; }
  button[aria-current] { border: 3px solid Highlight; }
}
@media print { .mv { --st-text-color: #31333f; --st-background-color: #ffffff; } }
`;var G="http://www.w3.org/2000/svg",ot=["ArrowUp","ArrowDown","PageUp","PageDown","Home","End"," "],w=8,rt=C(it,lt);function at(t){return rt(t)}function it(t){let e={root:t,data:null,stations:new Map,reading:W(),frame:0};t.removeAttribute("style"),t.replaceChildren(g("style","",L+z)),e.nav=g("nav"),e.list=g("ol"),e.now=g("p","now"),e.now.setAttribute("aria-hidden","true"),e.nav.append(e.list),t.append(e.nav,e.now);let n=new ResizeObserver(()=>e.data&&F(e));n.observe(t);let r=new AbortController,o={capture:!0,passive:!0,signal:r.signal};document.addEventListener("scroll",()=>q(e),o);for(let a of["wheel","touchmove","pointerdown"])document.addEventListener(a,()=>y(e.reading),o);return document.addEventListener("keydown",a=>ot.includes(a.key)&&!a.composedPath().some(st)&&y(e.reading),o),document.addEventListener("focusin",a=>pt(e,a.target),o),e.stop=()=>{n.disconnect(),r.abort(),cancelAnimationFrame(e.frame),M()?.style.removeProperty("scroll-padding-top");for(let a of document.querySelectorAll("[data-reading]"))a.removeAttribute("data-reading")},e}var M=()=>document.querySelector(".stMain"),k=t=>document.querySelector(`.st-key-panel_${t}`),st=t=>t instanceof HTMLElement&&t.matches("input, textarea, select, [contenteditable], [role=listbox], [role=radiogroup]");function lt(t,e){t.data=e,t.nav.setAttribute("aria-label",e.name);for(let[n,r]of e.stations.entries()){let o=t.stations.get(r.name)??ct(t,r.name);t.list.children[n]!==o.item&&t.list.insertBefore(o.item,t.list.children[n]??null),b(o.title,r.title),b(o.figure,r.figure)}F(t),q(t)}function ct(t,e){let n={item:g("li"),button:g("button"),title:g("span","title"),svg:document.createElementNS(G,"svg"),figure:g("span","figure"),wide:0};return n.button.type="button",n.item.dataset.station=e,n.svg.setAttribute("aria-hidden","true"),n.button.append(n.title,n.svg,n.figure),n.button.addEventListener("click",()=>ht(t,e)),n.item.append(n.button),t.stations.set(e,n),n}function F(t){let e=R(t.data.colours);for(let o of t.data.stations){let{svg:a}=t.stations.get(o.name),i=a.parentElement.clientWidth-w;a.setAttribute("viewBox",`0 0 ${Math.max(1,i)} ${40}`),a.replaceChildren(...O(o,i).map(l=>dt(l,e)))}let n=M(),r=ut(t);n&&(n.style.scrollPaddingTop=`${r.bottom+w}px`)}function dt({tag:t,className:e,text:n,expert:r,...o},a){let i=document.createElementNS(G,t);i.setAttribute("class",e);for(let[l,s]of Object.entries(o))i.setAttribute(l,String(+s.toFixed(2)));return t==="text"?(i.textContent=n??"",e==="chip-text"&&(i.style.fill=S(a(r)))):r!==void 0&&(i.style.fill=A(a(r),1)),i}function ut(t){let e=t.root.getRootNode().host?.closest('[data-testid="stLayoutWrapper"]'),n=e&&getComputedStyle(e),r=document.querySelector(".stAppHeader")?.getBoundingClientRect().bottom??0;return{bottom:n?.position==="sticky"?parseFloat(n.top)+t.root.getBoundingClientRect().height:r}}function q(t){cancelAnimationFrame(t.frame),t.frame=requestAnimationFrame(()=>ft(t))}function ft(t){let e=M();if(!t.data||!e)return;let n=t.data.cards.flatMap(({name:i})=>{let l=k(i);return l?[{name:i,top:l.getBoundingClientRect().top}]:[]}),r=e.getBoundingClientRect(),o=Math.max(r.top,t.root.getBoundingClientRect().bottom),a=E(o+w,r.bottom,e.scrollTop,e.scrollHeight-e.clientHeight);$(t.reading,P(n,a)),N(t)}function pt(t,e){let n=t.data?.cards.find(({name:r})=>k(r)?.contains(e));n&&B(t,n.name)}function B(t,e){I(t.reading,e),N(t)}function ht(t,e){let n=t.data.cards.filter(i=>i.station===e),r=(n.find(i=>i.name===e)??n[0])?.name,o=r&&k(r);if(!o)return;let a=matchMedia("(prefers-reduced-motion: reduce)").matches;o.tabIndex=-1,o.setAttribute("role","group"),o.setAttribute("aria-label",t.data.cards.find(i=>i.name===r).title),o.focus({preventScroll:!0}),B(t,r),o.scrollIntoView({block:"start",behavior:a?"instant":"smooth"})}function N(t){let{card:e}=t.reading,n=t.data.cards.find(({name:o})=>o===e)?.station??null;for(let[o,{button:a}]of t.stations)o===n?a.setAttribute("aria-current","step"):a.removeAttribute("aria-current");for(let{name:o}of t.data.cards)k(o)?.toggleAttribute("data-reading",o===e&&n!==null);let r=t.data.stations.find(({name:o})=>o===n);b(t.now,r?`${r.title}: ${r.figure}`:"")}export{at as default};
