/** The conversation of a session: a list of what was said, which follows what is selected, filtered and sought. */
import { Blocks } from "./blocks";
import { element } from "./dom";
import { duration } from "./format";
import type { Packed, Texts } from "./packed";
import { type Around, type Head, type Said, saidElement } from "./said";
import type { Host, View } from "./shell";
import type { Theme } from "./theme";
import { VirtualList } from "./virtual";
import { type Family, familyOf } from "./vocabulary";
import { Walker } from "./walker";
import { type Columns, type Cut, FAILED, failures, isWithin, RUNNING, SAVED, SUSPECT } from "./wire";

const ROLES = ["system", "user", "assistant", "tool", "turn", "note"];
const TOOL = 3;
const NOTE = 5;
const FAMILY_OF_ROLE: Record<string, Family> = { system: "checkpoint", user: "session", turn: "session" };
const REPEATS = 1;
const OWN = 2;
const LINE = 19;
const BARE = 34;

interface Lines {
  row: ArrayLike<number>;
  position: ArrayLike<number>;
  role: ArrayLike<number>;
  size: ArrayLike<number>;
  flags: ArrayLike<number>;
  speaker(line: number): string;
  to(line: number): string;
  time(line: number): string;
}

export class ConversationView implements View {
  readonly element: HTMLElement;
  readonly buttons: HTMLElement[] = [];
  private readonly list: VirtualList;
  private readonly none = element("div", "pp-dim pp-none");
  private columns: Columns | null = null;
  private lines: Lines | null = null;
  private saved: ((row: number) => string) | null = null;
  private readonly texts: Blocks<Said>;
  private readonly walker: Walker;
  private open = new Set<string>();
  private waiting = new Set<() => void>();
  private mask: Uint8Array | null = null;
  private selected = new Set<number>();
  private position = -1;
  /** About how many characters are on a line of text. */
  private wide = 100;

  constructor(
    _theme: Theme,
    private readonly host: Host,
  ) {
    this.list = new VirtualList({
      make: (line) => this.make(line),
      estimate: (line) => this.estimate(line),
      painted: () => this.painted(),
    });
    this.texts = new Blocks(host.model, "lines", {
      inSight: () => this.list.inPage,
      arrived: (start, stop) => this.arrived(start, stop),
      failed: (sentence) => host.say(sentence, true),
    });
    this.walker = new Walker(this.list, {
      choose: (line) => this.choose(line, false),
      inspect: (line) => this.inspect(line),
      escape: host.escape,
      focusFilter: host.focusFilter,
      nextFailure: () => this.nextFailure(),
    });
    this.element = this.list.element;
    this.element.className = "pp-lines";
    this.element.setAttribute("role", "feed");
    this.element.setAttribute("aria-label", "Conversation");
    this.element.append(this.none);
    this.element.addEventListener("click", (event) => this.onClick(event));
    this.element.addEventListener("dblclick", (event) => this.inspect(this.lineOf(event.target)));
    this.element.addEventListener("keydown", (event) => this.walker.press(event));
  }

  get naturalHeight(): number {
    return 120 + this.list.heights.total;
  }

  get failures(): number {
    return this.columns ? failures(this.columns) : 0;
  }

  /** The selected rows, in the order in which they were selected. */
  get selectedRows(): ReadonlySet<number> {
    return this.selected;
  }

  get frameTimes(): number[] {
    return this.list.frameTimes;
  }

  get visibleRows(): number {
    return this.list.shown.length;
  }

  /** Without lines from the kernel, as in a saved notebook, every row is one. */
  show(columns: Columns, preview: (row: number) => string): void {
    this.columns = columns;
    this.texts.forget();
    this.mask = null;
    this.saved = columns.rows <= SAVED ? preview : null;
    this.lines = null;
    if (this.saved) this.lines = savedLines(columns);
    this.restart();
  }

  receive(packed: Packed): void {
    if (packed.kind === "lines") {
      const { row, position, role, size, flags, speaker, to, began } = packed.columns;
      const names: Texts = packed.texts.names;
      this.saved = null;
      this.lines = {
        row,
        position,
        role,
        size,
        flags,
        speaker: (line) => names.at(speaker[line]),
        to: (line) => names.at(to[line]),
        time: (line) => (Number.isNaN(began[line]) ? "" : `+${duration(began[line] * 1000)}`),
      };
      this.restart();
    } else if (packed.kind === "texts") this.texts.keep(packed.facts.start, packed.facts.lines);
  }

