// Single keys, and the list of them that the page shows. They are off while somebody types, and while a dialog is open.

import { element } from "./panel.js";

// Key, what it does, how it is named, what the page says it does. A decision is made once, however long its key is held.
const KEYS = [
  ["a", "accept", "A", "accept, or save what you chose", "once"],
  ["e", "edit", "E", "edit"],
  ["r", "reject", "R", "reject, with a reason", "once"],
  ["", "", "1 – 9", "choose an answer; then A or Enter"],
  ["z", "undo", "Z", "undo the last decision", "once"],
  ["s", "skip", "S", "skip: it comes back at the end", "once"],
  ["+", "larger", "+", "zoom in; the wheel does too"],
  ["-", "smaller", "−", "zoom out"],
  ["w", "narrower", "W", "narrower window"],
  ["W", "wider", "Shift W", "wider window"],
  ["l", "lower", "L", "lower level: brighter"],
  ["L", "higher", "Shift L", "higher level: darker"],
  ["p", "preset", "P", "next window, where the image has 16 bits"],
  ["ArrowLeft", "left", "← →", "look to the left, to the right"],
  ["ArrowRight", "right"],
  ["ArrowUp", "up", "↑ ↓", "look up, down"],
  ["ArrowDown", "down"],
  ["i", "invert", "I", "invert"],
  ["0", "reset", "0", "the image as it was"],
  ["Escape", "back", "Esc", "back to the image of the task"],
  ["?", "help", "?", "all keys", "once"],
];
const WITH_SHIFT = new Set(["W", "L"]);

export function listen({ perform, choose, list }) {
  list.replaceChildren(...KEYS.filter(([, , name]) => name).flatMap(([, , name, text]) => {
    const term = element("dt");
    term.append(element("kbd", name));
    return [term, element("dd", text)];
  }));
  document.addEventListener("keydown", (event) => {
    const { target, key } = event;
    if (target.matches("textarea, input:not([type=radio])")) return;
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (/^[1-9]$/.test(key)) choose(Number(key) - 1);
    if (target.matches("input[type=radio]") && key.startsWith("Arrow")) return;
    const wanted = key.length > 1 || WITH_SHIFT.has(key) ? key : key.toLowerCase(); // Caps Lock is no reason to do nothing
    const [, name, , , once] = KEYS.find(([one]) => one === wanted) ?? [];
    if (!name || (once && event.repeat)) return;
    event.preventDefault();
    perform(name);
  });
}
