/** One thing that was said, as it stands in a conversation. */
import { button, element } from "./dom";
import { longText, type More } from "./longtext";
import type { Cut } from "./wire";

/** What the kernel tells of a line when it comes into sight. */
export interface Said {
  text?: Cut;
  thinking?: Cut;
  calls?: { name: string; arguments: Cut }[];
  arguments?: Cut;
  result?: Cut;
  error?: Cut;
  about?: string;
  facts?: string;
  suspect?: string;
}

export interface Head {
  role: string;
  speaker: string;
  to: string;
  failed: boolean;
  suspect: boolean;
  running: boolean;
  repeats: boolean;
  /** When it began, as a text. */
  time: string;
}

export interface Around {
  /** Whether what folds under a name is open. */
  isOpen(part: string): boolean;
  fold(part: string, open: boolean): void;
  /** Asks for the rest of a text, and keeps it. */
  more(cut: Cut): More;
  seek(): void;
}

const ADDRESSED = new Set(["user", "system"]);

export function saidElement(head: Head, said: Said | null, around: Around): HTMLElement {
  const made = element("article", "pp-line", heading(head, said, around));
  made.dataset.role = head.role;
  if (head.failed) made.dataset.failed = "";
  made.setAttribute("aria-label", label(head));
  if (said) made.append(...body(head, said, around));
  else made.append(element("div", "pp-dim", "…"));
  return made;
}

function label(head: Head): string {
  const marks = [head.failed ? "failed" : "", head.suspect ? "suspect" : "", head.repeats ? "said before" : ""];
  return [head.speaker, head.role, ...marks].filter(Boolean).join(", ");
}

function heading(head: Head, said: Said | null, around: Around): HTMLElement {
  const who = element("span", "pp-who", element("bdi", "", head.speaker));
  const line = element("div", "pp-line-head", who);
  if (ADDRESSED.has(head.role) && head.to && head.to !== head.speaker) who.append(" → ", element("bdi", "", head.to));
  if (head.failed) line.append(element("span", "pp-mark-failed", "✕ failed"));
  else if (head.suspect) line.append(element("span", "pp-mark-suspect", `△ ${said?.suspect || "suspect"}`));
  if (head.running) line.append(element("span", "pp-mark-running", "● running"));
  if (head.repeats) line.append(element("span", "pp-mark-suspect", "↻ said before"));
  if (said?.about) line.append(element("span", "pp-dim pp-about", said.about));
  const side = element("span", "pp-side");
  if (said?.facts) side.append(element("span", "", said.facts));
  if (head.time) side.append(button(head.time, "Go to this moment", around.seek, "pp-moment"));
  line.append(side);
  return line;
}

function* body(head: Head, said: Said, around: Around): Generator<HTMLElement> {
  const text = (cut: Cut, className?: string) => longText(cut, around.more(cut), className);
  if (said.thinking) yield folded("Thinking", "thinking", text(said.thinking, "pp-text pp-thinking"), around);
  if (said.text?.text) {
    const shown = text(said.text);
    yield head.role === "system" ? folded(beginningOf(said.text.text), "text", shown, around) : shown;
  }
  for (const call of said.calls ?? []) yield callElement(call.name, text(call.arguments, "pp-code"));
  if (head.role !== "tool") return;
  const both = element("div", "pp-exchange");
  if (said.arguments?.text) both.append(text(said.arguments, "pp-code"));
  if (said.error) both.append(element("div", "pp-error", text(said.error)));
  else if (said.result) both.append(text(said.result, "pp-code pp-result"));
  if (both.childElementCount > 0) yield both;
}

function callElement(name: string, shown: HTMLElement): HTMLElement {
  return element("div", "pp-asks", element("span", "pp-call-name", `calls ${name}`), shown);
}

function folded(title: string, part: string, inside: HTMLElement, around: Around): HTMLElement {
  const details = element("details", "pp-folds", element("summary", "pp-dim", title), inside);
  details.open = around.isOpen(part);
  details.addEventListener("toggle", () => around.fold(part, details.open));
  return details;
}

function beginningOf(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > 80 ? `${line.slice(0, 80)}…` : line;
}
