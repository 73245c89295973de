/** The safety trail: a table of actions with their verdicts, narrowed by what was said about them. */
import { actionElement, COLUMNS, type Evidence, type Told } from "./action";
import { Blocks } from "./blocks";
import { button, element } from "./dom";
import { count, duration } from "./format";
import type { Numbers, Packed } from "./packed";
import type { Host, View } from "./shell";
import { oneLine } from "./text";
import type { Theme } from "./theme";
import { VirtualList } from "./virtual";
import { typeLabel } from "./vocabulary";
import { Walker } from "./walker";
import { type Columns, FAILED, isWithin, SAVED } from "./wire";

const ROW = 30;

interface Trail {
  columns: Record<string, Numbers>;
  words: Record<"verdict" | "check" | "outcome" | "effect", string[]>;
}

type Kind = "all" | "checks" | "refusals" | "violations" | "unchecked";
const KINDS: readonly Kind[] = ["all", "checks", "refusals", "violations", "unchecked"];

export class TrailView implements View {
  readonly element = element("div", "pp-trail");
  readonly buttons: HTMLElement[] = [];
  private readonly list: VirtualList;
  private readonly texts: Blocks<Told>;
  private readonly walker: Walker;
  private readonly none = element("div", "pp-dim pp-none");
  private readonly chips = new Map<Kind, HTMLButtonElement>();
  private columns: Columns | null = null;
  private trail: Trail | null = null;
  private saved: ((row: number) => string) | null = null;
  private mask: Uint8Array | null = null;
  private kind: Kind = "all";
  private selected = new Set<number>();
  /** The row that the selection was chosen by; -1 when it was chosen elsewhere. */
  private chosen = -1;
  private open = new Set<number>();
  private position = -1;

  constructor(
    _theme: Theme,
    private readonly host: Host,
  ) {
    this.list = new VirtualList({
      make: (item) => this.make(item),
      estimate: () => ROW,
      painted: () => this.painted(),
    });
    this.texts = new Blocks(host.model, "actions", {
      inSight: () => this.list.inPage,
      arrived: (start, stop) => this.arrived(start, stop),
      failed: (sentence) => host.say(sentence, true),
    });
    const keys = Object.fromEntries(KINDS.map((kind) => [kind[0], () => this.narrow(kind)]));
    this.walker = new Walker(
      this.list,
      {
        choose: (item) => this.choose(item),
        inspect: (item) => this.toggle(item),
        escape: host.escape,
        focusFilter: host.focusFilter,
        nextFailure: () => this.nextFailure(),
      },
      keys,
    );
    const chips = element("div", "pp-chips");
    for (const kind of KINDS) {
      const chip = button(kind, `Show ${kind} (${kind[0]})`, () => this.narrow(kind), "pp-chip");
      this.chips.set(kind, chip);
      chips.append(chip);
    }
    const head = element("div", "pp-action pp-names", ...COLUMNS.map((name) => element("span", "", name)));
    head.setAttribute("aria-hidden", "true");
    this.list.element.className = "pp-lines pp-rows";
    this.list.element.setAttribute("role", "table");
    this.list.element.setAttribute("aria-label", "Safety trail");
    this.list.element.addEventListener("click", (event) => this.onClick(event));
    this.list.element.addEventListener("keydown", (event) => this.walker.press(event));
    this.element.append(chips, head, this.none, this.list.element);
  }

  get naturalHeight(): number {
    return 200 + this.list.heights.total;
  }

  /** The filters say how many there are of what one looks for here. */
  readonly failures = 0;

  get frameTimes(): number[] {
    return this.list.frameTimes;
  }

  get visibleRows(): number {
    return this.list.shown.length;
  }

  get selectedRows(): ReadonlySet<number> {
    return this.selected;
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.columns = columns;
    this.texts.forget();
    this.mask = null;
    this.trail = null;
    this.saved = columns.rows <= SAVED ? preview : null;
    this.open.clear();
    this.display();
  }

  receive(packed: Packed): void {
    if (packed.kind === "texts") this.texts.keep(packed.facts.start, packed.facts.lines);
    if (packed.kind !== "trail") return;
    this.saved = null;
    this.trail = { columns: packed.columns, words: packed.facts };
    this.walker.cursor = 0;
    this.kind = "all";
    this.display();
  }

  select(rows: readonly number[]): void {
    const same = rows.length === this.selected.size && rows.every((row) => this.selected.has(row));
    this.selected = new Set(rows);
    if (!same) this.chosen = -1;
    this.mark();
    if (same || rows.length === 0 || !this.trail) return;
    const found = this.list.shown.find((item) => this.isSelected(item) || this.rowsOf(item).includes(rows[0]));
    if (found !== undefined) this.walker.goTo(found, false);
  }

  seek(position: number): void {
    this.position = position;
    this.mark();
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask?.length === this.columns?.rows ? mask : null;
    this.display();
  }

  /** A violation or a way around is what one looks for here. */
  nextFailure(): void {
    this.walker.next(this.bad());
  }

  recolour(): void {
    this.list.invalidate();
  }

  invalidate(): void {
    if (this.saved) for (const item of this.list.inPage) this.list.update(item);
  }

  focus(): void {
    this.list.elementOf(this.walker.cursor)?.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const item = this.list.shown.find((one) => this.rowsOf(one)[0] === row);
    return item === undefined ? null : (this.list.elementOf(item)?.getBoundingClientRect() ?? null);
  }

  close(): void {
    this.texts.close();
    this.list.close();
  }

