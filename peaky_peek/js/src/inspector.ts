/** The panel beside the tree that shows the selected step for reading, loaded when it is asked for. */
import { button, element } from "./dom";
import type { More } from "./longtext";
import { type Model, same, type Unsubscribe } from "./model";
import { factList, sectionElement } from "./sections";
import type { Details } from "./wire";

export class Inspector {
  readonly element = element("aside", "pp-inspector");
  readonly #content = element("div", "pp-content");
  #row = -1;
  #waiting = new Set<Unsubscribe>();

  constructor(
    private readonly model: Model,
    private readonly closed: () => void,
    /** Leads to another step. */
    private readonly go: (row: number) => void,
    /** Says why a step came about; null for a step that went well. */
    private readonly why: (row: number) => (() => void) | null = () => null,
  ) {
    this.element.hidden = true;
    this.element.setAttribute("aria-label", "Selected step");
    this.element.tabIndex = -1;
    const close = button("✕", "Close (Escape)", () => this.hide(), "pp-close");
    const copy = button("Copy as Python", "Copy what is selected as Python", () => this.#copy(), "pp-link pp-copy");
    this.element.append(this.#handle(), close, copy, this.#content);
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  show(row: number): void {
    this.element.hidden = false;
    if (row === this.#row) return;
    this.#row = row;
    this.#load();
  }

  hide(): void {
    if (!this.open) return;
    this.element.hidden = true;
    this.closed();
  }

  /** Forgets what is shown, because the rows mean something else now. */
  reset(): void {
    this.#row = -1;
    this.close();
    this.#content.replaceChildren();
    this.element.hidden = true;
  }

  close: Unsubscribe = () => {
    for (const stop of this.#waiting) stop();
    this.#waiting.clear();
  };

  /** Puts the Python for the selection on the clipboard, or shows it where there is none. */
  #copy(): void {
    const show = (text: string) => this.#content.prepend(element("div", "pp-code", text));
    const ended = this.model.fetch(
      { type: "code" },
      ({ facts }) => {
        const said = () => show(facts.code);
        if (navigator.clipboard) navigator.clipboard.writeText(facts.code).then(said, said);
        else said();
      },
      show,
    );
    this.#waiting.add(ended);
  }

  /** The edge towards the tree, which can be dragged. */
  #handle(): HTMLElement {
    const handle = element("div", "pp-handle");
    handle.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener("pointermove", (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const width = this.element.getBoundingClientRect().right - event.clientX;
      this.element.style.setProperty("--pp-width", `${Math.max(200, width)}px`);
    });
    return handle;
  }

  #load(): void {
    this.close();
    const row = this.#row;
    this.#content.classList.add("pp-loading");
    const ended = this.model.ask(
      { type: "details", row },
      (details) => details.row === row,
      (details) => this.#fill(details),
      (sentence) => this.#complain(sentence),
    );
    this.#waiting.add(ended);
  }

  #fill(details: Details): void {
    const why = this.why(this.#row);
    this.#replace(
      element("div", "pp-step", details.title),
      element("div", "pp-dim", details.subtitle),
      ...(why ? [button("Why?", "What led to this", why)] : []),
      factList(details.facts),
      ...details.sections.map((section) => sectionElement(section, this.#more, this.go)),
    );
  }

  #complain(sentence: string): void {
    const retry = button("Retry", "Ask the kernel again", () => this.#load());
    this.#replace(element("div", "pp-problem", sentence), retry);
  }

  #replace(...content: HTMLElement[]): void {
    this.#content.classList.remove("pp-loading");
    this.#content.replaceChildren(...content);
    this.element.scrollTop = 0;
  }

  readonly #more: More = (path, arrived, failed) => {
    const row = this.#row;
    const ended = this.model.ask(
      { type: "more", row, path },
      (whole) => whole.row === row && same(whole.path, path),
      ({ text }) => arrived(text),
      failed,
    );
    this.#waiting.add(ended);
  };
}
