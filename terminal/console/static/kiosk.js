// The kiosk's touch pages: draws the page its terminal shows, and tells what is touched on it.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const LOST = JSON.parse(body.dataset.lost);
const LOST_AFTER_MS = 6000; // three beats
const GONE_AFTER_MS = 1500;
const COUNT_FROM_S = 20; // only the last seconds before a page ends are counted aloud on the screen
let page = null; // what is drawn
let offered = ""; // the buttons that are drawn: a finger on one of them stays on it
let told = null; // what the terminal told last
let heard = ""; // what sounded last
let losing = null;
let counting = null;

function make(kind, text, attributes) {
  const one = document.createElement(kind);
  if (text) one.textContent = text;
  for (const [name, value] of Object.entries(attributes || {})) one.setAttribute(name, value);
  return one;
}

function note(said) {
  const box = make("p", "", { class: "note " + said.light });
  const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  icon.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#" + said.shape);
  icon.append(use);
  box.append(icon, make("span", said.title + (said.detail ? (page.language === "en" ? ". " : " ") + said.detail : "")));
  return box;
}

function button(one, of) {
  const made = make("button", one.label, { type: "button", "data-touch": one.touch, "data-of": one.of });
  if (one.lang) made.lang = one.lang;
  if (of) made.setAttribute("aria-label", one.label + " " + of);
  made.addEventListener("click", () => press(one));
  return made;
}

function row(one) {
  const item = make("li", "", { "data-id": one.id });
  const book = make("p", "", { class: "book" });
  book.append(make("span", one.title, { class: "name" }));
  if (one.due) book.append(make("span", one.due, { class: ("due " + one.held).trim() }));
  if (one.words) book.append(make("span", one.words));
  item.append(book);
  if (one.said) item.append(note(one.said));
  for (const each of one.buttons) item.append(button(each, one.title));
  return item;
}

function figure(one) {
  const box = make("div");
  box.append(make("dt", one.name), make("dd", one.value));
  return box;
}

function put(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = !text;
}

function fill(id, children) {
  byId(id).replaceChildren(...children);
  byId(id).hidden = !children.length;
}

function draw(now) {
  const focused = document.activeElement;
  const was = focused && focused.dataset.touch ? [focused.dataset.touch, focused.dataset.of] : null;
  const stays = page && page.kind === now.kind ? byId("rows").scrollTop : 0;
  page = now;
  document.documentElement.lang = page.language;
  body.dataset.kind = page.kind;
  body.dataset.number = page.number;
  body.dataset.reason = page.said ? page.said.reason : "";
  put("title", page.title);
  byId("shape").setAttribute("href", "#" + page.shape);
  byId("kind").toggleAttribute("hidden", !page.shape);
  put("offline", page.offline);
  put("empty", page.empty);
  fill("said", page.said ? [note(page.said)] : []);
  byId("said").hidden = false; // a live region has to be there before it speaks
  fill("figures", page.figures.map(figure));
  fill("rows", page.rows.map(row));
  if (JSON.stringify(page.buttons) !== offered) fill("buttons", page.buttons.map((one) => button(one)));
  offered = JSON.stringify(page.buttons);
  free();
  const rows = byId("rows");
  rows.scrollTop = page.kind === "account" ? stays : rows.scrollHeight; // elsewhere the newest stands last
  if (rows.scrollHeight > rows.clientHeight) rows.tabIndex = 0;
  else rows.removeAttribute("tabindex");
  count();
  if (was) {
    const again = [...document.querySelectorAll("button")].find((one) => one.dataset.touch === was[0] && one.dataset.of === was[1]);
    (again || byId("title")).focus();
  }
}

function sound() {
  const last = page.rows[page.rows.length - 1];
  const said = page.said || (last && last.said);
  const now = said ? said.reason + "/" + page.rows.length + "/" + page.kind + "/" + said.title + said.detail : "";
  if (said && now !== heard) {
    Sound.tone(said.tone);
    if (body.dataset.voices) Sound.say(page.language === "en" ? "en" : "zh", said.voice);
  }
  heard = now;
}

function count() {
  clearInterval(counting);
  const until = page.ends_ms === null ? null : performance.now() + page.ends_ms;
  const tick = () => {
    const left = until === null ? Infinity : Math.max(0, Math.ceil((until - performance.now()) / 1000));
    put("ends", left <= COUNT_FROM_S ? left + " " + page.ends : "");
  };
  tick();
  if (until !== null) counting = setInterval(tick, 500);
}

function free() {
  for (const each of document.querySelectorAll("button")) each.removeAttribute("aria-disabled");
}

async function press(one) {
  const made = { lane: body.dataset.lane, touch: one.touch, of: one.of, number: page.number };
  for (const each of document.querySelectorAll("button")) each.setAttribute("aria-disabled", "true");
  let counts = false;
  try {
    const answer = await fetch("/press", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Page-Token": body.dataset.token },
      body: JSON.stringify(made),
    });
    counts = answer.status === 204;
  } catch { counts = false; }
  if (!counts) free();
  else setTimeout(free, 3000); // the page changes long before; if it does not, nobody stays locked out
}

function alive(afterMs) {
  clearTimeout(losing);
  losing = setTimeout(() => draw(LOST), afterMs);
}

function listen() {
  const stream = new EventSource("/kiosk/events?lane=" + encodeURIComponent(body.dataset.lane));
  stream.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.boot !== body.dataset.boot) return location.reload();
    const first = told === null;
    told = now;
    draw(now);
    if (!first) sound();
    alive(LOST_AFTER_MS);
  });
  stream.addEventListener("beat", () => {
    if (page === LOST && told) draw(told);
    alive(LOST_AFTER_MS);
  });
  stream.onerror = () => {
    alive(GONE_AFTER_MS);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

alive(LOST_AFTER_MS);
listen();
