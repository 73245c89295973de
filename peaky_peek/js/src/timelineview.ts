/** The timeline on its canvas: what is selected, what is in view, and what follows from a click, a drag or a key. */
import { group, tool } from "./buttons";
import { Surface } from "./canvas";
import { element } from "./dom";
import type { Packed } from "./packed";
import type { Host, View } from "./shell";
import { Swimlanes } from "./swimlanes";
import { oneLine } from "./text";
import type { Theme } from "./theme";
import { describe, rowAt } from "./timehit";
import { pressTime } from "./timekeys";
import { AXIS, laneHeight, lanesHeight, laneTop, levelTop, type Picture, paint } from "./timepaint";
import { followTime } from "./timepointer";
import { TimeScale, Warp } from "./timescale";
import { STRIP } from "./timestrip";
import { type Columns, FAILED, failures, SAVED } from "./wire";

const GUTTER = 132;
const NARROW = 520;
const INSET = 8;

export class TimelineView implements View {
  readonly element = element("div", "pp-canvas");
  readonly buttons: HTMLElement[];
  private readonly surface: Surface;
  private readonly reader = element("div", "pp-reader");
  private readonly bending: HTMLButtonElement;
  private columns: Columns | null = null;
  private lanes: Swimlanes | null = null;
  private scale = new TimeScale(new Warp(1));
  private selected: ReadonlySet<number> = new Set();
  private mask: Uint8Array | null = null;
  private position = -1;
  private cursor = 0;
  private hover = -1;
  private focused = false;
  private scrolled = 0;
  private isSaved = true;

  constructor(
    private theme: Theme,
    private readonly host: Host,
  ) {
    this.surface = new Surface(this.element, this.paint, () => {
      host.resized();
      this.measure();
    });
    this.bending = tool("pauses", "Shorten pauses (g)", () => this.bend());
    this.bending.ariaPressed = "false";
    this.buttons = [
      this.bending,
      group(
        tool("out", "Zoom out (-)", () => this.zoom(0.8)),
        tool("usual", "All of it (0)", () => this.resetZoom()),
        tool("in", "Zoom in (+)", () => this.zoom(1.25)),
      ),
    ];
    this.listen();
  }

  get naturalHeight(): number {
    return AXIS + STRIP + 2 + Math.max(60, this.lanes ? lanesHeight(this.lanes, this.gutter) : 0);
  }

  get failures(): number {
    return this.columns ? failures(this.columns) : 0;
  }

  get frameTimes(): number[] {
    return this.surface.frameTimes;
  }

  get visibleRows(): number {
    return this.mask ? this.mask.reduce((sum, one) => sum + one, 0) : (this.columns?.rows ?? 0);
  }

  get selectedRows(): ReadonlySet<number> {
    return this.selected;
  }

  /** Without times from the kernel, as in a saved notebook, one step follows the other. */
  show(columns: Columns): void {
    this.columns = columns;
    this.mask = null;
    this.lanes = null;
    if (columns.rows <= SAVED) this.arrange(null);
  }

  receive(packed: Packed): void {
    if (packed.kind === "lanes") this.arrange(packed);
  }

  select(rows: readonly number[]): void {
    const same = rows.length === this.selected.size && rows.every((row) => this.selected.has(row));
    const most = this.lanes?.columns.rows ?? 0;
    if (same || most === 0) return;
    this.selected = new Set(rows.filter((row) => row >= 0 && row < most));
    const [first] = this.selected;
    if (first !== undefined) this.goTo(first);
    this.invalidate();
  }

  seek(position: number): void {
    if (position === this.position) return;
    this.position = position;
    if (position >= 0) this.scale.reveal(this.moment, this.moment);
    this.invalidate();
  }

  filter(mask: Uint8Array | null): void {
    this.mask = mask?.length === this.columns?.rows ? mask : null;
    this.invalidate();
  }

  nextFailure(): void {
    const failed = this.failed();
    const here = this.lanes?.place[this.cursor] ?? 0;
    const next = failed.find((row) => (this.lanes?.place[row] ?? 0) > here) ?? failed[0];
    if (next !== undefined) this.choose([next], next);
  }

  recolour(theme: Theme): void {
    this.theme = theme;
    this.invalidate();
  }

