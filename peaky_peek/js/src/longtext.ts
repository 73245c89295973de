/** A text that may be only the beginning of one: then a button asks for the rest. */
import { button, element } from "./dom";
import { count } from "./format";
import type { Cut, Path } from "./wire";

/** Asks for the whole text at `path`; `failed` gets a sentence when it does not come. */
export type More = (path: Path, arrived: (text: string) => void, failed: (sentence: string) => void) => void;

export function longText(cut: Cut, more: More, className = "pp-text"): HTMLElement {
  const box = element("div", className, cut.text);
  const { length, path } = cut;
  if (length === undefined || path === undefined) return box;
  box.append("…");
  return element(
    "div",
    "",
    box,
    showAll(`show all ${count(length)} characters`, path, more, (text) => box.replaceChildren(text)),
  );
}

/** A button that is replaced by the answer to its question, and asks again when none came. */
export function showAll(label: string, path: Path, more: More, show: (text: HTMLElement) => void): HTMLElement {
  const ask = button(
    label,
    label,
    () => {
      ask.disabled = true;
      ask.textContent = "asking the kernel…";
      const arrived = (text: string) => {
        show(element("span", "", text));
        ask.remove();
      };
      more(path, arrived, (sentence) => {
        ask.disabled = false;
        ask.textContent = `${sentence} Try again`;
      });
    },
    "pp-link",
  );
  return ask;
}
