/** The small buttons with a glyph that stand above a view. */
import { element } from "./dom";

/** One path each, in a box of 16. */
export const GLYPHS = {
  fold: "M6 4l4.5 4L6 12",
  fill: "M3 6V3h3M13 6V3h-3M3 10v3h3M13 10v3h-3",
  before: "M3.5 10.5L8 6l4.5 4.5",
  after: "M3.5 5.5L8 10l4.5-4.5",
  refresh: "M12.5 8a4.5 4.5 0 1 1-1.4-3.2M12.6 2.2v3h-3",
  failure: "M5.5 2l5 5m0-5l-5 5M4.5 10l3.5 3.5L11.5 10",
  pass: "M3.5 8.5l3 3 6-7",
  fail: "M4.5 4.5l7 7m0-7l-7 7",
  why: "M5.6 6a2.4 2.4 0 1 1 3.5 2.1c-.8.4-1.1.9-1.1 1.7M8 12.4v.1",
  expand: "M4 6.5L8 3l4 3.5M4 9.5L8 13l4-3.5",
  collapse: "M4 3l4 3.5L12 3M4 13l4-3.5L12 13",
  pauses: "M2.5 8h3M10.5 8h3M6.5 3.5l2 2-2 2 2 2-2 3",
  out: "M3.5 8h9",
  usual: "M3 4h10M3 8h10M3 12h10",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
  fork: "M2.5 8h3.5M6 8c3 0 2-4.5 5-4.5M6 8c3 0 2 4.5 5 4.5M11.2 3.5h2M11.2 12.5h2",
  in: "M3.5 8h9M8 3.5v9",
  rename: "M3 13l.7-3L10.6 3.1l2.3 2.3-6.9 6.9zM9 4.7l2.3 2.3",
  merge: "M3.5 3v2.5L8 9v4.5M12.5 3v2.5L8 9",
  split: "M8 2.5V7L3.5 10.5V13M8 7l4.5 3.5V13",
  follow: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M4 13.5h8",
  play: "M5.2 3.4v9.2L12.6 8z",
  pause: "M5.8 3.8v8.4M10.2 3.8v8.4",
  step: "M3 8h7M7.2 5L10.2 8l-3 3M13 3.8v8.4",
  back: "M13 8H6M8.8 5L5.8 8l3 3M3 3.8v8.4",
  over: "M2.6 9.4a5.4 5.4 0 0 1 10.4-1M13.6 4.8L13 8.6l-3.6-1M8 12.2v.4",
  backover: "M13.4 9.4A5.4 5.4 0 0 0 3 8.4M2.4 4.8L3 8.6l3.6-1M8 12.2v.4",
  into: "M8 2.6v7M5 7l3 3 3-3M8 13.2v.4",
  leave: "M8 10V3M5 5.8l3-3 3 3M8 13.2v.4",
  prior: "M10 3.6L5.6 8l4.4 4.4",
  next: "M6 3.6L10.4 8 6 12.4",
  true: "M8 3a5 5 0 1 0 .01 0zM8 5.2V8l2 1.4",
  stop: "M8 4.6a3.4 3.4 0 1 0 .01 0z",
};

export function group(...buttons: HTMLElement[]): HTMLElement {
  return element("div", "pp-group", ...buttons);
}

export function tool(glyph: keyof typeof GLYPHS, title: string, pressed: () => void): HTMLButtonElement {
  const made = element("button", "pp-tool");
  made.type = "button";
  made.addEventListener("click", pressed);
  setGlyph(made, glyph, title);
  return made;
}

export function setGlyph(button: HTMLButtonElement, glyph: keyof typeof GLYPHS, title: string): void {
  if (button.title === title) return;
  button.title = title;
  button.setAttribute("aria-label", title);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", GLYPHS[glyph]);
  svg.append(path);
  button.replaceChildren(svg);
}
