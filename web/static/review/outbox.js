// What was decided and is not yet known to be saved. It lies in the browser's storage, by task and revision, until the server
// has answered, and is sent in the order in which it was made. The queue answers the same change again as before, so that
// whatever was lost on the way can be sent again.

import { call } from "./api.js";

const WAITING = "waiting/";
const REFUSED = "refused/";
const DRAFT = "draft/";
const DRAFT_DAYS = 7;

export class Outbox {
  state = "here"; // or "away", "login"
  isSending = false;

  constructor(reviewer, { onAnswer, onChange }) {
    this.prefix = `medq-review/${encodeURIComponent(reviewer)}/`;
    this.reviewer = reviewer;
    this.onAnswer = onAnswer;
    this.onChange = onChange;
    this.#dropOldDrafts();
  }

  get waiting() {
    return this.#all(WAITING);
  }

  get refused() {
    return this.#all(REFUSED);
  }

  // Keep a change until it is saved. False: one of its kind about this revision is there already.
  put(kind, task, body, label) {
    const key = `${this.prefix}${WAITING}${task.task_id}/${task.revision}/${kind}`;
    if (localStorage.getItem(key) !== null) return false;
    const entry = { kind, task_id: task.task_id, revision: task.revision, run_id: task.run_id, label, at: Date.now() };
    localStorage.setItem(key, JSON.stringify({ ...entry, body: { ...body, reviewer: this.reviewer } }));
    this.onChange();
    return true;
  }

  // Send what waits; true if nothing does any more that could be sent. One tab at a time where the browser can tell.
  async send() {
    const one = () => this.#sendAll();
    this.isSending = true;
    this.onChange();
    const isEmpty = await (navigator.locks ? navigator.locks.request(`${this.prefix}send`, one) : one());
    this.isSending = false;
    this.onChange();
    return isEmpty;
  }

  async #sendAll() {
    const stuck = new Set(); // tasks about which the server has a fault
    for (let entry; (entry = this.waiting.find((one) => !stuck.has(one.task_id))); ) {
      const answer = await call("POST", `/api/review/tasks/${entry.task_id}/${entry.kind}`, entry.body);
      if (answer.kind === "login" || (answer.kind === "away" && !answer.isFault)) {
        this.state = answer.kind;
        return false;
      }
      if (answer.kind === "away") {
        stuck.add(entry.task_id);
        continue;
      }
      if (answer.kind === "refused") {
        localStorage.setItem(entry.key.replace(WAITING, REFUSED), JSON.stringify({ ...entry, problem: answer.problem }));
      }
      localStorage.removeItem(entry.key);
      this.state = "here";
      this.onAnswer(entry, answer);
    }
    return stuck.size === 0;
  }

  again(entry) {
    const { problem, key, ...rest } = entry;
    localStorage.setItem(key.replace(REFUSED, WAITING), JSON.stringify(rest));
    this.discard(entry);
  }

  discard(entry) {
    localStorage.removeItem(entry.key);
    this.onChange();
  }

  draft(task) {
    return JSON.parse(localStorage.getItem(this.#draftKey(task)) ?? "null");
  }

  keepDraft(task, draft) {
    localStorage.setItem(this.#draftKey(task), JSON.stringify({ ...draft, at: Date.now() }));
  }

  dropDraft(task) {
    localStorage.removeItem(this.#draftKey(task));
  }

  // Whether a change of the storage in another tab is a decision of this reviewer; then which task and revision.
  decidedElsewhere(key) {
    const start = this.prefix + WAITING;
    if (!key?.startsWith(start) || !key.endsWith("/decide")) return null;
    const [task_id, revision] = key.slice(start.length).split("/");
    return { task_id, revision: Number(revision) };
  }

  // How many decisions of other people wait in this browser.
  get ofOthers() {
    const ours = this.prefix;
    return Object.keys(localStorage).filter((key) => /^medq-review\/[^/]+\/waiting\//.test(key) && !key.startsWith(ours)).length;
  }

  #draftKey(task) {
    return `${this.prefix}${DRAFT}${task.task_id}/${task.revision}`;
  }

  #all(kind) {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix + kind));
    const found = keys.map((key) => ({ ...JSON.parse(localStorage.getItem(key) ?? "{}"), key }));
    return found.sort((one, other) => one.at - other.at || one.revision - other.revision);
  }

  #dropOldDrafts() {
    const oldest = Date.now() - DRAFT_DAYS * 86_400_000;
    for (const draft of this.#all(DRAFT)) if (draft.at < oldest) localStorage.removeItem(draft.key);
  }
}
