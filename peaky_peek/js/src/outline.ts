/** The tree as an outline: one row a step, indented. */
import type { Context } from "./canvas";
import { type Geometry, HEADER } from "./geometry";
import type { Picture, Pin } from "./picture";
import { ICON } from "./rows";
import type { Scene } from "./scene";
import { ROW, type Viewport } from "./viewport";

const CHEVRON_END = 17;

export class OutlinePicture implements Picture {
  #width = 0;

  constructor(
    private readonly scene: Scene,
    private readonly viewport: Viewport,
  ) {}

  get #geometry(): Geometry {
    return this.scene.geometry(this.#width);
  }

  get naturalHeight(): number {
    return HEADER + Math.max(3, this.scene.columns.rows) * ROW + 2;
  }

  get page(): number {
    return this.viewport.page;
  }

  get map(): number {
    return this.#geometry.ruler;
  }

  measure(width: number, height: number): void {
    this.#width = width;
    this.viewport.resize(Math.max(0, height - HEADER), this.scene.outline.count);
  }

  paint(context: Context, width: number, height: number): void {
    this.scene.paint(context, width, height);
  }

  rowAt(_x: number, y: number): number {
    const place = y < HEADER ? -1 : this.viewport.placeAt(y - HEADER);
    return place < 0 ? -1 : this.scene.outline.shown[place];
  }

  folds(x: number, row: number): boolean {
    const { left, scale } = this.#geometry;
    const from = x - left(row);
    return this.viewport.hasText && this.scene.outline.hasChildren(row) && from >= -4 && from < CHEVRON_END * scale;
  }

  rect(row: number): [number, number, number, number] | null {
    const place = this.scene.outline.place[row] ?? -1;
    const [from, to] = this.viewport.range();
    if (place < from || place >= to) return null;
    return [0, HEADER + this.viewport.y(place), this.#width, this.viewport.rowHeight];
  }

  pin(row: number): Pin | null {
    const shown = this.scene.outline.shownFor(row);
    if (shown < 0) return null;
    const { left, scale } = this.#geometry;
    const y = HEADER + this.viewport.y(this.scene.outline.place[shown]) + this.viewport.rowHeight / 2;
    return { x: left(shown) + (this.viewport.hasText ? ICON * scale : 0), y, radius: 7 * scale, gap: 0 };
  }

  reveal(row: number): void {
    this.viewport.reveal(this.scene.outline.place[row]);
  }

  drag(x: number): ((x: number, y: number) => void) | null {
    if (x < this.map) return null;
    return (_, y) => this.viewport.centreOn((y - HEADER) / this.viewport.height);
  }

  scroll(x: number, y: number): boolean {
    return Math.abs(x) <= Math.abs(y) && this.viewport.scrollBy(y);
  }

  zoom(factor: number, _x: number, y: number): void {
    this.viewport.zoom(factor, y - HEADER);
  }

  usual(): void {
    this.viewport.resetZoom(0);
  }

  walk(): number {
    return -1;
  }
}
