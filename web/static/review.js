// The review page: keys and buttons, the image, the panel, and what is told about saving.

import { call, picture } from "./review/api.js";
import { ActiveClock } from "./review/clock.js";
import { element, Panel } from "./review/panel.js";
import { ReviewSession } from "./review/session.js";
import { Viewer } from "./review/viewer.js";
import { time } from "./review/words.js";

const $ = (id) => document.getElementById(id);
const clock = new ActiveClock();
const panel = new Panel(keepDraft);
const viewer = new Viewer($("image"), sayView);
const pictures = new Map(); // task and uri to the promise of a picture
let isSeen = false; // the image of the task
let hasSaved = false;
let counts = { run_id: null, decided: 0, open: 0 };

const session = new ReviewSession($("review").dataset.reviewer, {
  task: showTask,
  state: sayState,
  lost: () => say("You no longer have this task in hand: somebody else may have taken it, or it was closed. What you wrote is kept.", true),
  elsewhere: () => say("You have decided about this task in another tab."),
  saved: (entry, answer) => {
    hasSaved = true;
    const change = { decide: 1, undo: -1 }[entry.kind] ?? 0;
    if (entry.run_id === counts.run_id && answer.is_new) count(counts.decided + change, counts.open - change);
  },
});

const doing = {
  accept, edit: () => panel.edit(), reject, skip, undo, help: () => $("help").showModal(),
  pan: () => drag("pan"), window: () => drag("window"),
  larger: () => viewer.zoomBy(1), smaller: () => viewer.zoomBy(-1),
  invert: () => viewer.invert(), reset: () => viewer.reset(), back: () => session.task && showOwn(session.task),
  left: () => viewer.pan(-1, 0), right: () => viewer.pan(1, 0), up: () => viewer.pan(0, -1), down: () => viewer.pan(0, 1),
  narrower: () => viewer.windowBy(-1, 0), wider: () => viewer.windowBy(1, 0),
  lower: () => viewer.windowBy(0, -1), higher: () => viewer.windowBy(0, 1),
};
// Key, what it does, what the page says it does; a decision is made once, however long its key is held.
const KEYS = [
  ["a", "accept", "accept, or save what you chose", "once"], ["e", "edit", "edit"], ["r", "reject", "reject, with a reason", "once"],
  ["1 – 9", "", "choose an answer; then A or Enter"],
  ["z", "undo", "undo the last decision", "once"], ["s", "skip", "skip: it comes back at the end", "once"],
  ["+", "larger", "zoom in"], ["-", "smaller", "zoom out"], ["0", "reset", "the image as it was"], ["i", "invert", "invert"],
  ["w", "narrower", "narrower window"], ["W", "wider", "wider window"], ["l", "lower", "lower level"], ["L", "higher", "higher level"],
  ["ArrowLeft", "left", "look to the left"], ["ArrowRight", "right", "look to the right"],
  ["ArrowUp", "up", "look up"], ["ArrowDown", "down", "look down"],
  ["Escape", "back", "back to the image of the task"], ["?", "help", "all keys", "once"],
];

function showTask(task) {
  isSeen = false;
  viewer.clear();
  $("compare").hidden = true;
  if (!task) {
    panel.clear("");
    clock.restart();
    return;
  }
  const draft = session.outbox.draft(task);
  clock.restart(draft?.seconds ?? 0);
  panel.show(task, draft);
  $("run").textContent = `run ${task.run_id} · round ${task.round}`;
  showOwn(task);
  showNeighbours(task);
  if (task.run_id !== counts.run_id) askCounts(task.run_id);
}

async function showOwn(task) {
  $("comparing").hidden = true;
  await showImage(task, task.image_uri, () => {
    isSeen = true;
    $("image").dataset.of = `${task.task_id}/${task.revision}`;
    preload();
  });
}

async function showImage(task, uri, then) {
  $("no-image").hidden = true;
  $("image").dataset.of = "";
  try {
    const bitmap = await load(task, uri);
    if (session.task !== task) return;
    viewer.show(bitmap);
    const what = `${task.modality || "modality not known"} · ${bitmap.width} × ${bitmap.height} · 8 bit`;
    $("facts").textContent = what;
    $("image").setAttribute("aria-label", `Image: ${what}`);
    then();
  } catch (error) {
    if (session.task !== task) return;
    $("no-image").hidden = false;
    $("no-image").textContent = `The image cannot be shown. ${error.message} Reject or skip the task, or reload the page.`;
  }
}

