// Progressive enhancement only. Every action works without this file.
const $ = (s, r = document) => r.querySelector(s), $$ = (s, r = document) => [...r.querySelectorAll(s)];
const typing = (el) => el.closest?.("input,textarea,select,[contenteditable]");
const shortcuts = () => document.body.dataset.shortcuts !== "off";

function toast(text) {
  const t = $("#toast"); if (!t) return;
  t.textContent = text; t.showPopover?.(); clearTimeout(toast.timer);
  toast.timer = setTimeout(() => t.hidePopover?.(), 2500);
}

// --- dialogs: open modally, close on backdrop, give the focus back ------------------------------
let opener = null;

function show(dialog) {
  if (!dialog || dialog.matches(":modal")) return;
  if (!opener?.isConnected) opener = document.activeElement;
  dialog.removeAttribute("open"); dialog.showModal(); ready(dialog);
  if (!$("[autofocus]", dialog)) $(".dialog-body :is(input:not([type=hidden]),select,textarea)", dialog)?.focus();
}

// A dialog that came over a page closes back to it; one that is a page of its own leads to where its × leads.
function leave(dialog) {
  const out = dialog.matches("[data-autoshow]:not([data-over])") && $("a[data-close]", dialog);
  if (out) location.href = out.href; else dialog.close();
}

document.addEventListener("cancel", (e) => { if (e.target.matches("dialog[data-autoshow]:not([data-over])")) { e.preventDefault(); leave(e.target); } }, true);
document.addEventListener("close", (e) => {
  if (!e.target.matches("dialog") || e.target.open) return; // opened again before the event came
  if (e.target.id === "drawer") e.target.replaceChildren();
  if ("over" in e.target.dataset) e.target.remove();
  if ($("dialog:modal")) return;
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}, true);

// <a data-dialog>: its page holds a dialog; show that over this page. Anything else the server says gets a page.
// Of several asked for in haste only the last is shown.
let turn = 0;
async function dialogFrom(url) {
  const mine = ++turn;
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    const dialog = $("dialog[data-autoshow]", new DOMParser().parseFromString(await answer.text(), "text/html"));
    if (mine !== turn) return;
    if (!answer.ok || answer.redirected || !dialog) throw answer.status;
    $$("form:not([action])", dialog).forEach((f) => f.setAttribute("action", url));
    dialog.dataset.over = ""; $$("#dialogs dialog:modal").forEach((d) => d.close());
    $("#dialogs").replaceChildren(document.adoptNode(dialog)); window.htmx?.process(dialog); show(dialog);
  } catch { if (mine === turn) location.href = url; }
}

// htmx put something into the drawer or among the dialogs: show it over the page. A whole page instead of a
// part (signed out meanwhile, or an error) is no part: go there. The drawer shows what was asked for last, however
// late an earlier answer comes, and the second click of a double one asks for nothing.
let asked = null;
document.addEventListener("htmx:before:request", (e) => {
  const { ctx } = e.detail, drawer = ctx.target?.id === "drawer" && ctx.target;
  if (drawer && drawer.matches(":modal") && !drawer.contains(e.target)) { e.preventDefault(); return; }
  if (drawer) asked = ctx;
  opener = e.target.closest?.("a,button") || opener;
});
document.addEventListener("htmx:before:swap", (e) => {
  const { ctx } = e.detail, whole = /^\s*<!doctype/i.test(ctx.text || "");
  if (ctx.target?.id === "drawer" && ctx !== asked) { e.preventDefault(); return; }
  if (!whole || (ctx.select && new DOMParser().parseFromString(ctx.text, "text/html").querySelector(ctx.select))) return;
  e.preventDefault(); location.href = ctx.sourceElement?.href || ctx.request.action;
});
document.addEventListener("htmx:after:swap", (e) => {
  const target = e.detail?.ctx?.target;
  if (target?.id === "drawer" && target.children.length) show(target);
  if (target?.id === "dialogs") { const d = $("dialog", target); if (d) { d.dataset.over = ""; show(d); } }
  ready(document);
});

// --- clicks ---------------------------------------------------------------------------------
document.addEventListener("click", async (e) => {
  $$("details.menu[open]").forEach((d) => { if (!d.contains(e.target)) d.open = false; });
  if (e.target.matches("dialog:modal") && outside(e.target, e)) { leave(e.target); return; }
  const link = e.target.closest("a[data-dialog]");
  if (link && !(e.metaKey || e.ctrlKey || e.shiftKey || e.button)) {
    e.preventDefault(); const menu = link.closest("details.menu"); if (menu) menu.open = false;
    const pop = link.closest("[popover]"); pop?.hidePopover();
    opener = menu ? $("summary", menu) : pop ? $(`[popovertarget="${pop.id}"]`) : link; await dialogFrom(link.href); return;
  }
  const el = e.target.closest("[data-copy],[data-close],[data-open],[data-print],[data-fill],[data-theme-set],[data-dismiss],[data-add-row]");
  if (!el) return;
  const d = el.dataset;
  if (d.copy) await copy(d.copy);
  if ("close" in d && el.closest("dialog:modal")) { e.preventDefault(); leave(el.closest("dialog")); }
  if (d.open) { const menu = el.closest("details.menu"); if (menu) { menu.open = false; opener = $("summary", menu); } show($("#" + d.open)); }
  if ("print" in d) window.print();
  if (d.fill) { const f = $(d.fill); f.value = d.value; f.focus(); }
  if ("dismiss" in d) el.closest("[data-note]")?.remove();
  if ("addRow" in d) addRow(el);
  if ("themeSet" in d) { e.preventDefault(); setTheme(el); }
});