  select(rows: readonly number[]): void {
    const same = rows.length === this.selected.size && rows.every((row) => this.selected.has(row));
    this.selected = new Set(rows);
    this.mark();
    if (same || rows.length === 0) return;
    const place = this.list.shown.findIndex((line) => this.isSelected(line));
    if (place >= 0) this.walker.goTo(this.list.shown[place], false);
  }

  seek(position: number): void {
    if (position === this.position) return;
    this.position = position;
    this.mark();
    if (position < 0 || !this.lines) return;
    let last = -1;
    for (const line of this.list.shown) if (this.lines.position[line] <= position) last = line;
    if (last >= 0) this.list.reveal(last);
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask?.length === this.columns?.rows ? mask : null;
    this.display();
  }

  nextFailure(): void {
    this.walker.next(this.failed());
  }

  recolour(): void {
    this.list.invalidate();
  }

  invalidate(): void {
    if (this.saved) for (const line of this.list.inPage) this.list.update(line);
  }

  focus(): void {
    this.list.elementOf(this.walker.cursor)?.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const line = this.list.shown.find((one) => this.lines?.row[one] === row);
    const rect = line === undefined ? undefined : this.list.elementOf(line)?.getBoundingClientRect();
    const box = this.element.getBoundingClientRect();
    return rect && rect.bottom > box.top && rect.top < box.bottom ? rect : null;
  }

  close(): void {
    for (const stop of this.waiting) stop();
    this.texts.close();
    this.list.close();
  }

  private restart(): void {
    for (const stop of this.waiting) stop();
    this.waiting.clear();
    this.walker.cursor = 0;
    this.display();
  }

  private display(): void {
    const { lines, mask } = this;
    const all = Int32Array.from(lines?.row ?? [], (_, line) => line);
    const shown = mask && lines ? all.filter((line) => mask[lines.row[line]] === 1) : all;
    this.walker.settle(shown);
    this.none.hidden = shown.length > 0 || !lines;
    this.none.textContent = all.length > 0 ? "Nothing that was said matches the filter." : "Nothing was said here.";
    this.wide = Math.max(20, ((this.element.clientWidth || 900) - 60) / 6.6);
    this.list.show(shown);
  }

  private failed(): number[] {
    return Array.from(this.list.shown).filter((line) => this.flag(line, FAILED));
  }

  /** Whether the step that says a line is marked; a message in a request is not to blame for the answer. */
  private flag(line: number, bit: number): boolean {
    const { lines, columns } = this;
    return !!lines && !!columns && (lines.flags[line] & OWN) > 0 && (columns.flags[lines.row[line]] & bit) > 0;
  }

  private estimate(line: number): number {
    const { lines, wide } = this;
    if (!lines) return BARE;
    const role = lines.role[line];
    if (role === 0) return BARE + LINE;
    if (role === TOOL) return BARE + 34;
    return BARE + LINE * Math.ceil(Math.min(lines.size[line], 1_200) / wide);
  }

  private make(line: number): HTMLElement {
    const { lines, columns } = this;
    if (!lines || !columns) return element("article", "pp-line");
    const row = lines.row[line];
    const head: Head = {
      role: ROLES[lines.role[line]] ?? "note",
      speaker: lines.speaker(line),
      to: lines.to(line),
      failed: this.flag(line, FAILED),
      suspect: this.flag(line, SUSPECT),
      running: this.flag(line, RUNNING),
      repeats: (lines.flags[line] & REPEATS) > 0,
      time: lines.time(line),
    };
    const said = this.said(line);
    const calls = said?.calls?.filter((call) => !this.isShownBelow(line, call.name)) ?? [];
    const made = saidElement(head, said && { ...said, calls }, this.around(line));
    const family = FAMILY_OF_ROLE[head.role] ?? familyOf(columns.kind[row], head.failed);
    made.style.setProperty("--pp-family", `var(--pp-${family})`);
    made.tabIndex = line === this.walker.cursor ? 0 : -1;
    made.dataset.line = String(line);
    made.setAttribute("aria-posinset", String(this.list.place(line) + 1));
    made.setAttribute("aria-setsize", String(this.list.shown.length));
    this.markOne(made, line);
    return made;
  }