function load(task, uri) {
  const key = `${task.task_id} ${uri}`;
  if (!pictures.has(key)) {
    pictures.set(key, picture(task.task_id, uri).catch((error) => {
      pictures.delete(key);
      throw error;
    }));
  }
  return pictures.get(key);
}

// Have the images of the next tasks here, and let go of those that are done with.
async function preload() {
  const tasks = [session.task, ...session.next].filter(Boolean);
  const wanted = new Set(tasks.map((task) => `${task.task_id} ${task.image_uri}`));
  for (const [key, found] of pictures) {
    if (!wanted.has(key)) {
      pictures.delete(key);
      found.then((bitmap) => bitmap.close(), () => {});
    }
  }
  const loaded = await Promise.allSettled(session.next.map((task) => load(task, task.image_uri)));
  const isReady = loaded[0]?.status === "fulfilled";
  $("ahead").textContent = isReady ? "next is loaded" : session.next.length ? "" : "this is the last one";
}

function showNeighbours(task) {
  for (const strip of document.querySelectorAll("[data-strip]")) {
    const uris = task[strip.dataset.strip];
    const words = strip.querySelector("h2").innerText.replace("\n", " ");
    strip.hidden = !uris.length;
    strip.querySelector(".thumbs").replaceChildren(...uris.map((uri, at) => thumb(task, uri, words, at)));
    if (uris.length) $("compare").hidden = false;
  }
}

function thumb(task, uri, words, at) {
  const button = element("button");
  button.type = "button";
  const image = new Image();
  image.src = `/api/review/tasks/${task.task_id}/images/${uri.replace("sha256:", "")}`;
  image.alt = `${words}, ${at + 1}`;
  button.append(image);
  button.addEventListener("click", () => showImage(task, uri, () => {
    $("comparing").hidden = false;
    $("comparing").textContent = `${words} — Escape brings yours back`;
  }));
  return button;
}

function accept() {
  const { verdict } = panel;
  if (!verdict) return panel.edit();
  if (!isSeen) return say("The image has not been shown yet.");
  decide({ ...verdict, reason: "" }, verdict.told);
}

async function reject() {
  $("reason").value = "";
  $("rejecting").returnValue = "";
  $("rejecting").showModal();
}

$("rejecting").addEventListener("close", () => {
  const reason = $("reason").value.trim();
  if ($("rejecting").returnValue === "reject" && reason && session.task) decide({ action: "reject", answer: "", reason }, `rejected: ${reason}`);
});
for (const button of document.querySelectorAll("[data-reason]")) {
  button.addEventListener("click", () => {
    $("reason").value = button.textContent;
    $("reason").focus();
  });
}

function decide(verdict, told) {
  const label = `“${session.task.question}” — ${told}`;
  say("");
  session.decide({ ...verdict, seconds: clock.seconds }, label.slice(0, 300)).then(preload);
}

function skip() {
  keepDraft();
  say("");
  session.skip().then(preload);
}

function undo() {
  if (session.task) keepDraft();
  say(session.undo() ? "" : "There is no decision that you could take back.");
}

function drag(mode) {
  viewer.mode = mode;
  for (const one of ["pan", "window"]) document.querySelector(`[data-do=${one}]`).setAttribute("aria-pressed", one === mode);
}

function keepDraft() {
  const { task } = session;
  const { choice, text } = panel.draft;
  if (task) session.outbox.keepDraft(task, { choice, text, seconds: clock.seconds });
}

function sayView() {
  if (!viewer.size) {
    $("facts").textContent = $("view").textContent = "";
    return;
  }
  const reduced = viewer.shrunk < 1 ? ` · too large: shown at ${Math.round(viewer.shrunk * 100)} % of its pixels` : "";
  $("view").textContent = `window ${Math.round(viewer.window ?? 255)} level ${Math.round(viewer.level ?? 128)} of 256 · zoom ${Math.round(viewer.zoom * 100)} %${reduced}`;
  document.querySelector("[data-do=invert]").setAttribute("aria-pressed", viewer.isInverted);
}

async function askCounts(run_id) {
  counts.run_id = run_id;
  const answer = await call("GET", `/api/review/counts?run_id=${encodeURIComponent(run_id)}`);
  if (answer.kind === "done" && counts.run_id === run_id) count(answer.body.decided, answer.body.open);
  else counts.run_id = null;
}

