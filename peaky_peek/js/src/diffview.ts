/** Two sessions as one list: what is equal folded away, where they part marked, what differs a key apart. */
import { group, tool } from "./buttons";
import { type Aligned, aligned, type Fold, folds, SIGNS, savedAligned, WORDS } from "./diffdata";
import { diffHead } from "./diffhead";
import { element } from "./dom";
import { count } from "./format";
import { glyph } from "./glyphs";
import type { Packed } from "./packed";
import type { Host, View } from "./shell";
import { oneLine } from "./text";
import { VirtualList } from "./virtual";
import { typeLabel } from "./vocabulary";
import { type Columns, FAILED } from "./wire";

const ROW = 23;
const STEP = 12;
const DEEPEST = 8;

export class DiffView implements View {
  readonly element = element("div", "pp-diff");
  readonly buttons = [
    group(
      tool("before", "Previous difference (p)", () => this.toDifference(-1)),
      tool("after", "Next difference (n)", () => this.toDifference(1)),
      tool("expand", "Show equal steps", () => this.openAll()),
    ),
  ];
  readonly failures = 0;
  private readonly above = element("div", "pp-diff-head");
  private readonly list: VirtualList;
  private readonly none = element("div", "pp-dim pp-none");
  private readonly id = `pp-${Math.random().toString(36).slice(2)}`;
  private columns: Columns | null = null;
  private rows: Aligned | null = null;
  private preview: (row: number) => string = () => "";
  private folded: Fold[] = [];
  private opened = new Set<number>();
  private mask: Uint8Array | null = null;
  private selected = new Set<number>();
  private cursor = 0;
  private anchor = 0;

  constructor(private readonly host: Host) {
    this.list = new VirtualList({
      make: (item) => this.make(item),
      estimate: () => ROW,
      painted: () => this.painted(),
    });
    const box = this.list.element;
    box.className = "pp-diff-rows";
    box.tabIndex = 0;
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", "Steps of both sessions");
    box.setAttribute("aria-multiselectable", "true");
    box.append(this.none);
    box.addEventListener("keydown", (event) => this.onKey(event));
    box.addEventListener("click", (event) => this.onClick(event));
    this.element.append(this.above, box);
  }

  /** Its rows and what stands above them. */
  get naturalHeight(): number {
    return Math.max(60, this.list.heights.total + 4);
  }

  get selectedRows(): ReadonlySet<number> {
    return this.selected;
  }

  get frameTimes(): number[] {
    return this.list.frameTimes;
  }

  get visibleRows(): number {
    return this.list.shown.length;
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.columns = columns;
    this.preview = preview;
    this.mask = null;
    this.opened.clear();
    this.cursor = 0;
    this.use(savedAligned(columns));
  }

  receive(packed: Packed): void {
    if (packed.kind !== "diff" || !this.columns) return;
    this.use(aligned(packed));
    const parting = this.rows?.facts.parting;
    if (parting && this.selected.size === 0) this.goTo(parting.row);
  }

  select(rows: readonly number[]): void {
    if (rows.length === this.selected.size && rows.every((row) => this.selected.has(row))) return;
    this.selected = new Set(rows);
    const [first] = rows;
    if (first !== undefined) this.goTo(first);
    this.mark();
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask?.length === this.columns?.rows ? mask : null;
    this.display();
  }

  nextFailure(): void {}

  recolour(): void {
    this.list.invalidate();
  }

  invalidate(): void {
    for (const item of this.list.inPage) if (item < this.n) this.list.update(item);
  }

  focus(): void {
    this.list.element.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const rect = this.list.elementOf(row)?.getBoundingClientRect();
    const box = this.list.element.getBoundingClientRect();
    return rect && rect.bottom > box.top && rect.top < box.bottom ? rect : null;
  }

  close(): void {
    this.list.close();
  }

  /** What is in the page needs its previews, also when a frame came before they were asked for. */
  private painted(): void {
    for (const item of this.list.inPage) if (item < this.n) this.preview(item);
    this.host.painted();
  }

