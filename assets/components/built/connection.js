// Made by bundles.js of assets/components/connection, not by hand.
var b=`/* What all views share: the page's own fonts and colours, what only screen readers see, and the sheet that is printed in a view's place. */
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
`;var v=`.line { position: fixed; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
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
`;var T=5,E=500,q=2e4,A=b+v,j='[data-testid="stButton"] button',w='[data-testid="stApp"]',y="data-test-connection-state";function O(t){let e=t.parentElement.querySelector(".mv"),o=globalThis.moeVizConnection??=M();o.root!==e&&L(o,e),o.data=t.data,N(o,t.data.heard),o.news=performance.now(),o.cut=!1,_(e),l(o),t.setStateValue("painted",t.data.picture)}function L(t,e){let o=(c,i)=>Object.assign(document.createElement(c),{className:i}),n=o("style",""),a=o("div","line"),s=o("span","words"),r=o("button","close");n.textContent=A,s.setAttribute("role","status"),r.type="button",r.addEventListener("click",()=>{t.lost=[],l(t)}),a.append(o("span","age"),s,r),e.replaceChildren(n,a),t.root=e}function M(){let t={root:null,data:null,news:0,cut:!1,cuts:0,heard:{},presses:[],lost:[]};return document.addEventListener("click",e=>z(t,e),!0),setInterval(()=>l(t),E),new MutationObserver(()=>{let e=document.querySelector(w).getAttribute(y)!=="CONNECTED";e&&!t.cut&&(t.cuts+=1),t.cut||=e,l(t)}).observe(document.querySelector(w),{attributes:!0,attributeFilter:[y]}),t}function z(t,e){let o=e.target.closest?.(j);if(!o||o.disabled)return;let n=/st-key-(\S+)/.exec(o.closest('[class*="st-key-"]')?.className??"")?.[1],a=(o.querySelector('[data-testid="stMarkdownContainer"]')??o).innerText.trim();n&&t.presses.push({key:n,label:a||o.getAttribute("aria-label"),at:performance.now(),cuts:t.cuts}),t.lost=[]}function N(t,e){let o={};for(let[s,r]of Object.entries(e))o[s]=r-(t.heard[s]??0);t.heard=e;let n=t.presses.filter(({key:s})=>!(o[s]-- >0));t.lost.push(...n.filter(({cuts:s})=>s<t.cuts).map(({label:s})=>s));let a=performance.now()-q;t.presses=n.filter(({cuts:s,at:r})=>s===t.cuts&&r>a)}function l(t){let{root:e,data:o}=t;if(!e?.isConnected||!o)return;let{labels:n}=o,a=performance.now(),s=Math.floor((a-t.news)/1e3),r=t.cut||s>=Math.max(T,3*o.every),c=[],i=[];if(r){let k=document.querySelector(".st-key-live_step"),m=k?.innerText.trim();i.push(t.cut?n.cut:n.late,m?n.step.replace("{step}",m):n.old);let g=t.presses.filter(({at:d})=>d>t.news).map(({label:d})=>d);g.length&&i.push(n.waiting.replace("{buttons}",x(g))),c.push(n.seconds.replace("{n}",s))}t.lost.length&&i.push(n.lost.replace("{buttons}",x(t.lost)));let p=e.querySelector(".line"),h=e.querySelector(".close");p.classList.toggle("on",i.length>0),u(e.querySelector(".age"),c.join(" ")),u(e.querySelector(".words"),i.join(" ")),u(h,n.close),h.hidden=r||!t.lost.length;let f=document.querySelector('[data-testid="stMain"]');f&&(f.style.paddingBottom=i.length?`${p.offsetHeight}px`:"")}function x(t){return[...new Set(t)].map(e=>`“${e}”`).join(", ")}function u(t,e){t.textContent!==e&&(t.textContent=e)}function _(t){let e=t.getRootNode().host??t,o=document.querySelectorAll('[data-testid="stSidebar"], .st-key-within_reach');for(let n of[e.closest(".st-key-live_part"),...o])n?.setAttribute("translate","no")}export{O as default};
