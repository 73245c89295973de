/** One action of the safety trail: its verdict first, then what was done, who looked at it, and what happened then. */
import { button, element } from "./dom";

/** What the kernel tells of an action when it comes into sight. */
export interface Told {
  agent?: string;
  action?: string;
  arguments?: string;
  policy?: string;
  risk?: string;
  block?: string;
  refusal?: string;
  violation?: string;
  after?: string;
}

export interface Action {
  verdict: string;
  check: string;
  outcome: string;
  effect: string;
  time: string;
}

/** What a row opens to: the steps that it was made from. */
export interface Evidence {
  isOpen: boolean;
  steps: { label: string; type: string; failed: boolean; read(): void }[];
  seek(): void;
}

const MARKS: Record<string, string> = {
  violated: "✕",
  bypassed: "↷",
  unchecked: "○",
  refused: "⊘",
  guarded: "✓",
};

export const COLUMNS = ["Verdict", "Action", "Policy", "Check", "Outcome", "What happened", "Time"];

export function actionElement(action: Action, told: Told | null, evidence: Evidence): HTMLElement {
  const made = element("div", "pp-action");
  made.setAttribute("role", "row");
  made.setAttribute("aria-expanded", String(evidence.isOpen));
  made.dataset.verdict = action.verdict;
  const verdict = element("span", "pp-verdict", `${MARKS[action.verdict] ?? "·"} ${action.verdict || "no action"}`);
  const what = element("span", "pp-what", element("bdi", "pp-tool-name", told ? (told.action ?? "—") : "…"));
  if (action.effect) what.append(element("span", "pp-effect", action.effect));
  if (told?.arguments) what.append(element("bdi", "pp-arguments", told.arguments));
  const check = element("span", "pp-check", action.check || "none");
  check.dataset.check = action.check || "none";
  const happened = element("span", "pp-happened", ...happenings(told));
  const time = button(action.time, "Go to this moment", evidence.seek, "pp-moment");
  const cells = [verdict, what, element("span", "pp-policy", told?.policy ?? "—"), check];
  cells.push(element("span", "pp-outcome", action.outcome || "—"), happened, element("span", "pp-time", time));
  cells.forEach((cell, at) => {
    cell.setAttribute("role", "cell");
    cell.dataset.column = COLUMNS[at];
  });
  made.append(...cells);
  if (evidence.isOpen) made.append(opened(evidence));
  return made;
}

/** What stopped it, what it broke, and what was done all the same, in the order in which one asks. */
function happenings(told: Told | null): HTMLElement[] {
  const { block, refusal, violation, after } = told ?? {};
  const parts: HTMLElement[] = [];
  if (block) parts.push(element("span", "", `stopped: ${block}`));
  if (refusal && refusal !== block) parts.push(element("span", "", `refused: ${refusal}`));
  if (violation) parts.push(element("span", "pp-mark-failed", `broke the policy: ${violation}`));
  if (after) parts.push(element("span", "pp-after", after));
  return parts;
}

function opened(evidence: Evidence): HTMLElement {
  const list = element("div", "pp-evidence");
  list.setAttribute("role", "cell");
  for (const { label, type, failed, read } of evidence.steps) {
    const step = button(failed ? `✕ ${label}` : label, `Read ${label}`, read, "pp-link");
    if (failed) step.classList.add("pp-mark-failed");
    list.append(element("div", "", step, element("span", "pp-dim", ` ${type}`)));
  }
  return list;
}
