// What a task says in plain words, and in which words two texts differ.

const WHY = {
  review: "first round: an expert sees every answer",
  expert: "the model is sure and disagrees with the oracle",
  audit: "a random check of answers that no expert has seen",
  calibration: "the answer is known: so reviewers can be compared",
};
const USUAL_PRIORITY = { calibration: 0, audit: 2 }; // as the queue sets it; any other route has 1
const MOST_WORDS = 1500; // of one text; the comparison takes their product

export function why(task) {
  if (task.opinion === 3) return "two experts disagree: you decide";
  return task.route_reason || WHY[task.route] || task.route;
}

// What an operator has done with it, in sentences.
export function placed({ assignee, priority, route }) {
  const found = [];
  const usual = USUAL_PRIORITY[route] ?? 1;
  if (assignee && route !== "calibration") found.push("An operator gave this task to you.");
  if (priority < usual) found.push(`An operator moved it forward (priority ${priority}, 0 comes first).`);
  if (priority > usual) found.push(`An operator moved it back (priority ${priority}, 0 comes first).`);
  return found;
}

// The model is known to be sure where that is what led here.
export function isSure(task) {
  return task.route === "expert" && !task.route_reason;
}

// The numbers behind it, for those who ask.
export function numbers(task) {
  const entropy = task.self_annotation.entropy;
  const parts = [];
  if (entropy !== null) parts.push(`entropy of the model ${entropy.toFixed(2)} nats per token`);
  if (task.agreement !== null) parts.push(`agreement ${task.agreement.toFixed(2)} of 1`);
  return parts.join(", ") || "no numbers are known";
}

// Who gave the answer that is proposed.
export function proposers({ proposal, reference_annotation, self_annotation }) {
  const found = [];
  if (self_annotation.answer === proposal) found.push("the model");
  if (reference_annotation.answer === proposal) found.push("the oracle");
  return found.join(" and ") || "nobody";
}

export function modality(task) {
  const name = task.modality.replaceAll("_", " ");
  return name.length <= 3 ? name.toUpperCase() || "modality not known" : name;
}

export function time(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

// Pieces of a text, each with whether the other text has it at this place: the longest common subsequence of words.
export function differences(text, other) {
  const words = text.split(/(?<=\s)/);
  const others = other.split(/(?<=\s)/);
  if (words.length > MOST_WORDS || others.length > MOST_WORDS) return [{ text, isShared: true }];
  const width = others.length + 1;
  const lengths = new Uint16Array((words.length + 1) * width); // of what the ends from (i, j) share
  const isSame = (i, j) => words[i].trim() === others[j].trim();
  for (let i = words.length - 1; i >= 0; i--) {
    for (let j = others.length - 1; j >= 0; j--) {
      const [down, right] = [lengths[(i + 1) * width + j], lengths[i * width + j + 1]];
      lengths[i * width + j] = isSame(i, j) ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(down, right);
    }
  }
  const pieces = [];
  const add = (word, isShared) => {
    const last = pieces.at(-1);
    if (last?.isShared === isShared) last.text += word;
    else {
      const end = last && !last.isShared ? last.text.match(/\s*$/)[0] : ""; // no mark goes on under a space
      if (end) last.text = last.text.trimEnd();
      pieces.push({ text: end + word, isShared });
    }
  };
  for (let i = 0, j = 0; i < words.length; ) {
    if (j < others.length && isSame(i, j)) {
      add(words[i++], true);
      j++;
    } else if (j < others.length && lengths[i * width + j + 1] > lengths[(i + 1) * width + j]) j++;
    else add(words[i++], false);
  }
  return pieces;
}
