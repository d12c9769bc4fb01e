// Made by bundles.js of assets/components/be_router, not by hand.
function j(t,e){let r=new WeakMap;return o=>{let n=o.parentElement.querySelector(".mv"),a=r.get(n);return a||r.set(n,a=H(t(n),n)),a.send=o.setStateValue,e(a,o.data),()=>requestAnimationFrame(()=>{n.isConnected||(a.stop(),r.delete(n))})}}function H(t,e){if(!t.recolour)return t;let r=matchMedia("(forced-colors: active)"),o=t.stop;return e.addEventListener("transitionend",n=>n.target.matches(".live")&&t.recolour()),r.addEventListener("change",t.recolour),t.stop=()=>{r.removeEventListener("change",t.recolour),o()},t}function R(t){let e=t.map(B);return r=>e[r%e.length]}function B(t){let e=/^#([0-9a-f]{6}|[0-9a-f]{3})/i.exec(t);if(e)return(e[1].length===3?[...e[1]].map(n=>n+n):e[1].match(/../g)??[]).map(n=>parseInt(n,16));let r=t.match(/[\d.]+/g);return r&&r.length>=3?r.slice(0,3).map(Number):[128,128,128]}function y([t,e,r],o){return`rgba(${Math.round(t)},${Math.round(e)},${Math.round(r)},${o.toFixed(3)})`}function G(t){let[e,r,o]=t.map(n=>(n/=255)<=.04045?n/12.92:((n+.055)/1.055)**2.4);return .2126*e+.7152*r+.0722*o}function _(t){return G(t)>.18?"#000":"#fff"}function s(t,e,r){let o=document.createElement(t);return e&&(o.className=e),r!==void 0&&(o.textContent=r),o}function d(t,e,r={}){return(t.words[e]??e).replace(/\{(\w+)\}/g,(o,n)=>n in r?r[n]:o)}function E(t){if(!Number.isFinite(t))return"–";let e=t*100;return`${e>=99.95||e===0?e.toFixed(0):e.toFixed(1)} %`}function x(t,e){let r=Math.abs(t).toFixed(e);return t<0&&Number(r)?`−${r}`:r}function $(t,e){t.textContent!==e&&(t.textContent=e)}function A(t,e){return Array.from({length:t},()=>Array(e).fill(-1))}function M(t,e){let r=Array(e).fill(-1);return t.forEach((o,n)=>o.forEach(a=>a!==-1&&(r[a]=n))),r}function S(t,e){for(let[r,o]of t.entries()){let n=o.indexOf(e);if(n!==-1)return{expert:r,slot:n}}return null}function P(t,e,r,o=t[r].indexOf(-1)){let n=S(t,e);if(n&&n.expert===r&&(o===-1||n.slot===o))return t;if(o===-1)return null;let a=t.map(c=>[...c]),l=a[r][o];return n&&(a[n.expert][n.slot]=l),a[r][o]=e,a}function D(t,e){return t.map(r=>r.map(o=>o===e?-1:o))}function O(t,e){return t.reduce((r,o,n)=>r+o[e[n]===-1?o.length-1:e[n]],0)/t.length}function v(t,e,r){return e>r?(e-t)/(e-r):0}var F=`/* What all views share: the page's own fonts and colours, what only screen readers see, and the sheet that is printed in a view's place. */
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
`;var q=`/* Tokens above, the experts' slots below; what it costs under them. */
h4 { margin: 0 0 0.3rem; font: 600 var(--small)/1.3 var(--st-font); color: var(--soft); }
p { margin: 0 0 0.6rem; }
button { font: inherit; color: inherit; cursor: pointer; }
button:focus-visible, .scroll:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.pool { padding: 0.6rem; border: 1px dashed var(--rule); border-radius: 0.5rem; min-height: 5rem; margin-bottom: 0.9rem; }
.tokens { display: flex; flex-wrap: wrap; gap: 0.45rem; }
.token { display: grid; grid-template-rows: auto 1.5rem; justify-items: center; gap: 0.15rem; width: 3.4rem; padding: 0.2rem 0.3rem; border: 1px solid var(--soft); border-radius: 0.4rem; background: var(--ground); touch-action: none; user-select: none; }
.token:hover { background: var(--wash); }
.token[aria-pressed="true"] { box-shadow: 0 0 0 3px var(--accent); }
.token.lifted { opacity: 0.35; }
.name { font-weight: 600; line-height: 1.2; }
.bars { display: flex; align-items: flex-end; gap: 3px; height: 1.5rem; border-bottom: 1px solid var(--soft); }
.bar { width: 7px; border-radius: 2px 2px 0 0; }
.experts { display: grid; gap: 0.5rem; margin-bottom: 0.9rem; }
.expert { display: flex; align-items: center; gap: 0.5rem; padding: 0.25rem; border-radius: 0.5rem; }
.chip { width: 2.2rem; height: 2.2rem; border: 0; border-radius: 0.4rem; font-weight: 700; flex: none; }
.slot { width: 3.7rem; min-height: 3.5rem; display: grid; place-items: center; border: 2px solid; border-radius: 0.5rem; flex: none; }
.over { background: color-mix(in srgb, var(--accent) 18%, transparent); }
.ghost { position: fixed; z-index: 1000; pointer-events: none; translate: -50% -50%; box-shadow: 0 4px 14px rgb(0 0 0 / 0.3); }
.board { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: 2.5rem; align-items: start; }
.actions { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-bottom: 0.6rem; }
.do { min-height: 2.5rem; padding: 0.3rem 0.9rem; border: 1px solid var(--soft); border-radius: 0.5rem; background: var(--ground); }
.do:hover { background: var(--wash); }
.do.primary { background: var(--ink); border-color: var(--ink); color: var(--ground); font-weight: 600; }
.said { min-height: 1.5rem; color: var(--soft); font-size: var(--small); }
.line { font-size: 1.1rem; font-weight: 600; }
.scores { list-style: none; margin: 0 0 0.4rem; padding: 0; display: grid; gap: 0.25rem; }
.scores li { display: grid; grid-template-columns: minmax(9rem, 14rem) 1fr 4rem 3.4rem; gap: 0.6rem; align-items: center; font-size: 0.9375rem; }
.scores .mine { font-weight: 700; }
.value { text-align: end; }
.track { position: relative; height: 0.75rem; background: var(--wash); border-radius: 0.3rem; }
.fill { position: absolute; inset-block: 0; background: var(--soft); border-radius: 0.3rem; }
.mine .fill { background: var(--accent); }
.zero { position: absolute; inset-block: -0.2rem; width: 2px; background: var(--ink); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9375rem; }
caption { text-align: start; padding-block: 0.4rem; }
th, td { padding: 0.15rem 0.6rem; text-align: end; font-weight: 400; }
th { font-weight: 600; }
td { background: color-mix(in srgb, #d67a14 var(--part), var(--ground)); border: 1px solid var(--ground); min-width: 4.6rem; }
td.mine { outline: 2px solid var(--ink); outline-offset: -3px; }
@container (max-width: 860px) { .board { grid-template-columns: minmax(0, 1fr); gap: 0; } }
@container (max-width: 560px) {
  .scores li { grid-template-columns: 1fr 3.6rem 3.2rem; row-gap: 0.1rem; }
  .scores .track { grid-column: 1 / -1; grid-row: 2; }
  th, td { padding: 0.15rem 0.3rem; }
  td { min-width: 3.6rem; }
}
@media (forced-colors: active) {
  .bar, .fill { forced-color-adjust: none; background: CanvasText; }
  .token[aria-pressed="true"] { outline: 3px solid Highlight; }
  .do.primary { border: 3px solid CanvasText; }
}
`;var J=5,L=-.5,Q=j(w,tt);function Z(t){return Q(t)}function w(t){let e={root:t,data:null,words:{},id:null,slots:[],picked:null,judged:!1,revealed:!1,drag:null};t.removeAttribute("style"),t.replaceChildren(s("style","",F+q)),e.help=s("p","facts"),e.pool=s("div","pool"),e.experts=s("div","experts"),e.actions=s("div","actions"),e.result=s("div","result"),e.matrix=s("div","matrix"),e.live=s("p","said"),e.live.setAttribute("role","status");let r=s("div","board"),o=s("div","told");o.append(e.actions,e.live,e.result),r.append(e.experts,o),t.append(e.help,e.pool,r,e.matrix),t.addEventListener("click",a=>at(e,a)),t.addEventListener("keydown",a=>lt(e,a)),t.addEventListener("pointerdown",a=>it(e,a));let n=new AbortController;return document.addEventListener("pointermove",a=>dt(e,a),{signal:n.signal}),document.addEventListener("pointerup",a=>ct(e,a),{signal:n.signal}),document.addEventListener("pointercancel",()=>K(e),{signal:n.signal}),e.stop=()=>n.abort(),e}function tt(t,e){t.data=e,t.words=e.labels,t.colour=R(e.colours),t.id!==e.id&&Object.assign(t,{id:e.id,slots:A(e.n_experts,e.n_slots),picked:null,judged:!1,revealed:!1}),C(t)}function C(t,e=null){let{data:r}=t,o=M(t.slots,r.tokens.length);$(t.help,d(t,"help",{slots:r.n_slots}));let n=s("div","tokens");r.tokens.forEach((l,c)=>o[c]===-1&&n.append(W(t,c))),n.childElementCount||n.append(s("span","facts",d(t,"all_placed")));let a=s("h4","",d(t,"left_out"));t.pool.replaceChildren(a,n),t.pool.dataset.expert=String(-1),t.experts.replaceChildren(...t.slots.map((l,c)=>rt(t,l,c))),t.actions.replaceChildren(T("judge",d(t,"judge"),"primary"),T("reveal",d(t,t.revealed?"hide":"reveal")),T("empty",d(t,"empty"))),ot(t,o),nt(t,o),e!==null&&t.root.querySelector(`[data-token="${e}"], [data-do="${e}"]`)?.focus({preventScroll:!0})}function T(t,e,r=""){let o=s("button",`do ${r}`,e);return o.type="button",o.dataset.do=t,o}function W(t,e){let{data:r}=t,o=S(t.slots,e),n=r.probs[e],a=s("button","token");a.type="button",a.dataset.token=String(e),a.append(s("span","name",r.tokens[e]),et(t,n));let l=n.map((i,p)=>d(t,"gate",{expert:p+1,share:E(i)})).join(", "),c=o?d(t,"at",{expert:o.expert+1,slot:o.slot+1}):d(t,"out");return a.setAttribute("aria-label",`${r.tokens[e]}: ${c}. ${l}`),a.setAttribute("aria-pressed",String(t.picked===e)),a}function et(t,e){let r=s("span","bars");return e.forEach((o,n)=>{let a=s("span","bar");a.style.blockSize=`${Math.max(4,o*100)}%`,a.style.background=y(t.colour(n),1),r.append(a)}),r}function rt(t,e,r){let o=s("div","expert"),n=s("button","chip",String(r+1)),a=t.colour(r);return n.style.background=y(a,1),n.style.color=_(a),n.setAttribute("aria-label",d(t,"expert",{n:r+1,filled:e.filter(l=>l!==-1).length,slots:e.length})),n.dataset.send=String(r),o.dataset.expert=String(r),o.append(n,...e.map((l,c)=>{let i=s("div","slot");return i.dataset.slot=String(c),i.style.borderColor=y(a,1),l!==-1&&i.append(W(t,l)),i})),o}function ot(t,e){if(!t.judged)return t.result.replaceChildren();let{data:r}=t,o=O(r.losses,e),n=v(o,r.random,r.best),a=d(t,"result",{loss:x(o,3),score:z(n)}),l=[...r.rivals.map(i=>({...i,mine:!1})),{title:d(t,"you"),loss:o,score:n,mine:!0}],c=s("ol","scores");for(let i of l.sort((p,f)=>f.score-p.score)){let p=s("li",i.mine?"mine":""),f=s("span","track"),b=s("span","fill"),g=s("span","zero"),u=h=>100*(Math.max(L,Math.min(1,h))-L)/(1-L);b.style.insetInlineStart=`${Math.min(u(0),u(i.score))}%`,b.style.inlineSize=`${Math.abs(u(i.score)-u(0))}%`,g.style.insetInlineStart=`${u(0)}%`,f.append(b,g),p.append(s("span","who",i.title),f,s("span","value",z(i.score)),s("span","value",x(i.loss,3))),c.append(p)}t.result.replaceChildren(s("p","line",a),c,s("p","facts",d(t,"scale")))}var z=t=>E(t).replace("-","−");function nt(t,e){if(!t.revealed)return t.matrix.replaceChildren();let{data:r}=t,o=s("table"),n=s("tr"),a=Math.max(...r.losses.flat());o.append(s("caption","facts",d(t,"matrix"))),n.append(s("th","",d(t,"token")),...r.losses[0].map((c,i)=>s("th","",i<r.n_experts?String(i+1):d(t,"none")))),o.append(n),r.losses.forEach((c,i)=>{let p=s("tr"),f=s("th","",r.tokens[i]),b=Math.min(...c);f.setAttribute("scope","row"),p.append(f,...c.map((g,u)=>{let h=s("td","",x(g,3)),Y=e[i]===(u<r.n_experts?u:-1);return h.style.setProperty("--part",`${Math.round(45*g/a)}%`),Y&&(h.className="mine"),g===b&&h.append(s("span","best"," ★")),h})),o.append(p)});let l=s("div","scroll");l.tabIndex=0,l.setAttribute("role","region"),l.setAttribute("aria-label",d(t,"matrix")),l.append(o),t.matrix.replaceChildren(l)}function N(t,e,r,o){let n=t.data.tokens[e],a=r===-1?D(t.slots,e):P(t.slots,e,r,o);if(t.picked=null,a===null)k(t,"full",{n:r+1});else{t.slots=a;let l=S(a,e);l?k(t,"sent",{token:n,expert:l.expert+1,slot:l.slot+1}):k(t,"taken_out",{token:n})}C(t,e)}function k(t,e,r){t.live.classList.toggle("live",e==="result"),$(t.live,d(t,e,r))}function at(t,e){if(t.dropped)return t.dropped=!1;let r=e.target,o=r.closest("[data-do]")?.dataset.do;if(o)return st(t,o);let n=r.closest("[data-token]")?.dataset.token,a=r.closest("[data-expert]")?.dataset.expert;if(t.picked!==null&&a!==void 0&&Number(n)!==t.picked){let l=r.closest("[data-slot]")?.dataset.slot;return N(t,t.picked,Number(a),l===void 0?void 0:Number(l))}if(n!==void 0)return t.picked=t.picked===Number(n)?null:Number(n),t.picked!==null&&k(t,"picked",{token:t.data.tokens[t.picked]}),C(t,n)}function st(t,e){if(e==="judge"&&(t.judged=!0),e==="reveal"&&(t.revealed=!t.revealed),e==="empty"&&(t.slots=A(t.data.n_experts,t.data.n_slots)),C(t,e),e==="judge"){let r=M(t.slots,t.data.tokens.length),o=O(t.data.losses,r);k(t,"result",{loss:x(o,3),score:z(v(o,t.data.random,t.data.best))})}}function lt(t,e){let r=e.target.closest?.("[data-token]")?.dataset.token;if(r===void 0||e.ctrlKey||e.metaKey||e.altKey)return;let o=Number(e.key),n=[...t.root.querySelectorAll("[data-token]")],a=n.indexOf(e.target.closest("[data-token]")),l={ArrowRight:1,ArrowDown:1,ArrowLeft:-1,ArrowUp:-1}[e.key];if(["0","Delete","Backspace"].includes(e.key))N(t,Number(r),-1);else if(Number.isInteger(o)&&o>=1&&o<=t.data.n_experts&&e.key.trim())N(t,Number(r),o-1);else if(l)n[(a+l+n.length)%n.length].focus();else return;e.preventDefault()}function it(t,e){let r=e.target.closest?.("[data-token]");!r||e.button||(t.drag={token:Number(r.dataset.token),x:e.clientX,y:e.clientY,chosen:r,ghost:null})}function dt(t,e){let{drag:r}=t;if(r){if(!r.ghost){if(Math.hypot(e.clientX-r.x,e.clientY-r.y)<J)return;r.ghost=r.chosen.cloneNode(!0),r.ghost.classList.add("ghost"),r.ghost.setAttribute("aria-hidden","true"),r.ghost.style.inlineSize=`${r.chosen.offsetWidth}px`,t.root.append(r.ghost),r.chosen.classList.add("lifted")}r.ghost.style.left=`${e.clientX}px`,r.ghost.style.top=`${e.clientY}px`;for(let o of t.root.querySelectorAll(".over"))o.classList.remove("over");X(t,e)?.closest("[data-slot], [data-expert]")?.classList.add("over")}}var X=(t,e)=>t.root.getRootNode().elementFromPoint(e.clientX,e.clientY),I=(t,e)=>t?.closest(`[data-${e}]`)?.getAttribute(`data-${e}`)??void 0;function ct(t,e){let{drag:r}=t;if(!r?.ghost)return t.drag=null;let o=X(t,e),n=I(o,"expert"),a=I(o,"slot");K(t),t.dropped=!0,setTimeout(()=>t.dropped=!1),n!==void 0&&N(t,r.token,Number(n),a===void 0?void 0:Number(a))}function K(t){t.drag?.ghost?.remove(),t.drag?.chosen.classList.remove("lifted");for(let e of t.root.querySelectorAll(".over"))e.classList.remove("over");t.drag=null}export{Z as default};
