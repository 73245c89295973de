/** A tree on its canvas, as an outline: what is selected, where the keyboard is, and what follows from a click or a key. */
import { describe, Reader } from "./aria";
import { group, tool } from "./buttons";
import { type Context, Surface } from "./canvas";
import { element } from "./dom";
import { press } from "./keyboard";
import { Outline } from "./layout";
import { OutlinePicture } from "./outline";
import type { Picture } from "./picture";
import { followPointer } from "./pointer";
import { Scene } from "./scene";
import type { Host, View } from "./shell";
import type { Theme } from "./theme";
import { Viewport } from "./viewport";
import type { Columns } from "./wire";

export class TreeView implements View {
  readonly element = element("div", "pp-canvas");
  readonly buttons = [
    group(
      tool("expand", "Expand all", () => this.change((outline) => outline.expandAll())),
      tool("collapse", "Collapse all", () => this.change((outline) => outline.collapseAll())),
    ),
    group(
      tool("out", "Smaller rows (-)", () => this.zoom(0.8)),
      tool("usual", "Usual size (0)", () => this.resetZoom()),
      tool("in", "Larger rows (+)", () => this.zoom(1.25)),
      tool("fit", "Show all (a)", () => this.zoom(0)),
    ),
  ];
  readonly viewport = new Viewport();
  scene: Scene | null = null;
  protected readonly surface: Surface;
  protected picture: Picture | null = null;
  readonly #reader = new Reader(this.element);
  #anchor = 0;
  #stop = new AbortController();

  constructor(
    protected theme: Theme,
    protected readonly host: Host,
  ) {
    this.element.tabIndex = 0;
    this.surface = new Surface(this.element, this.#paint, () => {
      this.host.resized();
      this.measure();
    });
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.element.addEventListener("focus", () => this.#onFocus(this.element.matches(":focus-visible")));
    this.element.addEventListener("blur", () => this.#onFocus(false));
  }

  show(columns: Columns, preview: (row: number) => string): void {
    const outline = new Outline(columns.parent, columns.flags, columns.importance);
    const scene = new Scene(columns, outline, this.viewport, preview, this.theme);
    this.scene = scene;
    this.#stop.abort();
    this.#stop = new AbortController();
    followPointer(this.surface.element, this.#stop.signal, {
      picture: () => this.picture as Picture,
      pick: (row, event) => this.#pick(row, event),
      toggle: (row) => this.#collapse(row, !scene.outline.isCollapsed(row)),
      hover: (row, x, y) => this.#hover(row, x, y),
      moved: () => this.surface.invalidate(),
    });
    this.draw();
  }

  /** Shows more of the same session; `was` is the row that each row had before, -1 for a new one. */
  grow(columns: Columns, was: Int32Array): void {
    const { scene } = this;
    if (!scene) return;
    const outline = new Outline(columns.parent, columns.flags, columns.importance);
    outline.keep(scene.outline, was);
    const now = new Int32Array(scene.columns.rows).fill(-1);
    for (const [row, before] of was.entries()) if (before >= 0) now[before] = row;
    scene.hold(columns, outline);
    scene.selected = new Set([...scene.selected].map((row) => now[row]).filter((row) => row >= 0));
    scene.cursor = Math.max(0, now[scene.cursor] ?? 0);
    scene.hover = -1;
    this.#anchor = Math.max(0, now[this.#anchor] ?? 0);
    this.measure();
    this.invalidate();
  }

  /** Brings a row into view, and leaves the keyboard where it is. */
  reveal(row: number): void {
    const place = this.scene?.outline.place[row] ?? -1;
    if (place >= 0) this.picture?.reveal(row);
    this.invalidate();
  }

  get failures(): number {
    return this.scene?.outline.failures ?? 0;
  }

  get naturalHeight(): number {
    return this.picture?.naturalHeight ?? 0;
  }

  get visibleRows(): number {
    return this.scene?.outline.count ?? 0;
  }