  private get n(): number {
    return this.columns?.rows ?? 0;
  }

  private use(rows: Aligned): void {
    this.rows = rows;
    this.folded = folds(rows.op, new Set(rows.facts.parting ? [rows.facts.parting.row] : []));
    const live = rows.facts.a !== "";
    this.above.hidden = !live;
    this.above.replaceChildren(...(live ? diffHead(rows.facts, (row) => this.visit(row)) : []));
    this.display();
  }

  /** Rows are themselves; folds are numbered after the last row. */
  private display(): void {
    const { mask, n } = this;
    const items: number[] = [];
    if (mask) {
      for (let row = 0; row < n; row++) if (mask[row] === 1) items.push(row);
    } else {
      let row = 0;
      this.folded.forEach(({ from, to }, number) => {
        while (row < from) items.push(row++);
        if (this.opened.has(number)) return;
        items.push(n + number);
        row = to;
      });
      while (row < n) items.push(row++);
    }
    const shown = Int32Array.from(items);
    this.none.hidden = items.length > 0;
    this.none.textContent = "No step matches the filter.";
    if (!shown.includes(this.cursor)) this.cursor = shown[0] ?? 0;
    this.list.show(shown);
    this.host.resized();
  }

  private make(item: number): HTMLElement {
    return item >= this.n ? this.fold(item) : this.row(item);
  }

  private fold(item: number): HTMLElement {
    const { from, to } = this.folded[item - this.n];
    const made = element("div", "pp-folded-rows", `… ${count(to - from, "equal step")}`);
    return this.option(made, item, `${count(to - from, "equal step")}, folded`);
  }

  private row(row: number): HTMLElement {
    const { columns, rows } = this;
    if (!columns || !rows) return element("div", "");
    const op = rows.op[row];
    const failed = (columns.flags[row] & FAILED) !== 0;
    const name = oneLine(columns.name(row));
    const number = (value: number) => element("span", "pp-number-of", value ? value.toLocaleString("en-US") : "");
    const what = element(
      "span",
      "pp-diff-name",
      glyph(columns, row),
      element("bdi", "", name),
      ...(failed ? [" ✕"] : []),
    );
    what.style.paddingLeft = `${Math.min(DEEPEST, rows.depth[row]) * STEP}px`;
    const told = [this.preview(row), rows.note(row)].filter(Boolean).join(" · ");
    const made = element(
      "div",
      "pp-diff-row",
      element("span", "pp-sign", SIGNS[op]),
      number(rows.a[row]),
      number(rows.b[row]),
      what,
      element("bdi", "pp-told", oneLine(told)),
    );
    made.dataset.op = String(op);
    made.classList.toggle("pp-turned", rows.diverges[row] === 1);
    const parting = rows.facts.parting;
    if (parting?.row === row) {
      made.classList.add("pp-parts");
      made.append(element("span", "pp-parts-here", parting.lasting ? "they part here" : "a detour begins"));
    }
    const steps = [rows.a[row] ? `step ${rows.a[row]} of a` : "", rows.b[row] ? `step ${rows.b[row]} of b` : ""];
    const label = [name, typeLabel(columns.kind[row]), WORDS[op], failed ? "failed" : "", ...steps, oneLine(told)];
    return this.option(made, row, label.filter(Boolean).join(", "));
  }

  private option(made: HTMLElement, item: number, label: string): HTMLElement {
    made.id = `${this.id}-${item}`;
    made.dataset.item = String(item);
    made.setAttribute("role", "option");
    made.ariaLabel = label;
    made.ariaSelected = String(this.selected.has(item));
    made.classList.toggle("pp-cursor", item === this.cursor);
    return made;
  }

  /** Shows in the page what is selected, and where the keyboard is. */
  private mark(): void {
    for (const item of this.list.inPage) {
      const made = this.list.elementOf(item);
      if (!made) continue;
      made.ariaSelected = String(this.selected.has(item));
      made.classList.toggle("pp-cursor", item === this.cursor);
    }
    this.list.element.setAttribute("aria-activedescendant", `${this.id}-${this.cursor}`);
  }

