/** Changes for reading: where each is, and both sides of it, told apart by words. */
import { element } from "./dom";
import type { Compared } from "./wire";

export function compared(changes: readonly Compared[]): HTMLElement {
  return element("div", "pp-changes", ...changes.map(change));
}

function change({ path, words }: Compared): HTMLElement {
  const sides = [side("a", "-", words), side("b", "+", words)];
  return element("div", "pp-change", element("div", "pp-path", path), element("div", "pp-sides", ...sides));
}

function side(name: string, own: "-" | "+", words: Compared["words"]): HTMLElement {
  const parts = words
    .filter(([sign]) => sign === "=" || sign === own)
    .map(([sign, text]) =>
      sign === "=" ? element("span", "", text) : element(own === "-" ? "del" : "ins", "pp-word", text),
    );
  const text = parts.length > 0 ? element("span", "", ...parts) : element("span", "pp-dim", "nothing");
  const box = element("div", "pp-side", element("span", "pp-side-name", name), element("bdi", "pp-side-text", text));
  box.dataset.side = name;
  return box;
}
