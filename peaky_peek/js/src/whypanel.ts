/** The failure card above a view, behind its Why button. */
import { Card } from "./card";
import { button, element } from "./dom";
import type { Model, Unsubscribe } from "./model";

export interface Around {
  readonly model: Model;
  /** The user wants to see a step in the view. */
  select(row: number): void;
  inspect(row: number): void;
  /** It was opened, or closed: then the keyboard goes back to the view. */
  opened(open: boolean): void;
}

export class WhyPanel {
  readonly element = element("div", "pp-panel");
  #card: Card | null = null;

  constructor(private readonly around: Around) {
    this.element.hidden = true;
    this.element.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.hide();
    });
  }

  get open(): boolean {
    return !this.element.hidden;
  }

  /** Asks why the run went wrong or, of one step, what led to it. */
  ask(row?: number): void {
    const card = this.#made();
    this.element.hidden = false;
    card.ask(this.around.model, row, () => this.hide());
    card.focus();
    this.around.opened(true);
  }

  hide(): void {
    this.#card?.cancel();
    this.element.hidden = true;
    this.around.opened(false);
  }

  select(rows: readonly number[]): void {
    this.#card?.select(rows);
  }

  close: Unsubscribe = () => this.#card?.cancel();

  #made(): Card {
    if (this.#card) return this.#card;
    const { select, inspect } = this.around;
    this.#card = new Card({ select, inspect });
    this.element.append(
      button("✕", "Close (Escape)", () => this.hide(), "pp-close"),
      this.#card.element,
    );
    return this.#card;
  }
}
