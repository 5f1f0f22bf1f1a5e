// What the reviewer has decided last, where the question was blind: only now may they learn what was proposed, and by whom.

import { element } from "./panel.js";
import { proposers } from "./words.js";

export function showLast(box, task) {
  const isTold = Boolean(task?.is_blind && task.decision);
  box.hidden = !isTold;
  box.replaceChildren(...(isTold ? told(task) : []));
}

function told(task) {
  const { action, answer } = task.decision;
  const own = action === "REVIEW_ACTION_REJECT" ? "You rejected the last question." : `Your last answer: “${task.options[answer] ?? answer}”.`;
  if (task.proposal === null) return [`${own} Nothing was proposed.`];
  const said = [`${own} Proposed was “${task.options[task.proposal] ?? task.proposal}”, by ${proposers(task)}`];
  if (task.is_reference_simulated && task.proposal === task.reference_annotation.answer) said.push(" ", element("span", "simulated", "badge attention"));
  return [...said, "."];
}
