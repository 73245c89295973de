/** The timeline on its canvas: what is selected, what is in view, and what follows from a click, a drag or a key. */
import { group, tool } from "./buttons";
import { Surface } from "./canvas";
import { element } from "./dom";
import { count, duration } from "./format";
import type { Packed } from "./packed";
import type { Host, View } from "./shell";
import { Swimlanes } from "./swimlanes";
import { oneLine } from "./text";
import type { Theme } from "./theme";
import { AXIS, firstInView, laneHeight, lanesHeight, laneTop, levelTop, type Picture, paint, STRIP } from "./timepaint";
import { TimeScale, Warp } from "./timescale";
import { typeLabel } from "./vocabulary";
import { type Columns, FAILED, failures, SAVED, SUSPECT } from "./wire";

const GUTTER = 132;
const NARROW = 520;
const INSET = 8;
const NEAR = 8;
const LINE = 18;

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
  private dragging: "pan" | "seek" | "strip" | null = null;
  private pressed: { x: number; y: number } | null = null;
  private isDragged = false;

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
    const { lanes, cursor } = this;
    if (!lanes) return;
    const { columns } = lanes;
    const flags = columns.flags[cursor];
    const parts = [
      oneLine(columns.name(cursor)),
      typeLabel(columns.kind[cursor]),
      flags & FAILED ? "failed" : flags & SUSPECT ? "suspect" : "",
      columns.durationText(cursor),
      columns.costText(cursor),
      this.isSaved ? "" : `at ${duration(lanes.begin[cursor]) || "0"}`,
      lanes.lanes.length > 1 ? `in the lane of ${oneLine(lanes.lanes[lanes.laneOf[cursor]].name)}` : "",
    ];
    const said = `${parts.filter(Boolean).join(", ")}, ${count(lanes.place[cursor] + 1)} of ${count(columns.rows)}`;
    if (this.reader.textContent !== said) this.reader.textContent = said;
    this.reader.setAttribute("aria-selected", String(this.selected.has(cursor)));
  }

  /** The step at a place of the canvas, the nearest within a few pixels; -1 for none. */
  private rowAt(x: number, y: number): number {
    const { lanes, scale, gutter, origin } = this;
    if (!lanes || x < gutter || y < AXIS || y > this.surface.height - STRIP) return -1;
    let lane = 0;
    let top = AXIS - this.scrolled;
    for (; lane < lanes.lanes.length; lane++) {
      const tall = laneHeight(lanes, gutter, lane);
      if (y < top + tall) break;
      top += tall;
    }
    const levels = lanes.lanes[lane]?.levels ?? [];
    const level = levels.findIndex((_, at) => {
      const from = AXIS + levelTop(this.picture, lane, at);
      return y >= from - 2 && y < from + 15;
    });
    const rows = levels[level] ?? [];
    const last = scale.moment(x - origin + NEAR);
    let best = -1;
    let nearest = NEAR;
    for (let at = firstInView(lanes, rows, scale.moment(x - origin - NEAR)); at < rows.length; at++) {
      const row = rows[at];
      if (lanes.begin[row] > last) break;
      const [from, to] = [origin + scale.x(lanes.begin[row]), origin + scale.x(lanes.end[row])];
      const far = Math.max(0, from - x, x - to) - (lanes.columns.flags[row] & FAILED ? 2 : 0);
      if (far < nearest && (!this.mask || this.mask[row])) [best, nearest] = [row, far];
    }
    return best;
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
    canvas.addEventListener("pointerdown", (event) => this.onPress(event));
    canvas.addEventListener("pointermove", (event) => this.onMove(event));
    canvas.addEventListener("pointerup", (event) => this.onRelease(event));
    canvas.addEventListener("lostpointercapture", () => {
      this.dragging = null;
    });
    canvas.addEventListener("pointerleave", () => this.point(-1));
    canvas.addEventListener("dblclick", (event) => this.closeUp(this.rowAt(event.offsetX, event.offsetY)));
    canvas.addEventListener("wheel", (event) => this.onWheel(event), { passive: false });
  }

  private onPress(event: PointerEvent): void {
    if (event.button !== 0) return;
    const { offsetX: x, offsetY: y } = event;
    this.dragging = y < AXIS ? "seek" : y > this.surface.height - STRIP ? "strip" : "pan";
    this.pressed = { x, y };
    this.surface.element.setPointerCapture(event.pointerId);
    if (this.dragging !== "pan") this.drag(x);
  }

  private onMove(event: PointerEvent): void {
    const { offsetX: x, offsetY: y } = event;
    if (this.dragging === "pan") this.pan(x, y);
    else if (this.dragging) this.drag(x);
    else this.point(this.rowAt(x, y), y);
  }

  /** Follows the pointer once it is clear that this is no click. */
  private pan(x: number, y: number): void {
    if (!this.pressed) return;
    const [right, down] = [this.pressed.x - x, this.pressed.y - y];
    this.isDragged ||= Math.abs(right) + Math.abs(down) > 3;
    if (!this.isDragged) return;
    this.pressed = { x, y };
    this.scale.panBy(right);
    this.scrollTo(this.scrolled + down);
    this.surface.element.style.cursor = "grabbing";
    this.invalidate();
  }

  private onRelease(event: PointerEvent): void {
    const wasPan = this.dragging === "pan";
    this.dragging = null;
    const wasDragged = this.isDragged;
    this.isDragged = false;
    if (!wasPan || wasDragged) return;
    const row = this.rowAt(event.offsetX, event.offsetY);
    this.element.focus({ preventScroll: true });
    if (row < 0) return;
    if (event.ctrlKey || event.metaKey) {
      const rows = new Set(this.selected);
      if (!rows.delete(row)) rows.add(row);
      this.choose([...rows], row);
      return;
    }
    this.choose([row], row);
    this.host.inspect(row);
  }

  private drag(x: number): void {
    const { lanes, scale, origin } = this;
    if (!lanes) return;
    if (this.dragging === "seek") this.sought(lanes.positionAt(scale.moment(x - origin)));
    else scale.panBy(scale.x(((x - origin) / scale.width) * lanes.total) - scale.width / 2);
    this.invalidate();
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

  private onWheel(event: WheelEvent): void {
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE : 1;
    const [x, y] = [event.deltaX * unit, event.deltaY * unit];
    if (event.ctrlKey || event.metaKey) this.scale.zoom(Math.exp(-y * 0.004), event.offsetX - this.origin);
    else if (event.shiftKey || Math.abs(x) > Math.abs(y)) {
      if (!this.scale.panBy(event.shiftKey ? x || y : x)) return;
    } else if (!this.scrollTo(this.scrolled + y)) return;
    event.preventDefault();
    this.invalidate();
  }

  private onFocus(focused: boolean): void {
    this.focused = focused;
    this.read();
    this.invalidate();
  }

  private onKey(event: KeyboardEvent): void {
    const { lanes } = this;
    if (!lanes || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      ArrowRight: () => this.step(1),
      ArrowLeft: () => this.step(-1),
      ArrowDown: () => this.cross(1),
      ArrowUp: () => this.cross(-1),
      Home: () => this.walk(lanes.inTime[0]),
      End: () => this.walk(lanes.inTime[lanes.inTime.length - 1]),
      Enter: () => this.host.inspect(this.cursor),
      Escape: () => this.host.escape(),
      "/": () => this.host.focusFilter(),
      n: () => this.nextFailure(),
      g: () => this.bend(),
      p: () => this.sought(this.position >= 0 ? -1 : lanes.positionAt(lanes.begin[this.cursor])),
      "+": () => this.zoom(1.25),
      "=": () => this.zoom(1.25),
      "-": () => this.zoom(0.8),
      "0": () => this.resetZoom(),
    };
    const act = Object.hasOwn(keys, event.key) ? keys[event.key] : undefined;
    if (!act || (lanes.columns.rows === 0 && event.key !== "/")) return;
    act();
    this.onFocus(true);
    event.preventDefault();
    event.stopPropagation();
  }

  private walk(row: number | undefined): void {
    if (row !== undefined) this.choose([row], row);
  }

  /** To the next step in time, of this lane. */
  private step(way: 1 | -1): void {
    const { lanes, mask } = this;
    if (!lanes) return;
    const lane = lanes.laneOf[this.cursor];
    for (let at = lanes.place[this.cursor] + way; at >= 0 && at < lanes.inTime.length; at += way) {
      const row = lanes.inTime[at];
      if (lanes.laneOf[row] !== lane || (mask && !mask[row])) continue;
      this.walk(row);
      return;
    }
  }

  /** To the step of the next lane that began nearest to this one. */
  private cross(way: 1 | -1): void {
    const { lanes, mask } = this;
    if (!lanes) return;
    const here = lanes.begin[this.cursor];
    for (let lane = lanes.laneOf[this.cursor] + way; lane >= 0 && lane < lanes.lanes.length; lane += way) {
      let best = -1;
      for (const row of lanes.lanes[lane].levels.flat()) {
        const isNearer = best < 0 || Math.abs(lanes.begin[row] - here) < Math.abs(lanes.begin[best] - here);
        if (isNearer && (!mask || mask[row])) best = row;
      }
      if (best < 0) continue;
      this.walk(best);
      return;
    }
  }
}
