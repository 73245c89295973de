/** What was known at a moment: what is at work, cost so far, the conversation, the state; asked for where the head rests. */
import { turn } from "./conversation";
import { button, element } from "./dom";
import { count } from "./format";
import { jsonTree } from "./json";
import type { More } from "./longtext";
import type { Model, Unsubscribe } from "./model";
import type { Message } from "./wire";

const MESSAGES = 30;
const PAUSE_MS = 120;

interface Facts {
  stack: { row: number; at: number; name: string }[];
  numbers: [string, string][];
  /** How many messages came before those that are here. */
  earlier: number;
  messages: Message[];
  checkpoint: {
    label: string;
    at: number;
    changes: { path: string; kind: string; before?: string; after?: string }[];
    more: number;
    saved: unknown;
  } | null;
}

const SIGNS: Record<string, string> = { added: "+", removed: "−", changed: "~" };

export class MomentPanel {
  readonly element = element("div", "pp-moments");
  readonly #work = element("section", "");
  readonly #said = column("What was said");
  readonly #state = column("State");
  readonly #model: Model;
  readonly #go: (at: number) => void;
  #wanted = -1;
  #shown = -1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asked: Unsubscribe | null = null;
  readonly #waiting = new Set<Unsubscribe>();

  constructor(model: Model, stops: HTMLElement, go: (at: number) => void) {
    this.#model = model;
    this.#go = go;
    const side = column("What is at work");
    side.append(this.#work, stops);
    this.element.append(side, this.#said, this.#state);
  }

  /** Asks for a moment soon; of many in a row only for some, and for the last. */
  show(at: number): void {
    this.#wanted = at;
    if (at !== this.#shown) this.#timer ??= setTimeout(() => this.#ask(MESSAGES), PAUSE_MS);
  }

  /** Asks again, because the session is another one now. */
  reset(): void {
    this.close();
    this.#shown = -1;
  }

  close: Unsubscribe = () => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#asked?.();
    this.#asked = null;
    for (const stop of this.#waiting) stop();
    this.#waiting.clear();
  };

  #ask(messages: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#asked) return; // the answer that is on its way asks for what is wanted then
    const at = this.#wanted;
    const done = (draw: () => void) => {
      this.#asked = null;
      this.#shown = at;
      draw();
      this.show(this.#wanted);
    };
    this.element.classList.add("pp-asking");
    this.#asked = this.#model.fetch(
      { type: "moment", position: at, messages },
      ({ facts }) => done(() => this.#draw(at, facts)),
      (sentence) => done(() => this.#complain(sentence)),
    );
  }

  #draw(at: number, facts: Facts): void {
    this.element.classList.remove("pp-asking");
    const more: More = (path, arrived, failed) => {
      const answered = ({ facts: part }: { facts: { text: string } }) => arrived(part.text);
      this.#waiting.add(this.#model.fetch({ type: "part", position: at, path }, answered, failed));
    };
    const stack = element("ol", "pp-stack");
    for (const step of facts.stack) {
      stack.append(
        element(
          "li",
          "",
          button(step.name, "Go to where it began", () => this.#go(step.at), "pp-link"),
        ),
      );
    }
    const numbers = element("div", "pp-facts");
    for (const [label, text] of facts.numbers)
      numbers.append(element("span", "pp-dim", label), element("bdi", "", text));
    this.#work.replaceChildren(facts.stack.length > 0 ? stack : dim("Nothing is at work."), numbers);

    const turns = facts.messages.map((message) => {
      const made = turn(message, more);
      if (message.new) {
        made.classList.add("pp-new");
        made.querySelector(".pp-role")?.append(element("b", "", "new"));
      }
      return made;
    });
    const earlier = count(facts.earlier, "earlier message");
    const all = () => this.#ask(facts.messages.length + 4 * MESSAGES);
    fill(
      this.#said,
      ...(facts.earlier > 0 ? [button(earlier, `Show ${earlier}`, all, "pp-link")] : []),
      ...(turns.length > 0 ? turns : [dim("Nothing was said yet.")]),
    );
    this.#said.scrollTop = this.#said.scrollHeight;
    fill(this.#state, ...(facts.checkpoint ? this.#checkpoint(facts.checkpoint, more) : [dim("No checkpoint yet.")]));
  }

  *#checkpoint(saved: NonNullable<Facts["checkpoint"]>, more: More): Generator<HTMLElement> {
    yield button(`⚑ ${saved.label}`, "Go to this checkpoint", () => this.#go(saved.at), "pp-link");
    for (const { path, kind, before, after } of saved.changes) {
      const line = element("div", "pp-change", element("b", "", SIGNS[kind]), " ", element("span", "pp-key", path));
      line.dataset.kind = kind;
      line.title = kind;
      line.append(" ");
      if (before !== undefined) line.append(element("del", "", before));
      if (kind === "changed") line.append(" → ");
      if (after !== undefined) line.append(element("ins", "", after));
      yield line;
    }
    if (saved.more > 0) yield dim(`… ${count(saved.more, "more change")}`);
    yield jsonTree(saved.saved, more);
  }

  #complain(sentence: string): void {
    this.element.classList.remove("pp-asking");
    const retry = button("Retry", "Ask the kernel again", () => this.#ask(MESSAGES));
    this.#work.replaceChildren(element("div", "pp-problem", sentence), retry);
    fill(this.#said);
    fill(this.#state);
  }
}

function column(title: string): HTMLElement {
  const made = element("section", "pp-column", element("h3", "", title));
  made.tabIndex = 0;
  made.setAttribute("aria-label", title);
  return made;
}

function fill(column: HTMLElement, ...content: HTMLElement[]): void {
  column.replaceChildren(column.children[0], ...content);
}

function dim(text: string): HTMLElement {
  return element("div", "pp-dim", text);
}
