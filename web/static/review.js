// The review page: what each button and key does, and how image, panel and the reviewer's work hang together.

import { call } from "./review/api.js";
import { ActiveClock } from "./review/clock.js";
import { TaskImage } from "./review/image.js";
import { listen } from "./review/keys.js";
import { showLast } from "./review/last.js";
import { Panel } from "./review/panel.js";
import { ReviewSession } from "./review/session.js";
import { Telling } from "./review/telling.js";
import { time } from "./review/words.js";

const $ = (id) => document.getElementById(id);
const counts = { run_id: null, decided: 0, open: 0 };
const clock = new ActiveClock();
const panel = new Panel(keepDraft);
const image = new TaskImage();
const { viewer } = image;
const session = new ReviewSession($("review").dataset.reviewer, { task: showTask, state: showState, lost, elsewhere, saved, last });
const telling = new Telling($("saved"), $("notices"), session);

const doing = {
  accept, edit: () => panel.edit(), reject, skip, undo, help: () => $("help").showModal(), back: () => image.back(),
  pan: () => drag("pan"), window: () => drag("window"), invert: () => viewer.invert(), reset: () => viewer.reset(),
  larger: () => viewer.zoomBy(1), smaller: () => viewer.zoomBy(-1),
  left: () => viewer.pan(-1, 0), right: () => viewer.pan(1, 0), up: () => viewer.pan(0, -1), down: () => viewer.pan(0, 1),
  narrower: () => viewer.windowBy(-1, 0), wider: () => viewer.windowBy(1, 0),
  preset: () => viewer.nextPreset(), lower: () => viewer.windowBy(0, -1), higher: () => viewer.windowBy(0, 1),
};
const ABOUT_A_TASK = new Set(["accept", "edit", "reject", "skip"]);

function perform(name) {
  if (session.task || !ABOUT_A_TASK.has(name)) doing[name]();
}

function showTask(task) {
  image.show(task, () => session.next);
  if ($("rejecting").open) $("rejecting").close(""); // it was about the one before
  const draft = task && session.outbox.draft(task);
  clock.restart(draft?.seconds ?? 0);
  if (!task) return panel.clear("");
  panel.show(task, draft);
  $("run").textContent = `run ${task.run_id} · round ${task.round}`;
  if (task.run_id !== counts.run_id) askCounts(task.run_id);
}

function showState() {
  if (!session.task) panel.clear(idleText());
  if (session.outbox.state === "here") image.again();
  telling.show();
}

function idleText() {
  if (session.problem) return session.problem;
  if (session.outbox.state !== "here") return "No further task can be had now.";
  return session.isEmpty ? "Nothing waits for you. This page looks again every minute or two." : "Asking for the next task …";
}

function lost() {
  telling.say("You no longer have this task in hand: somebody else took it, or it was closed. What you wrote is kept.", "weak");
}

function elsewhere() {
  telling.say("You have decided about the task before this one in another tab.");
}

function last(task) {
  showLast($("last"), task);
}

function saved(entry, answer) {
  if (entry.kind !== "release") last(answer.task);
  const change = { decide: 1, undo: -1 }[entry.kind] ?? 0;
  if (entry.run_id === counts.run_id && answer.is_new) count(counts.decided + change, counts.open - change);
}

function accept() {
  const { verdict } = panel;
  if (!verdict) return panel.edit();
  if (!image.isSeen) return telling.say("The image has not been shown yet.");
  decide({ ...verdict, reason: "" }, verdict.told);
}

function reject() {
  $("reason").value = "";
  $("rejecting").returnValue = "";
  $("rejecting").showModal();
}

function decide(verdict, told) {
  telling.say("");
  const label = `“${session.task.question}” — ${told}`.slice(0, 300);
  kept(() => session.decide({ ...verdict, seconds: clock.seconds }, label).then(preload));
}

function skip() {
  keepDraft();
  telling.say("");
  kept(() => session.skip().then(preload));
}

function undo() {
  keepDraft();
  telling.say(session.undo() ? "" : "There is no decision that you could take back.");
}

function preload() {
  if (image.isSeen) image.preload(session.next);
}

function drag(mode) {
  viewer.mode = mode;
  for (const one of ["pan", "window"]) document.querySelector(`[data-do=${one}]`).setAttribute("aria-pressed", one === mode);
}

function keepDraft() {
  const { task } = session;
  if (task) kept(() => session.outbox.keepDraft(task, { ...panel.draft, seconds: clock.seconds }));
}

// What cannot be kept in this browser is not done at all.
function kept(act) {
  try {
    act();
  } catch (error) {
    telling.say(`This browser can keep nothing (${error.name}): nothing was saved. Free its storage, or use another one.`, "weak");
  }
}

async function askCounts(run_id) {
  counts.run_id = run_id;
  const answer = await call("GET", `/api/review/counts?run_id=${encodeURIComponent(run_id)}`);
  if (counts.run_id !== run_id) return;
  if (answer.kind === "done") count(answer.body.decided, answer.body.open);
  else counts.run_id = null;
}

function count(decided, open) {
  Object.assign(counts, { decided, open });
  $("progress").max = Math.max(decided + open, 1);
  $("progress").value = decided;
  $("place").textContent = `${Math.min(decided + 1, decided + open)} of ${decided + open}`;
}

$("task").addEventListener("submit", (event) => {
  event.preventDefault();
  perform("accept");
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.target.blur();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.repeat) perform("accept");
});
$("rejecting").addEventListener("close", () => {
  const reason = $("reason").value.trim();
  if ($("rejecting").returnValue === "reject" && reason) decide({ action: "reject", answer: "", reason }, `rejected: ${reason}`);
});
for (const button of document.querySelectorAll("[data-reason]")) {
  button.addEventListener("click", () => {
    $("reason").value = button.textContent;
    $("reason").focus();
  });
}
document.addEventListener("click", (event) => {
  const name = event.target.closest("[data-do]")?.dataset.do;
  if (name) perform(name);
});
listen({
  perform,
  list: $("keys"),
  choose: (at) => {
    if (!session.task) return;
    panel.chooseAt(at);
    keepDraft();
  },
});
document.addEventListener("visibilitychange", () => document.hidden && keepDraft());
addEventListener("pagehide", keepDraft);
setInterval(() => ($("seconds").textContent = time(clock.seconds)), 1000);
session.sync().then(preload);
