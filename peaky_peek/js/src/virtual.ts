/** A list of any length and any heights: what is in sight is in the page, the rest is room that is left for it. */
import { element } from "./dom";
import { Heights } from "./heights";
import type { Unsubscribe } from "./model";

const MARGIN = 200;

export interface Drawing {
  /** Makes what stands at an index of the list. */
  make(item: number): HTMLElement;
  estimate(item: number): number;
  painted(): void;
}

export class VirtualList {
  readonly element = element("div", "");
  /** Milliseconds each of the last paints took. */
  readonly frameTimes: number[] = [];
  /** The items that are shown, in order. */
  shown: Int32Array = new Int32Array(0);
  heights = new Heights([]);
  /** An item that stays in the page, because the keyboard is there. */
  kept = -1;
  private readonly room = element("div", "pp-room");
  private readonly made = new Map<number, HTMLElement>();
  private placeOf = new Map<number, number>();
  private readonly observer: ResizeObserver;
  private frame = 0;

  constructor(private readonly drawing: Drawing) {
    this.element.append(this.room);
    this.element.tabIndex = -1;
    this.element.addEventListener("scroll", () => this.invalidate(), { passive: true });
    this.observer = new ResizeObserver(() => this.invalidate());
    this.observer.observe(this.element);
  }

  /** Shows these items and no others. */
  show(items: Int32Array): void {
    const isFocused = this.element.contains(document.activeElement);
    this.shown = items;
    this.placeOf = new Map(Array.from(items, (item, place) => [item, place]));
    this.heights = new Heights(Float64Array.from(items, (item) => this.drawing.estimate(item)));
    this.clear();
    this.draw();
    // The keys go on working when what had the focus is no longer shown.
    if (isFocused) (this.made.get(this.kept) ?? this.element).focus({ preventScroll: true });
  }

  place(item: number): number {
    return this.placeOf.get(item) ?? -1;
  }

  /** What stands in the page for an item, if it is there. */
  elementOf(item: number): HTMLElement | null {
    return this.made.get(item) ?? null;
  }

  /** The items that are in the page. */
  get inPage(): number[] {
    return [...this.made.keys()];
  }

  /** Makes an item anew, because there is more to show of it. */
  update(item: number): void {
    const old = this.made.get(item);
    if (!old) return;
    const fresh = this.add(item);
    const focused = old.contains(document.activeElement);
    old.replaceWith(fresh);
    this.observer.unobserve(old);
    if (focused) fresh.focus({ preventScroll: true });
    this.invalidate();
  }

  /** Scrolls as little as needed, but centres what was far away. */
  reveal(item: number): void {
    const place = this.place(item);
    if (place < 0) return;
    const { scrollTop, clientHeight } = this.element;
    const top = this.heights.top(place);
    const height = this.heights.of(place);
    const isFar = top > scrollTop + 2 * clientHeight || top + height < scrollTop - clientHeight;
    if (isFar) this.element.scrollTop = top - clientHeight / 3;
    else if (top < scrollTop) this.element.scrollTop = top;
    else if (top + height > scrollTop + clientHeight)
      this.element.scrollTop = Math.min(top, top + height - clientHeight);
    this.draw();
  }

  invalidate(): void {
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const started = performance.now();
    const { element: box, heights } = this;
    this.room.style.height = `${heights.total}px`;
    for (let again = 0; again < 4 && heights.count > 0 && this.settle(box.scrollTop, box.clientHeight); again++);
    if (this.frameTimes.push(performance.now() - started) > 600) this.frameTimes.shift();
    this.drawing.painted();
  }

  close: Unsubscribe = () => {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
  };

  /** Makes what is in sight, and measures it. Returns whether that moved anything. */
  private settle(top: number, height: number): boolean {
    const { heights } = this;
    const anchor = heights.at(top);
    const offset = top - heights.top(anchor);
    const [first, last] = [heights.at(Math.max(0, top - MARGIN)), heights.at(top + height + MARGIN)];
    for (const [item, old] of this.made) {
      const place = this.place(item);
      if ((place >= first && place <= last) || item === this.kept) continue;
      this.observer.unobserve(old);
      old.remove();
      this.made.delete(item);
    }
    for (let place = first; place <= last; place++) {
      const item = this.shown[place];
      if (!this.made.has(item)) this.room.append(this.add(item));
    }
    let moved = false;
    for (const [item, made] of this.made) {
      const place = this.place(item);
      const real = made.offsetHeight;
      if (real > 0 && Math.abs(real - heights.of(place)) > 0.5) {
        heights.set(place, real);
        moved = true;
      }
    }
    this.room.style.height = `${heights.total}px`;
    for (const [item, made] of this.made) made.style.top = `${heights.top(this.place(item))}px`;
    // What one reads stays where it is when what is above turns out to be higher.
    const wanted = heights.top(anchor) + offset;
    if (moved && top > 0 && Math.abs(wanted - top) > 0.5) this.element.scrollTop = wanted;
    return moved;
  }

  private add(item: number): HTMLElement {
    const made = this.drawing.make(item);
    made.classList.add("pp-item");
    this.made.set(item, made);
    this.observer.observe(made);
    return made;
  }

  private clear(): void {
    for (const made of this.made.values()) {
      this.observer.unobserve(made);
      made.remove();
    }
    this.made.clear();
  }
}
