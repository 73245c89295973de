/** The failure card as a view of its own. */
import { Card, type Facts } from "./card";
import { element } from "./dom";
import type { Host, View } from "./shell";
import type { Columns } from "./wire";

export class WhyView implements View {
  readonly element: HTMLElement;
  readonly buttons: HTMLElement[] = [];
  readonly failures = 0;
  readonly frameTimes: number[] = [];
  private readonly card: Card;
  private readonly ends: (() => void)[] = [];

  constructor(private readonly host: Host) {
    this.card = new Card({
      select: (row) => {
        this.card.select([row]);
        host.selected([row]);
      },
      inspect: (row) => host.inspect(row),
    });
    this.element = element("div", "pp-why", this.card.element);
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.ends.push(host.model.onChange("_card", () => this.draw()));
  }

  get naturalHeight(): number {
    return this.element.scrollHeight;
  }

  get visibleRows(): number {
    return this.element.querySelectorAll(".pp-event").length;
  }

  show(columns: Columns): void {
    if (columns.rows > 0) this.draw();
  }

  select(rows: readonly number[]): void {
    this.card.select(rows);
    const place = rows.length > 0 ? this.card.place(rows[0]) : null;
    if (place?.checkVisibility()) place.scrollIntoView({ block: "nearest" });
  }

  filter(): void {}

  nextFailure(): void {}

  recolour(): void {}

  invalidate(): void {}

  focus(): void {
    this.card.focus();
  }

  rowRect(row: number): DOMRect | null {
    const place = this.card.place(row);
    return place?.checkVisibility() ? place.getBoundingClientRect() : null;
  }

  close(): void {
    this.card.cancel();
    for (const end of this.ends) end();
  }

  /** The card is saved with the notebook, so that it is there without a kernel too. */
  private draw(): void {
    const facts = this.host.model.get("_card") as Facts | undefined;
    if (facts?.state) this.card.show(facts);
    else this.card.ask(this.host.model);
    requestAnimationFrame(() => this.host.painted());
  }

  private onKey(event: KeyboardEvent): void {
    if (event.key === "Escape") this.host.escape();
    else if (event.key === "/") this.host.focusFilter();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