  private goTo(item: number): void {
    const number = this.folded.findIndex(({ from, to }) => item >= from && item < to);
    if (number >= 0 && item < this.n && this.list.place(item) < 0) {
      this.opened.add(number);
      this.display();
    }
    if (this.list.place(item) < 0) return;
    this.cursor = item;
    this.list.reveal(item);
    this.mark();
  }

  private visit(row: number): void {
    this.goTo(row);
    this.choose([row], row);
    this.focus();
  }

  private choose(rows: number[], cursor: number): void {
    this.selected = new Set(rows.filter((row) => row < this.n));
    this.cursor = cursor;
    this.mark();
    this.host.selected([...this.selected]);
  }

  private open(item: number): void {
    if (item < this.n) {
      this.host.inspect(item);
      return;
    }
    const { from } = this.folded[item - this.n];
    this.opened.add(item - this.n);
    this.display();
    this.goTo(from);
  }

  private openAll(): void {
    this.opened = new Set(this.folded.keys());
    this.display();
    this.goTo(this.cursor);
  }

  /** Goes to where the next stretch of differences begins. */
  private toDifference(step: 1 | -1): void {
    const { rows, n } = this;
    if (!rows) return;
    const differs = (row: number) => row >= 0 && row < n && rows.op[row] !== 0;
    const begins = (row: number) => differs(row) && !differs(row - 1);
    let row = Math.min(this.cursor, n - 1) + step;
    while (row >= 0 && row < n && !begins(row)) row += step;
    if (row >= 0 && row < n) this.visit(row);
  }

  private between(one: number, other: number): number[] {
    const places = [this.list.place(one), this.list.place(other)].sort((a, b) => a - b);
    return [...this.list.shown.subarray(Math.max(0, places[0]), places[1] + 1)];
  }

  private onClick(event: MouseEvent): void {
    const at = (event.target as HTMLElement).closest<HTMLElement>("[data-item]");
    if (!at) return;
    const item = Number(at.dataset.item);
    if (item >= this.n) {
      this.open(item);
      return;
    }
    const adds = event.ctrlKey || event.metaKey;
    if (event.shiftKey) this.choose(this.between(this.anchor, item), item);
    else if (adds)
      this.choose(
        this.selected.has(item) ? [...this.selected].filter((row) => row !== item) : [...this.selected, item],
        item,
      );
    else this.choose([item], item);
    if (!event.shiftKey) this.anchor = item;
    if (!event.shiftKey && !adds) this.host.inspect(item);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { shown } = this.list;
    const place = this.list.place(this.cursor);
    const page = Math.max(1, Math.floor(this.list.element.clientHeight / ROW) - 1);
    const walk = (to: number) => {
      const item = shown[Math.min(shown.length - 1, Math.max(0, to))];
      if (item === undefined) return;
      this.goTo(item);
      if (!event.shiftKey) this.anchor = item;
      this.choose(event.shiftKey ? this.between(this.anchor, item) : [item], item);
    };
    const keys: Record<string, () => void> = {
      ArrowDown: () => walk(place + 1),
      ArrowUp: () => walk(place - 1),
      PageDown: () => walk(place + page),
      PageUp: () => walk(place - page),
      Home: () => walk(0),
      End: () => walk(shown.length - 1),
      ArrowRight: () => this.cursor >= this.n && this.open(this.cursor),
      Enter: () => this.open(this.cursor),
      n: () => this.toDifference(1),
      p: () => this.toDifference(-1),
      d: () => this.rows?.facts.parting && this.visit(this.rows.facts.parting.row),
      "/": () => this.host.focusFilter(),
      Escape: () => this.host.escape(),
    };
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (!act) return;
    act();
    event.preventDefault();
    event.stopPropagation();
  }
}