  focus(): void {
    this.element.focus({ preventScroll: true });
  }

  get frameTimes(): number[] {
    return this.surface.frameTimes;
  }

  invalidate(): void {
    this.surface.invalidate();
  }

  recolour(theme: Theme): void {
    this.theme = theme;
    if (this.scene) this.scene.theme = theme;
    this.invalidate();
  }

  /** Selects rows and brings the first into view. */
  select(rows: readonly number[]): void {
    const { scene } = this;
    if (!scene) return;
    const known = rows.filter((row) => row >= 0 && row < scene.columns.rows);
    // What this view chose comes back to it; following it would move the user's view.
    if (known.length === scene.selected.size && known.every((row) => scene.selected.has(row))) return;
    scene.selected = new Set(known);
    const [first] = scene.selected;
    if (first !== undefined) this.#goTo(first);
    this.chosen(known);
    this.invalidate();
  }

  filter(mask: Uint8Array | null): void {
    const { scene } = this;
    if (!scene) return;
    scene.outline.filter(mask?.length === scene.columns.rows ? mask : null);
    this.#changed();
  }

  /** Changes what is shown, and keeps the row of the keyboard where it is as far as that goes. */
  change(how: (outline: Outline) => void): void {
    if (!this.scene) return;
    how(this.scene.outline);
    this.#changed();
  }

  zoom(factor: number): void {
    const pin = this.scene && this.picture?.pin(this.scene.cursor);
    const { width, height } = this.surface;
    const inView = pin && pin.y > 0 && pin.y < height;
    this.picture?.zoom(factor, inView ? pin.x : width / 2, inView ? pin.y : height / 2);
    this.invalidate();
  }

  resetZoom(): void {
    this.picture?.usual();
    if (this.scene) this.#goTo(this.scene.cursor);
  }

  nextFailure(): void {
    const { scene } = this;
    if (!scene) return;
    const row = scene.outline.nextFailure(scene.cursor);
    if (row < 0) return;
    this.#goTo(row);
    this.#choose([row], row);
  }

  /** Where a row is on the page, or null when it is not in view. */
  rowRect(row: number): DOMRect | null {
    const rect = this.picture?.rect(row);
    if (!rect) return null;
    const box = this.element.getBoundingClientRect();
    return new DOMRect(box.x + rect[0], box.y + rect[1], rect[2], rect[3]);
  }

  close(): void {
    this.#stop.abort();
    this.surface.close();
  }

  /** The picture that the tree is drawn as. */
  protected paintedAs(scene: Scene): Picture {
    return new OutlinePicture(scene, this.viewport);
  }

  /** Whether it is drawn as it is to be, rather than with what is there meanwhile. */
  protected get settled(): boolean {
    return true;
  }

  /** What stands over the picture. */
  protected paintOver(_context: Context, _picture: Picture, _height: number): void {}

  /** What is said of a point; nothing for what is said of its row. */
  protected titleAt(_x: number, _y: number): string {
    return "";
  }

  /** Other rows are selected. */
  protected chosen(_rows: readonly number[]): void {}

  /** A key that the outline does not know; returns whether it meant something. */
  protected typed(_key: string): boolean {
    return false;
  }

  /** Begins a picture. */
  protected draw(): void {
    const { scene } = this;
    if (!scene) return;
    this.picture = this.paintedAs(scene);
    this.measure();
    if (scene.outline.place[scene.cursor] >= 0) this.picture.reveal(scene.cursor);
    this.surface.draw();
  }

  protected measure(): void {
    this.picture?.measure(this.surface.width, this.surface.height);
  }

