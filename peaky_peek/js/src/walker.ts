/** The keyboard in a list: one item has it, and keeps it while it is out of sight. */
import type { VirtualList } from "./virtual";

export interface Walks {
  /** The user went to an item. */
  choose(item: number): void;
  inspect(item: number): void;
  escape(): void;
  focusFilter(): void;
  nextFailure(): void;
}

export class Walker {
  cursor = 0;

  constructor(
    private readonly list: VirtualList,
    private readonly to: Walks,
    /** Keys of this list alone. */
    private readonly more: Record<string, () => void> = {},
  ) {}

  /** Stays where it is, if that is still shown. */
  settle(shown: Int32Array): void {
    if (!shown.includes(this.cursor)) this.cursor = shown[0] ?? 0;
    this.list.kept = shown.length > 0 ? this.cursor : -1;
  }

  goTo(item: number, focus: boolean): void {
    const before = this.list.elementOf(this.cursor);
    if (before) before.tabIndex = -1;
    this.cursor = item;
    this.list.kept = item;
    this.list.reveal(item);
    const made = this.list.elementOf(item);
    if (!made) return;
    made.tabIndex = 0;
    if (focus) made.focus({ preventScroll: true });
  }

  /** To the next of some items, in the order of the list, from the first again after the last. */
  next(items: readonly number[]): void {
    const here = this.list.place(this.cursor);
    const next = items.find((item) => this.list.place(item) > here) ?? items[0];
    if (next !== undefined) this.to.choose(next);
  }

  press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = this.list.place(this.cursor);
    const last = this.list.shown.length - 1;
    const walk = (to: number) => last >= 0 && this.to.choose(this.list.shown[Math.max(0, Math.min(last, to))]);
    const keys: Record<string, () => void> = {
      ...this.more,
      ArrowDown: () => walk(place + 1),
      ArrowUp: () => walk(place - 1),
      Home: () => walk(0),
      End: () => walk(last),
      n: () => this.to.nextFailure(),
      "/": () => this.to.focusFilter(),
      Escape: () => this.to.escape(),
    };
    // A button or a fold does itself what Enter means.
    if (!(event.target as HTMLElement).closest("button, summary")) keys.Enter = () => this.to.inspect(this.cursor);
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }
}
