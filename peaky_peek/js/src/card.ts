/** The failure card: why a run went wrong, with a button for every event that says so, whichever view it stands in. */
import "./card.css";
import { button, element } from "./dom";
import { count } from "./format";
import type { Model, OwnRequest, Unsubscribe } from "./model";

/** An event as the card shows it; `row` is that of its step. */
export interface Shown {
  row: number;
  family: string;
  icon: string;
  type: string;
  name: string;
  says: string;
}

export interface Cause {
  mechanism: string;
  confidence: string;
  event: Shown;
  because: Shown[];
  against: string;
  next: string;
  way: Shown[];
}

/** What the kernel answers; `widgets/_why.py` says when which. */
export type Facts =
  | { state: "clear"; says: string; events: Shown[] }
  | { state: "answer"; symptom: Shown; causes: Cause[]; others: number }
  | { state: "unknown"; symptom: Shown; missing: string[] }
  | { state: "not found"; says: string };

export interface Actions {
  /** The user wants to see an event elsewhere: its step is selected. */
  select(row: number): void;
  /** The user wants to read it. */
  inspect(row: number): void;
}

export class Card {
  readonly element = element("section", "pp-card");
  #selected: ReadonlySet<number> = new Set();
  #stop: Unsubscribe | null = null;

  constructor(private readonly actions: Actions) {
    this.element.setAttribute("aria-label", "Why");
    this.element.setAttribute("aria-live", "polite");
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /** Asks the kernel, about one step or all of them; until it answers, the question can be taken back. */
  ask(model: Model, row?: number, cancelled?: () => void): void {
    this.cancel();
    const request: OwnRequest = row === undefined ? { type: "why" } : { type: "why", row };
    const again = () => this.ask(model, row, cancelled);
    const cancel = () => {
      this.cancel();
      this.#state("idle", element("p", "pp-dim", "Not looked for."), button("Why?", "Look for causes", again));
      cancelled?.();
    };
    this.#state("working", element("p", "", "Looking for causes…"), button("Cancel", "Stop looking", cancel));
    this.#stop = model.fetch(
      request,
      (reply) => this.show(reply.facts as unknown as Facts),
      (sentence) => this.fail(sentence, again),
    );
  }

  show(facts: Facts): void {
    this.cancel();
    if (facts.state === "clear") {
      const events = facts.events.map((one) => this.#event(one));
      this.#state("clear", element("p", "pp-verdict", facts.says), ...events);
    } else if (facts.state === "not found") this.#state("not found", element("p", "pp-problem", facts.says));
    else if (facts.state === "unknown") {
      const missing = facts.missing.map((what) => element("li", "", what));
      this.#state(
        "unknown",
        this.#symptom(facts.symptom),
        element("p", "pp-verdict", "Nothing recorded tells why. What would:"),
        element("ul", "pp-missing", ...missing),
      );
    } else {
      const others =
        facts.others > 0 ? [element("p", "pp-dim", `${count(facts.others, "weaker cause")} in .frame`)] : [];
      const causes = facts.causes.map((cause, at) => this.#cause(cause, at));
      this.#state("answer", this.#symptom(facts.symptom), ...causes, ...others);
    }
    this.#mark();
  }

  fail(sentence: string, again: () => void): void {
    this.#state("failed", element("p", "pp-problem", sentence), button("Retry", "Look for causes again", again));
  }

  select(rows: readonly number[]): void {
    this.#selected = new Set(rows);
    this.#mark();
  }

  focus(): void {
    this.#stops()[0]?.focus();
  }

  /** The first place where a row is named, or null. */
  place(row: number): HTMLElement | null {
    return this.element.querySelector(`[data-row="${row}"]`);
  }

  cancel(): void {
    this.#stop?.();
    this.#stop = null;
  }

  #state(name: string, ...content: HTMLElement[]): void {
    this.element.dataset.state = name;
    this.element.setAttribute("aria-busy", String(name === "working"));
    this.element.replaceChildren(...content);
  }

  #symptom(shown: Shown): HTMLElement {
    return element("div", "pp-symptom", element("span", "pp-label", "Symptom"), this.#event(shown));
  }

  #cause(cause: Cause, at: number): HTMLElement {
    const [sure] = cause.confidence.split(/[: ]/);
    const chip = element(
      "span",
      "pp-sure",
      sure === "low" || sure === "medium" || sure === "high" ? `${sure} confidence` : cause.confidence,
    );
    chip.dataset.sure = sure;
    const head = element(
      "summary",
      "pp-cause-head",
      element("span", "pp-rank", String(at + 1)),
      element("strong", "", cause.mechanism),
      element("bdi", "pp-cause-name", `at ${cause.event.name}`),
      chip,
    );
    const fact = (label: string, ...content: HTMLElement[]) =>
      element("div", "pp-fact", element("span", "pp-label", label), element("div", "pp-said", ...content));
    const facts = [
      fact("Because", ...cause.because.map((one) => this.#event(one))),
      fact("Against", element("p", "", cause.against)),
      fact("Next", element("p", "", cause.next)),
    ];
    if (cause.confidence !== sure) facts.push(fact("How sure", element("p", "", cause.confidence)));
    if (cause.way.length > 1) facts.push(fact("Way", this.#way(cause.way)));
    const made = element("details", "pp-cause", head, ...facts);
    made.open = at === 0;
    return made;
  }

  /** From the cause to the symptom, one small button for each step. */
  #way(way: Shown[]): HTMLElement {
    return element("div", "pp-way", ...way.map((one) => this.#event({ ...one, says: "" })));
  }

  #event(shown: Shown): HTMLElement {
    const icon = element("span", "pp-icon", shown.icon);
    icon.setAttribute("aria-hidden", "true");
    const made = element("button", "pp-event", icon, element("bdi", "pp-event-name", shown.name));
    if (shown.says) made.append(element("span", "pp-says", shown.says));
    made.type = "button";
    made.dataset.row = String(shown.row);
    made.title = `Select this ${shown.type}; press again to read it`;
    made.style.setProperty("--pp-family", `var(--pp-${shown.family})`);
    made.addEventListener("click", () => {
      if (made.ariaPressed === "true") this.actions.inspect(shown.row);
      else this.actions.select(shown.row);
    });
    return made;
  }

  #mark(): void {
    for (const made of this.element.querySelectorAll<HTMLElement>(".pp-event")) {
      made.ariaPressed = String(this.#selected.has(Number(made.dataset.row)));
    }
  }

  #stops(): HTMLElement[] {
    const all = this.element.querySelectorAll<HTMLElement>("summary, button");
    return [...all].filter((one) => one.checkVisibility());
  }

  /** The arrows walk from event to event. */
  #onKey(event: KeyboardEvent): void {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    const stops = this.#stops();
    const here = stops.indexOf(document.activeElement as HTMLElement);
    stops[Math.max(0, Math.min(stops.length - 1, here + step))]?.focus();
    event.preventDefault();
    event.stopPropagation();
  }
}
