// Active seconds: the time between two signs of life, at most so long each; none while the page is hidden.

export const IDLE_SECONDS = 30;
const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel"];

export class ActiveClock {
  #seconds = 0;
  #last = null; // when the last sign came, in seconds; null while the page is hidden

  constructor() {
    for (const sign of SIGNS) addEventListener(sign, () => this.#note(), { passive: true, capture: true });
    document.addEventListener("visibilitychange", () => this.#note());
  }

  restart(seconds = 0) {
    this.#seconds = seconds;
    this.#last = document.hidden ? null : now();
  }

  get seconds() {
    const since = this.#last === null ? 0 : Math.min(now() - this.#last, IDLE_SECONDS);
    return Math.min(this.#seconds + since, 86_400);
  }

  #note() {
    this.#seconds = this.seconds;
    this.#last = document.hidden ? null : now();
  }
}

function now() {
  return performance.now() / 1000;
}
