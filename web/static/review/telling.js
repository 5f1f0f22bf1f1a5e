// What the page tells about saving, and what went wrong and stays until somebody has read it.

import { element } from "./panel.js";

export class Telling {
  #hasSaved = false;
  #counted;
  #said = null;

  constructor(badge, notices, session) {
    Object.assign(this, { badge, notices, session });
    this.#counted = counted(session.outbox);
  }

  say(text, role = "") {
    this.#said = text ? { text, role } : null;
    this.show();
  }

  show() {
    const { outbox } = this.session;
    this.#lookAt(outbox);
    const [text, role] = state(outbox, this.#hasSaved);
    if (this.badge.textContent !== text) this.badge.textContent = text;
    this.badge.className = `badge ${role}`;
    const made = [this.#what(), login(outbox), ...outbox.refused.map((entry) => this.#refused(entry)), others(outbox)].filter(Boolean);
    const texts = (nodes) => [...nodes].map((one) => one.textContent).join("\n");
    if (texts(made) !== texts(this.notices.children)) this.notices.replaceChildren(...made); // else it would be read out again
  }

  // What waited and does so no more is saved, whichever tab has sent it, or refused.
  #lookAt(outbox) {
    const [before, now] = [this.#counted, counted(outbox)];
    this.#counted = now;
    if (now.waiting < before.waiting && now.refused <= before.refused) this.#hasSaved = true;
  }

  #what() {
    return this.#said && notice(this.#said.text, this.#said.role, [["All right", () => this.say("")]]);
  }

  #refused(entry) {
    const { detail, remedy } = entry.problem;
    return notice(`Not saved: ${entry.label}. ${detail} ${remedy ?? ""}`, "weak", [
      ["Send again", () => {
        this.session.outbox.again(entry);
        this.session.sync();
      }],
      ["Discard", () => this.session.outbox.discard(entry)],
    ]);
  }
}

function counted({ waiting, refused }) {
  return { waiting: waiting.length, refused: refused.length };
}

// The server has a decision when it says so: nothing else is called saved.
function state({ state, waiting, refused, isSending }, hasSaved) {
  const n = waiting.length;
  const waits = n ? `: ${n} wait${n === 1 ? "s" : ""} in this browser` : "";
  if (state === "login") return [`logged out${waits}`, "attention"];
  if (state === "away") return [`offline${waits}`, "attention"];
  if (n) return isSending ? ["saving …", ""] : [`not saved yet${waits}`, "attention"];
  if (refused.length) return [`${refused.length} not saved`, "weak"];
  return hasSaved ? ["saved", "good"] : ["connected", ""];
}

function login({ state }) {
  if (state !== "login") return null;
  const made = notice("Your login has ended. Nothing is lost: what you decided and wrote is kept in this browser. ", "", []);
  const link = element("a", "Log in and go on");
  link.href = "/login?next=/review";
  made.firstChild.append(link);
  return made;
}

function others({ ofOthers }) {
  const text = `${ofOthers} decision${ofOthers === 1 ? "" : "s"} of somebody else wait${ofOthers === 1 ? "s" : ""} in this browser`;
  return ofOthers ? notice(`${text} until they log in.`, "", []) : null;
}

function notice(text, role, actions) {
  const box = element("div", "", `notice ${role}`);
  box.append(element("p", text));
  if (!actions.length) return box;
  const row = element("p", "", "row");
  for (const [name, act] of actions) {
    const button = element("button", name);
    button.type = "button";
    button.addEventListener("click", act);
    row.append(button);
  }
  box.append(row);
  return box;
}
