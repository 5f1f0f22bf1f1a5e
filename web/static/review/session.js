// The reviewer's work: which tasks are in hand, which one is seen, what was decided. It shows nothing itself.

import { call } from "./api.js";
import { Outbox } from "./outbox.js";

const IN_HAND = 3; // the one that is seen, and the next ones
const MOST_IN_HAND = 20; // what the server gives at once
const RETRY_MS = 1_000; // then twice as long each time
const LONGEST_RETRY_MS = 15_000;

const keyOf = (task) => `${task.task_id}/${task.revision}`;

export class ReviewSession {
  task = null; // the one that is seen
  next = []; // those after it
  problem = ""; // why no task comes, where the server said so
  isEmpty = false; // the server has none that nobody has

  #done = new Set(); // decided or skipped here
  #decided = []; // what can be taken back, the last at the end
  #syncing = Promise.resolve();
  #timer = 0;
  #retry = RETRY_MS;
  #renew = 60_000;

  constructor(reviewer, shows) {
    this.shows = shows; // task(task), state(), lost(), elsewhere(), saved(entry, answer), last(task)
    this.outbox = new Outbox(reviewer, { onAnswer: (entry, answer) => this.#answered(entry, answer), onChange: () => shows.state() });
    addEventListener("online", () => this.sync());
    addEventListener("storage", (event) => this.#inOtherTab(event));
  }

  // Send what waits, then renew what is in hand and take the next ones.
  sync() {
    this.#syncing = this.#syncing.then(() => this.#sync()).catch((error) => console.error(error));
    return this.#syncing;
  }

  decide(verdict, label) {
    const { task } = this;
    const { action, answer, reason, seconds } = verdict;
    const body = { revision: task.revision, action, answer, reason, active_seconds: Math.round(seconds * 10) / 10 };
    if (!this.outbox.put("decide", task, body, label)) {
      this.shows.elsewhere();
      return this.#left(task, false);
    }
    this.#decided.push({ ...task, decision: { answer: action === "accept" ? task.proposal : answer || null } });
    return this.#left(task, true);
  }

  skip() {
    this.outbox.put("release", this.task, {}, "skipping a task");
    return this.#left(this.task, false);
  }

  // Take the last decision back: its task is seen again at once, as it was decided, and the server is told as soon as that
  // can be. What was decided before this page was opened is seen when the server has answered: as long as it is decided it
  // says more than an open one does.
  undo() {
    const task = this.#decided.pop();
    if (!task) return false;
    const again = { ...task, revision: task.revision + 1, decision: null };
    const { answer } = task.decision;
    if (answer !== null) this.outbox.keepDraft(again, { choice: answer, text: answer, seconds: 0 });
    this.outbox.put("undo", task, { revision: task.revision }, "taking a decision back");
    if (!task.isOfServer) this.#bring(again);
    this.sync();
    return true;
  }

  #bring(task) {
    if (this.task) this.next.unshift(this.task);
    this.#see(task);
  }

  #left(task, isDecided) {
    this.#done.add(keyOf(task));
    this.isEmpty = false;
    if (isDecided) this.outbox.dropDraft(task);
    this.#see(this.next.shift() ?? null);
    return this.sync();
  }

  #see(task) {
    this.task = task;
    this.shows.task(task);
  }

  async #sync() {
    clearTimeout(this.#timer);
    const isEmpty = await this.outbox.send();
    if (this.outbox.state === "here" || isEmpty) await this.#lease();
    this.shows.state();
    const isHere = this.outbox.state === "here" && isEmpty;
    this.#retry = isHere ? RETRY_MS : Math.min(2 * this.#retry, LONGEST_RETRY_MS);
    this.#timer = setTimeout(() => this.sync(), isHere ? this.#renew : this.#retry);
  }

  async #lease() {
    const count = Math.min(Math.max(IN_HAND, this.next.length + 1), MOST_IN_HAND);
    const answer = await call("POST", "/api/review/lease", { count, reviewer: this.outbox.reviewer });
    this.problem = answer.kind === "refused" ? `${answer.problem.detail} ${answer.problem.remedy ?? ""}` : "";
    this.outbox.state = answer.kind === "done" || answer.kind === "refused" ? "here" : answer.kind;
    if (answer.kind !== "done") return;
    const { tasks, undoable, seconds } = answer.body;
    this.#renew = (seconds * 1000) / 3;
    if (!this.#decided.length && undoable && !this.outbox.waiting.length) {
      this.#decided.push({ ...undoable, isOfServer: true });
      this.shows.last(undoable);
    }
    const isAll = tasks.length < count;
    this.#take(tasks.filter((task) => !this.#done.has(keyOf(task))), isAll);
  }

  // What the server says is in hand; what is seen stays, so that nothing changes under the reviewer's eyes.
  #take(tasks, isAll) {
    const { task } = this;
    const same = task && tasks.find((one) => one.task_id === task.task_id);
    this.next = tasks.filter((one) => one.task_id !== task?.task_id);
    this.isEmpty = !task && !this.next.length && !this.outbox.waiting.length;
    if (!task) this.#see(this.#firstWithDraft());
    else if (same && same.revision > task.revision) this.#see(same);
    else if (!same && isAll && !this.outbox.waiting.length) this.shows.lost();
  }

  #firstWithDraft() {
    const at = this.next.findIndex((task) => this.outbox.draft(task));
    return this.next.splice(Math.max(at, 0), 1)[0] ?? null;
  }

  #answered(entry, answer) {
    const key = keyOf(entry);
    if (answer.kind === "done") {
      const { task } = answer.body;
      if (entry.kind === "release") this.#done.delete(key);
      if (entry.kind === "undo" && this.task?.task_id !== task.task_id && !this.#done.has(keyOf(task))) this.#bring(task);
      this.shows.saved(entry, answer.body);
      return;
    }
    this.#done.delete(key);
    this.#decided = this.#decided.filter((task) => keyOf(task) !== key);
    if (entry.kind === "undo" && this.task?.task_id === entry.task_id) this.#see(this.next.shift() ?? null);
  }

  #inOtherTab(event) {
    this.shows.state();
    const found = event.newValue && this.outbox.decidedElsewhere(event.key);
    if (!found) return;
    this.#done.add(keyOf(found));
    this.next = this.next.filter((task) => keyOf(task) !== keyOf(found));
    if (this.task && keyOf(this.task) === keyOf(found)) {
      this.shows.elsewhere();
      this.#see(this.next.shift() ?? null);
    }
    this.sync();
  }
}
