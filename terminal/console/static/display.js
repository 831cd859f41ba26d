// The passenger's display: draws the newest state its terminal tells, and says so when it hears nothing any more.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const LOST = JSON.parse(body.dataset.lost);
const LOST_AFTER_MS = 6000; // three beats
const GONE_AFTER_MS = 1500; // the line is closed: a restart is quicker than a person's doubt
const LANGUAGES = ["both", "zh", "en"];
let language = body.dataset.language;
let told = -1; // the number of the picture told last
let state = null;
let resting = null; // the timer that ends a picture
let losing = null; // the timer that gives up

function fill(block, words, lang) {
  block.lang = lang;
  block.children[0].textContent = words.title + (block.id === "second" && words.detail ? ". " : "");
  block.children[1].textContent = words.detail;
}

function draw(picture) {
  const first = language === "en" ? "en" : "zh";
  body.className = picture.light;
  body.dataset.reason = picture.reason;
  byId("shape").setAttribute("href", "#" + picture.shape);
  fill(byId("first"), picture[first], first === "zh" ? "zh-CN" : "en");
  const second = byId("second");
  second.hidden = language !== "both";
  if (!second.hidden) fill(second, picture.en, "en");
  const hints = picture[first].hints || [];
  byId("hints").replaceChildren(...hints.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.lang = byId("first").lang;
    return item;
  }));
  byId("hints").hidden = !hints.length;
  byId("proof").textContent = picture.proof || "";
  byId("proof").hidden = !picture.proof;
  fit();
}

// Words are as large as fits: what does not fit is drawn smaller in two steps, never below what is read at two metres;
// then hints are left out.
function fit() {
  const hints = byId("hints");
  for (const item of hints.children) item.hidden = false;
  for (const tight of ["0", "1", "2"]) {
    body.dataset.tight = tight;
    if (fits()) return;
  }
  for (const item of [...hints.children].reverse()) {
    item.hidden = true;
    if (fits()) return;
  }
}

function fits() {
  const screen = byId("screen");
  const room = screen.clientHeight - 2 * parseFloat(getComputedStyle(screen).paddingTop);
  return screen.scrollHeight <= window.innerHeight && byId("words").scrollHeight <= room;
}

function show() {
  clearTimeout(resting);
  if (!state.shown || !state.left_ms) return draw(state.rest);
  draw(state.shown);
  resting = setTimeout(() => { state.left_ms = 0; draw(state.rest); }, state.left_ms);
  if (state.number !== told) {
    Sound.tone(state.shown.tone);
    if (body.dataset.voices) Sound.say(language === "en" ? "en" : "zh", state.shown.reason);
  }
}

function alive(afterMs) {
  clearTimeout(losing);
  losing = setTimeout(() => { clearTimeout(resting); draw(LOST); }, afterMs);
}

function listen() {
  const stream = new EventSource("/events?lane=" + encodeURIComponent(body.dataset.lane));
  stream.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.boot !== body.dataset.boot) return location.reload();
    const first = state === null;
    state = now;
    if (first) told = now.number; // what was told before this page was opened makes no sound
    show();
    told = now.number;
    alive(LOST_AFTER_MS);
  });
  stream.addEventListener("beat", () => {
    if (body.dataset.reason === LOST.reason && state) show();
    alive(LOST_AFTER_MS);
  });
  stream.onerror = () => {
    alive(GONE_AFTER_MS);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  };
}

document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "l" || event.ctrlKey || event.altKey || event.metaKey) return;
  language = LANGUAGES[(LANGUAGES.indexOf(language) + 1) % LANGUAGES.length];
  document.documentElement.lang = language === "en" ? "en" : "zh-CN";
  if (state) show();
});
window.addEventListener("resize", () => fit());
alive(LOST_AFTER_MS);
listen();