function count(decided, open) {
  Object.assign(counts, { decided, open });
  $("progress").max = Math.max(decided + open, 1);
  $("progress").value = decided;
  $("place").textContent = open ? `${decided + 1} of ${decided + open}` : `${decided} of ${decided}`;
}

// One line about saving; the server has a decision when it says so.
function sayState() {
  const { outbox } = session;
  const n = outbox.waiting.length;
  const waits = n ? `${n} wait${n === 1 ? "s" : ""} in this browser` : "";
  const [text, role] = outbox.state === "login" ? [`logged out${n ? `: ${waits}` : ""}`, "attention"]
    : outbox.state === "away" ? [`offline${n ? `: ${waits}` : ""}`, "attention"]
    : n ? ["saving …", ""] : hasSaved ? ["saved", "good"] : ["connected", ""];
  if ($("saved").textContent !== text) $("saved").textContent = text;
  $("saved").className = `badge ${role}`;
  if (!session.task) panel.clear(idleText());
  showNotices();
}

function idleText() {
  if (session.problem) return session.problem;
  if (session.outbox.state !== "here") return "No further task can be had now.";
  return session.isEmpty ? "Nothing waits for you. This page looks again every minute or two." : "Asking for the next task …";
}

let said = "";
let isWarning = false;
function say(text, warns = false) {
  [said, isWarning] = [text, warns];
  showNotices();
}

// What went wrong and stays until somebody has read it.
function showNotices() {
  const { outbox } = session;
  const made = [];
  if (said) made.push(notice(said, isWarning ? "weak" : "", [["All right", () => say("")]]));
  if (outbox.state === "login") {
    const kept = notice("Your login has ended. Nothing is lost: what you decided and wrote is kept in this browser. ", "", []);
    const link = element("a", "Log in and go on");
    link.href = "/login?next=/review";
    kept.firstChild.append(link);
    made.push(kept);
  }
  for (const entry of outbox.refused) {
    const text = `Not saved: ${entry.label}. ${entry.problem.detail} ${entry.problem.remedy ?? ""}`;
    made.push(notice(text, "weak", [["Send again", () => {
      outbox.again(entry);
      session.sync();
    }], ["Discard", () => outbox.discard(entry)]]));
  }
  if (outbox.ofOthers) made.push(notice(`${outbox.ofOthers} decisions of somebody else wait in this browser until they log in.`, "", []));
  const texts = (nodes) => [...nodes].map((one) => one.textContent).join("\n");
  if (texts(made) !== texts($("notices").children)) $("notices").replaceChildren(...made);
}

function notice(text, role, actions) {
  const box = element("div", "", `notice ${role}`);
  const row = element("p", "", "row");
  for (const [name, act] of actions) {
    const button = element("button", name);
    button.type = "button";
    button.addEventListener("click", act);
    row.append(button);
  }
  box.append(element("p", text), ...(actions.length ? [row] : []));
  return box;
}

function perform(name) {
  const isAboutTask = ["accept", "edit", "reject", "skip"].includes(name);
  if (isAboutTask && !session.task) return;
  doing[name]();
}

$("task").addEventListener("submit", (event) => {
  event.preventDefault();
  perform("accept");
});
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name) perform(name);
});
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.matches("textarea, input:not([type=radio])");
  if (isTyping) {
    if (event.target.id === "text" && event.key === "Escape") event.target.blur();
    if (event.target.id === "text" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) perform("accept");
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (/^[1-9]$/.test(event.key)) {
    if (session.task) panel.chooseAt(Number(event.key) - 1);
    keepDraft();
    return;
  }
  const isInRadios = event.target.matches("input[type=radio]") && event.key.startsWith("Arrow");
  const found = KEYS.find(([key]) => key === event.key) ?? KEYS.find(([key]) => key === event.key.toLowerCase() && !"wl".includes(key));
  if (!found || isInRadios || (found[3] && event.repeat)) return;
  event.preventDefault();
  perform(found[1]);
});
document.addEventListener("visibilitychange", () => document.hidden && keepDraft());
addEventListener("pagehide", keepDraft);
setInterval(() => ($("seconds").textContent = time(clock.seconds)), 1000);
$("keys").replaceChildren(...KEYS.flatMap(([key, , text]) => {
  const term = element("dt");
  term.append(element("kbd", key.length === 1 && key !== "W" && key !== "L" && !"wl".includes(key) ? key.toUpperCase() : { W: "Shift W", L: "Shift L", w: "W", l: "L" }[key] ?? key));
  return [term, element("dd", text)];
}));
clock.restart();
session.sync().then(preload);
