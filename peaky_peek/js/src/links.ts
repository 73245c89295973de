/**
 * The tree as nodes and links on its canvas: what part of it is in view, and what is where. A script of its own, which
 * the kernel sends when somebody wants to see the tree like this.
 */
import type { Context } from "./canvas";
import { paintLinks } from "./linkpaint";
import { mapWidth, paintMap } from "./minimap";
import { NodeLink } from "./nodelink";
import type { Picture, Pin } from "./picture";
import type { Scene } from "./scene";
import { ROW, TEXT, Viewport } from "./viewport";

/** Above the first line and below the last. */
export const EDGE = 6;
const START = 20;
/** Room for the label at the end of a line, and its share of a narrow view. */
const TAIL = 170;
const TAIL_SHARE = 0.27;
const LEAST_ROW = 17;

export class LinkPicture implements Picture {
  readonly viewport = new Viewport();
  layout: NodeLink;
  /** Pixels that are scrolled out at the left. */
  left = 0;
  width = 0;
  height = 0;
  #of = "";

  constructor(readonly scene: Scene) {
    this.layout = this.#lay();
  }

  get naturalHeight(): number {
    return Math.max(3, this.layout.lines) * ROW + 2 * EDGE + 2;
  }

  get page(): number {
    return this.viewport.page;
  }

  get map(): number {
    return this.width - (this.#overflows ? mapWidth(this.width) : 0);
  }

  /** Size of shapes relative to the usual. */
  get scale(): number {
    return Math.min(1.35, this.viewport.rowHeight / ROW);
  }

  x(level: number): number {
    return START + this.layout.x[level] * this.#stretch - this.left;
  }

  /** The middle of a line. */
  y(line: number): number {
    return EDGE + this.viewport.y(line) + this.viewport.rowHeight / 2;
  }

  radius(row: number): number {
    return (3.4 + (4.6 * this.scene.columns.importance[row]) / 255) * this.scale;
  }

  measure(width: number, height: number): void {
    const isNew = this.width === 0 && width > 0;
    [this.width, this.height] = [width, height];
    if (this.#of !== this.#version) this.layout = this.#lay();
    const { viewport, layout } = this;
    viewport.resize(Math.max(0, height - 2 * EDGE), layout.lines);
    // All of a short run is in view at once, where it can be read.
    const fit = viewport.height / Math.max(1, layout.lines);
    if (isNew && fit < ROW) viewport.zoom(Math.max(LEAST_ROW, fit) / viewport.rowHeight, 0);
    this.#pan(0);
  }

  paint(context: Context, width: number, height: number): void {
    const { theme } = this.scene;
    context.fillStyle = theme.background;
    context.fillRect(0, 0, width, height);
    context.save();
    context.beginPath();
    context.rect(0, 0, this.map, height);
    context.clip();
    paintLinks(context, this);
    context.restore();
    if (this.#overflows) paintMap(context, this);
    context.fillStyle = theme.dim;
    context.font = `11px ${theme.font}`;
    if (this.layout.count === 0) context.fillText("No step matches the filter.", 10, 24);
  }

  rowAt(x: number, y: number): number {
    const line = this.viewport.placeAt(y - EDGE);
    if (line < 0 || x >= this.map) return -1;
    const { layout } = this;
    let found = -1;
    for (let place = layout.startOf(line); place < layout.count && layout.line[place] === line; place++) {
      if (this.x(layout.level[place]) - 10 <= x) found = place;
    }
    return found < 0 ? -1 : this.rowOf(found);
  }

  /** The row at a place; of alternatives that of the decision. */
  rowOf(place: number): number {
    const { node, parent } = this.layout;
    return node[place] >= 0 ? node[place] : node[parent[place]];
  }

  folds(): boolean {
    return false;
  }

  rect(row: number): [number, number, number, number] | null {
    const { layout, viewport } = this;
    const place = layout.place[row] ?? -1;
    const line = layout.line[place];
    const [from, to] = viewport.range();
    if (place < 0 || line < from || line >= to) return null;
    const x = this.x(layout.level[place]) - 10;
    const end = layout.leads(place) ? this.x(layout.level[place + 1]) - 10 : this.map;
    return [x, EDGE + viewport.y(line), Math.max(8, end - x), viewport.rowHeight];
  }

  pin(row: number): Pin | null {
    const place = this.layout.place[this.scene.outline.shownFor(row)] ?? -1;
    if (place < 0) return null;
    const { level, line } = this.layout;
    return {
      x: this.x(level[place]),
      y: this.y(line[place]),
      radius: this.radius(row) + 2,
      gap: this.viewport.rowHeight / 2,
    };
  }

  reveal(row: number): void {
    const { layout, viewport } = this;
    const place = layout.place[row] ?? -1;
    if (place < 0) return;
    viewport.reveal(layout.line[place]);
    const x = this.x(layout.level[place]);
    if (x < START) this.#pan(x - START);
    else if (x > this.map - this.#tail / 2) this.#pan(x - this.map + this.#tail);
  }

  drag(x: number, y: number): ((x: number, y: number) => void) | null {
    if (x >= this.map) return (_, to) => this.viewport.centreOn(to / this.height);
    let [lastX, lastY] = [x, y];
    return (toX, toY) => {
      this.scroll(lastX - toX, lastY - toY);
      [lastX, lastY] = [toX, toY];
    };
  }

  scroll(x: number, y: number): boolean {
    const panned = this.#pan(x);
    return this.viewport.scrollBy(y) || panned;
  }

  zoom(factor: number, x: number, y: number): void {
    const before = this.#stretch;
    const at = this.left + x - START;
    this.viewport.zoom(factor, y - EDGE);
    this.#pan((at * this.#stretch) / before - at);
  }

  usual(): void {
    this.viewport.resetZoom(0);
    this.#pan(0);
  }

  walk(key: string, row: number): number {
    const { outline } = this.scene;
    if (!key.startsWith("Arrow") || outline.count === 0) return -1;
    return key === "ArrowRight" && outline.isCollapsed(row) ? -1 : this.layout.walk(key, row);
  }

  get #version(): string {
    return `${this.scene.outline.version} ${this.scene.forks !== null}`;
  }

  #lay(): NodeLink {
    const { scene } = this;
    this.#of = this.#version;
    return new NodeLink(scene.outline, scene.forks, (row) => Math.min(24, scene.columns.name(row).length));
  }

  /** How wide levels are relative to the usual: narrower in narrow views, and with the lines when zoomed far out. */
  get #stretch(): number {
    const { x, levels } = this.layout;
    const { rowHeight } = this.viewport;
    const room = Math.max(80, this.map - START);
    const fit = Math.min(1, Math.max(0.62, (room - this.#tail) / Math.max(1, x[Math.max(0, levels - 1)])));
    if (rowHeight >= TEXT) return fit * Math.max(1, this.scale);
    return Math.min(fit, Math.max((0.9 * room) / Math.max(1, x[levels]), (fit * rowHeight) / TEXT));
  }

  get #reach(): number {
    const { x, levels } = this.layout;
    return START + x[Math.max(0, levels - 1)] * this.#stretch + this.#tail - this.map;
  }

  get #tail(): number {
    return this.viewport.hasText ? Math.min(TAIL, TAIL_SHARE * this.width) : 20;
  }

  get #overflows(): boolean {
    return this.viewport.window.size < 1;
  }

  #pan(by: number): boolean {
    const before = this.left;
    this.left = Math.max(0, Math.min(this.left + by, this.#reach));
    return this.left !== before;
  }
}

export default (scene: Scene): Picture => new LinkPicture(scene);
