/** The lines above a view: what the session was and how it ended, the filter, and the buttons. */
import { tool } from "./buttons";
import { element } from "./dom";
import { count } from "./format";
import type { Title } from "./model";

export interface Actions {
  /** Shows all below the headline, or hides it. */
  fold(): void;
  /** The user typed a query. */
  query(text: string): void;
  /** The user is done with the filter and goes back to the view. */
  leave(): void;
  refresh(): void;
  /** The user says how the session was; null takes it back. */
  label(outcome: string | null): void;
  nextFailure(): void;
  /** Shows why the run went wrong, or hides it. */
  why(): void;
}

const TYPING_MS = 200;

const STATUS = { completed: "✓", failed: "✕", running: "●", interrupted: "■" };

export class Toolbar {
  readonly element = element("div", "pp-head");
  readonly #title = element("div", "pp-title");
  readonly #input = element("input", "pp-filter");
  readonly #matches = element("span", "pp-matches");
  readonly #note = element("div", "pp-note");
  readonly #fold: HTMLButtonElement;
  readonly #refresh: HTMLButtonElement;
  readonly #failures: HTMLButtonElement;
  readonly #failed = element("span", "");
  readonly #labels = new Map([
    ["pass", tool("pass", "This run was good", () => {})],
    ["fail", tool("fail", "This run was bad", () => {})],
  ]);
  readonly #why: HTMLButtonElement;
  #typing: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly actions: Actions,
    /** The view's own buttons. */
    own: readonly HTMLElement[],
    /** Whether there is a kernel to say how the session was. */
    private readonly labelled: boolean,
  ) {
    this.#fold = tool("fold", "The steps of this session", actions.fold);
    this.#fold.classList.add("pp-fold");
    this.#title.addEventListener("click", () => {
      if (this.#fold.ariaExpanded === "false") actions.fold();
    });
    this.#refresh = tool("refresh", "Show what happened since", actions.refresh);
    this.#failures = tool("failure", "Next failure (n)", actions.nextFailure);
    this.#failures.classList.add("pp-failures");
    this.#failures.append(this.#failed);
    this.#failures.hidden = true;
    this.#why = tool("why", "Why did it go wrong?", actions.why);
    this.#why.classList.add("pp-ask");
    this.#why.append(element("span", "", "Why"));
    this.#why.ariaExpanded = "false";
    this.#why.hidden = true;
    this.#input.type = "search";
    this.#input.spellcheck = false;
    this.#input.title = 'Words, "phrases", type: tool: agent: status: duration:>2s cost:>0.01 failed suspect';
    this.#input.setAttribute("aria-label", "Filter the steps");
    this.#input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => actions.query(this.#input.value.trim()), this.#input.value ? TYPING_MS : 0);
    });
    this.#input.addEventListener("keydown", (event) => this.#onKey(event));
    this.#note.setAttribute("role", "status");
    this.#note.hidden = true;
    const tools = element(
      "div",
      "pp-tools",
      element("div", "pp-filter-box", this.#input, this.#matches),
      this.#refresh,
      this.#failures,
      this.#why,
      ...own,
    );
    for (const [outcome, label] of this.#labels) {
      label.addEventListener("click", () => actions.label(label.ariaPressed === "true" ? null : outcome));
    }
    const headline = element(
      "div",
      "pp-headline",
      this.#fold,
      this.#title,
      element("div", "pp-group", ...this.#labels.values()),
    );
    this.element.append(element("div", "pp-bar", headline, tools), this.#note);
  }

  setTitle({ name, status, facts = [], box = "Filter", outcome }: Title): void {
    this.#title.replaceChildren();
    this.#refresh.hidden = status !== "running";
    this.#input.placeholder = `${box}  /`;
    for (const [name, label] of this.#labels) {
      label.hidden = outcome === undefined || !this.labelled;
      label.ariaPressed = String(outcome === name);
    }
    if (status) {
      // A run that came to its end did not do its task for that: what somebody said of it stands first.
      const shown = outcome === "fail" ? "failed" : status;
      const mark = STATUS[shown as keyof typeof STATUS] ?? "";
      const badge = element("span", "pp-badge", `${mark} ${outcome ? `${status} · ${outcome}` : status}`.trim());
      badge.dataset.status = shown;
      this.#title.append(badge);
    }
    if (name) this.#title.append(element("strong", "pp-name", element("bdi", "", name)));
    // Lines break between facts, never inside one.
    const rest = facts.filter((fact) => !outcome || fact !== `outcome: ${outcome}`);
    const whole = rest.map((fact) => fact.replaceAll(" ", "\u00a0"));
    const line = element("span", "pp-facts-line", whole.join("\u00a0· "));
    line.title = rest.join(" · ");
    this.#title.append(line);
  }

  setExpanded(expanded: boolean): void {
    this.#fold.ariaExpanded = String(expanded);
  }

  setFailures(n: number): void {
    this.#failures.hidden = n === 0;
    this.#failed.textContent = count(n);
  }

  /** Offers to say why, or not; `open` while that is shown. */
  setWhy(offered: boolean, open: boolean): void {
    this.#why.hidden = !offered;
    this.#why.ariaExpanded = String(open);
  }

  /** Shows the query in the input, unless the user is typing there. */
  setQuery(text: string): void {
    if (!this.#input.matches(":focus") && this.#input.value !== text) this.#input.value = text;
  }

  setMatches(text: string): void {
    this.#matches.textContent = text;
  }

  /** Shows one sentence below the title, or takes it away. */
  say(sentence: string, problem = false): void {
    this.#note.hidden = sentence === "";
    this.#note.classList.toggle("pp-problem", problem);
    this.#note.replaceChildren(element("span", "", sentence));
  }

  enable(live: boolean): void {
    this.#input.disabled = !live;
  }

  focusFilter(): void {
    this.#input.focus();
    this.#input.select();
  }

  close(): void {
    clearTimeout(this.#typing);
  }

  #onKey(event: KeyboardEvent): void {
    event.stopPropagation();
    if (event.key === "Escape") {
      event.preventDefault();
      clearTimeout(this.#typing);
      if (this.#input.value) {
        this.#input.value = "";
        this.actions.query("");
      } else this.actions.leave();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      this.actions.leave();
    }
  }
}