function outside(box, e) {
  const r = box.getBoundingClientRect();
  return e.clientX < r.left || e.clientX > r.right || e.clientY < r.top || e.clientY > r.bottom;
}

async function copy(text) {
  try { await navigator.clipboard.writeText(text); toast("Copied"); } catch { toast("Copying is blocked by the browser. Select the text instead."); }
}

function setTheme(button) {
  const theme = button.value, root = document.documentElement, tls = location.protocol === "https:";
  const name = tls ? "__Host-theme" : "theme", rest = `path=/;samesite=lax${tls ? ";secure" : ""}`;
  if (theme === "system") { delete root.dataset.theme; document.cookie = `${name}=;max-age=0;${rest}`; }
  else { root.dataset.theme = theme; document.cookie = `${name}=${theme};max-age=31536000;${rest}`; }
  $$("[data-theme-set]").forEach((b) => b.setAttribute("aria-pressed", b === button));
}

function addRow(button) {
  const rows = $$(".pair", button.parentElement), last = rows.at(-1), fresh = last.cloneNode(true);
  $$("input", fresh).forEach((i) => { i.value = ""; i.setAttribute("aria-label", i.getAttribute("aria-label").replace(/\d+/, rows.length + 1)); });
  last.after(fresh); $("input", fresh).focus();
  if (rows.length + 1 >= 50) button.hidden = true;
}

// --- forms: one submit, and a label that says so ----------------------------------------------
const busy = { Save: "Saving…", Create: "Creating…", Archive: "Archiving…", Restore: "Restoring…", Upload: "Uploading…", Confirm: "Working…", "Sign in": "Signing in…" };

document.addEventListener("submit", (e) => {
  if (e.target.method === "get" && e.target.closest("dialog[data-over]")) {
    e.preventDefault(); const url = new URL(e.target.action); url.search = new URLSearchParams(new FormData(e.target)); dialogFrom(url.href); return;
  }
  if ("tidy" in e.target.dataset) tidy(e.target);
  const form = e.target, button = e.submitter || $("button:not([type=button])", form);
  if (form.method !== "post" || e.defaultPrevented || !button || button.matches("[data-theme-set]")) return;
  if (form.dataset.sent) { e.preventDefault(); return; }
  form.dataset.sent = "1";
  const was = button.textContent.trim(), label = [...button.childNodes].find((n) => n.nodeType === 3 && n.textContent.trim());
  setTimeout(() => { // after the browser has read the button's own name and value
    button.setAttribute("aria-busy", "true");
    if (label) label.textContent = button.dataset.busy || busy[was] || busy[was.split(" ")[0]] || "Working…";
  });
  const reset = () => { delete form.dataset.sent; button.removeAttribute("aria-busy"); if (label) label.textContent = was; };
  window.addEventListener("pageshow", (p) => p.persisted && reset(), { once: true });
  form.addEventListener("htmx:finally:request", reset, { once: true });
});

// <form data-tidy>: empty fields stay out of the URL.
function tidy(form) {
  const empty = $$("input,select", form).filter((i) => !i.value && !i.disabled);
  empty.forEach((i) => { i.disabled = true; }); setTimeout(() => empty.forEach((i) => { i.disabled = false; }));
}
document.addEventListener("htmx:config:request", (e) => {
  const { request } = e.detail.ctx;
  if (request.form && "tidy" in request.form.dataset && request.body?.entries) [...request.body].forEach(([k, v]) => { if (!v) request.body.delete(k); });
});

// --- what new content needs: our own words at wrong fields (the server's), a sign that follows the currency ------
function ready(root) {
  $$("form[method=post]", root).forEach((f) => { f.noValidate = true; });
  $$("[data-money] select", root).forEach(setSign);
}
function setSign(select) { const pre = $(".pre", select.parentElement); if (pre) pre.textContent = select.selectedOptions[0]?.dataset.sign || ""; }
document.addEventListener("change", (e) => { if (e.target.matches("[data-money] select")) setSign(e.target); });
ready(document);

