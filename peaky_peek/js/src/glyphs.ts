/** The shapes of the families as characters, for rows of text; the same as in Python's table of a saved notebook. */
import { element } from "./dom";
import { type Family, familyOf } from "./vocabulary";
import { type Columns, FAILED } from "./wire";

const GLYPHS: Record<Family, string> = {
  session: "○",
  llm: "●",
  tool: "■",
  decision: "◆",
  checkpoint: "⚑",
  risk: "▲",
};

/** The shape of a step in its colour. */
export function glyph(columns: Columns, row: number): HTMLElement {
  const family = familyOf(columns.kind[row], (columns.flags[row] & FAILED) !== 0);
  const made = element("span", "pp-icon", GLYPHS[family]);
  made.style.color = `var(--pp-${family})`;
  return made;
}
