// The panel of whoever works here: every form is a command, its words in the order they stand in; the sheet says what
// may be chosen and what is shown.
"use strict";

const body = document.body;
const byId = (id) => document.getElementById(id);
const LOST_AFTER_MS = 6000; // three beats
// How the words of an answer are called; what is not named here is told by its own name.
const CALLED = {
  total: "合计 total", free: "免费 free", voided: "撤销 voided", opened: "闸门 gate", persons: "人数 persons", taps: "乘次 rides",
  amounts: "金额 amounts", amount: "金额 amount", currency: "币种 currency",
  lane: "通道 lane", line: "线路 line", stop: "站 stop", direction: "方向 direction", vehicle: "车辆 vehicle",
  key: "票价键 key", who: "工号 number", emergency: "紧急 emergency", "hold out": "请出示 hold out", within_s: "秒内 within seconds",
};
let sheet = null;
let losing = null;

function fill(select, names) {
  const kept = select.value;
  if ([...select.options].map((one) => one.value).join("\n") === names.join("\n")) return;
  select.replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(kept)) select.value = kept;
}

function keys() {
  const made = sheet.keys.map((name) => {
    const one = document.createElement("button");
    one.textContent = one.value = name;
    one.setAttribute("aria-pressed", String(name === sheet.key));
    return one;
  });
  const focused = document.activeElement && document.activeElement.closest("#keys") ? document.activeElement.value : null;
  byId("keys").replaceChildren(...made);
  const again = made.find((one) => one.value === focused);
  if (again) again.focus();
}

function draw() {
  const states = {
    drives: sheet.lines.length > 0, signed: sheet.who !== "", unsigned: sheet.who === "", keys: sheet.keys.length > 0,
    lanes: sheet.lanes.length > 0, activates: sheet.activates, emergency: sheet.emergency, calm: !sheet.emergency,
  };
  for (const one of document.querySelectorAll("[data-when]")) one.hidden = !states[one.dataset.when];
  for (const one of document.querySelectorAll("[data-fill]")) fill(one, sheet[one.dataset.fill]);
  const way = sheet.direction === "down" ? "下行 down" : "上行 up";
  const parts = [sheet.vehicle, sheet.line && "线路 line " + sheet.line, sheet.line && way, sheet.stop, sheet.who && "工号 " + sheet.who];
  const told = parts.filter(Boolean).join(" · ");
  if (told) byId("place").textContent = told;
  keys();
  const last = sheet.last;
  byId("last").dataset.granted = last ? String(last.granted) : "";
  if (!last) {
    byId("words").textContent = "—";
    byId("class").textContent = "";
    return;
  }
  byId("words").textContent = last.zh + " · " + last.en;
  const at = new Date(last.at_ms).toLocaleTimeString("en-GB");
  const persons = last.persons > 1 ? last.persons + " 人 persons" : "";
  byId("class").textContent = [at, last.lane, last.product, last.charge_zh, last.charge_en, persons].filter(Boolean).join(" · ");
}

function say(text, ok) {
  byId("answer").textContent = text;
  byId("answer").classList.toggle("no", !ok);
}

function told(answer) {
  const value = (one) => (one && typeof one === "object" ? Object.entries(one).map(([name, each]) => name + " " + each).join(", ") : String(one));
  return Object.entries(answer).filter(([name, one]) => name in CALLED && one !== "").map(([name, one]) => CALLED[name] + ": " + value(one)).join(" · ");
}

async function ask(form, pressed) {
  const words = [...form.querySelectorAll("[data-word]")].map((one) => one.value);
  if (pressed && pressed.value) words.push(pressed.value);
  const who = sheet && sheet.who ? sheet.who : byId("who").value.trim();
  if (!who) {
    say("请先输入工号 enter your number first", false);
    byId("who").focus();
    return;
  }
  if (pressed) pressed.setAttribute("aria-disabled", "true");
  try {
    const answer = await fetch("/ask", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Page-Token": body.dataset.token },
      body: JSON.stringify({ who, do: form.dataset.do, words }),
    });
    if (!answer.ok) throw new Error(answer.status);
    const found = await answer.json();
    if (found.ok) say("好 done · " + told(found.answer), true);
    else say("未完成 not done: " + found.what + " (" + found.hint + ")", false);
  } catch {
    say("终端无应答，未确认 the terminal does not answer: look before you try again", false);
  } finally {
    if (pressed) pressed.removeAttribute("aria-disabled");
  }
}

function alive() {
  clearTimeout(losing);
  byId("lost").hidden = true;
  losing = setTimeout(() => { byId("lost").hidden = false; }, LOST_AFTER_MS);
}

function listen() {
  const stream = new EventSource("/panel/events");
  stream.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (now.boot !== body.dataset.boot) return location.reload();
    sheet = now;
    draw();
    alive();
  });
  stream.addEventListener("beat", alive);
  stream.onerror = () => { if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 2000); };
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const pressed = event.submitter;
  if (!pressed || pressed.getAttribute("aria-disabled") !== "true") ask(event.target, pressed);
});
alive();
listen();