// --- keyboard -------------------------------------------------------------------------------
let prefix = 0;
document.addEventListener("keydown", (e) => {
  if ((e.metaKey || e.ctrlKey) && !e.shiftKey && !e.altKey && e.key.toLowerCase() === "k") {
    const palette = $("#palette"); if (!palette) return;
    e.preventDefault(); palette.open ? palette.close() : show(palette); return;
  }
  if (e.key === "Escape") { const d = $$("details.menu[open]").at(-1); if (d) { e.preventDefault(); d.open = false; $("summary", d).focus(); } return; }
  if (!e.defaultPrevented && walkMenu(e)) return;
  if (e.metaKey || e.ctrlKey || e.altKey || e.isComposing || typing(e.target) || $("dialog[open]") || !shortcuts()) return;
  if (e.key === "/") { const s = $("[data-hotkey='/']"); if (s) { e.preventDefault(); s.focus(); s.select(); } return; }
  if (e.key === "g") { prefix = Date.now(); return; }
  if (Date.now() - prefix < 900) { prefix = 0; const to = $(`[data-go="${CSS.escape(e.key)}"]`); if (to) { e.preventDefault(); location.href = to.href; } return; }
  if (e.key === "j" || e.key === "k") {
    const links = $$("a.row-link"); if (!links.length) return;
    const i = links.indexOf(document.activeElement.closest("tr")?.querySelector("a.row-link"));
    links[Math.max(0, Math.min(links.length - 1, i + (e.key === "j" ? 1 : -1)))].focus();
  }
});

// Arrow keys in a menu of links and buttons: down opens it, up and down go round, Home and End go to its ends. A menu
// that holds fields keeps the keys for them. One that the focus leaves is closed.
function walkMenu(e) {
  const menu = e.target.closest?.("details.menu"), panel = menu && $(".menu-panel", menu);
  if (!panel || e.metaKey || e.ctrlKey || e.altKey || e.shiftKey || !/^(Arrow(Up|Down)|Home|End)$/.test(e.key)) return false;
  if ($("input:not([type=hidden]),select,textarea", panel) || (!menu.open && !e.key.startsWith("Arrow"))) return false;
  e.preventDefault(); menu.open = true;
  const items = $$("a[href],button", panel).filter((i) => i.checkVisibility()), i = items.indexOf(e.target);
  const to = { ArrowDown: (i + 1) % items.length, ArrowUp: i < 1 ? items.length - 1 : i - 1, Home: 0, End: items.length - 1 }[e.key];
  items[to]?.focus();
  return true;
}
document.addEventListener("toggle", (e) => { // a menu that would stick out at the right hangs from its button's other edge
  const panel = e.target.matches?.("details.menu-start[open]") && $(".menu-panel", e.target);
  if (panel && panel.getBoundingClientRect().right > innerWidth) e.target.classList.remove("menu-start");
}, true);
document.addEventListener("focusout", (e) => {
  const menu = e.relatedTarget && e.target.closest?.("details.menu[open]");
  if (menu && !menu.contains(e.relatedTarget)) menu.open = false;
});

// --- palette: the focus stays in the box, the choice is told by aria-activedescendant -------------
const box = $("[data-palette]");
if (box) {
  const options = $$("#palette-list [role=option]"), search = $("[data-search]");
  const shown = () => options.filter((o) => !o.hidden);
  const choose = (o) => {
    options.forEach((x) => x.setAttribute("aria-selected", x === o));
    if (o) { box.setAttribute("aria-activedescendant", o.id); o.scrollIntoView({ block: "nearest" }); } else box.removeAttribute("aria-activedescendant");
  };
  const filter = () => {
    const text = box.value.trim(), words = text.toLowerCase().split(/\s+/);
    options.forEach((o) => { if (o !== search) o.hidden = !words.every((w) => o.textContent.toLowerCase().includes(w)); });
    $$("#palette-list [role=group]").forEach((g) => { g.hidden = !$("[role=option]:not([hidden])", g); });
    search.hidden = !text; $("b", search).textContent = text;
    search.href = `${box.form.getAttribute("action")}?q=${encodeURIComponent(text)}`;
    choose(shown()[0]);
  };
  box.addEventListener("input", filter);
  box.addEventListener("keydown", (e) => {
    const list = shown(), i = list.findIndex((o) => o.getAttribute("aria-selected") === "true");
    const to = { ArrowDown: list[(i + 1) % list.length], ArrowUp: list[(i - 1 + list.length) % list.length], Home: !box.value && list[0], End: !box.value && list.at(-1) }[e.key];
    if (to) { e.preventDefault(); choose(to); }
  });
  box.form.addEventListener("submit", (e) => {
    const chosen = $("#palette-list [aria-selected=true]:not([hidden])");
    if (chosen) { e.preventDefault(); location.href = chosen.href; }
  });
  $("#palette").addEventListener("close", () => { box.value = ""; filter(); });
  filter();
}

// The server sent the dialog open; make it modal.
$$("dialog[data-autoshow]").forEach(show);

// A page that only asks a question sends its form itself; without this file its button does.
const sendNow = $("form[data-send-now]");
if (sendNow) sendNow.requestSubmit();
