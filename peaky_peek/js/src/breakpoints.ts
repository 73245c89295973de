/** Where the replay stops: each breakpoint with its hits, and a line to add one. */
import { button, element } from "./dom";
import { count } from "./format";

export interface Stop {
  text: string;
  hits: number;
  /** What went wrong in a function of the user's. */
  problem: string;
}

export class Breakpoints {
  readonly element = element("section", "pp-stops");
  readonly #list = element("ul", "");
  readonly #input = element("input", "pp-filter");

  constructor(
    readonly add: (text: string) => void,
    readonly remove: (number: number) => void,
  ) {
    this.#input.placeholder = "Stop at…";
    this.#input.spellcheck = false;
    this.#input.title = 'A query such as  tool:refund failed hit >= 2  or  changed("state.cart")';
    this.#input.setAttribute("aria-label", "Add a breakpoint: a query");
    this.#input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      const text = this.#input.value.trim();
      if (event.key !== "Enter" || !text) return;
      this.#input.value = "";
      add(text);
    });
    this.element.append(element("h3", "", "Breakpoints"), this.#list, this.#input);
  }

  show(stops: readonly Stop[]): void {
    this.#list.replaceChildren(
      ...stops.map(({ text, hits, problem }, number) => {
        const item = element("li", "", element("code", "", text), element("span", "pp-dim", count(hits, "hit")));
        item.append(button("✕", `Remove the breakpoint ${text}`, () => this.remove(number), "pp-remove"));
        if (problem) item.append(element("div", "pp-problem", problem));
        return item;
      }),
    );
  }
}