  /** Whether a call that an answer asks for stands in a line of its own, with what came back. */
  private isShownBelow(line: number, name: string): boolean {
    const { lines } = this;
    let below = line + 1;
    while (lines && (lines.role[below] === TOOL || lines.role[below] === NOTE)) {
      if (lines.speaker(below++) === name) return true;
    }
    return false;
  }

  private said(line: number): Said | null {
    if (this.saved && this.columns) {
      const facts = [this.columns.costText(line), this.columns.durationText(line)].filter(Boolean).join(" · ");
      return { text: { text: this.saved(line) }, facts };
    }
    return this.texts.of(line);
  }

  private around(line: number): Around {
    return {
      isOpen: (part) => this.open.has(`${line} ${part}`),
      fold: (part, open) => {
        if (open) this.open.add(`${line} ${part}`);
        else this.open.delete(`${line} ${part}`);
      },
      more: (cut) => (path, arrived, failed) => {
        const keep = (text: string) => {
          Object.assign(cut satisfies Cut, { text, length: undefined, path: undefined });
          arrived(text);
        };
        this.ask({ type: "whole", line, path }, (reply) => keep(String(reply.facts.text)), failed);
      },
      seek: () => this.lines && this.moveTo(this.lines.position[line]),
    };
  }

  private ask(
    request: { type: string; [argument: string]: unknown },
    answered: (reply: Packed) => void,
    failed: (sentence: string) => void,
  ): void {
    const stop = this.host.model.fetch(
      request,
      (reply) => {
        this.waiting.delete(stop);
        answered(reply);
      },
      failed,
    );
    this.waiting.add(stop);
  }

  private painted(): void {
    if (this.lines && !this.saved && this.texts.request()) this.host.painted();
  }

  private arrived(start: number, stop: number): void {
    for (const line of this.list.inPage) if (line >= start && line < stop) this.list.update(line);
    this.list.draw();
  }

  private isSelected(line: number): boolean {
    return !!this.lines && !!this.columns && isWithin(this.columns, this.lines.row[line], this.selected);
  }

  private mark(): void {
    for (const line of this.list.inPage) {
      const made = this.list.elementOf(line);
      if (made) this.markOne(made, line);
    }
  }

  private markOne(made: HTMLElement, line: number): void {
    const { lines } = this;
    if (!lines) return;
    made.classList.toggle("pp-selected", this.isSelected(line));
    made.classList.toggle("pp-later", this.position >= 0 && lines.position[line] > this.position);
  }

  private lineOf(target: EventTarget | null): number {
    const made = (target as HTMLElement | null)?.closest<HTMLElement>("[data-line]");
    return made ? Number(made.dataset.line) : -1;
  }

  private onClick(event: MouseEvent): void {
    const target = event.target as HTMLElement;
    const line = this.lineOf(target);
    if (line < 0 || target.closest("button, summary") || window.getSelection()?.toString()) return;
    this.choose(line, event.ctrlKey || event.metaKey);
  }

  private choose(line: number, add: boolean): void {
    const { lines } = this;
    if (!lines) return;
    const row = lines.row[line];
    const rows = new Set(add ? this.selected : []);
    if (!rows.delete(row)) rows.add(row);
    this.selected = rows;
    this.walker.goTo(line, true);
    this.mark();
    this.host.selected([...rows]);
    // Who moves time elsewhere moves it from here too; who does not, does not want to begin with a click.
    if (this.position >= 0) this.moveTo(lines.position[line]);
  }

  private moveTo(position: number): void {
    this.position = position;
    this.mark();
    this.host.sought(position);
  }

  private inspect(line: number): void {
    if (line >= 0 && this.lines) this.host.inspect(this.lines.row[line]);
  }
}

/** Of a saved notebook, in which every row is a line. */
function savedLines(columns: Columns): Lines {
  return {
    row: Int32Array.from({ length: columns.rows }, (_, row) => row),
    position: new Int32Array(columns.rows),
    role: new Uint8Array(columns.rows).fill(NOTE),
    size: new Uint16Array(columns.rows),
    flags: new Uint8Array(columns.rows).fill(OWN),
    speaker: (line) => columns.name(line),
    to: () => "",
    time: () => "",
  };
}
