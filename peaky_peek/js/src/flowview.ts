/** Steps of many runs below each other; beside them the ways that the runs take, as wide as many take them. */
import { element } from "./dom";
import { type Branch, type Flow, flowOf } from "./flowdata";
import { count } from "./format";
import { glyph } from "./glyphs";
import type { Packed } from "./packed";
import type { Host, View } from "./shell";
import { oneLine } from "./text";
import { typeLabel } from "./vocabulary";
import type { Columns } from "./wire";

const ROW = 26;
const LANE = 13;
const WIDEST = 9;
const MOST_LANES = 9;
const SVG = "http://www.w3.org/2000/svg";

export class FlowView implements View {
  readonly element = element("div", "pp-flow");
  readonly buttons: HTMLElement[] = [];
  readonly failures = 0;
  readonly frameTimes: number[] = [];
  private columns: Columns | null = null;
  private preview: (row: number) => string = () => "";
  private flow: Flow | null = null;
  private mask: Uint8Array | null = null;
  private selected = new Set<number>();
  private cursor = 0;
  private readonly id = `pp-${Math.random().toString(36).slice(2)}`;
  private readonly observer = new ResizeObserver(() => this.host.resized());

  constructor(private readonly host: Host) {
    this.element.tabIndex = 0;
    this.element.setAttribute("role", "listbox");
    this.element.setAttribute("aria-label", "Steps of the runs");
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("click", (event) => this.onClick(event));
    this.observer.observe(this.element);
  }

  /** It grows with its content by itself. */
  readonly naturalHeight = 0;

  get visibleRows(): number {
    return this.columns?.rows ?? 0;
  }

  get selectedRows(): ReadonlySet<number> {
    return this.selected;
  }

  show(columns: Columns, preview: (row: number) => string): void {
    this.columns = columns;
    this.preview = preview;
    this.mask = null;
    this.flow = null;
    this.draw();
  }

  receive(packed: Packed): void {
    if (packed.kind !== "flow") return;
    this.flow = flowOf(packed);
    this.draw();
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
    this.mark();
  }

  nextFailure(): void {}

  recolour(): void {}

  invalidate(): void {
    this.draw();
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const rect = this.rowElement(row)?.getBoundingClientRect();
    const box = this.element.getBoundingClientRect();
    return rect && rect.bottom > box.top && rect.top < box.bottom ? rect : null;
  }

  close(): void {
    this.observer.disconnect();
  }

  private draw(): void {
    const { columns, flow } = this;
    if (!columns) return;
    const started = performance.now();
    const rows = Array.from({ length: columns.rows }, (_, row) => this.row(columns, row));
    const list = element("div", "pp-flow-rows", ...rows);
    if (flow) list.prepend(drawn(flow, columns.rows));
    list.style.setProperty("--pp-lanes", `${flow ? spine(flow) + WIDEST + 6 : 12}px`);
    this.element.replaceChildren(...(flow && flow.runs.a + flow.runs.b > 0 ? [legend(flow)] : []), list);
    this.mark();
    this.frameTimes.push(performance.now() - started);
    this.host.painted();
  }

  private row(columns: Columns, row: number): HTMLElement {
    const { flow } = this;
    const name = oneLine(columns.name(row));
    const made = element(
      "div",
      "pp-flow-row",
      element("span", "pp-flow-name", glyph(columns, row), element("bdi", "", name)),
    );
    made.dataset.row = String(row);
    made.id = `${this.id}-${row}`;
    made.setAttribute("role", "option");
    if (flow) {
      const { a, b } = flow.runs;
      made.append(share("a", flow.a[row], a), ...(b > 0 ? [share("b", flow.b[row], b)] : []), failed(flow.rate[row]));
      const ways = waysFrom(flow, columns, row);
      made.append(element("bdi", "pp-told", ways));
      made.ariaLabel = [name, typeLabel(columns.kind[row]), this.preview(row), ways].filter(Boolean).join(", ");
      made.title = made.ariaLabel;
    } else made.append(element("bdi", "pp-told", this.preview(row)));
    return made;
  }

  private rowElement(row: number): HTMLElement | null {
    return this.element.querySelector(`#${this.id}-${row}`);
  }

  private mark(): void {
    for (const made of this.element.querySelectorAll<HTMLElement>(".pp-flow-row")) {
      const row = Number(made.dataset.row);
      made.ariaSelected = String(this.selected.has(row));
      made.classList.toggle("pp-cursor", row === this.cursor);
      made.classList.toggle("pp-unmatched", this.mask !== null && this.mask[row] === 0);
    }
    this.element.setAttribute("aria-activedescendant", `${this.id}-${this.cursor}`);
  }

  private goTo(row: number): void {
    this.cursor = row;
    this.mark();
    this.rowElement(row)?.scrollIntoView({ block: "nearest" });
  }

  private choose(row: number): void {
    this.selected = new Set([row]);
    this.goTo(row);
    this.host.selected([row]);
  }

