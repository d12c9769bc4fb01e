// Made by bundles.js of assets/components/connection, not by hand.
var v=`/* What all views share: the page's own fonts and colours, what only screen readers see, and the sheet that is printed in a view's place. */
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
`;var b=`.live { position: fixed; inset: 0 auto auto 0; }
.line { position: fixed; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.line.on {
  width: auto; height: auto; overflow: visible; clip-path: none;
  z-index: 999; inset: auto 0 0 0; display: flex; align-items: center; justify-content: center; gap: 0.75rem; flex-wrap: wrap;
  padding: 0.5rem 1rem; font-family: var(--st-font); font-size: 1rem; line-height: 1.4; font-variant-numeric: tabular-nums;
  color: var(--st-text-color); background: var(--st-secondary-background-color); border-top: 2px solid var(--st-primary-color);
}
.line [hidden], .line:not(.on) button { display: none; }
.line .age { white-space: nowrap; font-weight: 600; }
.line .age:empty { display: none; }
.line button {
  min-height: 2rem; padding: 0.2rem 0.8rem; font: inherit; color: inherit; background: transparent; cursor: pointer;
  border: 1px solid currentColor; border-radius: 0.5rem;
}
.line button:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
`;var S=5,T=500,E=2e4,q=v+b,A='[data-testid="stButton"] button',N='[data-testid="stApp"]',w="data-test-connection-state";function j(t){let o=t.parentElement.querySelector(".mv"),e=globalThis.moeVizConnection??=L();e.root!==o&&O(e,o),e.data=t.data,z(e,t.data.heard),e.news=performance.now(),e.cut=!1,_(o),u(e),t.setStateValue("painted",t.data.picture)}function O(t,o){let e=(r,l)=>Object.assign(document.createElement(r),{className:l}),n=e("style",""),i=e("div","line"),s=e("span","words"),a=e("button","close");n.textContent=q,s.setAttribute("role","status"),a.type="button",a.addEventListener("click",()=>{t.lost=[],t.mindsNoCookies=!1,u(t)});let c=e("div","live");c.setAttribute("role","status"),i.append(e("span","age"),s,a),o.replaceChildren(n,i,c),t.root=o}function L(){let t={root:null,data:null,news:0,cut:!1,cuts:0,heard:{},presses:[],lost:[],mindsNoCookies:!navigator.cookieEnabled,announced:""};document.addEventListener("click",e=>M(t,e),!0),setInterval(()=>u(t),T);let o=document.querySelector(N);return new MutationObserver(()=>{let e=o.getAttribute(w)!=="CONNECTED";e&&!t.cut&&(t.cuts+=1),t.cut||=e,u(t)}).observe(o,{attributes:!0,attributeFilter:[w]}),t}function M(t,o){let e=o.target.closest?.(A);if(!e||e.disabled)return;let n=/st-key-(\S+)/.exec(e.closest('[class*="st-key-"]')?.className??"")?.[1],i=(e.querySelector('[data-testid="stMarkdownContainer"]')??e).innerText.trim();n&&t.presses.push({key:n,label:i||e.getAttribute("aria-label"),at:performance.now(),cuts:t.cuts}),t.lost=[]}function z(t,o){let e={};for(let[s,a]of Object.entries(o))e[s]=a-(t.heard[s]??0);t.heard=o;let n=t.presses.filter(({key:s})=>!(e[s]-- >0));t.lost.push(...n.filter(({cuts:s})=>s<t.cuts).map(({label:s})=>s));let i=performance.now()-E;t.presses=n.filter(({cuts:s,at:a})=>s===t.cuts&&a>i)}function u(t){let{root:o,data:e}=t;if(!o?.isConnected||!e)return;let{labels:n}=e,i=performance.now(),s=Math.floor((i-t.news)/1e3),a=t.cut||s>=Math.max(S,3*e.every),c=[],r=[];if(a){let k=document.querySelector(".st-key-live_step"),m=k?.innerText.trim();r.push(t.cut?n.cut:n.late,m?n.step.replace("{step}",m):n.old);let g=t.presses.filter(({at:p})=>p>t.news).map(({label:p})=>p);g.length&&r.push(n.waiting.replace("{buttons}",y(g))),c.push(n.seconds.replace("{n}",s))}t.lost.length&&r.push(n.lost.replace("{buttons}",y(t.lost))),t.mindsNoCookies&&r.push(n.cookies);let l=o.querySelector(".line"),h=o.querySelector(".close");l.classList.toggle("on",r.length>0),d(o.querySelector(".age"),c.join(" ")),d(o.querySelector(".words"),r.join(" ")),d(h,n.close),h.hidden=a||!(t.lost.length||t.mindsNoCookies),t.announced!==e.announced&&d(o.querySelector(".live"),t.announced=e.announced);let f=document.querySelector('[data-testid="stMain"]');f&&(f.style.paddingBottom=r.length?`${l.offsetHeight}px`:"")}function y(t){return[...new Set(t)].map(o=>`“${o}”`).join(", ")}function d(t,o){t.textContent!==o&&(t.textContent=o)}function _(t){let o=t.getRootNode().host??t,e=document.querySelectorAll('[data-testid="stSidebar"], .st-key-within_reach');for(let n of[o.closest(".st-key-live_part"),...e])n?.setAttribute("translate","no")}export{j as default};
