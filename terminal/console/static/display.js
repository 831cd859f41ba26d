// The passenger's display: draws the newest state its terminal tells, and says so when it hears nothing any more.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const LOST = JSON.parse(body.dataset.lost);
const LOST_AFTER_MS = 6000; // three beats
const GONE_AFTER_MS = 1500; // the line is closed: a restart is quicker than a person's doubt
const LANGUAGES = ["both", "zh", "en"];
const WORDS = new Intl.Segmenter("zh", { granularity: "word" });
let language = body.dataset.language;
let state = null; // what the terminal told last
let until = 0; // when the picture of it is over
let lost = false; // nothing is heard of the terminal
let resting = null; // the timer that ends a picture
let losing = null; // the timer that gives up

function draw(picture) {
  const first = language === "en" ? "en" : "zh";
  body.className = picture.light;
  body.dataset.reason = picture.reason;
  byId("shape").setAttribute("href", "#" + picture.shape);
  const line = byId("first");
  line.lang = first === "zh" ? "zh-CN" : "en";
  put(line.children[0], picture[first].title);
  put(line.children[1], picture[first].detail);
  byId("second").hidden = language !== "both";
  byId("second").textContent = picture.en.title + (picture.en.detail ? ". " + picture.en.detail : "");
  // Two hints in one language, or the likelier one in both.
  const hints = (picture[first].hints || []).slice(0, language === "both" ? 1 : 2);
  byId("hints").replaceChildren(...hints.map((_, number) => hint(picture, number)));
  byId("hints").hidden = !hints.length;
  byId("proof").textContent = picture.proof || "";
  byId("proof").hidden = !picture.proof;
  fit();
}

// A line of Chinese ends between words only; a figure stays with what it counts.
function put(element, text) {
  const pieces = [];
  for (const { segment } of WORDS.segment(text)) {
    const before = pieces[pieces.length - 1] || "";
    if (/\p{Script=Han}$/u.test(before)) pieces.push(document.createElement("wbr"));
    pieces.push(segment);
  }
  element.replaceChildren(...pieces);
}

function hint(picture, number) {
  const item = document.createElement("li");
  for (const told of language === "both" ? ["zh", "en"] : [language]) {
    const words = document.createElement("span");
    put(words, picture[told].hints[number]);
    words.lang = told === "zh" ? "zh-CN" : "en";
    item.append(words, " ");
  }
  return item;
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
  const boxes = [byId("icon"), ...byId("words").children].map((one) => one.getBoundingClientRect());
  return boxes.every((box) => box.top >= 0 && box.bottom <= window.innerHeight && box.right <= window.innerWidth);
}

function show() {
  clearTimeout(resting);
  const left = until - performance.now();
  if (!state.shown || left <= 0) return draw(state.rest);
  draw(state.shown);
  resting = setTimeout(() => draw(state.rest), left);
}

function sound() {
  Sound.tone(state.shown.tone);
  if (body.dataset.voices) Sound.say(language === "en" ? "en" : "zh", state.shown.voice);
}

function alive(afterMs) {
  lost = false;
  clearTimeout(losing);
  losing = setTimeout(() => { lost = true; clearTimeout(resting); draw(LOST); }, afterMs);
}

function listen() {
  const stream = new EventSource("/events?lane=" + encodeURIComponent(body.dataset.lane));
  stream.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.boot !== body.dataset.boot) return location.reload();
    const fresh = state !== null && now.number !== state.number; // what was told before this page was opened is silent
    state = now;
    until = performance.now() + now.left_ms;
    show();
    if (fresh) sound();
    alive(LOST_AFTER_MS);
  });
  stream.addEventListener("beat", () => {
    if (lost && state) show();
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
