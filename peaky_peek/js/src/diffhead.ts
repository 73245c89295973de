/** What stands above the rows: where the two part and why, code and prompts, and the two in numbers. */
import { compared } from "./compared";
import type { Facts } from "./diffdata";
import { button, element } from "./dom";
import { count } from "./format";

const ALWAYS = ["model calls", "tool calls", "failed", "cost", "duration"];

export function diffHead(facts: Facts, goTo: (row: number) => void): HTMLElement[] {
  return [sentence(facts, goTo), ...setup(facts, goTo), ...summary(facts)];
}

function sentence({ parting }: Facts, goTo: (row: number) => void): HTMLElement {
  const mark = element("span", "pp-parting-mark", parting ? (parting.lasting ? "≠" : "≈") : "=");
  mark.ariaHidden = "true";
  const said = parting ? parting.said : "Both take the same way.";
  const box = element("div", "pp-parting", mark, element("bdi", "", said));
  box.setAttribute("role", "status");
  box.classList.toggle("pp-lasting", parting?.lasting === true);
  if (parting) box.append(button("Show", "Show where they part (d)", () => goTo(parting.row), "pp-link"));
  return box;
}

function setup({ setup: changes }: Facts, goTo: (row: number) => void): HTMLElement[] {
  if (changes.length === 0) return [];
  const shown = changes.map((change) => {
    const made = compared([change]);
    made.querySelector(".pp-path")?.append(button("step", "Show the step", () => goTo(change.row), "pp-link"));
    return made;
  });
  const title = `Given something else: ${count(changes.length, "difference")} in code, prompts, settings or input`;
  const box = element("details", "pp-setup", element("summary", "", title), ...shown);
  box.open = true;
  return [box];
}

function summary({ summary: rows }: Facts): HTMLElement[] {
  if (rows.length === 0) return [];
  const line = rows
    .filter(([what, a, b]) => ALWAYS.includes(what) && (a !== b || what !== "failed"))
    .map(([what, a, b]) => (a === b ? `${what} ${a}` : `${what} ${a} → ${b}`));
  const head = element("summary", "", "In numbers", element("span", "pp-dim pp-line", ` ${line.join(" · ")}`));
  const cells = ["", "a", "b", "b − a"].map((name) => element("th", "", name));
  for (const cell of cells) cell.scope = "col";
  const body = rows.map(([what, ...values]) => {
    const name = element("th", "", what);
    name.scope = "row";
    const row = element("tr", "", name, ...values.map((value) => element("td", "", value)));
    row.classList.toggle("pp-apart", values[0] !== values[1]);
    return row;
  });
  const table = element("table", "", element("thead", "", element("tr", "", ...cells)), element("tbody", "", ...body));
  return [element("details", "pp-numbers", head, table)];
}