  private word(of: keyof Trail["words"], item: number): string {
    const { trail } = this;
    return trail?.words[of][trail.columns[of][item]] ?? "";
  }

  /** The steps that a row was made from, its action first. */
  private rowsOf(item: number): number[] {
    const { trail } = this;
    if (!trail) return [item];
    const { row, starts, evidence } = trail.columns;
    const others = Array.from(evidence.subarray(starts[item], starts[item + 1]));
    return [row[item], ...others.filter((one) => one !== row[item])];
  }

  private is(item: number, kind: Kind): boolean {
    const columns = this.trail?.columns;
    if (kind === "checks") return this.word("check", item) !== "";
    if (kind === "refusals") return columns?.refused[item] === 1;
    if (kind === "violations") return columns?.violated[item] === 1;
    return kind === "all" || this.word("verdict", item) === "unchecked";
  }

  private bad(): number[] {
    return Array.from(this.list.shown).filter((item) => /violated|bypassed/.test(this.word("verdict", item)));
  }

  private narrow(kind: Kind): void {
    this.kind = this.kind === kind ? "all" : kind;
    this.display();
  }

  private display(): void {
    const all = this.trail?.columns.row.length ?? (this.saved ? (this.columns?.rows ?? 0) : 0);
    const { mask } = this;
    const matching = Int32Array.from({ length: all }, (_, item) => item).filter(
      (item) => !mask || this.rowsOf(item).some((row) => mask[row] === 1),
    );
    for (const [kind, chip] of this.chips) {
      const many = matching.reduce((sum, item) => sum + Number(this.is(item, kind)), 0);
      chip.textContent = `${kind} ${count(many)}`;
      chip.ariaPressed = String(kind === this.kind);
      chip.disabled = !this.trail;
    }
    const shown = matching.filter((item) => this.is(item, this.kind));
    this.walker.settle(shown);
    this.none.hidden = shown.length > 0 || !(this.trail || this.saved);
    this.none.textContent =
      all > 0 ? "No action matches." : "Nothing was written, sent, paid, deleted or booked, and no policy was asked.";
    this.list.show(shown);
  }

  private make(item: number): HTMLElement {
    const made = this.trail ? this.live(item) : this.outline(item);
    made.tabIndex = item === this.walker.cursor ? 0 : -1;
    made.dataset.item = String(item);
    this.markOne(made, item);
    return made;
  }

  private live(item: number): HTMLElement {
    const began = this.trail?.columns.began[item] ?? Number.NaN;
    const action = {
      verdict: this.word("verdict", item),
      check: this.word("check", item),
      outcome: this.word("outcome", item),
      effect: this.word("effect", item),
      time: Number.isNaN(began) ? "" : `+${duration(began * 1000)}`,
    };
    return actionElement(action, this.texts.of(item), this.evidence(item));
  }

  /** A step of a saved notebook, of which nobody can tell more. */
  private outline(item: number): HTMLElement {
    const name = element("bdi", "pp-tool-name", oneLine(this.columns?.name(item) ?? ""));
    const text = element("span", "pp-happened", this.saved?.(item) ?? "");
    return element("div", "pp-action pp-saved", name, text);
  }

  private evidence(item: number): Evidence {
    const { columns } = this;
    const steps = this.open.has(item) && columns ? this.rowsOf(item) : [];
    return {
      isOpen: this.open.has(item),
      steps: steps.map((row) => ({
        label: oneLine(columns?.name(row) ?? ""),
        type: typeLabel(columns?.kind[row] ?? 0),
        failed: ((columns?.flags[row] ?? 0) & FAILED) > 0,
        read: () => {
          this.host.selected([row]);
          this.host.inspect(row);
        },
      })),
      seek: () => {
        this.position = this.trail?.columns.position[item] ?? -1;
        this.mark();
        this.host.sought(this.position);
      },
    };
  }

  private painted(): void {
    if (this.trail && this.texts.request()) this.host.painted();
  }

  private arrived(start: number, stop: number): void {
    for (const item of this.list.inPage) if (item >= start && item < stop) this.list.update(item);
    this.list.draw();
  }

  private onClick(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const made = target.closest<HTMLElement>("[data-item]");
    if (!made || !this.trail || target.closest("button") || window.getSelection()?.toString()) return;
    const item = Number(made.dataset.item);
    this.choose(item);
    this.toggle(item);
  }

  /** Selects all that a row was made from: the views beside it show where that happened. */
  private choose(item: number): void {
    if (!this.trail) return;
    const rows = this.rowsOf(item);
    this.selected = new Set(rows);
    this.chosen = item;
    this.walker.goTo(item, true);
    this.mark();
    this.host.selected(rows);
  }

  private toggle(item: number): void {
    if (!this.trail) return;
    if (!this.open.delete(item)) this.open.add(item);
    this.list.update(item);
    this.list.draw();
  }

  private isSelected(item: number): boolean {
    if (this.chosen >= 0) return item === this.chosen;
    return !!this.columns && isWithin(this.columns, this.rowsOf(item)[0], this.selected);
  }

  private mark(): void {
    for (const item of this.list.inPage) {
      const made = this.list.elementOf(item);
      if (made) this.markOne(made, item);
    }
  }

  private markOne(made: HTMLElement, item: number): void {
    const position = this.trail?.columns.position[item] ?? 0;
    made.classList.toggle("pp-selected", this.isSelected(item));
    made.classList.toggle("pp-later", this.position >= 0 && position > this.position);
  }
}
