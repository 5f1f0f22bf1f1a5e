// Which picture is on the canvas: that of the task, or one that it is compared with; and what is written around it.

import { greyLevels } from "./api.js";
import { Depth } from "./depth.js";
import { element } from "./panel.js";
import { patiently, Pictures } from "./pictures.js";
import { Viewer } from "./viewer.js";
import { modality } from "./words.js";

const $ = (id) => document.getElementById(id);
const STRIPS = { clean_neighbours: "alike, the model was right", similar_failures: "alike, the model was wrong" };
const THUMB = 160; // pixels

export class TaskImage {
  isSeen = false; // the image of the task has been on the canvas
  task = null;
  #mayCome = false; // what could not be shown may be there later
  #pictures = new Pictures();
  #asking = new AbortController(); // for the grey levels of what is on the canvas

  constructor() {
    this.viewer = new Viewer($("image"), (viewer) => sayView(viewer));
  }

  async show(task, next) {
    Object.assign(this, { task, next });
    this.isSeen = false;
    this.#asking.abort();
    this.viewer.clear();
    $("image").dataset.of = "";
    $("ahead").textContent = "";
    $("compare").hidden = true;
    $("no-image").hidden = true;
    this.#mayCome = false;
    if (!task) return;
    this.#showStrips(task);
    if (!(await this.showOwn())) return;
    this.isSeen = true;
    await this.preload(next());
    this.#fillStrips(task);
  }

  // The service is back: look again for what it did not give.
  again() {
    if (this.#mayCome) this.show(this.task, this.next);
  }

  back() {
    if (!$("comparing").hidden) this.showOwn();
  }

  async showOwn() {
    const { task } = this;
    const isShown = task && (await this.#put(task, task.image_uri, ""));
    if (isShown) $("image").dataset.of = `${task.task_id}/${task.revision}`;
    return isShown;
  }

  // Have the images of the next tasks here, and let go of those that are done with.
  async preload(next) {
    this.#pictures.keep([this.task, ...next].filter(Boolean));
    $("ahead").textContent = "";
    const loaded = await Promise.allSettled(next.map((task) => this.#pictures.ahead(task, task.image_uri)));
    const n = loaded.filter(({ status }) => status === "fulfilled").length;
    if (n) $("ahead").textContent = n === 1 ? "next loaded" : `next ${n} loaded`;
  }

  async #put(task, uri, comparing) {
    try {
      const bitmap = await this.#pictures.now(task, uri);
      if (this.task !== task) return false;
      this.#asking.abort();
      this.viewer.show(bitmap);
      const say = (bits) => {
        const facts = `${modality(task)} · ${bitmap.width} × ${bitmap.height} · ${bits} bit`;
        $("facts").textContent = facts;
        $("image").setAttribute("aria-label", comparing || `Image to judge: ${facts}`);
      };
      say(8);
      $("comparing").hidden = !comparing;
      $("comparing").textContent = comparing && `${comparing} — Escape brings yours back`;
      this.#deepen(task, uri, say);
      return true;
    } catch (error) {
      if (this.task !== task) return false;
      this.#mayCome = !this.isSeen && error.isPassing !== false;
      $("no-image").hidden = false;
      $("no-image").textContent = `The image cannot be shown. ${error.message} Skip or reject the task, or load the page again.`;
      return false;
    }
  }

  // Have the grey levels too, where the file has more than 8 bits: nothing waits for them, and without them all goes on.
  async #deepen(task, uri, say) {
    if (this.viewer.shrunk < 1) return;
    const asking = (this.#asking = new AbortController());
    try {
      const found = await patiently(() => greyLevels(task.task_id, uri, asking.signal));
      if (found && !asking.signal.aborted && this.viewer.deepen(new Depth(found, task.modality))) say(16);
    } catch (error) {
      if (error.isPassing === undefined && error.name !== "AbortError") console.error(error);
    }
  }

  #showStrips(task) {
    for (const strip of document.querySelectorAll("[data-strip]")) {
      const uris = task[strip.dataset.strip];
      strip.hidden = !uris.length;
      if (uris.length) $("compare").hidden = false;
      strip.querySelector(".thumbs").replaceChildren(...uris.map((uri, at) => this.#thumb(task, uri, STRIPS[strip.dataset.strip], at)));
    }
  }

  #thumb(task, uri, words, at) {
    const button = element("button");
    Object.assign(button, { type: "button", title: `Show ${words} in place of the image` });
    button.dataset.uri = uri;
    const canvas = element("canvas");
    Object.assign(canvas, { width: THUMB, height: THUMB, role: "img", ariaLabel: `${words}, ${at + 1}` });
    button.append(canvas);
    button.addEventListener("click", () => this.#put(task, uri, words));
    return button;
  }

  async #fillStrips(task) {
    for (const button of document.querySelectorAll(".thumbs button")) {
      try {
        const bitmap = await this.#pictures.ahead(task, button.dataset.uri);
        if (this.task !== task) return;
        const scale = THUMB / Math.max(bitmap.width, bitmap.height);
        const [width, height] = [bitmap.width * scale, bitmap.height * scale];
        const context = button.firstChild.getContext("2d");
        context.imageSmoothingQuality = "high";
        context.drawImage(bitmap, (THUMB - width) / 2, (THUMB - height) / 2, width, height);
      } catch {
        button.replaceChildren(element("span", "not to be had", "missing"));
      }
    }
  }
}

function sayView(viewer) {
  if (!viewer.size) {
    $("facts").textContent = $("view").textContent = "";
    return;
  }
  const reduced = viewer.shrunk < 1 ? ` · too large: shown at ${Math.round(viewer.shrunk * 100)} % of its pixels` : "";
  $("view").textContent = `${windowText(viewer)} · zoom ${Math.round(100 * viewer.zoom)} %${reduced}`;
  document.querySelector("[data-do=preset]").hidden = !viewer.depth;
  document.querySelector("[data-do=invert]").setAttribute("aria-pressed", viewer.isInverted);
}

// The window in the image's own units, where its values are known.
function windowText({ depth, window, level, preset }) {
  if (!depth) return `window ${Math.round(window)} level ${Math.round(level)} of 256`;
  const name = preset ? `${preset.name}: ` : "";
  return `${name}window ${depth.number(window)} level ${depth.number(level)} ${depth.unit}`.trim();
}
