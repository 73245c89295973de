/** Elements are made of text, never of markup. */
import { visible } from "./text";

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className: string,
  ...content: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content.map((part) => (typeof part === "string" ? visible(part) : part)));
  return made;
}

export function button(label: string, title: string, pressed: () => void, className = "pp-button"): HTMLButtonElement {
  const made = element("button", className, label);
  made.type = "button";
  made.title = title;
  made.setAttribute("aria-label", title);
  made.addEventListener("click", pressed);
  return made;
}