  readonly #paint = (context: CanvasRenderingContext2D, width: number, height: number): void => {
    context.fillStyle = this.theme.background;
    context.fillRect(0, 0, width, height);
    if (!this.scene || !this.picture) return;
    this.picture.paint(context, width, height);
    this.paintOver(context, this.picture, height);
    if (this.settled) this.host.painted();
  };

  #hover(row: number, x: number, y: number): void {
    const { scene } = this;
    if (!scene) return;
    this.surface.element.title = this.titleAt(x, y) || (row < 0 ? "" : describe(scene, row));
    if (row === scene.hover) return;
    scene.hover = row;
    this.invalidate();
  }

  #changed(): void {
    const { scene } = this;
    if (!scene) return;
    const { outline } = scene;
    this.measure();
    while (outline.place[scene.cursor] < 0 && outline.parent[scene.cursor] >= 0)
      scene.cursor = outline.parent[scene.cursor];
    if (outline.place[scene.cursor] < 0) scene.cursor = outline.shown[0];
    if (scene.selected.has(scene.cursor)) this.picture?.reveal(scene.cursor);
    this.#reader.read(scene);
    this.invalidate();
  }

  #goTo(row: number): void {
    const { scene } = this;
    if (!scene?.outline.reveal(row)) return;
    scene.cursor = row;
    this.measure();
    this.picture?.reveal(row);
    this.#reader.read(scene);
    this.invalidate();
  }

  #collapse(row: number, collapsed: boolean): void {
    this.change((outline) => outline.setCollapsed(row, collapsed && outline.hasChildren(row)));
  }

  #pick(row: number, event: MouseEvent): void {
    this.element.focus({ preventScroll: true });
    if (event.shiftKey) this.#choose(this.#between(this.#anchor, row), row);
    else if (event.ctrlKey || event.metaKey) this.#choose(this.#toggled(row), row);
    else this.#choose([row], row);
    if (!event.shiftKey) this.#anchor = row;
    if (!event.shiftKey && !event.ctrlKey && !event.metaKey) this.host.inspect(row);
  }

  /** The user's choice: told to the host, unlike what `select` is told by it. */
  #choose(rows: number[], cursor: number): void {
    const { scene } = this;
    if (!scene) return;
    scene.selected = new Set(rows);
    scene.cursor = cursor;
    this.#reader.read(scene);
    this.invalidate();
    this.chosen(rows);
    this.host.selected(rows);
  }

  #between(one: number, other: number): number[] {
    const outline = this.scene?.outline;
    if (!outline) return [];
    const places = [outline.place[one], outline.place[other]].sort((a, b) => a - b);
    return Array.from(outline.shown.subarray(Math.max(0, places[0]), places[1] + 1));
  }

  #toggled(row: number): number[] {
    const selected = new Set(this.scene?.selected);
    if (!selected.delete(row)) selected.add(row);
    return [...selected];
  }

  #onKey(event: KeyboardEvent): void {
    const { scene, host } = this;
    if (!scene) return;
    const { outline } = scene;
    const walk = (row: number, extend: boolean) => {
      this.#goTo(row);
      if (!extend) this.#anchor = row;
      this.#choose(extend ? this.#between(this.#anchor, row) : [row], row);
    };
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const row = plain && this.picture ? this.picture.walk(event.key, scene.cursor) : -1;
    if (row >= 0) walk(row, event.shiftKey);
    const used =
      row >= 0 ||
      (plain && this.typed(event.key)) ||
      press(event, outline, scene.cursor, this.picture?.page ?? 1, {
        walk: (place, extend) => walk(outline.shown[place], extend),
        collapse: (row, collapsed) => this.#collapse(row, collapsed),
        inspect: (row) => {
          this.#choose([row], row);
          host.inspect(row);
        },
        focusFilter: host.focusFilter,
        escape: host.escape,
        nextFailure: () => this.nextFailure(),
        zoom: (factor) => this.zoom(factor),
        resetZoom: () => this.resetZoom(),
      });
    if (!used) return;
    this.#onFocus(true);
    event.preventDefault();
    event.stopPropagation();
  }

  #onFocus(focused: boolean): void {
    if (!this.scene) return;
    this.scene.focused = focused;
    this.#reader.read(this.scene);
    this.invalidate();
  }
}
