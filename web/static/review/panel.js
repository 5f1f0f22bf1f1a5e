// The panel beside the image: the question, who said what, and what the reviewer chooses. All that comes from outside is put in
// as text.

import { differences, isSure, numbers, placed, why } from "./words.js";

const $ = (id) => document.getElementById(id);

export function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Stands beside what the oracle said, where that is simulated.
function simulated(task) {
  return task.is_reference_simulated ? [" ", element("span", "simulated", "badge attention")] : [];
}

export class Panel {
  constructor(onInput) {
    this.task = null;
    $("task").addEventListener("input", () => {
      this.#sayAccept();
      onInput();
    });
  }

  show(task, draft) {
    this.task = task;
    $("idle").hidden = true;
    $("task").hidden = false;
    $("why").textContent = `why you see it: ${why(task)}`;
    $("why").title = numbers(task);
    $("question").textContent = task.question;
    this.letters = Object.keys(task.options).sort();
    $("options").hidden = !this.letters.length;
    $("options").replaceChildren(...this.letters.map((letter, at) => this.#option(letter, at)));
    $("texts").replaceChildren(...(this.letters.length ? [] : this.#texts()));
    $("text").value = draft?.text ?? task.proposal ?? "";
    this.#editText(!this.letters.length && (task.proposal === null || (draft && draft.text !== task.proposal)));
    this.choose(draft?.choice ?? task.proposal);
    const notes = this.#notes();
    $("notes").hidden = !notes.length;
    $("notes").replaceChildren(...notes.map((text) => element("p", text)));
    $("question").focus({ preventScroll: true });
  }

  clear(text) {
    this.task = null;
    $("task").hidden = true;
    $("idle").hidden = false;
    $("idle").textContent = text;
  }

  get draft() {
    return { choice: this.choice, text: $("text").value };
  }

  get choice() {
    return $("options").querySelector("input:checked")?.value ?? null;
  }

  // What is accepted or saved with the main button; null where nothing is chosen.
  get verdict() {
    const { proposal } = this.task;
    const given = this.letters.length ? (this.choice ?? proposal) : this.isEdited ? $("text").value : proposal;
    if (given === null || !given.trim()) return null;
    if (given === proposal) return { action: "accept", answer: "", told: this.#told(given) };
    return { action: "edit", answer: given, told: this.#told(given) };
  }

  choose(letter) {
    const input = [...$("options").querySelectorAll("input")].find((one) => one.value === letter);
    if (input) input.checked = true;
    this.#sayAccept();
  }

  chooseAt(index) {
    this.choose(this.letters[index]);
  }

  edit() {
    if (this.letters.length) {
      ($("options").querySelector("input:checked") ?? $("options").querySelector("input")).focus();
      return;
    }
    this.#editText(true);
    this.#sayAccept();
    $("text").focus();
  }

  #editText(isEdited) {
    this.isEdited = Boolean(isEdited);
    $("own").hidden = !this.isEdited;
  }

  #told(answer) {
    const text = this.task.options[answer] ?? answer;
    return text.length > 60 ? `${text.slice(0, 59)}…` : text;
  }

  #sayAccept() {
    if (!this.task) return;
    const { verdict } = this;
    const isText = !this.letters.length;
    const words = { accept: isText ? "Accept this description" : `Accept “${verdict?.told}”`, edit: isText ? "Save your text" : `Save “${verdict?.told}”` };
    $("accept").querySelector("span").textContent = verdict ? words[verdict.action] : isText ? "Write a description" : "Choose an answer";
    $("accept").classList.toggle("changed", verdict?.action === "edit");
  }

  #option(letter, at) {
    const label = element("label", "", "option");
    const input = element("input");
    Object.assign(input, { type: "radio", name: "option", value: letter });
    label.append(input, element("kbd", String(at + 1)), element("span", this.task.options[letter], "answer"));
    const { reference_annotation, self_annotation } = this.task;
    const who = element("span", "", "who");
    if (reference_annotation.answer === letter) who.append(element("span", "oracle", "badge ours"), ...simulated(this.task));
    if (self_annotation.answer === letter) who.append(this.#model());
    for (const [at, one] of this.task.opinions.entries()) if (one.answer === letter) who.append(element("span", `expert ${at + 1}`, "badge"));
    label.append(who);
    return label;
  }

  // What else there is to know before one decides.
  #notes() {
    const { self_annotation: model, reference_annotation: oracle, is_blind, opinions } = this.task;
    const notes = [];
    if (is_blind) notes.push("You decide first: what others have answered is shown once you have decided.");
    else if (model.answer === null && oracle.answer !== null) notes.push("No answer of the model can be read from its reply.");
    for (const [at, { action, reason }] of opinions.entries()) {
      if (action === "REVIEW_ACTION_REJECT") notes.push(`Expert ${at + 1} rejected it: ${reason}`);
      else if (reason) notes.push(`Expert ${at + 1} remarked: ${reason}`);
    }
    return [...notes, ...placed(this.task)];
  }

  #model() {
    const badge = element("span", isSure(this.task) ? "model · sure" : "model", "badge");
    badge.title = numbers(this.task);
    return badge;
  }

  // The two descriptions, each with the words marked that the other does not have.
  #texts() {
    const { reference_annotation: oracle, self_annotation: model, proposal } = this.task;
    const told = [["oracle", oracle.answer, model.answer], ["model", model.answer, oracle.answer]];
    const answers = this.task.opinions.map((one) => one.answer);
    answers.forEach((answer, at) => told.push([`expert ${at + 1}`, answer, answers[1 - at] ?? null]));
    return told.filter(([, text]) => text !== null).map(([who, text, other]) => {
      const box = element("figure", "", text === proposal ? "proposed" : "");
      const isSureOfIt = who === "model" && isSure(this.task);
      const said = text === proposal ? `proposed by the ${who}` : `${who.startsWith("expert") ? "" : "the "}${who} wrote${isSureOfIt ? ", and was sure" : ""}`;
      const caption = element("figcaption", said);
      if (who === "model") caption.title = numbers(this.task);
      if (who === "oracle") caption.append(...simulated(this.task));
      const body = element("p");
      for (const piece of other === null ? [{ text, isShared: true }] : differences(text, other)) {
        body.append(piece.isShared ? piece.text : element("mark", piece.text));
      }
      box.append(caption, body);
      return box;
    });
  }
}
