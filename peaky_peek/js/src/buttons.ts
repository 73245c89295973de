/** The small buttons with a glyph that stand above a view. */
import { element } from "./dom";

/** One path each, in a box of 16. */
export const GLYPHS = {
  fold: "M6 4l4.5 4L6 12",
  refresh: "M12.5 8a4.5 4.5 0 1 1-1.4-3.2M12.6 2.2v3h-3",
  failure: "M5.5 2l5 5m0-5l-5 5M4.5 10l3.5 3.5L11.5 10",
  pass: "M3.5 8.5l3 3 6-7",
  fail: "M4.5 4.5l7 7m0-7l-7 7",
  expand: "M4 6.5L8 3l4 3.5M4 9.5L8 13l4-3.5",
  collapse: "M4 3l4 3.5L12 3M4 13l4-3.5L12 13",
  pauses: "M2.5 8h3M10.5 8h3M6.5 3.5l2 2-2 2 2 2-2 3",
  out: "M3.5 8h9",
  usual: "M3 4h10M3 8h10M3 12h10",
  in: "M3.5 8h9M8 3.5v9",
  rename: "M3 13l.7-3L10.6 3.1l2.3 2.3-6.9 6.9zM9 4.7l2.3 2.3",
  merge: "M3.5 3v2.5L8 9v4.5M12.5 3v2.5L8 9",
  split: "M8 2.5V7L3.5 10.5V13M8 7l4.5 3.5V13",
  follow: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M4 13.5h8",
};

export function group(...buttons: HTMLElement[]): HTMLElement {
  return element("div", "pp-group", ...buttons);
}

export function tool(glyph: keyof typeof GLYPHS, title: string, pressed: () => void): HTMLButtonElement {
  const made = element("button", "pp-tool");
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", pressed);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", GLYPHS[glyph]);
  svg.append(path);
  made.append(svg);
  return made;
}
