/** A JSON value as a tree that folds; branches are built when they are opened. */
import { element } from "./dom";
import { count } from "./format";
import { longText, type More, showAll } from "./longtext";
import type { Tagged } from "./wire";

export function jsonTree(value: unknown, more: More): HTMLElement {
  return element("div", "pp-json", node([], value, 0, more));
}

function node(label: (Node | string)[], value: unknown, depth: number, more: More): HTMLElement {
  if (typeof value !== "object" || value === null) return element("div", "pp-leaf", ...label, scalar(value));
  if (isTagged(value) && value.__peek__ !== "dict") return element("div", "pp-leaf", ...label, tagged(value, more));
  const entries = isTagged(value) ? (value.value as [unknown, unknown][]) : Object.entries(value);
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  if (entries.length === 0) return element("div", "pp-leaf", ...label, element("span", "pp-dim", open + close));
  const size = `${open} ${count(entries.length, Array.isArray(value) ? "item" : "field")} ${close}`;
  const details = element("details", "", element("summary", "", ...label, element("span", "pp-dim pp-size", size)));
  const build = () => {
    const children = entries.map(([key, item]) => node(keyOf(key), item, depth + 1, more));
    details.append(element("div", "pp-children", ...children));
  };
  if (depth === 0 || (depth < 3 && entries.length <= 5)) {
    details.open = true;
    build();
  } else {
    details.addEventListener("toggle", build, { once: true });
  }
  return details;
}

function keyOf(key: unknown): Node[] {
  const name = typeof key === "string" ? key : JSON.stringify(key);
  return [element("span", "pp-key", name), element("span", "pp-dim", ": ")];
}

function isTagged(value: object): value is Tagged {
  return "__peek__" in value && typeof value.__peek__ === "string";
}

function scalar(value: unknown): HTMLElement {
  if (typeof value === "string") return element("span", "pp-string", `"${value}"`);
  return element("span", value === null ? "pp-dim" : "pp-number", String(value));
}

function tagged(tag: Tagged, more: More): HTMLElement {
  const text = String(tag.value ?? "");
  const note = (said: string) => element("span", "pp-dim", ` ${said}`);
  switch (tag.__peek__) {
    case "long":
      return longText({ ...tag, text }, more, "pp-string");
    case "rest": {
      const box = element("div", "pp-text");
      const label = `… ${count(tag.count ?? 0)} more`;
      if (!tag.path) return element("span", "pp-dim", label);
      return element(
        "span",
        "",
        showAll(label, tag.path, more, (all) => box.append(all)),
        box,
      );
    }
    case "repr":
      return element("span", "", element("span", "pp-string", text), note(tag.type ?? "object"));
    case "cut":
      return element(
        "span",
        "",
        element("span", "pp-string", text),
        note(`cut when recorded, ${count(tag.bytes ?? 0)} bytes`),
      );
    case "bytes":
      return element("span", "", element("span", "pp-string", text), note(count(tag.length ?? 0, "byte")));
    default:
      return element("span", "", element("span", "pp-number", text), note(tag.__peek__));
  }
}
