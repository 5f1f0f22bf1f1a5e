// The pictures of the tasks in hand: fetched one after the other, the one that is wanted now before the others, and kept until
// they are done with.

import { picture } from "./api.js";

const MOST_TRIES = 6;
const FIRST_WAIT_MS = 150; // then twice as long each time

export class Pictures {
  #known = new Map(); // task and picture to the promise of a bitmap
  #waiting = Promise.resolve(); // those that are fetched ahead

  // A picture, as soon as can be.
  now(task, uri) {
    return this.#once(task, uri, () => patiently(() => picture(task.task_id, uri)));
  }

  // A picture, when those before it are there.
  ahead(task, uri) {
    return this.#once(task, uri, () => {
      const found = this.#waiting.then(() => patiently(() => picture(task.task_id, uri)));
      this.#waiting = found.then(() => {}, () => {});
      return found;
    });
  }

  // Let go of the pictures of all other tasks.
  keep(tasks) {
    for (const [key, found] of this.#known) {
      if (tasks.some((task) => key.startsWith(task.task_id))) continue;
      this.#known.delete(key);
      found.then((bitmap) => bitmap.close(), () => {});
    }
  }

  #once(task, uri, fetched) {
    const key = `${task.task_id} ${uri}`;
    if (!this.#known.has(key)) {
      const found = fetched();
      this.#known.set(key, found);
      found.catch(() => this.#known.delete(key));
    }
    return this.#known.get(key);
  }
}

// The service sends few pictures at a time: who comes too early is asked to come again.
export async function patiently(fetched) {
  for (let tries = 1, wait = FIRST_WAIT_MS; ; tries++, wait *= 2) {
    try {
      return await fetched();
    } catch (error) {
      if (!error.isPassing || tries === MOST_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