  invalidate(): void {
    this.surface.invalidate();
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  rowRect(row: number): DOMRect | null {
    const { lanes, scale, gutter, origin } = this;
    if (!lanes || row >= lanes.columns.rows) return null;
    const x = origin + scale.x(lanes.begin[row]);
    const wide = Math.max(1, scale.x(lanes.end[row]) + origin - x);
    const y = AXIS + levelTop(this.picture, lanes.laneOf[row], lanes.level[row]);
    if (x + wide < gutter || x > this.surface.width || y < AXIS || y > this.surface.height - STRIP) return null;
    const box = this.element.getBoundingClientRect();
    return new DOMRect(box.x + x, box.y + y, wide, 14);
  }

  close(): void {
    this.surface.close();
  }

  private get gutter(): number {
    return this.surface.width >= NARROW ? GUTTER : 0;
  }

  /** Where time begins: what happens first or last is not cut off at the edge. */
  private get origin(): number {
    return this.gutter + INSET;
  }

  private get moment(): number {
    return this.position < 0 || !this.lanes ? Number.NaN : this.lanes.momentOf(this.position);
  }

  private get picture(): Picture {
    const { scale, theme, selected, mask, cursor, hover, focused, moment, gutter, origin, scrolled } = this;
    const lanes = this.lanes as Swimlanes;
    return { lanes, scale, theme, selected, mask, cursor, hover, focused, moment, gutter, origin, scrolled };
  }

  private readonly paint = (context: CanvasRenderingContext2D, width: number, height: number): void => {
    context.fillStyle = this.theme.background;
    context.fillRect(0, 0, width, height);
    if (!this.lanes || this.lanes.columns.rows === 0) return;
    paint(context, this.picture, width, height);
    if (!this.isSaved) this.host.painted();
  };

  private arrange(packed: Packed | null): void {
    if (!this.columns) return;
    this.isSaved = packed === null;
    this.lanes = new Swimlanes(this.columns, packed);
    this.scale = new TimeScale(new Warp(this.lanes.total));
    this.bending.hidden = this.lanes.pauses().length === 0;
    this.bending.ariaPressed = "false";
    this.cursor = this.lanes.inTime[0] ?? 0;
    this.scrolled = 0;
    this.measure();
    this.surface.draw();
  }

  private measure(): void {
    this.scale.width = Math.max(1, this.surface.width - this.origin - INSET);
    this.scrollTo(this.scrolled);
  }

  private scrollTo(pixels: number): boolean {
    const room = this.surface.height - AXIS - STRIP;
    const most = Math.max(0, (this.lanes ? lanesHeight(this.lanes, this.gutter) : 0) - room);
    const next = Math.min(most, Math.max(0, pixels));
    const moved = next !== this.scrolled;
    this.scrolled = next;
    return moved;
  }

  private bend(): void {
    if (!this.lanes) return;
    const isBent = this.bending.ariaPressed !== "true";
    this.bending.ariaPressed = String(isBent);
    const { total } = this.lanes;
    this.scale.bend(isBent ? new Warp(total, this.lanes.pauses(), total * 0.012) : new Warp(total));
    this.invalidate();
  }

  private zoom(factor: number, x?: number): void {
    const at = this.lanes ? this.scale.x(this.lanes.begin[this.cursor]) : 0;
    this.scale.zoom(factor, x ?? (at >= 0 && at <= this.scale.width ? at : this.scale.width / 2));
    this.invalidate();
  }

  private resetZoom(): void {
    this.scale.reset();
    this.invalidate();
  }

  private failed(): number[] {
    const { lanes, mask } = this;
    if (!lanes) return [];
    return Array.from(lanes.inTime).filter((row) => lanes.columns.flags[row] & FAILED && (!mask || mask[row]));
  }

  private goTo(row: number): void {
    const { lanes } = this;
    if (!lanes) return;
    this.cursor = row;
    this.scale.reveal(lanes.begin[row], lanes.end[row]);
    const lane = lanes.laneOf[row];
    const top = laneTop(this.picture, lane);
    const room = this.surface.height - AXIS - STRIP;
    if (top < this.scrolled) this.scrollTo(top);
    const bottom = top + laneHeight(lanes, this.gutter, lane);
    if (bottom > this.scrolled + room) this.scrollTo(Math.min(top, bottom - room));
    this.read();
    this.invalidate();
  }

  /** The user's choice: told to the host, unlike what `select` is told by it. */
  private choose(rows: number[], cursor: number): void {
    this.selected = new Set(rows);
    this.goTo(cursor);
    this.host.selected(rows);
  }

  private sought(position: number): void {
    this.position = position;
    this.invalidate();
    this.host.sought(position);
  }

  private read(): void {
    if (!this.lanes) return;
    const said = describe(this.lanes, this.cursor, !this.isSaved);
    if (this.reader.textContent !== said) this.reader.textContent = said;
    this.reader.setAttribute("aria-selected", String(this.selected.has(this.cursor)));
  }

  private rowAt(x: number, y: number): number {
    return this.lanes ? rowAt(this.picture, x, y, this.surface.height) : -1;
  }

  private listen(): void {
    const { element: box } = this;
    const canvas = this.surface.element;
    box.tabIndex = 0;
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", "Timeline of the session");
    this.reader.id = `pp-${Math.random().toString(36).slice(2)}`;
    this.reader.setAttribute("role", "option");
    this.reader.setAttribute("aria-live", "polite");
    box.setAttribute("aria-activedescendant", this.reader.id);
    box.append(this.reader);
    box.addEventListener("keydown", (event) => this.onKey(event));
    box.addEventListener("focus", () => this.onFocus(box.matches(":focus-visible")));
    box.addEventListener("blur", () => this.onFocus(false));
    followTime(canvas, {
      partAt: (y) => (y < AXIS ? "axis" : y > this.surface.height - STRIP ? "strip" : "lanes"),
      seek: (x) => this.lanes && this.sought(this.lanes.positionAt(this.scale.moment(x - this.origin))),
      centre: (x) => this.centre(x),
      drag: (right, down) => this.drag(right, down),
      pick: (x, y, event) => this.pick(this.rowAt(x, y), event.ctrlKey || event.metaKey),
      point: (x, y) => this.point(this.rowAt(x, y), y),
      leave: () => this.point(-1),
      closeUp: (x, y) => this.closeUp(this.rowAt(x, y)),
      zoom: (factor, x) => this.zoom(factor, x - this.origin),
      pan: (pixels) => this.moved(this.scale.panBy(pixels)),
      scroll: (pixels) => this.moved(this.scrollTo(this.scrolled + pixels)),
    });
  }

  private moved(moved: boolean): boolean {
    if (moved) this.invalidate();
    return moved;
  }

  private drag(right: number, down: number): void {
    this.scale.panBy(right);
    this.scrollTo(this.scrolled + down);
    this.surface.element.style.cursor = "grabbing";
    this.invalidate();
  }

  private centre(x: number): void {
    const { lanes, scale, origin } = this;
    if (!lanes) return;
    scale.panBy(scale.x(((x - origin) / scale.width) * lanes.total) - scale.width / 2);
    this.invalidate();
  }

  private pick(row: number, add: boolean): void {
    this.element.focus({ preventScroll: true });
    if (row < 0) return;
    if (add) {
      const rows = new Set(this.selected);
      if (!rows.delete(row)) rows.add(row);
      this.choose([...rows], row);
      return;
    }
    this.choose([row], row);
    this.host.inspect(row);
  }

  private point(row: number, y = AXIS): void {
    const canvas = this.surface.element;
    canvas.style.cursor = row >= 0 ? "pointer" : y < AXIS ? "col-resize" : this.scale.isWhole ? "default" : "grab";
    if (row === this.hover) return;
    this.hover = row;
    const columns = this.columns;
    const parts = columns && row >= 0 ? [columns.name(row), columns.durationText(row), columns.costText(row)] : [];
    canvas.title = parts
      .filter(Boolean)
      .map((part) => oneLine(part))
      .join(" · ");
    this.invalidate();
  }

  private closeUp(row: number): void {
    const { lanes, scale } = this;
    if (!lanes || row < 0) return;
    const wide = Math.max(1, scale.x(lanes.end[row]) - scale.x(lanes.begin[row]));
    scale.zoom((scale.width * 0.8) / wide, scale.x(lanes.begin[row]));
    scale.reveal(lanes.begin[row], lanes.end[row]);
    this.invalidate();
  }

  private onFocus(focused: boolean): void {
    this.focused = focused;
    this.read();
    this.invalidate();
  }

  private onKey(event: KeyboardEvent): void {
    const { lanes, mask } = this;
    if (!lanes) return;
    const used = pressTime(
      event,
      { lanes, mask, cursor: this.cursor },
      {
        walk: (row) => this.choose([row], row),
        inspect: () => this.host.inspect(this.cursor),
        escape: this.host.escape,
        focusFilter: this.host.focusFilter,
        nextFailure: () => this.nextFailure(),
        bend: () => this.bend(),
        moment: () => this.sought(this.position >= 0 ? -1 : lanes.positionAt(lanes.begin[this.cursor])),
        zoom: (factor) => this.zoom(factor),
        resetZoom: () => this.resetZoom(),
      },
    );
    if (!used) return;
    this.onFocus(true);
    event.preventDefault();
    event.stopPropagation();
  }
}
