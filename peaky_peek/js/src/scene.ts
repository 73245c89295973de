/** Everything a frame shows, and the order in which it is painted. */
import type { Context } from "./canvas";
import { type Geometry, HEADER, measure } from "./geometry";
import type { Outline } from "./layout";
import type { Forks } from "./nodelink";
import type { Numbers } from "./packed";
import { paintRows } from "./rows";
import { paintRuler } from "./ruler";
import { paintStrips } from "./strips";
import type { Theme } from "./theme";
import type { Viewport } from "./viewport";
import { type Family, familyOf } from "./vocabulary";
import { type Columns, FAILED, SUSPECT } from "./wire";

export class Scene {
  selected: ReadonlySet<number> = new Set();
  /** The row that the keyboard is at. */
  cursor = 0;
  hover = -1;
  /** Whether the keyboard is here, and its ring shown. */
  focused = false;
  longest = 0;
  hasDuration = false;
  hasCost = false;
  hasMarks = false;
  forks: Forks | null = null;
  /** Place in order of the event that opens each row, once the kernel was asked. */
  opened: Numbers | null = null;
  /** The row and the place of the event that time stands at; -1 for none. */
  now = -1;
  position = -1;

  constructor(
    public columns: Columns,
    public outline: Outline,
    readonly viewport: Viewport,
    readonly preview: (row: number) => string,
    public theme: Theme,
  ) {
    this.hold(columns, outline);
  }

  /** Shows other steps in the place of these; what is selected is up to the caller. */
  hold(columns: Columns, outline: Outline): void {
    this.columns = columns;
    this.outline = outline;
    this.longest = columns.duration.reduce((most, ms) => (ms > most ? ms : most), 0);
    this.hasMarks = columns.flags.some((flags) => (flags & (FAILED | SUSPECT)) !== 0);
    this.hasDuration = outline.some((row) => columns.durationText(row) !== "");
    this.hasCost = outline.some((row) => columns.costText(row) !== "");
  }

  failed(row: number): boolean {
    return (this.columns.flags[row] & FAILED) !== 0;
  }

  suspect(row: number): boolean {
    return (this.columns.flags[row] & SUSPECT) !== 0;
  }

  /** Whether a row had not begun where time stands. */
  isLater(row: number): boolean {
    return this.position >= 0 && this.opened !== null && this.opened[row] > this.position;
  }

  family(row: number): Family {
    return familyOf(this.columns.kind[row], this.failed(row));
  }

  geometry(width: number): Geometry {
    return measure(this, width);
  }

  paint(context: Context, width: number, height: number): void {
    const { theme, viewport } = this;
    context.fillStyle = theme.background;
    context.fillRect(0, 0, width, height);
    const geometry = this.geometry(width);
    context.save();
    context.beginPath();
    context.rect(0, HEADER, width, height - HEADER);
    context.clip();
    context.translate(0, HEADER);
    if (viewport.hasText) paintRows(context, this, geometry);
    else paintStrips(context, this, geometry);
    context.restore();
    paintRuler(context, this, geometry, height);
    this.paintHeader(context, geometry, width);
    if (this.outline.count === 0) context.fillText("No step matches the filter.", 10, HEADER * 1.5);
  }

  private paintHeader(context: Context, geometry: Geometry, width: number): void {
    const { theme } = this;
    context.fillStyle = theme.line;
    context.fillRect(0, HEADER - 1, width, 1);
    context.fillStyle = theme.dim;
    context.font = `11px ${theme.font}`;
    context.textBaseline = "middle";
    const y = HEADER / 2;
    const from = geometry.firstLevel;
    context.textAlign = "left";
    context.fillText(from > 0 ? `Step  ·  indented from level ${(from + 1).toLocaleString("en-US")}` : "Step", 10, y);
    context.textAlign = "right";
    const { bar } = geometry;
    const durations = geometry.duration || (bar && bar.x + bar.width);
    if (durations) context.fillText("Duration", durations, y);
    if (geometry.cost) context.fillText("Cost", geometry.cost, y);
    context.textAlign = "left";
  }
}
