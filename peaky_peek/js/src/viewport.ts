/** What part of the outline is in view, and how large: scrolling, zooming and the way between places and pixels. */

/** Height of a row of text at the usual size, in CSS pixels. */
export const ROW = 22;
const LARGEST = 32;
/** From this height on rows carry text; below they are strips. */
export const TEXT = 13;

export class Viewport {
  count = 0;
  /** Of the rows' area, in CSS pixels. */
  height = 0;
  rowHeight = ROW;
  /** Place at the top edge; a fraction while a row is half scrolled. */
  #first = 0;

  get hasText(): boolean {
    return this.rowHeight >= TEXT;
  }

  /** The height at which every row is in view, below one pixel for large sessions. */
  get smallest(): number {
    return Math.min(ROW, this.height / Math.max(1, this.count));
  }

  get lastFirst(): number {
    return Math.max(0, this.count - this.height / this.rowHeight);
  }

  /** Top place and number of places in view, as fractions of all. */
  get window(): { start: number; size: number } {
    const all = Math.max(this.count, this.height / this.rowHeight, 1);
    return { start: this.#first / all, size: Math.min(1, this.height / this.rowHeight / all) };
  }

  /** Places that are at least partly in view: from, and one past the last. */
  range(): [number, number] {
    const from = Math.max(0, Math.floor(this.#first));
    return [from, Math.min(this.count, Math.ceil(this.#first + this.height / this.rowHeight))];
  }

  y(place: number): number {
    const y = (place - this.#first) * this.rowHeight;
    return this.hasText ? Math.round(y) : y;
  }

  placeAt(y: number): number {
    const place = Math.floor(this.#first + y / this.rowHeight);
    return place >= 0 && place < this.count ? place : -1;
  }

  /** Returns whether anything moved, so that a wheel at the end is left to the page. */
  scrollBy(pixels: number): boolean {
    return this.#moveTo(this.#first + pixels / this.rowHeight);
  }

  /** Brings the middle of the view to a fraction of the whole. */
  centreOn(fraction: number): void {
    this.#moveTo(fraction * this.count - this.height / this.rowHeight / 2);
  }

  /** Scrolls as little as needed, but centres what was far away. */
  reveal(place: number): void {
    const visible = this.height / this.rowHeight;
    if (place >= this.#first && place + 1 <= this.#first + visible) return;
    const above = this.#first - place;
    const below = place + 1 - (this.#first + visible);
    if (Math.max(above, below) > visible) this.#moveTo(place + 0.5 - visible / 2);
    else this.#moveTo(above > 0 ? place : this.#first + below);
  }

  /** Changes the size of rows and keeps what is at `y` where it is. */
  zoom(factor: number, y: number): void {
    const place = this.#first + y / this.rowHeight;
    this.rowHeight = Math.min(LARGEST, Math.max(this.smallest, this.rowHeight * factor));
    this.#moveTo(place - y / this.rowHeight);
  }

  resetZoom(y: number): void {
    this.zoom(ROW / this.rowHeight, y);
  }

  resize(height: number, count: number): void {
    this.height = height;
    this.count = count;
    this.rowHeight = Math.max(this.smallest, this.rowHeight);
    this.#moveTo(this.#first);
  }

  /** How many rows a page key walks. */
  get page(): number {
    return Math.max(1, Math.floor(this.height / this.rowHeight) - 1);
  }

  #moveTo(first: number): boolean {
    const clamped = Math.min(this.lastFirst, Math.max(0, first));
    const moved = Math.abs(clamped - this.#first) > 1e-9;
    this.#first = clamped;
    return moved;
  }
}
