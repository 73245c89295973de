/** The parts of a step that take reading, each drawn as what it is. */
import { compared } from "./compared";
import { conversation } from "./conversation";
import { button, element } from "./dom";
import { count } from "./format";
import { jsonTree } from "./json";
import { longText, type More } from "./longtext";
import type { Change, Link, Section } from "./wire";

/** `go` leads to another step. */
export function sectionElement(section: Section, more: More, go: (row: number) => void): HTMLElement {
  const details = element("details", "pp-section", element("summary", "", section.title));
  details.open = section.open ?? true;
  details.append(body(section, more, go));
  return details;
}

export function factList(facts: [string, string][]): HTMLElement {
  const list = element("div", "pp-facts");
  for (const [label, text] of facts) list.append(element("span", "pp-dim", label), element("bdi", "", text));
  return list;
}

function body(section: Section, more: More, go: (row: number) => void): HTMLElement {
  switch (section.kind) {
    case "messages":
      return conversation(section.messages, more);
    case "json":
      return jsonTree(section.value, more);
    case "code":
      return longText(section, more, "pp-code");
    case "compare":
      return compared(section.changes);
    case "text":
      return longText(section, more);
    case "facts":
      return factList(section.facts);
    case "table":
      return table(section.head, section.rows);
    case "links":
      return element("div", "pp-links", ...section.links.map((link) => linkElement(link, go)));
    case "problems":
      return element("ul", "pp-problems", ...section.problems.map((sentence) => element("li", "", sentence)));
    case "choice":
      return choice(section.chosen, section.rejected, section.confidence);
    case "changes":
      return changes(section.changes, section.more);
    case "sides": {
      const sides = section.sides.map(({ title, value }) =>
        element("div", "pp-side", element("div", "pp-dim", title), jsonTree(value, more)),
      );
      return element("div", "pp-sides", ...sides);
    }
    case "error": {
      const box = element("div", "pp-error");
      if (section.error_type) box.append(element("div", "pp-error-type", section.error_type));
      box.append(longText(section.message, more));
      if (section.trace) box.append(longText(section.trace, more, "pp-code"));
      return box;
    }
  }
}

function linkElement({ row, name, type, event_id }: Link, go: (row: number) => void): HTMLElement {
  const text = [element("bdi", "", name || event_id), element("span", "pp-dim", ` ${type}`)];
  if (row < 0) return element("span", "", ...text, element("span", "pp-dim", " · not in this session"));
  const link = button("", `Go to ${name}`, () => go(row), "pp-link");
  link.append(...text);
  return link;
}

function table(head: string[], rows: string[][]): HTMLElement {
  const cells = (kind: "th" | "td", row: string[]) => row.map((text) => element(kind, "", text));
  const body = rows.map((row) => element("tr", "", ...cells("td", row)));
  return element("div", "pp-table", element("table", "", element("tr", "", ...cells("th", head)), ...body));
}

function choice(chosen: string, rejected: string[], confidence: number | null): HTMLElement {
  const box = element("div", "pp-choice", element("div", "pp-chosen", element("bdi", "", chosen || "nothing named")));
  if (confidence !== null) {
    const bar = element("div", "pp-confidence", element("i", ""), `${Math.round(confidence * 100)} % sure`);
    bar.style.setProperty("--pp-share", `${confidence * 100}%`);
    box.append(bar);
  }
  box.append(...rejected.map((other) => element("div", "pp-rejected", element("bdi", "", other))));
  return box;
}

function changes(list: Change[], more: number): HTMLElement {
  const box = element("div", "pp-changes");
  const sign = { added: "+", removed: "−", changed: "~" };
  for (const { path, change, before, after } of list) {
    const line = element("div", "", element("b", "", sign[change]), element("span", "pp-key", ` ${path || "all"} `));
    line.dataset.change = change;
    line.title = change;
    if (change !== "added") line.append(element("del", "", before));
    if (change === "changed") line.append(" → ");
    if (change !== "removed") line.append(element("ins", "", after));
    box.append(line);
  }
  if (list.length === 0) box.append(element("span", "pp-dim", "Nothing changed."));
  if (more > 0) box.append(element("span", "pp-dim", `and ${count(more, "change")} more`));
  return box;
}