  private onClick(event: MouseEvent): void {
    const at = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
    if (!at) return;
    this.choose(Number(at.dataset.row));
    this.host.inspect(this.cursor);
  }

  private onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const last = this.visibleRows - 1;
    const walk = (row: number) => last >= 0 && this.choose(Math.min(last, Math.max(0, row)));
    const forks = (row: number) => (this.flow?.branches.filter(({ source }) => source === row).length ?? 0) > 1;
    const toFork = (step: number) => {
      for (let row = this.cursor + step; row >= 0 && row <= last; row += step) if (forks(row)) return walk(row);
      return undefined;
    };
    const keys: Record<string, () => void> = {
      ArrowDown: () => walk(this.cursor + 1),
      ArrowUp: () => walk(this.cursor - 1),
      Home: () => walk(0),
      End: () => walk(last),
      n: () => toFork(1),
      p: () => toFork(-1),
      Enter: () => this.host.inspect(this.cursor),
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

/** Where the steps stand, right of the lanes. */
function spine(flow: Flow): number {
  return 10 + Math.min(MOST_LANES, flow.lanes) * LANE;
}

function drawn(flow: Flow, rows: number): SVGElement {
  const svg = document.createElementNS(SVG, "svg");
  const width = spine(flow) + WIDEST;
  svg.setAttribute("class", "pp-ways");
  svg.setAttribute("width", String(width));
  svg.setAttribute("height", String(rows * ROW));
  svg.setAttribute("aria-hidden", "true");
  const most = Math.max(1, flow.runs.a + flow.runs.b);
  for (const branch of flow.branches) svg.append(way(branch, rows, spine(flow), (branch.a + branch.b) / most));
  for (let row = 0; row < rows; row++) {
    const dot = document.createElementNS(SVG, "circle");
    dot.setAttribute("cx", String(spine(flow)));
    dot.setAttribute("cy", String(row * ROW + ROW / 2));
    dot.setAttribute("r", "3.5");
    dot.setAttribute("class", "pp-way-dot");
    svg.append(dot);
  }
  return svg;
}

function way({ source, target, lane, rate }: Branch, rows: number, x: number, share: number): SVGElement {
  const y = (row: number) => Math.min(rows * ROW, Math.max(0, row * ROW + ROW / 2));
  const [from, to] = [y(source), y(target)];
  const out = x - Math.min(MOST_LANES, lane) * LANE;
  const bend = Math.min(12, (to - from) / 2);
  const path = document.createElementNS(SVG, "path");
  const around = `M${x} ${from}C${out} ${from + 2} ${out} ${from + 2} ${out} ${from + bend}V${to - bend}C${out} ${to - 2} ${out} ${to - 2} ${x} ${to}`;
  path.setAttribute("d", lane === 0 ? `M${x} ${from}V${to}` : around);
  path.setAttribute("class", "pp-way");
  path.style.strokeWidth = String(1 + (WIDEST - 1) * share);
  path.style.setProperty("--pp-rate", `${Number.isNaN(rate) ? 0 : Math.round(rate * 100)}%`);
  return path;
}

function share(name: string, passed: number, of: number): HTMLElement {
  const bar = element("span", "pp-share-bar");
  bar.style.setProperty("--pp-part", `${of > 0 ? (100 * passed) / of : 0}%`);
  const box = element("span", "pp-share", element("span", "pp-dim", name), bar, `${count(passed)}/${count(of)}`);
  box.dataset.side = name;
  return box;
}

function failed(rate: number): HTMLElement {
  const said = Number.isNaN(rate) ? "?" : rate === 0 ? "" : `✕ ${Math.round(rate * 100)} %`;
  const box = element("span", "pp-rate", said);
  box.title = "of the runs that pass here, this many failed";
  return box;
}

/** Where the runs go from a step, if they do not all go the same way. */
function waysFrom(flow: Flow, columns: Columns, row: number): string {
  const ways = flow.branches.filter(({ source }) => source === row);
  if (ways.length < 2) return "";
  ways.sort((one, other) => other.a + other.b - one.a - one.b);
  return ways
    .map(({ target, a, b, rate }) => {
      const name = target < columns.rows ? oneLine(columns.name(target)) : "end";
      return `→ ${name} ${count(a + b)}${rate > 0 ? ` (${Math.round(rate * 100)} % failed)` : ""}`;
    })
    .join("  ");
}

function legend({ runs, summary }: Flow): HTMLElement {
  const line = summary.filter(([, a, b]) => a !== b).map(([what, a, b]) => `${what} ${a} → ${b}`);
  const numbers = runs.b > 0 && line.length > 0 ? [element("span", "", `At the mean, a → b: ${line.join(" · ")}`)] : [];
  const ways = element("span", "", "Ways are as wide as many runs take them; the redder, the more of them failed.");
  return element("div", "pp-flow-legend pp-dim", ways, ...numbers);
}
